package stats

import "math"

// Stratum is the two cohorts' counts of one metric in one span of time within
// which they may be compared.
type Stratum struct{ Candidate, Baseline Proportion }

// noDifference is the answer where one arm has no data: every difference of two
// rates is possible.
func noDifference() Difference { return Difference{Estimate: math.NaN(), Lo: -1, Hi: 1} }

// Newcombe returns the difference of two independent rates, in [-1, 1], with
// its hybrid score interval at the two-sided critical value z. With an empty
// arm the estimate is NaN and the interval [-1, 1].
//
// Source: Newcombe 1998, Statistics in Medicine 17:873, method 10.
func Newcombe(candidate, baseline Proportion, z float64) Difference {
	if candidate.N <= 0 || baseline.N <= 0 {
		return noDifference()
	}
	return MOVER(candidate.Value(), baseline.Value(), Wilson(candidate, z), Wilson(baseline, z))
}

// StratifiedNewcombe returns the weighted mean of the strata's differences of
// rates with its hybrid score interval at the two-sided critical value z.
// Strata with an empty arm are left out; if none is left the estimate is NaN
// and the interval [-1, 1]. One stratum gives Newcombe's interval.
//
// Source: Yan & Su 2010, with the weights of Cochran, Mantel and Haenszel,
// n_c n_b / (n_c + n_b). Each arm's weighted limits are Wilson limits at a
// relaxed critical value, such that the strata's half-widths, which are added,
// amount to the width of the weighted mean. The variances behind it use
// (x+1/2)/(n+1), so that a stratum without failures still counts.
func StratifiedNewcombe(strata []Stratum, z float64) Difference {
	total := 0.0
	for _, s := range strata {
		total += weight(s.Candidate.N, s.Baseline.N)
	}
	if !(total > 0) {
		return noDifference()
	}
	candidate := stratifiedArm(strata, total, z, func(s Stratum) Proportion { return s.Candidate })
	baseline := stratifiedArm(strata, total, z, func(s Stratum) Proportion { return s.Baseline })
	return MOVER(candidate.Estimate, baseline.Estimate,
		Interval{Lo: candidate.Lo, Hi: candidate.Hi}, Interval{Lo: baseline.Lo, Hi: baseline.Hi})
}

// weight is the Cochran-Mantel-Haenszel weight of a stratum and the information
// of a block: 0 when an arm is empty.
func weight(candidate, baseline int64) float64 {
	if candidate <= 0 || baseline <= 0 {
		return 0
	}
	c, b := float64(candidate), float64(baseline)
	return float64(c*b) / (c + b)
}

// stratifiedArm returns the weighted rate of one arm and its limits.
func stratifiedArm(strata []Stratum, total, z float64, arm func(Stratum) Proportion) Difference {
	variance, deviations := 0.0, 0.0
	for _, s := range strata {
		w := weight(s.Candidate.N, s.Baseline.N)
		if w == 0 {
			continue
		}
		p := arm(s)
		n := float64(p.N)
		rate := (float64(p.X) + 0.5) / (n + 1)
		v := float64(rate*(1-rate)) / n
		variance += float64(float64(w*w) * v)
		deviations += float64(w * math.Sqrt(v))
	}
	relaxed := z * math.Sqrt(variance) / deviations
	var sum Difference
	for _, s := range strata {
		w := weight(s.Candidate.N, s.Baseline.N)
		if w == 0 {
			continue
		}
		p := arm(s)
		limits := Wilson(p, relaxed)
		sum.Estimate += float64(w * p.Value())
		sum.Lo += float64(w * limits.Lo)
		sum.Hi += float64(w * limits.Hi)
	}
	return Difference{Estimate: sum.Estimate / total, Lo: sum.Lo / total, Hi: sum.Hi / total}
}

// NewcombePaired returns the difference of two rates measured on the same units
// from the four counts of outcomes (both succeed, only the candidate, only the
// baseline, neither), with its interval at the two-sided critical value z.
// Without a pair the estimate is NaN and the interval [-1, 1].
//
// Source: Newcombe 1998, Statistics in Medicine 17:2635, method 10: the square
// and add interval with the correlation phi, corrected for continuity where it
// is positive and 0 where a margin is empty.
func NewcombePaired(both, candidateOnly, baselineOnly, neither int64, z float64) Difference {
	n := both + candidateOnly + baselineOnly + neither
	if n <= 0 {
		return noDifference()
	}
	candidate := Proportion{X: both + candidateOnly, N: n}
	baseline := Proportion{X: both + baselineOnly, N: n}
	c, b := Wilson(candidate, z), Wilson(baseline, z)
	pc, pb := candidate.Value(), baseline.Value()
	phi := pairedCorrelation(float64(both), float64(candidateOnly), float64(baselineOnly), float64(neither))
	d := float64(candidateOnly-baselineOnly) / float64(n)
	return Difference{
		Estimate: d,
		Lo:       d - correlated(pc-c.Lo, b.Hi-pb, phi),
		Hi:       d + correlated(c.Hi-pc, pb-b.Lo, phi),
	}
}

func pairedCorrelation(a, b, c, d float64) float64 {
	if a+b == 0 || c+d == 0 || a+c == 0 || b+d == 0 {
		return 0
	}
	cross := float64(a*d) - float64(b*c)
	if cross > 0 {
		cross -= float64((a + b + c + d) / 2)
		if cross < 0 {
			cross = 0
		}
	}
	return cross / (math.Sqrt((a+b)*(c+d)) * math.Sqrt((a+c)*(b+d)))
}

// correlated is the length of the difference of two deviations with correlation
// phi.
func correlated(a, b, phi float64) float64 {
	square := float64(a*a) - float64(2*phi*a*b) + float64(b*b)
	if square <= 0 {
		return 0
	}
	return math.Sqrt(square)
}
