package rollout_test

import (
	"fmt"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
)

// judgeStates are what a judge can have said, as lines of a script, with the
// reason that it gives a rollout to hold for; empty where it gives none.
func judgeStates() []struct{ name, script, reason string } {
	return []struct{ name, script, reason string }{
		{"down", "", rollout.ReasonPairwiseMissing},
		{"another judge alone", "otherwise 60", rollout.ReasonPairwiseOther},
		{"malformed or refused", "judged 0 0 0 60", rollout.ReasonPairwiseTooFew},
		{"always the first", "judged 0 0 60 0", rollout.ReasonPairwiseTooFew},
		{"too few", "judged 9 0 0 0", rollout.ReasonPairwiseTooFew},
		{"down since last month", "judged 30 20 0 0\ndays 31", rollout.ReasonPairwiseStale},
		{"then only malformed", "judged 30 20 0 0\ndays 31\njudged 0 0 0 60", rollout.ReasonPairwiseStale},
		{"fair", "judged 30 30 5 1", ""},
		{"always the candidate", "judged 60 0 0 0", ""},
		{"always the baseline", "judged 0 60 0 0", rollout.ReasonPairwiseRegressed},
		{"the baseline, then down", "judged 0 60 0 0\ndays 31", rollout.ReasonPairwiseRegressed},
	}
}

// runStates are what the runs can say.
func runStates() []struct {
	name, script string
	verdict      api.Outcome
} {
	return []struct {
		name, script string
		verdict      api.Outcome
	}{
		{"no run", "", api.Insufficient},
		{"too few runs", "runs 29 19 failing 2 55", api.Insufficient},
		{"nobody could have failed", "runs 40 19 failing 40 760", api.Insufficient},
		{"clean", "runs 60 19 failing 6 114", api.Clean},
		{"regressed", "runs 60 19 failing 30 114", api.Regressed},
	}
}

// TestEveryStateOfTheJudge holds, over all combinations, what a judge may do:
// it never promotes by itself, and that it is down never rolls back. What it
// finds rolls back or holds, as the policy says, and only if it is found.
func TestEveryStateOfTheJudge(t *testing.T) {
	for _, judge := range judgeStates() {
		for _, runs := range runStates() {
			for _, on := range []api.On{api.OnRollback, api.OnHold} {
				for _, guarantee := range []api.Guarantee{api.GuaranteeRollout, api.GuaranteeLook} {
					for _, mode := range []api.Mode{api.ModeCanary, api.ModeShadow} {
						for _, paused := range []bool{false, true} {
							name := fmt.Sprintf("%s, %s, %s, %s, %s, paused %t", judge.name, runs.name, on, guarantee, mode, paused)
							p := newPlay(t, api.CreateRollout{
								Mode: mode, Guarantee: guarantee, RequirePairwise: true,
								Pairwise: &api.CreatePairwise{MinPairs: minRuns(10), On: on, Judge: &api.Judge{Model: theJudge().Model}},
							})
							if paused {
								p.script("pause")
							}
							for _, script := range []string{runs.script, judge.script} {
								if script != "" {
									p.script(script)
								}
							}
							d := p.tick()
							for n := 0; d.Reason.Code == rollout.ReasonCatchingUp && n < 9; n++ {
								d = p.tick()
							}
							if got, want := d.Decision, decisionOf(judge.reason, runs.verdict, on, paused); got != want {
								t.Errorf("%s: %s, want %s: %s", name, got, want, d.Reason.Text)
							}
							alone := runs.verdict == api.Clean && !paused && d.Decision == api.Hold
							if alone && d.Reason.Code != judge.reason {
								t.Errorf("%s: the reason is %s, want %s", name, d.Reason.Code, judge.reason)
							}
							if clean := judge.reason == ""; clean && runs.verdict == api.Insufficient && d.Verdict.Verdict != api.Insufficient {
								t.Errorf("%s: the verdict is %s on runs that say too little", name, d.Verdict.Verdict)
							}
						}
					}
				}
			}
		}
	}
}

// decisionOf is what may come of a state of the judge and of the runs.
func decisionOf(judge string, runs api.Outcome, on api.On, paused bool) api.Action {
	switch {
	case runs == api.Regressed, judge == rollout.ReasonPairwiseRegressed && on == api.OnRollback:
		return api.Rollback
	case runs == api.Clean && judge == "" && !paused:
		return api.Promote
	}
	return api.Hold
}

// TestJudgesErrorBudget: a judge that tosses coins is one more gate on the
// rollout's budget: beside it the others have less, and all of it is spent at most once.
func TestJudgesErrorBudget(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, RequirePairwise: true, ErrorBudget: ptr(0.06), Gates: gates(t, "success", "error", "flagged:on=hold")})
	view := p.r.Ledger.View(p.r.Policy, 0)
	want := map[string]float64{"success:rate": 0.02, "error:rate": 0.02, "flagged:rate": 0.06, rollout.PairwiseGate: 0.02}
	for _, g := range view.Gates {
		if g.Budget != want[g.Gate] {
			t.Errorf("%s has a budget of %v, want %v", g.Gate, g.Budget, want[g.Gate])
		}
	}
	if len(view.Gates) != len(want) {
		t.Errorf("%+v", view.Gates)
	}
	without := rollout.WithoutJudge(p.r.Policy)
	if without.RequirePairwise || without.Pairwise != nil || without.ErrorBudget != 0.04 || p.r.Policy.ErrorBudget != 0.06 {
		t.Errorf("without its judge: %+v", without)
	}
	for on, want := range map[api.On]float64{api.OnHold: 0.06, api.OnRollback: 0.03} {
		p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, RequirePairwise: true, ErrorBudget: ptr(0.06), Pairwise: &api.CreatePairwise{On: on}})
		if got := rollout.WithoutJudge(p.r.Policy).ErrorBudget; got != want {
			t.Errorf("one gate without its judge on %s has %v, want %v", on, got, want)
		}
	}
	only := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, RequirePairwise: true, ErrorBudget: ptr(0.06), Gates: gates(t, "success:on=hold")})
	if got := rollout.WithoutJudge(only.r.Policy).ErrorBudget; got != 0.06 {
		t.Errorf("without a gate that rolls back: %v", got)
	}
	if same := rollout.WithoutJudge(without); same.ErrorBudget != without.ErrorBudget {
		t.Errorf("twice without it: %v", same.ErrorBudget)
	}
}
