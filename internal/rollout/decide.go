package rollout

import (
	"maps"
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
)

// The codes of a decision's reason. A hold for want of evidence carries the
// code of the gate that lacks it (package compare).
const (
	ReasonCleanVerdict = "clean_verdict"
	ReasonFullPromote  = "fully_promoted"
	ReasonRegressed    = compare.ReasonRegressed
	ReasonCatchingUp   = "catching_up"
	ReasonPaused       = "paused"
	ReasonHoldGate     = "hold_gate_regressed"
	ReasonPairwise     = "pairwise_unavailable"
	ReasonFreshRuns    = "fresh_runs"
	ReasonOperator     = "operator"
	ReasonPaperEnded   = "paper_ended"
)

func because(code, text string, params map[string]any) api.Reason {
	return api.Reason{Code: code, Params: params, Text: text}
}

// decide picks the one thing that matters most. The order is the promise: a
// regression ends the rollout in every state; nothing promotes while anything
// is missing.
func (r Rollout) decide(v api.Verdict, more bool) (api.Action, api.Reason) {
	weight := r.Weight()
	if g, found := worst(v, api.Regressed, api.OnRollback); found {
		return api.Rollback, because(ReasonRegressed, "rolling back at "+percent(weight)+", "+g.Reason.Text, g.Reason.Params)
	}
	holding := "Holding at " + percent(weight) + ": "
	if more {
		return api.Hold, because(ReasonCatchingUp, holding+"more closed blocks wait to be looked at; tick again", nil)
	}
	if r.State == api.StatePaused {
		return api.Hold, because(ReasonPaused, holding+"paused by an operator; resume it to let it advance", nil)
	}
	if g, found := worst(v, api.Regressed, api.OnHold); found {
		return api.Hold, because(ReasonHoldGate, holding+g.Reason.Text+"; an operator can abort or promote", g.Reason.Params)
	}
	fresh, need := r.FreshRuns(), r.Policy.MinRuns
	if g, found := worst(v, api.Insufficient, api.OnRollback, api.OnHold); found {
		return api.Hold, r.insufficient(g, holding, fresh)
	}
	if r.Policy.RequirePairwise {
		return api.Hold, because(ReasonPairwise, holding+"the pairwise judge is required and there are no judgments; record some, or create the rollout without require_pairwise", nil)
	}
	if fresh < need {
		return api.Hold, because(ReasonFreshRuns, holding+ofFresh(fresh, need)+"; "+gateTexts(v), map[string]any{"have": fresh, "need": need})
	}
	params := map[string]any{"weight": weight, "fresh_runs": fresh}
	if r.Step+1 == len(r.Policy.Steps) {
		return api.Promote, because(ReasonFullPromote, "clean verdict at "+percent(weight)+", fully promoting the candidate to 100%", params)
	}
	next := r.Policy.Steps[r.Step]
	params["next_weight"] = next
	return api.Promote, because(ReasonCleanVerdict, "clean verdict at "+percent(weight)+", advancing canary to "+percent(next), params)
}

// insufficient says what is missing: fresh runs if they are, else what the gate says.
func (r Rollout) insufficient(g api.GateResult, holding string, fresh int64) api.Reason {
	need := r.Policy.MinRuns
	params := map[string]any{"fresh_runs": fresh, "min_runs": need}
	maps.Copy(params, g.Reason.Params)
	text := g.Reason.Text
	thin := g.Reason.Code == compare.ReasonNoLook || g.Reason.Code == compare.ReasonTooFewRuns
	if thin && fresh < need {
		text = "not enough data yet, " + ofFresh(fresh, need) + "; " + text
	}
	return because(g.Reason.Code, holding+text, params)
}

// worst is the first gate with this outcome among those that do one of these things.
func worst(v api.Verdict, outcome api.Outcome, on ...api.On) (api.GateResult, bool) {
	for _, what := range on {
		for _, g := range v.Gates {
			if g.Verdict == outcome && g.On == what {
				return g, true
			}
		}
	}
	return api.GateResult{}, false
}

func gateTexts(v api.Verdict) string {
	var texts []string
	for _, g := range v.Gates {
		texts = append(texts, g.Reason.Text)
	}
	return strings.Join(texts, "; ")
}

func ofFresh(have, need int64) string {
	return strconv.FormatInt(have, 10) + " of " + strconv.FormatInt(need, 10) + " fresh runs"
}

func percent(weight int) string { return strconv.Itoa(weight) + "%" }
