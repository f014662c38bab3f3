package prova_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// cpu is a target that verdicts must come out the same on.
type cpu struct {
	name, arch string
	variant    string // of the architecture, as an environment variable
	emulator   string // of QEMU's user mode; empty where only the listings are checked, for time's sake
	model      string // that the emulator must be told to have the variant
	fuses      bool   // the compiler fuses a product and a sum where it may
}

// cpus begins with the one that the others are compared with.
func cpus() []cpu {
	return []cpu{
		{name: "amd64", arch: "amd64", variant: "GOAMD64=v1", emulator: "qemu-x86_64", model: "max"},
		{name: "amd64 v3", arch: "amd64", variant: "GOAMD64=v3", emulator: "qemu-x86_64", model: "max", fuses: true},
		{name: "arm64", arch: "arm64", emulator: "qemu-aarch64", fuses: true},
		{name: "s390x", arch: "s390x", emulator: "qemu-s390x", fuses: true}, // big-endian
		{name: "ppc64le", arch: "ppc64le", fuses: true},
		{name: "riscv64", arch: "riscv64", fuses: true},
	}
}

func (c cpu) environment() []string {
	env := append(os.Environ(), "GOOS=linux", "GOARCH="+c.arch, "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if c.variant != "" {
		env = append(env, c.variant)
	}
	return env
}

// TestEveryCPU runs the golden tests, which hash thousands of verdicts and the
// numbers below them, on the CPUs of the list, natively or emulated. What they
// log must be the same. Whether it is still what the golden files say is a
// matter of the golden tests themselves.
func TestEveryCPU(t *testing.T) {
	if testing.Short() {
		t.Skip("cross-compiles the golden tests and emulates CPUs")
	}
	if runtime.GOOS != "linux" {
		unavailable(t, "user-mode emulation needs Linux")
	}
	packages := []string{"internal/stats", "internal/rollout"}
	reference := golden(t, cpus()[0], packages)
	for _, name := range packages {
		if len(reference[name]) == 0 {
			t.Fatalf("%s: no golden test", name)
		}
	}
	for _, c := range cpus()[1:] {
		if c.emulator == "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			results := golden(t, c, packages)
			for _, name := range packages {
				for i, want := range reference[name] {
					if i >= len(results[name]) {
						t.Errorf("%s: ends before %q", name, want)
						break
					}
					if got := results[name][i]; got != want {
						t.Errorf("%s: %q, on %s %q", name, got, cpus()[0].name, want)
					}
				}
			}
		})
	}
}

// goldenLine is a result that a golden test logs.
var goldenLine = regexp.MustCompile(`(?m)golden_test\.go:\d+: golden (.*)$`)

// golden compiles the tests of the packages for a CPU and returns what the golden tests log there.
func golden(t *testing.T, c cpu, packages []string) map[string][]string {
	t.Helper()
	results := map[string][]string{}
	for _, name := range packages {
		binary := filepath.Join(t.TempDir(), filepath.Base(name)+".test")
		compile := exec.Command("go", "test", "-c", "-o", binary, "./"+name)
		compile.Env = c.environment()
		if out, err := compile.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		for _, match := range goldenLine.FindAllStringSubmatch(run(t, c, binary, name), -1) {
			results[name] = append(results[name], match[1])
		}
	}
	return results
}

// run executes the golden test of a test binary in its package's directory. A
// failing test is no failure here, a crash shows as missing results.
func run(t *testing.T, c cpu, binary, directory string) string {
	t.Helper()
	arguments := []string{binary, "-test.run=^TestGolden$", "-test.v"}
	try := func(arguments []string) string {
		var out bytes.Buffer
		command := exec.Command(arguments[0], arguments[1:]...)
		command.Dir, command.Stdout, command.Stderr = directory, &out, &out
		if err := command.Run(); err != nil {
			t.Logf("%s: %v", directory, err)
		}
		return out.String()
	}
	if c.arch == runtime.GOARCH {
		out := try(arguments)
		if !strings.Contains(out, "microarchitecture support") { // the runtime's refusal of a CPU below the variant
			return out
		}
	}
	for _, name := range []string{c.emulator + "-static", c.emulator} {
		if path, err := exec.LookPath(name); err == nil {
			emulated := []string{path}
			if c.model != "" {
				emulated = append(emulated, "-cpu", c.model)
			}
			return try(append(emulated, arguments...))
		}
	}
	unavailable(t, c.emulator+" is not installed (Debian: qemu-user-static)")
	return ""
}

// unavailable skips a test that lacks a program, and fails it where nothing may be skipped.
func unavailable(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("PROVA_REQUIRE_ALL") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}
