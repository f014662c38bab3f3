package stats

import "math"

// QuantileValuesInterval returns the interval of the q-quantile, 0 <= q <= 1,
// of values in ascending order at the two-sided critical value z: the order
// statistics whose ranks are the Wilson limits of the share q, the next ones
// outwards; [NaN, NaN] when there are no values. It is what
// Summary.QuantileInterval gives, without the width of a bin.
func QuantileValuesInterval(sorted []float64, q, z float64) Interval {
	if len(sorted) == 0 || !(q >= 0 && q <= 1) {
		return Interval{Lo: math.NaN(), Hi: math.NaN()}
	}
	low, high := rankLimits(int64(len(sorted)), q, z)
	return Interval{Lo: sorted[low], Hi: sorted[high]}
}

// rankLimits returns the ranks, from 0, of the order statistics that bound the q-quantile of n > 0 values.
func rankLimits(n int64, q, z float64) (low, high int64) {
	size := float64(n)
	share := wilson(float64(q*size), size, z)
	low = min(int64(float64(share.Lo*size)), n-1)
	upper := float64(share.Hi * size)
	high = int64(upper)
	if float64(high) == upper && high > 0 { // the rank just below, counting from 0
		high--
	}
	return low, min(high, n-1)
}

// QuantileLimits reports whether the smallest and the largest of n values can
// bound their q-quantile, 0 < q < 1, each at the one-sided level
// (1-confidence)/2: the chance (1-q)^n that all values are above it, and q^n
// that all are below it, must not be larger. Where they cannot, the limit that
// QuantileValuesInterval gives is merely the most extreme value that was seen,
// and the true one is further out: p95 has no upper limit at 95 % below 72
// values, and p99 none below 368.
//
// Source: David & Nagaraja 2003, section 7.1.
func QuantileLimits(n int64, q, confidence float64) (below, above bool) {
	level := (1 - confidence) / 2
	return power(1-q, n) <= level, power(q, n) <= level
}

// power returns v^n, 0 <= v <= 1, by squaring.
func power(v float64, n int64) float64 {
	product := 1.0
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			product *= v
		}
		v *= v
	}
	return product
}
