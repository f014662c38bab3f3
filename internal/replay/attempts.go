package replay

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/internal/rollout"
)

// claim is what a rollout's beginning says about the attempts before it.
type claim struct {
	continues   string
	attempt     int
	spentBefore float64
	firstEpoch  int64
}

// checkAttempt holds what is signed about earlier attempts against the
// rollouts of the candidate that were replayed. Whether there were any before
// the evidence, only a log that is whole from its first receipt can show.
func (p *player) checkAttempt(r *played, mode api.Mode, bad func(what, expected, found, detail string)) {
	if r.Engine != api.Engine { // another engine may count otherwise
		return
	}
	last := p.lastFinished(r.Subject.Candidate, mode)
	if last == nil && (!p.whole || r.Continues != "") || last != nil && last.broken {
		return
	}
	want := claim{attempt: 1, firstEpoch: r.Epoch}
	switch {
	case last == nil || last.core.State == api.StatePromoted:
	case last.core.State == api.StateAborted && last.Subject.Baseline == r.Subject.Baseline && last.PolicyDigest == r.PolicyDigest:
		want = claim{last.core.ID, last.Attempt, last.SpentBefore, last.FirstEpoch}
	default:
		want.attempt, want.spentBefore = last.Attempt+1, last.SpentBefore+last.core.Policy.ErrorBudget
	}
	before := "no rollout of this candidate had ended before"
	if last != nil {
		before = fmt.Sprintf("before it, %s of this candidate was %s", last.core.ID, last.core.State)
	}
	for _, member := range []struct{ what, want, found string }{
		{"continues", want.continues, r.Continues},
		{"attempt", strconv.Itoa(want.attempt), strconv.Itoa(r.Attempt)},
		{"spent_before", fmt.Sprint(want.spentBefore), fmt.Sprint(r.SpentBefore)},
		{"first_epoch", strconv.FormatInt(want.firstEpoch, 10), strconv.FormatInt(r.FirstEpoch, 10)},
	} {
		if member.want != member.found {
			bad(member.what, member.want, member.found, before)
		}
	}
}

// lastFinished is the newest rollout of a candidate in a mode that has ended,
// or of which it is not known; nil if there is none.
func (p *player) lastFinished(candidate string, mode api.Mode) *played {
	for _, id := range slices.Backward(p.order()) {
		if r := p.rollouts[id]; r.Subject.Candidate == candidate && (r.broken || r.core.Policy.Mode == mode && r.core.State.Finished()) {
			return r
		}
	}
	return nil
}

// checkHistory holds the runs of a baseline's history against those that the
// rule takes. Where spans end shows only in a log that is whole.
func (p *player) checkHistory(r *played, policy api.Policy, recorded time.Time, bad func(what, expected, found, detail string)) error {
	if !p.whole || r.broken || r.Engine != api.Engine {
		return nil
	}
	var want rollout.History
	if policy.Baseline == api.BaselineAuto && !rollout.OnlyPairs(policy) {
		cohorts, err := p.memory.Cohorts(evidence.CohortFilter{FromSpan: 1, Releases: []string{r.Subject.Baseline}, Metrics: gated(policy)})
		if err != nil {
			return err
		}
		if want, err = evidence.History(cohorts, gated(policy), recorded, p.recordedAt); err != nil {
			return err
		}
	}
	text := func(runs, first, last int64) string {
		if runs == 0 {
			return "no runs"
		}
		return fmt.Sprintf("%d runs from index %d to %d", runs, first, last)
	}
	expected, found := text(want.Runs, want.FirstIndex, want.LastIndex), text(r.History.Runs, r.History.FirstIndex, r.History.LastIndex)
	if expected != found {
		bad("history", expected, found, "the baseline's history is not of the runs that the rule takes")
	}
	return nil
}

// recordedAt is when the run at a log index was recorded.
func (p *player) recordedAt(index int64) (time.Time, error) {
	i, ok := slices.BinarySearchFunc(p.runs, index, func(run placed, index int64) int { return int(run.index - index) })
	if !ok {
		return time.Time{}, fmt.Errorf("no run is at log index %d", index)
	}
	return p.runs[i].recordedAt, nil
}
