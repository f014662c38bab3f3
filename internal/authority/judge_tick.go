package authority

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/receipt"
)

// judge adds to what a tick looks at what the judge has recorded. It asks
// nobody: a judge that is down has recorded nothing.
func judge(s Snapshot, v view, e *rollout.Evidence) error {
	judged := v.Core.Ledger.Judged
	if judged == nil {
		return nil
	}
	records, err := s.Judgments(JudgmentFilter{
		AppID: v.AppID, Environment: v.Environment, Baseline: v.BaselineRelease, Candidate: v.CandidateRelease, Since: judged.Since, From: judged.Next,
	}, rollout.MostJudgments+1)
	if err != nil {
		return err
	}
	judgments := make([]rollout.Judgment, len(records))
	for i, r := range records {
		j, err := judgmentOf(r)
		if err != nil {
			return err
		}
		judgments[i] = j.Judgment
	}
	calibrations, err := calibrationFor(s, v, judgments)
	if err != nil {
		return err
	}
	evidence.Judge(e, v.Core, v.StepAt, judgments, calibrations)
	return nil
}

// judgmentOf reads a judgment as it is kept.
func judgmentOf(r JudgmentRecord) (evidence.Judgment, error) {
	var j evidence.Judgment
	if err := json.Unmarshal(r.Doc, &j); err != nil {
		return j, fmt.Errorf("judgment at log index %d: %w", r.Index, err)
	}
	j.Index, j.Repeat = r.Index, r.Repeat
	return j, nil
}

// calibrationFor is the newest calibration of the judge that counts, if there is one.
func calibrationFor(s Snapshot, v view, judgments []rollout.Judgment) ([]evidence.Calibration, error) {
	judge, known := v.Core.Ledger.Judged.Whose(v.Core.Policy, judgments)
	if !known {
		return nil, nil
	}
	c, err := calibrationOf(s, v.AppID, v.Environment, evidence.JudgeKey(judge))
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return []evidence.Calibration{c}, err
}

// calibrationOf reads the newest calibration of a judge; ErrNotFound.
func calibrationOf(s Snapshot, appID, environment, judge string) (evidence.Calibration, error) {
	index, err := s.Calibration(appID, environment, judge)
	if err != nil {
		return evidence.Calibration{}, err
	}
	entries, err := s.Entries(EntryFilter{From: index, Before: index + 1}, 1)
	if err != nil || len(entries) == 0 {
		return evidence.Calibration{}, errors.Join(err, damagedIf(err == nil, "the calibration at log index %d is not in the log", index))
	}
	r, err := receipt.Parse(entries[0].Raw)
	if err != nil {
		return evidence.Calibration{}, err
	}
	return evidence.CalibrationOf(r, index)
}
