package stats

// NormalCDF returns the probability that a standard normal variable is at most
// x, to a relative error of 1e-14 (below 0, so in the lower tail, too), and the
// same bits on every CPU. It is 0 below -38.5.
//
// Within 1.5 of the middle it is 1/2 + phi(x) (x + x^3/3 + x^5/15 + ...), and
// beyond, by its tail, the continued fraction phi(x)/(x + 1/(x + 2/(x + ...))).
// Source: Marsaglia 2004; Laplace, in Abramowitz & Stegun 26.2.14.
func NormalCDF(x float64) float64 {
	switch {
	case x != x:
		return x
	case x < -38.5:
		return 0
	case x > 8.5:
		return 1
	case x < -1.5:
		return normalTailOf(-x)
	case x > 1.5:
		return 1 - normalTailOf(x)
	}
	square := float64(x * x)
	sum, term := x, x
	for odd := 3.0; odd < 61; odd += 2 { // at 1.5, the last term is below 1e-30
		term = float64(term*square) / odd
		sum += term
	}
	return 0.5 + float64(normalDensity(x)*sum)
}

// normalTailOf returns the probability beyond x >= 1.5.
func normalTailOf(x float64) float64 {
	fraction := x
	for i := 200; i > 0; i-- { // at 1.5, what is left out is below 1e-15
		fraction = x + float64(i)/fraction
	}
	return normalDensity(x) / fraction
}

// normalDensity returns exp(-x^2/2)/sqrt(2 pi) for |x| < 2^15. The square of
// the leading part of x is exact: rounding it would cost as many ulps of the
// result as the exponent is large.
func normalDensity(x float64) float64 {
	const rootTwoPi = 2.50662827463100050242
	head := float64(float64(int64(x*0x1p10)) / 0x1p10)
	rest := x - head
	return Exp(-float64(head*head)/2) * Exp(-float64(rest*(x+head))/2) / rootTwoPi
}
