package authority

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/internal/rollout"
)

// Evaluations that follow each other within one request: enough to catch up
// with a rollout that nobody ticked for weeks.
const maxCatchUp = 64

// Evaluate ticks one rollout: it looks at the blocks that are due, decides,
// and writes the decision, its receipt, the state and the deliveries in one
// transaction. Then it sends what is due.
//
// A crash before the commit leaves the rollout as it was; the next tick looks
// at the same blocks and decides the same. A crash after it leaves deliveries
// pending; a later tick or the delivery loop sends them.
func (a *Authority) Evaluate(ctx context.Context, p Principal, id string) (api.Tick, error) {
	if err := p.need(api.RolloutManage); err != nil {
		return api.Tick{}, err
	}
	tick, err := a.evaluate(ctx, p, id)
	if err == nil {
		a.deliverPending(ctx, p.Org, id)
	}
	return tick, err
}

func (a *Authority) evaluate(ctx context.Context, p Principal, id string) (api.Tick, error) {
	for range maxCatchUp {
		tick, err := a.tick(ctx, p, id)
		if errors.Is(err, ErrVersion) { // an operator was faster: look again
			continue
		}
		if err != nil {
			return api.Tick{}, storeError("rollout", err)
		}
		if tick.Decision.Reason.Code != rollout.ReasonCatchingUp {
			return tick, nil
		}
	}
	return api.Tick{}, fail(CodeUnavailable, "the rollout has more closed blocks than one request looks at, or is being changed all the time; tick again")
}

// view is everything that a tick reads, of one snapshot.
type view struct {
	stored
	evidence rollout.Evidence
	// logIndex is the size of the log that the evidence reaches to.
	logIndex int64
	cohorts  []Cohort
}

func (a *Authority) read(ctx context.Context, p Principal, id string) (view, error) {
	var v view
	err := a.Store.View(ctx, p.Org, func(s Snapshot) error {
		record, err := s.Rollout(id)
		if err != nil {
			return err
		}
		if v.stored, err = open(record); err != nil {
			return err
		}
		if !p.sees(v.Environment) {
			return ErrNotFound
		}
		if v.Core.Ended() {
			return nil
		}
		head, err := s.Head()
		if err != nil {
			return err
		}
		v.logIndex = head.Tree.Size()
		if v.cohorts, err = s.Cohorts(CohortFilter{
			AppID: v.AppID, Environment: v.Environment, FromSpan: v.FirstEpoch,
			Releases: []string{v.BaselineRelease, v.CandidateRelease}, Metrics: gated(v.Core.Policy.Gates),
		}); err != nil {
			return err
		}
		if v.evidence, err = gather(s, v, a.now()); err != nil {
			return err
		}
		return judge(s, v, &v.evidence)
	})
	return v, err
}

func gather(s Snapshot, v view, now time.Time) (rollout.Evidence, error) {
	p := v.Core.Policy
	records, err := s.ClosedBlocks(v.Core.ID, v.Core.Ledger.Block, evidence.BlocksPerTick(p)+1)
	if err != nil {
		return rollout.Evidence{}, err
	}
	if !v.Core.State.Finished() { // a shadow after its paper ending fills no block
		open, err := s.OpenBlock(v.Core.ID)
		if err != nil {
			return rollout.Evidence{}, fmt.Errorf("open block of %s: %w", v.Core.ID, err)
		}
		records = append(records, open)
	}
	f := evidence.Filling{RolloutID: v.Core.ID, Baseline: v.BaselineRelease, Candidate: v.CandidateRelease}
	for _, r := range records {
		var b rollout.Block
		if err := json.Unmarshal(r.Doc, &b); err != nil {
			return rollout.Evidence{}, fmt.Errorf("block %d of %s: %w", r.Number, v.Core.ID, err)
		}
		if r.Closed {
			f.Closed = append(f.Closed, b)
		} else {
			f.Block = b
		}
	}
	return evidence.Gather(p, f, v.cohorts, now.Sub(v.StepAt), func() (rollout.History, error) { return history(s, v.Core.ID) })
}

// history is what the baseline of a rollout reported before it began.
func history(s Snapshot, id string) (rollout.History, error) {
	var h rollout.History
	kept, err := s.ClosedBlocks(id, -1, 1)
	if err != nil || len(kept) == 0 || kept[0].Number != 0 {
		return h, err
	}
	if err := json.Unmarshal(kept[0].Doc, &h); err != nil {
		return h, fmt.Errorf("history of %s: %w", id, err)
	}
	return h, nil
}

// tick makes one tick. It returns ErrVersion if the rollout was changed by an
// operator meanwhile, and the winner's answer if another tick was faster.
func (a *Authority) tick(ctx context.Context, p Principal, id string) (api.Tick, error) {
	v, err := a.read(ctx, p, id)
	if err != nil {
		return api.Tick{}, err
	}
	if v.Core.Ended() {
		return a.ended(ctx, p, v.stored, false)
	}
	next, d, err := v.Core.Tick(v.evidence)
	if err != nil {
		return api.Tick{}, &Error{Code: CodeInternal, Detail: "the rollout's state does not fit its blocks; nothing was decided", Cause: err}
	}
	if !v.shadow() && len(d.Blocks) == 0 && !d.Judged && d.Decision == api.Hold && next.Reason == v.Core.Reason {
		return api.Tick{Rollout: v.view(), Decision: a.decision(p, v.stored, v.Core, next, d, a.now()), Verdict: d.Verdict, Ticked: true}, nil
	}
	done, decided, err := a.write(ctx, p, v, next, d)
	if errors.Is(err, ErrVersion) {
		return a.lost(ctx, p, v)
	}
	if err != nil {
		return api.Tick{}, err
	}
	a.changed.notify()
	return api.Tick{Rollout: done.view(), Decision: decided, Verdict: d.Verdict, Ticked: true}, nil
}

// lost answers for a tick that another one was faster than: with the winner's
// decision. If it was an operator, the tick is made again.
func (a *Authority) lost(ctx context.Context, p Principal, before view) (api.Tick, error) {
	now, err := a.read(ctx, p, before.Core.ID)
	if err != nil {
		return api.Tick{}, err
	}
	if last := now.LastDecision; last == nil || last.Sequence <= before.Sequence || last.Action != "" {
		return api.Tick{}, ErrVersion
	}
	return a.ended(ctx, p, now.stored, true)
}

// ended is the answer that repeats the last decision with its verdict.
func (a *Authority) ended(ctx context.Context, p Principal, s stored, ticked bool) (api.Tick, error) {
	t := api.Tick{Rollout: s.view(), Ticked: ticked}
	if s.LastDecision == nil {
		return t, nil
	}
	t.Decision = *s.LastDecision
	err := a.Store.View(ctx, p.Org, func(snap Snapshot) (err error) {
		t.Verdict, err = verdictOf(snap, s.LastDecision.EventID)
		return err
	})
	return t, err
}

// decision is one entry of the time line.
func (a *Authority) decision(p Principal, s stored, before, after rollout.Rollout, d rollout.Decision, now time.Time) api.Decision {
	out := api.Decision{
		Sequence: s.Sequence, Decision: d.Decision, Action: d.Action, Reason: d.Reason, Mode: before.Policy.Mode,
		StateBefore: before.State, State: after.State, StepBefore: before.Step, Step: after.Step, WeightFrom: before.Weight(), Weight: after.Weight(),
		Terminal: d.Decision != api.Hold && after.State.Finished(), Advisory: s.shadow(), Actor: p.Actor(), RecordedAt: now,
	}
	if d.Verdict == nil {
		return out
	}
	out.Verdict = d.Verdict.Verdict
	for _, g := range d.Verdict.Gates {
		out.Gates = append(out.Gates, api.DecisionGate{Gate: g.ID(), Verdict: g.Verdict, Difference: g.Difference, OneLook: g.OneLook})
	}
	for _, c := range d.Verdict.Checks {
		if c.Status != api.CheckOK {
			out.Checks = append(out.Checks, c)
		}
	}
	return out
}

// write seals the decision and writes it with its state and its deliveries.
func (a *Authority) write(ctx context.Context, p Principal, v view, next rollout.Rollout, d rollout.Decision) (stored, api.Decision, error) {
	now := a.now()
	done := v.stored
	done.Core, done.UpdatedAt = next, now
	done.Sequence++
	decided := a.decision(p, done, v.Core, next, d, now)
	body, err := a.decisionBody(p, v, next, d, decided, now)
	if err != nil {
		return stored{}, api.Decision{}, err
	}
	entry, sealed, err := a.sealedEntry(body, now)
	if err != nil {
		return stored{}, api.Decision{}, err
	}
	entry.AppID, entry.Environment, entry.Release, entry.RolloutID = v.AppID, v.Environment, v.CandidateRelease, v.Core.ID
	decided.EventID = sealed.EventID
	done.StreamHead = sealed.IntegrityHash
	err = a.Store.Update(ctx, p.Org, func(tx Tx) error {
		head, err := tx.LockHead()
		if err != nil {
			return err
		}
		decided.LogIndex = head.Tree.Size()
		if decided.Transition() {
			done.Core.StepFrom, done.StepAt, done.Transition = decided.LogIndex+1, now, decided.Sequence
		}
		done.LastDecision = &decided
		record, err := done.pack()
		if err != nil {
			return err
		}
		if err := tx.SaveRollout(record); err != nil { // ErrVersion: somebody was faster, and nothing of this is kept
			return err
		}
		if _, err := appendEntries(tx, head, []Entry{entry}); err != nil {
			return err
		}
		if err := tx.AddDecision(done.Core.ID, decided); err != nil {
			return err
		}
		if decided.Transition() {
			if err := endStep(tx, done, decided.LogIndex+1, now); err != nil {
				return err
			}
		}
		return a.enqueue(tx, done, decided, now)
	})
	return done, decided, err
}

// endStep ends what a transition ends before index.
func endStep(tx Tx, s stored, index int64, now time.Time) error {
	f := newFold(tx)
	t, err := f.Target(s.AppID, s.Environment, index, now)
	if err != nil {
		return err
	}
	if err := f.EndStep(t, s.Core.ID, s.Core.Policy.Mode, s.Core.Weight(), index, now); err != nil {
		return err
	}
	return saveChanges(tx, f.Changes())
}

// EvaluateActive ticks every active or paused rollout of the org. One
// rollout's failure is reported in its result and never stops the others.
func (a *Authority) EvaluateActive(ctx context.Context, p Principal) (api.EvaluateAll, error) {
	if err := p.need(api.RolloutManage); err != nil {
		return api.EvaluateAll{}, err
	}
	all := api.EvaluateAll{Results: []api.EvaluateResult{}}
	before := ""
	for {
		var page []RolloutRecord
		err := a.Store.View(ctx, p.Org, func(s Snapshot) (err error) {
			page, err = s.Rollouts(RolloutFilter{Environment: p.Environment, States: unfinished(), BeforeID: before}, maxUnfinished)
			return err
		})
		if err != nil {
			return api.EvaluateAll{}, storeError("rollout", err)
		}
		for _, r := range page {
			result := api.EvaluateResult{RolloutID: r.ID}
			tick, err := a.Evaluate(ctx, p, r.ID)
			if err != nil {
				a.Log.Error("tick failed", "org", p.Org, "rollout", r.ID, "error", err)
				result.Problem = ProblemOf(err)
			} else {
				result.Tick = &tick
			}
			all.Results = append(all.Results, result)
		}
		if len(page) < maxUnfinished {
			return all, ctx.Err()
		}
		before = page[len(page)-1].ID
	}
}
