package dashboard

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/store"
	"github.com/cobound/prova/receipt"
)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// mailbox takes every webhook.
type mailbox struct{}

func (mailbox) CheckURL(string) error { return nil }

func (mailbox) Deliver(context.Context, authority.Shipment) authority.Sent {
	return authority.Sent{StatusCode: 204}
}

// house is the real authority on an embedded database, with the pages before it.
type house struct {
	*authority.Authority
	t        testing.TB
	clock    *clock
	owner    authority.Principal
	ownerKey string
	pages    *Handler
	mux      *http.ServeMux
	tokens   map[string]string
}

func newHouse(t testing.TB) *house {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	db, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "prova.db"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	_, receipts, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, checkpoints, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, clock: &clock{at: time.Date(2026, 5, 15, 18, 42, 0, 0, time.UTC)}, tokens: map[string]string{}}
	h.Authority, err = authority.New(authority.Config{
		Store: db, Deliverer: mailbox{}, Signer: must(receipt.NewSigner(receipts)), CheckpointKey: checkpoints, Origin: "test.example",
		Now: h.clock.now, Random: func(p []byte) { _, _ = rand.Read(p) }, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.ownerKey = h.ProposeKey()
	if _, err := h.Bootstrap(t.Context(), h.ownerKey); err != nil {
		t.Fatal(err)
	}
	h.owner = must(h.Authenticate(t.Context(), h.ownerKey))
	h.pages = must(New(Options{Cases: h.Authority, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: h.clock.now, Version: "1.2.3<b>"}))
	h.mux = http.NewServeMux()
	h.pages.Mount(h.mux)
	h.mux.HandleFunc("GET /api/v1/keys", func(w http.ResponseWriter, r *http.Request) {
		keys := must(h.SigningKeys(r.Context()))
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(api.List[api.SigningKey]{Items: keys})
	})
	return h
}

// key makes a key and returns its secret.
func (h *house) key(r api.CreateAPIKey) string {
	h.t.Helper()
	k, err := h.CreateAPIKey(h.t.Context(), h.owner, r)
	if err != nil {
		h.t.Fatal(err)
	}
	return k.Secret
}

func (h *house) keyWith(permissions ...api.Permission) string {
	h.t.Helper()
	return h.key(api.CreateAPIKey{Name: "a key", Permissions: permissions})
}

// token signs in once with each key.
func (h *house) token(key string) string {
	h.t.Helper()
	if h.tokens[key] == "" {
		token, _, err := h.SignIn(h.t.Context(), key)
		if err != nil {
			h.t.Fatal(err)
		}
		h.tokens[key] = token
	}
	return h.tokens[key]
}

// ask sends a request in the session of a key; an empty key is nobody's. A form is sent if there is one.
func (h *house) ask(key, method, path string, form url.Values, header ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if key != "" {
		r.AddCookie(&http.Cookie{Name: plainCookie, Value: h.token(key)})
	}
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	return w
}

// page is a page that must be there.
func (h *house) page(key, path string) string {
	h.t.Helper()
	w := h.ask(key, http.MethodGet, path, nil)
	if w.Code != http.StatusOK {
		h.t.Fatalf("%s: status %d: %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

// event is a run as a client would send it.
func event(app, release string, success bool) api.Event {
	return api.Event{
		Kind: api.KindAgentRun, Source: api.EventSource{AppID: app, Release: release},
		Metrics: map[string]api.Metric{"success": api.Bool(success), "latency_ms": api.Number(800)},
	}
}

// record keeps runs for an org.
func (h *house) record(p authority.Principal, events ...api.Event) []api.IngestResult {
	h.t.Helper()
	batch := make([]authority.Submission, len(events))
	for i, e := range events {
		batch[i] = authority.Submission{Event: e, Canonical: must(receipt.Canonical(must(json.Marshal(e))))}
	}
	results, err := h.Record(h.t.Context(), p, batch)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, r := range results {
		if r.Status != api.IngestCreated {
			h.t.Fatalf("%+v", r.Problem)
		}
	}
	return results
}

// traffic records n runs of the candidate v37 among per times as many of the
// baseline v36; of each so many fail, spread evenly.
func (h *house) traffic(app string, n, per, candidateFailures, baselineFailures int) {
	h.t.Helper()
	ok := func(i, n, failures int) bool { return (i+1)*failures/n == i*failures/n }
	var events []api.Event
	for i := range n {
		for j := range per {
			events = append(events, event(app, "v36", ok(i*per+j, n*per, baselineFailures)))
		}
		events = append(events, event(app, "v37", ok(i, n, candidateFailures)))
	}
	h.record(h.owner, events...)
}

// create makes a canary of v37 against v36, with changes.
func (h *house) create(app string, changes ...func(*api.CreateRollout)) api.Rollout {
	h.t.Helper()
	r := api.CreateRollout{AppID: app, BaselineRelease: "v36", CandidateRelease: "v37", Mode: api.ModeCanary}
	for _, change := range changes {
		change(&r)
	}
	ro, _, err := h.CreateRollout(h.t.Context(), h.owner, r)
	if err != nil {
		h.t.Fatal(err)
	}
	return ro
}

func (h *house) tick(id string) api.Tick {
	h.t.Helper()
	tick, err := h.Evaluate(h.t.Context(), h.owner, id)
	if err != nil {
		h.t.Fatal(err)
	}
	return tick
}

// states makes a rollout in every state, each of an app named for it, and returns their ids.
func (h *house) states() map[string]string {
	h.t.Helper()
	act := func(do func(context.Context, authority.Principal, string, string) (api.Rollout, error), id string) {
		h.t.Helper()
		if _, err := do(h.t.Context(), h.owner, id, "because it is tested"); err != nil {
			h.t.Fatal(err)
		}
	}
	ids := map[string]string{"new": h.create("new").ID}
	for _, c := range []struct {
		name                      string
		n, per, worse, asBaseline int
		change                    func(*api.CreateRollout)
	}{
		{name: "held", n: 12, per: 19, worse: 1, asBaseline: 22},
		{name: "advanced", n: 40, per: 19, worse: 3, asBaseline: 76},
		{name: "paused", n: 12, per: 19, worse: 1, asBaseline: 22},
		{name: "aborted", n: 12, per: 19, worse: 1, asBaseline: 22},
		{name: "rolled-back", n: 40, per: 19, worse: 30, asBaseline: 20},
		{name: "shadow", n: 40, per: 3, worse: 3, asBaseline: 9, change: func(r *api.CreateRollout) { r.Mode = api.ModeShadow }},
		{name: "promoted", n: 40, per: 1, worse: 1, asBaseline: 1, change: func(r *api.CreateRollout) { r.Steps = []int{50, 100} }},
	} {
		change := c.change
		if change == nil {
			change = func(*api.CreateRollout) {}
		}
		id := h.create(c.name, change).ID
		h.clock.pass(time.Minute)
		h.traffic(c.name, c.n, c.per, c.worse, c.asBaseline)
		h.tick(id)
		ids[c.name] = id
	}
	act(h.Pause, ids["paused"])
	act(h.Abort, ids["aborted"])
	h.clock.pass(time.Minute)
	return ids
}

func (h *house) stateOf(id string) api.State {
	h.t.Helper()
	return must(h.Rollout(h.t.Context(), h.owner, id)).State
}

// TestStates holds the states of the house to their names.
func TestStates(t *testing.T) {
	h := newHouse(t)
	ids := h.states()
	got := map[string]string{}
	for name, id := range ids {
		r := must(h.Rollout(t.Context(), h.owner, id))
		got[name] = fmt.Sprintf("%s at step %d", r.State, r.Step)
	}
	for name, want := range map[string]string{
		"new": "active at step 1", "held": "active at step 1", "advanced": "active at step 2", "paused": "paused at step 1", "aborted": "aborted at step 1",
		"rolled-back": "rolled_back at step 1", "shadow": "active at step 2", "promoted": "promoted at step 2",
	} {
		if got[name] != want {
			t.Errorf("%s: %s, want %s", name, got[name], want)
		}
	}
}
