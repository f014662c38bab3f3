package stats

import (
	"encoding/binary"
	"errors"
	"math"
	"unicode/utf8"
)

const mixVersion = 1

// The binary form of a mix, version 1, with variable-length integers: 1, grouped
// (0 or 1), and if grouped 64 counts, else n, n times (length of name, name,
// count), ascending by name.

// MarshalBinary returns the mix's only binary form. It does not fail.
func (m Mix) MarshalBinary() ([]byte, error) {
	if m.groups != nil {
		data := []byte{mixVersion, 1}
		for _, n := range m.groups {
			data = appendCount(data, n)
		}
		return data, nil
	}
	data := appendCount([]byte{mixVersion, 0}, int64(len(m.named)))
	for _, c := range m.named {
		data = append(binary.AppendUvarint(data, uint64(len(c.name))), c.name...)
		data = appendCount(data, c.count)
	}
	return data, nil
}

// UnmarshalBinary replaces the mix by what MarshalBinary wrote. It fails,
// changing nothing, on anything else.
func (m *Mix) UnmarshalBinary(data []byte) error {
	r := reader{data: data}
	r.version(mixVersion)
	var o Mix
	total := int64(0)
	count := func() int64 {
		n := r.count(math.MaxInt64 - total)
		total += n
		return n
	}
	if r.count(1) == 1 {
		o.groups = make([]int64, mixLimit)
		for i := range o.groups {
			o.groups[i] = count()
		}
		r.require(r.err != nil || total > mixLimit, "too few runs for groups")
	} else {
		for range r.length(mixLimit, 2) {
			name := r.text()
			n := count()
			r.require(n > 0, "empty category")
			if k := len(o.named); k > 0 && r.err == nil {
				r.require(o.named[k-1].name < name, "names do not ascend")
			}
			o.named = append(o.named, category{name, n})
		}
	}
	if err := r.end(); err != nil {
		return err
	}
	if o.groups == nil && len(o.named) == 0 {
		o = Mix{}
	}
	*m = o
	return nil
}

// text reads a length and as many bytes of UTF-8.
func (r *reader) text() string {
	n := r.length(math.MaxInt32, 1)
	text := string(r.data[:n])
	r.data = r.data[n:]
	if !utf8.ValidString(text) && r.err == nil {
		r.err = errors.New("stats: malformed data: name is not UTF-8")
	}
	return text
}
