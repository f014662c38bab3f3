package authority_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/replay"
	"github.com/cobound/prova/internal/store"
	"github.com/cobound/prova/receipt"
)

var update = flag.Bool("update", false, "rewrite the vectors in receipt/testdata/vectors")

// rolloutVectors are a whole log as a server writes it, for whoever implements
// docs/receipts.md in another language.
type rolloutVectors struct {
	About       string              `json:"about"`
	AppID       string              `json:"app_id"`
	Environment string              `json:"environment"`
	Keys        []receipt.PublicKey `json:"keys"`
	// Export has the lines of the export without their ends.
	Export []string `json:"export"`
	// Rollouts say how each one ended.
	Rollouts []rolloutVector `json:"rollouts"`
}

type rolloutVector struct {
	ID        string    `json:"id"`
	Candidate string    `json:"candidate"`
	State     api.State `json:"state"`
	Decisions int64     `json:"decisions"`
}

// fixedHouse is a house whose keys, clock and random numbers are always the same.
func fixedHouse(t *testing.T) *house {
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
	key := func(name string) ed25519.PrivateKey {
		seed := sha256.Sum256([]byte(name))
		return ed25519.NewKeyFromSeed(seed[:])
	}
	signer, err := receipt.NewSigner(key("receipts"))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.NewChaCha8(sha256.Sum256([]byte("vectors")))
	h := &house{t: t, ctx: ctx, clock: &clock{at: time.Date(2026, 5, 15, 18, 42, 0, 0, time.UTC)}, out: &receiver{answer: authority.Sent{StatusCode: 204}}}
	h.Authority, err = authority.New(authority.Config{
		Store: db, Deliverer: h.out, Signer: signer, CheckpointKey: key("checkpoints"), Origin: "prova.example",
		Now: h.clock.now, Random: func(p []byte) { _, _ = random.Read(p) }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	owner := h.ProposeKey()
	if _, err := h.Bootstrap(ctx, owner); err != nil {
		t.Fatal(err)
	}
	if h.owner, err = h.Authenticate(ctx, owner); err != nil {
		t.Fatal(err)
	}
	return h
}

// playVectors plays a rollout that is promoted and one that is rolled back,
// with a history, outcomes, a pause, and a metric that some runs lack.
func playVectors(t *testing.T) rolloutVectors {
	t.Helper()
	h := fixedHouse(t)
	rng := rand.New(rand.NewPCG(5, 15))
	n := 0
	send := func(release string, runs int, failing float64) {
		for range runs {
			h.clock.pass(time.Second)
			n++
			e := api.Event{
				Kind: api.KindAgentRun, Source: api.EventSource{AppID: "claims-agent", Release: release},
				RunID: "run-" + string(rune('a'+n%26)) + strings.Repeat("x", n/26), Metrics: map[string]api.Metric{"success": api.Bool(rng.Float64() >= failing)},
			}
			if n%7 == 0 { // it becomes known later
				late := e
				late.Kind, e.Metrics = api.KindOutcome, map[string]api.Metric{"tokens": api.Number(float64(rng.IntN(4000)) / 8)}
				h.record(e)
				h.record(late)
				continue
			}
			h.record(e)
		}
	}
	v := rolloutVectors{
		About: "docs/receipts.md, Replay: a log with two rollouts on a rate. Every decision follows from the runs.",
		AppID: "claims-agent", Environment: api.DefaultEnvironment,
	}
	play := func(baseline, candidate string, failing float64) {
		r := canary(baseline, candidate)
		least := int64(10)
		r.Steps, r.MinRuns, r.Gates = []int{25, 50, 100}, &least, []api.Gate{{Metric: "success", Statistic: api.StatisticRate, Better: api.BetterHigher, On: api.OnRollback}}
		ro := h.create(r)
		for i := range 30 {
			if i != 4 { // once the baseline is silent, and its history stands in for it
				send(baseline, 4, 0.05)
			}
			send(candidate, 3, failing)
			if i == 4 {
				send(candidate, 12, failing)
			}
			if i == 1 {
				if _, err := h.Pause(h.ctx, h.owner, ro.ID, "lunch"); err != nil {
					t.Fatal(err)
				}
			}
			if i == 2 {
				if _, err := h.Resume(h.ctx, h.owner, ro.ID, "back from lunch"); err != nil {
					t.Fatal(err)
				}
			}
			tick := h.tick(ro.ID)
			if tick.Rollout.State.Finished() {
				v.Rollouts = append(v.Rollouts, rolloutVector{ro.ID, candidate, tick.Rollout.State, tick.Rollout.Sequence})
				return
			}
		}
		t.Fatalf("the rollout of %s does not end", candidate)
	}
	send("v1", 40, 0.05)
	play("v1", "v2", 0.05)
	play("v2", "v3", 0.6)

	var b bytes.Buffer
	if err := h.Export(h.ctx, h.owner, 0, 0, &b); err != nil {
		t.Fatal(err)
	}
	v.Export = strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	keys, err := h.SigningKeys(h.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		v.Keys = append(v.Keys, receipt.PublicKey{KeyID: k.KeyID, Purpose: k.Purpose, Algorithm: k.Algorithm, PublicKey: k.PublicKey})
	}
	return v
}

// TestRolloutVectors holds the log to what a server writes, and verifies and
// replays it as it is kept.
func TestRolloutVectors(t *testing.T) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(playVectors(t)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", "receipt", "testdata", "vectors", "rollouts.json")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatal("no vectors: run the test with -update")
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, b.Bytes()) {
		t.Errorf("%s is not what a server writes now: if that is meant, run the test with -update", path)
	}
	var v rolloutVectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(map[string]any{"keys": v.Keys})
	if err != nil {
		t.Fatal(err)
	}
	trust, err := receipt.ParsePublicKeys(keys)
	if err != nil {
		t.Fatal(err)
	}
	report := receipt.VerifyExport(strings.NewReader(strings.Join(v.Export, "\n")+"\n"), trust, nil)
	if report.Result != receipt.Verified {
		t.Errorf("%s: %+v", report.Result, report.Checks)
	}
	var items []replay.Item
	for _, line := range v.Export[1 : len(v.Export)-1] {
		var l struct {
			LogIndex int64           `json:"log_index"`
			Receipt  json.RawMessage `json:"receipt"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		r, err := receipt.Parse(l.Receipt)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, replay.Item{Index: l.LogIndex, Receipt: r})
	}
	played, err := replay.Rollouts(logOf(items), v.AppID, v.Environment)
	want := int64(0)
	for _, r := range v.Rollouts {
		want += r.Decisions
	}
	if err != nil || played.Decisions != want || len(played.Findings) > 0 || played.Skipped > 0 {
		t.Errorf("%d decisions replayed, want %d: %+v, %v", played.Decisions, want, played.Findings, err)
	}
	if len(v.Rollouts) != 2 || v.Rollouts[0].State != api.StatePromoted || v.Rollouts[1].State != api.StateRolledBack {
		t.Errorf("%+v: want one promoted and one rolled back", v.Rollouts)
	}
}
