package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/receipt"
)

// runDemo runs the command in this process, without a terminal.
func runDemo(t *testing.T, want int, args ...string) string {
	t.Helper()
	return runDemoIn(t.Context(), t, want, args...)
}

func runDemoIn(ctx context.Context, t *testing.T, want int, args ...string) string {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	var stdout, stderr bytes.Buffer
	code := run(ctx, append([]string{"demo"}, args...), strings.NewReader(""), &stdout, &stderr, func(string) string { return "" })
	if code != want {
		t.Fatalf("exit code %d, want %d\n%s\n%s", code, want, stdout.String(), stderr.String())
	}
	if left, err := os.ReadDir(os.TempDir()); err == nil && len(left) > 0 && want != cli.Interrupted && !strings.Contains(strings.Join(args, " "), "--keep") {
		t.Errorf("the demo left %s in the temporary directory", left[0].Name())
	}
	if code == cli.Usage {
		return stderr.String()
	}
	return stdout.String()
}

func wantInOrder(t *testing.T, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, part := range parts {
		at := strings.Index(rest, part)
		if at < 0 {
			t.Fatalf("%q is missing, or not in this place, in:\n%s", part, text)
		}
		rest = rest[at+len(part):]
	}
}

func TestDemo(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	out := runDemo(t, cli.Done, "--data", data)
	wantInOrder(t, out,
		"v2 is the candidate, v1 serves",
		"clean verdict at 5%, advancing canary to 25%", "rollout.promote, signature verified: v2 gets 25 %",
		"clean verdict at 25%, advancing canary to 50%", "rollout.promote, signature verified: v2 gets 50 %",
		"fully promoting the candidate to 100%", "rollout.promote, signature verified: v2 gets 100 %",
		"✓ v2 is promoted",
		"v3 is the candidate, v2 serves",
		"success regressed", "rollout.rollback, signature verified: v3 gets 0 %",
		"✗ v3 is rolled back",
		"✓ signatures", "✓ canonical form", "✓ whole log", "✓ root",
		"the receipt of the rollback now says weight 5, not 0", "✗ signature", "✗ root",
		"prova-rollout watch", "prova demo --keep", "prova verify --key "+filepath.Join(data, "keys.json"))
	if strings.Contains(out, "\x1b") {
		t.Error("escape sequences without a terminal")
	}
	for line := range strings.Lines(out) {
		if width := cli.Width(strings.TrimRight(line, "\n")); width > widest && !strings.Contains(line, data) {
			t.Errorf("%d columns: %s", width, line)
		}
	}
	wantOneByteApart(t, data)
}

// wantOneByteApart wants the changed copy to be what the demo says it is.
func wantOneByteApart(t *testing.T, data string) {
	t.Helper()
	original, err := os.ReadFile(filepath.Join(data, demoExport))
	if err != nil {
		t.Fatal(err)
	}
	copied, err := os.ReadFile(filepath.Join(data, demoTampered))
	if err != nil {
		t.Fatal(err)
	}
	if len(original) != len(copied) {
		t.Fatalf("the export has %d bytes and the copy %d", len(original), len(copied))
	}
	changed := 0
	for i := range original {
		if original[i] != copied[i] {
			changed++
		}
	}
	if changed != 1 {
		t.Errorf("%d bytes were changed, want 1", changed)
	}
	keys, err := os.ReadFile(filepath.Join(data, demoKeys))
	if err != nil {
		t.Fatal(err)
	}
	trust, err := receipt.ParsePublicKeys(keys)
	if err != nil {
		t.Fatal(err)
	}
	if r := receipt.VerifyExport(bytes.NewReader(original), trust, nil); r.Result != receipt.Verified {
		t.Errorf("the export is %s: %+v", r.Result, r.Checks)
	}
	if r := receipt.VerifyExport(bytes.NewReader(copied), trust, nil); r.Result != receipt.Failed {
		t.Errorf("the copy is %s: %+v", r.Result, r.Checks)
	}
}

func TestDemoIsReproducible(t *testing.T) {
	story := func() string {
		out := runDemo(t, cli.Done, "--seed", "2", "--steps", "25,100") // a short ramp
		_, out, _ = strings.Cut(out, "\n1  ")                           // behind the address
		return out
	}
	if first, second := story(), story(); first != second {
		t.Errorf("the same seed told two stories:\n%s\n%s", first, second)
	}
}

// With this seed chance rolls the harmless release back. Should a change of
// the engine alter that, look for another one.
func TestDemoSaysWhenChanceHadItOtherwise(t *testing.T) {
	out := runDemo(t, cli.Undecided, "--seed", "14")
	wantInOrder(t, out, "✗ v2 is rolled back", "v2 does no harm", "at most 5 %", "v3 is the candidate, v1 serves", "✗ v3 is rolled back")
}

// recordRuns writes runs of two releases, the way an importer reads them.
func recordRuns(t *testing.T, baseline, candidate int, failures float64) string {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	for i := range max(baseline, candidate) {
		if i < baseline {
			fmt.Fprintf(&b, `{"app_id":"claims-agent","release":"v36","run_id":"b%d","metrics":{"success":%t,"latency_ms":%d}}`+"\n", i, random.Float64() >= 0.05, 700+random.IntN(300))
		}
		if i < candidate {
			fmt.Fprintf(&b, `{"app_id":"claims-agent","release":"v37","run_id":"c%d","metrics":{"latency_ms":%d}}`+"\n", i, 700+random.IntN(300))
			fmt.Fprintf(&b, `{"kind":"outcome","source":{"app_id":"claims-agent"},"run_id":"c%d","metrics":{"success":%t}}`+"\n", i, random.Float64() >= failures)
		}
	}
	b.WriteString(`{"app_id":"another-agent","release":"v37","metrics":{"success":true}}` + "\n")
	path := filepath.Join(t.TempDir(), "runs.jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func replay(file string, more ...string) []string {
	return append([]string{"--file", file, "--app", "claims-agent", "--baseline", "v36", "--candidate", "v37", "--gate", "success"}, more...)
}

func TestDemoReplay(t *testing.T) {
	for _, test := range []struct {
		name                string
		baseline, candidate int
		failures            float64
		more                []string
		code                int
		want                []string
	}{
		{
			"promoted", 200, 200, 0.05,
			[]string{"--steps", "50,100"},
			cli.Done,
			[]string{"runs.jsonl: 200 of v36, 200 of v37; 1 other is left out", "v37 gets 100 %", "✓ v37 is promoted", "✓ root", "✗ signature"},
		},
		{
			"rolled back", 200, 200, 0.5,
			[]string{"--steps", "50,100", "--min-runs", "40"},
			cli.Regressed,
			[]string{"v37 gets 0 %", "✗ v37 is rolled back", "✓ root", "✗ signature"},
		},
		{
			"used up", 200, 200, 0.05, nil, cli.Undecided,
			[]string{"○ v37 is not settled", "The recorded runs of v36 are used up", "--steps 50,100", "✓ root", "✗ signature"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := recordRuns(t, test.baseline, test.candidate, test.failures)
			wantInOrder(t, runDemo(t, test.code, replay(file, test.more...)...), test.want...)
		})
	}
}

func TestDemoRefuses(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "prova.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken.jsonl")
	if err := os.WriteFile(broken, []byte("{\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := recordRuns(t, 5, 5, 0)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--data", full}, "begins in an empty directory"},
		{[]string{"--app", "a"}, "--app is for --file"},
		{[]string{"--file", file, "--app", "a"}, "--file needs --baseline"},
		{replay(broken), "line 1"},
		{replay(file + ".none"), "no such file"},
		{[]string{"--file", file, "--app", "claims-agent", "--baseline", "v36", "--candidate", "v38"}, "holds no run of claims-agent v38"},
		{replay(file, "--steps", "50"), "steps"},
	} {
		if out := runDemo(t, cli.Usage, test.args...); !strings.Contains(out, test.want) {
			t.Errorf("%v: %q does not say %q", test.args, out, test.want)
		}
	}
}

func TestDemoCanBeInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	t.Setenv("TMPDIR", t.TempDir())
	stdout := &endsAt{text: "v3 is the candidate", end: cancel}
	code := run(ctx, []string{"demo"}, strings.NewReader(""), stdout, &bytes.Buffer{}, func(string) string { return "" })
	if code != cli.Interrupted {
		t.Fatalf("exit code %d\n%s", code, stdout.String())
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("an interrupted demo left %v, %v", left, err)
	}
}

// endsAt calls end as soon as a text was written.
type endsAt struct {
	written bytes.Buffer
	text    string
	end     func()
}

func (w *endsAt) String() string { return w.written.String() }

func (w *endsAt) Write(p []byte) (int, error) {
	n, err := w.written.Write(p)
	if strings.Contains(w.written.String(), w.text) {
		w.end()
	}
	return n, err
}

func TestSimulatedAgentEnds(t *testing.T) {
	agent := newSimulatedAgent(1)
	agent.left = 1
	if _, ok := agent.run(demoGood); !ok {
		t.Error("no answer to the first request")
	}
	if _, ok := agent.run(demoGood); ok {
		t.Error("an answer beyond the last")
	}
}

// A rollout that no number of runs settles is said to be unsettled.
func TestDemoUnsettled(t *testing.T) {
	var stdout, stderr bytes.Buffer
	demo := Demo{Seed: 1, MinRuns: new(int64(5000)), most: 300, Data: t.TempDir()}
	err := demo.Run(t.Context(), &cli.Env{Program: "prova", Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Getenv: func(string) string { return "" }})
	if code := cli.Code(err); code != cli.Undecided {
		t.Fatalf("exit code %d\n%s", code, stderr.String())
	}
	wantInOrder(t, stdout.String(), "○ v2 is not settled", "not enough evidence for either", "✓ root", "✗ signature")
}
