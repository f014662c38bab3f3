package receipt

import (
	"bytes"
	"math"
	"strconv"
)

// maxSafe is the largest n for which n and n-1 and their negatives are told
// apart by every reader that uses doubles.
const maxSafe = 1<<53 - 1

// checkNumber returns why the JSON number s may not stand in a canonical text,
// or "". A number survives if the shortest decimal that reads back as the same
// double, which is what RFC 8785 writes, is the same decimal as s.
func checkNumber(s []byte) string {
	if safeInteger(s) {
		return ""
	}
	f, err := strconv.ParseFloat(string(s), 64)
	if err != nil && !math.IsInf(f, 0) {
		return "" // no number at all: jsontext says it better
	}
	if math.IsInf(f, 0) {
		return "the number " + clip(s) + " is beyond the range of a double"
	}
	var room [2][32]byte
	want, wantExp := decimal(room[0][:0], s)
	if len(want) == 0 {
		return "" // a zero, however it is written
	}
	if f == 0 {
		return "the number " + clip(s) + " is not zero but a double makes it zero"
	}
	var buf [32]byte
	got, gotExp := decimal(room[1][:0], strconv.AppendFloat(buf[:0], f, 'e', -1, 64))
	if !bytes.Equal(got, want) || gotExp != wantExp {
		return "the number " + clip(s) + " loses digits: a double makes it " +
			strconv.FormatFloat(f, 'g', -1, 64) + "; write it as a string"
	}
	// RFC 8785 writes whole numbers below 1e21 as integers, however they came.
	asInteger := !bytes.ContainsAny(s, ".eE") || math.Abs(f) < 1e21
	if asInteger && math.Abs(f) > maxSafe {
		return "the integer " + clip(s) + " is beyond ±(2^53-1); write it as a string"
	}
	return ""
}

// safeInteger is the quick way for nearly every number there is: an integer of
// at most 15 digits.
func safeInteger(s []byte) bool {
	if len(s) > 0 && s[0] == '-' {
		s = s[1:]
	}
	if len(s) == 0 || len(s) > 15 {
		return false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// decimal returns the significant digits of the JSON number s, without leading
// and trailing zeros and in room if they fit, and the power of ten of the first of them. The digits of
// a zero are empty. An exponent too long to count saturates; such a number is
// zero or infinite and never compared.
func decimal(room, s []byte) (digits []byte, exponent int) {
	if s[0] == '-' {
		s = s[1:]
	}
	mantissa := s
	if i := bytes.IndexAny(s, "eE"); i >= 0 {
		mantissa = s[:i]
		exponent = saturated(s[i+1:])
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	digits = append(append(room, whole...), fraction...)
	exponent += len(whole) - 1
	trimmed := bytes.TrimLeft(digits, "0")
	exponent -= len(digits) - len(trimmed)
	return bytes.TrimRight(trimmed, "0"), exponent
}

func saturated(s []byte) int {
	negative := false
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		negative = s[0] == '-'
		s = s[1:]
	}
	n := 0
	for _, c := range s {
		n = min(n*10+int(c-'0'), 1<<30)
	}
	if negative {
		return -n
	}
	return n
}

func clip(s []byte) string {
	if len(s) > 40 {
		return string(s[:40]) + "…"
	}
	return string(s)
}
