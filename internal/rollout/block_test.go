package rollout_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
)

// TestInformation is n_c·n_b/(n_c+n_b), and none without one of the releases.
func TestInformation(t *testing.T) {
	for _, c := range []struct {
		candidate, baseline int64
		past                int64
		want                float64
	}{{0, 0, 0, 1}, {5, 0, 0, 1}, {0, 5, 0, 1}, {1, 1, 0, 1.5}, {1, 3, 0, 1.75}, {3, 1, 0, 1.75}, {30, 570, 0, 29.5}, {30, 570, 10, 37}, {0, 0, 30, 16}} {
		if got := (rollout.Totals{Candidate: c.candidate, Baseline: c.baseline, Earlier: 1, AgainstHistory: c.past}).Information(30); got != c.want {
			t.Errorf("%d and %d: %v, want %v", c.candidate, c.baseline, got, c.want)
		}
	}
}

// TestBlockCounts: a run counts on its side, its metrics as zeros, ones or neither, and its index in the digest.
func TestBlockCounts(t *testing.T) {
	p, errs := rollout.NewPolicy(api.CreateRollout{}, []string{"success"})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	b := rollout.FirstBlock(p, rollout.History{}, rollout.RuleOf(p, 0), 3, 100)
	if b.LastIndex != 99 || b.FirstIndex != 100 || b.Since != 100 || b.StepFrom != 100 || b.Number != 1 || b.Rule.Planned != 66 {
		t.Errorf("%+v", b)
	}
	for _, comparable := range []struct {
		candidate, baseline int64
		want                bool
	}{{0, 0, false}, {1, 0, false}, {0, 1, false}, {1, 1, true}} {
		if got := (rollout.Block{Candidate: comparable.candidate, Baseline: comparable.baseline}).Comparable(); got != comparable.want {
			t.Errorf("%+v", comparable)
		}
	}
	var digest []byte
	chain := func(index int64, side rollout.Side) {
		sum := sha256.Sum256(append(binary.BigEndian.AppendUint64(digest, uint64(index)), byte(side)))
		digest = sum[:]
	}
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	success := func(v float64) map[string]api.Metric { return map[string]api.Metric{"success": api.Number(v)} }
	check(b.AddRun(rollout.Candidate, rollout.Run{Index: 100, Metrics: success(1)}))
	check(b.AddRun(rollout.Baseline, rollout.Run{Index: 101, Metrics: success(0)}))
	check(b.AddRun(rollout.Baseline, rollout.Run{Index: 103, Metrics: success(0.5)}))
	check(b.AddOutcome(rollout.Candidate, rollout.Counted{Index: 99, Epoch: 3}, rollout.Run{Index: 104, Metrics: success(1)})) // before the rollout
	check(b.AddOutcome(rollout.Candidate, rollout.Counted{Index: 100, Epoch: 3}, rollout.Run{Index: 105, Metrics: success(0)}))
	chain(100, 'c')
	chain(101, 'b')
	chain(103, 'b')
	chain(105, 'c')
	if b.Candidate != 1 || b.Baseline != 2 || b.LastIndex != 105 || b.RunsDigest != hex.EncodeToString(digest) {
		t.Errorf("%+v", b)
	}
	got := b.Tallies[0]
	if got.Candidate != (rollout.Counts{N: 2, Zeros: 1, Ones: 1}) || got.Baseline != (rollout.Counts{N: 2, Zeros: 1}) || got.Fresh != 2 {
		t.Errorf("%+v", got)
	}
	if b.Arrivals[0] != (rollout.Arrival{Weight: 5, Candidate: 1, Baseline: 2}) {
		t.Errorf("%+v", b.Arrivals)
	}
	next := b.Next(true, 3, 106)
	if next.FirstIndex != 106 || next.LastIndex != 105 || next.StepFrom != 100 || next.Since != 100 || next.Rule.Planned != 66 || next.RunsDigest != "" {
		t.Errorf("%+v", next)
	}
}

// TestBlocksWithinAndBeyondThePlan: up to the plan's information any 5 and 5 runs close a block; from there on 1 % more is needed.
func TestBlocksWithinAndBeyondThePlan(t *testing.T) {
	for _, c := range []struct {
		candidate, baseline int64
		earlier             float64
		want                bool
	}{{5, 5, 65.9, true}, {5, 5, 66, true}, {5, 5, 250, true}, {5, 5, 250.1, false}, {4, 500, 1, false}, {500, 4, 1, false}} {
		b := rollout.Block{Candidate: c.candidate, Baseline: c.baseline, Rule: rollout.Rule{Candidate: 5, Baseline: 5, Planned: 66, Growth: 1.01}, Before: rollout.Totals{Earlier: c.earlier}}
		if b.Full() != c.want {
			t.Errorf("%+v is full: %t", c, b.Full())
		}
	}
	if (rollout.Block{Candidate: 5, Baseline: 5, Rule: rollout.Rule{Candidate: 5, Baseline: 5, Planned: 300, Growth: 1.01}, Before: rollout.Totals{Earlier: 300}}).Full() {
		t.Error("the plan is done, and 2.5 of 300 are less than 1 %")
	}
}

// TestLateStrata: what became known of two epochs is two looks, the older first.
func TestLateStrata(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, MinRuns: minRuns(5)})
	success := gates(t, "success")[0]
	counts := func(candidate, baseline int64) []rollout.Tally {
		return []rollout.Tally{{
			Gate: success, Candidate: rollout.Counts{N: candidate, Ones: candidate}, Baseline: rollout.Counts{N: baseline, Ones: baseline - 1, Zeros: 1}, Fresh: candidate,
		}}
	}
	b := rollout.Block{Number: 1, Epoch: 2, Tallies: counts(5, 50), Late: map[int64][]rollout.Tally{3: counts(6, 60), 1: counts(7, 70), 4: {}}}
	p.closed = []rollout.Block{b}
	d := p.tick()
	if len(d.Looks) != 3 || d.Looks[0].Stratum != 1 || d.Looks[1].Stratum != 2 || d.Looks[2].Stratum != 3 || d.Looks[2].Candidate.Runs != 6 || d.Looks[2].Strata != 3 {
		t.Errorf("%+v", d.Looks)
	}
	if d.FreshRuns != 18 {
		t.Errorf("%d fresh runs", d.FreshRuns)
	}
	old := b
	p = newPlay(t, api.CreateRollout{Mode: api.ModeCanary, MinRuns: minRuns(5)})
	p.r.StepFrom, old.FirstIndex = 10, 9
	p.closed = []rollout.Block{old}
	if d := p.tick(); d.FreshRuns != 0 {
		t.Errorf("%d runs from before the step are fresh", d.FreshRuns)
	}
}

// TestFreshRunsOfOneRun: one run of each release is enough to count.
func TestFreshRunsOfOneRun(t *testing.T) {
	for _, c := range []struct{ candidate, baseline, want int64 }{{1, 1, 1}, {2, 1, 2}, {1, 0, 0}, {0, 1, 0}} {
		p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Guarantee: api.GuaranteeLook, Gates: gates(t, "latency_ms")})
		p.closed = []rollout.Block{{Number: 1, Tallies: []rollout.Tally{{
			Gate: p.r.Policy.Gates[0], Candidate: rollout.Counts{N: c.candidate}, Baseline: rollout.Counts{N: c.baseline}, Fresh: c.candidate,
		}}}}
		if d := p.tick(); d.FreshRuns != c.want {
			t.Errorf("%+v: %d fresh runs", c, d.FreshRuns)
		}
	}
}

// TestContinueCountsAnew: a ramp that begins again has no fresh runs, and the old one keeps its own.
func TestContinueCountsAnew(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary})
	p.traffic(10, 19, 1, 19)
	p.tick()
	next := rollout.Continue("rol_again", p.r)
	if p.r.FreshRuns() != 10 || next.FreshRuns() != 0 || p.r.Attempt != 1 || next.Attempt != 1 {
		t.Errorf("%d and %d fresh runs, attempt %d", p.r.FreshRuns(), next.FreshRuns(), next.Attempt)
	}
}

// TestPairsCloseBlocks: where every gate is on pairs, a block closes by pairs,
// whichever release ran first; beside another gate it takes runs of both.
func TestPairsCloseBlocks(t *testing.T) {
	for name, c := range map[string]struct {
		gates []string
		full  bool
	}{
		"pairs alone":     {[]string{"success:pair=probe", "score:mean:pair=probe:on=hold", "latency_ms:on=warn"}, true},
		"beside a rate":   {[]string{"success:pair=probe", "error"}, false},
		"beside one held": {[]string{"success:pair=probe", "error:on=hold"}, false},
	} {
		p := policy(t, api.CreateRollout{Gates: gates(t, c.gates...), Steps: []int{50, 100}})
		b := rollout.FirstBlock(p, rollout.History{}, rollout.RuleOf(p, 1000), 1, 0)
		success := map[string]api.Metric{"success": api.Bool(true), "score": api.Number(0.5)}
		for i := range int64(rollout.MinPairs) {
			if b.Full() || b.Comparable() != (i > 0) {
				t.Errorf("%s: full %t and comparable %t with %d pairs", name, b.Full(), b.Comparable(), i)
			}
			if err := b.AddRun(rollout.Candidate, rollout.Run{Index: i, Metrics: success}); err != nil {
				t.Fatal(err)
			}
			if err := b.AddPair(rollout.Pair{Index: i, Probe: fmt.Sprint(i), Candidate: success, Baseline: success}); err != nil {
				t.Fatal(err)
			}
		}
		if b.Full() != c.full {
			t.Errorf("%s: full %t", name, b.Full())
		}
		if v := b.Next(true, 1, 5).Before.Information(0); c.full && v != rollout.MinPairs/2.0 {
			t.Errorf("%s: information %v", name, v)
		}
	}
}
