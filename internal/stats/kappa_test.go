package stats_test

import (
	"testing"

	"github.com/cobound/prova/internal/stats"
)

// TestKappa: the example of Cohen's paper (1960, table 1, in counts of 200), full agreement, chance, and nothing.
func TestKappa(t *testing.T) {
	for name, c := range map[string]struct {
		confusion [3][3]int64
		want      float64
		none      bool
	}{
		"Cohen":            {confusion: [3][3]int64{{88, 14, 18}, {10, 40, 10}, {2, 6, 12}}, want: 11600.0 / 23600},
		"full":             {confusion: [3][3]int64{{3, 0, 0}, {0, 4, 0}, {0, 0, 5}}, want: 1},
		"chance":           {confusion: [3][3]int64{{4, 4, 0}, {4, 4, 0}}, want: 0},
		"against":          {confusion: [3][3]int64{{0, 5, 0}, {5, 0, 0}}, want: -1},
		"always the same":  {confusion: [3][3]int64{{7, 0, 0}}, none: true},
		"nothing compared": {none: true},
	} {
		got := stats.Kappa(c.confusion)
		if c.none != (got == nil) || got != nil && *got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	for k, word := range map[float64]string{-0.1: "worse than chance", 0.2: "slight", 0.21: "fair", 0.6: "moderate", 0.61: "substantial", 0.81: "almost perfect"} {
		if got := stats.KappaWord(k); got != word {
			t.Errorf("%v: %s", k, got)
		}
	}
}
