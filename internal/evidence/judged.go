package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/receipt"
)

// Judgment is a recorded judgment with the pair that it is about.
type Judgment struct {
	rollout.Judgment
	EventID             string
	Baseline, Candidate string
	ProbeID             string
}

// Calibration is a recorded calibration at its place in the log.
type Calibration struct {
	Index int64
	api.Calibration
}

// Subject names the two releases that a receipt is about.
type Subject struct {
	BaselineRelease  string `json:"baseline_release"`
	CandidateRelease string `json:"candidate_release"`
}

// Judged is what the receipt of a judgment says beside its header.
type Judged struct {
	Subject Subject           `json:"subject"`
	ProbeID string            `json:"probe_id"`
	Judge   api.Judge         `json:"judge"`
	Verdict api.Preference    `json:"verdict"`
	Answers []api.JudgeAnswer `json:"answers,omitempty"`
	// Runs are the receipts whose outputs were compared, if they were named, with the commitments to these outputs.
	Runs           *JudgedRuns `json:"runs,omitempty"`
	BaselineChars  *int64      `json:"baseline_chars,omitempty"`
	CandidateChars *int64      `json:"candidate_chars,omitempty"`
	Calls          *int64      `json:"calls,omitempty"`
	CostUSD        *float64    `json:"cost_usd,omitempty"`
	LatencyMS      *float64    `json:"latency_ms,omitempty"`
}

// JudgedRuns are the two runs of a pair.
type JudgedRuns struct {
	Baseline  JudgedRun `json:"baseline"`
	Candidate JudgedRun `json:"candidate"`
}

// JudgedRun names a run by its receipt. Output is the commitment to what it answered, which stands in that receipt too.
type JudgedRun struct {
	EventID string `json:"event_id"`
	Output  string `json:"output,omitempty"`
}

// JudgmentOf reads a judgment from its receipt.
func JudgmentOf(r receipt.Receipt, index int64) (Judgment, error) {
	var body Judged
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return Judgment{}, err
	}
	recorded, err := time.Parse(time.RFC3339Nano, r.RecordedAt)
	if err != nil {
		return Judgment{}, err
	}
	return Judgment{
		Judgment: rollout.Judgment{
			Index: index, RecordedAt: recorded, Judge: body.Judge, Verdict: body.Verdict, Answers: body.Answers,
			BaselineChars: body.BaselineChars, CandidateChars: body.CandidateChars,
		},
		EventID: r.EventID, Baseline: body.Subject.BaselineRelease, Candidate: body.Subject.CandidateRelease, ProbeID: body.ProbeID,
	}, nil
}

// CalibrationOf reads a calibration from its receipt.
func CalibrationOf(r receipt.Receipt, index int64) (Calibration, error) {
	var body struct {
		Calibration api.Calibration `json:"calibration"`
	}
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return Calibration{}, err
	}
	c := body.Calibration
	c.EventID, c.RecordedAt = r.EventID, r.RecordedAt
	return Calibration{index, c}, nil
}

// Judge adds to what a tick looks at the judgments that it reads, and what is
// known of who judged. The judgments are those of the rollout's releases from
// Judged.Next on, in log order, and one more than MostJudgments where there are
// more; the calibrations, in log order, those that were recorded before the tick.
// Its time is that of the step and how long it has lasted, in whole seconds, so
// that a receipt tells it.
func Judge(e *rollout.Evidence, r rollout.Rollout, stepAt time.Time, judgments []rollout.Judgment, calibrations []Calibration) {
	if len(judgments) > rollout.MostJudgments {
		judgments, e.MoreJudgments = judgments[:rollout.MostJudgments], true
	}
	e.Judgments, e.Now = judgments, stepAt.Add(e.StepAge)
	judge, known := r.Ledger.Judged.Whose(r.Policy, judgments)
	if !known {
		return
	}
	for _, c := range slices.Backward(calibrations) {
		if c.Judge == judge {
			e.Calibration = &c.Calibration
			return
		}
	}
}

// JudgeKey names a judge in an index: SHA-256, in hex, of its JSON.
func JudgeKey(j api.Judge) string {
	text, _ := json.Marshal(j) // three texts
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
