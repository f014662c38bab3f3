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
