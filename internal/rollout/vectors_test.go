package rollout_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
)

// lookVectors are looks of gates that count failures, for whoever implements
// docs/receipts.md in another language.
type lookVectors struct {
	About string       `json:"about"`
	Cases []lookVector `json:"cases"`
}

type lookVector struct {
	Name string `json:"name"`
	// Budget, Planned, PlannedHistory and FirstLook are what the test is told before its first look.
	Budget         float64 `json:"budget"`
	Planned        float64 `json:"planned"`
	PlannedHistory float64 `json:"planned_history"`
	FirstLook      int64   `json:"first_look"`
	// History are failures and runs of the finished baseline.
	History [2]int64 `json:"history"`
	// Design is 0 for blocks of both releases, 1 against the history, 2 for pairs.
	Steps []lookStep `json:"steps"`
	// LedgerDigest chains the looks; State is the test after the last one, StateDigest the digest of all tests.
	LedgerDigest string `json:"ledger_digest"`
	State        string `json:"state,omitempty"`
	StateDigest  string `json:"state_digest"`
}

type lookStep struct {
	Design    int             `json:"design"`
	Absolute  float64         `json:"absolute"`
	OddsRatio float64         `json:"odds_ratio"`
	Look      json.RawMessage `json:"look"`
	// Digest is that of the ledger after the look.
	Digest string `json:"digest"`
}

// lookCase is a rollout of one gate and the blocks that it is given: epoch, then
// failures and runs of the candidate and of the baseline.
type lookCase struct {
	name    string
	gate    string
	minRuns int64
	history [2]int64
	blocks  [][5]int64
}

func lookCases() []lookCase {
	rng := rand.New(rand.NewPCG(20, 26))
	grown := [][5]int64{}
	for i := range int64(24) { // far enough for the lattice to be made coarser, and beyond the plan
		c, b := 40+rng.Int64N(20), 40+rng.Int64N(20)
		grown = append(grown, [5]int64{1 + i/6, rng.Int64N(c/3 + 1), c, rng.Int64N(b/3 + 1), b})
	}
	return []lookCase{
		{name: "rates", gate: "success", minRuns: 30, blocks: [][5]int64{
			{1, 1, 5, 4, 95}, {1, 0, 5, 6, 90}, {1, 1, 20, 30, 300}, {2, 2, 10, 3, 31}, {2, 1, 10, 2, 28}, {3, 0, 12, 1, 12}, {2, 0, 5, 0, 5}, {3, 3, 20, 1, 20},
		}},
		{name: "rates, regressed", gate: "error", minRuns: 10, blocks: [][5]int64{{1, 1, 5, 0, 15}, {1, 1, 5, 1, 15}, {2, 5, 5, 0, 6}}},
		{name: "long", gate: "success", minRuns: 100, blocks: grown},
		{name: "absolute margin", gate: "success:margin=0.05", minRuns: 20, blocks: [][5]int64{{1, 2, 20, 5, 60}, {1, 4, 15, 2, 40}, {2, 5, 20, 1, 22}}},
		{name: "relative margin", gate: "error:margin=10%", minRuns: 20, blocks: [][5]int64{{1, 2, 20, 5, 60}, {1, 4, 15, 2, 40}, {2, 8, 20, 1, 22}}},
		{name: "relative margin on successes", gate: "success:margin=10%", minRuns: 20, blocks: [][5]int64{{1, 2, 20, 5, 60}, {2, 8, 20, 1, 22}}},
		{name: "pairs", gate: "success:pair=probe", minRuns: 10, blocks: [][5]int64{{1, 1, 5, 0, 5}, {1, 2, 5, 1, 5}, {2, 3, 5, 0, 5}, {2, 2, 5, 0, 5}}},
		{name: "pairs with a margin", gate: "success:pair=probe:margin=0.1", minRuns: 10, blocks: [][5]int64{{1, 1, 5, 0, 5}, {1, 2, 5, 1, 5}}},
		{name: "history", gate: "success", minRuns: 30, history: [2]int64{60, 1000}, blocks: [][5]int64{
			{1, 2, 30, 0, 0}, {1, 4, 30, 0, 0}, {2, 1, 10, 2, 30}, {2, 6, 30, 0, 0}, {3, 3, 30, 0, 2},
		}},
		{name: "history without failures, a margin", gate: "success:margin=0.02", minRuns: 10, history: [2]int64{0, 50}, blocks: [][5]int64{{1, 1, 10, 0, 0}, {1, 2, 10, 0, 0}}},
		{name: "history, a large block", gate: "success", minRuns: 30, history: [2]int64{30, 500}, blocks: [][5]int64{{1, 2, 30, 0, 0}, {1, 40, 600, 0, 0}, {2, 1, 10, 2, 30}}},
	}
}

func (c lookCase) play(t *testing.T) lookVector {
	t.Helper()
	g, err := api.ParseGate(c.gate)
	if err != nil {
		t.Fatal(err)
	}
	p, bad := rollout.NewPolicy(api.CreateRollout{Gates: []api.Gate{g}, MinRuns: &c.minRuns, Steps: []int{25, 50, 100}}, nil)
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	// failed gives counts of values in which so many fail the gate.
	failed := func(x, n int64) rollout.Counts {
		if g.Better == api.BetterHigher && g.Pair == "" {
			return rollout.Counts{N: n, Zeros: x, Ones: n - x}
		}
		return rollout.Counts{N: n, Zeros: n - x, Ones: x}
	}
	var h rollout.History
	if n := c.history[1]; n > 0 {
		var s stats.Summary
		for i := range n {
			v := float64(1)
			if (i < c.history[0]) == (g.Better == api.BetterHigher) {
				v = 0
			}
			if err := s.Add(v, uint64(stats.SeedOf("vector", string(rune(i))))); err != nil {
				t.Fatal(err)
			}
		}
		h = rollout.History{Runs: n, LastIndex: n - 1, Metrics: map[string]stats.Summary{g.Metric: s}}
	}
	r, err := rollout.New("rol_vector", p, h)
	if err != nil {
		t.Fatal(err)
	}
	first := r.Ledger.Gates[0]
	out := lookVector{Name: c.name, Budget: first.Budget, Planned: rollout.Planned(p), FirstLook: p.FirstLook, History: c.history}
	if g.Pair != "" {
		out.Planned = float64(p.MinRuns*int64(len(p.Steps)-1)) / 2
	}
	if h.Runs > 0 {
		runs, past := float64(p.MinRuns*int64(len(p.Steps)-1)), float64(h.Runs)
		out.PlannedHistory = runs * past / (runs + past)
	}
	rule := rollout.RuleOf(p, h.Runs)
	for i, b := range c.blocks {
		block := rollout.Block{Number: int64(i) + 1, Epoch: b[0], Candidate: b[2], Baseline: b[4], Rule: rule}
		tally := rollout.Tally{Gate: g, Candidate: failed(b[1], b[2]), Baseline: failed(b[3], b[4])}
		if h.Runs > 0 {
			tally.History = failed(c.history[0], c.history[1])
		}
		block.Tallies = []rollout.Tally{tally}
		step := lookStep{OddsRatio: 1}
		against := tally.Baseline
		switch {
		case g.Pair != "":
			step.Design = 2
		case block.Historical():
			step.Design, against = 1, tally.History
		}
		switch {
		case !g.Margin.Relative:
			step.Absolute = g.Margin.Value
		case g.Better == api.BetterLower:
			step.OddsRatio = 1 + g.Margin.Value
		default:
			step.Absolute = g.Margin.Value * (float64(against.Ones) / float64(against.N))
		}
		var d rollout.Decision
		if r, d, err = r.Tick(rollout.Evidence{Blocks: []rollout.Block{block}, Quiet: true}); err != nil {
			t.Fatal(err)
		}
		if len(d.Looks) != 1 {
			t.Fatalf("%s: %d looks at block %d", c.name, len(d.Looks), i+1)
		}
		if step.Look, err = json.Marshal(d.Looks[0]); err != nil {
			t.Fatal(err)
		}
		step.Digest = r.Ledger.Digest
		out.Steps = append(out.Steps, step)
	}
	out.LedgerDigest = r.Ledger.Digest
	if out.StateDigest, err = r.Ledger.StateDigest(); err != nil {
		t.Fatal(err)
	}
	state, err := json.Marshal(r.Ledger.Gates[0].State)
	if err != nil {
		t.Fatal(err)
	}
	var data []byte
	if err := json.Unmarshal(state, &data); err != nil {
		t.Fatal(err)
	}
	if len(data) < 1<<13 { // one that is longer says no more
		out.State = hex.EncodeToString(data)
	}
	return out
}

// TestLookVectors holds the vectors to what the engine computes.
func TestLookVectors(t *testing.T) {
	v := lookVectors{About: "Looks of gates that count failures: docs/receipts.md, Looks. The members of a look and the digests are as in a receipt; state is the binary form in hex."}
	for _, c := range lookCases() {
		v.Cases = append(v.Cases, c.play(t))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", "receipt", "testdata", "vectors", "looks.json")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatal("no vectors: run the test with -update")
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, b.Bytes()) {
		t.Errorf("%s is not what the engine computes: if that is meant, run the test with -update", path)
	}
}
