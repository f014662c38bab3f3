package stats_test

import (
	"math"
	"slices"
	"testing"

	"github.com/cobound/prova/internal/stats"
)

func TestBootstrapPaired(t *testing.T) {
	differences := lognormal(1, 200, 0.8)
	for i := range differences {
		differences[i] -= 800
	}
	mean, variance := moments(differences)
	for _, method := range []stats.BootstrapMethod{stats.Percentile, stats.BCa} {
		how := stats.Resampling{Confidence: 0.95, Seed: 4, Resamples: 5000, Method: method}
		got := stats.BootstrapPaired(differences, how)
		near(t, "estimate", got.Estimate, mean, 1e-9)
		near(t, "width", (got.Hi-got.Lo)/(2*1.959964*math.Sqrt(variance/200)), 1, map[stats.BootstrapMethod]float64{stats.Percentile: 0.05, stats.BCa: 0.15}[method])
		one := stats.BootstrapMeans([]stats.UnitStratum{{Candidate: singles(t, differences)}}, how).Candidate
		near(t, "lo", got.Lo, one.Lo, 1e-9)
		near(t, "hi", got.Hi, one.Hi, 1e-9)
		skewed := (got.Hi - got.Estimate) - (got.Estimate - got.Lo)
		if method == stats.BCa && skewed < 0.1*(got.Hi-got.Lo) {
			t.Errorf("BCa of a sample with a long right tail reaches no further up: %v", got)
		}
	}
	for name, values := range map[string][]float64{"none": nil, "infinite": {1, math.Inf(1)}, "not a number": {math.NaN()}, "overflow": {1e308, 1e308}} {
		if got := stats.BootstrapPaired(values, percentile(10, 0)); !math.IsNaN(got.Estimate) || !math.IsNaN(got.Lo) || !math.IsNaN(got.Hi) {
			t.Errorf("%s: %v", name, got)
		}
	}
	// Equal differences leave nothing to correct or to spread.
	if got := stats.BootstrapPaired([]float64{3, 3, 3}, stats.Resampling{Confidence: 0.9, Resamples: 50, Method: stats.BCa}); got != (stats.Difference{Estimate: 3, Lo: 3, Hi: 3}) {
		t.Errorf("equal differences: %v", got)
	}
}

// The quantile of each replicate, by sorting it.
func TestBootstrapQuantile(t *testing.T) {
	for _, n := range [][2]int{{1, 1}, {2, 3}, {20, 31}, {301, 5000}} {
		c, b := sorted(lognormal(1, n[0], 0.6)), sorted(lognormal(2, n[1], 0.6))
		for _, q := range []float64{0.01, 0.5, 0.95, 1} {
			how := stats.Resampling{Confidence: 0.8, Seed: 8, Resamples: 60}
			var replicates []float64
			for r := range how.Resamples {
				source := stats.NewSource(8, uint64(r))
				of := func(values []float64) float64 {
					return stats.QuantileType7(sorted(resample(&source, values)), q)
				}
				candidate := of(c)
				replicates = append(replicates, candidate-of(b))
			}
			slices.Sort(replicates)
			want := stats.Difference{
				Estimate: stats.QuantileType7(c, q) - stats.QuantileType7(b, q),
				Lo:       stats.QuantileType7(replicates, 0.1), Hi: stats.QuantileType7(replicates, 0.9),
			}
			got := stats.BootstrapQuantile(c, b, q, how)
			near(t, "estimate", got.Estimate, want.Estimate, 1e-9)
			near(t, "lo", got.Lo, want.Lo, 1e-9)
			near(t, "hi", got.Hi, want.Hi, 1e-9)
		}
	}
	for _, got := range []stats.Difference{
		stats.BootstrapQuantile(nil, []float64{1}, 0.5, percentile(10, 0)),
		stats.BootstrapQuantile([]float64{1}, nil, 0.5, percentile(10, 0)),
		stats.BootstrapQuantile([]float64{1}, []float64{1}, 1.1, percentile(10, 0)),
	} {
		if !math.IsNaN(got.Estimate) || !math.IsNaN(got.Lo) || !math.IsNaN(got.Hi) {
			t.Errorf("%v", got)
		}
	}
}

// An e-value's expectation under the null hypothesis is at most 1: exactly, by
// adding up the binomial.
func TestEValueExpectation(t *testing.T) {
	const n = 12
	binomial := func(x int64, p float64) float64 {
		v := 1.0
		for i := range x {
			v *= float64(n-i) / float64(i+1)
		}
		return v * math.Pow(p, float64(x)) * math.Pow(1-p, float64(n-x))
	}
	for _, p := range []float64{0.5, 0.45, 0.2} {
		sum := 0.0
		for x := range int64(n + 1) {
			sum += binomial(x, p) * math.Exp(stats.SignLogE(x, n))
		}
		if !(sum <= 1+1e-12) || p == 0.5 && sum < 1-1e-12 {
			t.Errorf("sign: expectation %v at %v", sum, p)
		}
	}
	for _, c := range []struct {
		candidate, baseline float64
		finished            int64
	}{{0.9, 0.9, 0}, {0.95, 0.9, 0}, {0.5, 0.5, n}, {0.9, 0.9, n}} {
		sum := 0.0
		for x := range int64(n + 1) {
			for y := range int64(n + 1) {
				e, _ := stats.TwoSampleLogE(stats.Proportion{X: x, N: n}, stats.Proportion{X: y, N: n}, c.finished)
				sum += binomial(x, c.candidate) * binomial(y, c.baseline) * math.Exp(e)
			}
		}
		if !(sum <= 1) {
			t.Errorf("two samples: expectation %v at %v", sum, c)
		}
	}
}
