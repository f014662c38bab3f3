package rollout

import (
	"fmt"

	"github.com/cobound/prova/api"
)

// The actions of an operator.
const (
	ActionPause   = "pause"
	ActionResume  = "resume"
	ActionAbort   = "abort"
	ActionPromote = "promote"
)

// Operate carries out an operator's action. A promote is one step, overriding
// the verdict; an abort is a rollback that ends the rollout. The error says
// why the action is not possible in this state.
func (r Rollout) Operate(action, reason string) (Rollout, Decision, error) {
	if r.State.Finished() {
		return r, Decision{}, fmt.Errorf("the rollout is %s; nothing can be done to it any more", r.State)
	}
	d := Decision{Decision: api.Hold, Action: action, FreshRuns: r.FreshRuns()}
	next := r
	switch action {
	case ActionPause:
		if r.State == api.StatePaused {
			return r, Decision{}, fmt.Errorf("the rollout is paused already")
		}
		next.State = api.StatePaused
		d.Reason = operatorReason("paused at "+percent(r.Weight()), reason)
	case ActionResume:
		if r.State != api.StatePaused {
			return r, Decision{}, fmt.Errorf("the rollout is not paused")
		}
		next.State = api.StateActive
		d.Reason = operatorReason("resumed at "+percent(r.Weight()), reason)
	case ActionAbort:
		next.State = api.StateAborted
		d.Decision = api.Rollback
		d.Reason = operatorReason("aborted at "+percent(r.Weight()), reason)
	case ActionPromote:
		next = r.after(api.Promote)
		d.Decision = api.Promote
		d.Reason = operatorReason(fmt.Sprintf("promoted by an operator, overriding the verdict, from %s to %s", percent(r.Weight()), percent(next.Weight())), reason)
	default:
		return r, Decision{}, fmt.Errorf("there is no action %q", action)
	}
	next.Reason = d.Reason.Code
	return next, d, nil
}

func operatorReason(what, why string) api.Reason {
	return because(ReasonOperator, what+": "+why, map[string]any{"operator_reason": why})
}
