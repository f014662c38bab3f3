package api

import "time"

// State is where a rollout is in its life.
type State string

// The states. Promoted, rolled back and aborted are final.
const (
	StateActive     State = "active"
	StatePaused     State = "paused"
	StatePromoted   State = "promoted"
	StateRolledBack State = "rolled_back"
	StateAborted    State = "aborted"
)

// Finished reports whether no tick can change the state any more.
func (s State) Finished() bool {
	return s == StatePromoted || s == StateRolledBack || s == StateAborted
}

// Action is what a tick decided.
type Action string

// The decisions.
const (
	Promote  Action = "promote"
	Rollback Action = "rollback"
	Hold     Action = "hold"
)

// CreateRollout is the request that declares a rollout. What is left out is
// filled in when it is created and shown in the answer.
type CreateRollout struct {
	AppID            string            `json:"app_id"`
	Environment      string            `json:"environment,omitempty"`
	BaselineRelease  string            `json:"baseline_release"`
	CandidateRelease string            `json:"candidate_release"`
	Mode             Mode              `json:"mode,omitempty"`
	Steps            []int             `json:"steps,omitempty"`
	MinRuns          *int64            `json:"min_runs,omitempty"`
	FirstLook        *int64            `json:"first_look,omitempty"`
	Gates            []Gate            `json:"gates,omitempty"`
	Confidence       *float64          `json:"confidence,omitempty"`
	Guarantee        Guarantee         `json:"guarantee,omitempty"`
	ErrorBudget      *float64          `json:"error_budget,omitempty"`
	PromoteOn        string            `json:"promote_on,omitempty"`
	PromoteMargin    *float64          `json:"promote_margin,omitempty"`
	RequirePairwise  bool              `json:"require_pairwise,omitempty"`
	Pairwise         *CreatePairwise   `json:"pairwise,omitempty"`
	Baseline         string            `json:"baseline,omitempty"`
	SRM              string            `json:"srm,omitempty"`
	Unit             string            `json:"unit,omitempty"`
	Labels           map[string]string `json:"labels,omitempty"`
	// AttemptReason starts a new attempt after a rollback of this candidate.
	AttemptReason string `json:"attempt_reason,omitempty"`
}

// Rollout is a candidate release being ramped against a baseline release.
type Rollout struct {
	ID               string `json:"id"`
	AppID            string `json:"app_id"`
	Environment      string `json:"environment"`
	BaselineRelease  string `json:"baseline_release"`
	CandidateRelease string `json:"candidate_release"`
	Mode             Mode   `json:"mode"`
	State            State  `json:"state"`
	// Advisory is true in shadow mode: the state is what canary mode would have reached.
	Advisory bool `json:"advisory"`
	// Step is the present step, from 1.
	Step int `json:"step"`
	// Weight is the authorised weight in percent; null in shadow mode.
	Weight *int `json:"weight"`
	// PaperWeight is the weight that shadow mode would have authorised; null in canary mode.
	PaperWeight *int `json:"paper_weight"`
	// FreshRuns counts the candidate runs of this step, in closed blocks, that carry each decisive metric.
	FreshRuns     int64             `json:"fresh_runs"`
	Policy        Policy            `json:"policy"`
	PolicyDigest  string            `json:"policy_digest"`
	Ledger        RolloutLedger     `json:"ledger"`
	LastDecision  *Decision         `json:"last_decision"`
	Sequence      int64             `json:"sequence"`
	Attempt       int               `json:"attempt"`
	AttemptReason string            `json:"attempt_reason,omitempty"`
	Labels        map[string]string `json:"labels,omitempty"`
	CreatedAt     time.Time         `json:"created_at"`
	CreatedBy     string            `json:"created_by"`
	UpdatedAt     time.Time         `json:"updated_at"`
	// History is the baseline's past that candidate runs without baseline runs beside them are compared with; null if there is none.
	History *History `json:"history"`
	// Plan says what the ramp needs and what it can and cannot see.
	Plan Plan `json:"plan"`
}

// History names what a baseline reported before a rollout, frozen when it was created.
type History struct {
	Runs int64 `json:"runs"`
	// FirstIndex and LastIndex are the log indexes of its first and last run.
	FirstIndex int64 `json:"first_index"`
	LastIndex  int64 `json:"last_index"`
	// Digest is the SHA-256, in hex, of its JSON form.
	Digest string `json:"digest"`
}

// RolloutLedger is the error budget of a rollout and what its looks spent.
type RolloutLedger struct {
	ErrorBudget float64 `json:"error_budget"`
	// Looks is the number of closed blocks that were looked at, in order; those before first_look decide nothing.
	Looks int64 `json:"looks"`
	// Digest chains every look: SHA-256 over the digest before and the look, in hex.
	Digest string       `json:"digest"`
	Gates  []LedgerGate `json:"gates"`
	// SpentBefore is the sum of the budgets of earlier attempts at this candidate.
	SpentBefore float64 `json:"spent_before"`
}

// LedgerGate is the budget of one gate.
type LedgerGate struct {
	Gate string `json:"gate"`
	GateLedger
}

// Plan is what a ramp needs and what it can see.
type Plan struct {
	// Runs is the number of candidate runs that the ramp needs at least.
	Runs int64      `json:"runs"`
	Text string     `json:"text"`
	Step []StepPlan `json:"steps"`
}

// StepPlan is one step of the ramp.
type StepPlan struct {
	Weight       int   `json:"weight"`
	MinRuns      int64 `json:"min_runs"`
	BaselineRuns int64 `json:"baseline_runs"`
	// ExpectedSeconds is how long the step takes at the runs per hour seen so far; null if none were seen.
	ExpectedSeconds *int64 `json:"expected_seconds"`
}

// Decision is one entry of a rollout's time line.
type Decision struct {
	EventID  string `json:"event_id,omitempty"`
	Sequence int64  `json:"sequence"`
	// Decision is promote, rollback or hold; for an operator's pause or resume it is hold.
	Decision Action `json:"decision"`
	// Action names an operator's action: promote, abort, pause, resume; empty for a tick.
	Action      string    `json:"action,omitempty"`
	Reason      Reason    `json:"reason"`
	Mode        Mode      `json:"mode"`
	StateBefore State     `json:"state_before"`
	State       State     `json:"state"`
	StepBefore  int       `json:"step_before"`
	Step        int       `json:"step"`
	WeightFrom  int       `json:"weight_before"`
	Weight      int       `json:"weight"`
	Terminal    bool      `json:"terminal"`
	Advisory    bool      `json:"advisory"`
	Actor       string    `json:"actor"`
	RecordedAt  time.Time `json:"recorded_at"`
	LogIndex    int64     `json:"log_index"`
	// Verdict and Gates are the figures behind the decision.
	Verdict Outcome        `json:"verdict,omitempty"`
	Gates   []DecisionGate `json:"gates,omitempty"`
	// Checks are the conditions beside the gates that were not ok.
	Checks []Check `json:"checks,omitempty"`
}

// Transition reports whether the decision changed the step or ended the rollout.
func (d Decision) Transition() bool { return d.Decision != Hold }

// DecisionGate is the interval of one gate at a decision.
type DecisionGate struct {
	Gate       string      `json:"gate"`
	Verdict    Outcome     `json:"verdict"`
	Difference *Difference `json:"difference"`
	OneLook    *Difference `json:"one_look,omitempty"`
}

// Tick is the answer to an evaluation of one rollout.
type Tick struct {
	Rollout  Rollout  `json:"rollout"`
	Decision Decision `json:"decision"`
	Verdict  *Verdict `json:"verdict"`
	// Ticked is false when the rollout had ended before: nothing was looked at or written.
	Ticked bool `json:"ticked"`
}

// EvaluateResult is one rollout's part of the answer to evaluating all.
type EvaluateResult struct {
	RolloutID string   `json:"rollout_id"`
	Tick      *Tick    `json:"tick,omitempty"`
	Problem   *Problem `json:"problem,omitempty"`
}

// EvaluateAll is the answer to evaluating every active rollout.
type EvaluateAll struct {
	Results []EvaluateResult `json:"results"`
}

// OperatorRequest carries the reason of a pause, resume, abort or promote.
type OperatorRequest struct {
	Reason string `json:"reason"`
}

// GateAnswer is the answer for CD systems that poll.
type GateAnswer struct {
	RolloutID string `json:"rollout_id"`
	Decision  Action `json:"decision"`
	State     State  `json:"state"`
	Weight    *int   `json:"weight"`
	Reason    string `json:"reason"`
}

// Look is the test of one stratum of a closed block on one gate. The members
// stand in sorted order, so that its JSON is its canonical form.
type Look struct {
	// Allowed and Used are the error that may be, and is, spent so far.
	Allowed  float64  `json:"allowed"`
	Baseline Failures `json:"baseline"`
	Block    int64    `json:"block"`
	// Boundary is the smallest score that is regressed; 0 before the first look that decides, and so is Level.
	Boundary  int64    `json:"boundary"`
	Candidate Failures `json:"candidate"`
	// Critical is what the statistic of a mean must exceed to be regressed.
	Critical float64 `json:"critical,omitempty"`
	Gate     string  `json:"gate"`
	// Historical: the candidate's runs were compared with the baseline's history.
	Historical bool `json:"historical,omitempty"`
	// Information is the sum over the strata of n_c·n_b/(n_c+n_b), in runs.
	Information float64 `json:"information"`
	Level       float64 `json:"level"`
	// Number counts the looks of this gate from 1.
	Number    int64 `json:"number"`
	Regressed bool  `json:"regressed"`
	Score     int64 `json:"score"`
	// Statistic of a mean: studentized, positive where the candidate is worse than the margin.
	Statistic float64 `json:"statistic,omitempty"`
	// Strata is how many epochs have been looked at so far.
	Strata  int64   `json:"strata"`
	Stratum int64   `json:"stratum"`
	Tested  bool    `json:"tested"`
	Used    float64 `json:"used"`
}

// Failures counts the harmful runs of one release in a block.
type Failures struct {
	Failures int64 `json:"failures"`
	Runs     int64 `json:"runs"`
}
