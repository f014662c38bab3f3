package dashboard

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/cobound/prova/api"
)

// judgmentRow is a judgment as it is shown.
type judgmentRow struct {
	api.RecordedJudgment
	At time.Time
	// Word is the verdict for readers.
	Word string
	// Lengths says how long the two answers are; empty if that is not known.
	Lengths string
	// Outputs are what the releases answered, by baseline and candidate; empty where the key may not read them or they are not there.
	Baseline, Candidate string
	// Said are the judge's answers, one for each order.
	Said []answerRow
}

// answerRow is what a judge said of a pair in one order.
type answerRow struct {
	First, Second, Verdict string
	Cached                 bool
	Reason                 string
}

// judgmentRows are judgments with what was judged, if the reader may see it.
func (h *Handler) judgmentRows(r *request, judgments []api.RecordedJudgment) ([]judgmentRow, error) {
	outputs := map[string]json.RawMessage{}
	if r.who.May(api.JudgeWrite) {
		var ids []string
		for _, j := range judgments {
			if j.BaselineEventID != "" {
				ids = append(ids, j.BaselineEventID, j.CandidateEventID)
			}
		}
		var err error
		if outputs, err = h.Cases.Outputs(r.Context(), r.who, ids); err != nil {
			return nil, err
		}
	}
	rows := make([]judgmentRow, len(judgments))
	for i, j := range judgments {
		rows[i] = judgmentRow{RecordedJudgment: j, Word: verdictWord(j.Verdict), Baseline: readable(outputs[j.BaselineEventID]), Candidate: readable(outputs[j.CandidateEventID])}
		rows[i].At, _ = time.Parse(time.RFC3339Nano, j.RecordedAt) // the server wrote it
		if j.BaselineChars != nil && j.CandidateChars != nil {
			rows[i].Lengths = strconv.FormatInt(*j.BaselineChars, 10) + " and " + strconv.FormatInt(*j.CandidateChars, 10) + " characters"
		}
		for _, a := range j.Answers {
			rows[i].Said = append(rows[i].Said, answerRowOf(a))
		}
	}
	return rows, nil
}

func answerRowOf(a api.JudgeAnswer) answerRow {
	row := answerRow{First: "baseline", Second: "candidate", Cached: a.Cached, Reason: a.Reason, Verdict: verdictWord(a.Preference())}
	if a.First == api.PreferCandidate {
		row.First, row.Second = row.Second, row.First
	}
	return row
}

func verdictWord(p api.Preference) string {
	switch p {
	case api.PreferCandidate:
		return "candidate is better"
	case api.PreferBaseline:
		return "baseline is better"
	case api.PreferTie:
		return "tie"
	case api.PreferNone:
	}
	return "no verdict"
}

// readable is what an agent answered: a text as it is, anything else as JSON in lines.
func readable(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return b.String()
}
