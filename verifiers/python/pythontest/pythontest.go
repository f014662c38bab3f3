// Package pythontest runs the Python verifier in tests.
package pythontest

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// Directory is that of the verifier.
func Directory() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(file))
}

// Run runs python3 in the verifier's directory, with a clean environment and
// nothing but the standard library, and returns what it wrote and its exit code.
func Run(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("PROVA_REQUIRE_ALL") != "" {
			t.Fatal("python3 is missing")
		}
		t.Skip("NOT TESTED: python3 is missing")
	}
	cmd := exec.CommandContext(t.Context(), python, append([]string{"-S", "-B"}, args...)...)
	cmd.Dir = Directory()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PROVA_SHARED=" + os.Getenv("PROVA_SHARED"), "LC_ALL=C.UTF-8"}
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Run(); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			t.Fatal(err)
		}
		code = exit.ExitCode()
	}
	return out.String(), talk.String(), code
}

// Verify verifies files and returns the line that is printed of each, in their order.
func Verify(t testing.TB, args ...string) (lines []json.RawMessage, code int) {
	t.Helper()
	stdout, stderr, code := Run(t, append([]string{"prova_verify.py", "--json"}, args...)...)
	if stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	return decodeAll(t, stdout), code
}

// Replay replays logs, files of lines as in an export whose signatures nobody
// checks, and returns the list of checks that is printed of each, in their order.
func Replay(t testing.TB, logs ...string) []json.RawMessage {
	t.Helper()
	stdout, stderr, code := Run(t, append([]string{"pythontest/replay_logs.py"}, logs...)...)
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	return decodeAll(t, stdout)
}

func decodeAll(t testing.TB, text string) (values []json.RawMessage) {
	t.Helper()
	for dec := json.NewDecoder(bytes.NewReader([]byte(text))); dec.More(); {
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		values = append(values, value)
	}
	return values
}
