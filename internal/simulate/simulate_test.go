package simulate_test

import (
	"errors"
	"flag"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/simulate"
)

func play(t testing.TB, a simulate.Assumptions, run simulate.Run) simulate.Result {
	t.Helper()
	s, err := a.Scenario()
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Play(run)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestWorkersChangeNothing: each rollout has its own generator.
func TestWorkersChangeNothing(t *testing.T) {
	for _, arrivals := range []simulate.Arrivals{simulate.Proportional, simulate.Random} {
		a := simulate.Defaults()
		a.Rates[1], a.Arrivals, a.Gates = 0.2, arrivals, 2
		one := play(t, a, simulate.Run{Rollouts: 130, Seed: 1, Workers: 1})
		four := play(t, a, simulate.Run{Rollouts: 130, Seed: 1, Workers: 4})
		if diff := cmp.Diff(one, four); diff != "" {
			t.Errorf("%s: four workers differ from one: %s", arrivals, diff)
		}
		if other := play(t, a, simulate.Run{Rollouts: 130, Seed: 2, Workers: 4}); cmp.Equal(one, other) {
			t.Errorf("%s: another seed gave the same rollouts", arrivals)
		}
	}
}

// rollouts is small, so that the tests take seconds: many more tell more.
var rollouts = flag.Int("rollouts", 100, "simulated rollouts in each cell of TestCharacteristics")

// TestCharacteristics holds a few cells of the table against what was measured
// with many rollouts. Four standard errors: with a fixed seed this fails for a
// change of the code only.
func TestCharacteristics(t *testing.T) {
	with := func(change func(*simulate.Assumptions)) simulate.Assumptions {
		a := simulate.Defaults()
		change(&a)
		return a
	}
	for name, c := range map[string]struct {
		assumed     simulate.Assumptions
		least, most float64
		median      int64
	}{
		"no change":            {with(func(a *simulate.Assumptions) {}), 0.030, 0.0495, 0},
		"no change, 1 %":       {with(func(a *simulate.Assumptions) { a.Rates, a.PerStep = [2]float64{0.01, 0.01}, 100 }), 0.03, 0.0495, 0},
		"no change, at random": {with(func(a *simulate.Assumptions) { a.Arrivals = simulate.Random }), 0.03, 0.0495, 0},
		"no change, 10 gates":  {with(func(a *simulate.Assumptions) { a.Gates = 10 }), 0.02, 0.0495, 0},
		"10 to 20 %":           {with(func(a *simulate.Assumptions) { a.Rates[1] = 0.2 }), 0.721, 0.721, 50},
		"10 to 30 %":           {with(func(a *simulate.Assumptions) { a.Rates[1] = 0.3 }), 0.992, 0.992, 30},
		"drift":                {with(func(a *simulate.Assumptions) { a.Drift = []float64{.05, .1, .15} }), 0.03, 0.0495, 0},
		"an outage, look at 1": {with(func(a *simulate.Assumptions) { a.Rates[1], a.FirstLook = 0.6, 1 }), 0.999, 1, 10},
		"the usual interval":   {with(func(a *simulate.Assumptions) { a.Guarantee = api.GuaranteeLook }), 0.07, 0.12, 0},
		"better":               {with(func(a *simulate.Assumptions) { a.Rates = [2]float64{0.2, 0.1} }), 0, 0.01, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := play(t, c.assumed, simulate.Run{Rollouts: *rollouts / min(c.assumed.Gates, 2), Seed: 1, Workers: 2})
			slack := func(p float64) float64 { return 4 * math.Sqrt(p*(1-p)/float64(r.Rollouts)) }
			if got := r.RolledBack.Rate; got > c.most+slack(c.most) || got < c.least-slack(c.least) {
				t.Errorf("%.2f %% rolled back, want %.2f to %.2f %%", 100*got, 100*c.least, 100*c.most)
			}
			if c.median != 0 && math.Abs(float64(*r.RunsToRollback.Median-c.median)) > 10 {
				t.Errorf("median of %d runs to a rollback, want about %d", *r.RunsToRollback.Median, c.median)
			}
			t.Logf("%.2f %% of %d rolled back", 100*r.RolledBack.Rate, r.Rollouts)
		})
	}
}

// TestBeyondHolds: a rollout that is held is never promoted, and looked at again and again.
func TestBeyondHolds(t *testing.T) {
	a := simulate.Defaults()
	short := play(t, a, simulate.Run{Rollouts: 10, Seed: 1, Workers: 2})
	a.Beyond = 20
	long := play(t, a, simulate.Run{Rollouts: 10, Seed: 1, Workers: 2})
	if long.Promoted.Count != 0 || long.Looks <= short.Looks+10 || *long.RunsToEnd.Median != *short.RunsToEnd.Median+100 {
		t.Errorf("held: %+v, not held: %+v", long, short)
	}
}

// TestProportionalIsExact: no step loses or gains a run to rounding.
func TestProportionalIsExact(t *testing.T) {
	a := simulate.Defaults()
	a.Rates = [2]float64{0, 0}
	r := play(t, a, simulate.Run{Rollouts: 1, Seed: 1, Workers: 1})
	if *r.RunsToEnd.Median != 90 || r.Looks != 18 || r.Promoted.Count != 1 {
		t.Errorf("a ramp of three steps of 30 runs took %+v", r)
	}
}

func TestRefuses(t *testing.T) {
	for name, change := range map[string]func(*simulate.Assumptions){
		"a rate above one":       func(a *simulate.Assumptions) { a.Rates[1] = 1.5 },
		"a drift below zero":     func(a *simulate.Assumptions) { a.Rates = [2]float64{0.3, 0.1}; a.Drift = []float64{0.1} },
		"no such arrivals":       func(a *simulate.Assumptions) { a.Arrivals = "bursts" },
		"steps that do not rise": func(a *simulate.Assumptions) { a.Steps = []int{50, 25, 100} },
		"no runs":                func(a *simulate.Assumptions) { a.PerStep = 0 },
	} {
		a := simulate.Defaults()
		change(&a)
		if _, err := a.Scenario(); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestStops(t *testing.T) {
	s, err := simulate.Defaults().Scenario()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Play(simulate.Run{Rollouts: 10000, Seed: 1, Workers: 2, Progress: func(int) bool { return false }}); !errors.Is(err, simulate.ErrStopped) {
		t.Errorf("stopped with %v", err)
	}
}

func BenchmarkRollout(b *testing.B) {
	for name, a := range map[string]func(*simulate.Assumptions){
		"rate30":  func(*simulate.Assumptions) {},
		"rate300": func(a *simulate.Assumptions) { a.PerStep = 300 },
		"gates10": func(a *simulate.Assumptions) { a.Gates = 10 },
		"look30":  func(a *simulate.Assumptions) { a.Guarantee = api.GuaranteeLook },
	} {
		b.Run(name, func(b *testing.B) {
			assumed := simulate.Defaults()
			a(&assumed)
			play(b, assumed, simulate.Run{Rollouts: b.N, Seed: 1, Workers: 1})
		})
	}
}
