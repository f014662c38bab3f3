package rollout_test

import (
	"math"
	"slices"

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
	// history is how many runs the baseline reported before; then those of baseline begin with step besides, and never if that is 0.
	history, besides int
	// paired: each candidate run is on the probe of the baseline's last run, where that is not yet paired.
	paired bool
	// share is the candidate's share of the runs in percent, of a router that does not follow the weight.
	share int
	// unit is how many runs make one unit in the comparison on demand; 0 is one.
	unit int
	// wins is how many of a thousand pairs the judge gives to the candidate, of one pair for each candidate run; one in ten is a tie. 0 asks no judge.
	wins int
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
		{name: "one step", rollouts: 4, candidate: success(150), baseline: success(100), request: api.CreateRollout{Steps: []int{1, 100}, MinRuns: ptr(int64(200))}},
		{name: "many steps", rollouts: 6, runs: 300, candidate: success(110), baseline: success(100), request: api.CreateRollout{Steps: []int{10, 20, 30, 40, 60, 80, 100}}},
		{name: "five runs a step", rollouts: 16, every: 1, candidate: success(250), baseline: success(200), request: api.CreateRollout{Steps: []int{50, 100}, MinRuns: ptr(int64(5))}},
		{name: "beyond the plan", rollouts: 1, runs: 1500, every: 25, candidate: success(105), baseline: success(100), request: api.CreateRollout{RequirePairwise: true}},
		{name: "a fair judge", rollouts: 6, wins: 500, candidate: success(100), baseline: success(100), request: api.CreateRollout{RequirePairwise: true}},
		{name: "a judge that prefers the baseline", rollouts: 6, wins: 250, candidate: success(100), baseline: success(100), request: api.CreateRollout{RequirePairwise: true}},
		{name: "a small budget", rollouts: 8, candidate: success(300), baseline: success(100), request: api.CreateRollout{ErrorBudget: ptr(0.001), Confidence: ptr(0.99)}},
		{name: "an absolute margin", gates: []string{"success:margin=0.05"}, rollouts: 10, candidate: success(180), baseline: success(100)},
		{name: "a relative margin", gates: []string{"success:margin=7%"}, rollouts: 10, candidate: success(180), baseline: success(100)},
		{name: "odds", gates: []string{"error:margin=30%"}, rollouts: 10, candidate: release{"error": rate(180, 0)}, baseline: release{"error": rate(100, 0)}},
		{
			name: "several gates", gates: []string{"success", "error:margin=0.02", "flagged:on=hold", "score:mean:on=warn"}, rollouts: 2,
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
	return slices.Concat(proportions, numbers, sequential())
}

// sequential are the tests over a whole rollout of what is no rate of runs side by side.
func sequential() []scenario {
	small := api.CreateRollout{Steps: []int{20, 50, 100}, MinRuns: ptr(int64(20))}
	early := small
	early.FirstLook = ptr(int64(6))
	pairs := api.CreateRollout{Steps: []int{50, 60, 100}}
	within := func(margin float64) api.CreateRollout {
		return api.CreateRollout{PromoteOn: api.PromoteNonInferior, PromoteMargin: &margin}
	}
	return []scenario{
		{name: "slower median", gates: []string{"latency_ms:p50"}, rollouts: 4, candidate: latencies(1200, 0.6), baseline: latencies(1000, 0.6)},
		{name: "p95 with a margin", gates: []string{"latency_ms:p95:margin=10%"}, rollouts: 4, candidate: latencies(1100, 0.6), baseline: latencies(1000, 0.6)},
		{name: "lower p50 is worse", gates: []string{"score:p50:margin=0.01"}, rollouts: 4, candidate: release{"score": normal(0.62, 0.1)}, baseline: release{"score": normal(0.7, 0.1)}},
		{name: "mean latency", gates: []string{"latency_ms:mean"}, rollouts: 3, candidate: latencies(1200, 0.6), baseline: latencies(1000, 0.6), request: small},
		{name: "no slower, skewed", gates: []string{"latency_ms:mean:margin=10%"}, rollouts: 2, candidate: latencies(1000, 1.2), baseline: latencies(1000, 1.2), request: small},
		{name: "mean score", gates: []string{"score:mean:margin=0.01"}, rollouts: 3, candidate: release{"score": normal(0.64, 0.1)}, baseline: release{"score": normal(0.7, 0.1)}, request: small},
		{name: "mean score, a share less", gates: []string{"score:mean:margin=5%"}, rollouts: 3, candidate: release{"score": normal(0.6, 0.1)}, baseline: release{"score": normal(0.7, 0.1)}, request: small},
		{name: "a mean of ties", gates: []string{"tokens:mean:on=hold"}, rollouts: 1, candidate: release{"tokens": pick(1, 1, 2, 3)}, baseline: release{"tokens": pick(1, 1, 2)}, request: small},
		{name: "pairs of a rate", gates: []string{"success:pair=probe"}, rollouts: 6, runs: 90, candidate: success(300), baseline: success(200), request: pairs, paired: true},
		{name: "pairs of a mean", gates: []string{"latency_ms:mean:pair=probe"}, rollouts: 2, runs: 90, candidate: latencies(1000, 0.3), baseline: latencies(900, 0.3), request: pairs, paired: true},
		{name: "pairs, lower is worse", gates: []string{"score:pair=probe:margin=0.02"}, rollouts: 3, runs: 90, candidate: release{"score": normal(0.63, 0.1)}, baseline: release{"score": normal(0.7, 0.1)}, request: pairs, paired: true},
		{name: "a finished baseline", rollouts: 6, history: 300, candidate: success(200), baseline: success(100)},
		{name: "a finished baseline, p50", gates: []string{"latency_ms:p50"}, rollouts: 3, history: 300, candidate: latencies(1200, 0.6), baseline: latencies(1000, 0.6)},
		{name: "a finished baseline, mean", gates: []string{"latency_ms:mean"}, rollouts: 3, history: 300, candidate: latencies(1200, 0.6), baseline: latencies(1000, 0.6), request: early},
		{name: "a baseline that comes back", gates: []string{"success", "latency_ms:p90", "cost_usd:mean:margin=20%"}, rollouts: 3, history: 200, besides: 2, candidate: several(350, 1500), baseline: several(100, 1000), request: early},
		{name: "non-inferior", rollouts: 6, candidate: success(100), baseline: success(100), request: within(0.12)},
		{name: "not shown", rollouts: 3, candidate: success(500), baseline: success(500), request: within(0.1)},
		{name: "a router of its own", rollouts: 4, candidate: success(100), baseline: success(100), request: api.CreateRollout{SRM: api.SRMHold}, share: 30},
		{
			name: "several statistics", gates: []string{"success", "latency_ms:p50", "latency_ms:p95:margin=20%", "latency_ms:mean:margin=100:on=hold", "cost_usd:mean", "cost_usd:p99:on=warn"}, rollouts: 3,
			candidate: several(350, 1400), baseline: several(100, 1000), request: small,
		},
	}
}

// latencies are lognormal.
func latencies(median, sigma float64) release {
	return release{"latency_ms": lognormal(median, sigma)}
}

// several fails so many of 1,000 runs, and takes so many ms in the median.
func several(failing int, median float64) release {
	return release{"success": rate(1000-failing, 0), "latency_ms": lognormal(median, 0.6), "cost_usd": lognormal(0.01, 0.8)}
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
