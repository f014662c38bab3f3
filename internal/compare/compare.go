// Package compare answers one question: did the candidate get worse? It takes
// gates and strata of summaries and returns a verdict.
//
// Invariants: a verdict is a pure function of its question, with the same bits
// on every CPU; cohorts are compared within each stratum and never pooled over
// strata; too little evidence, a missing metric and non-finite arithmetic are
// insufficient, a value with its reason, never clean and never a regression.
package compare

import (
	"fmt"
	"math"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// Question is everything a verdict depends on.
type Question struct {
	Gates []api.Gate
	// Confidence is the two-sided level of ordinary intervals, in (0,1).
	Confidence float64
	// MinRuns is how many runs with the metric each cohort needs in a comparison on demand.
	MinRuns   int64
	Guarantee api.Guarantee
	Strata    []Stratum
	// Tests has one element for each gate under the guarantee over the rollout,
	// and is nil for one look at the stated confidence.
	Tests []Tested
	// Quiet leaves out intervals and signals that decide nothing; every outcome is the same.
	Quiet bool
	// Seed names the comparison for the seeded bootstrap: the rollout, or the releases compared.
	Seed    string
	Look    int64
	Attempt int
}

// Tested is what the sequential test of one gate says at this look.
type Tested struct {
	// Tested is false before the first look that had enough candidate runs.
	Tested bool
	// Reachable: some outcome of a look so far could have regressed.
	Reachable bool
	Regressed bool
	// CandidateRuns with the metric are in closed blocks; FirstLook are needed.
	CandidateRuns, FirstLook int64
	// Level is the probability of an error at this look alone; its interval is at this level.
	Level float64
	// Spread is the ratio of the cohorts' variances, of a mean; NaN or 0 where there is none.
	Spread float64
	// Difference is the interval of this look; a quantile's is computed here.
	Difference *api.Difference
	Ledger     api.GateLedger
}

// The null hypotheses.
const (
	// NullSameRate: both releases fail at the same rate within each block; of pairs, on the probes that both ran.
	NullSameRate = "same_rate"
	// NullSameTail: both releases have the same share of values beyond the baseline's quantile.
	NullSameTail = "same_tail"
	// NullSameDistribution: both releases have the same distribution; of pairs, for each probe.
	NullSameDistribution = "same_distribution"
)

// Releases compares the candidate with the baseline on every gate.
func Releases(q Question) api.Verdict {
	v := api.Verdict{
		Engine: api.Engine, Guarantee: q.Guarantee, Look: q.Look, Attempt: q.Attempt,
		Gates: []api.GateResult{}, Signals: []api.GateResult{},
	}
	var shown []examined
	for i, g := range q.Gates {
		if q.Quiet && !decisive(g) {
			continue
		}
		var t *Tested
		if q.Tests != nil && decisive(g) {
			t = &q.Tests[i]
		}
		f := q.figures(g, q.Quiet && t != nil)
		result := q.gate(g, f, t)
		switch {
		case decisive(g):
			v.Gates = append(v.Gates, result)
		case result.Baseline.N > 0 || result.Candidate.N > 0:
			v.Signals = append(v.Signals, result)
		default:
			continue
		}
		shown = append(shown, examined{g, f})
	}
	if v.Checks = []api.Check{}; !q.Quiet {
		v.Checks = q.checks(shown)
	}
	v.Verdict, v.Reason = overall(v.Gates)
	return v
}

// overall is regressed if any gate is, else insufficient if any is, else clean.
// Without a gate nothing was tested: insufficient. The reason is that of the
// first gate with this outcome, rollback gates before hold gates.
func overall(gates []api.GateResult) (api.Outcome, api.Reason) {
	for _, outcome := range []api.Outcome{api.Regressed, api.Insufficient} {
		for _, on := range []api.On{api.OnRollback, api.OnHold} {
			for _, g := range gates {
				if g.Verdict == outcome && g.On == on {
					return outcome, g.Reason
				}
			}
		}
	}
	if len(gates) == 0 {
		return api.Insufficient, reason("no_gate", nil, "no gate was compared")
	}
	if len(gates) == 1 {
		return api.Clean, gates[0].Reason
	}
	return api.Clean, reason(ReasonClean, map[string]any{"gates": len(gates)}, "no gate regressed")
}

// figures are the numbers of one gate before anything is decided.
type figures struct {
	baseline, candidate api.CohortFigure
	oneLook             *api.Difference
	// margin is the gate's margin in units of the metric.
	margin float64
	// boolean is false if a value of either cohort is neither 0 nor 1.
	boolean bool
	// missing is set if the candidate lacks the metric more often than the baseline.
	missing *api.Difference
	// reports counts the runs of each cohort that carry the metric, paired or not.
	reports [2]int64
	// cohorts are the summaries of both, over all strata: for figures and checks, never for a difference.
	cohorts [2]stats.Summary
	// pairs are those of a gate on pairs.
	pairs Pairs
}

func (q Question) gate(g api.Gate, f figures, t *Tested) api.GateResult {
	r := api.GateResult{Gate: g, Baseline: f.baseline, Candidate: f.candidate}
	if t == nil {
		r.Difference = f.oneLook
	} else {
		r.Null, r.OneLook, r.Difference, r.Ledger = Null(g), f.oneLook, t.Difference, &t.Ledger
		if _, ok := g.Statistic.Quantile(); ok && !q.Quiet {
			t.Difference = q.quantileAtLook(g, t, f.margin)
			r.Difference = t.Difference
		}
	}
	if g.Pair != "" {
		r.Pairs, r.Null = f.pairs.Figure(), Null(g)
	}
	// The interval of the exact test ends at the totals, so with few failures it would hide harm: the ordinary one does not.
	if r.Hides = hides(g, f.oneLook); r.Hides == nil {
		r.Hides = hides(g, r.Difference)
	}
	if g.Margin.Relative && f.oneLook != nil {
		r.Tolerated = &f.margin
	}
	switch {
	case t != nil && t.Regressed: // a crossing stands, whatever comes to light later
		r.Verdict, r.Reason = api.Regressed, regressedReason(g, f, t.Difference)
	case g.Statistic == api.StatisticRate && !f.boolean:
		r.Verdict = api.Insufficient
		r.Reason = reason(ReasonNotBoolean, map[string]any{"metric": g.Metric},
			g.Metric+" has values other than true, false, 0 and 1: a rate needs a boolean metric; gate its mean instead")
	default:
		r.Verdict, r.Reason = q.undecided(g, f, t)
	}
	return r
}

// Null names the hypothesis of a gate's test.
func Null(g api.Gate) string {
	if g.Statistic == api.StatisticRate {
		return NullSameRate
	}
	if _, ok := g.Statistic.Quantile(); ok {
		return NullSameTail
	}
	return NullSameDistribution
}

// undecided settles everything but a regression of the sequential test.
func (q Question) undecided(g api.Gate, f figures, t *Tested) (api.Outcome, api.Reason) {
	switch {
	case f.reports[CandidateSide] == 0 && f.candidate.Missing > 0:
		return api.Insufficient, missingReason(g, "candidate", f.candidate.Missing)
	case f.reports[BaselineSide] == 0 && f.baseline.Missing > 0:
		return api.Insufficient, missingReason(g, "baseline", f.baseline.Missing)
	}
	outcome, why := q.decided(g, f, t)
	if outcome != api.Regressed && f.missing != nil {
		return api.Insufficient, reason(ReasonMissingMoreOften, map[string]any{"metric": g.Metric, "difference": f.missing.Estimate},
			"the candidate leaves out "+g.Metric+" more often than the baseline does ("+
				FormatDifference(api.Gate{Statistic: api.StatisticRate}, *f.missing)+"): report it on every run")
	}
	return outcome, why
}

// decided is the outcome of the test that this gate has.
func (q Question) decided(g api.Gate, f figures, t *Tested) (api.Outcome, api.Reason) {
	if t != nil {
		return sequential(g, f, t)
	}
	return q.oneLook(g, f)
}

func missingReason(g api.Gate, cohort string, runs int64) api.Reason {
	return reason(ReasonMetricMissing, map[string]any{"metric": g.Metric, "cohort": cohort, "runs": runs},
		"no run of the "+cohort+" reports "+g.Metric+": report it, or gate another metric")
}

func fewPairsReason(g api.Gate, p Pairs, need int64) api.Reason {
	params := map[string]any{"metric": g.Metric, "have": p.Count(), "need": need, "unpaired_candidate": p.UnpairedCandidate, "unpaired_baseline": p.UnpairedBaseline}
	if p.Count() == 0 {
		return reason(ReasonNoPairs, params, "no probe has runs of both releases with "+g.Metric+
			": replay the same inputs against both and report probe_id, or compare without pairs")
	}
	return reason(ReasonTooFewPairs, params, count(p.Count())+" of "+count(need)+" probes have runs of both releases with "+g.Metric)
}

func sequential(g api.Gate, f figures, t *Tested) (api.Outcome, api.Reason) {
	switch {
	case !t.Tested:
		return api.Insufficient, reason(ReasonNoLook, map[string]any{"metric": g.Metric, "have": t.CandidateRuns, "need": t.FirstLook},
			g.Metric+" has not been tested: "+count(t.CandidateRuns)+" of "+count(t.FirstLook)+" candidate runs in blocks of both releases")
	case !t.Reachable:
		return api.Insufficient, reason(ReasonCannotRegress, map[string]any{"metric": g.Metric},
			"no outcome of the runs so far could have shown a regression of "+g.Metric+": more runs, or a baseline that does not always fail, would")
	}
	return api.Clean, cleanReason(g, f, t.Difference)
}

// oneLook decides by the ordinary interval.
func (q Question) oneLook(g api.Gate, f figures) (api.Outcome, api.Reason) {
	if g.Pair != "" && f.pairs.Count() < max(q.MinRuns, 1) {
		return api.Insufficient, fewPairsReason(g, f.pairs, q.MinRuns)
	}
	for _, c := range []struct {
		name string
		n    int64
	}{{"candidate", f.candidate.N}, {"baseline", f.baseline.N}} {
		if c.n < max(q.MinRuns, 1) {
			return api.Insufficient, reason(ReasonTooFewRuns, map[string]any{"metric": g.Metric, "cohort": c.name, "have": c.n, "need": q.MinRuns},
				"the "+c.name+" has "+count(c.n)+" of "+count(q.MinRuns)+" runs with "+g.Metric)
		}
	}
	if why, few := fewUnits(g, f); few {
		return api.Insufficient, why
	}
	if why, few := q.fewForQuantile(g, f); few {
		return api.Insufficient, why
	}
	switch {
	case f.oneLook == nil:
		return api.Insufficient, reason(ReasonNotFinite, map[string]any{"metric": g.Metric},
			"no stratum has runs of both releases with "+g.Metric+", or its arithmetic is not finite")
	case excludes(g, *f.oneLook, f.margin):
		return api.Regressed, regressedReason(g, f, f.oneLook)
	case g.Statistic == api.StatisticRate && !q.couldRegress(g, f):
		return api.Insufficient, reason(ReasonCannotRegress, map[string]any{"metric": g.Metric},
			"even a candidate that always failed would not be called regressed against this baseline")
	}
	return api.Clean, cleanReason(g, f, f.oneLook)
}

// couldRegress asks whether the worst possible candidate of the same size would have been called regressed.
func (q Question) couldRegress(g api.Gate, f figures) bool {
	if g.Pair != "" {
		return q.couldRegressPaired(g, f)
	}
	strata := rateStrata(g, q.Strata)
	for i := range strata {
		strata[i].Candidate.X = 0
		if g.Better == api.BetterLower {
			strata[i].Candidate.X = strata[i].Candidate.N
		}
	}
	worst := stats.StratifiedNewcombe(strata, stats.Critical(q.Confidence))
	return excludes(g, api.Difference{Lo: worst.Lo, Hi: worst.Hi}, f.margin)
}

// leastUnits is the fewest independent units a side of which the bootstrap can
// say anything: of five a side that are all apart, chance alone makes 1 in 126,
// and of one it would say that nothing varies.
const leastUnits = 5

// fewUnits says that a mean, or the average of several runs of a pair, has too few units to be resampled.
func fewUnits(g api.Gate, f figures) (api.Reason, bool) {
	if g.Statistic != api.StatisticMean && (g.Pair == "" || f.pairs.Table()) {
		return api.Reason{}, false
	}
	for _, side := range []struct {
		name  string
		units int
	}{{"candidate", len(f.units(CandidateSide))}, {"baseline", len(f.units(BaselineSide))}} {
		if side.units < leastUnits {
			return reason(ReasonTooFewUnits, map[string]any{"metric": g.Metric, "cohort": side.name, "have": side.units, "need": leastUnits},
				fmt.Sprintf("the runs of the %s with %s are of %d of %d independent units: a mean of fewer has no interval", side.name, g.Metric, side.units, leastUnits)), true
		}
	}
	return api.Reason{}, false
}

// units are what is resampled of a side.
func (f figures) units(side Side) []stats.Unit {
	if f.pairs.Count() > 0 {
		return f.pairs.Differences.Units()
	}
	return f.cohorts[side].Units()
}

// excludes: the interval leaves out the margin in the wrong direction. A limit
// that is open leaves nothing out.
func excludes(g api.Gate, d api.Difference, margin float64) bool {
	if openTowards(g, d) {
		return false
	}
	if g.Better == api.BetterHigher {
		return d.Hi < -margin
	}
	return d.Lo > margin
}

// hides is the far end of the interval on the harmful side: a larger harm would
// have shown. Where that end is open, or no value varied so that the interval
// has no width, the sample sets no limit.
func hides(g api.Gate, d *api.Difference) *float64 {
	if d == nil || d.Lo == d.Hi {
		return nil
	}
	if openTowards(opposite(g), *d) {
		return nil
	}
	harm := d.Hi
	if g.Better == api.BetterHigher {
		harm = -d.Lo
	}
	harm = math.Max(harm, 0)
	return &harm
}

func regressedReason(g api.Gate, f figures, d *api.Difference) api.Reason {
	text := g.Metric + " regressed"
	params := map[string]any{"metric": g.Metric, "margin": f.margin}
	if d != nil {
		params["estimate"], params["lo"], params["hi"] = d.Estimate, d.Lo, d.Hi
		text += ": " + FormatDifference(g, *d) + " excludes " + formatMargin(g, f.margin)
	}
	return reason(ReasonRegressed, params, text)
}

func cleanReason(g api.Gate, f figures, d *api.Difference) api.Reason {
	text := g.Metric + " not regressed"
	params := map[string]any{"metric": g.Metric, "margin": f.margin}
	if d != nil {
		params["estimate"], params["lo"], params["hi"] = d.Estimate, d.Lo, d.Hi
		text = g.Metric + " " + FormatDifference(g, *d) + ", not regressed"
	}
	if f.oneLook != nil && d != f.oneLook && excludes(g, *f.oneLook, f.margin) {
		params["one_look_excludes"] = true
		text += "; the ordinary interval of a single look would exclude " + formatMargin(g, f.margin) +
			" (" + FormatDifference(g, *f.oneLook) + "), but looking again and again makes that happen by chance"
	}
	return reason(ReasonClean, params, text)
}
