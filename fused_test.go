package prova_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fused matches the mnemonics of multiply-add in Go's assembly listings.
var fused = regexp.MustCompile(`\t(V?FN?M(ADD|SUB)[0-9A-Z]*|WFN?M[AS](DB|SB|XB)|XS[A-Z]*M(ADD|SUB)[A-Z]*)\t`)

// listings cross-compiles packages and returns the assembly of each, by import path.
func listings(t *testing.T, c cpu, directory, pattern string, packages ...string) map[string]string {
	t.Helper()
	build := exec.Command("go", append([]string{"build", "-gcflags=" + pattern + "=-S"}, packages...)...)
	build.Dir, build.Env = directory, c.environment()
	out, err := build.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out[max(0, len(out)-2000):])
	}
	listed := map[string]string{}
	for _, section := range strings.Split("\n"+string(out), "\n# ")[1:] {
		path, code, _ := strings.Cut(section, "\n")
		listed[path] = code
	}
	return listed
}

// TestNoFusedMultiplyAdd: no product that meets a sum may be fused with it in a
// pure package, or the bits of a verdict would depend on the CPU.
func TestNoFusedMultiplyAdd(t *testing.T) {
	if testing.Short() {
		t.Skip("cross-compiles for five CPUs")
	}
	control := t.TempDir()
	write(t, control, "go.mod", "module control\n\ngo 1.26\n")
	write(t, control, "fusible/f.go", "package fusible\n\nfunc F(x, y, z float64) float64 { return x*y + z }\n")
	write(t, control, "rounded/f.go", "package rounded\n\nfunc F(x, y, z float64) float64 { return float64(x*y) + z }\n")
	var pure []string
	for name, row := range floors() {
		if row.pure {
			pure = append(pure, "./"+name)
		}
	}
	for _, c := range cpus() {
		if !c.fuses {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code := listings(t, c, control, "control/...", "./...")
			if !fused.MatchString(code["control/fusible"]) || fused.MatchString(code["control/rounded"]) || !strings.Contains(code["control/rounded"], "STEXT") {
				t.Fatal("the gate does not tell x*y + z from float64(x*y) + z")
			}
			code = listings(t, c, ".", module+"...", pure...)
			for _, name := range pure {
				if !strings.Contains(code[module+strings.TrimPrefix(name, "./")], "STEXT") {
					t.Errorf("%s: no listing", name)
				}
			}
			for _, path := range slices.Sorted(maps.Keys(code)) {
				for line := range strings.Lines(code[path]) {
					if fused.MatchString(line) {
						t.Errorf("%s: %s", short(path), strings.TrimSpace(line))
					}
				}
			}
		})
	}
}

func write(t *testing.T, directory, name, text string) {
	t.Helper()
	path := filepath.Join(directory, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
