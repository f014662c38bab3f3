package receipt

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// scanner recognises canonical texts, and nothing else, in one pass and without
// memory. It is the verifier's own reading of RFC 8785, independent of the
// canonicaliser that receipts are written with: a fault of either one shows as
// a disagreement when a receipt is sealed, before it is logged.
type scanner struct {
	src []byte
	pos int
}

// member is a member of a canonical object, as spelled there.
type member struct {
	name  []byte // with its quotes
	value []byte
}

// scanCanonical reports whether src is a canonical text within l.
func (l Limits) scanCanonical(src []byte) bool {
	s := scanner{src: src}
	return len(src) <= or(l.Bytes, MaxBytes) && s.value(or(l.Depth, MaxDepth)) && s.pos == len(src)
}

// scanMembers returns the members of src, a canonical object, added to dst.
func (l Limits) scanMembers(dst []member, src []byte) (members []member, ok bool) {
	s := scanner{src: src}
	if len(src) > or(l.Bytes, MaxBytes) || s.peek() != '{' {
		return nil, false
	}
	dst, ok = s.object(or(l.Depth, MaxDepth), dst, true)
	return dst, ok && s.pos == len(src)
}

// peek returns the next byte, or 0 at the end; no canonical text holds a 0.
func (s *scanner) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

func (s *scanner) literal(text string) bool {
	if !bytes.HasPrefix(s.src[s.pos:], []byte(text)) {
		return false
	}
	s.pos += len(text)
	return true
}

// value takes one value that nests at most depth levels.
func (s *scanner) value(depth int) bool {
	switch s.peek() {
	case '{':
		_, ok := s.object(depth, nil, false)
		return ok
	case '[':
		return s.array(depth)
	case '"':
		return s.text()
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	}
	return s.number()
}

func (s *scanner) array(depth int) bool {
	if s.pos++; depth == 0 {
		return false
	}
	if s.take(']') {
		return true
	}
	for {
		if !s.value(depth - 1) {
			return false
		}
		if !s.take(',') {
			return s.take(']')
		}
	}
}

// object takes an object and, if keep is set, adds its members to dst. Names
// that strictly ascend are sorted and without a duplicate.
func (s *scanner) object(depth int, dst []member, keep bool) ([]member, bool) {
	if s.pos++; depth == 0 {
		return dst, false
	}
	if s.take('}') {
		return dst, true
	}
	for previous := []byte(nil); ; {
		start := s.pos
		if s.peek() != '"' || !s.text() {
			return dst, false
		}
		name := s.src[start:s.pos]
		if previous != nil && !ascend(previous, name) {
			return dst, false
		}
		previous = name
		if !s.take(':') {
			return dst, false
		}
		start = s.pos
		if !s.value(depth - 1) {
			return dst, false
		}
		if keep {
			dst = append(dst, member{name, s.src[start:s.pos]})
		}
		if !s.take(',') {
			return dst, s.take('}')
		}
	}
}

// text takes a string in its one spelling: only what must be escaped is.
func (s *scanner) text() bool {
	for i := s.pos + 1; i < len(s.src); {
		switch c := s.src[i]; {
		case c == '"':
			s.pos = i + 1
			return true
		case c == '\\':
			n := escape(s.src[i:])
			if n == 0 {
				return false
			}
			i += n
		case c < ' ':
			return false
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(s.src[i:])
			if r == utf8.RuneError && n == 1 {
				return false
			}
			i += n
		}
	}
	return false
}

// escape returns the length of the escape that b begins with, or 0 where RFC
// 8785 would not write it. \u0000 is not among those that we allow.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', 'b', 'f', 'n', 'r', 't':
		return 2
	}
	if len(b) < 6 || !bytes.HasPrefix(b, []byte(`\u00`)) || b[4] > '1' || !isHexDigit(b[4]) || !isHexDigit(b[5]) {
		return 0
	}
	switch string(b[4:6]) {
	case "00", "08", "09", "0a", "0c", "0d":
		return 0
	}
	return 6
}

// number takes a number whose text is what RFC 8785 writes for its value.
func (s *scanner) number() bool {
	end := numberEnd(s.src, s.pos)
	if s.pos >= len(s.src) || end-s.pos > 32 { // the longest canonical number has 25
		return false
	}
	text := s.src[s.pos:end]
	s.pos = end
	if safeInteger(text) {
		digits := bytes.TrimPrefix(text, []byte("-"))
		return digits[0] != '0' || len(text) == 1
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || f == 0 {
		return false
	}
	var buf [40]byte
	canonical := appendNumber(buf[:0], f)
	return bytes.Equal(text, canonical) && (math.Abs(f) <= maxSafe || bytes.IndexByte(canonical, 'e') >= 0)
}

// appendNumber writes f, finite and not zero, as ECMAScript does.
func appendNumber(dst []byte, f float64) []byte {
	if a := math.Abs(f); 1e-6 <= a && a < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	// Go pads the exponent to two digits.
	if n := len(dst); dst[n-2] == '0' && (dst[n-3] == '-' || dst[n-3] == '+') {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// ascend reports whether name a, quoted as spelled, sorts before b by UTF-16
// code units.
func ascend(a, b []byte) bool {
	a, b = unquoted(a), unquoted(b)
	i := firstDifference(a, b)
	if i == len(a) || i == len(b) {
		return len(a) < len(b)
	}
	// UTF-8 sorts by code point. UTF-16 differs in one thing: what it needs
	// surrogates for (lead byte F0 and up) comes before U+E000 to U+FFFF (EE, EF).
	x, y := a[i], b[i]
	if x >= 0xee && y >= 0xee && (x >= 0xf0) != (y >= 0xf0) {
		return x >= 0xf0
	}
	return x < y
}

// unquoted returns the characters of a string that the scanner took.
func unquoted(text []byte) []byte {
	if bytes.IndexByte(text, '\\') < 0 {
		return text[1 : len(text)-1]
	}
	// What the scanner took cannot fail to unquote.
	out, _ := jsontext.AppendUnquote(nil, text)
	return out
}
