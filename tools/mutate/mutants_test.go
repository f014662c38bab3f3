package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const source = `package p

const n = 7

func f(a, b int, s string) (int, bool) {
	if a < b && !(a == 0) {
		a++
		return min(a, b), true
	}
	for i := range 3 {
		if i > 1 {
			continue
		}
		b -= 2 * i
	}
	s += "x" + s
	print(s)
	return -b, false
}
`

func TestMutants(t *testing.T) {
	mutants, err := mutantsIn("p/p.go", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range mutants {
		got = append(got, m.change)
		changed := source[:m.start] + m.replacement + source[m.end:]
		if changed == source {
			t.Errorf("%s changes nothing", m)
		}
		if _, err := parser.ParseFile(token.NewFileSet(), "p.go", changed, 0); err != nil {
			t.Errorf("%s: %v", m, err)
		}
	}
	want := []string{
		"7 becomes 8",
		"< becomes <=", "< becomes >=", "&& becomes ||", "! is left out", "== becomes !=", "0 becomes 1",
		"left out: a++", "++ becomes --",
		"left out: return min(a, b), true", "min becomes max", "true becomes false",
		"3 becomes 4", "> becomes >=", "> becomes <=", "1 becomes 0", "left out: continue",
		"left out: b -= 2 * i", "-= becomes +=", "2 becomes 3", "* becomes /",
		`left out: s += "x" + s`, "left out: print(s)",
		"- is left out", "false becomes true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestOutcomes tries one mutant of each kind in a module of its own.
func TestOutcomes(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":      "module m\n\ngo 1.26\n",
		"p/p.go":      "package p\n\n// Down counts to 0.\nfunc Down(n int) int {\n\tunused := n > 0\n\tfor n > 0 {\n\t\tn -= 1\n\t}\n\t_ = unused\n\treturn n\n}\n",
		"p/p_test.go": "package p\n\nimport \"testing\"\n\nfunc TestDown(t *testing.T) {\n\tif Down(3) != 0 {\n\t\tt.Fatal()\n\t}\n}\n\nfunc TestGolden(t *testing.T) { t.Fatal(\"does not count\") }\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := newBench(root, "^TestGolden$", []string{"p"})
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(b.root)
	if err := b.calibrate(); err != nil {
		t.Fatal(err)
	}
	b.limit /= 5
	mutants, err := mutantsOf(root, "p")
	if err != nil {
		t.Fatal(err)
	}
	for change, want := range map[string]outcome{
		"5 > becomes >=":         survived, // of the name that nobody reads
		"6 > becomes >=":         killed,
		"7 left out: n -= 1":     endless,
		"9 left out: _ = unused": invalid,
	} {
		line, text, _ := strings.Cut(change, " ")
		at := slices.IndexFunc(mutants, func(m mutant) bool { return line == string(rune('0'+m.line)) && m.change == text })
		if at < 0 {
			t.Errorf("%s is not among %v", change, mutants)
			continue
		}
		if got := b.try(mutants[at]); got != want {
			t.Errorf("%s: outcome %d, want %d", change, got, want)
		}
	}
	after, err := os.ReadFile(filepath.Join(root, "p", "p.go"))
	if err != nil || !strings.Contains(string(after), "n -= 1") {
		t.Error("the module itself was changed")
	}
}
