package stats

import (
	"errors"
	"math"
)

// Summary is what is kept of one metric of one cohort in one stratum: counts,
// an exact sum, the units that the bootstrap resamples and a histogram for
// quantiles. It has integers only, so it depends on the set of (unit, value)
// alone, never on the order in which they came or on how parts were merged, and
// its size is bounded whatever the number of runs. The zero value is empty, and
// a Summary may be copied by assignment: neither copy sees the other's changes.
type Summary struct {
	count, ones, zeros int64
	sum                Fixed
	units              units
	bins               table[runs]
}

// runs is a count of runs.
type runs int64

func (r runs) plus(o runs) runs { return r + o }

// Add adds the value v of one run of a unit, named by a hash that must be spread
// evenly over 64 bits (such as the first 8 bytes of a SHA-256). Runs of one unit
// are not independent and are resampled together; a run that is its own unit
// takes the hash of its own id. A value counts as its nine decimals. Add fails,
// changing nothing, where v is not finite or beyond 10^18 on either side.
func (s *Summary) Add(v float64, unit uint64) error {
	value, err := FixedOf(v)
	if err != nil {
		return err
	}
	if s.count == math.MaxInt64 {
		return errors.New("stats: summary is full")
	}
	s.count++
	switch value {
	case Fixed{}:
		s.zeros++
	case Fixed{lo: fixedScale}:
		s.ones++
	}
	s.sum = s.sum.Add(value)
	s.units = s.units.add(unit, Unit{Count: 1, Sum: value})
	s.bins = s.bins.add(BinOf(value.Float64()).key(), 1)
	return nil
}

// Merge adds all of o's runs.
func (s *Summary) Merge(o Summary) {
	s.count += o.count
	s.ones += o.ones
	s.zeros += o.zeros
	s.sum = s.sum.Add(o.sum)
	s.units = s.units.merge(o.units)
	s.bins = tableOf(combine(s.bins, o.bins))
}

// MergeValues adds the values of all of o's runs, without their units, which
// are most of the work: afterwards s has everything but units to resample.
func (s *Summary) MergeValues(o Summary) {
	o.units, s.units = units{}, units{}
	s.Merge(o)
}

// Count returns the number of runs.
func (s Summary) Count() int64 { return s.count }

// Ones returns the number of runs whose value is 1.
func (s Summary) Ones() int64 { return s.ones }

// Zeros returns the number of runs whose value is 0.
func (s Summary) Zeros() int64 { return s.zeros }

// Boolean reports whether every value is 0 or 1, as of no value it is.
func (s Summary) Boolean() bool { return s.ones+s.zeros == s.count }

// Sum returns the exact sum of the values.
func (s Summary) Sum() Fixed { return s.sum }

// Mean returns the mean value, NaN when the summary is empty.
func (s Summary) Mean() float64 {
	if s.count == 0 {
		return math.NaN()
	}
	return s.sum.Float64() / float64(s.count)
}

// Units returns the runs and the sum of each unit, in the order of their hashes:
// of each unit while there are at most 1,024, beyond that of 1,024 groups of
// units with the same leading bits of the hash (empty groups are left out).
func (s Summary) Units() []Unit { return s.units.list() }

// Clustered reports whether some unit has more than one run. Beyond 1,024 units
// it looks at the 256 with the smallest hashes, a fair sample that, unlike a
// memory of what was once seen, does not depend on the order of the runs.
func (s Summary) Clustered() bool { return s.units.clustered() }
