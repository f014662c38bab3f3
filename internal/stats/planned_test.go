package stats_test

import (
	"math"
	"testing"

	"github.com/cobound/prova/internal/stats"
)

// TestPlannedAgainstHistory: while every block was compared with history the
// budget is spread over what history can tell, afterwards over the plan's information.
func TestPlannedAgainstHistory(t *testing.T) {
	const concurrent, against = 66.0, 40.0
	for _, historical := range []float64{0, against} {
		first := concurrent
		if historical > 0 {
			first = historical
		}
		plan := finishedPlan(100, 1000, concurrent)
		plan.HistoryInformation, plan.FirstLook = historical, 0
		counts, err := stats.NewSequentialTest(plan)
		if err != nil {
			t.Fatal(err)
		}
		mean := stats.PermutationPlan{Budget: 0.05, Information: concurrent, HistoryInformation: historical, Seed: 1}
		for i, v := range lognormal(1, 1000, 0.6) {
			_ = mean.History.Add(v, uint64(i)<<50)
		}
		means := newPermutation(t, mean)
		if counts.Planned() != concurrent || means.Planned() != concurrent {
			t.Errorf("before the first block: %v and %v", counts.Planned(), means.Planned())
		}
		for i, planned := range []float64{first, first, concurrent, concurrent} {
			b, m := past(1, 10, 2), stats.MeanBlock{Candidate: armOf(t, lognormal(stats.Seed(i+2), 10, 0.6), uint64(i))}
			if i == 2 {
				b, m.Baseline = block(2, 10, 2, 20, 3), armOf(t, lognormal(9, 20, 0.6), 9)
			}
			var look stats.Look
			if counts, look, err = counts.Look(b, stats.Margin{}); err != nil {
				t.Fatal(err)
			}
			var meanLook stats.MeanLook
			if means, meanLook, err = means.Look(m); err != nil {
				t.Fatal(err)
			}
			if counts.Planned() != planned || means.Planned() != planned {
				t.Errorf("after block %d: %v and %v, want %v", i+1, counts.Planned(), means.Planned(), planned)
			}
			for _, l := range [][2]float64{{look.Allowed, look.Information}, {meanLook.Allowed, meanLook.Information}} {
				if want := stats.AlphaStar(0.05, planned, l[1]); l[0] != want {
					t.Errorf("block %d: %v allowed, want %v", i+1, l[0], want)
				}
			}
		}
	}
	for _, v := range []float64{-1, math.NaN(), math.Inf(1)} {
		plan := finishedPlan(100, 1000, concurrent)
		plan.HistoryInformation = v
		if _, err := stats.NewSequentialTest(plan); err == nil {
			t.Errorf("counts: %v was planned", v)
		}
		if _, err := stats.NewPermutationTest(stats.PermutationPlan{Budget: 0.05, Information: 1, HistoryInformation: v}); err == nil {
			t.Errorf("means: %v was planned", v)
		}
	}
}
