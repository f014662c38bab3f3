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
	// MaxUnits, if above 0, bounds the work, whatever the number of runs and of
	// strata: a replicate draws at most so many units of a cohort. It must be 0
	// unless the order of the units says nothing of their values, as in
	// Summary.Units.
	//
	// A cohort with more units, or in more than 16 strata, is linearised: the
	// influences of its units on the statistic, (sum - mean count)/runs with the
	// mean and the runs of the stratum, are dealt out in turn to MaxUnits groups
	// (or fewer units), and a replicate adds as many groups, drawn with
	// replacement, to the statistic of the data. Influences add to 0 within a
	// stratum, so the strata need not be kept apart: the sums of their squares
	// and cubes, which are the variance and the skewness of a bootstrap that
	// does, are also those of one that does not. Groups keep both on average,
	// because no group gets two units of a stratum that has no more units than
	// there are groups; they only know the variance to a standard error of
	// sqrt(2/groups), 4.4 % of it for 1,024.
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
// The draws are a specification. Replicate r draws from NewSource(seed, r): the
// candidate's units stratum by stratum, then the baseline's, in each as many as
// there are (but see MaxUnits), with replacement. For n units, each number z of
// 64 bits gives four indexes if n <= 4096, two if n <= 2^24 and else one: the
// index is the high word of the 128-bit product of z and n, and the low word is
// the z of the next. So each combination of the indexes of one number has its
// probability within a factor of 1 -+ n^4/2^64 (2^-24 for 1,024 units), or
// n^2/2^64, or n/2^64. A number's indexes that a stratum does not need are lost.
// Up to 4,096 units the first to fourth indexes add to partial sums s, t, u, v
// and the sum is (s+t) + (u+v); beyond, sums run in the order of the draws.
//
// Source: Efron & Tibshirani 1993, chapters 8 and 13; the indexes: Lemire 2019,
// Brackett-Rozinsky & Lemire 2024.
func BootstrapMeans(strata []UnitStratum, how Resampling) Means {
	candidate, baseline, both := cohortsOf(strata, how.MaxUnits)
	n := max(how.Resamples, 1)
	candidates, baselines, differences := make([]float64, n), make([]float64, n), make([]float64, n)
	for r := range n {
		from := NewSource(how.Seed, uint64(r))
		c := candidate.resample(&from)
		b := baseline.resample(&from)
		candidates[r], baselines[r], differences[r] = c.mean, b.mean, c.part-b.part
	}
	nothing := Interval{Lo: math.NaN(), Hi: math.NaN()}
	m := Means{Candidate: nothing, Baseline: nothing, Difference: Difference{Estimate: math.NaN(), Lo: math.NaN(), Hi: math.NaN()}}
	c, b := candidate.plain, baseline.plain
	skew := acceleration{}
	if how.Method == BCa {
		skew = accelerationOf(&candidate, &baseline)
	}
	size := math.Abs(c.mean) + math.Abs(b.mean)
	if len(candidate.arms) > 0 {
		m.Candidate = how.interval(candidates, c.mean, skew.candidate, size)
	}
	if len(baseline.arms) > 0 {
		m.Baseline = how.interval(baselines, b.mean, skew.baseline, size)
	}
	if both {
		limits := how.interval(differences, c.part-b.part, skew.difference, size)
		m.Difference = Difference{Estimate: c.part - b.part, Lo: limits.Lo, Hi: limits.Hi}
	}
	return m
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

// maxStrata is the most strata that are resampled apart where the work is bounded.
const maxStrata = 16

// cohortsOf lays out both cohorts and reports whether a stratum has both.
func cohortsOf(strata []UnitStratum, maxUnits int) (candidate, baseline cohort, both bool) {
	candidates, baselines := make([][]Unit, len(strata)), make([][]Unit, len(strata))
	weights, total := make([]float64, len(strata)), 0.0
	for k, s := range strata {
		candidates[k], baselines[k] = s.Candidate, s.Baseline
		weights[k] = weight(runsOf(s.Candidate), runsOf(s.Baseline))
		total += weights[k]
	}
	if both = total > 0; both {
		for k := range weights {
			weights[k] /= total
		}
	}
	return cohortOf(candidates, weights, maxUnits), cohortOf(baselines, weights, maxUnits), both
}

func runsOf(units []Unit) int64 {
	n := int64(0)
	for _, u := range units {
		n += max(u.Count, 0)
	}
	return n
}

// interval returns the interval of a statistic from its replicates, which it
// reorders. size is the size of the numbers that the statistic was made of.
func (how Resampling) interval(replicates []float64, estimate, skew, size float64) Interval {
	lo, hi := (1-how.Confidence)/2, (1+how.Confidence)/2
	if how.Method == BCa {
		lo, hi = bcaShares(how.Confidence, midRank(replicates, estimate, size), skew)
	}
	return Interval{Lo: selectQuantile(replicates, lo), Hi: selectQuantile(replicates, hi)}
}
