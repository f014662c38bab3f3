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
	baselineRuns, baseline := pool(q.Strata, baselineOf, g)
	candidateRuns, candidate := pool(q.Strata, candidateOf, g)
	f := figures{
		baseline:  api.CohortFigure{N: baseline.Summary.Count(), Missing: max(baselineRuns-baseline.Summary.Count(), 0)},
		candidate: api.CohortFigure{N: candidate.Summary.Count(), Missing: max(candidateRuns-candidate.Summary.Count(), 0)},
		boolean:   baseline.Summary.Boolean() && candidate.Summary.Boolean(),
		cohorts:   [2]stats.Summary{BaselineSide: baseline.Summary, CandidateSide: candidate.Summary},
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
		q.quantiles(g, z, baseline, candidate, &f)
	}
	if f.oneLook != nil {
		f.oneLook.Confidence = q.Confidence
		f.settle()
		if !finite(f.oneLook.Estimate, f.oneLook.Lo, f.oneLook.Hi) {
			f.oneLook = nil
		}
	}
	f.margin = q.margin(g, f)
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
	f.reports = [2]int64{BaselineSide: f.baseline.N, CandidateSide: f.candidate.N}
	f.missing = missingMoreOften(q.Strata, g.Metric, stats.Critical(q.Confidence))
	return f
}

// settle takes out what rounding alone puts between equal numbers: where no
// value varies, resampling sums the same value in another number, and a last
// digit must not regress. It rounds relative to the cohorts' values.
func (f *figures) settle() {
	if f.baseline.Value == nil || f.candidate.Value == nil {
		return
	}
	const digits = 1e-12
	noise := digits * math.Max(math.Abs(*f.baseline.Value), math.Abs(*f.candidate.Value))
	d := f.oneLook
	if math.Abs(d.Estimate) <= noise {
		d.Estimate = 0
	}
	for _, limit := range []*float64{&d.Lo, &d.Hi} {
		if math.Abs(*limit-d.Estimate) <= noise {
			*limit = d.Estimate
		}
	}
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
		shares = append(shares, s.missing(metric)...)
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
		out = append(out, s.ones(g.Metric)...)
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
