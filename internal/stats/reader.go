package stats

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
)

// reader takes the parts of a binary form off its front. After the first
// failure every part is zero and the failure stays.
type reader struct {
	data []byte
	err  error
}

func (r *reader) fail(reason string) {
	if r.err == nil {
		r.err = errors.New("stats: malformed data: " + reason)
	}
	r.data = nil
}

func (r *reader) require(ok bool, reason string) {
	if !ok {
		r.fail(reason)
	}
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 || n > 1 && r.data[n-1] == 0 { // a padded form would not be the only one
		r.fail("integer")
		return 0
	}
	r.data = r.data[n:]
	return v
}

// count reads an integer that is at most limit, and so fits an int64.
func (r *reader) count(limit int64) int64 {
	v := r.uvarint()
	if v > uint64(limit) {
		r.fail("integer out of range")
		return 0
	}
	return int64(v)
}

// length reads the length of a list whose members take at least size bytes, so
// that no claim makes the reader allocate more than a multiple of the data.
func (r *reader) length(limit int64, size int) int {
	n := r.count(limit)
	if n > int64(len(r.data)/size) {
		r.fail("list is cut short")
		return 0
	}
	return int(n)
}

func (r *reader) varint() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

func (r *reader) float() float64 {
	if len(r.data) < 8 {
		r.fail("number is cut short")
		return 0
	}
	v := math.Float64frombits(binary.BigEndian.Uint64(r.data))
	r.data = r.data[8:]
	return v
}

func (r *reader) version(want byte) {
	if len(r.data) == 0 || r.data[0] != want {
		r.fail("unknown version")
		return
	}
	r.data = r.data[1:]
}

// end returns the first failure, or that something is left over.
func (r *reader) end() error {
	if r.err == nil {
		r.require(len(r.data) == 0, "trailing bytes")
	}
	return r.err
}

// fixed reads what appendFixed wrote, and nothing else: no padding, no negative
// zero, no more than 127 bits, and a whole number only as one.
func (r *reader) fixed(whole bool) Fixed {
	hi, lo := r.wide()
	negative := lo&1 == 1
	m := Fixed{hi: int64(hi >> 1), lo: lo>>1 | hi<<63}
	if whole {
		carry, low := bits.Mul64(m.lo, fixedScale)
		over, high := bits.Mul64(uint64(m.hi), fixedScale)
		high, carry = bits.Add64(high, carry, 0)
		r.require(over == 0 && carry == 0 && high < 1<<63, "decimal out of range")
		m = Fixed{hi: int64(high), lo: low}
	} else {
		r.require(!m.whole(), "decimals of a whole number")
	}
	if !negative {
		return m
	}
	r.require(!m.IsZero(), "negative zero")
	return m.Neg()
}

// wide reads an integer of up to 128 bits.
func (r *reader) wide() (hi, lo uint64) {
	if v, n := binary.Uvarint(r.data); n > 0 {
		r.require(n == 1 || r.data[n-1] != 0, "padded decimal")
		r.data = r.data[min(n, len(r.data)):]
		return 0, v
	}
	for shift := uint(0); shift <= 126; shift += 7 {
		if len(r.data) == 0 {
			break
		}
		last := r.data[0]
		r.data = r.data[1:]
		b := uint64(last & 0x7f)
		if shift < 64 {
			lo |= b << shift
			hi |= b >> (64 - shift)
		} else {
			hi |= b << (shift - 64)
		}
		if last < 0x80 {
			r.require(last != 0 && (shift < 126 || last < 4), "decimal")
			return hi, lo
		}
	}
	r.fail("decimal")
	return 0, 0
}

func appendFloat(data []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(data, math.Float64bits(v))
}

func appendCount(data []byte, v int64) []byte { return binary.AppendUvarint(data, uint64(v)) }
