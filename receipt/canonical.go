package receipt

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds on a JSON text where the caller states no others.
const (
	MaxBytes = 1 << 20 // bytes of a receipt or of one canonical value
	MaxDepth = 32      // nested objects and arrays; a scalar has depth 0
)

// Limits bounds a JSON text. A zero field stands for [MaxBytes] or [MaxDepth].
type Limits struct{ Bytes, Depth int }

// CanonicalError says why a JSON text has no canonical form, or is not in it.
type CanonicalError struct {
	Pointer string // RFC 6901 pointer to the value at fault; "" is the whole text
	Reason  string
}

func (e *CanonicalError) Error() string {
	if e.Pointer == "" {
		return e.Reason
	}
	return "at " + e.Pointer + ": " + e.Reason
}

// Canonical returns the RFC 8785 form of src, which must be strict I-JSON
// (RFC 7493): one value, valid UTF-8, no duplicate member under any escape, no
// lone surrogate. Stricter than that, it refuses U+0000, more than [MaxBytes]
// bytes or [MaxDepth] levels, and numbers that do not survive: those that a
// double cannot carry to the last digit, and integers beyond ±(2^53-1)
// wherever they are or would be written as integers. The error is a
// [*CanonicalError]. The result shares no memory with src.
func Canonical(src []byte) ([]byte, error) { return Limits{}.Canonical(src) }

// IsCanonical returns nil if src is its own canonical form, byte for byte, and
// a [*CanonicalError] otherwise.
func IsCanonical(src []byte) error { return Limits{}.IsCanonical(src) }

// Canonical is the function [Canonical] under other bounds.
func (l Limits) Canonical(src []byte) ([]byte, error) {
	if err := l.check(src); err != nil {
		return nil, err
	}
	v := jsontext.Value(bytes.Clone(src))
	if err := v.Canonicalize(); err != nil {
		return nil, syntaxError(err)
	}
	return v, nil
}

// IsCanonical is the function [IsCanonical] under other bounds.
func (l Limits) IsCanonical(src []byte) error {
	if l.scanCanonical(src) {
		return nil
	}
	return l.notCanonical(src)
}

// notCanonical explains what the scanner refused.
func (l Limits) notCanonical(src []byte) error {
	c, err := l.Canonical(src)
	if err != nil {
		return err
	}
	if bytes.Equal(c, src) {
		return &CanonicalError{Reason: "two readings of RFC 8785 disagree on this text; please report it"}
	}
	at := firstDifference(src, c)
	return &CanonicalError{Pointer: pointerAt(src, at), Reason: fmt.Sprintf(
		"not in canonical form: byte %d is %s and should be %s", at, excerpt(src, at), excerpt(c, at))}
}

// check makes one pass over src for what jsontext lets through: size, depth,
// U+0000 and numbers. It need not be a parser; where src is not JSON, what it
// takes for a string or a number does not matter, because jsontext refuses the
// text afterwards.
func (l Limits) check(src []byte) error {
	if limit := or(l.Bytes, MaxBytes); len(src) > limit {
		return &CanonicalError{Reason: fmt.Sprintf("%d bytes, over the limit of %d", len(src), limit)}
	}
	limit, depth := or(l.Depth, MaxDepth), 0
	for i := 0; i < len(src); {
		switch c := src[i]; {
		case c == '"':
			end, zero := stringEnd(src, i+1)
			if zero {
				return &CanonicalError{pointerAt(src, i), `the character U+0000 is not allowed`}
			}
			i = end
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return &CanonicalError{pointerAt(src, i), fmt.Sprintf("nested deeper than %d levels", limit)}
			}
			i++
		case c == '}' || c == ']':
			depth--
			i++
		case c == '-' || '0' <= c && c <= '9':
			end := numberEnd(src, i)
			if reason := checkNumber(src[i:end]); reason != "" {
				return &CanonicalError{pointerAt(src, i), reason}
			}
			i = end
		default:
			i++
		}
	}
	return nil
}

// stringEnd returns the offset behind the string whose text begins at i, and
// whether it escapes U+0000. (A raw NUL byte is refused by jsontext.)
func stringEnd(src []byte, i int) (end int, zero bool) {
	for i < len(src) {
		switch src[i] {
		case '"':
			return i + 1, zero
		case '\\':
			zero = zero || bytes.HasPrefix(src[i:], []byte(`\u0000`))
			i += 2
		default:
			i++
		}
	}
	return len(src), zero
}

func numberEnd(src []byte, i int) int {
	for i++; i < len(src); i++ {
		switch c := src[i]; {
		case '0' <= c && c <= '9', c == '.', c == 'e', c == 'E', c == '+', c == '-':
		default:
			return i
		}
	}
	return i
}

// syntaxError turns an error of jsontext into ours. jsontext says io.EOF for
// an empty text.
func syntaxError(err error) error {
	if se, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return &CanonicalError{string(se.JSONPointer), fmt.Sprintf("%v, at byte %d", se.Err, se.ByteOffset)}
	}
	return &CanonicalError{Reason: strings.TrimPrefix(err.Error(), "jsontext: ")}
}

// pointerAt returns the pointer to the value or member that covers the byte at
// offset: only for messages, so it costs nothing where nothing is wrong.
func pointerAt(src []byte, offset int) string {
	d := jsontext.NewDecoder(bytes.NewReader(src))
	for d.InputOffset() <= int64(offset) {
		if _, err := d.ReadToken(); err != nil {
			break
		}
	}
	return string(d.StackPointer())
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// excerpt shows a little of b from offset at, quoted.
func excerpt(b []byte, at int) string {
	if at >= len(b) {
		return "the end"
	}
	return fmt.Sprintf("%q", b[at:min(len(b), at+12)])
}

func or(v, standard int) int {
	if v == 0 {
		return standard
	}
	return v
}
