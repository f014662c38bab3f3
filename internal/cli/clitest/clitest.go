// Package clitest tests command-line programs against a server that follows a
// script: it answers each route with what the script says, in order, and the
// last answer again and again. It exists for tests and is linked by nothing
// else.
//
// In a testscript, `server FILE` starts it and sets PROVA_BASE_URL and
// PROVA_API_KEY; `requests` prints what it was asked; `unset NAME` clears a
// variable. A line of the script is a route, a status and an answer:
//
//	POST /api/v1/rollouts/ro_1/evaluate 200 tick active hold
//	POST /api/v1/rollouts/ro_1/evaluate 422 tick rolled_back rollback
//	POST /api/v1/rollouts/ro_1/evaluate 0 drop
//	GET /api/v1/rollouts/ro_1 200 rollout promoted shadow
//	GET /api/v1/api-keys 403 problem forbidden this key lacks key.manage
//	GET /api/v1/compare 200 file answer.json
package clitest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cobound/prova/api"
)

// Run runs the scripts in testdata/script.
func Run(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server":      start,
			"requests":    requests,
			"exits":       exits,
			"waitrequest": waitRequest,
			"unset":       func(ts *testscript.TestScript, _ bool, args []string) { ts.Setenv(args[0], "") },
		},
		Setup: func(env *testscript.Env) error {
			env.Values[running] = &server{}
			return nil
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// running names the server among the values of a script.
const running = "server"

// exits runs a program and wants an exit code: exits 69 prova-rollout list.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGUMENT…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		code, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = code.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s ended with %d, want %d", args[1], got, want)
	}
}

// server answers by script.
type server struct {
	mu     sync.Mutex
	routes map[string][]answer
	log    strings.Builder
}

type answer struct {
	status int
	kind   string
	args   []string
	body   string // of kind file
}

func start(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(running).(*server)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.Reset()
	s.routes = map[string][]answer{}
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			continue
		}
		status, err := strconv.Atoi(fields[2])
		ts.Check(err)
		a := answer{status: status, kind: fields[3], args: fields[4:]}
		if a.kind == "file" {
			a.body = ts.ReadFile(a.args[0])
		}
		route := fields[0] + " " + fields[1]
		s.routes[route] = append(s.routes[route], a)
	}
	web := httptest.NewServer(s)
	ts.Defer(web.Close)
	ts.Setenv("PROVA_BASE_URL", web.URL)
	ts.Setenv("PROVA_API_KEY", "prv_test_secret")
}

// waitRequest waits until a request was made whose line holds a text.
func waitRequest(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(running).(*server)
	for range 1000 {
		s.mu.Lock()
		found := strings.Contains(s.log.String(), args[0])
		s.mu.Unlock()
		if found {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("no request with %q", args[0])
}

// requests prints the requests so far, with their bodies.
func requests(ts *testscript.TestScript, _ bool, _ []string) {
	s := ts.Value(running).(*server)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := io.WriteString(ts.Stdout(), s.log.String())
	ts.Check(err)
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	fmt.Fprintf(&s.log, "%s %s %s\n", r.Method, r.URL, body)
	route := r.Method + " " + r.URL.Path
	list := s.routes[route]
	if len(list) > 1 {
		s.routes[route] = list[1:]
	}
	s.mu.Unlock()
	switch {
	case r.Header.Get("Authorization") != "Bearer prv_test_secret":
		problem(w, http.StatusUnauthorized, "unauthenticated", "the API key is unknown")
	case len(list) == 0:
		problem(w, http.StatusNotFound, "not_found", "there is nothing at "+r.URL.Path)
	default:
		list[0].write(w, body)
	}
}

func (a answer) write(w http.ResponseWriter, request []byte) {
	switch a.kind {
	case "drop":
		panic(http.ErrAbortHandler)
	case "problem":
		w.Header().Set("Retry-After", "1")
		problem(w, a.status, a.args[0], strings.Join(a.args[1:], " "))
	case "text":
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, strings.Join(a.args, " "))
	case "file":
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	case "tick":
		send(w, a.status, Tick(api.State(a.args[0]), api.Action(a.args[1]), mode(a.args[2:])))
	case "rollout":
		send(w, a.status, Rollout(api.State(a.args[0]), mode(a.args[1:])))
	case "ingest":
		send(w, a.status, ingest(request))
	default:
		problem(w, http.StatusNotImplemented, "script", "unknown answer "+a.kind)
	}
}

func mode(args []string) api.Mode {
	if len(args) > 0 {
		return api.Mode(args[0])
	}
	return api.ModeCanary
}

func send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func problem(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(api.Problem{Type: api.ProblemBase + code, Title: code, Status: status, Detail: detail})
}

// ingest creates every run except those of the release "refused".
func ingest(request []byte) api.IngestAnswer {
	var events []api.Event
	_ = json.Unmarshal(request, &events)
	answer := api.IngestAnswer{}
	for i, e := range events {
		r := api.IngestResult{Index: i, Status: api.IngestCreated}
		if e.Source.Release == "refused" {
			r.Status, r.Problem = api.IngestRefused, &api.Problem{Type: api.ProblemBase + "invalid", Status: http.StatusBadRequest, Detail: "this release is refused"}
		}
		answer.Results = append(answer.Results, r)
	}
	return answer
}
