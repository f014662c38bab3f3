package compare

import (
	"math"
	"strconv"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// Resamples is the number of bootstrap replicates behind the interval of a mean.
const Resamples = 10_000

// resampledUnits bounds what a replicate draws of a cohort: a comparison takes as long with 10^7 runs as with 10^3.
const resampledUnits = 1024

func count(n int64) string { return strconv.FormatInt(n, 10) }

// figures computes both cohorts and the ordinary interval of their difference,
// or, quietly, only what an outcome may depend on where a test decides.
func (q Question) figures(g api.Gate, quiet bool) figures {
	if quiet {
		return q.quietFigures(g)
	}
	baselineRuns, baseline := pool(q.Strata, baselineOf, g.Metric)
	candidateRuns, candidate := pool(q.Strata, candidateOf, g.Metric)
	f := figures{
		baseline:  api.CohortFigure{N: baseline.Summary.Count(), Missing: max(baselineRuns-baseline.Summary.Count(), 0)},
		candidate: api.CohortFigure{N: candidate.Summary.Count(), Missing: max(candidateRuns-candidate.Summary.Count(), 0)},
		boolean:   baseline.Summary.Boolean() && candidate.Summary.Boolean(),
	}
	z := stats.Critical(q.Confidence)
	f.missing = missingMoreOften(q.Strata, g.Metric, z)
	f.reports = [2]int64{BaselineSide: f.baseline.N, CandidateSide: f.candidate.N}
	switch {
	case g.Pair != "":
		q.paired(g, z, &f)
	case g.Statistic == api.StatisticRate:
		if f.boolean {
			rates(g, q.Strata, z, baseline.Summary, candidate.Summary, &f)
		}
	case g.Statistic == api.StatisticMean:
		q.means(g, baseline.Summary, candidate.Summary, &f)
	default:
		quantiles(g, q.Strata, z, baseline, candidate, &f)
	}
	if f.oneLook != nil {
		f.oneLook.Confidence = q.Confidence
		if !finite(f.oneLook.Estimate, f.oneLook.Lo, f.oneLook.Hi) {
			f.oneLook = nil
		}
	}
	f.margin = g.Margin.Value
	if g.Margin.Relative && f.baseline.Value != nil {
		f.margin = g.Margin.Value * math.Abs(*f.baseline.Value)
	}
	return f
}

// quietFigures are the counts of both cohorts.
func (q Question) quietFigures(g api.Gate) figures {
	f := figures{boolean: true, margin: g.Margin.Value}
	for _, s := range q.Strata {
		for _, c := range []struct {
			figure *api.CohortFigure
			cohort Cohort
		}{{&f.baseline, s.Baseline}, {&f.candidate, s.Candidate}} {
			m := c.cohort.Metrics[g.Metric].Summary
			c.figure.N += m.Count()
			c.figure.Missing += c.cohort.Runs - m.Count()
			f.boolean = f.boolean && m.Boolean()
		}
	}
	f.baseline.Missing, f.candidate.Missing = max(f.baseline.Missing, 0), max(f.candidate.Missing, 0)
	f.missing = missingMoreOften(q.Strata, g.Metric, stats.Critical(q.Confidence))
	return f
}

func set(c *api.CohortFigure, value float64, i stats.Interval) {
	if finite(value, i.Lo, i.Hi) {
		c.Value, c.Lo, c.Hi = &value, &i.Lo, &i.Hi
	}
}

func finite(values ...float64) bool {
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

// missingMoreOften compares the shares of runs that lack the metric as rates
// of their own, and returns the difference if the candidate's is larger beyond
// its interval. A release that stops reporting failures must not look better.
func missingMoreOften(strata []Stratum, metric string, z float64) *api.Difference {
	var shares []stats.Stratum
	for _, s := range strata {
		shares = append(shares, stats.Stratum{Candidate: missing(s.Candidate, metric), Baseline: missing(s.Baseline, metric)})
	}
	if comparable(shares) == 0 {
		return nil
	}
	d := stats.StratifiedNewcombe(shares, z)
	if !(d.Lo > 0) {
		return nil
	}
	return &api.Difference{Estimate: d.Estimate, Lo: d.Lo, Hi: d.Hi}
}

func missing(c Cohort, metric string) stats.Proportion {
	// An outcome can add a metric to a run of an earlier stratum, so the count may exceed the runs.
	return stats.Proportion{X: max(c.Runs-c.Metrics[metric].Summary.Count(), 0), N: c.Runs}
}

// comparable counts the strata that have runs of both arms.
func comparable(strata []stats.Stratum) int {
	n := 0
	for _, s := range strata {
		if s.Candidate.N > 0 && s.Baseline.N > 0 {
			n++
		}
	}
	return n
}

func rateStrata(g api.Gate, strata []Stratum) []stats.Stratum {
	out := make([]stats.Stratum, 0, len(strata))
	for _, s := range strata {
		c, b := s.Candidate.Metrics[g.Metric].Summary, s.Baseline.Metrics[g.Metric].Summary
		out = append(out, stats.Stratum{
			Candidate: stats.Proportion{X: c.Ones(), N: c.Count()},
			Baseline:  stats.Proportion{X: b.Ones(), N: b.Count()},
		})
	}
	return out
}

func rates(g api.Gate, strata []Stratum, z float64, baseline, candidate stats.Summary, f *figures) {
	for _, c := range []struct {
		figure  *api.CohortFigure
		summary stats.Summary
	}{{&f.baseline, baseline}, {&f.candidate, candidate}} {
		if c.summary.Count() > 0 {
			p := stats.Proportion{X: c.summary.Ones(), N: c.summary.Count()}
			set(c.figure, p.Value(), stats.Wilson(p, z))
		}
	}
	s := rateStrata(g, strata)
	n := comparable(s)
	if n == 0 {
		return
	}
	method := "newcombe"
	if n > 1 {
		method = "newcombe-stratified"
	}
	d := stats.StratifiedNewcombe(s, z)
	f.oneLook = &api.Difference{Estimate: d.Estimate, Lo: d.Lo, Hi: d.Hi, Method: method, Strata: n}
}

func (q Question) means(g api.Gate, baseline, candidate stats.Summary, f *figures) {
	strata := make([]stats.UnitStratum, 0, len(q.Strata))
	n := 0
	for _, s := range q.Strata {
		c, b := s.Candidate.Metrics[g.Metric].Summary, s.Baseline.Metrics[g.Metric].Summary
		strata = append(strata, stats.UnitStratum{Candidate: c.Units(), Baseline: b.Units()})
		if c.Count() > 0 && b.Count() > 0 {
			n++
		}
	}
	m := stats.BootstrapMeans(strata, stats.Resampling{
		Confidence: q.Confidence, Seed: stats.SeedOf(q.Seed, g.ID(), count(q.Look)), Resamples: Resamples, MaxUnits: resampledUnits,
	})
	set(&f.baseline, baseline.Mean(), m.Baseline)
	set(&f.candidate, candidate.Mean(), m.Candidate)
	if n > 0 {
		f.oneLook = &api.Difference{Estimate: m.Difference.Estimate, Lo: m.Difference.Lo, Hi: m.Difference.Hi, Method: "bootstrap-percentile", Strata: n}
	}
}

// quantiles combines the strata's differences with the weights of the other
// statistics and their intervals by the method of variance estimates recovery.
func quantiles(g api.Gate, strata []Stratum, z float64, baseline, candidate Metric, f *figures) {
	p, _ := g.Statistic.Quantile()
	if baseline.Summary.Count() > 0 {
		set(&f.baseline, baseline.quantile(p), baseline.quantileInterval(p, z))
	}
	if candidate.Summary.Count() > 0 {
		set(&f.candidate, candidate.quantile(p), candidate.quantileInterval(p, z))
	}
	var weights, estimate, below, above float64
	n := 0
	for _, s := range strata {
		c, b := s.Candidate.Metrics[g.Metric], s.Baseline.Metrics[g.Metric]
		nc, nb := float64(c.Summary.Count()), float64(b.Summary.Count())
		if nc == 0 || nb == 0 {
			continue
		}
		n++
		w := nc * nb / (nc + nb)
		d := stats.MOVER(c.quantile(p), b.quantile(p), c.quantileInterval(p, z), b.quantileInterval(p, z))
		lo, hi := w*(d.Estimate-d.Lo), w*(d.Hi-d.Estimate)
		weights += w
		estimate += float64(w * d.Estimate)
		below += float64(lo * lo)
		above += float64(hi * hi)
	}
	if n == 0 {
		return
	}
	estimate /= weights
	f.oneLook = &api.Difference{
		Estimate: estimate, Lo: estimate - math.Sqrt(below)/weights, Hi: estimate + math.Sqrt(above)/weights,
		Method: "order-statistics-mover", Strata: n,
	}
}

func (m Metric) quantile(p float64) float64 {
	if len(m.Values) > 0 {
		return stats.QuantileType7(m.Values, p)
	}
	return m.Summary.Quantile(p)
}

func (m Metric) quantileInterval(p, z float64) stats.Interval {
	if len(m.Values) > 0 {
		return stats.QuantileValuesInterval(m.Values, p, z)
	}
	return m.Summary.QuantileInterval(p, z)
}
