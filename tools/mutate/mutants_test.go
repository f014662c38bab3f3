package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

const source = `package p

import "fmt"

const n = 7

func f(a, b int64, s string) (int64, bool) {
	if a < b && !(a == 0) {
		a++
		return min(a, b), true
	}
	for i := range int64(3) {
		if i > 1 {
			continue
		}
		b -= 2 * i
	}
	s += "x" + s
	fmt.Println(s, n*2, 1.5)
	return -b, false
}

// Down counts to 0.
func Down(n int) int {
	unused := n > 5
	for n > 0 {
		n -= 1
	}
	_ = unused
	return n
}
`

func changes() []string {
	return []string{
		"&& becomes ||", "< becomes <=", "< becomes >=", "! is left out", "== becomes !=", "0 becomes 1",
		"left out: a++", "turned into: a--",
		"left out: return min(a, b), true", "min becomes max", "true becomes false",
		"> becomes >=", "> becomes <=", "1 becomes 0", "left out: continue",
		"left out: b -= 2 * i", "turned into: b += 2 * i", "* becomes /", "2 becomes 3",
		`left out: s += "x" + s`, "left out: fmt.Println(s, n*2, 1.5)", "1.5 becomes 2.5",
		"- is left out", "false becomes true",
		"> becomes >=", "> becomes <=", "5 becomes 6",
		"> becomes >=", "> becomes <=", "0 becomes 1", "left out: n -= 1", "turned into: n += 1", "1 becomes 0",
		"left out: _ = unused",
	}
}

// TestMutants builds all mutants of a package into it, and tries some of each outcome.
func TestMutants(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module m\n\ngo 1.26\n",
		"p/p.go": source,
		"p/p_test.go": `package p

import "testing"

func TestDown(t *testing.T) {
	if Down(3) != 0 {
		t.Fatal()
	}
}

func TestGolden(t *testing.T) { t.Fatal("does not count") }
`,
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := newBench(root, "", "^TestGolden$", []string{"p"})
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(b.root)
	mutants, err := b.build()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, m := range mutants {
		if got = append(got, m.change); m.id != i+1 {
			t.Errorf("mutant %d has the number %d", i+1, m.id)
		}
	}
	if !slices.Equal(got, changes()) {
		t.Errorf("got  %q\nwant %q", got, changes())
	}
	b.limit = 3 * time.Second
	for place, want := range map[string]outcome{
		"25 5 becomes 6":          survived, // nobody reads the result
		"26 > becomes >=":         killed,
		"27 left out: n -= 1":     endless,
		"29 left out: _ = unused": survived,
		"8 < becomes <=":          survived, // nothing tests f
	} {
		at := slices.IndexFunc(mutants, func(m mutant) bool { return place == fmt.Sprintf("%d %s", m.line, m.change) })
		if at < 0 {
			t.Errorf("%s is not among the mutants", place)
			continue
		}
		if got := b.try(mutants[at]); got != want {
			t.Errorf("%s: outcome %d, want %d", mutants[at], got, want)
		}
	}
	if after, err := os.ReadFile(filepath.Join(root, "p", "p.go")); err != nil || string(after) != source {
		t.Error("the module itself was changed")
	}
}

// TestLinesThatDoNotCompile: a rewritten line that does not compile stays as it was.
func TestLinesThatDoNotCompile(t *testing.T) {
	root := t.TempDir()
	text := `package p

func F(n int) int {
	switch {
	case n > 3:
		fallthrough
	default:
		if n > 0 {
			return 1
		} else {
			return 2
		}
	}
}
`
	for name, text := range map[string]string{"go.mod": "module m\n\ngo 1.26\n", "p.go": text, "p_test.go": "package p\n"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := newBench(root, "", "^$", []string{"."})
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(b.root)
	mutants, err := b.build()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(mutants, func(m mutant) bool { return m.change == "> becomes >=" }) {
		t.Errorf("%v", mutants)
	}
	for _, m := range mutants {
		if m.change == "left out: fallthrough" {
			t.Errorf("%s cannot compile", m)
		}
	}
}
