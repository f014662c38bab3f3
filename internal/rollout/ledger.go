package rollout

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/stats"
)

// displayUpper is the level of the harmless side of the interval at a look.
const displayUpper = 0.025

// Ledger is the error budget of a rollout: one sequential test for each gate
// that decides, and a digest that chains every look.
type Ledger struct {
	// Block is the number of the last block that was looked at.
	Block int64 `json:"block"`
	// Digest is the SHA-256, in hex, of the digest before and the canonical bytes of each look.
	Digest string `json:"digest"`
	Gates  []Test `json:"gates"`
}

// Test is the sequential test of one gate. Gates that only warn have none.
type Test struct {
	Gate string `json:"gate"`
	// State is the binary form of the stats.SequentialTest; nil where no budget is kept.
	State []byte `json:"state,omitempty"`
	// Last is the last look.
	Last api.Look `json:"last"`
	// Budget is this gate's share of the error budget.
	Budget float64 `json:"budget"`
	// Regressed stays true: a crossing ends the test.
	Regressed bool `json:"regressed"`
	Reachable bool `json:"reachable"`
}

// NewLedger opens the ledger of a policy. Rollback gates share the error
// budget; so do hold gates among themselves, whose false alarm only stops a
// rollout from advancing.
func NewLedger(p api.Policy) (Ledger, error) {
	l := Ledger{Gates: make([]Test, len(p.Gates))}
	deciding := map[api.On]float64{}
	for _, g := range p.Gates {
		deciding[g.On]++
	}
	for i, g := range p.Gates {
		l.Gates[i].Gate = g.ID()
		if g.On == api.OnWarn || p.Guarantee != api.GuaranteeRollout {
			continue
		}
		l.Gates[i].Budget = p.ErrorBudget / deciding[g.On]
		test, err := stats.NewSequentialTest(stats.TestPlan{Budget: l.Gates[i].Budget, Information: Planned(p), FirstLook: p.FirstLook})
		if err != nil {
			return Ledger{}, fmt.Errorf("gate %s: %w", g.ID(), err)
		}
		if l.Gates[i].State, err = test.MarshalBinary(); err != nil {
			return Ledger{}, fmt.Errorf("gate %s: %w", g.ID(), err)
		}
	}
	return l, nil
}

// look tests one closed block on every gate, and returns the looks it took:
// one for each stratum that the block holds. A gate of which a stratum lacks
// one release learns nothing from it.
func (l Ledger) look(p api.Policy, b Block) (Ledger, []api.Look, error) {
	next := Ledger{Block: b.Number, Digest: l.Digest, Gates: slices.Clone(l.Gates)}
	var looks []api.Look
	for i, g := range p.Gates {
		for _, s := range b.strata(g.Metric) {
			t := next.Gates[i]
			if t.State == nil || t.Regressed || !s.comparable() {
				continue
			}
			t, err := t.look(g, b.Number, s)
			if err != nil {
				return l, nil, fmt.Errorf("gate %s, block %d: %w", t.Gate, b.Number, err)
			}
			if next.Digest, err = chain(next.Digest, t.Last); err != nil {
				return l, nil, err
			}
			next.Gates[i] = t
			looks = append(looks, t.Last)
		}
	}
	return next, looks, nil
}

// look tests one stratum of a block.
func (t Test) look(g api.Gate, block int64, s stratum) (Test, error) {
	var before stats.SequentialTest
	if err := before.UnmarshalBinary(t.State); err != nil {
		return t, err
	}
	closed := stats.Block{Stratum: s.epoch, Candidate: s.Candidate.failures(g.Better), Baseline: s.Baseline.failures(g.Better)}
	margin := marginOf(g, s.BlockMetric)
	test, look, err := before.Look(closed, margin)
	if err != nil {
		return t, err
	}
	if t.State, err = test.MarshalBinary(); err != nil {
		return t, err
	}
	strata := t.Last.Strata
	if t.Last.Number == 0 || t.Last.Stratum != s.epoch {
		strata++
	}
	t.Last = entry(t.Gate, block, look)
	t.Last.Strata = strata
	t.Regressed = look.Tested && look.Regressed
	if !t.Reachable && look.Tested {
		t.Reachable = look.Reachable || couldCross(before, closed, margin)
	}
	return t, nil
}

// couldCross asks whether the test would have crossed had every candidate run
// of the block failed. Two releases that never fail are tested by runs that
// could have failed, though their totals, as they came out, left no room.
func couldCross(before stats.SequentialTest, b stats.Block, m stats.Margin) bool {
	b.Candidate.X = b.Candidate.N
	_, look, err := before.Look(b, m)
	return err == nil && look.Tested && look.Regressed
}

// marginOf turns a gate's margin into that of the exact test. A relative
// margin on a failure rate is an odds ratio, which is exact and slightly
// strict; one on a success rate is a share of the block's successes.
func marginOf(g api.Gate, m BlockMetric) stats.Margin {
	switch {
	case g.Margin.Value == 0:
		return stats.Margin{}
	case !g.Margin.Relative:
		return stats.Margin{Absolute: g.Margin.Value}
	case g.Better == api.BetterLower:
		return stats.Margin{OddsRatio: 1 + g.Margin.Value}
	}
	return stats.Margin{Absolute: min(g.Margin.Value*stats.Proportion{X: m.Baseline.Ones, N: m.Baseline.N}.Value(), 0.999)}
}

func entry(gate string, block int64, l stats.Look) api.Look {
	e := api.Look{
		Gate: gate, Number: l.Number, Block: block, Stratum: l.Stratum,
		Candidate: api.Failures{Runs: l.Candidate.N, Failures: l.Candidate.X}, Baseline: api.Failures{Runs: l.Baseline.N, Failures: l.Baseline.X},
		Information: l.Information, Allowed: l.Allowed, Used: l.Used, Score: l.Score, Tested: l.Tested, Regressed: l.Tested && l.Regressed,
	}
	if l.Tested {
		e.Boundary, e.Level = l.Boundary, l.Level
	}
	return e
}

// chain hashes the canonical bytes of a look: its members stand in sorted
// order, and its numbers are written as RFC 8785 writes them.
func chain(digest string, l api.Look) (string, error) {
	var b bytes.Buffer
	b.WriteString(digest)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(l); err != nil {
		return "", fmt.Errorf("look %d of %s: %w", l.Number, l.Gate, err)
	}
	sum := sha256.Sum256(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	return hex.EncodeToString(sum[:]), nil
}

// StateDigest is the SHA-256, in hex, of the state of every test, in the order of the gates.
func (l Ledger) StateDigest() string {
	h := sha256.New()
	for _, t := range l.Gates {
		sum := sha256.Sum256(t.State)
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// tests is what the comparison needs of every gate; nil where no budget is kept.
func (l Ledger) tests(p api.Policy) ([]compare.Tested, error) {
	if p.Guarantee != api.GuaranteeRollout {
		return nil, nil
	}
	tests := make([]compare.Tested, len(l.Gates))
	for i, t := range l.Gates {
		if t.State == nil {
			continue
		}
		var test stats.SequentialTest
		if err := test.UnmarshalBinary(t.State); err != nil {
			return nil, fmt.Errorf("state of gate %s: %w", t.Gate, err)
		}
		_, _, _, candidate, _ := test.Totals()
		tests[i] = compare.Tested{
			Tested: t.Last.Tested, Reachable: t.Reachable, Regressed: t.Regressed,
			CandidateRuns: candidate.N, FirstLook: p.FirstLook, Ledger: t.ledger(p),
		}
		tests[i].Difference = interval(p.Gates[i], test, t)
	}
	return tests, nil
}

// ledger is how a gate's budget is shown.
func (t Test) ledger(p api.Policy) api.GateLedger {
	return api.GateLedger{
		Budget: t.Budget, Allowed: t.Last.Allowed, Used: t.Last.Used, Information: t.Last.Information,
		Planned: Planned(p), Score: t.Last.Score, Boundary: t.Last.Boundary, Looks: t.Last.Number,
	}
}

// interval is the one that belongs to this look, turned from failures into the
// gate's own rate. It is absent before the first look and where the totals
// leave nothing to chance.
func interval(g api.Gate, test stats.SequentialTest, t Test) *api.Difference {
	d, err := test.Interval(displayUpper)
	if err != nil {
		return nil
	}
	if g.Better == api.BetterHigher {
		d = stats.Difference{Estimate: -d.Estimate, Lo: -d.Hi, Hi: -d.Lo}
	}
	return &api.Difference{Estimate: d.Estimate, Lo: d.Lo, Hi: d.Hi, Method: "exact-conditional", Strata: int(t.Last.Strata)}
}

// View is the ledger as it is shown. spentBefore is the sum of the budgets of earlier attempts.
func (l Ledger) View(p api.Policy, spentBefore float64) api.RolloutLedger {
	v := api.RolloutLedger{ErrorBudget: p.ErrorBudget, Looks: l.Block, Digest: l.Digest, Gates: []api.LedgerGate{}, SpentBefore: spentBefore}
	for _, t := range l.Gates {
		if t.State != nil {
			v.Gates = append(v.Gates, api.LedgerGate{Gate: t.Gate, GateLedger: t.ledger(p)})
		}
	}
	return v
}
