package stats_test

import (
	"math"
	"testing"

	"github.com/cobound/prova/internal/stats"
)

// lognormal draws a skewed sample with median 600.
func lognormal(seed stats.Seed, n int, sigma float64) []float64 {
	source := stats.NewSource(seed, 0)
	values := make([]float64, n)
	for i := range values {
		p := (float64(source.Uint64()>>11) + 0.5) / (1 << 53)
		values[i] = math.Round(600 * stats.Exp(sigma*stats.NormalQuantile(p)))
	}
	return values
}

func moments(values []float64) (mean, variance float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		variance += (v - mean) * (v - mean) / float64(len(values))
	}
	return mean, variance
}

// The interval is as wide as the theory says: replicates that repeated each
// other's draws would make it several times too narrow.
func TestBootstrapWidth(t *testing.T) {
	c, b := lognormal(1, 400, 0.6), lognormal(2, 900, 0.6)
	cm, cv := moments(c)
	bm, bv := moments(b)
	stratum := stats.UnitStratum{Candidate: singles(t, c), Baseline: singles(t, b)}
	got := stats.BootstrapMean([]stats.UnitStratum{stratum}, 0.95, 1, 4000)
	near(t, "estimate", got.Estimate, cm-bm, 1e-9)
	width := 2 * 1.959964 * math.Sqrt(cv/400+bv/900)
	near(t, "width", (got.Hi-got.Lo)/width, 1, 0.06)

	one := stats.BootstrapMeanOne(singles(t, c), 0.95, 1, 4000)
	near(t, "width of one", (one.Hi-one.Lo)/(2*1.959964*math.Sqrt(cv/400)), 1, 0.06)
	near(t, "middle of one", (one.Hi+one.Lo)/2, cm, 0.1*(one.Hi-one.Lo))

	// Two halves of the same data as two strata, and ten runs to each unit.
	halves := []stats.UnitStratum{
		{Candidate: singles(t, c[:200]), Baseline: singles(t, b[:450])},
		{Candidate: nil, Baseline: singles(t, b[:5])}, // left out
		{Candidate: singles(t, c[200:]), Baseline: singles(t, b[450:])},
	}
	split := stats.BootstrapMean(halves, 0.95, 1, 4000)
	near(t, "estimate of halves", split.Estimate, cm-bm, 1e-9)
	near(t, "width of halves", (split.Hi-split.Lo)/width, 1, 0.06)

	repeated := func(values []float64) []stats.Unit {
		list := singles(t, values)
		for i := range list {
			sum := list[i].Sum
			for range 9 {
				list[i].Sum = list[i].Sum.Add(sum)
			}
			list[i].Count = 10
		}
		return list
	}
	clustered := stats.BootstrapMean([]stats.UnitStratum{{Candidate: repeated(c), Baseline: repeated(b)}}, 0.95, 1, 4000)
	near(t, "lo of repeated units", clustered.Lo, got.Lo, 1e-9)
	near(t, "hi of repeated units", clustered.Hi, got.Hi, 1e-9)
}

// Units of unequal size are drawn as wholes: the mean is a ratio.
func TestBootstrapRatio(t *testing.T) {
	five, _ := stats.FixedOf(5)
	units := []stats.Unit{{Count: 1, Sum: five}, {Count: 4}, {Count: 0, Sum: five}}
	got := stats.BootstrapMeanOne(units, 0.999, 3, 2000)
	if got != (stats.Interval{Lo: 0, Hi: 5}) { // 0/8, 5/5 or 10/2
		t.Errorf("interval %v", got)
	}
	d := stats.BootstrapMean([]stats.UnitStratum{{Candidate: units, Baseline: []stats.Unit{{Count: 2}}}}, 0.95, 3, 2000)
	near(t, "estimate", d.Estimate, 1, 0)
}

func TestBootstrapIsSeeded(t *testing.T) {
	strata := []stats.UnitStratum{{Candidate: singles(t, lognormal(3, 50, 1)), Baseline: singles(t, lognormal(4, 50, 1))}}
	a, b := stats.BootstrapMean(strata, 0.95, 5, 500), stats.BootstrapMean(strata, 0.95, 5, 500)
	if a != b {
		t.Errorf("the same seed gives %v and %v", a, b)
	}
	if c := stats.BootstrapMean(strata, 0.95, 6, 500); c == a || c.Estimate != a.Estimate {
		t.Errorf("another seed gives %v after %v", c, a)
	}
	none := stats.BootstrapMean(nil, 0.95, 5, 500)
	empty := stats.BootstrapMeanOne(nil, 0.95, 5, 500)
	if !math.IsNaN(none.Estimate) || !math.IsNaN(none.Lo) || !math.IsNaN(none.Hi) || !math.IsNaN(empty.Lo) || !math.IsNaN(empty.Hi) {
		t.Errorf("without data: %v %v", none, empty)
	}
}
