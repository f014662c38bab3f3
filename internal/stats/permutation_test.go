package stats_test

import (
	"flag"
	"math"
	"testing"

	"github.com/cobound/prova/internal/stats"
)

var rollouts = flag.Int("rollouts", 200, "simulated rollouts in each cell of TestPermutationRates")

// armOf returns an arm whose units are named by their place in a stream.
func armOf(t testing.TB, list []float64, unit uint64) stats.Values {
	t.Helper()
	runs := make([]stats.UnitValue, 0, len(list))
	for i, v := range list {
		name := stats.NewSource(stats.Seed(unit), uint64(i))
		runs = append(runs, stats.UnitValue{Unit: name.Uint64(), Value: v})
	}
	s, err := stats.ValuesOf(runs)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newPermutation(t testing.TB, plan stats.PermutationPlan) stats.PermutationTest {
	t.Helper()
	test, err := stats.NewPermutationTest(plan)
	if err != nil {
		t.Fatal(err)
	}
	return test
}

// ramp is what a simulated rollout looks like.
type ramp struct {
	plan       stats.PermutationPlan
	perStep    int
	blockUnits int
	effect     float64
	sigma      [2]float64 // of candidate and baseline
	pairs      bool
	history    int
	against    bool // blocks are compared with history
	level      []float64
}

// play plays one rollout through a ramp of 5, 25 and 50 % and returns the
// candidate's units at the rollback, 0 for none.
func (r ramp) play(t testing.TB, seed uint64) int {
	source := stats.NewSource(stats.SeedOf("rollout"), seed)
	draw := func(n int, scale, sigma float64) []float64 {
		list := make([]float64, 0, n)
		for range n {
			z := stats.NormalQuantile((float64(source.Uint64()>>11) + 0.5) / (1 << 53))
			list = append(list, scale*stats.Exp(sigma*z))
		}
		return list
	}
	plan := r.plan
	plan.Seed = stats.Seed(seed)
	if r.against {
		for i, v := range draw(r.history, 100, r.sigma[1]) {
			if err := plan.History.Add(v, uint64(i)<<50); err != nil {
				t.Fatal(err)
			}
		}
	}
	test := newPermutation(t, plan)
	units := 0
	for step, share := range []int{19, 3, 1} {
		level := 100.0
		if r.level != nil {
			level *= r.level[step]
		}
		for done := 0; done < r.perStep; done += r.blockUnits {
			c := draw(r.blockUnits, level*r.effect, r.sigma[0])
			b := stats.MeanBlock{Stratum: int64(step)}
			switch {
			case r.pairs:
				for i, v := range draw(r.blockUnits, level, r.sigma[1]) {
					c[i] -= v
				}
				b.Differences = armOf(t, c, source.Uint64())
			case r.against:
				b.Candidate = armOf(t, c, source.Uint64())
			default:
				b.Candidate = armOf(t, c, source.Uint64())
				b.Baseline = armOf(t, draw(r.blockUnits*share, level, r.sigma[1]), source.Uint64())
			}
			var look stats.MeanLook
			var err error
			if test, look, err = test.Look(b); err != nil {
				t.Fatal(err)
			}
			if units += r.blockUnits; look.Regressed {
				return units
			}
		}
	}
	return 0
}

// Rolled-back rates of whole rollouts. Where nothing is worse the rate stays
// within the budget, on either side and at any skew; where something is it
// reaches what the plan was made for.
func TestPermutationRates(t *testing.T) {
	base := stats.PermutationPlan{Budget: 0.05, Information: 28.5 + 22.5 + 15, FirstLook: 30}
	lower := base
	lower.LowerIsWorse = true
	even := func(sigma float64) [2]float64 { return [2]float64{sigma, sigma} }
	with := func(p stats.PermutationPlan, information float64, m stats.MeanMargin) stats.PermutationPlan {
		p.Information, p.Margin = information, m
		return p
	}
	history := 90.0 * 1000 / 1090
	cases := []struct {
		name        string
		r           ramp
		least, most float64
	}{
		{"equal, sigma 0.6, higher is worse", ramp{plan: base, effect: 1, sigma: even(0.6)}, 0.035, 0.05},
		{"equal, sigma 0.6, lower is worse", ramp{plan: lower, effect: 1, sigma: even(0.6)}, 0.035, 0.05},
		{"equal, sigma 1.2, higher is worse", ramp{plan: base, effect: 1, sigma: even(1.2)}, 0.035, 0.05},
		{"equal, sigma 1.2, lower is worse", ramp{plan: lower, effect: 1, sigma: even(1.2)}, 0.035, 0.05},
		{"drift, sigma 0.6", ramp{plan: base, effect: 1, sigma: even(0.6), level: []float64{0.7, 1, 1.5}}, 0.035, 0.05},
		{"20 % up, sigma 0.6", ramp{plan: base, effect: 1.2, sigma: even(0.6)}, 0.70, 0.75},
		{"50 % up, sigma 1.2", ramp{plan: base, effect: 1.5, sigma: even(1.2)}, 0.67, 0.73},
		{"20 % down, sigma 0.6", ramp{plan: lower, effect: 0.8, sigma: even(0.6)}, 0.75, 0.85},
		{"at a margin of 10 %", ramp{plan: with(base, 66, stats.MeanMargin{Relative: 0.1}), effect: 1.1, sigma: even(0.6)}, 0.035, 0.05},
		{"at a margin of 10 % down", ramp{plan: with(lower, 66, stats.MeanMargin{Relative: 0.1}), effect: 0.9, sigma: even(0.6)}, 0.035, 0.05},
		{"within a margin", ramp{plan: with(base, 66, stats.MeanMargin{Absolute: 30}), effect: 1.2, sigma: even(0.6)}, 0, 0.05},
		{"equal pairs", ramp{plan: with(base, 45, stats.MeanMargin{}), effect: 1, sigma: even(0.6), pairs: true}, 0.035, 0.05},
		{"pairs 30 % up", ramp{plan: with(base, 45, stats.MeanMargin{}), effect: 1.3, sigma: even(0.6), pairs: true}, 0.7, 1},
		{"equal to history, higher is worse", ramp{plan: with(base, history, stats.MeanMargin{}), effect: 1, sigma: even(0.6), against: true, history: 1000}, 0.03, 0.055},
		{"equal to history, lower is worse", ramp{plan: with(lower, history, stats.MeanMargin{}), effect: 1, sigma: even(1.2), against: true, history: 1000}, 0.03, 0.055},
		{"20 % above history", ramp{plan: with(base, history, stats.MeanMargin{}), effect: 1.2, sigma: even(0.6), against: true, history: 1000}, 0.7, 0.9},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.r.perStep, c.r.blockUnits = 30, 5
			back := 0
			for seed := range uint64(*rollouts) {
				if c.r.play(t, seed) > 0 {
					back++
				}
			}
			n := float64(*rollouts)
			rate := float64(back) / n
			t.Logf("%d of %d rolled back, %.2f %%", back, *rollouts, 100*rate)
			if room := func(p float64) float64 { return 4 * math.Sqrt(p*(1-p)/n) }; rate > c.most+room(c.most) || rate < c.least-room(c.least) {
				t.Errorf("rate %v is not within %v and %v", rate, c.least, c.most)
			}
		})
	}
}
