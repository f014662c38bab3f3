package stats

import (
	"cmp"
	"math"
	"slices"
)

// valuesLimit is the number of units that Values keeps singly.
const valuesLimit = 512

// Values is the values of one metric in one arm of a block: what a permutation
// test needs of them. It keeps the runs and the exact sum of each unit, up to
// the 512 units with the smallest hashes, and of all runs their number and the
// exact sums of the powers one to four, apart for negative values. Integers
// only: it depends on the set of (unit, value) alone, never on the order in
// which they came or on how parts were merged, and its size is bounded. Whether
// there are more than 512 units depends on that set too; the 512 kept are then
// a fair sample, as the hashes know nothing of the values.
//
// The zero value is empty, and it may be copied by assignment: neither copy
// sees the other's changes.
type Values struct {
	units  table[Unit] // those with the smallest hashes
	more   bool        // there are others
	powers [2]powers   // of values >= 0, and of the magnitudes of those < 0
}

// UnitValue is the value of one run of a unit, which is named by its hash.
type UnitValue struct {
	Unit  uint64
	Value float64
}

// ErrTooManyRuns says that values of more than 2^31 runs were to be kept as one.
const ErrTooManyRuns Failure = "stats: values of more than 2^31 runs"

// Add adds the value v of one run of a unit, named by a hash that must be spread
// evenly over 64 bits. A value counts as its nine decimals. Add fails, changing
// nothing, where v is not finite or beyond 10^18 on either side, and beyond
// 2^31 runs.
func (s *Values) Add(v float64, unit uint64) error {
	value, err := FixedOf(v)
	if err != nil {
		return err
	}
	if s.Runs() >= runsLimit {
		return ErrTooManyRuns
	}
	s.count(value)
	if s.more && unit > s.units.last() {
		return nil
	}
	s.units = s.units.add(unit, Unit{Count: 1, Sum: value})
	if s.units.size > valuesLimit {
		s.units, s.more = tableOf(s.units.cells()[:valuesLimit]), true
	}
	return nil
}

// ValuesOf returns the values of a list of runs. It is Add for each of them, but
// sorts once. It fails as Add does.
func ValuesOf(runs []UnitValue) (Values, error) {
	if len(runs) > runsLimit {
		return Values{}, ErrTooManyRuns
	}
	var s Values
	list := make([]cell[Unit], 0, len(runs))
	for _, r := range runs {
		value, err := FixedOf(r.Value)
		if err != nil {
			return Values{}, err
		}
		s.count(value)
		list = append(list, cell[Unit]{r.Unit, Unit{Count: 1, Sum: value}})
	}
	slices.SortFunc(list, func(a, b cell[Unit]) int { return cmp.Compare(a.key, b.key) })
	distinct := list[:0]
	for _, c := range list {
		if n := len(distinct); n > 0 && distinct[n-1].key == c.key {
			distinct[n-1].value = distinct[n-1].value.plus(c.value)
			continue
		}
		distinct = append(distinct, c)
	}
	s.more = len(distinct) > valuesLimit
	s.units = tableOf(distinct[:min(len(distinct), valuesLimit)])
	return s, nil
}

func (s *Values) count(value Fixed) {
	magnitude, negative := value.magnitude()
	side := 0
	if negative {
		side = 1
	}
	s.powers[side] = s.powers[side].with(magnitude)
}

// Merge adds all of o's runs. It fails, changing nothing, beyond 2^31 runs.
func (s *Values) Merge(o Values) error {
	if s.Runs()+o.Runs() > runsLimit {
		return ErrTooManyRuns
	}
	// A unit among the smallest hashes of all is among the smallest of every
	// part in which it occurs, so its runs are complete.
	all := combine(s.units, o.units)
	s.more = s.more || o.more || len(all) > valuesLimit
	s.units = tableOf(all[:min(len(all), valuesLimit)])
	for side := range s.powers {
		s.powers[side] = s.powers[side].plus(o.powers[side])
	}
	return nil
}

// Runs returns the number of runs.
func (s Values) Runs() int64 { return s.powers[0].n + s.powers[1].n }

// Units returns the number of units; beyond 512, where they are no longer told
// apart, the number of runs.
func (s Values) Units() int64 {
	if s.more {
		return s.Runs()
	}
	return int64(s.units.size)
}

// Mean returns the mean over runs, NaN when there are none.
func (s Values) Mean() float64 {
	if s.Runs() == 0 {
		return math.NaN()
	}
	return s.sum().Float64() / float64(s.Runs())
}

func (s Values) sum() Fixed {
	return s.powers[0].sums[0].fixed().Sub(s.powers[1].sums[0].fixed())
}

// fixed is a sum of first powers, which fits.
func (w wide) fixed() Fixed { return Fixed{hi: int64(w[1]), lo: w[0]} }

// last returns the greatest key of a table that is not empty.
func (t table[V]) last() uint64 {
	chunk := t.chunks[len(t.chunks)-1]
	return chunk[len(chunk)-1].key
}
