package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/prova"
)

// TestExitCodes runs the scripts in testdata against a real server. They hold
// every exit code that the contract names.
//
// Beside the commands of testscript they have: serve, which starts a server
// and sets PROVA_BASE_URL and PROVA_API_KEY; kill-server and
// stop-server, which end it;
// database down|up, which takes PostgreSQL away from it and gives it back;
// key VAR PERMISSION…, rollout VAR ARGUMENT…, traffic APP WEIGHT RUNS PERCENT
// (of the candidate's runs that fail), export LOG KEYS, receipt FILE, edit FILE
// OLD NEW, exits CODE PROGRAM ARGUMENT… and interrupt CODE PROGRAM ARGUMENT….
func TestExitCodes(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		testscript.Run(t, testscript.Params{
			Dir: "testdata",
			Setup: func(env *testscript.Env) error {
				tb := env.T().(testing.TB)
				st := &stage{backend: b}
				if b.url != "" {
					st.wire = wireTo(tb, postgres(tb).url)
					st.backend.url = st.wire.url
				}
				env.Values[stageKey{}] = st
				env.Values[testKey{}] = tb
				env.Setenv("PATH", built+string(os.PathListSeparator)+os.Getenv("PATH"))
				return nil
			},
			Condition: func(cond string) (bool, error) {
				if cond == "sqlite" || cond == "postgres" {
					return cond == b.name, nil
				}
				return false, errors.New("unknown condition " + cond)
			},
			Cmds: map[string]func(*testscript.TestScript, bool, []string){
				"serve": scriptServe, "kill-server": scriptKill, "stop-server": scriptStop, "database": scriptDatabase, "key": scriptKey, "rollout": scriptRollout,
				"traffic": scriptTraffic, "export": scriptExport, "receipt": scriptReceipt, "edit": scriptEdit, "exits": scriptExits, "interrupt": scriptInterrupt,
			},
			RequireExplicitExec: true,
			RequireUniqueNames:  true,
		})
	})
}

type (
	stageKey struct{}
	testKey  struct{}
)

// stage is what a script plays on.
type stage struct {
	backend backend
	wire    *wire // to PostgreSQL
	server  *testServer
	agents  map[string]*traffic
}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

func scriptServe(ts *testscript.TestScript, _ bool, args []string) {
	st := stageOf(ts)
	st.server = serve(ts.Value(testKey{}).(testing.TB), st.backend, args...)
	st.agents = map[string]*traffic{}
	ts.Setenv("PROVA_BASE_URL", st.server.at())
	ts.Setenv("PROVA_API_KEY", st.server.owner)
	ts.Setenv("DATA", st.server.data)
}

func scriptKill(ts *testscript.TestScript, _ bool, _ []string) { stageOf(ts).server.kill() }

func scriptStop(ts *testscript.TestScript, _ bool, _ []string) { stageOf(ts).server.stop() }

func scriptDatabase(ts *testscript.TestScript, _ bool, args []string) {
	st := stageOf(ts)
	if len(args) != 1 || st.wire == nil {
		ts.Fatalf("usage, with PostgreSQL: database down|up")
	}
	st.wire.cut(args[0] == "down")
}

func scriptKey(ts *testscript.TestScript, _ bool, args []string) {
	var permissions []api.Permission
	for _, p := range args[1:] {
		permissions = append(permissions, api.Permission(p))
	}
	ts.Setenv(args[0], stageOf(ts).server.key(permissions...))
}

func scriptRollout(ts *testscript.TestScript, _ bool, args []string) {
	s := stageOf(ts).server
	r := decode[api.Rollout](s.run("prova-rollout", append([]string{"create", "--json"}, args[1:]...)...).exits(0))
	ts.Setenv(args[0], r.ID)
}

func scriptTraffic(ts *testscript.TestScript, _ bool, args []string) {
	st := stageOf(ts)
	f, ok := st.agents[args[0]]
	if !ok {
		f = st.server.agent(args[0])
		st.agents[args[0]] = f
	}
	var n [3]int
	for i := range n {
		var err error
		n[i], err = strconv.Atoi(args[i+1])
		ts.Check(err)
	}
	f.candidateFails = n[2]
	f.send(n[0], n[1])
}

// scriptExport writes the log and the public keys: export LOG KEYS.
func scriptExport(ts *testscript.TestScript, _ bool, args []string) {
	s := stageOf(ts).server
	for i, from := range []string{s.exportFile(), s.keysFile()} {
		data, err := os.ReadFile(from)
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(args[i]), data, 0o600))
	}
}

// scriptReceipt writes the newest receipt to a file.
func scriptReceipt(ts *testscript.TestScript, _ bool, args []string) {
	s := stageOf(ts).server
	list, err := s.api().Receipts(s.Context(), prova.ReceiptFilter{Page: prova.Page{Limit: 1}})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), list.Items[0].Receipt, 0o600))
}

// scriptEdit changes the last place in a file that holds a text.
func scriptEdit(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	i := strings.LastIndex(text, args[1])
	if i < 0 {
		ts.Fatalf("%s holds no %s", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text[:i]+args[2]+text[i+len(args[1]):]), 0o600))
}

func scriptExits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s ended with %d, want %d", args[1], got, want)
	}
}

// scriptInterrupt sends SIGINT to a program once it has written something.
func scriptInterrupt(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	out, err := os.Create(filepath.Join(ts.Getenv("WORK"), "interrupted"))
	ts.Check(err)
	defer func() { _ = out.Close() }()
	cmd := exec.Command(program(args[1]), args[2:]...)
	cmd.Env = environment("PROVA_BASE_URL="+ts.Getenv("PROVA_BASE_URL"), "PROVA_API_KEY="+ts.Getenv("PROVA_API_KEY"))
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, withParent()
	ts.Check(cmd.Start())
	for deadline := time.Now().Add(startTime); ; time.Sleep(10 * time.Millisecond) {
		if info, err := out.Stat(); err == nil && info.Size() > 0 {
			break
		}
		if time.Now().After(deadline) {
			_ = cmd.Process.Kill()
			ts.Fatalf("%s says nothing", args[1])
		}
	}
	ts.Check(cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait() // the code is what counts
	said, _ := os.ReadFile(out.Name())
	ts.Logf("[%s]\n%s", args[1], bytes.TrimSpace(said))
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("%s ended with %d, want %d", args[1], got, want)
	}
}

// TestNoOutageIsAVerdict: whatever a server in trouble answers, no command
// that a pipeline gates on ends with the code of a verdict.
func TestNoOutageIsAVerdict(t *testing.T) {
	t.Parallel()
	b := postgres(t)
	w := wireTo(t, b.url)
	s := serve(t, backend{"postgres", w.url})
	f := s.agent("claims-agent")
	r := f.rollout()
	commands := [][]string{
		{"prova-rollout", "watch", "--id", r.ID, "--interval", "0.2", "--timeout", "1"},
		{"prova-rollout", "watch", "--no-tick", "--id", r.ID, "--interval", "0.2", "--timeout", "1"},
		{"prova-rollout", "evaluate", "--id", r.ID},
		{"prova-rollout", "evaluate", "--all"},
		{"prova-rollout", "gate", "--id", r.ID, "--weight", "5"},
		{"prova-rollout", "get", "--id", r.ID},
		{"prova-eval", "compare", "--app-id", f.app, "--baseline", baseline, "--candidate", candidate},
	}
	outage := func(want int) {
		t.Helper()
		for _, c := range commands {
			s.run(c[0], c[1:]...).exits(want)
		}
	}
	w.cut(true)
	outage(75)
	status, body := s.request("POST", "/api/v1/rollouts/"+r.ID+"/evaluate", "")
	var p api.Problem
	if err := json.Unmarshal(body, &p); err != nil || status != 503 || p.Code() == "" {
		t.Errorf("without its database the server answers %d %s", status, body)
	}
	w.cut(false)
	s.run("prova-rollout", "evaluate", "--id", r.ID).exits(3)
	s.kill()
	outage(69)
	s.start()
	s.run("prova-rollout", "evaluate", "--id", r.ID).exits(3)
}
