package stats_test

import (
	"math"
	"testing"

	"github.com/cobound/prova/internal/stats"
)

// One look at pairs is McNemar's exact test; its interval is that of the share
// of the decided pairs, by Clopper and Pearson.
func TestPairs(t *testing.T) {
	test, err := stats.NewSequentialTest(stats.TestPlan{Budget: 0.05 / 0.95, Information: 20})
	if err != nil {
		t.Fatal(err)
	}
	tail := func(d, x int64, p float64) (sum float64) {
		for i := x; i <= d; i++ {
			sum += binomialChance(d, i, p)
		}
		return sum
	}
	const n, d = 40, 14
	for x := range int64(d + 1) {
		next, look, err := test.Look(pairs(0, n, x, d-x), stats.Margin{})
		if err != nil {
			t.Fatal(err)
		}
		if look.Information != 20 || look.Regressed != (tail(d, x, 0.5) <= 0.05) {
			t.Errorf("%d of %d: %+v, McNemar's p is %v", x, d, look, tail(d, x, 0.5))
		}
		got, err := next.Interval(0.025)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "estimate", got.Estimate, float64(2*x-d)/n, 1e-15)
		// A failure of the first look has weight 16; limits are at the mean weight of 14.5.
		share := func(v float64) float64 {
			p := (v*n/d + 1) / 2
			odds := math.Pow(p/(1-p), 16/14.5)
			return odds / (1 + odds)
		}
		if x > 0 && x < d {
			near(t, "level of the lower limit", tail(d, x, share(got.Lo)), look.Level, 1e-9)
			near(t, "level of the upper limit", 1-tail(d, x+1, share(got.Hi)), 0.025, 1e-9)
		}
	}
	won, look, err := test.Look(stats.DecidedPairs(0, 5, 9), stats.Margin{})
	if err != nil || look.Candidate != (stats.Proportion{X: 9, N: 14}) || look.Baseline != (stats.Proportion{X: 5, N: 14}) {
		t.Errorf("decided pairs: %+v, %v", look, err)
	}
	got, err := won.Interval(0.025)
	if w := stats.WinShare(got); err != nil || math.Abs(w.Estimate-5.0/14) > 1e-15 || !(w.Lo < w.Estimate && w.Estimate < w.Hi) {
		t.Errorf("win share %v, %v", w, err)
	}
}

// A margin of pairs is either one of odds, exact, or one of the difference of
// rates on top of the share in which only the baseline failed.
func TestPairsMargin(t *testing.T) {
	margin, err := stats.WinMargin(0.1)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "odds of losing 6 of 10", margin.OddsRatio, 1.5, 1e-15)
	for _, below := range []float64{-0.1, 0.5, 0.4999999, math.NaN()} {
		if m, err := stats.WinMargin(below); err == nil {
			t.Errorf("margin %v below one half is %v", below, m)
		}
	}
	test, err := stats.NewSequentialTest(stats.TestPlan{Budget: 0.05 / 0.95, Information: 20})
	if err != nil {
		t.Fatal(err)
	}
	const n, d = 40, 14
	for _, m := range []stats.Margin{margin, {Absolute: 0.05}, {Absolute: 0.05, OddsRatio: 1.5}} {
		for x := range int64(d + 1) {
			odds := max(m.OddsRatio, 1)
			if m.Absolute > 0 {
				only := (float64(d-x) + 0.25) / (n + 1)
				odds *= (only + m.Absolute) / only
			}
			p := 0.0
			for i := x; i <= d; i++ {
				p += binomialChance(d, i, odds/(1+odds))
			}
			after, look, err := test.Look(pairs(0, n, x, d-x), m)
			if err != nil || look.Regressed != (p <= 0.05) {
				t.Errorf("%v, %d of %d: %+v, %v, p is %v", m, x, d, look, err, p)
			}
			least := (look.Boundary + 15) / 16 // of the failures that cross
			p = 0
			for i := least; i <= d; i++ {
				p += binomialChance(d, i, odds/(1+odds))
			}
			if look.Reachable {
				near(t, "level", look.Level, p, 1e-12)
			}
			if got, err := after.Interval(0.025); err != nil || m.OddsRatio == 0 && (got.Lo >= 0.05) != look.Regressed {
				t.Errorf("%v, %d of %d: %v, %v", m, x, d, got, err)
			}
		}
	}
}
