// Package e2e tests the programs as they are built, the way strangers meet
// them: as processes, over HTTP and on the command line, with both databases,
// and while things break.
//
// Data that is not part of the project is read from the directory that
// PROVA_SHARED names; without it the tests that need it are skipped.
package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
)

const (
	// envPrograms names a directory of programs that were built before: a test
	// that runs itself again in a network of its own must not build there.
	envPrograms = "PROVA_E2E_PROGRAMS"
	// envShared names the directory of data that is not part of the project.
	envShared = "PROVA_SHARED"
)

// built is where the programs are.
var built string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

// atOnce is how many tests run at a time: they wait for processes, disks and
// the next attempt of a webhook more than they compute.
const atOnce = 4

func buildAndRun(m *testing.M) int {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue && runtime.GOMAXPROCS(0) < atOnce {
		if err := f.Value.Set(strconv.Itoa(atOnce)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if built = os.Getenv(envPrograms); built != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "prova-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	err = build(dir, "../cmd/...", "../sdks/scenarios/cmd/faultserver")
	if err == nil && raced() {
		err = build(filepath.Join(dir, "race"), "-race", "../cmd/prova")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	built = dir
	return m.Run()
}

func build(dir string, args ...string) error {
	out, err := exec.Command("go", append([]string{"build", "-o", dir + string(filepath.Separator)}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// program is the path of a program.
func program(name string) string { return filepath.Join(built, name) }

// serverProgram is the prova that serves: with the race detector if the tests have it.
func serverProgram() string {
	if raced() {
		return filepath.Join(built, "race", "prova")
	}
	return program("prova")
}

// raced reports whether the tests were built with the race detector.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

// shared is the path of data that is not part of the project.
func shared(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv(envShared)
	if dir == "" {
		dir = filepath.Join("..", "..", "shared")
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s in %s: name the directory in %s", name, dir, envShared)
	}
	return path
}
