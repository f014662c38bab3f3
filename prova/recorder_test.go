package prova_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/prova"
	"github.com/cobound/prova/sdks/scenarios/faultserver"
)

// fakeServer answers ingest requests without a network, so that a test's clock
// can run ahead. Without a fault it signs everything.
type fakeServer struct {
	mu sync.Mutex
	// faults are used up one a request, nil for none; then always is used.
	faults []fault
	always fault
	// requests are the lines of each request, and at when it came.
	requests [][]string
	at       []time.Time
	encoding []string
	// signed are the events that were taken, by idempotency key.
	signed map[string]string
	order  []string
}

type fault func(lines []string) (*http.Response, error)

func (s *fakeServer) RoundTrip(r *http.Request) (*http.Response, error) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		body = z
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.at, s.encoding = append(s.requests, lines), append(s.at, time.Now()), append(s.encoding, r.Header.Get("Content-Encoding"))
	fail := s.always
	if len(s.faults) > 0 {
		fail, s.faults = s.faults[0], s.faults[1:]
	}
	if fail != nil {
		if resp, err := fail(lines); resp != nil || err != nil {
			return resp, err
		}
	}
	var answer api.IngestAnswer
	for i, line := range lines {
		answer.Results = append(answer.Results, s.sign(i, line))
	}
	return respond(200, "", answer), nil
}

func (s *fakeServer) sign(i int, line string) api.IngestResult {
	var e api.Event
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		return api.IngestResult{Index: i, Status: api.IngestRefused, Problem: &api.Problem{Status: 400, Detail: err.Error()}}
	}
	switch first, ok := s.signed[e.IdempotencyKey]; {
	case ok && first == line:
		return api.IngestResult{Index: i, Status: api.IngestDuplicate}
	case ok:
		return api.IngestResult{Index: i, Status: api.IngestRefused, Problem: &api.Problem{Status: 409, Detail: "another body"}}
	}
	if s.signed == nil {
		s.signed = map[string]string{}
	}
	s.signed[e.IdempotencyKey] = line
	s.order = append(s.order, e.RunID)
	return api.IngestResult{Index: i, Status: api.IngestCreated}
}

// events are what was signed, by run id.
func (s *fakeServer) events(t *testing.T) map[string]api.Event {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	events := map[string]api.Event{}
	for _, line := range s.signed {
		var e api.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		events[e.RunID] = e
	}
	return events
}

func (s *fakeServer) runIDs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.order)
}

func (s *fakeServer) set(always fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always = always
}

func respond(status int, retryAfter string, body any) *http.Response {
	data, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	h := http.Header{"Content-Type": {"application/json"}}
	if _, ok := body.(api.Problem); ok {
		h.Set("Content-Type", "application/problem+json")
	}
	if retryAfter != "" {
		h.Set("Retry-After", retryAfter)
	}
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Header: h, Body: io.NopCloser(bytes.NewReader(data))}
}

func problem(status int, code, retryAfter string) fault {
	return func([]string) (*http.Response, error) {
		return respond(status, retryAfter, api.Problem{Type: api.ProblemBase + code, Status: status, Detail: "no: " + code}), nil
	}
}

func page(status int) fault {
	return func([]string) (*http.Response, error) { return respond(status, "", "<html>"), nil }
}

func down([]string) (*http.Response, error) { return nil, errors.New("connection refused") }

// heard collects what a recorder complains about.
type heard struct {
	mu      sync.Mutex
	records []string
	kinds   []string
	named   []faultserver.Warning
}

func (h *heard) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (h *heard) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	text := r.Message
	var w faultserver.Warning
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "kind":
			w.Kind = a.Value.String()
		case "name":
			w.Name = a.Value.String()
		}
		text += " " + a.String()
		return true
	})
	h.records, h.kinds, h.named = append(h.records, text), append(h.kinds, w.Kind), append(h.named, w)
	return nil
}

func (h *heard) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *heard) WithGroup(string) slog.Handler      { return h }

func (h *heard) all() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.records, "\n")
}

func (h *heard) kindList() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.kinds)
}

func (h *heard) warnings() []faultserver.Warning {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.named)
}

// forget empties what steers a recorder from outside.
func forget(t *testing.T) {
	t.Helper()
	for _, name := range []string{"PROVA_API_KEY", "PROVA_BASE_URL", "PROVA_APP_ID", "PROVA_RELEASE", "PROVA_ENVIRONMENT", "PROVA_SPOOL_DIR"} {
		t.Setenv(name, "")
	}
}

// record makes a recorder that sends to s, and checks its counts at the end.
func record(t *testing.T, s *fakeServer, o prova.RecorderOptions) (*prova.Recorder, *heard) {
	t.Helper()
	log := &heard{}
	o.APIKey, o.AppID, o.HTTPClient, o.Logger = "prv_k_s", "agent", &http.Client{Transport: s}, slog.New(log)
	if o.Release == "" {
		o.Release = "v1"
	}
	rec := prova.NewRecorder(o)
	if rec.Err() != nil {
		t.Fatal(rec.Err())
	}
	t.Cleanup(func() {
		_ = rec.Close(t.Context())
		n := rec.Stats()
		if in, out := n.Recorded+n.Recovered, n.Sent+n.Refused+n.Dropped+n.Queued+n.Spooled; in != out {
			t.Errorf("%d came in and %d are somewhere: %+v", in, out, n)
		}
	})
	return rec, log
}

// bubble runs a test with a clock of its own. Nothing is left running at its end.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	forget(t)
	synctest.Test(t, test)
}

// pass lets time go by, and what happens in it end.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func wantStats(t *testing.T, rec *prova.Recorder, want prova.Stats) {
	t.Helper()
	if got := rec.Stats(); got != want {
		t.Errorf("the counts are\n%+v, want\n%+v", got, want)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func success(metrics ...any) map[string]any {
	m := map[string]any{"success": true}
	for i := 0; i < len(metrics); i += 2 {
		m[metrics[i].(string)] = metrics[i+1]
	}
	return m
}

func TestRecordRun(t *testing.T) {
	forget(t)
	t.Setenv("PROVA_API_KEY", "prv_env_secret\n")
	t.Setenv("PROVA_BASE_URL", "https://prova.example.com/below")
	t.Setenv("PROVA_APP_ID", "claims-agent")
	t.Setenv("PROVA_RELEASE", "v37")
	t.Setenv("PROVA_ENVIRONMENT", "staging")
	synctest.Test(t, func(t *testing.T) {
		server := &fakeServer{}
		var target, key string
		through := roundTrip(func(r *http.Request) (*http.Response, error) {
			target, key = r.URL.String(), r.Header.Get("Authorization")
			return server.RoundTrip(r)
		})
		rec := prova.NewRecorder(prova.RecorderOptions{HTTPClient: &http.Client{Transport: through}})
		began := time.Now()
		failed := errors.New("no answer")
		var id string
		err := rec.Run(t.Context(), func(ctx context.Context, run *prova.Run) error {
			time.Sleep(250*time.Millisecond + 400*time.Microsecond)
			if prova.RunFrom(ctx) != run {
				t.Error("the context does not hold the run")
			}
			run.Metric("cost_usd", 0.01)
			run.Metric("tokens", uint16(2210))
			run.Metric("score", float32(0.1))
			run.Input(map[string]any{"claim": "<b>"})
			run.Output("paid")
			run.Attribute("tool", []string{"search"})
			run.Probe("claim-0017")
			run.Unit("user-1")
			run.Model("acme", "large", "")
			id = run.ID()
			return failed
		})
		if !errors.Is(err, failed) {
			t.Errorf("the agent's error became %v", err)
		}
		if time.Since(began) != 250*time.Millisecond+400*time.Microsecond {
			t.Errorf("the agent was held up: %v", time.Since(began))
		}
		ok(t, rec.Close(t.Context()))
		e := server.events(t)[id]
		if e.IdempotencyKey == "" || e.IdempotencyKey == id || len(id) < 20 {
			t.Errorf("idempotency key %q and run id %q", e.IdempotencyKey, id)
		}
		e.IdempotencyKey, e.RunID = "", ""
		got, err := json.Marshal(e)
		ok(t, err)
		want := `{"kind":"agent_run","occurred_at":"` + began.UTC().Format(time.RFC3339Nano) + `",` +
			`"source":{"app_id":"claims-agent","environment":"staging","release":"v37"},"model":{"provider":"acme","name":"large"},` +
			`"probe_id":"claim-0017","unit_id":"user-1","metrics":{"cost_usd":0.01,"latency_ms":250.4,"score":0.1,"success":false,"tokens":2210},` +
			`"payload":{"input":{"claim":"\u003cb\u003e"},"output":"paid"},"attributes":{"tool":["search"]}}`
		if string(got) != want {
			t.Errorf("sent\n%s, want\n%s", got, want)
		}
		if target != "https://prova.example.com/below/api/v1/audit/ingest" || key != "Bearer prv_env_secret" {
			t.Errorf("sent to %s with %s", target, key)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A panic goes through with its value and stack, a goroutine that ends itself
// ends, and both are failures; what the agent says itself counts.
func TestRunEndings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := &fakeServer{}
		rec, log := record(t, server, prova.RecorderOptions{})
		var ids [4]string
		func() {
			defer func() {
				if p := recover(); p != "boom" {
					t.Errorf("the panic became %v", p)
				}
				buf := make([]byte, 1<<16)
				if stack := string(buf[:runtime.Stack(buf, false)]); !strings.Contains(stack, "explode") {
					t.Errorf("the panic's stack is gone:\n%s", stack)
				}
			}()
			_ = rec.Run(t.Context(), func(_ context.Context, run *prova.Run) error {
				ids[0] = run.ID()
				run.Metric("success", true)
				explode()
				return nil
			})
		}()
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_ = rec.Run(t.Context(), func(_ context.Context, run *prova.Run) error {
				ids[1] = run.ID()
				runtime.Goexit()
				return nil
			})
		}()
		<-gone
		ok(t, rec.Run(t.Context(), func(_ context.Context, run *prova.Run) error {
			ids[2] = run.ID()
			run.Metric("success", false)
			run.Metric("latency_ms", 5)
			return nil
		}))
		run := rec.Start()
		run.SetID("trace-1")
		run.End(nil)
		run.End(errors.New("too late"))
		run.Metric("x", 1)
		ids[3] = run.ID()
		ok(t, rec.Flush(t.Context()))
		events := server.events(t)
		for i, want := range []bool{false, false, false, true} {
			if e := events[ids[i]]; e.Metrics["success"] != api.Bool(want) {
				t.Errorf("run %d was recorded as %+v", i, e)
			}
		}
		if events[ids[2]].Metrics["latency_ms"] != api.Number(5) || ids[3] != "trace-1" || len(events[ids[3]].Metrics) != 2 {
			t.Errorf("recorded %+v", events)
		}
		if got := log.kindList(); !slices.Equal(got, []string{"value_refused"}) {
			t.Errorf("complained of %v", got)
		}
		var none *prova.Run
		none.Metric("x", 1)
		none.End(nil)
		if none.ID() != "" || prova.RunFrom(t.Context()) != nil {
			t.Error("no run is one")
		}
	})
}

func explode() { panic("boom") }

type unwritable struct{}

func (unwritable) MarshalJSON() ([]byte, error) { panic("not me") }

// What cannot be sent is refused by its name, and the rest of the run goes on.
func TestRefusedValues(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := &fakeServer{}
		rec, log := record(t, server, prova.RecorderOptions{})
		deep := any(1)
		for range 31 {
			deep = []any{deep}
		}
		id := rec.Record(prova.RunRecord{
			Metrics: map[string]any{
				"nan": math.NaN(), "inf": math.Inf(-1), "text": "1", "none": nil, "list": []int{1}, "whole": int64(1) << 53, "huge": 1e300,
				"took": time.Second, "": 1, "tab\t": 1, "good": 1, "edge": int64(1)<<53 - 1, "bool": true,
			},
			RunID: strings.Repeat("x", 201), ProbeID: "a\nb", UnitID: "u", Release: "\xff",
			Model:      &api.EventModel{Name: "m\x00"},
			Payload:    map[string]any{"chan": make(chan int), "panics": unwritable{}, "digits": int64(1) << 60, "zero": "a\x00b", "deep": deep, "large": strings.Repeat("l", 300<<10), "good": []any{deep}[0:0], "fine": "x"},
			Attributes: map[string]any{"func": func() {}, "good": 1},
		})
		ok(t, rec.Flush(t.Context()))
		e := server.events(t)[id]
		if len(e.Metrics) != 3 || e.Metrics["good"] != api.Number(1) || e.Metrics["edge"] != api.Number(1<<53-1) || e.Metrics["bool"] != api.Bool(true) {
			t.Errorf("the metrics are %v", e.Metrics)
		}
		if len(e.Payload) != 2 || string(e.Payload["good"]) != "[]" || len(e.Attributes) != 1 || e.UnitID != "u" || e.ProbeID != "" || e.Source.Release != "v1" {
			t.Errorf("sent %+v", e)
		}
		said := log.all()
		for _, name := range []string{
			"metrics.nan", "metrics.inf", "metrics.text", "metrics.none", "metrics.list", "metrics.whole", "metrics.huge", "metrics.took", "name=metrics.\n", "metrics.tab\t",
			"run_id", "probe_id", "release", "model.name", "payload.chan", "payload.panics", "payload.digits", "payload.zero", "payload.deep", "payload.large", "attributes.func",
		} {
			if !strings.Contains(said+"\n", "name="+strings.TrimPrefix(name, "name=")) {
				t.Errorf("nothing is said of %q in\n%s", name, said)
			}
		}
		if got := rec.Stats(); got.RefusedValues != 21 || got.Sent != 1 {
			t.Errorf("the counts are %+v", got)
		}
	})
}

// Numbers of all of Go's types are metrics, and stay what they were.
func TestMetricTypes(t *testing.T) {
	type share float64
	type count uint8
	type flag bool
	bubble(t, func(t *testing.T) {
		server := &fakeServer{}
		rec, _ := record(t, server, prova.RecorderOptions{Release: "\n", Framework: "\n"})
		given := map[string]any{
			"int": -3, "int64": int64(1 << 52), "uint": count(200), "float32": float32(0.1), "float64": share(0.25), "bool": flag(true), "metric": api.Bool(false), "zero": 0,
		}
		id := rec.Record(prova.RunRecord{Metrics: given})
		ok(t, rec.Flush(t.Context()))
		want := map[string]api.Metric{
			"int": api.Number(-3), "int64": api.Number(1 << 52), "uint": api.Number(200), "float32": api.Number(0.1), "float64": api.Number(0.25),
			"bool": api.Bool(true), "metric": api.Bool(false), "zero": api.Number(0),
		}
		if got := server.events(t)[id]; !maps.Equal(got.Metrics, want) || got.Source.Release != "" || got.Source.Framework != "" {
			t.Errorf("sent %+v", got)
		}
		wantStats(t, rec, prova.Stats{Recorded: 1, Sent: 1, RefusedValues: 2}) // the release and the framework of the options
	})
}

// A run that holds too much loses its largest payload fields, not itself.
func TestLargeRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := &fakeServer{}
		rec, log := record(t, server, prova.RecorderOptions{})
		run := rec.Start()
		for i := range 100 {
			run.Metric(fmt.Sprintf("m%02d", i), i)
		}
		run.Payload("small", strings.Repeat("s", 100<<10))
		run.Payload("middle", strings.Repeat("m", 120<<10))
		run.Payload("large", strings.Repeat("l", 200<<10))
		run.End(nil)
		ok(t, rec.Flush(t.Context()))
		e := server.events(t)[run.ID()]
		if len(e.Metrics) != 64 || e.Metrics["success"] != api.Bool(true) || len(e.Payload) != 2 || e.Payload["large"] != nil {
			t.Errorf("%d metrics and %d payload fields were sent", len(e.Metrics), len(e.Payload))
		}
		if !strings.Contains(log.all(), "name=payload.large") || !strings.Contains(log.all(), "name=metrics.m62") || rec.Stats().RefusedValues != 39 {
			t.Errorf("said, and counted %+v:\n%s", rec.Stats(), log.all())
		}
	})
}

// A recorder that cannot work is a working one that does nothing and says so once.
func TestDisabled(t *testing.T) {
	forget(t)
	for name, c := range map[string]struct {
		o    prova.RecorderOptions
		want string
	}{
		"no key":      {prova.RecorderOptions{AppID: "a"}, "PROVA_API_KEY"},
		"no app":      {prova.RecorderOptions{APIKey: "prv_a_b"}, "PROVA_APP_ID"},
		"bad app":     {prova.RecorderOptions{APIKey: "prv_a_b", AppID: "a\nb"}, "app id"},
		"bad address": {prova.RecorderOptions{APIKey: "prv_a_b", AppID: "a", BaseURL: "prova.example.com"}, "base URL"},
		"bad key":     {prova.RecorderOptions{APIKey: "prv a", AppID: "a"}, "API key"},
	} {
		t.Run(name, func(t *testing.T) {
			log := &heard{}
			c.o.Logger = slog.New(log)
			rec := prova.NewRecorder(c.o)
			if rec.Err() == nil || !strings.Contains(rec.Err().Error(), c.want) {
				t.Errorf("the reason is %v", rec.Err())
			}
			for range 3 {
				called := false
				ok(t, rec.Run(t.Context(), func(_ context.Context, run *prova.Run) error {
					called = true
					run.Metric("x", math.NaN())
					run.Input(unwritable{})
					if run.ID() == "" {
						t.Error("a run without id")
					}
					return nil
				}))
				if id := rec.Record(prova.RunRecord{RunID: "r"}); id != "r" || !called {
					t.Errorf("called %v, id %q", called, id)
				}
				rec.Outcome("r", success())
			}
			ok(t, rec.Flush(t.Context()))
			ok(t, rec.Close(t.Context()))
			wantStats(t, rec, prova.Stats{})
			if got := log.kindList(); !slices.Equal(got, []string{"disabled"}) || strings.Contains(log.all(), "prv a") {
				t.Errorf("complained: %s", log.all())
			}
		})
	}
}

// A run without a release is sent all the same.
func TestNoRelease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, log := &fakeServer{}, &heard{}
		rec := prova.NewRecorder(prova.RecorderOptions{APIKey: "prv_a_b", AppID: "a", Logger: slog.New(log), HTTPClient: &http.Client{Transport: server}})
		rec.Record(prova.RunRecord{Metrics: success(), RunID: "a"})
		rec.Record(prova.RunRecord{Metrics: success(), RunID: "b"})
		pass(time.Hour)
		rec.Record(prova.RunRecord{Metrics: success(), RunID: "c"})
		rec.Record(prova.RunRecord{Metrics: map[string]any{}, RunID: "d", Release: "v2"})
		rec.Outcome("a", map[string]any{"label": true})
		ok(t, rec.Close(t.Context()))
		if got := log.kindList(); !slices.Equal(got, []string{"no_release"}) {
			t.Errorf("complained of %v", got)
		}
		if e := server.events(t)["d"]; e.Source.Release != "v2" || e.Metrics == nil {
			t.Errorf("sent %+v", e)
		}
		wantStats(t, rec, prova.Stats{Recorded: 5, Sent: 5})
	})
}

func TestOutcome(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := &fakeServer{}
		rec, log := record(t, server, prova.RecorderOptions{})
		rec.Outcome("run-1", map[string]any{"label": true, "bad": math.NaN()})
		rec.Outcome("", success())
		rec.Outcome("run-2", map[string]any{"bad": "x"})
		ok(t, rec.Flush(t.Context()))
		e := server.events(t)["run-1"]
		if e.Kind != api.KindOutcome || len(e.Metrics) != 1 || e.Source.Release != "" || e.Source.Environment != "production" || e.IdempotencyKey == "" {
			t.Errorf("sent %+v", e)
		}
		wantStats(t, rec, prova.Stats{Recorded: 3, Sent: 1, Refused: 2, RefusedValues: 2})
		if !strings.Contains(log.all(), "an outcome was refused") {
			t.Errorf("said %s", log.all())
		}
	})
}

// Memory that is used again holds no other run's values: each run is sent with
// its own, whatever is set twice, repeated or refused meanwhile.
func TestRunsKeepTheirValues(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := &fakeServer{}
		for i := range 40 {
			server.faults = append(server.faults, []fault{nil, down, problem(503, "unavailable", ""), page(502)}[i%4])
		}
		rec, _ := record(t, server, prova.RecorderOptions{BatchEvents: 50, RetryMax: time.Second})
		want := map[string]string{}
		for i := range 3000 {
			text := strings.Repeat(fmt.Sprintf("%d ", i), 1+i%300)
			if i%5 == 0 {
				text += "\n\u2028" // not plain
			}
			run := rec.Start()
			run.Input("first " + text)
			run.Input(text)
			run.Output(map[string]string{"text": text})
			run.Attribute("bad", "\x00")
			want[run.ID()] = text
			run.End(nil)
			if i%100 == 0 {
				pass(time.Second)
			}
		}
		ok(t, rec.Flush(t.Context()))
		events := server.events(t)
		for id, text := range want {
			var input string
			var output map[string]string
			e := events[id]
			if json.Unmarshal(e.Payload["input"], &input) != nil || json.Unmarshal(e.Payload["output"], &output) != nil || input != text || output["text"] != text || e.Attributes != nil {
				t.Fatalf("recorded %.60q, and sent\n%.300s", text, fmt.Sprint(e))
			}
		}
		wantStats(t, rec, prova.Stats{Recorded: 3000, Sent: 3000, RefusedValues: 3000})
	})
}

// A request stays within its bound also where texts grow as JSON.
func TestEscapesInBatches(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := &fakeServer{}
		rec, _ := record(t, server, prova.RecorderOptions{BatchBytes: 20 << 10})
		for range 100 {
			run := rec.Start()
			run.Input(strings.Repeat("\x01", 1000)) // six times as long
			run.End(nil)
		}
		ok(t, rec.Flush(t.Context()))
		for _, lines := range server.requests {
			if n := len(strings.Join(lines, "")); n > 20<<10 {
				t.Errorf("a request of %d lines has %d bytes", len(lines), n)
			}
		}
		wantStats(t, rec, prova.Stats{Recorded: 100, Sent: 100})
	})
}
