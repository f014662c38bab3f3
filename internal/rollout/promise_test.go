package rollout_test

import (
	"flag"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
)

var rollouts = flag.Int("rollouts", 100, "simulated rollouts in each cell of TestPromise")

// TestPromise plays whole rollouts through the ramp: baseline runs in
// proportion to the weight, a tick after every block, until they end.
func TestPromise(t *testing.T) {
	for name, c := range map[string]struct {
		baseline, candidate float64
		perStep             int64
		drift               float64 // added to both rates with each step
		random              bool    // single arrivals at random instead of in proportion
		least, most         float64 // share of rollouts that are rolled back
	}{
		"no change at 10 %":            {baseline: 0.10, candidate: 0.10, perStep: 30, most: 0.0475},
		"no change at 10 %, at random": {baseline: 0.10, candidate: 0.10, perStep: 30, random: true, most: 0.0475},
		"no change at 1 %, 100 a step": {baseline: 0.01, candidate: 0.01, perStep: 100, most: 0.0475},
		"no change, drift 5 to 15 %":   {baseline: 0.05, candidate: 0.05, perStep: 30, drift: 0.05, most: 0.0475},
		"10 to 20 %":                   {baseline: 0.10, candidate: 0.20, perStep: 30, least: 0.721, most: 1},
		"10 to 30 %":                   {baseline: 0.10, candidate: 0.30, perStep: 30, least: 0.992, most: 1},
		"better: 20 to 10 %":           {baseline: 0.20, candidate: 0.10, perStep: 30, most: 0.0475},
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(7, 11))
			rolledBack := 0
			for range *rollouts {
				if simulate(t, rng, c.baseline, c.candidate, c.drift, c.perStep, c.random) == api.StateRolledBack {
					rolledBack++
				}
			}
			share := float64(rolledBack) / float64(*rollouts)
			// Four standard errors: with a fixed seed this fails for a change of the code only.
			slack := func(p float64) float64 { return 4 * math.Sqrt(p*(1-p)/float64(*rollouts)) }
			if share > c.most+slack(c.most) || share < c.least-slack(c.least) {
				t.Errorf("%.2f %% of %d rolled back, want %.2f to %.2f %%", 100*share, *rollouts, 100*c.least, 100*c.most)
			}
			t.Logf("%.2f %% of %d rolled back", 100*share, *rollouts)
		})
	}
}

func simulate(t *testing.T, rng *rand.Rand, baseline, candidate, drift float64, perStep int64, random bool) api.State {
	t.Helper()
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, MinRuns: &perStep})
	one := func(side rollout.Side, rate float64) {
		p.metric(side, "success", boolean(rng.Float64() >= rate+drift*float64(p.r.Step-1)))
	}
	owed := 0.0
	for range 200 * perStep {
		weight := float64(p.r.Weight()) / 100
		if random {
			for rng.Float64() >= weight {
				one(rollout.Baseline, baseline)
			}
		} else {
			for owed += (1 - weight) / weight; owed >= 1; owed-- {
				one(rollout.Baseline, baseline)
			}
		}
		one(rollout.Candidate, candidate)
		if len(p.closed) == 0 {
			continue
		}
		if p.tick(); p.r.State.Finished() {
			break
		}
	}
	return p.r.State
}
