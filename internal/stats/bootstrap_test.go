package stats_test

import (
	"math"
	"math/bits"
	"slices"
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

func percentile(resamples, maxUnits int) stats.Resampling {
	return stats.Resampling{Confidence: 0.95, Seed: 1, Resamples: resamples, MaxUnits: maxUnits}
}

// The interval is as wide as the theory says: replicates that repeated each
// other's draws would make it several times too narrow.
func TestBootstrapWidth(t *testing.T) {
	c, b := lognormal(1, 400, 0.6), lognormal(2, 900, 0.6)
	cm, cv := moments(c)
	bm, bv := moments(b)
	stratum := stats.UnitStratum{Candidate: singles(t, c), Baseline: singles(t, b)}
	got := stats.BootstrapMeans([]stats.UnitStratum{stratum}, percentile(4000, 0))
	near(t, "estimate", got.Difference.Estimate, cm-bm, 1e-9)
	width := 2 * 1.959964 * math.Sqrt(cv/400+bv/900)
	near(t, "width", (got.Difference.Hi-got.Difference.Lo)/width, 1, 0.06)
	for _, one := range []struct {
		got            stats.Interval
		mean, variance float64
	}{{got.Candidate, cm, cv / 400}, {got.Baseline, bm, bv / 900}, {stats.BootstrapMeanOne(singles(t, c), 0.95, 1, 4000), cm, cv / 400}} {
		near(t, "width of one", (one.got.Hi-one.got.Lo)/(2*1.959964*math.Sqrt(one.variance)), 1, 0.06)
		near(t, "middle of one", (one.got.Hi+one.got.Lo)/2, one.mean, 0.1*(one.got.Hi-one.got.Lo))
	}

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
	near(t, "lo of repeated units", clustered.Lo, got.Difference.Lo, 1e-9)
	near(t, "hi of repeated units", clustered.Hi, got.Difference.Hi, 1e-9)
}

// Bounding the work keeps the width, however many units and strata are bounded.
func TestBootstrapMaxUnits(t *testing.T) {
	for _, c := range []struct {
		name                    string
		strata, units, maxUnits int
	}{
		{"one large stratum", 1, 20_000, 1024},
		{"four", 4, 5000, 1024},
		{"a hundred", 100, 300, 1024},
		{"a hundred small ones", 100, 30, 1024},
		{"more strata than units that may be drawn", 200, 20, 150},
	} {
		var strata []stats.UnitStratum
		var candidates, baselines []float64
		estimate, variance := 0.0, 0.0
		pooled := 0.0
		for i := range c.strata {
			// The means drift from stratum to stratum: that is no part of the width.
			x, y := lognormal(stats.Seed(2*i+1), c.units, 0.6), lognormal(stats.Seed(2*i+2), 2*c.units, 0.6)
			for j := range x {
				x[j] += float64(100 * i)
			}
			for j := range y {
				y[j] += float64(100 * i)
			}
			strata = append(strata, stats.UnitStratum{Candidate: singles(t, x), Baseline: singles(t, y)})
			xm, xv := moments(x)
			ym, yv := moments(y)
			k := float64(c.strata)
			estimate += (xm - ym) / k
			variance += (xv/float64(c.units) + yv/float64(2*c.units)) / (k * k)
			pooled += xv / float64(c.units) / (k * k)
			candidates, baselines = append(candidates, x...), append(baselines, y...)
		}
		got := stats.BootstrapMeans(strata, percentile(10_000, c.maxUnits))
		near(t, c.name+": estimate", got.Difference.Estimate, estimate, 1e-8)
		// The variance of a thousand groups is known to 4.5 %, the width to 2.3 %.
		near(t, c.name+": width", (got.Difference.Hi-got.Difference.Lo)/(2*1.959964*math.Sqrt(variance)), 1, 0.075)
		near(t, c.name+": width of candidate", (got.Candidate.Hi-got.Candidate.Lo)/(2*1.959964*math.Sqrt(pooled)), 1, 0.09)
		mean, _ := moments(candidates)
		near(t, c.name+": middle of candidate", (got.Candidate.Hi+got.Candidate.Lo)/2, mean, 0.1*(got.Candidate.Hi-got.Candidate.Lo))
		mean, _ = moments(baselines)
		near(t, c.name+": middle of baseline", (got.Baseline.Hi+got.Baseline.Lo)/2, mean, 0.1*(got.Baseline.Hi-got.Baseline.Lo))
	}
}

// What is drawn where the work is bounded, by hand: influences, dealt to groups.
func TestBootstrapInfluences(t *testing.T) {
	const limit, resamples = 100, 99
	values := [][]float64{lognormal(1, 30, 1), lognormal(2, 80, 1)}
	other := lognormal(3, 40, 1)
	weights := []float64{30 * 40.0 / 70, 80 * 40.0 / 120}
	part, mean := make([]float64, limit), make([]float64, limit)
	var means [2]float64
	next := 0
	for k, list := range values {
		means[k], _ = moments(list)
		for _, v := range list {
			u := (v - means[k]) / float64(len(list))
			part[next%limit] += u * weights[k] / (weights[0] + weights[1])
			mean[next%limit] += u * float64(len(list)) / 110
			next++
		}
	}
	var c, d []float64
	for r := range resamples {
		source := stats.NewSource(1, uint64(r))
		again := source // the same draws for both
		c = append(c, (30*means[0]+80*means[1])/110+drawn(&again, mean))
		shift := drawn(&source, part)
		first, second := drawn(&source, other)/40, drawn(&source, other)/40
		estimate := (weights[0]*(means[0]-first) + weights[1]*(means[1]-second)) / (weights[0] + weights[1])
		d = append(d, estimate+shift)
	}
	slices.Sort(c)
	slices.Sort(d)
	strata := []stats.UnitStratum{
		{Candidate: singles(t, values[0]), Baseline: singles(t, other)},
		{Candidate: singles(t, values[1]), Baseline: singles(t, other)},
	}
	got := stats.BootstrapMeans(strata, percentile(resamples, limit))
	near(t, "candidate lo", got.Candidate.Lo, stats.QuantileType7(c, 0.025), 1e-9)
	near(t, "candidate hi", got.Candidate.Hi, stats.QuantileType7(c, 0.975), 1e-9)
	near(t, "difference hi", got.Difference.Hi, stats.QuantileType7(d, 0.975), 1e-9)

	fits := stats.BootstrapMeans(strata, percentile(resamples, 110))
	if all := stats.BootstrapMeans(strata, percentile(resamples, 0)); fits != all {
		t.Errorf("%v, unbounded %v", fits, all)
	}
}

// Up to 16 strata are resampled apart, more as influences, which changes the
// draws but not what comes out.
func TestBootstrapManyStrata(t *testing.T) {
	var strata []stats.UnitStratum
	for i := range 17 {
		c, b := lognormal(stats.Seed(i), 20, 0.6), lognormal(stats.Seed(100+i), 40, 0.6)
		strata = append(strata, stats.UnitStratum{Candidate: singles(t, c), Baseline: singles(t, b)}, stats.UnitStratum{})
		bounded, all := stats.BootstrapMeans(strata, percentile(2000, 5000)), stats.BootstrapMeans(strata, percentile(2000, 0))
		if (bounded == all) != (i < 16) {
			t.Errorf("%d strata: bounded %v, else %v", i+1, bounded, all)
		}
		width := all.Difference.Hi - all.Difference.Lo
		near(t, "lo", bounded.Difference.Lo, all.Difference.Lo, 0.06*width)
		near(t, "hi", bounded.Difference.Hi, all.Difference.Hi, 0.06*width)
	}
}

// The mean that is shown of a cohort is that of all its runs, also of strata in
// which the other cohort has none.
func TestBootstrapPooledMean(t *testing.T) {
	one, _ := stats.FixedOf(1)
	strata := []stats.UnitStratum{
		{Candidate: []stats.Unit{{Count: 3}}, Baseline: []stats.Unit{{Count: 1, Sum: one}}},
		{Candidate: []stats.Unit{{Count: 1, Sum: one}}},
	}
	got := stats.BootstrapMeans(strata, percentile(10, 0))
	if got != (stats.Means{
		Candidate: stats.Interval{Lo: 0.25, Hi: 0.25}, Baseline: stats.Interval{Lo: 1, Hi: 1},
		Difference: stats.Difference{Estimate: -1, Lo: -1, Hi: -1},
	}) {
		t.Errorf("%v", got)
	}
}

// resample is the specification of the draws, word for word and slowly.
func resample(source *stats.Source, values []float64) []float64 {
	n := len(values)
	each := 4
	if n > 1<<12 {
		each = 2
	}
	if n > 1<<24 {
		each = 1
	}
	out := make([]float64, n)
	var z uint64
	for i := range n {
		if i%each == 0 {
			z = source.Uint64()
		}
		var index uint64
		index, z = bits.Mul64(z, uint64(n))
		out[i] = values[index]
	}
	return out
}

// drawn adds a resample up in the order of the specification.
func drawn(source *stats.Source, values []float64) float64 {
	var partial [4]float64
	for i, v := range resample(source, values) {
		if len(values) > 1<<12 {
			i = 0
		}
		partial[i%4] += v
	}
	return (partial[0] + partial[1]) + (partial[2] + partial[3])
}

func TestBootstrapDraws(t *testing.T) {
	for _, n := range [][4]int{{1, 2, 3, 4}, {5, 1024, 33, 4096}, {7, 6, 1001, 4097}} {
		var values [4][]float64
		for i := range values {
			values[i] = lognormal(stats.Seed(i), n[i], 0.9)
		}
		strata := []stats.UnitStratum{
			{Candidate: singles(t, values[0]), Baseline: singles(t, values[1])},
			{Candidate: singles(t, values[2]), Baseline: singles(t, values[3])},
		}
		const resamples = 101
		weights := [2]float64{float64(n[0]*n[1]) / float64(n[0]+n[1]), float64(n[2]*n[3]) / float64(n[2]+n[3])}
		var c, b, d []float64
		for r := range resamples {
			source := stats.NewSource(77, uint64(r))
			var sums [4]float64
			for _, i := range []int{0, 2, 1, 3} {
				sums[i] = drawn(&source, values[i])
			}
			c = append(c, (sums[0]+sums[2])/float64(n[0]+n[2]))
			b = append(b, (sums[1]+sums[3])/float64(n[1]+n[3]))
			first := sums[0]/float64(n[0]) - sums[1]/float64(n[1])
			second := sums[2]/float64(n[2]) - sums[3]/float64(n[3])
			d = append(d, (weights[0]*first+weights[1]*second)/(weights[0]+weights[1]))
		}
		limits := func(replicates []float64) stats.Interval {
			slices.Sort(replicates)
			return stats.Interval{Lo: stats.QuantileType7(replicates, 0.05), Hi: stats.QuantileType7(replicates, 0.95)}
		}
		got := stats.BootstrapMeans(strata, stats.Resampling{Confidence: 0.9, Seed: 77, Resamples: resamples})
		for what, pair := range map[string][2]stats.Interval{
			"candidate": {got.Candidate, limits(c)}, "baseline": {got.Baseline, limits(b)},
			"difference": {{Lo: got.Difference.Lo, Hi: got.Difference.Hi}, limits(d)},
		} {
			near(t, what, pair[0].Lo, pair[1].Lo, 1e-10)
			near(t, what, pair[0].Hi, pair[1].Hi, 1e-10)
		}
	}
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
