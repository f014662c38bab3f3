package rollout

import (
	"fmt"
	"math"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/stats"
)

// The conditions that a rollout watches beside its gates.
const (
	CheckSampleRatio    = "sample_ratio"
	CheckBaselineHealth = "baseline_health"
	CheckHistory        = "history"
	CheckNonInferiority = "non_inferiority"
)

// sampleRatioBudget is the probability that a router which obeys is ever
// accused, over the whole rollout.
const sampleRatioBudget = 0.001

// movedZ is the critical value at which the baseline's own rate is said to have
// moved between epochs: 99.9 % two-sided, since it is asked at every tick.
const movedZ = 3.2905267314918945

// checks are the conditions beside the gates that have something to say.
func (r Rollout) checks(e Evidence) []api.Check {
	var out []api.Check
	if c, ok := r.sampleRatio(e.Open.Arrivals); ok {
		out = append(out, c)
	}
	if c, ok := r.baselineHealth(e); ok {
		out = append(out, c)
	}
	if n := e.Open.Before.AgainstHistory; n > 0 {
		out = append(out, api.Check{Check: CheckHistory, Status: api.CheckWarn, Detail: fmt.Sprintf(
			"%d candidate runs had no baseline runs beside them and are compared with %d that the baseline reported before the rollout: the promise then assumes that its rate has not moved since",
			n, r.History.Runs)})
	}
	return out
}

// sampleRatio asks whether the traffic obeys the weight. A shadow declares none.
func (r Rollout) sampleRatio(arrivals []Arrival) (api.Check, bool) {
	if r.Policy.SRM == api.SRMOff || r.Policy.Mode != api.ModeCanary {
		return api.Check{}, false
	}
	c := api.Check{Check: CheckSampleRatio, Status: api.CheckOK}
	var steps []stats.Arrivals
	for _, a := range arrivals {
		steps = append(steps, stats.Arrivals{Candidate: a.Candidate, Total: a.Candidate + a.Baseline, Share: float64(a.Weight) / 100})
	}
	at := -1 // the last step that has runs
	for i, s := range steps {
		if s.Total > 0 {
			at = i
		}
	}
	if at < 0 {
		return c, false
	}
	c.Detail = fmt.Sprintf("the candidate got %s of the %d runs at %s", share(steps[at]), steps[at].Total, percent(arrivals[at].Weight)) //nolint:gosec // a step for each
	if stats.SampleRatio(steps) < -stats.Log(sampleRatioBudget) {
		return c, true
	}
	c.Status = api.CheckWarn
	if r.Policy.SRM == api.SRMHold {
		c.Status = api.CheckHold
	}
	for i, s := range steps { // name the step that is off, not only the last
		if stats.SampleRatio(steps[i:i+1]) >= -stats.Log(sampleRatioBudget) {
			c.Detail = fmt.Sprintf("the candidate got %s of the %d runs at %s", share(s), s.Total, percent(arrivals[i].Weight)) //nolint:gosec // a step for each
			break
		}
	}
	c.Detail += ": the traffic does not follow the weight; check that the router reads it, and that both releases report all their runs"
	return c, true
}

func share(s stats.Arrivals) string {
	return fmt.Sprintf("%.1f %%", 100*float64(s.Candidate)/float64(s.Total))
}

// baselineHealth warns of a baseline that has gone silent, or whose own rate
// moved sharply between two epochs.
func (r Rollout) baselineHealth(e Evidence) (api.Check, bool) {
	c := api.Check{Check: CheckBaselineHealth, Status: api.CheckWarn}
	if e.Open.Candidate >= r.Policy.FirstLook && e.Open.Baseline == 0 {
		c.Detail = fmt.Sprintf("the baseline has no run beside the last %d of the candidate", e.Open.Candidate)
		return c, true
	}
	for _, g := range r.Policy.Gates {
		if g.On == api.OnWarn || g.Statistic != api.StatisticRate || g.Pair != "" {
			continue
		}
		before, now, ok := baselineRates(g, e.Strata)
		if !ok {
			continue
		}
		d := stats.Newcombe(now, before, movedZ)
		if d.Lo > 0 || d.Hi < 0 {
			c.Detail = fmt.Sprintf("the baseline's own %s moved from %s to %s between the epochs: something beside the candidate has changed",
				g.Metric, compare.FormatValue(g, before.Value()), compare.FormatValue(g, now.Value()))
			return c, true
		}
		c.Status = api.CheckOK
		c.Detail = fmt.Sprintf("the baseline's %s is %s, %s before", g.Metric, compare.FormatValue(g, now.Value()), compare.FormatValue(g, before.Value()))
	}
	return c, c.Status == api.CheckOK
}

// fewestToMove is how many baseline runs an epoch needs before its rate is held against the earlier ones.
const fewestToMove = 30

// baselineRates are the baseline's rates of ones in its newest stratum and in those before.
func baselineRates(g api.Gate, strata []compare.Stratum) (before, now stats.Proportion, ok bool) {
	for _, s := range strata {
		m := s.Baseline.Metrics[g.Metric].Summary
		if m.Count() < fewestToMove || !m.Boolean() {
			continue
		}
		before.X, before.N = before.X+now.X, before.N+now.N
		now = stats.Proportion{X: m.Ones(), N: m.Count()}
	}
	return before, now, before.N > 0 && now.N > 0
}

// promotion is what the non-inferiority test of the last step has spent.
type promotion struct {
	// Block is the last block that a look of it has seen.
	Block int64 `json:"block"`
	// Spent is the probability of wrong promotion that its looks have used.
	Spent float64 `json:"spent"`
	// Shown: every rate gate was shown to be worse by less than promote_margin.
	Shown  bool   `json:"shown"`
	Detail string `json:"detail"`
}

// nonInferior asks, once the last step has its runs and again at each later
// block, whether the stratified upper limit of the harm is below promote_margin.
// The first look has 95 % of the budget, all later ones share the rest, so that a
// candidate worse by the margin is promoted with at most about error_budget.
//
// Source: the stratified Newcombe interval of Yan & Su 2010 at the critical value
// of the level that a look has left.
func (r Rollout) nonInferior() (promotion, error) {
	p := r.Promotion
	if p.Shown || p.Block == r.Ledger.Block && p.Detail != "" {
		return p, nil
	}
	v := Planned(r.Policy)
	worst := math.Inf(-1)
	strata := map[string][]stats.Stratum{}
	for i, g := range r.Policy.Gates {
		if g.On == api.OnWarn || g.Statistic != api.StatisticRate || g.Pair != "" {
			continue
		}
		test, err := r.Ledger.Gates[i].State.of(g)
		if err != nil {
			return p, err
		}
		if c, ok := test.(counts); ok {
			strata[g.Metric] = c.Strata()
			v = max(v, r.Ledger.Gates[i].Last.Information)
		}
	}
	level := stats.AlphaStar(r.Policy.ErrorBudget, Planned(r.Policy), v) - p.Spent
	if !(level > 0) {
		return p, nil
	}
	z := -stats.NormalQuantile(level)
	p.Block, p.Spent, p.Shown = r.Ledger.Block, p.Spent+level, true
	for _, g := range r.Policy.Gates { // in the order of the policy
		if s, ok := strata[g.Metric]; ok {
			d := stats.StratifiedNewcombe(s, z)
			if p.Shown = p.Shown && d.Hi < *r.Policy.PromoteMargin; d.Hi > worst {
				worst = d.Hi
				p.Detail = fmt.Sprintf("%s could be worse by up to %.1f points, promote_margin is %.1f points", g.Metric, 100*d.Hi, 100**r.Policy.PromoteMargin)
			}
		}
	}
	return p, nil
}
