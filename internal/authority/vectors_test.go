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
	"strconv"
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

// judgeVectors records what two judges say of more pairs: at first they favour
// nobody, then the baseline more and more.
func judgeVectors(t *testing.T, h *house, baseline, candidate string, round int) {
	t.Helper()
	first, n := 8*round, 9 // the last one of a round is the first of the next: a repeat
	if round >= 4 {
		first, n = 16*(round-2), 17
	}
	for i := range n {
		h.clock.pass(time.Second)
		j := api.Judgment{
			AppID: "claims-agent", BaselineRelease: baseline, CandidateRelease: candidate, ProbeID: "probe-" + strconv.Itoa(first+i),
			Judge: api.Judge{Model: "judge-1", Template: "t1"}, Verdict: api.PreferBaseline,
			BaselineChars: ptr(int64(100 + i)), CandidateChars: ptr(int64(104)),
		}
		switch {
		case i == 2:
			j.Verdict = api.PreferNone
		case i == 3:
			j.Verdict, j.Answers = "", []api.JudgeAnswer{{First: api.PreferBaseline, Verdict: api.PositionFirst, Reason: "it is shorter"}, {First: api.PreferCandidate, Verdict: api.PositionFirst}}
		case i == 5:
			j.Judge.Model = "judge-2"
		case i%2 == 0 && round < 4:
			j.Verdict = api.PreferCandidate
		}
		h.judged(j)
	}
	if round == 1 {
		if _, err := h.RecordCalibration(h.ctx, h.owner, api.Calibration{
			AppID: "claims-agent", Judge: api.Judge{Model: "judge-1", Template: "t1"}, Labels: 5, Compared: 4, Agreement: api.Share{X: 3, N: 4}, Kappa: ptr(0.5),
			Confusion: [3][3]int64{{1, 1, 0}, {0, 1, 0}, {0, 0, 1}},
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// playVectors plays a rollout that is promoted, one that is rolled back, and one
// that a judge ends; with a history, outcomes, a pause, and a metric that some
// runs lack.
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
		About: "docs/receipts.md, Replay: a log with three rollouts on a rate, the last with a judge. Every decision follows from the runs and the judgments.",
		AppID: "claims-agent", Environment: api.DefaultEnvironment,
	}
	play := func(baseline, candidate string, failing float64, judge bool) {
		r := canary(baseline, candidate)
		if judge {
			r.RequirePairwise, r.Pairwise = true, &api.CreatePairwise{MinPairs: ptr(int64(20)), MaxAge: ptr(int64(600)), Judge: &api.Judge{Model: "judge-1"}}
		}
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
			if judge && i > 0 {
				judgeVectors(t, h, baseline, candidate, i)
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
	play("v1", "v2", 0.05, false)
	play("v2", "v3", 0.6, false)
	play("v2", "v4", 0.05, true)

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
	if len(v.Rollouts) != 3 || v.Rollouts[0].State != api.StatePromoted || v.Rollouts[1].State != api.StateRolledBack || v.Rollouts[2].State != api.StateRolledBack {
		t.Errorf("%+v: want one promoted and two rolled back", v.Rollouts)
	}
	for _, code := range []string{"pairwise_unavailable", "pairwise_too_few", "pairwise_clean", "pairwise_regressed"} {
		if !strings.Contains(strings.Join(v.Export, ""), `"code":"`+code+`"`) {
			t.Errorf("no decision says %s", code)
		}
	}
}
