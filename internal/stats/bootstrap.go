package stats

import (
	"math"
	"sort"
)

// UnitStratum is the units of the two cohorts in one stratum.
type UnitStratum struct{ Candidate, Baseline []Unit }

// sample is the units of one arm as floats.
type sample struct {
	sums   []float64
	counts []int64
	total  int64 // runs
	single bool  // every unit is one run
}

func sampleOf(list []Unit) sample {
	s := sample{sums: make([]float64, 0, len(list)), counts: make([]int64, 0, len(list)), single: true}
	for _, u := range list {
		if u.Count <= 0 {
			continue
		}
		s.sums = append(s.sums, u.Sum.Float64())
		s.counts = append(s.counts, u.Count)
		s.total += u.Count
		s.single = s.single && u.Count == 1
	}
	return s
}

// mean is the plain mean over runs.
func (s sample) mean() float64 {
	sum := 0.0
	for _, v := range s.sums {
		sum += v
	}
	return sum / float64(s.total)
}

// resampled is the mean of as many units drawn with replacement.
func (s sample) resampled(from *Source) float64 {
	n := len(s.sums)
	sum, count := 0.0, int64(0)
	if s.single {
		for range s.sums {
			sum += s.sums[from.Index(n)]
		}
		return sum / float64(n)
	}
	for range s.sums {
		i := from.Index(n)
		sum += s.sums[i]
		count += s.counts[i]
	}
	return sum / float64(count)
}

// BootstrapMean returns the difference of two cohorts' means over runs with its
// percentile interval. Units are drawn with replacement in each arm of each
// stratum, candidate before baseline, strata in order, replicate r from
// NewSource(seed, r); strata are combined with the weights n_c n_b/(n_c + n_b)
// of their counts of runs; the limits are quantiles of type 7 of the replicates
// at (1 -+ confidence)/2. Strata with an empty arm are left out; if none is
// left, all three numbers are NaN. At least one resample is drawn.
//
// Source: Efron & Tibshirani 1993, chapters 8 and 13.
func BootstrapMean(strata []UnitStratum, confidence float64, seed Seed, resamples int) Difference {
	type pair struct {
		candidate, baseline sample
		weight              float64
	}
	var pairs []pair
	total, estimate := 0.0, 0.0
	for _, s := range strata {
		p := pair{candidate: sampleOf(s.Candidate), baseline: sampleOf(s.Baseline)}
		if p.weight = weight(p.candidate.total, p.baseline.total); p.weight > 0 {
			pairs = append(pairs, p)
			total += p.weight
			estimate += float64(p.weight * (p.candidate.mean() - p.baseline.mean()))
		}
	}
	if len(pairs) == 0 {
		return Difference{Estimate: math.NaN(), Lo: math.NaN(), Hi: math.NaN()}
	}
	limits := percentile(confidence, seed, resamples, func(from *Source) float64 {
		sum := 0.0
		for _, p := range pairs {
			candidate := p.candidate.resampled(from)
			sum += float64(p.weight * (candidate - p.baseline.resampled(from)))
		}
		return sum / total
	})
	return Difference{Estimate: estimate / total, Lo: limits.Lo, Hi: limits.Hi}
}

// BootstrapMeanOne returns the percentile interval of one cohort's mean over
// runs, drawn as BootstrapMean does; [NaN, NaN] without units.
func BootstrapMeanOne(units []Unit, confidence float64, seed Seed, resamples int) Interval {
	s := sampleOf(units)
	if s.total == 0 {
		return Interval{Lo: math.NaN(), Hi: math.NaN()}
	}
	return percentile(confidence, seed, resamples, s.resampled)
}

// percentile returns the quantiles of the replicates of a statistic.
func percentile(confidence float64, seed Seed, resamples int, statistic func(*Source) float64) Interval {
	replicates := make([]float64, max(resamples, 1))
	for r := range replicates {
		from := NewSource(seed, uint64(r))
		replicates[r] = statistic(&from)
	}
	sort.Float64s(replicates)
	return Interval{
		Lo: QuantileType7(replicates, (1-confidence)/2),
		Hi: QuantileType7(replicates, (1+confidence)/2),
	}
}
