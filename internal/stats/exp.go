package stats

import "math"

// ln 2 in two parts: the first has 21 trailing zero bits, so that k times it is
// exact for every exponent k of a float64.
const (
	ln2Head = 0x1.62e42feep-1
	ln2Tail = 0x1.a39ef35793c76p-33
)

// Exp returns e to the power x, within one unit in the last place for normal
// results, and the same bits on every CPU (math.Exp has assembly of its own on
// some). It is +Inf above 709.79 and 0 below -745.14.
//
// The argument is reduced by multiples of ln 2 to |r| <= 0.35 and summed as a
// Taylor polynomial of degree 13, whose truncation error is below 1e-17.
func Exp(x float64) float64 {
	switch {
	case x != x:
		return x
	case x > 709.782712893384:
		return math.Inf(1)
	case x < -745.1332191019412:
		return 0
	}
	half := 0.5
	if x < 0 {
		half = -0.5
	}
	k := int(float64(x*(1/math.Ln2)) + half)
	head := x - float64(float64(k)*ln2Head)
	tail := float64(float64(k) * ln2Tail)
	r := head - tail
	rest := (head - r) - tail // what rounding r lost
	inverse := [...]float64{
		1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320,
		1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800,
	}
	sum := 0.0
	for i := len(inverse) - 1; i >= 0; i-- {
		sum = float64(sum*r) + inverse[i]
	}
	tailSum := float64(float64(r*r)*sum) + (rest + float64(rest*r))
	return scale(1+(r+tailSum), k)
}

// scale multiplies a number near 1 by two to the power k, passing through the
// subnormal range in one rounding. It is inlined, so its products are rounded.
func scale(x float64, k int) float64 {
	switch {
	case k > 1023:
		return float64(x * 2 * power2(k-1))
	case k < -1022:
		return float64(x * power2(k+64) * 0x1p-64)
	}
	return float64(x * power2(k))
}

// power2 returns two to the power k for -1022 <= k <= 1023.
func power2(k int) float64 { return math.Float64frombits(uint64(k+1023) << 52) }

// Log returns the natural logarithm of x, within one unit in the last place,
// and the same bits on every CPU. It is -Inf at 0 and NaN below.
//
// With x = 2^k (1+f) and s = f/(2+f), ln(1+f) = 2 artanh(s), an odd series in
// s, |s| <= 0.172; it is arranged around f, which is exact.
func Log(x float64) float64 {
	switch {
	case x != x || x > math.MaxFloat64:
		return x
	case x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	}
	k := 0
	if x < 0x1p-1022 {
		x *= 0x1p54
		k = -54
	}
	pattern := math.Float64bits(x)
	k += int(pattern>>52) - 1023
	m := math.Float64frombits(pattern&(1<<52-1) | 1023<<52)
	if m > math.Sqrt2 {
		m /= 2
		k++
	}
	f := m - 1
	s := f / (2 + f)
	z := float64(s * s)
	sum := 0.0
	for i := 12; i >= 1; i-- { // 2/3 z + 2/5 z^2 + ... + 2/25 z^12
		sum = float64((sum + 2/float64(2*i+1)) * z)
	}
	half := float64(float64(0.5*f) * f)
	n := float64(k)
	correction := float64(s*(half+sum)) + float64(n*ln2Tail)
	return float64(n*ln2Head) - ((half - correction) - f)
}
