package stats

import "math"

// Interval is a confidence interval, Lo <= Hi, in the units of what it is about.
type Interval struct{ Lo, Hi float64 }

// Difference is an estimate of candidate minus baseline with its interval.
type Difference struct{ Estimate, Lo, Hi float64 }

// Proportion is X of N, 0 <= X <= N.
type Proportion struct{ X, N int64 }

// Value returns X/N, NaN when N is 0.
func (p Proportion) Value() float64 {
	if p.N <= 0 {
		return math.NaN()
	}
	return float64(p.X) / float64(p.N)
}

// Wilson returns the score interval of a rate at the two-sided critical value
// z: exactly 0 below when X is 0, exactly 1 above when X is N, and [0, 1] when
// N is 0.
//
// Source: Wilson 1927. The lower root is written without cancellation and the
// upper one is the lower one of the complement, so that counting successes or
// failures gives mirrored bits.
func Wilson(p Proportion, z float64) Interval {
	return wilson(float64(p.X), float64(p.N), z)
}

// wilson is the score interval of x of n where x need not be whole.
func wilson(x, n, z float64) Interval {
	if !(n > 0) {
		return Interval{Lo: 0, Hi: 1}
	}
	return Interval{Lo: wilsonLower(x, n, z), Hi: 1 - wilsonLower(n-x, n, z)}
}

func wilsonLower(x, n, z float64) float64 {
	if x <= 0 {
		return 0
	}
	square := float64(z * z)
	root := math.Sqrt(square + float64(4*x*((n-x)/n)))
	return float64(2*x*(x/n)) / (float64(2*x) + square + float64(z*root))
}

// Ties says what a tie between two answers counts for.
type Ties int

const (
	// ExcludeTies leaves ties out: the rate is wins of decided pairs.
	ExcludeTies Ties = iota
	// HalveTies counts a tie as half a win and half a loss.
	HalveTies
)

// WinRate returns the share of pairs that the candidate won, and its Wilson
// interval at the two-sided critical value z. Without a pair that counts, the
// share is NaN and the interval [0, 1].
func WinRate(wins, losses, ties int64, policy Ties, z float64) (float64, Interval) {
	x, n := float64(wins), float64(wins+losses)
	if policy == HalveTies {
		x, n = (float64(2*wins)+float64(ties))/2, n+float64(ties)
	}
	if !(n > 0) {
		return math.NaN(), Interval{Lo: 0, Hi: 1}
	}
	return x / n, wilson(x, n, z)
}

// MOVER returns the difference of two independent estimates from their own
// intervals c (of the candidate) and b (of the baseline), which must hold them.
//
// Source: Zou & Donner 2008, method of variance estimates recovery; with Wilson
// intervals it is Newcombe's method 10.
func MOVER(candidate, baseline float64, c, b Interval) Difference {
	d := candidate - baseline
	return Difference{
		Estimate: d,
		Lo:       d - hypotenuse(candidate-c.Lo, b.Hi-baseline),
		Hi:       d + hypotenuse(c.Hi-candidate, baseline-b.Lo),
	}
}

func hypotenuse(a, b float64) float64 {
	return math.Sqrt(float64(a*a) + float64(b*b))
}

// QuantileType7 returns the q-quantile, 0 <= q <= 1, of values in ascending
// order, by linear interpolation between order statistics at (n-1)q; NaN when
// there are none.
//
// Source: Hyndman & Fan 1996, definition 7 (the default of R and NumPy). A
// position within 1e-12 of an order statistic is taken to be that one.
func QuantileType7(sorted []float64, q float64) float64 {
	if len(sorted) == 0 || !(q >= 0 && q <= 1) {
		return math.NaN()
	}
	k, g := position7(int64(len(sorted)), q)
	if g == 0 {
		return sorted[k]
	}
	return float64((1-g)*sorted[k]) + float64(g*sorted[k+1])
}

// position7 returns the rank from 0 and the fraction to the next rank of the
// q-quantile of n > 0 values; the fraction is 0 at the last rank.
func position7(n int64, q float64) (int64, float64) {
	h := float64(float64(n-1) * q)
	k := int64(h)
	g := h - float64(k)
	switch {
	case g < 1e-12:
		g = 0
	case g > 1-1e-12:
		k, g = k+1, 0
	}
	if k >= n-1 {
		return n - 1, 0
	}
	return k, g
}
