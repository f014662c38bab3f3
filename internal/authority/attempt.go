package authority

import (
	"encoding/json"
	"maps"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/internal/rollout"
)

// beginning is a rollout that is about to be declared.
type beginning struct {
	stored
	// before is the aborted rollout that it continues, if any.
	before *stored
	// history is what the baseline reported before, and historyDoc that as it is kept.
	history    rollout.History
	historyDoc []byte
	// pendingBlocks are its closed blocks that were never looked at.
	pendingBlocks []rollout.Block
}

// begin makes the new rollout's state: the first attempt, a further one after
// a rollback, or the continuation of one that was aborted.
func (a *Authority) begin(tx Tx, p Principal, r api.CreateRollout, seen []string, request string) (beginning, error) {
	now := a.now()
	b := beginning{stored: stored{document: document{
		AppID: r.AppID, Environment: r.Environment, BaselineRelease: r.BaselineRelease,
		CandidateRelease: r.CandidateRelease, RequestDigest: request, Labels: maps.Clone(r.Labels), AttemptReason: r.AttemptReason,
		CreatedAt: now, CreatedBy: p.Actor(), UpdatedAt: now,
	}}}
	id := a.newID("rol_", now)
	before, err := lastFinished(tx, r)
	if err != nil {
		return b, err
	}
	aborted := before != nil && before.Core.State == api.StateAborted && before.BaselineRelease == r.BaselineRelease
	if aborted && before.RequestDigest == request { // the same policy, though its defaults might be filled in otherwise by now
		err := b.continues(tx, id, *before)
		return b, err
	}
	policy, fields := rollout.NewPolicy(r, seen)
	if len(fields) > 0 {
		return b, &Error{Code: CodeInvalid, Detail: fields[0].Detail, Fields: fields}
	}
	if b.PolicyDigest, err = policyDigest(policy); err != nil {
		return b, &Error{Code: CodeInternal, Detail: "the policy cannot be written", Cause: err}
	}
	if aborted && before.PolicyDigest == b.PolicyDigest {
		err := b.continues(tx, id, *before)
		return b, err
	}
	if b.history, err = a.history(tx, r, policy, now); err != nil {
		return b, err
	}
	if b.historyDoc, _, err = b.history.Kept(); err != nil {
		return b, err
	}
	if b.Core, err = rollout.New(id, policy, b.history); err != nil {
		return b, &Error{Code: CodeInternal, Detail: "the ledger cannot be opened", Cause: err}
	}
	if before == nil || before.Core.State == api.StatePromoted {
		return b, nil
	}
	if r.AttemptReason == "" {
		return b, fail(CodeConflict, "%s was %s before (rollout %s); to try it again with new evidence and a new error budget, give attempt_reason (--attempt-reason)",
			r.CandidateRelease, ended(before.Core.State), before.Core.ID)
	}
	b.Core.Attempt = before.Core.Attempt + 1
	b.SpentBefore = before.SpentBefore + before.Core.Policy.ErrorBudget
	return b, nil
}

// lastFinished is the newest finished rollout of the candidate in the mode asked for; nil if there is none.
func lastFinished(tx Tx, r api.CreateRollout) (*stored, error) {
	mode := r.Mode
	if mode == "" {
		mode = api.ModeShadow
	}
	records, err := tx.Rollouts(RolloutFilter{
		AppID: r.AppID, Environment: r.Environment, CandidateRelease: r.CandidateRelease, Mode: mode,
		States: []api.State{api.StatePromoted, api.StateRolledBack, api.StateAborted},
	}, 1)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	s, err := open(records[0])
	return &s, err
}

func ended(s api.State) string {
	if s == api.StateAborted {
		return "aborted under another policy or against another baseline"
	}
	return "rolled back"
}

// continues takes over policy, evidence and ledger, with the closed blocks that nobody looked at.
func (b *beginning) continues(tx Tx, id string, before stored) error {
	b.Core = rollout.Continue(id, before.Core)
	b.PolicyDigest, b.SpentBefore, b.FirstEpoch, b.before = before.PolicyDigest, before.SpentBefore, before.FirstEpoch, &before
	past, err := tx.ClosedBlocks(before.Core.ID, -1, 1)
	if err != nil {
		return err
	}
	if len(past) > 0 && past[0].Number == 0 {
		b.historyDoc = past[0].Doc
	}
	after := before.Core.Ledger.Block
	for {
		records, err := tx.ClosedBlocks(before.Core.ID, after, 1000)
		if err != nil {
			return err
		}
		for _, r := range records {
			var block rollout.Block
			if err := json.Unmarshal(r.Doc, &block); err != nil {
				return err
			}
			b.pendingBlocks = append(b.pendingBlocks, block)
			after = block.Number
		}
		if len(records) < 1000 {
			return nil
		}
	}
}

// firstBlock is the empty block that the rollout begins to fill. The block
// that an aborted one was filling ends with it, and its runs are not lost.
func (b *beginning) firstBlock(tx Tx, epoch, index int64) (rollout.Block, error) {
	if b.before == nil {
		return rollout.FirstBlock(b.Core.Policy, b.history, rollout.RuleOf(b.Core.Policy, b.history.Runs), epoch, index), nil
	}
	r, err := fillingOf(tx, b.before.record)
	if err != nil {
		return rollout.Block{}, err
	}
	t := evidence.NewTarget(Epoch{AppID: b.AppID, Environment: b.Environment, Number: epoch})
	if err := newFold(tx).End(t, &r, index); err != nil {
		return rollout.Block{}, err
	}
	b.pendingBlocks = append(b.pendingBlocks, r.Closed...)
	r.Block.BeginStep(b.Core.Weight(), index)
	return r.Block, nil
}

// history freezes what the baseline reported before the rollout; nothing under a
// policy that wants baseline runs beside the candidate's, or pairs alone.
func (a *Authority) history(tx Tx, r api.CreateRollout, p api.Policy, now time.Time) (rollout.History, error) {
	if p.Baseline != api.BaselineAuto || rollout.OnlyPairs(p) {
		return rollout.History{}, nil
	}
	cohorts, err := tx.Cohorts(CohortFilter{AppID: r.AppID, Environment: r.Environment, FromSpan: 1, Releases: []string{r.BaselineRelease}, Metrics: gated(p.Gates)})
	if err != nil {
		return rollout.History{}, err
	}
	return evidence.History(cohorts, gated(p.Gates), now, func(index int64) (time.Time, error) {
		entries, err := tx.Entries(EntryFilter{From: index}, 1)
		if err != nil || len(entries) == 0 {
			return time.Time{}, err
		}
		return entries[0].RecordedAt, nil
	})
}
