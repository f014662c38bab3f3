package stats_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// cpus are the targets whose compilers fuse a product and a sum if they may.
var cpus = []struct{ name, arch, variable string }{
	{"arm64", "arm64", ""},
	{"ppc64le", "ppc64le", ""},
	{"s390x", "s390x", ""},
	{"riscv64", "riscv64", ""},
	{"amd64 v3", "amd64", "GOAMD64=v3"},
}

// fused matches the mnemonics of multiply-add in Go's assembly listings.
var fused = regexp.MustCompile(`\t(V?FN?M(ADD|SUB)[0-9A-Z]*|WFN?M[AS](DB|SB|XB)|XS[A-Z]*M(ADD|SUB)[A-Z]*)\t`)

// listing cross-compiles a package and returns its assembly.
func listing(t *testing.T, directory, target, variable string) string {
	t.Helper()
	build := exec.Command("go", "build", "-gcflags=-S", ".")
	build.Dir = directory
	build.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOARCH="+target)
	if variable != "" {
		build.Env = append(build.Env, variable)
	}
	out, err := build.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", directory, err, last(string(out), 2000))
	}
	return string(out)
}

func last(text string, n int) string { return text[max(0, len(text)-n):] }

// No product that meets a sum may be fused with it: the bits of a verdict would
// depend on the CPU.
func TestNoFusedMultiplyAdd(t *testing.T) {
	if testing.Short() {
		t.Skip("cross-compiles for five CPUs")
	}
	control := t.TempDir()
	write(t, control, "go.mod", "module control\n\ngo 1.26\n")
	write(t, control, "fusible/f.go", "package fusible\n\nfunc F(x, y, z float64) float64 { return x*y + z }\n")
	write(t, control, "rounded/f.go", "package rounded\n\nfunc F(x, y, z float64) float64 { return float64(x*y) + z }\n")
	for _, cpu := range cpus {
		t.Run(cpu.name, func(t *testing.T) {
			for name, want := range map[string]bool{"fusible": true, "rounded": false} {
				if code := listing(t, filepath.Join(control, name), cpu.arch, cpu.variable); fused.MatchString(code) != want {
					t.Fatalf("the gate finds %q in what is %s", fused.FindString(code), name)
				}
			}
			for _, name := range []string{"stats", "compare", "rollout"} {
				directory := filepath.Join("..", name)
				if sources, _ := filepath.Glob(filepath.Join(directory, "*.go")); len(sources) == 0 {
					continue
				}
				code := listing(t, directory, cpu.arch, cpu.variable)
				if !strings.Contains(code, "STEXT") {
					t.Fatalf("%s: no listing", name)
				}
				for line := range strings.Lines(code) {
					if fused.MatchString(line) {
						t.Errorf("%s: %s", name, strings.TrimSpace(line))
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
