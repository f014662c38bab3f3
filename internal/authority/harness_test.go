package authority_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
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

// receiver stands in for the network: it keeps what was sent and answers as it is told.
type receiver struct {
	mu     sync.Mutex
	sent   []authority.Shipment
	answer authority.Sent
}

func (r *receiver) CheckURL(url string) error {
	if url == "closed" {
		return fmt.Errorf("the address is closed")
	}
	return nil
}

func (r *receiver) Deliver(_ context.Context, s authority.Shipment) authority.Sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, s)
	return r.answer
}

func (r *receiver) say(a authority.Sent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = a
}

func (r *receiver) events(t *testing.T) []api.WebhookEvent {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []api.WebhookEvent
	for _, s := range r.sent {
		var e api.WebhookEvent
		if err := json.Unmarshal(s.Body, &e); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// house is an authority on a real embedded database.
type house struct {
	*authority.Authority
	t     testing.TB
	ctx   context.Context
	clock *clock
	out   *receiver
	owner authority.Principal
	// receipts and checkpoints are the server's keys, for those who forge.
	receipts    receipt.Signer
	checkpoints ed25519.PrivateKey
}

func newHouse(t testing.TB) *house {
	t.Helper()
	ctx := context.Background()
	db, err := store.OpenSQLite(ctx, filepath.Join(t.TempDir(), "prova.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &house{t: t, ctx: ctx, clock: &clock{at: time.Date(2026, 5, 15, 18, 42, 0, 0, time.UTC)}, out: &receiver{answer: authority.Sent{StatusCode: 204}}}
	_, receipts, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, checkpoints, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if h.receipts, err = receipt.NewSigner(receipts); err != nil {
		t.Fatal(err)
	}
	h.checkpoints = checkpoints
	h.Authority, err = authority.New(authority.Config{
		Store: db, Deliverer: h.out, Signer: h.receipts, CheckpointKey: checkpoints, Origin: "test",
		Now: h.clock.now, Random: func(p []byte) { _, _ = rand.Read(p) }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	owner := h.ProposeKey()
	if created, err := h.Bootstrap(ctx, owner); err != nil || !created {
		t.Fatalf("bootstrap: %t, %v", created, err)
	}
	if h.owner, err = h.Authenticate(ctx, owner); err != nil {
		t.Fatal(err)
	}
	return h
}

// event is a run as a client would send it.
func event(release string, success bool) api.Event {
	return api.Event{
		Kind: api.KindAgentRun, Source: api.EventSource{AppID: "claims-agent", Release: release},
		Metrics: map[string]api.Metric{"success": api.Bool(success), "latency_ms": api.Number(800)},
	}
}

func submission(t testing.TB, e api.Event) authority.Submission {
	t.Helper()
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := receipt.Canonical(data)
	if err != nil {
		t.Fatal(err)
	}
	return authority.Submission{Event: e, Canonical: canonical}
}

// record sends events and returns what became of them.
func (h *house) record(events ...api.Event) []api.IngestResult {
	h.t.Helper()
	batch := make([]authority.Submission, len(events))
	for i, e := range events {
		batch[i] = submission(h.t, e)
	}
	results, err := h.Record(h.ctx, h.owner, batch)
	if err != nil {
		h.t.Fatal(err)
	}
	return results
}

// traffic records n candidate runs with per baseline runs for each; failures are spread evenly.
func (h *house) traffic(baseline, candidate string, n, per, candidateFailures, baselineFailures int) {
	h.t.Helper()
	ok := func(i, n, failures int) bool { return (i+1)*failures/n == i*failures/n }
	var events []api.Event
	for i := range n {
		for j := range per {
			events = append(events, event(baseline, ok(i*per+j, n*per, baselineFailures)))
		}
		events = append(events, event(candidate, ok(i, n, candidateFailures)))
	}
	for _, r := range h.record(events...) {
		if r.Status != api.IngestCreated {
			h.t.Fatalf("%+v", r.Problem)
		}
	}
}

func (h *house) create(r api.CreateRollout) api.Rollout {
	h.t.Helper()
	ro, created, err := h.CreateRollout(h.ctx, h.owner, r)
	if err != nil || !created {
		h.t.Fatalf("created %t, %v", created, err)
	}
	return ro
}

func canary(baseline, candidate string) api.CreateRollout {
	return api.CreateRollout{AppID: "claims-agent", BaselineRelease: baseline, CandidateRelease: candidate, Mode: api.ModeCanary}
}

func (h *house) tick(id string) api.Tick {
	h.t.Helper()
	tick, err := h.Evaluate(h.ctx, h.owner, id)
	if err != nil {
		h.t.Fatal(err)
	}
	return tick
}

func (h *house) hook() api.Webhook {
	h.t.Helper()
	w, err := h.CreateWebhook(h.ctx, h.owner, api.CreateWebhook{URL: "https://cd.example/hook"})
	if err != nil {
		h.t.Fatal(err)
	}
	return w
}

// verifies exports the log and verifies it offline with the server's keys.
func (h *house) verifies() receipt.Report {
	h.t.Helper()
	var b bytes.Buffer
	if err := h.Export(h.ctx, h.owner, 0, 0, &b); err != nil {
		h.t.Fatal(err)
	}
	keys, err := h.SigningKeys(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	list, err := json.Marshal(api.List[api.SigningKey]{Items: keys})
	if err != nil {
		h.t.Fatal(err)
	}
	trust, err := receipt.ParsePublicKeys(list)
	if err != nil {
		h.t.Fatal(err)
	}
	report := receipt.VerifyExport(&b, trust, nil)
	if report.Result != receipt.Verified || !report.KeysPinned {
		h.t.Errorf("%s: %+v", report.Result, report.Checks)
	}
	return report
}

// code is the code of an error that must be there.
func code(t testing.TB, err error, want authority.Code) {
	t.Helper()
	if err == nil || authority.CodeOf(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
