package authority

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/receipt"
)

// document is a rollout as it is kept: the ramp's state, and what only the
// outside needs of it.
type document struct {
	Core             rollout.Rollout `json:"core"`
	AppID            string          `json:"app_id"`
	Environment      string          `json:"environment"`
	BaselineRelease  string          `json:"baseline_release"`
	CandidateRelease string          `json:"candidate_release"`
	PolicyDigest     string          `json:"policy_digest"`
	// RequestDigest tells whether a request to create is equal to the one that made this rollout.
	RequestDigest string            `json:"request_digest"`
	Labels        map[string]string `json:"labels,omitempty"`
	AttemptReason string            `json:"attempt_reason,omitempty"`
	// SpentBefore is the sum of the error budgets of earlier attempts.
	SpentBefore float64   `json:"spent_before"`
	CreatedAt   time.Time `json:"created_at"`
	CreatedBy   string    `json:"created_by"`
	UpdatedAt   time.Time `json:"updated_at"`
	// StepAt is when the present step began.
	StepAt time.Time `json:"step_at"`
	// FirstEpoch is where the evidence begins: of this rollout, or of the aborted one it continues.
	FirstEpoch int64 `json:"first_epoch"`
	// Sequence and StreamHead are the number and the integrity hash of the last receipt.
	Sequence     int64         `json:"sequence"`
	StreamHead   string        `json:"stream_head"`
	LastDecision *api.Decision `json:"last_decision,omitempty"`
	// Transition is the sequence of the last decision that changed the weight: an earlier one must not be sent again.
	Transition int64    `json:"transition"`
	Plan       api.Plan `json:"plan"`
}

// stored is a document with the record that it came from.
type stored struct {
	document
	record RolloutRecord
}

func open(r RolloutRecord) (stored, error) {
	s := stored{record: r}
	if err := json.Unmarshal(r.Doc, &s.document); err != nil {
		return stored{}, &Error{Code: CodeInternal, Detail: "the rollout cannot be read", Cause: fmt.Errorf("rollout %s: %w", r.ID, err)}
	}
	return s, nil
}

// pack makes the record to save.
func (s stored) pack() (RolloutRecord, error) {
	doc, err := json.Marshal(s.document)
	if err != nil {
		return RolloutRecord{}, fmt.Errorf("rollout %s: %w", s.Core.ID, err)
	}
	r := s.record
	r.ID, r.AppID, r.Environment, r.BaselineRelease, r.CandidateRelease = s.Core.ID, s.AppID, s.Environment, s.BaselineRelease, s.CandidateRelease
	r.Mode, r.State, r.CreatedAt, r.Doc = s.Core.Policy.Mode, s.Core.State, s.CreatedAt, doc
	return r, nil
}

func (s stored) shadow() bool { return s.Core.Policy.Mode == api.ModeShadow }

// view is the rollout as it is read.
func (s stored) view() api.Rollout {
	weight := s.Core.Weight()
	r := api.Rollout{
		ID: s.Core.ID, AppID: s.AppID, Environment: s.Environment, BaselineRelease: s.BaselineRelease,
		CandidateRelease: s.CandidateRelease, Mode: s.Core.Policy.Mode, State: s.Core.State, Advisory: s.shadow(),
		Step: s.Core.Step, FreshRuns: s.Core.FreshRuns(), Policy: s.Core.Policy, PolicyDigest: s.PolicyDigest,
		Ledger: s.ledger(), LastDecision: s.LastDecision, Sequence: s.Sequence, Attempt: s.Core.Attempt, AttemptReason: s.AttemptReason,
		Labels: s.Labels, CreatedAt: s.CreatedAt, CreatedBy: s.CreatedBy, UpdatedAt: s.UpdatedAt, Plan: s.Plan,
	}
	if h := api.History(s.Core.History); h.Runs > 0 {
		r.History = &h
	}
	if s.shadow() {
		r.PaperWeight = &weight
	} else {
		r.Weight = &weight
	}
	return r
}

func (s stored) ledger() api.RolloutLedger {
	return s.Core.Ledger.View(s.Core.Policy, s.SpentBefore)
}

// policyDigest is the SHA-256, in hex, of the policy's canonical bytes.
func policyDigest(p api.Policy) (string, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	canonical, err := receipt.Canonical(data)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:]), nil
}
