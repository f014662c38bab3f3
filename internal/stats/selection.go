package stats

import (
	"math"
	"slices"
)

// selectQuantile is QuantileType7 of values in any order; it reorders them. Its
// work grows with their number, not with that of a sort.
func selectQuantile(values []float64, q float64) float64 {
	if len(values) == 0 || !(q >= 0 && q <= 1) {
		return math.NaN()
	}
	k, g := position7(int64(len(values)), q)
	low := selectRank(values, int(k))
	if g == 0 {
		return low
	}
	return float64((1-g)*low) + float64(g*slices.Min(values[k+1:]))
}

// selectRank moves the value of rank k, from 0, to its place, smaller ones
// before it and larger ones behind it, and returns it. The values must be
// numbers.
//
// Source: Hoare 1961 (FIND), with the median of three as pivot. If that goes
// badly for long, what is left is sorted.
func selectRank(values []float64, k int) float64 {
	left, right := 0, len(values)-1
	for range 64 {
		if left >= right {
			return values[k]
		}
		pivot := medianOfThree(values[left], values[left+(right-left)/2], values[right])
		i, j := left, right
		for i <= j {
			for values[i] < pivot {
				i++
			}
			for values[j] > pivot {
				j--
			}
			if i <= j {
				values[i], values[j] = values[j], values[i]
				i++
				j--
			}
		}
		switch { // all up to j are at most the pivot, all from i at least
		case k <= j:
			right = j
		case k >= i:
			left = i
		default:
			return values[k]
		}
	}
	slices.Sort(values[left : right+1])
	return values[k]
}

func medianOfThree(a, b, c float64) float64 {
	return max(min(a, b), min(max(a, b), c))
}
