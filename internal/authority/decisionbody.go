package authority

import (
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/internal/rollout"
)

// decisionBody is the body of a rollout_decision or rollout_action receipt.
type decisionBody struct {
	common
	Subject subject `json:"subject"`
	Stream  stream  `json:"stream"`
	evidence.Decided
}

func (a *Authority) decisionBody(p Principal, v view, next rollout.Rollout, d rollout.Decision, decided api.Decision, now time.Time) (decisionBody, error) {
	kind := api.KindRolloutDecision
	if d.Action == rollout.ActionPause || d.Action == rollout.ActionResume {
		kind = api.KindRolloutAction
	}
	body := decisionBody{
		common:  a.common(p, kind, now),
		Subject: subject{RolloutID: v.Core.ID, BaselineRelease: v.BaselineRelease, CandidateRelease: v.CandidateRelease},
		Stream:  stream{ID: v.Core.ID, Seq: decided.Sequence, Prev: v.StreamHead},
	}
	body.Source = &api.EventSource{AppID: v.AppID, Environment: v.Environment, Release: v.CandidateRelease}
	var err error
	body.Decided, err = evidence.Decide(v.Core, next, d, evidence.Seen{LogSize: v.logIndex, StepAge: v.evidence.StepAge, Cohorts: v.cohorts, Candidate: v.CandidateRelease})
	body.PolicyDigest, body.SpentBefore = v.PolicyDigest, v.SpentBefore
	return body, err
}
