package prova_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/anchor"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/httpapi"
	"github.com/cobound/prova/internal/keyfile"
	"github.com/cobound/prova/internal/store"
	"github.com/cobound/prova/internal/webhook"
	"github.com/cobound/prova/prova"
	"github.com/cobound/prova/receipt"
)

// realServer is a server as `prova serve` makes it, inside of the test.
type realServer struct {
	*httptest.Server
	// Key is the owner's.
	Key string

	dir   string
	store *store.Store
}

// startServer starts a server with a database of its own. It panics if it
// cannot: examples have nobody to tell.
func startServer() *realServer {
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	s := &realServer{}
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var err error
	s.dir, err = os.MkdirTemp("", "prova-sdk-")
	must(err)
	s.store, err = store.OpenSQLite(ctx, filepath.Join(s.dir, "prova.db"), log)
	must(err)
	files := keyfile.Dir{Path: s.dir}
	keys, err := files.Load()
	must(err)
	signer, err := receipt.NewSigner(keys.Receipt)
	must(err)
	a, err := authority.New(authority.Config{
		Store: s.store, Deliverer: webhook.New(webhook.Options{AllowLoopback: true, UserAgent: "test"}),
		Signer: signer, KeyRing: files, CheckpointKey: keys.Checkpoint, Origin: "test", Now: time.Now,
		Random: func(p []byte) { _, _ = rand.Read(p) }, Anchor: anchor.In(s.dir), Log: log,
	})
	must(err)
	s.Key = a.ProposeKey()
	_, err = a.Bootstrap(ctx, s.Key)
	must(err)
	s.Server = httptest.NewServer(httpapi.New(httpapi.Options{Cases: a, Log: log}))
	return s
}

func (s *realServer) Stop() {
	s.Close()
	_ = s.store.Close()
	_ = os.RemoveAll(s.dir)
}

// runs are those that the server has, by run id.
func (s *realServer) runs(t *testing.T) map[string]api.Event {
	t.Helper()
	client, err := prova.New(prova.Options{BaseURL: s.URL, APIKey: s.Key})
	ok(t, err)
	list, err := client.LatestRuns(t.Context(), prova.RunsQuery{}, 100)
	ok(t, err)
	runs := map[string]api.Event{}
	for _, item := range list.Items {
		opened, err := receipt.Parse(item.Receipt)
		ok(t, err)
		e := eventOf(t, opened.Body)
		runs[e.RunID] = e
	}
	return runs
}

// What a real server takes, of values at the limits of what a recorder lets through.
func TestRecorderWithServer(t *testing.T) {
	forget(t)
	server := startServer()
	defer server.Stop()
	log := &heard{}
	rec := prova.NewRecorder(prova.RecorderOptions{BaseURL: server.URL, APIKey: server.Key, AppID: "agent", Release: "v1", Logger: slog.New(log)})
	nested := func(n int) any {
		v := any(1)
		for range n {
			v = []any{v}
		}
		return v
	}
	id := rec.Record(prova.RunRecord{
		Metrics:    success("edge", int64(1<<53-1), "tiny", 5e-324, "negative", math.Copysign(0, -1)),
		ProbeID:    strings.Repeat("p", 200),
		Payload:    map[string]any{"deepest": nested(30), "too deep": nested(31), "text": "<\u2028é\\"},
		Attributes: map[string]any{"deepest": nested(30)},
	})
	large := rec.Record(prova.RunRecord{Metrics: success(), Payload: map[string]any{"a": strings.Repeat("x", 130<<10), "b": strings.Repeat("y", 131<<10)}})
	none := rec.Record(prova.RunRecord{Metrics: map[string]any{}})
	future := rec.Record(prova.RunRecord{Metrics: success(), OccurredAt: time.Now().Add(time.Hour)})
	rec.Outcome(id, map[string]any{"label": true})
	rec.Outcome(id, map[string]any{"success": false})
	ok(t, rec.Close(t.Context()))
	wantStats(t, rec, prova.Stats{Recorded: 6, Sent: 5, Refused: 1, RefusedValues: 3})
	runs := server.runs(t)
	if got := runs[id]; len(got.Metrics) != 4 || len(got.ProbeID) != 200 || len(got.Attributes) != 1 {
		t.Errorf("the server has %+v", got)
	}
	if _, found := runs[none]; !found || runs[large].Metrics == nil || runs[future].OccurredAt > time.Now().Add(time.Minute).UTC().Format(time.RFC3339) {
		t.Errorf("the server has %+v", runs)
	}
	for _, said := range []string{"name=payload.b", "payload.too deep", "name=occurred_at", "has the metric success already"} {
		if !strings.Contains(log.all(), said) {
			t.Errorf("nothing is said of %s in\n%s", said, log.all())
		}
	}
}

// A key for another environment is refused event by event, and each says why.
func TestRecorderForeignEnvironment(t *testing.T) {
	forget(t)
	server := startServer()
	defer server.Stop()
	client, err := prova.New(prova.Options{BaseURL: server.URL, APIKey: server.Key})
	ok(t, err)
	key, err := client.CreateAPIKey(t.Context(), api.CreateAPIKey{Name: "staging", Permissions: []api.Permission{api.AuditIngest}, Environment: "staging"})
	ok(t, err)
	log := &heard{}
	rec := prova.NewRecorder(prova.RecorderOptions{BaseURL: server.URL, APIKey: key.Secret, AppID: "agent", Release: "v1", Logger: slog.New(log)})
	rec.Record(prova.RunRecord{Metrics: success()})
	ok(t, rec.Close(t.Context()))
	wantStats(t, rec, prova.Stats{Recorded: 1, Refused: 1})
	if !strings.Contains(log.all(), "staging") {
		t.Errorf("said %s", log.all())
	}
}

// A receipt that came back is verified against pinned keys, without the server.
func TestVerifyReceipt(t *testing.T) {
	server := startServer()
	client, err := prova.New(prova.Options{BaseURL: server.URL, APIKey: server.Key})
	ok(t, err)
	answer, err := client.Ingest(t.Context(), []api.Event{{Kind: api.KindAgentRun, Source: api.EventSource{AppID: "a"}, Metrics: map[string]api.Metric{"success": api.Bool(true)}}})
	ok(t, err)
	resp, err := http.Get(server.URL + "/api/v1/keys")
	ok(t, err)
	pinned, err := receipt.ParsePublicKeys(readAll(t, resp))
	ok(t, err)
	other := startServer()
	resp, err = http.Get(other.URL + "/api/v1/keys")
	ok(t, err)
	foreign, err := receipt.ParsePublicKeys(readAll(t, resp))
	ok(t, err)
	other.Stop()
	server.Stop()

	raw := answer.Results[0].Receipt
	got, err := prova.VerifyReceipt(raw, pinned)
	if err != nil || got.Kind != api.KindAgentRun {
		t.Errorf("got %+v, %v", got, err)
	}
	changed := []byte(strings.Replace(string(raw), `"success":true`, `"success":false`, 1))
	for name, c := range map[string]struct {
		raw  []byte
		keys receipt.Trust
	}{"changed": {changed, pinned}, "another server's keys": {raw, foreign}, "no keys": {raw, receipt.Trust{}}, "nothing": {nil, pinned}} {
		if _, err := prova.VerifyReceipt(c.raw, c.keys); err == nil {
			t.Errorf("%s: it verifies", name)
		}
	}
}
