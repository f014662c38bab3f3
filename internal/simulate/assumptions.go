package simulate

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
)

// Assumptions describe a scenario in few words: a ramp, and gates of one kind
// of which only the first may be harmed.
type Assumptions struct {
	// Rates are the failure rates of baseline and candidate, for a gate on a rate.
	Rates [2]float64
	// Metric is the gate; the zero value is the rate of success. That of a number
	// is lognormal, with Sigma, and the candidate's values Effect times the baseline's.
	Metric        api.Gate
	Sigma, Effect float64
	// Drift is the baseline's failure rate at each step, or the factor of a
	// metric's level; the candidate keeps its distance (its factor).
	Drift []float64
	// PerStep is the policy's min_runs, FirstLook its first_look; 0 is the default.
	PerStep, FirstLook int64
	Steps              []int
	// Gates is the number of independent metrics that share the budget.
	Gates     int
	Margin    api.Margin
	Guarantee api.Guarantee
	PromoteOn string
	// PromoteMargin is 0 where promotion asks for none.
	PromoteMargin float64
	Arrivals      Arrivals
	BlockRuns     int64
	History       int64
	Beyond        int64
}

// Defaults are those of a rollout, with a failure rate of 10 % on both sides.
func Defaults() Assumptions {
	return Assumptions{
		Rates: [2]float64{0.10, 0.10}, Sigma: 0.6, Effect: 1, PerStep: rollout.DefaultMinRuns, Steps: []int{5, 25, 50, 100},
		Gates: 1, Guarantee: api.GuaranteeRollout, Arrivals: Proportional, BlockRuns: rollout.MinCandidate,
	}
}

// typicalLatency is the median of a simulated metric at its baseline. Nothing
// depends on it but margins that are not relative.
const typicalLatency = 1000

// Scenario builds the policy and the truth. It fails with what the policy's
// own checks say, and where Check does.
func (a Assumptions) Scenario() (Scenario, error) {
	request := api.CreateRollout{
		Mode: api.ModeCanary, Steps: a.Steps, MinRuns: &a.PerStep, Guarantee: a.Guarantee, PromoteOn: a.PromoteOn,
	}
	if a.FirstLook != 0 {
		request.FirstLook = &a.FirstLook
	}
	if a.PromoteMargin != 0 {
		request.PromoteMargin = &a.PromoteMargin
	}
	if a.History > 0 {
		request.Baseline = api.BaselineAuto
	}
	s := Scenario{Arrivals: a.Arrivals, BlockRuns: a.BlockRuns, History: a.History, Beyond: a.Beyond}
	for i := range max(a.Gates, 1) {
		g, err := a.gate(i)
		if err != nil {
			return Scenario{}, err
		}
		request.Gates = append(request.Gates, g)
		s.Truth = append(s.Truth, a.truth(i))
	}
	policy, errs := rollout.NewPolicy(request, nil)
	if len(errs) > 0 {
		all := make([]error, len(errs))
		for i, e := range errs {
			all[i] = errors.New(e.Detail)
		}
		return Scenario{}, errors.Join(all...)
	}
	s.Policy = policy
	return s, s.Check()
}

// gate is the gate of one number: the first has the metric's own name.
func (a Assumptions) gate(i int) (api.Gate, error) {
	g := a.Metric
	if g.Metric == "" {
		g = api.Gate{Metric: "success", Statistic: api.StatisticRate, Better: api.BetterHigher}
	}
	g, err := g.Complete()
	if err != nil {
		return g, err
	}
	if i > 0 {
		g.Metric += "_" + strconv.Itoa(i+1)
	}
	if a.Margin.Value != 0 {
		g.Margin = a.Margin
	}
	return g, nil
}

// numeric reports whether the gate is of a number, not a rate.
func (a Assumptions) numeric() bool {
	return a.Metric.Metric != "" && a.Metric.Statistic != api.StatisticRate
}

func (a Assumptions) truth(i int) Truth {
	if a.numeric() {
		t := Truth{Shape: Lognormal, Sigma: a.Sigma}
		factors := a.Drift
		if len(factors) == 0 {
			factors = []float64{1}
		}
		for _, f := range factors {
			t.Baseline = append(t.Baseline, typicalLatency*f)
			t.Candidate = append(t.Candidate, typicalLatency*f*a.effect(i))
		}
		return t
	}
	t := Truth{Shape: Bernoulli, Baseline: slices.Clone(a.Drift)}
	if len(t.Baseline) == 0 {
		t.Baseline = []float64{a.Rates[0]}
	}
	for _, rate := range t.Baseline {
		if i == 0 && a.Rates[1] != a.Rates[0] {
			rate += a.Rates[1] - a.Rates[0]
		}
		t.Candidate = append(t.Candidate, rate)
	}
	return t
}

// effect is the factor of one gate's candidate.
func (a Assumptions) effect(i int) float64 {
	if i == 0 {
		return a.Effect
	}
	return 1
}

// Options writes what differs from the defaults as options of prova-eval simulate.
func (a Assumptions) Options() string {
	d := Defaults()
	var list []string
	add := func(differs bool, name, value string) {
		if differs {
			list = append(list, "--"+name+" "+value)
		}
	}
	exact := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	numeric := a.numeric()
	if a.Metric.Metric != "" {
		add(true, "metric", a.Metric.String())
	}
	add(!numeric && a.Rates != d.Rates, "rates", exact(a.Rates[0])+","+exact(a.Rates[1]))
	add(numeric && a.Sigma != d.Sigma, "sigma", exact(a.Sigma))
	add(numeric && a.Effect != d.Effect, "effect", exact(a.Effect))
	add(len(a.Drift) > 0, "drift", joined(a.Drift, ",", exact))
	add(a.PerStep != d.PerStep, "per-step", count(a.PerStep))
	add(!slices.Equal(a.Steps, d.Steps), "steps", joined(a.Steps, ",", strconv.Itoa))
	add(a.BlockRuns != d.BlockRuns, "tick", count(a.BlockRuns))
	add(a.Arrivals != d.Arrivals, "arrivals", string(a.Arrivals))
	add(a.Gates != d.Gates, "gates", strconv.Itoa(a.Gates))
	add(a.History != 0, "history", count(a.History))
	add(a.Beyond != 0, "beyond", count(a.Beyond))
	add(a.Margin.Value != 0, "margin", a.Margin.String())
	add(a.FirstLook != 0, "first-look", count(a.FirstLook))
	add(a.Guarantee != d.Guarantee, "guarantee", string(a.Guarantee))
	add(a.PromoteOn != "", "promote-on", a.PromoteOn)
	add(a.PromoteMargin != 0, "promote-margin", exact(a.PromoteMargin))
	return strings.Join(list, " ")
}

// Truth says in words what is assumed to be true.
func (a Assumptions) Truth() string {
	if a.numeric() {
		text := a.Metric.Metric + ", lognormal with sigma " + number(a.Sigma)
		if a.Effect != 1 {
			text += ", the candidate's values times " + number(a.Effect)
		} else {
			text += ", the same on both sides"
		}
		if len(a.Drift) > 0 {
			text += ", both drifting by the factors " + joined(a.Drift, " → ", number)
		}
		return text
	}
	switch {
	case len(a.Drift) > 0 && a.Rates[0] == a.Rates[1]:
		return "failures drifting " + percents(a.Drift) + " % over the steps, on both sides"
	case len(a.Drift) > 0:
		return "failures drifting " + percents(a.Drift) + " % over the steps, the candidate's higher by " + number((a.Rates[1]-a.Rates[0])*100) + " points"
	case a.Rates[0] == a.Rates[1]:
		return "failures " + number(a.Rates[0]*100) + " % on both sides"
	}
	return "failures " + number(a.Rates[0]*100) + " → " + number(a.Rates[1]*100) + " %"
}

// Ramp says in words how the rollout is fed.
func (a Assumptions) Ramp() string {
	text := joined(a.Steps, ", ", strconv.Itoa) + " %, " + strconv.FormatInt(a.PerStep, 10) + " candidate runs a step in blocks of " + strconv.FormatInt(a.BlockRuns, 10)
	switch {
	case a.History > 0:
		text += ", against a finished baseline of " + strconv.FormatInt(a.History, 10) + " runs"
	case a.Arrivals == Random:
		text += ", arriving at random"
	default:
		text += ", the baseline's in proportion"
	}
	if a.Beyond > 0 {
		text += ", held at the last step for " + strconv.FormatInt(a.Beyond, 10) + " ticks beyond the plan"
	}
	return text
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

func joined[T any](values []T, separator string, text func(T) string) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = text(v)
	}
	return strings.Join(texts, separator)
}

// percents writes rates in percent, in the order of the steps.
func percents(rates []float64) string {
	return joined(rates, " → ", func(v float64) string { return number(v * 100) })
}
