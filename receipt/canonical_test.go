package receipt

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/gowebpki/jcs"
)

func TestCanonical(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{` {"b":1.0, "a":[ ] } `, `{"a":[],"b":1}`},
		{`"a"`, `"a"`},
		{`[-0, 0e9, 1E2, 4.50, 1e21, 1e-7, 5e-324]`, `[0,0,100,4.5,1e+21,1e-7,5e-324]`},
		{`9007199254740991`, `9007199254740991`},
		{`-9007199254740991`, `-9007199254740991`},
		{`[0.1, 100e-2, 0.000001]`, `[0.1,1,0.000001]`},
		{`"\u0061\/\u000a\u2028\\u0000"`, "\"a/\\n\u2028\\\\u0000\""},
		{`{"\ud83d\ude00":1,"\ufb33":2}`, "{\"\U0001f600\":1,\"\ufb33\":2}"},
	} {
		got, err := Canonical([]byte(c.in))
		if err != nil || string(got) != c.out {
			t.Errorf("%s: %s, %v; want %s", c.in, got, err, c.out)
		}
		if err := IsCanonical(got); err != nil {
			t.Errorf("%s is not its own form: %v", got, err)
		}
		if c.in != c.out && IsCanonical([]byte(c.in)) == nil {
			t.Errorf("%s passes for canonical", c.in)
		}
	}
}

func TestCanonicalRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct{ in, pointer, reason string }{
		{``, "", "EOF"},
		{`{"a":1} x`, "", "invalid character"},
		{`{"a":1}{}`, "", "after top-level value"},
		{`{"a":{"b":1,"b":2}}`, "/a/b", "duplicate"},
		{`{"a":1,"\u0061":2}`, "/a", "duplicate"},
		{"\"\xff\"", "", "UTF-8"},
		{`["\ud800"]`, "/0", "surrogate"},
		{`["\udc00\ud800"]`, "/0", "surrogate"},
		{`{"a":["x","\u0000"]}`, "/a/1", "U+0000"},
		{`{"a\u0000":1}`, "/a\x00", "U+0000"},
		{"\"\x00\"", "", "invalid character"},
		{`{"a":[0,9007199254740992]}`, "/a/1", "2^53"},
		{`-9007199254740993`, "", "loses digits"},
		{`9007199254740992.0`, "", "2^53"},
		{`9.007199254740992e15`, "", "2^53"},
		{`1e20`, "", "2^53"},
		{`1000000000000000000000`, "", "2^53"},
		{`1e400`, "", "beyond the range"},
		{`-1e99999999999999999999`, "", "beyond the range"},
		{`1e-400`, "", "makes it zero"},
		{`0.` + strings.Repeat("0", 400) + `1`, "", "makes it zero"},
		{`0.1234567890123456789`, "", "loses digits"},
		{`333333333.33333329`, "", "loses digits"},
		{`01`, "", "invalid"},
		{`--1`, "", "invalid"},
		{`1-1`, "", "invalid"},
		{deep(33), strings.Repeat("/0", 32), "deeper"},
		{`"` + strings.Repeat("a", MaxBytes) + `"`, "", "limit"},
	} {
		out, err := Canonical([]byte(c.in))
		e, ok := errors.AsType[*CanonicalError](err)
		if !ok {
			t.Errorf("%.40s: %s, %v; want a CanonicalError", c.in, out, err)
			continue
		}
		if e.Pointer != c.pointer || !strings.Contains(e.Reason, c.reason) {
			t.Errorf("%.40s: at %q %q; want at %q %q", c.in, e.Pointer, e.Reason, c.pointer, c.reason)
		}
	}
	if _, err := Canonical([]byte(deep(32))); err != nil {
		t.Error(err)
	}
}

func TestLimits(t *testing.T) {
	l := Limits{Bytes: 4, Depth: 1}
	for in, ok := range map[string]bool{`[1]`: true, `[12]`: true, `[123]`: false, `[[]]`: false} {
		if _, err := l.Canonical([]byte(in)); (err == nil) != ok {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestIsCanonicalSaysWhere(t *testing.T) {
	err := IsCanonical([]byte(`{"a":1,"b":[2, 3]}`))
	e, ok := errors.AsType[*CanonicalError](err)
	if !ok || !strings.HasPrefix(e.Pointer, "/b") || !strings.Contains(e.Reason, "byte 14") {
		t.Error(err)
	}
}

// opponent is the second implementation; it takes objects and arrays only.
func opponent(in []byte) ([]byte, error) {
	out, err := jcs.Transform([]byte("[" + string(in) + "]"))
	if err != nil {
		return nil, err
	}
	return out[1 : len(out)-1], nil
}

// What we accept the opponent accepts, with the same bytes, and those are
// stable. The opponent may accept more.
func agree(t *testing.T, in []byte) {
	t.Helper()
	out, err := Canonical(in)
	scanned := Limits{}.scanCanonical(in)
	if scanned != (err == nil && bytes.Equal(out, in)) {
		t.Fatalf("%q: the scanner says %v, the canonicaliser %q, %v", in, scanned, out, err)
	}
	if err != nil {
		if _, ok := err.(*CanonicalError); !ok {
			t.Fatalf("error of type %T", err)
		}
		return
	}
	if err := IsCanonical(out); err != nil {
		t.Fatalf("%q gives %q, which is not stable: %v", in, out, err)
	}
	theirs, err := opponent(in)
	if err != nil || !bytes.Equal(out, theirs) {
		t.Fatalf("%q: we say %q, the other %q (%v)", in, out, theirs, err)
	}
}

func TestNumbersAgainstOpponent(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		f := math.Float64frombits(rng.Uint64())
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		for _, verb := range []byte{'e', 'f', 'g'} {
			in := strconv.FormatFloat(f, verb, -1, 64)
			agree(t, []byte(in))
			if _, err := Canonical([]byte(in)); (err == nil) != survives(f, in) {
				t.Fatalf("%s: %v", in, err)
			}
		}
		agree(t, fmt.Appendf(nil, "%d.%de%d", rng.IntN(1000), rng.Uint64(), rng.IntN(700)-350))
	}
}

// survives says the rule for a shortest decimal again, in other words.
func survives(f float64, text string) bool {
	if strings.ContainsAny(text, ".e") && math.Abs(f) >= 1e21 {
		return true
	}
	return f != math.Trunc(f) || math.Abs(f) <= 1<<53-1
}

// The scanner against the canonicaliser, on texts that are nearly canonical.
func TestScannerAgainstCanonicaliser(t *testing.T) {
	alphabet := []string{
		"a", "b", "\"", "\\", "\\n", "\\u000b", "\\u0008", "\\u001F", "\\u0020", "\\/", "\x7f", "\u00e9", "\ue000", "\uffff", "\U00010000",
		"\U0010ffff", "\ufffd", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x1f", "\\u0000", "\\ud800\\udc00",
	}
	rng := rand.New(rand.NewPCG(3, 4))
	name := func() string {
		s := ""
		for range rng.IntN(4) {
			s += alphabet[rng.IntN(len(alphabet))]
		}
		return s
	}
	canonical := 0
	for range 60000 {
		in := fmt.Appendf(nil, `{"%s":1,"%s":[],"%s":{}}`, name(), name(), name())
		agree(t, in)
		if out, err := Canonical(in); err == nil {
			agree(t, out)
			canonical++
			out[rng.IntN(len(out))] ^= byte(1 << rng.IntN(8))
			agree(t, out)
		}
	}
	if canonical < 5000 {
		t.Errorf("only %d texts had a canonical form", canonical)
	}
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{
		`{"b":[1,2.5,-0,1e30],"a":{"\u00e9":null}}`, `"\ud83d\ude00"`, `[1e21,123456789012345,1e-7]`, `{"a":1,"\u0061":1}`,
		`9007199254740993`, `1e400`, `[[[[]]]]`, `{"\ue000":1,"\ud800\udc00":2}`, "\"\x7f\"", `0.1e-5`, `-`, `"\u0000"`, ` 1 `,
	} {
		f.Add([]byte(s))
	}
	addCorpus(f)
	f.Fuzz(func(t *testing.T, in []byte) { agree(t, in) })
}
