package stats

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"strconv"
)

// Fixed is an exact decimal number: an integer of 128 bits, in two's
// complement, counting billionths. Adding is associative, which adding floats is
// not, so a sum does not depend on its order. The zero value is 0, and equal
// numbers are equal by ==. It holds sums of more than 10^11 values of 10^18.
type Fixed struct {
	hi int64
	lo uint64
}

const (
	fixedScale = 1_000_000_000
	fixedLimit = 1e18
)

// FixedOf returns the number whose shortest decimal that reads back as v is
// meant, rounded half to even at nine decimals: 0.1 is exactly a tenth. It
// fails where v is not finite or beyond 10^18 on either side.
func FixedOf(v float64) (Fixed, error) {
	if !(v >= -fixedLimit && v <= fixedLimit) {
		return Fixed{}, errors.New("stats: value is not finite or beyond 1e18")
	}
	if whole := int64(v); float64(whole) == v && whole >= -1<<53 && whole <= 1<<53 {
		return fixedInt(whole), nil // its shortest decimal is itself
	}
	var buffer [32]byte
	text := strconv.AppendFloat(buffer[:0], v, 'e', -1, 64)
	digits, exponent, negative := scanFloat(text)
	f := Fixed{lo: digits}
	if exponent += 9; exponent >= 0 {
		for ; exponent > 0; exponent-- {
			f = f.times10()
		}
	} else {
		f.lo = divideEven(digits, -exponent)
	}
	if negative {
		return f.Neg(), nil
	}
	return f, nil
}

// scanFloat reads "-d.ddde±xx" into an integer and a power of ten.
func scanFloat(text []byte) (digits uint64, exponent int, negative bool) {
	i, fraction, point := 0, 0, false
	if text[0] == '-' {
		negative, i = true, 1
	}
	for ; text[i] != 'e'; i++ {
		if text[i] == '.' {
			point = true
			continue
		}
		digits = digits*10 + uint64(text[i]-'0')
		if point {
			fraction++
		}
	}
	below := text[i+1] == '-'
	for _, c := range text[i+2:] {
		exponent = exponent*10 + int(c-'0')
	}
	if below {
		exponent = -exponent
	}
	return digits, exponent - fraction, negative
}

// divideEven divides an integer of at most 17 digits by a power of ten, half to
// even.
func divideEven(digits uint64, power int) uint64 {
	if power > 17 {
		return 0
	}
	unit := uint64(1)
	for ; power > 0; power-- {
		unit *= 10
	}
	quotient, twice := digits/unit, 2*(digits%unit)
	if twice > unit || twice == unit && quotient&1 == 1 {
		quotient++
	}
	return quotient
}

func fixedInt(v int64) Fixed {
	if v < 0 {
		return fixedMagnitude(uint64(-v)).Neg()
	}
	return fixedMagnitude(uint64(v))
}

func fixedMagnitude(v uint64) Fixed {
	hi, lo := bits.Mul64(v, fixedScale)
	return Fixed{hi: int64(hi), lo: lo}
}

func (f Fixed) times10() Fixed {
	hi, lo := bits.Mul64(f.lo, 10)
	return Fixed{hi: f.hi*10 + int64(hi), lo: lo}
}

// Add returns f + g, modulo 2^128 billionths.
func (f Fixed) Add(g Fixed) Fixed {
	lo, carry := bits.Add64(f.lo, g.lo, 0)
	return Fixed{hi: f.hi + g.hi + int64(carry), lo: lo}
}

// Sub returns f - g, modulo 2^128 billionths.
func (f Fixed) Sub(g Fixed) Fixed {
	lo, borrow := bits.Sub64(f.lo, g.lo, 0)
	return Fixed{hi: f.hi - g.hi - int64(borrow), lo: lo}
}

// Neg returns -f.
func (f Fixed) Neg() Fixed { return Fixed{}.Sub(f) }

// Cmp returns -1 when f < g, 0 when they are equal and +1 when f > g.
func (f Fixed) Cmp(g Fixed) int {
	switch {
	case f == g:
		return 0
	case f.hi < g.hi || f.hi == g.hi && f.lo < g.lo:
		return -1
	}
	return 1
}

// IsZero reports whether f is 0.
func (f Fixed) IsZero() bool { return f == Fixed{} }

// Float64 returns the float nearest to f.
func (f Fixed) Float64() float64 {
	magnitude, negative := f.magnitude()
	if magnitude.hi == 0 && magnitude.lo <= 1<<53 {
		// Both are exact, so the one division rounds once.
		v := float64(magnitude.lo) / fixedScale
		if negative {
			return -v
		}
		return v
	}
	var buffer [48]byte
	v, err := strconv.ParseFloat(string(f.appendDecimal(buffer[:0])), 64)
	if err != nil {
		return math.NaN() // not reachable: the text is a plain decimal
	}
	return v
}

// String returns f as a plain decimal without trailing zeros.
func (f Fixed) String() string { return string(f.appendDecimal(nil)) }

// magnitude returns |f| as an unsigned number in the same two words.
func (f Fixed) magnitude() (Fixed, bool) {
	if f.hi < 0 {
		return f.Neg(), true
	}
	return f, false
}

func (f Fixed) appendDecimal(text []byte) []byte {
	m, negative := f.magnitude()
	if negative {
		text = append(text, '-')
	}
	rest, fraction := m.divide(fixedScale)
	high, low := rest.divide(fixedScale * fixedScale) // 2^127/10^9 is below 10^30
	if high.lo > 0 {
		text = strconv.AppendUint(text, high.lo, 10)
		text = appendPadded(text, low, 18)
	} else {
		text = strconv.AppendUint(text, low, 10)
	}
	if fraction == 0 {
		return text
	}
	text = appendPadded(append(text, '.'), fraction, 9)
	for text[len(text)-1] == '0' {
		text = text[:len(text)-1]
	}
	return text
}

// divide returns quotient and remainder of an unsigned 128-bit number.
func (f Fixed) divide(by uint64) (Fixed, uint64) {
	hi, rest := bits.Div64(0, uint64(f.hi), by)
	lo, rest := bits.Div64(rest, f.lo, by)
	return Fixed{hi: int64(hi), lo: lo}, rest
}

func appendPadded(text []byte, v uint64, width int) []byte {
	unit := uint64(1)
	for i := 1; i < width; i++ {
		unit *= 10
	}
	for ; unit > 0; unit /= 10 {
		text = append(text, byte('0'+v/unit%10))
	}
	return text
}

// appendFixed appends f as a zigzag variable-length integer of seven bits a
// byte, least significant first; whole leaves out the nine decimals.
func appendFixed(data []byte, f Fixed, whole bool) []byte {
	m, negative := f.magnitude()
	if whole {
		m, _ = m.divide(fixedScale)
	}
	hi, lo := uint64(m.hi)<<1|m.lo>>63, m.lo<<1
	if negative {
		lo |= 1
	}
	for hi != 0 {
		data = append(data, byte(lo)|0x80)
		lo, hi = lo>>7|hi<<57, hi>>7
	}
	return binary.AppendUvarint(data, lo)
}

func (f Fixed) whole() bool {
	m, _ := f.magnitude()
	if m.hi == 0 {
		return m.lo%fixedScale == 0
	}
	_, fraction := m.divide(fixedScale)
	return fraction == 0
}
