package stats

import (
	"encoding/binary"
	"errors"
	"math"
)

const summaryVersion = 1

// The binary form of a summary, version 1. Integers are variable-length, seven
// bits a byte, least significant first; keys are written as the distance to the
// one before them, so that every list is ascending by construction:
//
//	1, count, ones, zeros, tally(count, sum), grouped (0 or 1),
//	n, n times (key of unit or group, tally),
//	if grouped: n, n times (hash, count),
//	n, n times (key of bin, count)
//
// A tally is count*2 + whole and the sum as sign and magnitude (sign lowest), in
// billionths, or in ones where whole is 1 because no decimals are needed.

// MarshalBinary returns the summary's only binary form. It does not fail.
func (s Summary) MarshalBinary() ([]byte, error) {
	data := make([]byte, 0, 64+15*s.units.cells.size+10*s.units.sample.size+6*s.bins.size)
	data = append(data, summaryVersion)
	data = appendCount(data, s.count)
	data = appendCount(data, s.ones)
	data = appendCount(data, s.zeros)
	data = appendUnit(data, Unit{Count: s.count, Sum: s.sum})
	grouped := int64(0)
	if s.units.grouped {
		grouped = 1
	}
	data = appendCount(data, grouped)
	data = appendTable(data, s.units.cells, appendUnit)
	if s.units.grouped {
		data = appendTable(data, s.units.sample, appendRuns)
	}
	return appendTable(data, s.bins, appendRuns), nil
}

// UnmarshalBinary replaces the summary by what MarshalBinary wrote. It fails,
// changing nothing, on anything else: the counts must agree with each other,
// and every part is checked for its only form as it is read.
func (s *Summary) UnmarshalBinary(data []byte) error {
	r := reader{data: data}
	r.version(summaryVersion)
	var o Summary
	o.count, o.ones, o.zeros = r.count(math.MaxInt64), r.count(math.MaxInt64), r.count(math.MaxInt64)
	whole := r.unit()
	o.sum = whole.Sum
	o.units.grouped = r.count(1) == 1
	o.units.cells = readTable(&r, unitLimit, (*reader).unit)
	if o.units.grouped {
		o.units.sample = readTable(&r, sampleLimit, (*reader).runs)
	}
	o.bins = readTable(&r, 2*binLast+3, (*reader).runs)
	if err := r.end(); err != nil {
		return err
	}
	if whole.Count != o.count || !o.consistent() {
		return errors.New("stats: malformed summary: counts do not agree")
	}
	*s = o
	return nil
}

// consistent reports whether the parts of the summary could be of one set of
// runs.
func (s Summary) consistent() bool {
	var all Unit
	for _, chunk := range s.units.cells.chunks {
		for _, c := range chunk {
			if c.value.Count <= 0 || c.value.Count > s.count-all.Count {
				return false
			}
			all = all.plus(c.value)
		}
	}
	if all != (Unit{Count: s.count, Sum: s.sum}) {
		return false
	}
	return s.binned() && s.units.consistent()
}

func (s Summary) binned() bool {
	binned, ones, zeros := runs(0), runs(0), runs(0)
	for _, chunk := range s.bins.chunks {
		for _, c := range chunk {
			if c.value <= 0 || c.value > runs(s.count)-binned {
				return false
			}
			binned += c.value
			switch binOfKey(c.key) {
			case 0:
				zeros = c.value
			case BinOf(1):
				ones = c.value
			}
			if b := int64(c.key) - binOffset; b < -binLast-1 || b > binLast+1 {
				return false
			}
		}
	}
	return binned == runs(s.count) && zeros == runs(s.zeros) && ones >= runs(s.ones)
}

func (u units) consistent() bool {
	if !u.grouped {
		return true
	}
	if u.sample.size != sampleLimit {
		return false
	}
	sampled := int64(0)
	for _, c := range u.sample.cells() {
		if c.value <= 0 || c.value > math.MaxInt64-runs(sampled) {
			return false
		}
		sampled += int64(c.value)
	}
	last := u.cells.chunks[len(u.cells.chunks)-1]
	return last[len(last)-1].key < unitLimit
}

func appendUnit(data []byte, u Unit) []byte {
	whole := u.Sum.whole()
	first := uint64(u.Count) << 1
	if whole {
		first |= 1
	}
	return appendFixed(binary.AppendUvarint(data, first), u.Sum, whole)
}

func (r *reader) unit() Unit {
	first := r.uvarint()
	return Unit{Count: int64(first >> 1), Sum: r.fixed(first&1 == 1)}
}

func appendRuns(data []byte, v runs) []byte { return appendCount(data, int64(v)) }

func (r *reader) runs() runs { return runs(r.count(math.MaxInt64)) }

func appendTable[V tally[V]](data []byte, t table[V], appendValue func([]byte, V) []byte) []byte {
	data = appendCount(data, int64(t.size))
	before := uint64(0)
	for _, chunk := range t.chunks {
		for _, c := range chunk {
			data = appendValue(binary.AppendUvarint(data, c.key-before), c.value)
			before = c.key
		}
	}
	return data
}

// readTable reads at most limit cells, whose keys must ascend.
func readTable[V tally[V]](r *reader, limit int64, value func(*reader) V) table[V] {
	n := r.length(limit, 2)
	cells := make([]cell[V], 0, n)
	before := uint64(0)
	for i := range n {
		step := r.uvarint()
		r.require(i == 0 || step > 0 && before+step > before, "keys do not ascend")
		before += step
		cells = append(cells, cell[V]{before, value(r)})
	}
	if r.err != nil {
		return table[V]{}
	}
	return tableOf(cells)
}

// MarshalText returns the binary form in base 64, so that a summary can stand in a JSON document.
func (s Summary) MarshalText() ([]byte, error) { return marshalText(s) }

// UnmarshalText reads what MarshalText wrote, as strictly as UnmarshalBinary.
func (s *Summary) UnmarshalText(text []byte) error { return unmarshalText(text, s) }
