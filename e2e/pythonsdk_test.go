package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pythonSDK is where the Python SDK stands, from here.
var pythonSDK = filepath.Join("..", "sdks", "python")

// From an empty folder to a run that `prova runs tail` shows, with the wheel as
// it is built, in an environment that holds nothing else; then the SDK's own
// tests, there and against the same server.
func TestPythonSDK(t *testing.T) {
	t.Parallel()
	s := serve(t, sqlite())
	python := installedPython(t)
	env := environment("PYTHONDONTWRITEBYTECODE=1", "PROVA_BASE_URL="+s.at(), "PROVA_API_KEY="+s.owner)

	lines := pythonOfREADME(t)
	if n := strings.Count(strings.ReplaceAll(lines, "\n\n", "\n"), "\n"); n != 4 {
		t.Errorf("the README takes %d lines", n)
	}
	agent := exec.Command(python, "-c", lines)
	agent.Dir, agent.Env = t.TempDir(), append(slices.Clip(env), "PROVA_RELEASE=v37")
	if got := finish(t, agent).exits(0); got.stdout+got.stderr != "" {
		t.Errorf("the agent said %q and %q", got.stdout, got.stderr)
	}
	shown := s.run("prova", "runs", "tail", "--no-follow").exits(0).stdout
	for _, word := range []string{"claims-agent", "v37", "success", "latency_ms", "cost_usd"} {
		if !strings.Contains(shown, word) {
			t.Errorf("the run is shown without %s:\n%s", word, shown)
		}
	}

	// The scenarios wait a lot; the others need not wait for them.
	others, scenarios := pythonTests(t)
	for name, modules := range map[string][]string{"scenarios": scenarios, "others": others} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tests := exec.Command(python, append([]string{"-W", "error::ResourceWarning", "-m", "unittest"}, modules...)...)
			tests.Dir, tests.Env = filepath.Join(pythonSDK, "tests"), append(slices.Clip(env), "PROVA_INSTALLED=1", "PROVA_FAULTSERVER="+program("faultserver"))
			if got := finish(t, tests).exits(0); strings.Contains(got.stderr, "skipped") || !strings.Contains(got.stderr, "\nOK") {
				t.Errorf("not every test ran:\n%s", got.stderr)
			}
		})
	}
}

// pythonTests are the modules of the SDK's own tests: those of the scenarios, and the rest.
func pythonTests(t *testing.T) (others, scenarios []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(pythonSDK, "tests", "test_*.py"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		module := strings.TrimSuffix(filepath.Base(path), ".py")
		if module == "test_scenarios" {
			scenarios = append(scenarios, module)
		} else {
			others = append(others, module)
		}
	}
	if len(scenarios) != 1 || len(others) < 5 {
		t.Fatalf("the tests are %q and %q", scenarios, others)
	}
	return others, scenarios
}

// pythonOfREADME is the first block of Python in the SDK's README.
func pythonOfREADME(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(pythonSDK, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```python\n(.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("the README has no Python in it")
	}
	return string(block[1])
}

// installedPython builds the SDK, installs the wheel into an environment of its
// own, and returns the interpreter of that.
func installedPython(t *testing.T) string {
	t.Helper()
	needPrograms(t, "python3")
	python := "python3"
	if exec.Command(python, "-m", "pip", "--version").Run() != nil {
		missing(t, "pip for python3 is not installed")
	}
	dir := t.TempDir()
	built := strings.Fields(finish(t, exec.Command(python, "-B", filepath.Join(pythonSDK, "package.py"), dir)).exits(0).stdout)
	if len(built) != 2 {
		t.Fatalf("built %q, want a wheel and an sdist", built)
	}
	venv := filepath.Join(dir, "venv")
	finish(t, exec.Command(python, "-m", "venv", "--without-pip", venv)).exits(0)
	inside := filepath.Join(venv, "bin", "python")
	pip := exec.Command(python, "-m", "pip", "--python", inside, "install", "--no-index", "--no-compile", "--disable-pip-version-check", built[0])
	pip.Env = environment()
	finish(t, pip).exits(0)
	return inside
}

// The types hold, as a strict checker sees them.
func TestPythonTypes(t *testing.T) {
	t.Parallel()
	needPrograms(t, "python3", "mypy")
	dir := t.TempDir()
	script := "import package, sys; package.lay_out(sys.argv[1])"
	lay := exec.Command("python3", "-B", "-c", script, dir)
	lay.Dir = pythonSDK
	finish(t, lay).exits(0)
	check := exec.Command("mypy", "--strict", "--cache-dir", os.DevNull, "prova_sdk")
	check.Dir = dir
	finish(t, check).exits(0)
}
