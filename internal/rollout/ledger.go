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
	// Judged is the judge's gate, where the policy requires it.
	Judged *Judged `json:"judged,omitempty"`
}

// NewLedger opens the ledger of a policy. Rollback gates share the error
// budget; so do hold gates among themselves, whose false alarm only stops a
// rollout from advancing. The seed, the rollout's id, names its random numbers.
func NewLedger(seed string, p api.Policy, h History) (Ledger, error) {
	l := Ledger{Gates: make([]Test, len(p.Gates))}
	deciding := map[api.On]float64{}
	for _, g := range p.Gates {
		deciding[g.On]++
	}
	if p.RequirePairwise {
		deciding[p.Pairwise.On]++
		var err error
		if l.Judged, err = newJudged(p, p.ErrorBudget/deciding[p.Pairwise.On]); err != nil {
			return Ledger{}, err
		}
	}
	for i, g := range p.Gates {
		l.Gates[i].Gate = g.ID()
		if g.On == api.OnWarn || p.Guarantee != api.GuaranteeRollout {
			continue
		}
		l.Gates[i].Budget = p.ErrorBudget / deciding[g.On]
		test, err := newTest(seed, g, p, h, l.Gates[i].Budget)
		if err != nil {
			return Ledger{}, err
		}
		l.Gates[i].State, l.Gates[i].Planned = state{test: test}, test.Planned()
	}
	return l, nil
}

// look tests one closed block on every gate, and returns the looks it took:
// one for each stratum that the block holds. A gate of which a stratum lacks
// one release learns nothing from it.
func (l Ledger) look(p api.Policy, b Block) (Ledger, []api.Look, error) {
	next := Ledger{Block: b.Number, Digest: l.Digest, Gates: slices.Clone(l.Gates), Judged: l.Judged}
	var looks []api.Look
	for i, g := range p.Gates {
		for _, s := range b.strata(g) {
			t := next.Gates[i]
			if t.State.IsZero() || t.Regressed || !s.comparable() {
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

// StateDigest is the SHA-256, in hex, of the state of every test, in the order of the gates, the judge's last.
func (l Ledger) StateDigest() (string, error) {
	h := sha256.New()
	for _, t := range l.all() {
		data, err := t.State.bytes()
		if err != nil {
			return "", fmt.Errorf("state of gate %s: %w", t.Gate, err)
		}
		sum := sha256.Sum256(data)
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// tests is what the comparison needs of every gate; nil where no budget is kept.
func (l Ledger) tests(p api.Policy, quiet bool) ([]compare.Tested, error) {
	if p.Guarantee != api.GuaranteeRollout {
		return nil, nil
	}
	tests := make([]compare.Tested, len(l.Gates))
	for i, t := range l.Gates {
		if t.State.IsZero() {
			continue
		}
		var err error
		if tests[i], err = t.tested(p.Gates[i], p, quiet); err != nil {
			return nil, err
		}
	}
	return tests, nil
}

// View is the ledger as it is shown. spentBefore is the sum of the budgets of earlier attempts.
func (l Ledger) View(p api.Policy, spentBefore float64) api.RolloutLedger {
	v := api.RolloutLedger{ErrorBudget: p.ErrorBudget, Looks: l.Block, Digest: l.Digest, Gates: []api.LedgerGate{}, SpentBefore: spentBefore}
	for _, t := range l.all() {
		if !t.State.IsZero() {
			v.Gates = append(v.Gates, api.LedgerGate{Gate: t.Gate, GateLedger: t.ledger()})
		}
	}
	return v
}

// all are the tests of the gates and of the judge.
func (l Ledger) all() []Test {
	if l.Judged == nil {
		return l.Gates
	}
	return append(slices.Clip(l.Gates), l.Judged.Test)
}
