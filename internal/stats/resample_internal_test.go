package stats

import (
	"math"
	"slices"
	"testing"
)

func TestSelectQuantile(t *testing.T) {
	from := NewSource(9, 0)
	shapes := map[string]func(i, n int) float64{
		"random":     func(_, _ int) float64 { return float64(from.Uint64()>>11) - 1<<52 },
		"few values": func(_, _ int) float64 { return float64(from.Index(3)) },
		"ascending":  func(i, _ int) float64 { return float64(i) },
		"descending": func(i, _ int) float64 { return -float64(i) },
		"equal":      func(_, _ int) float64 { return 5 },
		"organ pipe": func(i, n int) float64 { return float64(min(i, n-i)) },
		"saw":        func(i, _ int) float64 { return float64(i % 17) },
	}
	for name, shape := range shapes {
		for _, n := range []int{1, 2, 3, 10, 101, 1000, 10_000} {
			values := make([]float64, n)
			for i := range values {
				values[i] = shape(i, n)
			}
			ordered := slices.Clone(values)
			slices.Sort(ordered)
			for _, q := range []float64{0.975, 0.5, 0.025, 0, 1, 0.3333} {
				if got, want := selectQuantile(values, q), QuantileType7(ordered, q); got != want {
					t.Fatalf("%s, %d values: the %v-quantile is %v, want %v", name, n, q, got, want)
				}
			}
		}
	}
	if !math.IsNaN(selectQuantile(nil, 0.5)) || !math.IsNaN(selectQuantile([]float64{1}, 1.5)) {
		t.Error("want NaN where there is nothing")
	}
}

// The first index of a number is its share of 2^64, and four together are one
// number below n^4: none is likelier than another by more than n^4/2^64.
func TestIndexesCoverEvenly(t *testing.T) {
	const n, resamples = 37, 10_000
	values := make([]float64, n)
	from := NewSource(4, 4)
	chi := 0.0
	for i := range values {
		values[i] = 1
		hits := 0.0
		for range resamples {
			hits += drawValues(values, &from)
		}
		values[i] = 0
		chi += (hits - resamples) * (hits - resamples) / resamples
	}
	// Chi-squared with 37 degrees of freedom exceeds 70.2 once in a thousand.
	if chi > 70.2 {
		t.Errorf("chi-squared of the indexes %v", chi)
	}
}
