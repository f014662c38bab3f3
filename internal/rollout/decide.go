package rollout

import (
	"maps"
	"strconv"
	"strings"
	"time"

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
	ReasonFreshRuns    = "fresh_runs"
	ReasonOperator     = "operator"
	ReasonPaperEnded   = "paper_ended"
	ReasonCheck        = "check"
	ReasonNotShown     = "non_inferiority_not_shown"
)

func because(code, text string, params map[string]any) api.Reason {
	return api.Reason{Code: code, Params: params, Text: text}
}

// decide picks the one thing that matters most. The order is the promise: a
// regression ends the rollout in every state; nothing promotes while anything
// is missing. It adds the check that only the last step asks for.
func (r *Rollout) decide(v *api.Verdict, e Evidence) (api.Action, api.Reason, error) {
	if g, found := worst(*v, api.Regressed, api.OnRollback); found {
		return api.Rollback, because(ReasonRegressed, "rolling back at "+percent(r.Weight())+", "+g.Reason.Text, g.Reason.Params), nil
	}
	if j := v.Pairwise; j != nil && j.Verdict == api.Regressed && j.On == api.OnRollback {
		return api.Rollback, because(j.Reason.Code, "rolling back at "+percent(r.Weight())+", "+j.Reason.Text, j.Reason.Params), nil
	}
	if reason, held := r.holds(*v, e); held {
		return api.Hold, reason, nil
	}
	if r.Policy.PromoteOn == api.PromoteNonInferior && r.Step+1 == len(r.Policy.Steps) {
		var err error
		if r.Promotion, err = r.nonInferior(); err != nil {
			return "", api.Reason{}, err
		}
		c := api.Check{Check: CheckNonInferiority, Status: api.CheckOK, Detail: r.Promotion.Detail}
		if !r.Promotion.Shown {
			c.Status = api.CheckHold
			v.Checks = append(v.Checks, c)
			return api.Hold, because(ReasonNotShown, r.holding()+"not yet shown to be no worse: "+c.Detail+"; more runs at this weight narrow it, or an operator can promote",
				map[string]any{"promote_margin": *r.Policy.PromoteMargin}), nil
		}
		v.Checks = append(v.Checks, c)
	}
	action, reason := r.promotes()
	return action, reason, nil
}

func (r Rollout) holding() string { return "Holding at " + percent(r.Weight()) + ": " }

// holds finds what keeps a rollout that need not be rolled back from advancing.
func (r Rollout) holds(v api.Verdict, e Evidence) (api.Reason, bool) {
	holding := r.holding()
	if e.More {
		return because(ReasonCatchingUp, holding+"more of the evidence waits to be looked at; tick again", nil), true
	}
	if r.State == api.StatePaused {
		return because(ReasonPaused, holding+"paused by an operator; resume it to let it advance", nil), true
	}
	if g, found := worst(v, api.Regressed, api.OnHold); found {
		return because(ReasonHoldGate, holding+g.Reason.Text+"; an operator can abort or promote", g.Reason.Params), true
	}
	if j := v.Pairwise; j != nil && j.Verdict == api.Regressed {
		return because(j.Reason.Code, holding+j.Reason.Text+"; an operator can abort or promote", j.Reason.Params), true
	}
	for _, c := range v.Checks {
		if c.Status == api.CheckHold {
			return because(ReasonCheck, holding+c.Detail, map[string]any{"check": c.Check}), true
		}
	}
	if g, found := worst(v, api.Insufficient, api.OnRollback, api.OnHold); found {
		return r.insufficient(g, e), true
	}
	if j := v.Pairwise; j != nil && j.Verdict != api.Clean {
		return because(j.Reason.Code, holding+j.Reason.Text, j.Reason.Params), true
	}
	if fresh, need := r.FreshRuns(), r.Policy.MinRuns; fresh < need {
		params := map[string]any{"have": fresh, "need": need}
		return because(ReasonFreshRuns, holding+ofFresh(fresh, need)+"; "+gateTexts(v)+r.expected(e, params), params), true
	}
	return api.Reason{}, false
}

// promotes is the next step on a clean verdict.
func (r Rollout) promotes() (api.Action, api.Reason) {
	weight := r.Weight()
	params := map[string]any{"weight": weight, "fresh_runs": r.FreshRuns(), "min_runs": r.Policy.MinRuns}
	if r.Step+1 == len(r.Policy.Steps) {
		return api.Promote, because(ReasonFullPromote, "clean verdict at "+percent(weight)+", fully promoting the candidate to 100%", params)
	}
	next := r.Policy.Steps[r.Step]
	params["next_weight"] = next
	return api.Promote, because(ReasonCleanVerdict, "clean verdict at "+percent(weight)+", advancing canary to "+percent(next), params)
}

// expected says when the fresh runs that are missing will be in, at the pace of
// this step, and adds it to the parameters in seconds.
func (r Rollout) expected(e Evidence, params map[string]any) string {
	missing := r.Policy.MinRuns - r.FreshRuns()
	if len(e.Open.Arrivals) == 0 || missing <= 0 || e.StepAge < time.Second {
		return ""
	}
	arrived := e.Open.Arrivals[len(e.Open.Arrivals)-1].Candidate
	if arrived == 0 {
		return "; no candidate run has come at this weight yet"
	}
	seconds := int64(e.StepAge/time.Second) * missing / arrived
	params["expected_seconds"] = seconds
	return "; at this pace the rest is in after " + about(seconds)
}

// about writes a span of time in one unit.
func about(seconds int64) string {
	switch {
	case seconds < 90:
		return strconv.FormatInt(max(seconds, 1), 10) + " s"
	case seconds < 90*60:
		return strconv.FormatInt((seconds+30)/60, 10) + " min"
	case seconds < 48*3600:
		return strconv.FormatInt((seconds+1800)/3600, 10) + " h"
	}
	return strconv.FormatInt((seconds+43200)/86400, 10) + " days"
}

// insufficient says what is missing: fresh runs if they are, else what the gate says.
func (r Rollout) insufficient(g api.GateResult, e Evidence) api.Reason {
	fresh, need := r.FreshRuns(), r.Policy.MinRuns
	params := map[string]any{"fresh_runs": fresh, "min_runs": need}
	maps.Copy(params, g.Reason.Params)
	text := g.Reason.Text
	thin := g.Reason.Code == compare.ReasonNoLook || g.Reason.Code == compare.ReasonTooFewRuns
	if thin && fresh < need {
		text = "not enough data yet, " + ofFresh(fresh, need) + "; " + text + r.expected(e, params)
	}
	return because(g.Reason.Code, r.holding()+text, params)
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
