package stats

import "math"

// acceleration is the acceleration constant of each statistic of a bootstrap: a
// sixth of the skewness of its influence values.
type acceleration struct{ candidate, baseline, difference float64 }

// accelerationOf returns a = sum u^3 / (6 (sum u^2)^(3/2)) over all units of all
// samples, where u is a unit's influence on the statistic over the size of its
// sample. For two samples of single runs these are (x - mean)/n of the one and
// -(x - mean)/n of the other.
//
// Source: Efron 1987; for several samples Davison & Hinkley 1997, 5.3.
func accelerationOf(candidate, baseline *cohort) acceleration {
	var c, b, d influences
	candidate.each(func(u cell64) {
		c.add(u.count)
		d.add(u.sum)
	})
	baseline.each(func(u cell64) {
		b.add(u.count)
		d.add(-u.sum)
	})
	return acceleration{candidate: c.skew(), baseline: b.skew(), difference: d.skew()}
}

// each calls back with the influences of all units, or groups of units.
func (c *cohort) each(influence func(cell64)) {
	for _, group := range c.groups.cells {
		influence(group)
	}
	for k := range c.arms {
		for i := range c.arms[k].size() {
			if len(c.groups.cells) == 0 {
				influence(c.arms[k].influence(i))
			}
		}
	}
}

// influences are sums of powers of influence values.
type influences struct{ square, cube float64 }

func (p *influences) add(u float64) {
	p.square += float64(u * u)
	p.cube += float64(float64(u*u) * u)
}

func (p influences) skew() float64 {
	if !(p.square > 0) {
		return 0
	}
	return p.cube / float64(6*float64(p.square*math.Sqrt(p.square)))
}

// midRank returns the share of the replicates below the estimate, ties counted
// half. Replicates that differ from it by rounding alone are ties: size is the
// size of the numbers that were subtracted.
func midRank(replicates []float64, estimate, size float64) float64 {
	tie := float64(1e-13 * (size + math.Abs(estimate)))
	below, equal := 0, 0
	for _, r := range replicates {
		switch d := r - estimate; {
		case d < -tie:
			below++
		case d <= tie:
			equal++
		}
	}
	return (float64(below) + float64(float64(equal)/2)) / float64(len(replicates))
}

// bcaShares returns the shares of the replicates at which the BCa interval ends:
// Phi(z0 + (z0+z)/(1 - a (z0+z))) with z the normal quantiles at
// (1 -+ confidence)/2 and z0 that of the share below the estimate. Where that
// share is 0 or 1, or a is so large that the transformation turns over, an end
// is the smallest or the largest replicate.
//
// Source: Efron 1987; Efron & Tibshirani 1993, 14.3.
func bcaShares(confidence, below, a float64) (lo, hi float64) {
	z, z0 := Critical(confidence), NormalQuantile(below)
	adjusted := func(z float64) float64 {
		shifted := z0 + z
		slope := 1 - float64(a*shifted)
		switch {
		case math.IsInf(z0, 0):
			return below
		case slope > 0:
			return NormalCDF(z0 + shifted/slope)
		case shifted > 0:
			return 1
		}
		return 0
	}
	return adjusted(-z), adjusted(z)
}
