package stats

import (
	"math"
	"math/bits"
)

// BootstrapPaired returns the mean of the differences candidate minus baseline
// of pairs, such as the runs of one probe, with its bootstrap interval: pairs
// are drawn with replacement, as BootstrapMeans draws one cohort. It is NaN
// without pairs, or where a difference is not finite. MaxUnits is not used.
func BootstrapPaired(differences []float64, how Resampling) Difference {
	a := arm{urn: urn{values: differences}, runs: float64(len(differences)), ofRuns: 1, weight: 1}
	sum, size := 0.0, 0.0
	for _, d := range differences {
		sum += d
		size += math.Abs(d)
	}
	a.mean = sum / a.runs
	if len(differences) == 0 || !(size <= math.MaxFloat64) {
		return Difference{Estimate: math.NaN(), Lo: math.NaN(), Hi: math.NaN()}
	}
	replicates := make([]float64, max(how.Resamples, 1))
	for r := range replicates {
		from := NewSource(how.Seed, uint64(r))
		replicates[r] = a.draw(&from).sum / a.runs
	}
	c := cohort{arms: []arm{a}}
	skew := accelerationOf(&c, &cohort{}).candidate
	limits := how.interval(replicates, a.mean, skew, size/a.runs)
	return Difference{Estimate: a.mean, Lo: limits.Lo, Hi: limits.Hi}
}

// BootstrapQuantile returns the difference of the q-quantiles, 0 <= q <= 1, of
// two samples of finite values in ascending order, with its percentile interval
// (the acceleration that BCa needs is not consistent for a quantile, so Method
// is not used, nor is MaxUnits). Quantiles are of type 7, of the samples and of
// the replicates. It is NaN where a sample is empty.
//
// Replicate r draws from NewSource(seed, r), the candidate's values first, their
// indexes as in BootstrapMeans. Source: Efron & Tibshirani 1993, chapter 13.
func BootstrapQuantile(candidate, baseline []float64, q float64, how Resampling) Difference {
	if len(candidate) == 0 || len(baseline) == 0 || !(q >= 0 && q <= 1) {
		return Difference{Estimate: math.NaN(), Lo: math.NaN(), Hi: math.NaN()}
	}
	c, b := newOrderedSample(candidate, q), newOrderedSample(baseline, q)
	replicates := make([]float64, max(how.Resamples, 1))
	for r := range replicates {
		from := NewSource(how.Seed, uint64(r))
		ofCandidate := c.resample(&from)
		replicates[r] = ofCandidate - b.resample(&from)
	}
	how.Method = Percentile
	limits := how.interval(replicates, 0, 0, 0)
	return Difference{Estimate: QuantileType7(candidate, q) - QuantileType7(baseline, q), Lo: limits.Lo, Hi: limits.Hi}
}

// orderedSample counts how often each of its values, in ascending order, was
// drawn: the quantile of a resample is read off the counts, without sorting.
type orderedSample struct {
	values   []float64
	times    []int64
	rank     int64
	fraction float64
}

func newOrderedSample(values []float64, q float64) orderedSample {
	rank, fraction := position7(int64(len(values)), q)
	return orderedSample{values: values, times: make([]int64, len(values)), rank: rank, fraction: fraction}
}

func (s orderedSample) resample(from *Source) float64 {
	clear(s.times)
	n := len(s.values)
	each := indexesOf(n)
	z := uint64(0)
	for r := range n {
		if r%each == 0 {
			z = from.Uint64()
		}
		var i uint64
		i, z = bits.Mul64(z, uint64(n))
		s.times[i]++
	}
	at, left := 0, s.rank
	for ; left >= s.times[at]; at++ {
		left -= s.times[at]
	}
	low := s.values[at]
	if s.fraction == 0 {
		return low
	}
	if left+1 == s.times[at] { // the next one is of another value
		for at++; s.times[at] == 0; at++ {
			continue
		}
	}
	return float64((1-s.fraction)*low) + float64(s.fraction*s.values[at])
}
