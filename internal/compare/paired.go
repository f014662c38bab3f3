package compare

import (
	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// The methods of a difference on pairs.
const (
	MethodNewcombePaired  = "newcombe-paired"
	MethodBootstrapPaired = "bootstrap-paired"
)

// pairsOf adds up the pairs of all strata and counts the strata that have any.
func (q Question) pairsOf(metric string) (all Pairs, strata int) {
	for _, s := range q.Strata {
		p := s.Pairs[metric]
		if p.Count() > 0 {
			strata++
		}
		all.Merge(p)
	}
	return all, strata
}

// paired computes the figures of a gate on pairs: of the cohorts the averages
// of their paired runs, and the interval of the difference within pairs. A rate
// whose pairs are all 0 or 1 has Newcombe's paired interval; averages of
// several runs, and means, are resampled by probe.
func (q Question) paired(g api.Gate, z float64, f *figures) {
	p, strata := q.pairsOf(g.Metric)
	f.pairs = p
	f.candidate.N, f.baseline.N = p.Count(), p.Count()
	if p.Count() == 0 || p.Beyond || g.Statistic == api.StatisticRate && !f.boolean {
		return
	}
	seed := func(part string) stats.Seed { return stats.SeedOf(q.Seed, g.ID(), count(q.Look), part) }
	for _, c := range []struct {
		figure  *api.CohortFigure
		summary stats.Summary
		part    string
	}{{&f.baseline, p.Baseline, "baseline"}, {&f.candidate, p.Candidate, "candidate"}} {
		if g.Statistic == api.StatisticRate && c.summary.Boolean() {
			set(c.figure, c.summary.Mean(), stats.Wilson(stats.Proportion{X: c.summary.Ones(), N: c.summary.Count()}, z))
			continue
		}
		set(c.figure, c.summary.Mean(), stats.BootstrapMeanOne(c.summary.Units(), q.Confidence, seed(c.part), Resamples))
	}
	if g.Statistic == api.StatisticRate && p.Table() {
		d := stats.NewcombePaired(p.Both, p.CandidateOnly, p.BaselineOnly, p.Neither, z)
		f.oneLook = &api.Difference{Estimate: d.Estimate, Lo: d.Lo, Hi: d.Hi, Method: MethodNewcombePaired, Strata: strata}
		return
	}
	d := stats.BootstrapMeanOne(p.Differences.Units(), q.Confidence, seed("difference"), Resamples)
	f.oneLook = &api.Difference{Estimate: p.Differences.Mean(), Lo: d.Lo, Hi: d.Hi, Method: MethodBootstrapPaired, Strata: strata}
}

// couldRegressPaired asks whether the worst possible candidate on the same
// pairs would have been called regressed.
func (q Question) couldRegressPaired(g api.Gate, f figures) bool {
	p := f.pairs
	if !p.Table() {
		// Its averages would all be at the bad end, so the difference would vary as the baseline does.
		if f.baseline.Lo == nil || f.baseline.Hi == nil {
			return false
		}
		return excludes(g, api.Difference{Lo: 1 - *f.baseline.Hi, Hi: -*f.baseline.Lo}, f.margin)
	}
	succeed, fail := p.Both+p.BaselineOnly, p.CandidateOnly+p.Neither
	worst := stats.NewcombePaired(0, 0, succeed, fail, stats.Critical(q.Confidence))
	if g.Better == api.BetterLower {
		worst = stats.NewcombePaired(succeed, fail, 0, 0, stats.Critical(q.Confidence))
	}
	return excludes(g, api.Difference{Lo: worst.Lo, Hi: worst.Hi}, f.margin)
}

// Figure is what a verdict shows of a gate's pairs.
func (p Pairs) Figure() *api.Pairs {
	out := api.Pairs{N: p.Count(), UnpairedCandidate: p.UnpairedCandidate, UnpairedBaseline: p.UnpairedBaseline}
	if p.Table() {
		out.PairTable = &api.PairTable{Both: p.Both, CandidateOnly: p.CandidateOnly, BaselineOnly: p.BaselineOnly, Neither: p.Neither}
	}
	return &out
}
