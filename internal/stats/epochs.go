package stats

import (
	"cmp"
	"errors"
	"math"
	"slices"
)

// EpochCount counts what the runs of one epoch say about a rate: how many there
// are, and how many of them have the value 1.
type EpochCount struct{ Epoch, Count, Ones int64 }

// EpochCounts keep a rate's counts of each epoch apart, in rising order of the
// epochs, where all else is summed up over a span of them: a base rate that
// drifts must not pool. An empty list stands for a span all of whose runs are
// of its first epoch, which most are; see [EpochCounts.Of].
type EpochCounts []EpochCount

// Add returns the counts with those of an epoch added. Like append it may
// reuse e, which is then not to be used any more.
func (e EpochCounts) Add(epoch, count, ones int64) EpochCounts {
	i, found := slices.BinarySearchFunc(e, epoch, func(c EpochCount, epoch int64) int { return cmp.Compare(c.Epoch, epoch) })
	if !found {
		return slices.Insert(e, i, EpochCount{epoch, count, ones})
	}
	e[i].Count += count
	e[i].Ones += ones
	return e
}

// Of returns the list in full: e, or where e is empty the totals as those of
// the span's first epoch.
func (e EpochCounts) Of(first, count, ones int64) EpochCounts {
	if len(e) > 0 || count == 0 {
		return e
	}
	return EpochCounts{{first, count, ones}}
}

// Totals returns the sums over all epochs.
func (e EpochCounts) Totals() (count, ones int64) {
	for _, c := range e {
		count += c.Count
		ones += c.Ones
	}
	return count, ones
}

const epochCountsVersion = 1

// MarshalBinary returns the only binary form: a version, the number of epochs,
// and of each the distance of its number to the one before and its counts, as
// variable-length integers. It does not fail.
func (e EpochCounts) MarshalBinary() ([]byte, error) {
	data := appendCount([]byte{epochCountsVersion}, int64(len(e)))
	before := int64(0)
	for _, c := range e {
		data = appendCount(appendCount(appendCount(data, c.Epoch-before), c.Count), c.Ones)
		before = c.Epoch
	}
	return data, nil
}

// UnmarshalBinary replaces the counts by what MarshalBinary wrote. It fails,
// changing nothing, on anything else.
func (e *EpochCounts) UnmarshalBinary(data []byte) error {
	r := reader{data: data}
	r.version(epochCountsVersion)
	n := r.length(math.MaxInt32, 3)
	list := make(EpochCounts, n)
	epoch, runs := int64(0), int64(0)
	for i := range list {
		step := r.count(math.MaxInt64 - epoch)
		count := r.count(math.MaxInt64 - runs)
		r.require(step > 0, "epochs do not ascend")
		epoch, runs = epoch+step, runs+count
		list[i] = EpochCount{epoch, count, r.count(count)}
	}
	if err := r.end(); err != nil {
		return err
	}
	if n == 0 {
		return errors.New("stats: malformed data: no epochs")
	}
	*e = list
	return nil
}
