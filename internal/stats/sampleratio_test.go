package stats_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/cobound/prova/internal/stats"
)

// lnBF is the same mixture from the library's log-gamma.
func lnBF(x, n int64, w float64) float64 {
	lgamma := func(v float64) float64 { l, _ := math.Lgamma(v); return l }
	beta := func(a, b float64) float64 { return lgamma(a) + lgamma(b) - lgamma(a+b) }
	sum := 0.0
	for _, c := range []float64{10, 500, 10_000} {
		sum += math.Exp(beta(c*w+float64(x), c*(1-w)+float64(n-x))-beta(c*w, c*(1-w))-float64(x)*math.Log(w)-float64(n-x)*math.Log(1-w)) / 3
	}
	return math.Log(sum)
}

func TestSampleRatioFormula(t *testing.T) {
	for _, c := range []struct {
		x, n int64
		w    float64
	}{{0, 1, 0.05}, {1, 1, 0.05}, {30, 600, 0.05}, {45, 600, 0.05}, {0, 200, 0.25}, {70, 100, 0.5}, {5000, 100_000, 0.05}, {3, 900, 0.01}} {
		got := stats.SampleRatio([]stats.Arrivals{{Candidate: c.x, Total: c.n, Share: c.w}})
		if want := lnBF(c.x, c.n, c.w); math.Abs(got-want) > 1e-6*(1+math.Abs(want)) {
			t.Errorf("%d of %d at %v: %v, want %v", c.x, c.n, c.w, got, want)
		}
	}
	if got := stats.SampleRatio([]stats.Arrivals{{}, {Candidate: 3, Total: 3, Share: 1}, {Candidate: 4, Total: 3, Share: 0.5}}); math.Abs(got) > 1e-12 {
		t.Errorf("steps that say nothing say %v", got)
	}
}

// A router that obeys is hardly ever accused, however often it is asked; one
// that ignores its weight is found soon.
func TestSampleRatioOverARamp(t *testing.T) {
	alarm := math.Log(1000)
	play := func(rng *rand.Rand, actual func(w float64) float64, each int64) (alarmed bool, runs int64) {
		var steps []stats.Arrivals
		for _, w := range []float64{0.05, 0.25, 0.5} {
			steps = append(steps, stats.Arrivals{Share: w})
			s := &steps[len(steps)-1]
			for s.Total < each {
				s.Total++
				if rng.Float64() < actual(w) {
					s.Candidate++
				}
				if runs++; stats.SampleRatio(steps) >= alarm {
					return true, runs
				}
			}
		}
		return false, runs
	}
	rng := rand.New(rand.NewPCG(3, 5))
	alarms := 0
	for range 500 {
		if alarmed, _ := play(rng, func(w float64) float64 { return w }, 300); alarmed {
			alarms++
		}
	}
	if alarms > 4 { // 1 expected at most; half a one expected at most
		t.Errorf("%d of 500 obedient routers are accused", alarms)
	}
	for name, c := range map[string]struct {
		actual func(w float64) float64
		within int64
	}{
		"half instead of 5 %":   {func(float64) float64 { return 0.5 }, 30},
		"nothing instead of it": {func(float64) float64 { return 0 }, 250},
		"twice the weight":      {func(w float64) float64 { return 2 * w }, 600},
	} {
		late := 0
		for range 100 {
			if alarmed, runs := play(rng, c.actual, 400); !alarmed || runs > c.within {
				late++
			}
		}
		if late > 20 {
			t.Errorf("%s: found later than %d runs, or not at all, %d times of 100", name, c.within, late)
		}
	}
}
