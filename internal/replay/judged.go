package replay

import (
	"fmt"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/internal/rollout"
)

// hear keeps a judgment or a calibration.
func (m *memory) hear(item Item) error {
	if item.Receipt.Kind == api.KindCalibration {
		c, err := evidence.CalibrationOf(item.Receipt, item.Index)
		if err != nil {
			return fmt.Errorf("receipt %s: %w", item.Receipt.EventID, err)
		}
		m.calibrations = append(m.calibrations, c)
		return nil
	}
	j, err := evidence.JudgmentOf(item.Receipt, item.Index)
	if err != nil {
		return fmt.Errorf("receipt %s: %w", item.Receipt.EventID, err)
	}
	m.judgments = append(m.judgments, j)
	return nil
}

// judge adds what a tick of a rollout reads of the judge: all of it was recorded before.
func (m *memory) judge(r *played, s seen, e *rollout.Evidence) {
	if r.core.Ledger.Judged == nil {
		return
	}
	evidence.Judge(e, r.core, r.stepAt, m.judgmentsOf(r, s.logSize), m.calibrations)
}

// judgmentsOf are the judgments of a rollout's releases since its evidence began that its next tick reads.
func (m *memory) judgmentsOf(r *played, logSize int64) []rollout.Judgment {
	judged := r.core.Ledger.Judged
	type pair struct {
		judge api.Judge
		probe string
	}
	settled := map[pair]bool{}
	var out []rollout.Judgment
	for _, j := range m.judgments {
		if j.Baseline != r.Subject.Baseline || j.Candidate != r.Subject.Candidate || j.Index < judged.Since || j.Index >= logSize {
			continue
		}
		key := pair{j.Judge, j.ProbeID}
		j.Repeat = settled[key]
		settled[key] = settled[key] || j.Verdict != api.PreferNone
		if j.Index >= judged.Next && len(out) <= rollout.MostJudgments {
			out = append(out, j.Judgment)
		}
	}
	return out
}
