package compare

import (
	"math"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// The methods of a difference of quantiles: on single values, and on a
// histogram, where each value counts as the middle of its bin, within 0.2 %.
const (
	MethodQuantiles       = "order-statistics-mover"
	MethodQuantilesBinned = "order-statistics-mover-binned"
)

// quantiles combines the strata's differences with the weights of the other
// statistics and their intervals by the method of variance estimates recovery.
func (q Question) quantiles(g api.Gate, z float64, baseline, candidate Metric, f *figures) {
	p, _ := g.Statistic.Quantile()
	q.quantileFigure(&f.baseline, baseline, p, z)
	q.quantileFigure(&f.candidate, candidate, p, z)
	f.oneLook = q.quantileDifference(g, z, q.Confidence)
}

// quantileDifference is the combined difference at a two-sided critical value
// and its confidence; nil without a stratum that has values of both cohorts.
func (q Question) quantileDifference(g api.Gate, z, confidence float64) *api.Difference {
	p, _ := g.Statistic.Quantile()
	var weights, estimate, below, above float64
	var n, runsC, runsB int64
	method := MethodQuantiles
	for _, s := range q.Strata {
		c, b := s.Candidate.Metrics[g.Metric], s.Baseline.Metrics[g.Metric]
		w := stratumWeight(c, b)
		if w == 0 {
			continue
		}
		n++
		runsC += c.Summary.Count()
		runsB += b.Summary.Count()
		if !c.exact() || !b.exact() {
			method = MethodQuantilesBinned
		}
		d := stats.MOVER(c.quantile(p), b.quantile(p), c.quantileInterval(p, z), b.quantileInterval(p, z))
		lo, hi := w*(d.Estimate-d.Lo), w*(d.Hi-d.Estimate)
		weights += w
		estimate += float64(w * d.Estimate)
		below += float64(lo * lo)
		above += float64(hi * hi)
	}
	if n == 0 {
		return nil
	}
	estimate /= weights
	return &api.Difference{
		Estimate: estimate, Lo: estimate - math.Sqrt(below)/weights, Hi: estimate + math.Sqrt(above)/weights,
		Method: method, Strata: int(n), Open: openLimits(runsC, runsB, p, confidence),
	}
}

// otherSide is the level of the limit away from harm in the interval of a look.
const otherSide = 0.025

// quantileAtLook is the interval that belongs to a look of the test on values
// beyond the baseline's quantile: the ordinary one, its harmful limit at the
// level of the look. The test is about shares and the interval about units, so
// the limit is put on the side of the margin that the test decided for. Where
// the runs are too few to have that limit, a regression says no more than that
// the margin is exceeded, and otherwise the limit is open.
func (q Question) quantileAtLook(g api.Gate, t *Tested, margin float64) *api.Difference {
	if !t.Tested || !(t.Level > 0 && t.Level < 1) {
		return nil
	}
	harm := q.quantileDifference(g, max(-stats.NormalQuantile(t.Level), 0), max(1-2*t.Level, 0.5))
	other := q.quantileDifference(g, -stats.NormalQuantile(otherSide), 1-2*otherSide)
	if harm == nil || !finite(harm.Estimate, harm.Lo, harm.Hi, other.Lo, other.Hi) {
		return nil
	}
	d := *harm
	side, limit, away := 1.0, harm.Lo, opposite(g)
	if g.Better == api.BetterHigher {
		side, limit, margin = -1, harm.Hi, -margin
	}
	open := openTowards(g, *harm)
	if limit = onSide(limit, margin, t.Regressed, side); open && t.Regressed {
		limit, open = margin, false
	}
	if g.Better == api.BetterHigher {
		d.Lo, d.Hi = other.Lo, limit
		d.Open = openOf(openTowards(away, *other), open)
	} else {
		d.Lo, d.Hi = limit, other.Hi
		d.Open = openOf(open, openTowards(away, *other))
	}
	return &d
}

// onSide moves a limit to the margin or just short of it if it contradicts the decision; harm is towards side.
func onSide(limit, margin float64, regressed bool, side float64) float64 {
	beyond := side*limit >= side*margin
	switch {
	case regressed && !beyond:
		return margin
	case !regressed && beyond:
		return math.Nextafter(margin, math.Inf(int(-side)))
	}
	return limit
}

// openLimits names the limits of a difference that the runs compared do not
// have: the lower one is from the candidate's lower and the baseline's upper limit.
func openLimits(candidate, baseline int64, p, confidence float64) string {
	cBelow, cAbove := stats.QuantileLimits(candidate, p, confidence)
	bBelow, bAbove := stats.QuantileLimits(baseline, p, confidence)
	return openOf(!cBelow || !bAbove, !cAbove || !bBelow)
}

// openOf names the limits that are open.
func openOf(lo, hi bool) string {
	switch {
	case lo && hi:
		return api.OpenBoth
	case lo:
		return api.OpenLo
	case hi:
		return api.OpenHi
	}
	return ""
}

func (q Question) quantileFigure(c *api.CohortFigure, m Metric, p, z float64) {
	if m.Summary.Count() == 0 {
		return
	}
	set(c, m.quantile(p), m.quantileInterval(p, z))
	below, above := stats.QuantileLimits(m.Summary.Count(), p, q.Confidence)
	if !below {
		c.Lo = nil
	}
	if !above {
		c.Hi = nil
	}
}

// fewForQuantile says what the decisive limit of a quantile's difference lacks.
func (q Question) fewForQuantile(g api.Gate, f figures) (api.Reason, bool) {
	if f.oneLook == nil || !openTowards(g, *f.oneLook) {
		return api.Reason{}, false
	}
	p, _ := g.Statistic.Quantile()
	// Worse means a limit of the worse cohort towards the better one, and of the better one away from it.
	for _, side := range []struct {
		name  string
		have  int64
		above bool
	}{
		{"baseline", f.reports[BaselineSide], g.Better == api.BetterLower},
		{"candidate", f.reports[CandidateSide], g.Better == api.BetterHigher},
	} {
		need := side.have
		for has := false; ; need++ {
			below, above := stats.QuantileLimits(need, p, q.Confidence)
			if has = below; side.above {
				has = above
			}
			if has {
				break
			}
		}
		if need > side.have {
			return reason(ReasonTooFewRuns, map[string]any{"metric": g.Metric, "cohort": side.name, "have": side.have, "need": need},
				"the "+side.name+" has "+count(side.have)+" of the "+count(need)+" runs with "+g.Metric+" that its "+string(g.Statistic)+" needs to have an upper and a lower limit"), true
		}
	}
	return reason(ReasonCannotRegress, map[string]any{"metric": g.Metric}, "the runs are too few to limit the "+string(g.Statistic)+" of "+g.Metric), true
}

// openTowards: the limit that decides whether the gate regressed is open.
func openTowards(g api.Gate, d api.Difference) bool {
	if g.Better == api.BetterHigher {
		return d.Open == api.OpenHi || d.Open == api.OpenBoth
	}
	return d.Open == api.OpenLo || d.Open == api.OpenBoth
}

// opposite is the gate with harm on the other side.
func opposite(g api.Gate) api.Gate {
	if g.Better == api.BetterHigher {
		g.Better = api.BetterLower
	} else {
		g.Better = api.BetterHigher
	}
	return g
}

// exact: single values are at hand.
func (m Metric) exact() bool { return int64(len(m.Values)) == m.Summary.Count() }

func (m Metric) quantile(p float64) float64 {
	if m.exact() {
		return stats.QuantileType7(m.Values, p)
	}
	return m.Summary.Quantile(p)
}

func (m Metric) quantileInterval(p, z float64) stats.Interval {
	if m.exact() {
		return stats.QuantileValuesInterval(m.Values, p, z)
	}
	return m.Summary.QuantileInterval(p, z)
}

// stratumWeight is the weight of a stratum, 0 if a cohort has no run with the metric.
func stratumWeight(candidate, baseline Metric) float64 {
	c, b := float64(candidate.Summary.Count()), float64(baseline.Summary.Count())
	if c == 0 || b == 0 {
		return 0
	}
	return c * b / (c + b)
}

// margin is the gate's margin in units of the metric. A relative one is a share
// of the baseline that the difference was taken from: each stratum's baseline
// with the weight of its difference, not all its runs, which may be mostly of
// strata that hardly count. It is 0 where there is no baseline or it is 0.
func (q Question) margin(g api.Gate, f figures) float64 {
	switch {
	case !g.Margin.Relative:
		return g.Margin.Value
	case f.oneLook == nil:
		return 0
	case g.Pair != "":
		if f.baseline.Value == nil {
			return 0
		}
		return g.Margin.Value * math.Abs(*f.baseline.Value)
	}
	p, quantile := g.Statistic.Quantile()
	sum, weights := 0.0, 0.0
	for _, s := range q.Strata {
		b := s.Baseline.Metrics[g.Metric]
		w := stratumWeight(s.Candidate.Metrics[g.Metric], b)
		if w == 0 {
			continue
		}
		value := 0.0
		if quantile {
			value = b.quantile(p)
		} else {
			value = b.Summary.Mean()
		}
		weights += w
		sum += float64(w * value)
	}
	if m := g.Margin.Value * math.Abs(sum/weights); finite(m) {
		return m
	}
	return 0
}
