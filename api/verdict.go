package api

import "encoding/json"

// Engine is the version of the statistics. Any change of a bit of a verdict is
// a new version.
const Engine = "prova-engine/1"

// Outcome is the result of a comparison, per gate and overall.
type Outcome string

// The outcomes.
const (
	Regressed    Outcome = "regressed"
	Clean        Outcome = "clean"
	Insufficient Outcome = "insufficient"
)

// Reason says why, first as a code with parameters for machines, then as the
// sentence rendered from them.
type Reason struct {
	Code   string         `json:"code"`
	Params map[string]any `json:"params,omitempty"`
	Text   string         `json:"text"`
}

// Verdict is the result of comparing two cohorts on all gates. One form for
// API, command line, receipt and dashboard.
type Verdict struct {
	Verdict   Outcome   `json:"verdict"`
	Engine    string    `json:"engine"`
	Guarantee Guarantee `json:"guarantee"`
	// Look is the number of blocks tested so far; 0 for a comparison on demand.
	Look    int64        `json:"look"`
	Gates   []GateResult `json:"gates"`
	Signals []GateResult `json:"signals"`
	// Pairwise is null unless the policy asks for the judge.
	Pairwise *PairwiseResult `json:"pairwise"`
	Checks   []Check         `json:"checks"`
	Attempt  int             `json:"attempt"`
	Reason   Reason          `json:"reason"`
}

// GateResult is one gate with both cohorts, their difference and its verdict.
type GateResult struct {
	Gate
	// Null names the hypothesis whose false rejection is bounded: same_rate.
	Null      string       `json:"null,omitempty"`
	Baseline  CohortFigure `json:"baseline"`
	Candidate CohortFigure `json:"candidate"`
	// Difference is candidate minus baseline with the interval that decides; null before there is one.
	Difference *Difference `json:"difference"`
	// Pairs counts the pairs of a gate on pairs; absent for others.
	Pairs *Pairs `json:"pairs,omitempty"`
	// OneLook is the ordinary interval at the policy's confidence, shown beside the one that decides.
	OneLook *Difference `json:"one_look,omitempty"`
	// Ledger is the state of the gate's error budget; absent where no budget is kept.
	Ledger  *GateLedger `json:"ledger,omitempty"`
	Verdict Outcome     `json:"verdict"`
	// Hides is the smallest harm, in units of the metric, that this sample could still hide.
	// It is null where the sample sets no limit to it.
	Hides *float64 `json:"hides"`
	// Tolerated is the margin in units of the metric, of a gate whose margin is relative to the baseline.
	Tolerated *float64 `json:"tolerated,omitempty"`
	Reason    Reason   `json:"reason"`
}

// gateMembers is a Gate without its methods.
type gateMembers Gate

// gateFigures are the members of a GateResult beside those of its gate.
type gateFigures struct {
	Null       string       `json:"null,omitempty"`
	Baseline   CohortFigure `json:"baseline"`
	Candidate  CohortFigure `json:"candidate"`
	Difference *Difference  `json:"difference"`
	Pairs      *Pairs       `json:"pairs,omitempty"`
	OneLook    *Difference  `json:"one_look,omitempty"`
	Ledger     *GateLedger  `json:"ledger,omitempty"`
	Verdict    Outcome      `json:"verdict"`
	Hides      *float64     `json:"hides"`
	Tolerated  *float64     `json:"tolerated,omitempty"`
	Reason     Reason       `json:"reason"`
}

// MarshalJSON writes the gate's members and the figures side by side.
func (g GateResult) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		gateMembers
		gateFigures
	}{gateMembers(g.Gate), gateFigures{g.Null, g.Baseline, g.Candidate, g.Difference, g.Pairs, g.OneLook, g.Ledger, g.Verdict, g.Hides, g.Tolerated, g.Reason}})
}

// UnmarshalJSON reads what MarshalJSON writes. Without it the method of the
// embedded Gate would be used, which knows nothing of the figures.
func (g *GateResult) UnmarshalJSON(data []byte) error {
	var m struct {
		gateMembers
		gateFigures
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	f := m.gateFigures
	*g = GateResult{Gate(m.gateMembers), f.Null, f.Baseline, f.Candidate, f.Difference, f.Pairs, f.OneLook, f.Ledger, f.Verdict, f.Hides, f.Tolerated, f.Reason}
	return nil
}

// Pairs counts the probes that both releases ran. The table is there where
// every pair is two values of 0 or 1.
type Pairs struct {
	N int64 `json:"n"`
	*PairTable
	// UnpairedCandidate and UnpairedBaseline count the runs with the metric that have no partner.
	UnpairedCandidate int64 `json:"unpaired_candidate"`
	UnpairedBaseline  int64 `json:"unpaired_baseline"`
}

// PairTable counts pairs by which of the two values is 1.
type PairTable struct {
	Both          int64 `json:"both"`
	CandidateOnly int64 `json:"candidate_only"`
	BaselineOnly  int64 `json:"baseline_only"`
	Neither       int64 `json:"neither"`
}

// CohortFigure is the statistic of one cohort. N counts the runs that carry
// the metric, or the pairs of a gate on pairs; Missing counts the runs that do
// not carry it. Value and the limits of its interval are null where there is no
// run, and a limit where so few runs have none.
type CohortFigure struct {
	N       int64    `json:"n"`
	Missing int64    `json:"missing"`
	Value   *float64 `json:"value"`
	Lo      *float64 `json:"lo"`
	Hi      *float64 `json:"hi"`
}

// Difference is an estimate of candidate minus baseline with its limits.
type Difference struct {
	Estimate float64 `json:"estimate"`
	Lo       float64 `json:"lo"`
	Hi       float64 `json:"hi"`
	Method   string  `json:"method"`
	// Open names the limits that so few runs do not have: lo, hi or both. What stands there is from the most extreme value seen; the true limit is further out.
	Open string `json:"open,omitempty"`
	// Confidence is the two-sided level of an ordinary interval; absent where the level belongs to a look.
	Confidence float64 `json:"confidence,omitempty"`
	// Strata is the number of epochs that were compared within and combined.
	Strata int `json:"strata"`
}

// GateLedger is what the looks of a gate spent of its error budget.
type GateLedger struct {
	Budget      float64 `json:"budget"`
	Allowed     float64 `json:"allowed"`
	Used        float64 `json:"used"`
	Information float64 `json:"information"`
	// Planned is the information of the declared ramp.
	Planned float64 `json:"planned"`
	Score   int64   `json:"score"`
	// Boundary is the smallest score that is regressed; 0 before the first look that was tested.
	Boundary int64 `json:"boundary"`
	// Statistic and Critical take the place of score and boundary in the ledger of a mean.
	Statistic float64 `json:"statistic,omitempty"`
	Critical  float64 `json:"critical,omitempty"`
	Looks     int64   `json:"looks"`
}

// PairwiseResult is the judge's gate: whether the candidate wins fewer than half
// of the pairs that the judge decided.
type PairwiseResult struct {
	Required bool `json:"required"`
	On       On   `json:"on"`
	// Judge is whose judgments count; null before there is one.
	Judge   *Judge        `json:"judge"`
	Figures JudgedFigures `json:"figures"`
	// OtherJudge counts judgments of other judges, which count for nothing here.
	OtherJudge int64 `json:"other_judge"`
	// MinPairs is the number of decided pairs that the policy asks for.
	MinPairs int64 `json:"min_pairs"`
	// WinRate is the candidate's on decided pairs, with its ordinary interval at the policy's confidence.
	WinRate Share `json:"win_rate"`
	// HalfTies is the win rate with each tie as half a win; null before there is one.
	HalfTies *float64 `json:"win_rate_half_ties"`
	// AtLook is the win rate with the interval that belongs to the last look; absent before there is one, and where no budget is kept.
	AtLook *Difference `json:"at_look,omitempty"`
	Ledger *GateLedger `json:"ledger,omitempty"`
	// AgeSeconds is how long ago the newest verdict was recorded; null before there is one.
	AgeSeconds *int64 `json:"age_seconds"`
	// Calibration is the newest of this judge; null says that nobody has held it against people's labels.
	Calibration *Calibration `json:"calibration"`
	Verdict     Outcome      `json:"verdict"`
	Reason      Reason       `json:"reason"`
}

// The states of a check.
const (
	CheckOK   = "ok"
	CheckWarn = "warn"
	CheckHold = "hold"
)

// The limits of a difference that may be open.
const (
	OpenLo   = "lo"
	OpenHi   = "hi"
	OpenBoth = "both"
)

// Check is a condition watched beside the gates. Status is ok, warn or hold.
type Check struct {
	Check  string `json:"check"`
	Status string `json:"status"`
	Detail string `json:"detail"`
}
