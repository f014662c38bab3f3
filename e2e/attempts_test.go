package e2e

import (
	"errors"
	"testing"

	"github.com/cobound/prova/api"
)

// TestAttempts: aborting buys no new error budget, and a second attempt after
// a rollback is asked for and says what was spent before.
func TestAttempts(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		s := serve(t, b)
		f := s.agent("claims-agent")
		args := []string{"create", "--app-id", f.app, "--baseline", baseline, "--candidate", candidate, "--mode", "canary", "--steps", "50,100", "--min-runs", "2000", "--json"}
		create := func(more ...string) api.Rollout {
			t.Helper()
			return decode[api.Rollout](s.run("prova-rollout", append(args, more...)...).exits(0))
		}
		first := create()
		f.send(50, 200)
		before := s.tick(first.ID).Rollout
		if before.Ledger.Looks == 0 {
			t.Fatalf("no look was taken: %+v", before.Ledger)
		}
		if same := create(); same.ID != first.ID {
			t.Errorf("an equal request made %s beside %s", same.ID, first.ID)
		}
		s.run("prova-rollout", "abort", "--id", first.ID, "--reason", "a pause for the holidays").exits(0)

		second := create()
		if second.ID == first.ID || second.Attempt != 1 || second.Ledger.Looks != before.Ledger.Looks || second.Ledger.Digest != before.Ledger.Digest || second.FreshRuns != 0 {
			t.Errorf("the ledger before the abort is\n%+v\nafter it, in attempt %d with %d fresh runs,\n%+v", before.Ledger, second.Attempt, second.FreshRuns, second.Ledger)
		}
		f.send(50, 40)
		after := s.tick(second.ID).Rollout.Ledger
		if after.Looks <= before.Ledger.Looks || after.Gates[0].Information <= before.Ledger.Gates[0].Information || after.Gates[0].Used < before.Ledger.Gates[0].Used {
			t.Errorf("the looks restart: %+v, then %+v", before.Ledger, after)
		}

		f.candidateFails = 90
		if end := f.until(second.ID, 20); end.Decision.Decision != api.Rollback {
			t.Fatalf("the candidate was not rolled back: %+v", end.Decision)
		}
		s.run("prova-rollout", args...).exits(64).says("attempt-reason")
		_, _, err := s.api().CreateRollout(t.Context(), api.CreateRollout{AppID: f.app, BaselineRelease: baseline, CandidateRelease: candidate, Mode: api.ModeCanary})
		if p, ok := errors.AsType[*api.Problem](err); !ok || p.Status != 409 {
			t.Errorf("creating it again without a reason: %v", err)
		}
		third := create("--attempt-reason", "the tool's outage is over")
		if third.Attempt != 2 || third.Ledger.Looks != 0 || third.Ledger.SpentBefore != second.Policy.ErrorBudget || third.AttemptReason == "" {
			t.Errorf("the second attempt is %+v", third)
		}
		if f.candidateFails = 100; f.until(third.ID, 20).Rollout.State != api.StateRolledBack {
			t.Error("the second attempt was not rolled back")
		}
		f.attested(first.ID, second.ID, third)
	})
}

// attested wants the receipts to say what continues what, and which attempt it is.
func (f *traffic) attested(first, second string, third api.Rollout) {
	f.s.Helper()
	v := f.s.export()
	v.timeline(first)
	v.timeline(second)
	v.timeline(third.ID)
	created := map[string]decisionReceipt{}
	for _, id := range []string{first, second, third.ID} {
		if list := v.of(id, api.KindRolloutCreated); len(list) == 1 {
			created[id] = list[0].body
		}
	}
	if created[second].Continues != first || created[third.ID].Continues != "" {
		f.s.Errorf("the receipts say %+v", created)
	}
	for _, r := range append(v.of(third.ID, api.KindRolloutDecision), v.of(third.ID, api.KindRolloutCreated)...) {
		if r.body.Attempt != 2 || r.body.SpentBefore != third.Ledger.SpentBefore {
			f.s.Errorf("a receipt of the second attempt says attempt %d, spent before %v", r.body.Attempt, r.body.SpentBefore)
		}
	}
}
