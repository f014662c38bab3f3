package stats

import "math"

// UnitStratum is the units of the two cohorts in one stratum.
type UnitStratum struct{ Candidate, Baseline []Unit }

// Resampling says how a bootstrap is done.
type Resampling struct {
	// Confidence is the two-sided level, in (0, 1).
	Confidence float64
	Seed       Seed
	// Resamples is the number of replicates; at least one is drawn.
	Resamples int
	Method    BootstrapMethod
	// MaxUnits bounds the work, whatever the number of runs and of strata, and
	// must be 0 unless the order of the units says nothing of their values, as
	// in Summary.Units. If above 0, a replicate draws at most MaxUnits units of
	// a cohort, or 8 in each stratum if that is more.
	//
	// With more units than that, the largest strata are cut to one number of
	// groups, at least 64, by joining neighbours. A group is itself resampled as
	// one unit, so the variance and the skewness of the means stay right on
	// average: groups only know the variance less well, to a standard error of
	// sqrt(2/groups), and too small by one part in the number of groups. Where
	// even 64 groups a stratum are too many, fewer are drawn than there are, and
	// the deviation of what was drawn is scaled to the unbiased variance (Rao &
	// Wu 1988).
	MaxUnits int
}

// BootstrapMethod is how replicates become an interval.
type BootstrapMethod int

const (
	// Percentile takes quantiles of the replicates at (1 -+ confidence)/2.
	Percentile BootstrapMethod = iota
	// BCa corrects these shares for bias and skewness (Efron 1987).
	BCa
)

// Means is what one bootstrap says of two cohorts: the intervals of their means
// over all runs, and the difference within strata.
type Means struct {
	Candidate, Baseline Interval
	Difference          Difference
}

// BootstrapMeans returns the intervals of two cohorts' means over runs and of
// their difference, all from the same replicates. The difference combines the
// strata that have both cohorts with the weights n_c n_b/(n_c + n_b) of their
// counts of runs; the mean of a cohort is that of all its runs, so its strata
// weigh as their runs do, each resampled apart. What there are no units for is
// NaN.
//
// The draws are a specification. Replicate r draws from NewSource(seed, r):
// stratum by stratum, the candidate's units before the baseline's, as many as
// there are (but see MaxUnits), with replacement. For n units, each number z of
// 64 bits gives four indexes if n <= 4096, two if n <= 2^24 and else one: the
// index is the high word of the 128-bit product of z and n, and the low word is
// the z of the next. So each combination of the indexes of one number has its
// probability within a factor of 1 -+ n^4/2^64 (2^-24 for 1,024 units), or
// n^2/2^64, or n/2^64. A number's indexes that an arm does not need are lost. Up
// to 4,096 units the first to fourth indexes add to partial sums s, t, u, v and
// the sum is (s+t) + (u+v); beyond, sums run in the order of the draws.
//
// Source: Efron & Tibshirani 1993, chapters 8 and 13; the indexes: Lemire 2019,
// Brackett-Rozinsky & Lemire 2024.
func BootstrapMeans(strata []UnitStratum, how Resampling) Means {
	p := armsOf(strata, how.MaxUnits)
	n := max(how.Resamples, 1)
	candidates, baselines, differences := make([]float64, n), make([]float64, n), make([]float64, n)
	for r := range n {
		from := NewSource(how.Seed, uint64(r))
		m := p.resample(&from)
		candidates[r], baselines[r], differences[r] = m.candidate, m.baseline, m.difference
	}
	estimate := p.plain()
	skew := acceleration{}
	if how.Method == BCa {
		skew = p.acceleration()
	}
	size := math.Abs(estimate.candidate) + math.Abs(estimate.baseline)
	limits := how.interval(differences, estimate.difference, skew.difference, size)
	return Means{
		Candidate:  how.interval(candidates, estimate.candidate, skew.candidate, size),
		Baseline:   how.interval(baselines, estimate.baseline, skew.baseline, size),
		Difference: Difference{Estimate: estimate.difference, Lo: limits.Lo, Hi: limits.Hi},
	}
}

// BootstrapMean returns the difference of BootstrapMeans with its percentile
// interval, all units drawn singly.
func BootstrapMean(strata []UnitStratum, confidence float64, seed Seed, resamples int) Difference {
	return BootstrapMeans(strata, Resampling{Confidence: confidence, Seed: seed, Resamples: resamples}).Difference
}

// BootstrapMeanOne returns the percentile interval of one cohort's mean over
// runs, drawn as BootstrapMeans does; [NaN, NaN] without units.
func BootstrapMeanOne(units []Unit, confidence float64, seed Seed, resamples int) Interval {
	how := Resampling{Confidence: confidence, Seed: seed, Resamples: resamples}
	return BootstrapMeans([]UnitStratum{{Candidate: units}}, how).Candidate
}

// arms is the arms of the two cohorts by stratum.
type arms struct {
	list                          []stratumArms
	candidates, baselines, weight float64 // runs, and weights of strata
}

type stratumArms struct {
	candidate, baseline arm
	weight              float64 // 0 where an arm is empty
}

// The least number of groups and of draws of a stratum, however many strata.
const (
	minGroups = 64
	minDraws  = 8
)

func armsOf(strata []UnitStratum, maxUnits int) arms {
	limits := func(side func(UnitStratum) []Unit) (groups, draws int) {
		if maxUnits <= 0 {
			return math.MaxInt, math.MaxInt
		}
		sizes := make([]int, len(strata))
		for i, s := range strata {
			sizes[i] = len(side(s))
		}
		limit := evenShare(sizes, maxUnits)
		return max(limit, minGroups), max(limit, minDraws)
	}
	candidateGroups, candidateDraws := limits(func(s UnitStratum) []Unit { return s.Candidate })
	baselineGroups, baselineDraws := limits(func(s UnitStratum) []Unit { return s.Baseline })
	all := arms{list: make([]stratumArms, 0, len(strata))}
	for _, s := range strata {
		p := stratumArms{
			candidate: armOf(s.Candidate, candidateGroups, candidateDraws),
			baseline:  armOf(s.Baseline, baselineGroups, baselineDraws),
		}
		p.weight = weight(int64(p.candidate.total.count), int64(p.baseline.total.count))
		all.weight += p.weight
		all.candidates += p.candidate.total.count
		all.baselines += p.baseline.total.count
		all.list = append(all.list, p)
	}
	return all
}

// threeMeans is one value of the statistics, NaN where there are no units.
type threeMeans struct{ candidate, baseline, difference float64 }

// plain returns the statistics of the data.
func (p arms) plain() threeMeans {
	return p.statistics(func(a *arm) float64 { return a.mean() })
}

// resample returns the statistics of one replicate.
func (p arms) resample(from *Source) threeMeans {
	return p.statistics(func(a *arm) float64 { return a.resample(from) })
}

func (p arms) statistics(mean func(*arm) float64) threeMeans {
	var m threeMeans
	for i := range p.list {
		s := &p.list[i]
		c, b := 0.0, 0.0
		if !s.candidate.empty() {
			c = mean(&s.candidate)
			m.candidate += float64(s.candidate.total.count * c)
		}
		if !s.baseline.empty() {
			b = mean(&s.baseline)
			m.baseline += float64(s.baseline.total.count * b)
		}
		m.difference += float64(s.weight * (c - b))
	}
	return threeMeans{
		candidate:  m.candidate / p.candidates, // NaN without units
		baseline:   m.baseline / p.baselines,
		difference: m.difference / p.weight,
	}
}

// interval returns the interval of a statistic from its replicates, which it
// reorders. size is the size of the numbers that the statistic was made of.
func (how Resampling) interval(replicates []float64, estimate, skew, size float64) Interval {
	if math.IsNaN(estimate) {
		return Interval{Lo: estimate, Hi: estimate}
	}
	lo, hi := (1-how.Confidence)/2, (1+how.Confidence)/2
	if how.Method == BCa {
		lo, hi = bcaShares(how.Confidence, midRank(replicates, estimate, size), skew)
	}
	return Interval{Lo: selectQuantile(replicates, lo), Hi: selectQuantile(replicates, hi)}
}
