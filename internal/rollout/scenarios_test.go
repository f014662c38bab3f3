package rollout_test

import (
	"math"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
)

// scenario is a rollout as a user declares it and the runs that its releases
// make. Everything about the runs follows from the scenario's name and the
// number of the rollout, with the portable arithmetic of package stats alone,
// so that every CPU plays the same.
type scenario struct {
	name  string
	gates []string // in text form
	// request is what else the user asks for; mode is canary.
	request  api.CreateRollout
	rollouts int
	// runs is the most candidate runs of a rollout, every the number between two ticks.
	runs, every int
	// candidate and baseline draw the metrics of one run at a step.
	candidate, baseline release
	// alone leaves one release without any run.
	alone rollout.Side
	// unit is how many runs make one unit in the comparison on demand; 0 is one.
	unit int
}

// release draws the metrics of a run at a step, counted from 1.
type release map[string]law

// law draws a value, or nothing: a run that lacks the metric.
type law func(from *stats.Source, step int) (value float64, ok bool)

func scenarios() []scenario {
	proportions := []scenario{
		{name: "no change", rollouts: 16, candidate: success(100), baseline: success(100)},
		{name: "twice the failures", rollouts: 12, candidate: success(200), baseline: success(100)},
		{name: "an outage", rollouts: 12, candidate: success(600), baseline: success(100), request: api.CreateRollout{FirstLook: ptr(int64(1))}},
		{name: "rare failures", rollouts: 6, runs: 400, every: 9, candidate: success(12), baseline: success(10), request: api.CreateRollout{MinRuns: ptr(int64(100))}},
		{name: "better", rollouts: 8, candidate: success(50), baseline: success(300)},
		{name: "nobody fails", rollouts: 1, candidate: success(0), baseline: success(0)},
		{name: "everybody fails", rollouts: 1, candidate: success(1000), baseline: success(1000)},
		{name: "drift", rollouts: 10, candidate: release{"success": rate(900, -50)}, baseline: release{"success": rate(900, -50)}},
		{name: "one step", rollouts: 8, candidate: success(150), baseline: success(100), request: api.CreateRollout{Steps: []int{1, 100}, MinRuns: ptr(int64(200))}},
		{name: "many steps", rollouts: 6, runs: 300, candidate: success(110), baseline: success(100), request: api.CreateRollout{Steps: []int{10, 20, 30, 40, 60, 80, 100}}},
		{name: "five runs a step", rollouts: 16, every: 1, candidate: success(250), baseline: success(200), request: api.CreateRollout{Steps: []int{50, 100}, MinRuns: ptr(int64(5))}},
		{name: "beyond the plan", rollouts: 1, runs: 1500, every: 25, candidate: success(105), baseline: success(100), request: api.CreateRollout{RequirePairwise: true}},
		{name: "a small budget", rollouts: 8, candidate: success(300), baseline: success(100), request: api.CreateRollout{ErrorBudget: ptr(0.001), Confidence: ptr(0.99)}},
		{name: "an absolute margin", gates: []string{"success:margin=0.05"}, rollouts: 10, candidate: success(180), baseline: success(100)},
		{name: "a relative margin", gates: []string{"success:margin=7%"}, rollouts: 10, candidate: success(180), baseline: success(100)},
		{name: "odds", gates: []string{"error:margin=30%"}, rollouts: 10, candidate: release{"error": rate(180, 0)}, baseline: release{"error": rate(100, 0)}},
		{
			name: "several gates", gates: []string{"success", "error:margin=0.02", "flagged:on=hold", "score:mean:on=warn"}, rollouts: 8,
			candidate: release{"success": rate(850, 0), "error": rate(90, 0), "flagged": rate(60, 0), "score": normal(0.7, 0.1)},
			baseline:  release{"success": rate(900, 0), "error": rate(80, 0), "flagged": rate(40, 0), "score": normal(0.7, 0.1)},
		},
		{
			name: "metrics go missing", gates: []string{"success", "error:on=hold"}, rollouts: 8,
			candidate: release{"success": seldom(800, rate(900, 0)), "error": seldom(500, rate(50, 0))},
			baseline:  release{"success": seldom(850, rate(900, 0)), "error": rate(50, 0)},
		},
		{
			name: "a hold gate", gates: []string{"success", "flagged:on=hold"}, rollouts: 4,
			candidate: release{"success": rate(900, 0), "flagged": rate(250, 0)}, baseline: release{"success": rate(900, 0), "flagged": rate(40, 0)},
		},
		{name: "not a boolean", rollouts: 1, candidate: release{"success": pick(0, 1, 1, 0.5)}, baseline: success(100)},
		{name: "no candidate", rollouts: 1, candidate: success(100), baseline: success(100), alone: rollout.Baseline},
		{name: "no baseline", rollouts: 1, candidate: success(100), baseline: success(100), alone: rollout.Candidate},
		{name: "each look, rate", rollouts: 16, candidate: success(180), baseline: success(100), request: look()},
		{
			name: "each look, rate and margins", gates: []string{"success:margin=0.03", "error:margin=40%:on=hold"}, rollouts: 12,
			candidate: release{"success": rate(870, 0), "error": rate(120, 0)}, baseline: release{"success": rate(900, 0), "error": rate(80, 0)}, request: look(),
		},
	}
	numbers := []scenario{
		{
			name: "latency", gates: []string{"latency_ms:p50", "latency_ms:p95:margin=10%", "latency_ms:p99:on=hold", "latency_ms:p90:on=warn:margin=25"}, rollouts: 4,
			candidate: release{"latency_ms": lognormal(1000, 0.6)}, baseline: release{"latency_ms": lognormal(900, 0.6)}, request: look(),
		},
		{
			name: "outliers", gates: []string{"latency_ms:p95", "latency_ms:mean:on=hold"}, rollouts: 1, every: 25,
			candidate: release{"latency_ms": outliers(lognormal(400, 1.2))}, baseline: release{"latency_ms": outliers(lognormal(400, 1.2))}, request: look(),
		},
		{
			name: "ties", gates: []string{"tokens:p50", "tokens:mean:margin=3%:on=hold"}, rollouts: 1, every: 25,
			candidate: release{"tokens": pick(100, 200, 200, 300, 300)}, baseline: release{"tokens": pick(100, 200, 200, 300)}, request: look(),
		},
		{
			name: "constants", gates: []string{"cost_usd:mean", "cost_usd:p95:on=hold"}, rollouts: 1, every: 25,
			candidate: release{"cost_usd": pick(0.1)}, baseline: release{"cost_usd": pick(0.3)}, request: look(),
		},
		{
			name: "one value", gates: []string{"cost_usd:mean", "cost_usd:p99:on=hold"}, rollouts: 1, runs: 1, every: 1,
			candidate: release{"cost_usd": lognormal(0.01, 1)}, baseline: release{"cost_usd": lognormal(0.01, 1)}, request: look(),
		},
		{
			name: "both signs", gates: []string{"score:mean", "score:p50:margin=0.01:on=hold"}, rollouts: 1, every: 25,
			candidate: release{"score": normal(-0.05, 1)}, baseline: release{"score": normal(0, 1)}, request: look(), unit: 3,
		},
		{
			name: "far apart", gates: []string{"cost_usd:mean", "tokens:mean:on=hold"}, rollouts: 1, every: 25,
			candidate: release{"cost_usd": lognormal(1e-7, 2), "tokens": lognormal(3e13, 2)}, baseline: release{"cost_usd": lognormal(1e-7, 2), "tokens": lognormal(2e13, 2)}, request: look(), unit: 7,
		},
	}
	return append(proportions, numbers...)
}

func look() api.CreateRollout { return api.CreateRollout{Guarantee: api.GuaranteeLook} }

// success fails so many of 1,000 runs.
func success(failing int) release { return release{"success": rate(1000-failing, 0)} }

// rate is 1 in so many of 1,000 runs, and in so many more with each step.
func rate(ones, drift int) law {
	return func(from *stats.Source, step int) (float64, bool) {
		if from.Index(1000) < ones+drift*(step-1) {
			return 1, true
		}
		return 0, true
	}
}

func normal(mean, deviation float64) law {
	return func(from *stats.Source, _ int) (float64, bool) {
		return mean + float64(deviation*standardNormal(from)), true
	}
}

func lognormal(median, sigma float64) law {
	return func(from *stats.Source, _ int) (float64, bool) {
		return median * stats.Exp(float64(sigma*standardNormal(from))), true
	}
}

// standardNormal turns 53 random bits into a normal deviate.
func standardNormal(from *stats.Source) float64 {
	return stats.NormalQuantile((float64(from.Uint64()>>11) + 0.5) / (1 << 53))
}

// outliers multiplies one value of forty by a thousand.
func outliers(l law) law {
	return func(from *stats.Source, step int) (float64, bool) {
		v, ok := l(from, step)
		if from.Index(40) == 0 {
			v *= 1000
		}
		return v, ok
	}
}

// pick is one of a few values.
func pick(values ...float64) law {
	return func(from *stats.Source, _ int) (float64, bool) { return values[from.Index(len(values))], true }
}

// seldom reports in so many of 1,000 runs.
func seldom(reported int, l law) law {
	return func(from *stats.Source, step int) (float64, bool) {
		v, ok := l(from, step)
		return v, ok && from.Index(1000) < reported
	}
}

// draw makes one run's metrics, in the order of their names.
func (r release) draw(from *stats.Source, step int) map[string]api.Metric {
	metrics := map[string]api.Metric{}
	for _, name := range sortedKeys(r) {
		if v, ok := r[name](from, step); ok && !math.IsNaN(v) {
			metrics[name] = api.Number(v)
		}
	}
	return metrics
}
