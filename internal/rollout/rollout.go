// Package rollout is the ramp: state and evidence in, next state and decision
// out. It writes nothing, logs nothing and asks no clock.
//
// Invariants: a promote never follows a rollback; absence of evidence neither
// promotes nor rolls back; a block is looked at once, in order; the error that
// the looks may spend is bounded by the policy's budget over the whole life.
package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
)

// Rollout is the state of a ramp.
type Rollout struct {
	// ID seeds the bootstrap; it is the rollout's id.
	ID     string     `json:"id"`
	Policy api.Policy `json:"policy"`
	State  api.State  `json:"state"`
	// Step counts from 1.
	Step   int    `json:"step"`
	Ledger Ledger `json:"ledger"`
	// StepFrom is the first log index of this step: a run before it is not fresh.
	StepFrom int64 `json:"step_from"`
	// Fresh counts, for each gate, the candidate runs of this step in closed blocks that carry its metric.
	Fresh []int64 `json:"fresh"`
	// Reason is the code of the last decision's reason.
	Reason  string `json:"reason"`
	Attempt int    `json:"attempt"`
	// History is the baseline's past that candidate runs without a baseline beside them are compared with.
	History HistoryRef `json:"history,omitzero"`
	// Promotion is the non-inferiority test of the last step.
	Promotion promotion `json:"promotion,omitzero"`
}

// New begins a ramp at its first step.
func New(id string, p api.Policy, h History) (Rollout, error) {
	ledger, err := NewLedger(id, p, h)
	if err != nil {
		return Rollout{}, err
	}
	_, past, err := h.Kept()
	if err != nil {
		return Rollout{}, err
	}
	return Rollout{ID: id, Policy: p, History: past, State: api.StateActive, Step: 1, Ledger: ledger, Fresh: make([]int64, len(p.Gates)), Attempt: 1}, nil
}

// Continue begins a ramp at its first step with the evidence and the ledger of
// the rollout that was aborted before it: aborting buys no new error budget.
func Continue(id string, before Rollout) Rollout {
	next := before
	next.ID, next.State, next.Step, next.Reason = id, api.StateActive, 1, ""
	next.Fresh, next.Promotion = make([]int64, len(before.Fresh)), promotion{}
	return next
}

// From says that the rollout's first step begins at a log index: what came
// before is no evidence of it, unless it continues another.
func (r Rollout) From(index int64) Rollout {
	r.StepFrom = index
	if j := r.Ledger.Judged; j != nil && j.Since == 0 {
		judged := *j
		judged.Since, judged.Next = index, index
		r.Ledger.Judged = &judged
	}
	return r
}

// Weight is the authorised weight in percent: 0 after a rollback or an abort.
func (r Rollout) Weight() int {
	switch r.State {
	case api.StateRolledBack, api.StateAborted:
		return 0
	case api.StatePromoted:
		return 100
	case api.StateActive, api.StatePaused:
	}
	return r.Policy.Steps[r.Step-1]
}

// FreshRuns is the smallest count of fresh runs over the gates that decide.
func (r Rollout) FreshRuns() int64 {
	fresh := int64(-1)
	for i, g := range r.Policy.Gates {
		if g.On != api.OnWarn && (fresh < 0 || r.Fresh[i] < fresh) {
			fresh = r.Fresh[i]
		}
	}
	return max(fresh, 0)
}

// Evidence is everything a tick looks at.
type Evidence struct {
	// Blocks are closed blocks that were not looked at yet, in order.
	Blocks []Block
	// More: there are closed blocks beyond those of Blocks.
	More bool
	// Strata are the cohorts of the rollout's epochs, for the figures shown.
	Strata []compare.Stratum
	// Open is the block that is being filled.
	Open Block
	// StepAge is how long the present step has lasted, for when a hold may end.
	StepAge time.Duration
	// Judgments are those of both releases that were not read yet, in log order, at most MostJudgments; MoreJudgments: there are others behind them.
	Judgments     []Judgment
	MoreJudgments bool
	// Calibration is the newest of the judge whose judgments count; nil if there is none.
	Calibration *api.Calibration
	// Now is the time of the tick, by which the judge's verdicts have an age.
	Now time.Time
	// Quiet leaves out of the verdict what is only shown; the decision is the same. Simulations want it.
	Quiet bool
}

// Decision is what a tick or an operator decided. Next is the state after it.
type Decision struct {
	Decision api.Action
	// Action names an operator's action; empty for a tick.
	Action string
	Reason api.Reason
	Looks  []api.Look
	// Blocks are those that this tick looked at.
	Blocks []Block
	// Judged: this tick looked at judgments, or read as many as a tick may, which must be kept.
	Judged  bool
	Verdict *api.Verdict
	// FreshRuns are those that the decision counted, before a promotion begins a new step.
	FreshRuns int64
}

// Tick looks at the blocks that are due and decides one thing. The error is a
// broken state, never a matter of evidence.
func (r Rollout) Tick(e Evidence) (Rollout, Decision, error) {
	if r.State.Finished() {
		return r.rescore(e)
	}
	next := r
	next.Fresh = slices.Clone(r.Fresh)
	d := Decision{Decision: api.Hold}
	for _, b := range e.Blocks {
		if b.Number != next.Ledger.Block+1 {
			return r, Decision{}, fmt.Errorf("rollout %s: block %d does not follow block %d", r.ID, b.Number, next.Ledger.Block)
		}
		var looks []api.Look
		var err error
		if next.Ledger, looks, err = next.Ledger.look(r.Policy, b); err != nil {
			return r, Decision{}, err
		}
		for i, g := range r.Policy.Gates {
			next.Fresh[i] += r.fresh(b, g)
		}
		d.Looks, d.Blocks = append(d.Looks, looks...), append(d.Blocks, b)
		if next.mustRollBack() { // what came after the crossing changes nothing any more
			break
		}
	}
	looks, more, err := next.readJudgments(e)
	if err != nil {
		return r, Decision{}, err
	}
	d.Looks, d.Judged = append(d.Looks, looks...), len(looks) > 0 || more
	e.More = e.More || more
	v, err := next.verdict(e)
	if err != nil {
		return r, Decision{}, err
	}
	d.FreshRuns = next.FreshRuns()
	if d.Decision, d.Reason, err = next.decide(&v, e); err != nil {
		return r, Decision{}, err
	}
	v.Reason = d.Reason
	d.Verdict = &v
	next.Reason = d.Reason.Code
	return next.after(d.Decision), d, nil
}

// Ended reports whether ticks are over: a canary that has finished, or a shadow
// that was aborted. A shadow goes on signing verdicts after its paper ending.
func (r Rollout) Ended() bool {
	return r.State.Finished() && (r.Policy.Mode == api.ModeCanary || r.State == api.StateAborted)
}

// rescore shows fresh figures of a shadow after its paper ending. It looks at no block and decides nothing.
func (r Rollout) rescore(e Evidence) (Rollout, Decision, error) {
	if r.Ended() {
		return r, Decision{}, fmt.Errorf("rollout %s is %s: it cannot be ticked", r.ID, r.State)
	}
	v, err := r.verdict(e)
	if err != nil {
		return r, Decision{}, err
	}
	v.Reason = because(ReasonPaperEnded, "the shadow has reached its paper ending ("+string(r.State)+") and goes on watching; "+gateTexts(v), map[string]any{"state": r.State})
	next := r
	next.Reason = v.Reason.Code
	return next, Decision{Decision: api.Hold, Reason: v.Reason, Verdict: &v, FreshRuns: r.FreshRuns()}, nil
}

// fresh counts the candidate runs of this step that a block adds to a gate's
// evidence: only where they can be compared. A block never reaches over a
// transition of its own rollout.
func (r Rollout) fresh(b Block, g api.Gate) int64 {
	if b.FirstIndex < r.StepFrom {
		return 0
	}
	n := int64(0)
	for _, s := range b.strata(g) {
		if s.answered() && s.boolean() {
			n += s.Fresh
		}
	}
	return n
}

// mustRollBack: a rollback gate's test has crossed its boundary.
func (r Rollout) mustRollBack() bool {
	for i, g := range r.Policy.Gates {
		if g.On == api.OnRollback && r.Ledger.Gates[i].Regressed {
			return true
		}
	}
	return false
}

func (r Rollout) verdict(e Evidence) (api.Verdict, error) {
	tests, err := r.Ledger.tests(r.Policy, e.Quiet)
	if err != nil {
		return api.Verdict{}, err
	}
	v := compare.Releases(compare.Question{
		Gates: r.Policy.Gates, Confidence: r.Policy.Confidence, MinRuns: r.Policy.MinRuns, Guarantee: r.Policy.Guarantee,
		Strata: withPairs(e), Tests: tests, Quiet: e.Quiet, Seed: r.ID, Look: r.Ledger.Block, Attempt: r.Attempt,
	})
	if r.Policy.Unit == api.UnitUnit { // each unit counts once, so that it repeats does no harm
		v.Checks = slices.DeleteFunc(v.Checks, func(c api.Check) bool { return c.Check == compare.CheckClustered })
	}
	v.Checks = append(v.Checks, r.checks(e)...)
	if v.Pairwise, err = r.pairwise(e); err != nil {
		return api.Verdict{}, err
	}
	v.Verdict = overall(v, v.Pairwise)
	return v, nil
}

// readJudgments takes the judgments that were recorded since the last tick.
func (r *Rollout) readJudgments(e Evidence) (looks []api.Look, more bool, err error) {
	if r.Ledger.Judged == nil {
		return nil, false, nil
	}
	judged := *r.Ledger.Judged
	if looks, more, err = judged.take(r.Policy, e.Judgments); err != nil {
		return nil, false, fmt.Errorf("rollout %s: %w", r.ID, err)
	}
	for _, look := range looks {
		if r.Ledger.Digest, err = chain(r.Ledger.Digest, look); err != nil {
			return nil, false, err
		}
	}
	r.Ledger.Judged = &judged
	return looks, more || e.MoreJudgments, nil
}

// withPairs adds the pairs so far to the strata, in the newest one: a pair may reach over epochs.
func withPairs(e Evidence) []compare.Stratum {
	pairs := map[string]compare.Pairs{}
	for _, t := range e.Open.Tallies {
		if t.Gate.Pair != "" {
			pairs[t.Gate.Metric] = t.Paired
		}
	}
	if len(pairs) == 0 || len(e.Strata) == 0 {
		return e.Strata
	}
	strata := slices.Clone(e.Strata)
	strata[len(strata)-1].Pairs = pairs
	return strata
}

// after is the state that a decision leads to.
func (r Rollout) after(decision api.Action) Rollout {
	switch decision {
	case api.Rollback:
		r.State = api.StateRolledBack
	case api.Promote:
		r.Step++
		r.Fresh = make([]int64, len(r.Fresh))
		if r.Step == len(r.Policy.Steps) {
			r.State = api.StatePromoted
		}
	case api.Hold:
	}
	return r
}
