package stats

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"math/big"
)

const valuesVersion = 1

// The binary form of values, version 1. Integers are variable-length, seven
// bits a byte, least significant first; hashes are written as the distance to
// the one before them, tallies as in a summary:
//
//	1, kind,
//	n, n times (hash, tally),
//	if kind is not 0, for values >= 0 and then for those < 0:
//	n, and if that is not 0 four times (length, bytes of the sum, big endian)
//
// where kind is 0 when every unit has one run, so that the sums of powers
// follow from them, 1 when some unit has more, 2 when there are further units.

func (s Values) kind() int64 {
	if s.more {
		return 2
	}
	if int64(s.units.size) != s.Runs() {
		return 1
	}
	return 0
}

// MarshalBinary returns the values' only binary form. It does not fail.
func (s Values) MarshalBinary() ([]byte, error) {
	data := make([]byte, 0, 64+20*s.units.size)
	data = append(data, valuesVersion)
	data = appendCount(data, s.kind())
	data = appendTable(data, s.units, appendUnit)
	if s.kind() == 0 {
		return data, nil
	}
	for _, p := range s.powers {
		data = appendCount(data, p.n)
		if p.n == 0 {
			continue
		}
		for _, sum := range p.sums {
			bytes := sum.big().Bytes()
			data = append(appendCount(data, int64(len(bytes))), bytes...)
		}
	}
	return data, nil
}

// UnmarshalBinary replaces the values by what MarshalBinary wrote. It fails,
// changing nothing, on anything else: the sums must be those of some values.
func (s *Values) UnmarshalBinary(data []byte) error {
	r := reader{data: data}
	r.version(valuesVersion)
	var o Values
	kind := r.count(2)
	o.more = kind == 2
	o.units = readTable(&r, valuesLimit, (*reader).unit)
	if kind == 0 {
		for _, c := range o.units.cells() {
			o.count(c.value.Sum)
		}
	} else {
		for side := range o.powers {
			o.powers[side] = r.powers()
		}
	}
	if err := r.end(); err != nil {
		return err
	}
	if kind != o.kind() || !o.consistent() {
		return errors.New("stats: malformed values: counts do not agree")
	}
	if again, _ := o.MarshalBinary(); !bytes.Equal(again, data) {
		return errors.New("stats: malformed values: not in canonical form")
	}
	*s = o
	return nil
}

// MarshalText returns the binary form in base64, for JSON.
func (s Values) MarshalText() ([]byte, error) { return marshalText(s) }

// UnmarshalText replaces the values by what MarshalText wrote. It fails,
// changing nothing, on anything else.
func (s *Values) UnmarshalText(text []byte) error { return unmarshalText(text, s) }

func marshalText(v encoding) ([]byte, error) {
	data, err := v.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.AppendEncode(nil, data), nil
}

func unmarshalText(text []byte, v decoding) error {
	if bytes.ContainsAny(text, "\r\n") { // which the decoder would skip
		return errors.New("stats: malformed text: line break")
	}
	data, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
	if err != nil {
		return err
	}
	return v.UnmarshalBinary(data)
}

type encoding interface{ MarshalBinary() ([]byte, error) }

type decoding interface{ UnmarshalBinary([]byte) error }

// consistent reports whether the parts could be of one set of runs.
func (s Values) consistent() bool {
	var all Unit
	for _, c := range s.units.cells() {
		u := c.value
		if u.Count <= 0 || u.Count > s.Runs()-all.Count || !within(u.Sum.big(), u.Count, 1) {
			return false
		}
		all = all.plus(u)
	}
	if s.Runs() > runsLimit || !s.powers[0].consistent() || !s.powers[1].consistent() {
		return false
	}
	if s.more {
		return s.units.size == valuesLimit && all.Count < s.Runs()
	}
	return all == Unit{Count: s.Runs(), Sum: s.sum()}
}

// consistent reports whether these can be sums of powers: each within its
// bound, and the matrix of moments without a negative principal minor
// (Hamburger's condition), so that no variance can come out below 0.
func (p powers) consistent() bool {
	if p.n == 0 {
		return p == powers{}
	}
	m := [5]*big.Int{big.NewInt(p.n)}
	for k, sum := range p.sums {
		if m[k+1] = sum.big(); !within(m[k+1], p.n, int64(k+1)) {
			return false
		}
	}
	minor := func(a, b, c, d int) *big.Int { // m_a m_b - m_c m_d
		v := new(big.Int).Mul(m[a], m[b])
		return v.Sub(v, new(big.Int).Mul(m[c], m[d]))
	}
	whole := new(big.Int).Mul(m[0], minor(2, 4, 3, 3))
	whole.Sub(whole, new(big.Int).Mul(m[1], minor(1, 4, 2, 3)))
	whole.Add(whole, new(big.Int).Mul(m[2], minor(1, 3, 2, 2)))
	return minor(0, 2, 1, 1).Sign() >= 0 && minor(0, 4, 2, 2).Sign() >= 0 && minor(2, 4, 3, 3).Sign() >= 0 && whole.Sign() >= 0
}

// within reports whether |sum| is at most n times the power of 10^18, in
// billionths.
func within(sum *big.Int, n, power int64) bool {
	bound := new(big.Int).Exp(big.NewInt(10), big.NewInt(27*power), nil)
	return sum.CmpAbs(bound.Mul(bound, big.NewInt(n))) <= 0
}

func (r *reader) powers() powers {
	p := powers{n: r.count(runsLimit)}
	if p.n == 0 {
		return powers{}
	}
	for k := range p.sums {
		p.sums[k] = r.power()
	}
	return p
}

// power reads an integer of at most 56 bytes, the first of them not 0.
func (r *reader) power() wide {
	n := r.length(math.MaxInt32, 1)
	if n > 56 || n > 0 && r.data[0] == 0 {
		r.fail("integer")
		return wide{}
	}
	var bytes [56]byte
	copy(bytes[56-n:], r.data[:n])
	r.data = r.data[n:]
	var w wide
	for i := range w {
		w[i] = binary.BigEndian.Uint64(bytes[48-8*i:])
	}
	return w
}
