package rollout

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// Traffic is what has been seen of an app before a rollout of it begins.
type Traffic struct {
	// RunsPerHour of all releases together; 0 if none were seen.
	RunsPerHour float64
	// FailureRate of the baseline on the policy's RateGate, with the runs it rests on.
	FailureRate float64
	Runs        int64
}

// assumedFailureRate stands in where the baseline has not run yet.
const assumedFailureRate = 0.10

// PlanOf says what a ramp needs, how long it takes and what it can see.
func PlanOf(p api.Policy, t Traffic) api.Plan {
	plan := api.Plan{Step: []api.StepPlan{}}
	for _, w := range p.Steps {
		s := api.StepPlan{Weight: w}
		if w < 100 {
			s.MinRuns = p.MinRuns
			s.BaselineRuns = baselineRuns(p.MinRuns, w)
			plan.Runs += p.MinRuns
			if t.RunsPerHour > 0 {
				seconds := int64(math.Ceil(float64(p.MinRuns) * 3600 / (t.RunsPerHour * float64(w) / 100)))
				s.ExpectedSeconds = &seconds
			}
		}
		plan.Step = append(plan.Step, s)
	}
	var each []string
	for _, s := range plan.Step {
		if s.Weight < 100 {
			each = append(each, fmt.Sprintf("%d at %s", s.MinRuns, percent(s.Weight)))
		}
	}
	plan.Text = fmt.Sprintf("The ramp needs at least %d candidate runs: %s.", plan.Runs, strings.Join(each, ", "))
	if text := sees(p, t); text != "" {
		plan.Text += " " + text
	}
	return plan
}

// baselineRuns arrive beside n candidate runs at a weight in percent.
func baselineRuns(n int64, weight int) int64 {
	return (n*int64(100-weight) + int64(weight)/2) / int64(weight)
}

// OnlyPairs reports whether every gate that decides is on pairs: nothing then
// asks for baseline runs beside the candidate's, or for a history of them.
func OnlyPairs(p api.Policy) bool {
	return !slices.ContainsFunc(p.Gates, func(g api.Gate) bool { return g.On != api.OnWarn && g.Pair == "" })
}

// plannedPairs is the information of the declared ramp for a gate on pairs: a
// pair has half a unit of it, whatever the weight.
func plannedPairs(p api.Policy) float64 { return float64(p.MinRuns*int64(len(p.Steps)-1)) / 2 }

// RateGate is the first rate, not on pairs, that rolls back: what a plan says of failures is about it.
func RateGate(p api.Policy) (api.Gate, bool) {
	for _, g := range p.Gates {
		if g.On == api.OnRollback && g.Statistic == api.StatisticRate && g.Pair == "" {
			return g, true
		}
	}
	return api.Gate{}, false
}

// quantileGate is the first quantile that rolls back, and the share of a
// baseline's runs that is beyond it.
func quantileGate(p api.Policy) (api.Gate, float64, bool) {
	for _, g := range p.Gates {
		q, ok := g.Statistic.Quantile()
		if !ok || g.On != api.OnRollback {
			continue
		}
		if g.Better == api.BetterHigher {
			return g, q, true
		}
		return g, 1 - q, true
	}
	return api.Gate{}, 0, false
}

// sees asks the test itself: how many failures at the first look are a regression?
func sees(p api.Policy, t Traffic) string {
	if p.Guarantee != api.GuaranteeRollout {
		return "Each tick reads the ordinary interval again: over a rollout, a harmless release is rolled back more often than one minus the confidence."
	}
	rate, source := t.FailureRate, "as seen so far"
	if t.Runs == 0 {
		rate, source = assumedFailureRate, "for example"
	}
	if g, ok := RateGate(p); ok {
		least, ok := leastFailures(p, g, rate)
		if !ok {
			return fmt.Sprintf("If the baseline fails %.1f %% of its runs (%s), no count of failures in the first %d candidate runs would be a regression of %s yet; it takes more runs.",
				rate*100, source, p.FirstLook, g.Metric)
		}
		return fmt.Sprintf("If the baseline fails %.1f %% of its runs (%s), %d or more failures in the first %d candidate runs roll it back; a smaller harm takes more runs to show, and a clean ramp does not show that there is none.",
			rate*100, source, least, p.FirstLook)
	}
	if g, beyond, ok := quantileGate(p); ok {
		worst := "the baseline's " + string(g.Statistic)
		if g.Margin.Value != 0 {
			worst += " and the margin of " + g.Margin.String()
		}
		least, ok := leastFailures(p, g, beyond)
		if !ok {
			return fmt.Sprintf("However many of the first %d candidate runs have a %s beyond %s, it would not be a regression yet; it takes more runs.", p.FirstLook, g.Metric, worst)
		}
		return fmt.Sprintf("If %d or more of the first %d candidate runs have a %s beyond %s, it is rolled back; a smaller harm takes more runs to show, and a clean ramp does not show that there is none.",
			least, p.FirstLook, g.Metric, worst)
	}
	return ""
}

// leastFailures of the first look's candidate runs that regress, if any number does.
func leastFailures(p api.Policy, g api.Gate, rate float64) (int64, bool) {
	rollbacks := int64(0)
	for _, other := range p.Gates {
		if other.On == api.OnRollback {
			rollbacks++
		}
	}
	opened, err := newTest("plan", g, p, History{}, p.ErrorBudget/float64(rollbacks))
	test, ok := opened.(counts)
	if err != nil || !ok {
		return 0, false
	}
	runs := baselineRuns(p.FirstLook, p.Steps[0])
	if runs == 0 {
		return 0, false
	}
	baseline := stats.Proportion{X: int64(math.Round(rate * float64(runs))), N: runs}
	lo, hi := int64(0), p.FirstLook+1 // regressed at hi, not below lo
	for lo < hi {
		x := (lo + hi) / 2
		against := Counts{N: runs, Ones: baseline.X, Zeros: runs - baseline.X}
		if g.Better == api.BetterHigher {
			against.Ones, against.Zeros = against.Zeros, against.Ones
		}
		_, look, err := test.Look(stats.Block{Candidate: stats.Proportion{X: min(x, p.FirstLook), N: p.FirstLook}, Baseline: baseline}, marginOf(g, against))
		if err != nil {
			return 0, false
		}
		if x <= p.FirstLook && !(look.Tested && look.Regressed) {
			lo = x + 1
		} else {
			hi = x
		}
	}
	return lo, lo <= p.FirstLook
}
