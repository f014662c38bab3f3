package main

import (
	"crypto/rand"
	"math"
	random "math/rand/v2"
	"strconv"

	"github.com/cobound/prova/api"
)

// demoAgent answers requests.
type demoAgent interface {
	// run lets a release answer the next request and returns what is to be
	// recorded of it. ok is false when it has no answer left.
	run(release string) (events []api.Event, ok bool)
}

// Shares of runs that fail.
const (
	goodFailures = 0.06
	badFailures  = 0.25
)

// behaviour is how a simulated release does.
type behaviour struct {
	failures float64 // share of runs
	latency  float64 // median in milliseconds
	spread   float64 // standard deviation of the latency's logarithm
	cost     float64 // mean in dollars
}

// simulatedAgent is no agent: it draws what the runs of one might look like.
type simulatedAgent struct {
	random *random.Rand
	// batch makes the keys of this demo differ from those of any other.
	batch string
	runs  int
	// left is how many requests it still answers.
	left int
}

// demoMost is the number of runs after which a simulated rollout counts as not
// settled; a ramp with the defaults needs about 800.
const demoMost = 4000

func newSimulatedAgent(seed uint64) *simulatedAgent {
	return &simulatedAgent{random: random.New(random.NewPCG(seed, 2)), batch: rand.Text()[:8]}
}

func behaviourOf(release string) behaviour {
	if release == demoBad {
		return behaviour{failures: badFailures, latency: 1350, spread: 0.5, cost: 0.016}
	}
	return behaviour{failures: goodFailures, latency: 800, spread: 0.4, cost: 0.012}
}

func (a *simulatedAgent) run(release string) ([]api.Event, bool) {
	if a.left == 0 {
		return nil, false
	}
	b := behaviourOf(release)
	a.left--
	a.runs++
	id := "demo-" + a.batch + "-" + strconv.Itoa(a.runs)
	latency := math.Round(b.latency * math.Exp(b.spread*a.random.NormFloat64()))
	cost := math.Round(b.cost*(0.5+a.random.Float64())*1e5) / 1e5
	return []api.Event{{
		Kind:           api.KindAgentRun,
		IdempotencyKey: id,
		RunID:          id,
		Source:         api.EventSource{AppID: demoApp, Release: release, Framework: "prova-demo"},
		Metrics: map[string]api.Metric{
			"success":    api.Bool(a.random.Float64() >= b.failures),
			"latency_ms": api.Number(latency),
			"cost_usd":   api.Number(cost),
		},
	}}, true
}
