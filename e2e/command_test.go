package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// result is what came of a command.
type result struct {
	testing.TB
	command        string
	code           int
	stdout, stderr string
}

// run runs a program as the owner.
func (s *testServer) run(name string, args ...string) result {
	s.Helper()
	return s.runAs(s.owner, name, args...)
}

// runAs runs a program with a key.
func (s *testServer) runAs(key, name string, args ...string) result {
	s.Helper()
	cmd := exec.Command(program(name), args...)
	cmd.Env = environment("PROVA_BASE_URL="+s.at(), "PROVA_API_KEY="+key)
	return finish(s.TB, cmd)
}

// run runs a program that needs no server.
func run(t testing.TB, name string, args ...string) result {
	t.Helper()
	cmd := exec.Command(program(name), args...)
	cmd.Env = environment()
	return finish(t, cmd)
}

// commandTime bounds a command; one that is killed for it ends with -1.
const commandTime = 2 * time.Minute

// finish runs a command to its end.
func finish(t testing.TB, cmd *exec.Cmd) result {
	t.Helper()
	return finishWithin(t, commandTime, cmd)
}

func finishWithin(t testing.TB, most time.Duration, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = &stdout, &stderr, withParent()
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Start()
	if err == nil {
		late := time.AfterFunc(most, func() { _ = cmd.Process.Kill() })
		err = cmd.Wait()
		late.Stop()
	}
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return result{t, strings.Join(cmd.Args, " "), cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// exits wants an exit code.
func (r result) exits(want int) result {
	r.Helper()
	if r.code != want {
		r.Fatalf("%s\nended with %d, want %d\n%s%s", r.command, r.code, want, r.stdout, r.stderr)
	}
	return r
}

// says wants a text, as a regular expression, in one of the outputs.
func (r result) says(want string) result {
	r.Helper()
	if !regexp.MustCompile(want).MatchString(r.stdout + "\n" + r.stderr) {
		r.Errorf("%s\ndoes not say %q:\n%s%s", r.command, want, r.stdout, r.stderr)
	}
	return r
}

// decode reads what a command printed as JSON.
func decode[T any](r result) T {
	r.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.stdout), &v); err != nil {
		r.Fatalf("%s: %v\n%s", r.command, err, r.stdout)
	}
	return v
}
