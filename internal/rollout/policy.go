package rollout

import (
	"fmt"
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
)

// The defaults of a policy.
const (
	DefaultMinRuns     = 30
	DefaultConfidence  = 0.95
	DefaultErrorBudget = 0.05
	// MostFirstLook is the default first look where min_runs is larger.
	MostFirstLook = 30
	// MostMinRuns keeps the plan's information and the test's arrays finite.
	MostMinRuns = 1_000_000
	// MostGates that decide.
	MostGates = 32
	// DefaultMinPairs and DefaultMaxAge, in seconds, are what is asked of the judge.
	DefaultMinPairs = 30
	DefaultMaxAge   = 7 * 24 * 3600
	// mostMaxAge is a hundred years, in seconds.
	mostMaxAge = 100 * 366 * 24 * 3600
	// mostMeanMargin is what the test of a mean can take off a value.
	mostMeanMargin = 1e15
)

func defaultSteps() []int { return []int{5, 25, 50, 100} }

// NewPolicy fills in what a request leaves out and checks the rest. seen are
// the metrics that the baseline has reported. All that is wrong is returned at
// once, each with a pointer into the request.
func NewPolicy(r api.CreateRollout, seen []string) (api.Policy, []api.FieldError) {
	p := api.Policy{
		Mode: or(r.Mode, api.ModeShadow), Steps: slices.Clone(r.Steps), MinRuns: value(r.MinRuns, DefaultMinRuns),
		Gates: slices.Clone(r.Gates), Confidence: value(r.Confidence, DefaultConfidence), Guarantee: or(r.Guarantee, api.GuaranteeRollout),
		ErrorBudget: value(r.ErrorBudget, DefaultErrorBudget), PromoteOn: or(r.PromoteOn, api.PromoteNotRegressed),
		RequirePairwise: r.RequirePairwise, PromoteMargin: r.PromoteMargin, Baseline: or(r.Baseline, api.BaselineAuto), SRM: or(r.SRM, api.SRMWarn), Unit: or(r.Unit, api.UnitRun),
	}
	if len(p.Steps) == 0 {
		p.Steps = defaultSteps()
	}
	p.FirstLook = value(r.FirstLook, min(p.MinRuns, MostFirstLook))
	var errs []api.FieldError
	bad := func(pointer, format string, args ...any) {
		errs = append(errs, api.FieldError{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
	}
	if len(p.Gates) == 0 {
		gates, err := compare.DefaultGates(seen)
		if err != nil {
			bad("/gates", "%v", err)
		}
		p.Gates = gates
	}
	p.Pairwise = pairwisePolicy(r)
	checkRamp(p, bad)
	checkGates(p, bad)
	checkChoices(p, r, bad)
	return p, errs
}

type report func(pointer, format string, args ...any)

func checkRamp(p api.Policy, bad report) {
	if len(p.Steps) < 2 || p.Steps[len(p.Steps)-1] != 100 || p.Steps[0] < 1 || !risingStrictly(p.Steps) {
		bad("/steps", "steps are at least two whole percentages, strictly rising, from 1 or more to 100, such as 5,25,50,100; got %v", p.Steps)
	}
	if p.MinRuns < 1 || p.MinRuns > MostMinRuns {
		bad("/min_runs", "min_runs is a whole number from 1 to %d; got %d", MostMinRuns, p.MinRuns)
	}
	if p.FirstLook < 1 || p.FirstLook > max(p.MinRuns, 1) {
		bad("/first_look", "first_look is a whole number from 1 to min_runs (%d); got %d", p.MinRuns, p.FirstLook)
	}
	if !(p.Confidence >= 0.5 && p.Confidence <= 0.9999) {
		bad("/confidence", "confidence is a share from 0.5 to 0.9999, such as 0.95; got %v", p.Confidence)
	}
	if !(p.ErrorBudget >= 1e-6 && p.ErrorBudget <= 0.5) {
		bad("/error_budget", "error_budget is a share from 0.000001 to 0.5, such as 0.05; got %v", p.ErrorBudget)
	}
}

func risingStrictly(steps []int) bool {
	for i := 1; i < len(steps); i++ {
		if steps[i] <= steps[i-1] {
			return false
		}
	}
	return true
}

func checkGates(p api.Policy, bad report) {
	seen := map[string]bool{}
	decisive := 0
	for i, g := range p.Gates {
		at := fmt.Sprintf("/gates/%d", i)
		if seen[g.ID()] {
			bad(at, "gate %s stands twice", g.ID())
		}
		seen[g.ID()] = true
		if g.Pair != "" && g.Margin.Relative {
			bad(at+"/margin", "the margin of a gate on pairs is in units of %s, not a share of the baseline: give it as a number", g.Metric)
		}
		if g.Pair != "" && g.On == api.OnWarn {
			bad(at+"/pair", "a gate on pairs decides in a rollout: say on=rollback or on=hold, or leave out pair=%s", g.Pair)
		}
		if g.Statistic == api.StatisticMean && g.Margin.Relative && g.Better == api.BetterHigher && g.Margin.Value >= 1 {
			bad(at+"/margin", "a margin of %s leaves nothing of %s to lose: want less than 100%%", g.Margin, g.Metric)
		}
		if g.Statistic == api.StatisticMean && !g.Margin.Relative && g.Margin.Value > mostMeanMargin {
			bad(at+"/margin", "a margin on a mean is at most %g; got %s", mostMeanMargin, g.Margin)
		}
		if g.On == api.OnWarn {
			continue
		}
		decisive++
	}
	if decisive == 0 {
		bad("/gates", "at least one gate must decide: on=rollback or on=hold")
	}
	if len(p.Gates) > MostGates {
		bad("/gates", "at most %d gates; got %d", MostGates, len(p.Gates))
	}
}

func checkChoices(p api.Policy, r api.CreateRollout, bad report) {
	if p.Mode != api.ModeShadow && p.Mode != api.ModeCanary {
		bad("/mode", "mode is shadow or canary; got %q", p.Mode)
	}
	if p.Guarantee != api.GuaranteeRollout && p.Guarantee != api.GuaranteeLook {
		bad("/guarantee", "guarantee is rollout or look; got %q", p.Guarantee)
	}
	checkPromotion(p, bad)
	if p.Baseline != api.BaselineAuto && p.Baseline != api.BaselineConcurrent {
		bad("/baseline", "baseline is auto or concurrent; got %q", p.Baseline)
	}
	if p.SRM != api.SRMHold && p.SRM != api.SRMWarn && p.SRM != api.SRMOff {
		bad("/srm", "srm is hold, warn or off; got %q", p.SRM)
	}
	if p.Unit != api.UnitRun && p.Unit != api.UnitUnit {
		bad("/unit", "unit is run or unit; got %q", p.Unit)
	}
	checkPairwise(p, r, bad)
}

// pairwisePolicy is what is asked of the judge; nil unless it is required.
func pairwisePolicy(r api.CreateRollout) *api.PairwisePolicy {
	if !r.RequirePairwise {
		return nil
	}
	var asked api.CreatePairwise
	if r.Pairwise != nil {
		asked = *r.Pairwise
	}
	return &api.PairwisePolicy{
		MinPairs: value(asked.MinPairs, DefaultMinPairs), MaxAge: value(asked.MaxAge, DefaultMaxAge), Judge: asked.Judge, On: or(asked.On, api.OnRollback),
	}
}

func checkPairwise(p api.Policy, r api.CreateRollout, bad report) {
	if r.Pairwise != nil && !r.RequirePairwise {
		bad("/pairwise", "pairwise belongs to require_pairwise: add \"require_pairwise\": true, or leave pairwise out")
	}
	w := p.Pairwise
	if w == nil {
		return
	}
	if w.MinPairs < 1 || w.MinPairs > MostMinRuns {
		bad("/pairwise/min_pairs", "min_pairs is a whole number of decided pairs from 1 to %d; got %d", MostMinRuns, w.MinPairs)
	}
	if w.MaxAge < 0 || w.MaxAge > mostMaxAge {
		bad("/pairwise/max_age", "max_age is a number of seconds, 0 for no limit; got %d", w.MaxAge)
	}
	if w.On != api.OnRollback && w.On != api.OnHold {
		bad("/pairwise/on", "on is rollback or hold: a judge that only warns is not required; got %q", w.On)
	}
	if w.Judge == nil {
		return
	}
	if *w.Judge == (api.Judge{}) {
		bad("/pairwise/judge", "a judge has a model; leave judge out to take whichever judges first")
	}
	for _, n := range []struct{ member, value string }{{"model", w.Judge.Model}, {"version", w.Judge.Version}, {"template", w.Judge.Template}} {
		if err := api.CheckName(n.member, n.value); n.value != "" && err != nil {
			bad("/pairwise/judge/"+n.member, "%v", err)
		}
	}
}

func checkPromotion(p api.Policy, bad report) {
	switch p.PromoteOn {
	case api.PromoteNotRegressed:
		if p.PromoteMargin != nil {
			bad("/promote_margin", "promote_margin belongs to promote_on=non_inferior: add that, or leave the margin out")
		}
	case api.PromoteNonInferior:
		if p.PromoteMargin == nil || !(*p.PromoteMargin > 0 && *p.PromoteMargin < 1) {
			bad("/promote_margin", "promote_on=non_inferior needs a promote_margin between 0 and 1, such as 0.05: the harm below which the last step must show the candidate to be")
		}
		if p.Guarantee != api.GuaranteeRollout {
			bad("/promote_on", "promote_on=non_inferior needs guarantee=rollout: its error is bounded over the rollout")
		}
		if !slices.ContainsFunc(p.Gates, func(g api.Gate) bool { return g.On != api.OnWarn && g.Statistic == api.StatisticRate && g.Pair == "" }) {
			bad("/promote_on", "promote_on=non_inferior needs a gate on a rate that decides: it is shown for rates")
		}
	default:
		bad("/promote_on", "promote_on is not_regressed or non_inferior; got %q", p.PromoteOn)
	}
}

// Planned is the information of the declared ramp: each step below 100 %
// gathers min_runs candidate runs and (100−w)/w baseline runs for each.
func Planned(p api.Policy) float64 {
	v := 0.0
	for _, w := range p.Steps {
		if w < 100 {
			v += float64(float64(p.MinRuns) * float64(100-w) / 100)
		}
	}
	return v
}

func or[T ~string](v, fallback T) T {
	if v == "" {
		return fallback
	}
	return v
}

func value[T any](v *T, fallback T) T {
	if v == nil {
		return fallback
	}
	return *v
}
