package stats

import "math"

// acceleration is the acceleration constant of each statistic of a bootstrap: a
// sixth of the skewness of its influence values.
type acceleration struct{ candidate, baseline, difference float64 }

// acceleration returns a = sum u^3 / (6 (sum u^2)^(3/2)) over all units of all
// samples, where u is a unit's influence on the statistic over the size of its
// sample. For two samples of single runs these are (x - mean)/n of the one and
// -(x - mean)/n of the other.
//
// Source: Efron 1987; for several samples Davison & Hinkley 1997, 5.3.
func (p arms) acceleration() acceleration {
	var candidates, baselines, differences influences
	for i := range p.list {
		s := &p.list[i]
		candidates.add(&s.candidate, 1)
		baselines.add(&s.baseline, 1)
		if s.weight > 0 {
			differences.add(&s.candidate, s.weight/s.candidate.total.count)
			differences.add(&s.baseline, -s.weight/s.baseline.total.count)
		}
	}
	return acceleration{candidates.skew(), baselines.skew(), differences.skew()}
}

// influences are sums of powers of influence values.
type influences struct{ square, cube float64 }

// add adds the influences of an arm's units on its total, times a factor that
// brings those of all arms to one scale.
func (p *influences) add(a *arm, factor float64) {
	mean := a.mean()
	for i := range a.units() {
		c := cell64{count: 1}
		if a.values != nil {
			c.sum = a.values[i]
		} else {
			c = a.cells[i]
		}
		u := float64(factor * (c.sum - float64(mean*c.count)))
		p.square += float64(u * u)
		p.cube += float64(float64(u*u) * u)
	}
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
	return (float64(below) + float64(equal)/2) / float64(len(replicates))
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
