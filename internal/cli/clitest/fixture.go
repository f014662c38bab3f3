package clitest

import (
	"time"

	"github.com/cobound/prova/api"
)

// Rollout is a rollout at its first step, or where its state has brought it.
func Rollout(state api.State, mode api.Mode) api.Rollout {
	at := time.Date(2026, 5, 15, 18, 42, 0, 0, time.UTC)
	seconds := int64(5400)
	r := api.Rollout{
		ID: "ro_1", AppID: "claims-agent", Environment: "production", BaselineRelease: "v36", CandidateRelease: "abc123",
		Mode: mode, State: state, Advisory: mode == api.ModeShadow, Step: 1, FreshRuns: 18, Sequence: 3, Attempt: 1,
		Policy: api.Policy{
			Mode: mode, Steps: []int{5, 25, 50, 100}, MinRuns: 30, FirstLook: 30, Confidence: 0.95, Guarantee: api.GuaranteeRollout,
			ErrorBudget: 0.05, Gates: []api.Gate{{Metric: "success", Statistic: api.StatisticRate, Better: api.BetterHigher, On: api.OnRollback}},
		},
		Ledger:    api.RolloutLedger{ErrorBudget: 0.05, Looks: 7},
		CreatedAt: at, UpdatedAt: at, CreatedBy: "key_1",
		Plan: api.Plan{
			Runs: 120, Text: "120 candidate runs at least. 30 runs a step show an outage at once, and a loss of 5 points only by luck.",
			Step: []api.StepPlan{{Weight: 5, MinRuns: 30, BaselineRuns: 570, ExpectedSeconds: &seconds}, {Weight: 25, MinRuns: 30, BaselineRuns: 90}},
		},
	}
	weight := 5
	if state == api.StatePromoted {
		weight, r.Step = 100, 4
	}
	if state == api.StateRolledBack || state == api.StateAborted {
		weight = 0
	}
	if r.Weight = &weight; mode == api.ModeShadow {
		r.Weight, r.PaperWeight = nil, &weight
	}
	d := api.Decision{
		EventID: "evt_1", Sequence: 3, Decision: api.Hold, Mode: mode, State: state, Step: r.Step, Weight: weight, Actor: "key_1",
		RecordedAt: at, Reason: api.Reason{Code: "fresh_runs", Text: "18 of 30 fresh runs at 5%"},
	}
	switch state {
	case api.StatePromoted:
		d.Decision, d.Terminal, d.Reason = api.Promote, true, api.Reason{Code: "promoted", Text: "clean verdict at 50%, candidate fully promoted"}
	case api.StateRolledBack:
		d.Decision, d.Terminal, d.Reason = api.Rollback, true, api.Reason{Code: "regressed", Text: "success regressed at 5%"}
	case api.StateAborted:
		d.Decision, d.Action, d.Terminal, d.Reason = api.Rollback, "abort", true, api.Reason{Code: "aborted", Text: "wrong build"}
	case api.StateActive, api.StatePaused:
	}
	r.LastDecision = &d
	return r
}

// Verdict is a verdict on one gate whose interval still holds zero, or does not.
func Verdict(outcome api.Outcome) api.Verdict {
	number := func(v float64) *float64 { return &v }
	d := api.Difference{Estimate: -0.137, Lo: -0.31, Hi: 0.012, Method: "exact-conditional", Strata: 2}
	if outcome == api.Regressed {
		d = api.Difference{Estimate: -0.304, Lo: -0.47, Hi: -0.11, Method: "exact-conditional", Strata: 2}
	}
	gate := api.GateResult{
		Gate:      api.Gate{Metric: "success", Statistic: api.StatisticRate, Better: api.BetterHigher, On: api.OnRollback},
		Baseline:  api.CohortFigure{N: 570, Value: number(0.904), Lo: number(0.877), Hi: number(0.925)},
		Candidate: api.CohortFigure{N: 30, Missing: 2, Value: number(0.767), Lo: number(0.591), Hi: number(0.882)},
		Verdict:   outcome, Hides: number(0.31), Reason: api.Reason{Code: string(outcome), Text: "success −13.7 points (−31.0 … +1.2)"},
	}
	if outcome != api.Insufficient {
		gate.Difference = &d
	} else {
		gate.Reason.Text = "success has not been tested: 18 of 30 candidate runs in blocks of both releases"
	}
	latency := api.GateResult{
		Gate:       api.Gate{Metric: "latency_ms", Statistic: api.StatisticP95, Better: api.BetterLower, On: api.OnWarn},
		Baseline:   api.CohortFigure{N: 570, Value: number(2140)},
		Candidate:  api.CohortFigure{N: 30, Value: number(2870)},
		Difference: &api.Difference{Estimate: 730, Lo: 210, Hi: 1490, Method: "mover"},
		Verdict:    api.Regressed,
	}
	return api.Verdict{
		Verdict: outcome, Engine: api.Engine, Guarantee: api.GuaranteeRollout, Look: 7, Gates: []api.GateResult{gate},
		Signals: []api.GateResult{latency}, Checks: []api.Check{{Check: "sample_ratio", Status: "ok"}, {Check: "baseline", Status: "warn", Detail: "the baseline has had no run for two hours"}},
		Attempt: 1, Reason: gate.Reason,
	}
}

// Tick is the answer to an evaluation that ends in a state with a decision.
func Tick(state api.State, decision api.Action, mode api.Mode) api.Tick {
	r := Rollout(state, mode)
	outcome := api.Insufficient
	switch {
	case state == api.StateRolledBack:
		outcome = api.Regressed
	case state == api.StatePromoted || decision == api.Promote:
		outcome = api.Clean
	}
	v := Verdict(outcome)
	d := *r.LastDecision
	d.Decision, d.Advisory = decision, mode == api.ModeShadow
	r.LastDecision = &d
	return api.Tick{Rollout: r, Decision: d, Verdict: &v, Ticked: true}
}
