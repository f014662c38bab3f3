package authority

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
	"github.com/cobound/prova/receipt"
)

// Judged names two releases of an app, or a rollout, which has both.
type Judged struct {
	RolloutID string
	// The four are filled in where a rollout is named.
	AppID, Environment, Baseline, Candidate string
}

// filter selects the judgments on the releases: of a rollout since its evidence began, else all.
func (q Judged) filter(s Snapshot, p Principal) (JudgmentFilter, error) {
	f := JudgmentFilter{AppID: q.AppID, Environment: q.Environment, Baseline: q.Baseline, Candidate: q.Candidate}
	if q.RolloutID == "" {
		if f.Environment == "" {
			f.Environment = api.DefaultEnvironment
		}
		if f.AppID == "" || f.Baseline == "" || f.Candidate == "" {
			return f, invalid("/app_id", "say whose judgments: rollout_id, or app_id with baseline and candidate")
		}
		if !p.sees(f.Environment) {
			return f, fail(CodeForbidden, "this key is limited to the environment %q", p.Environment)
		}
		return f, nil
	}
	if q != (Judged{RolloutID: q.RolloutID}) {
		return f, invalid("/rollout_id", "a rollout has its app, environment and releases: leave these out")
	}
	record, err := s.Rollout(q.RolloutID)
	if err != nil {
		return f, err
	}
	if !p.sees(record.Environment) {
		return f, ErrNotFound
	}
	r, err := open(record)
	if err != nil {
		return f, err
	}
	f = JudgmentFilter{AppID: r.AppID, Environment: r.Environment, Baseline: r.BaselineRelease, Candidate: r.CandidateRelease}
	if j := r.Core.Ledger.Judged; j != nil {
		f.Since, f.From = j.Since, j.Since
	}
	return f, nil
}

// Judgments lists what judges said of two releases, newest first, and what it
// adds up to for each judge.
func (a *Authority) Judgments(ctx context.Context, p Principal, q Judged, cursor string, limit int) (api.JudgmentList, error) {
	if err := p.need(api.ReleaseRead); err != nil {
		return api.JudgmentList{}, err
	}
	before, err := cursorNumber(cursor)
	if err != nil {
		return api.JudgmentList{}, err
	}
	out := api.JudgmentList{Judges: []api.JudgeSummary{}, Judgments: []api.RecordedJudgment{}}
	err = a.Store.View(ctx, p.Org, func(s Snapshot) error {
		f, err := q.filter(s, p)
		if err != nil {
			return err
		}
		if out.Judges, err = judges(s, f); err != nil {
			return err
		}
		f.Newest, f.Before = true, before
		if cursor != "" && before == 0 {
			return nil
		}
		records, err := s.Judgments(f, limit+1)
		if err != nil {
			return err
		}
		items := make([]api.RecordedJudgment, len(records))
		for i, r := range records {
			if items[i], err = recordedJudgment(s, r); err != nil {
				return err
			}
		}
		cut := page(items, limit, func(j api.RecordedJudgment) string { return strconv.FormatInt(j.LogIndex, 10) })
		out.Judgments, out.NextCursor = cut.Items, cut.NextCursor
		return nil
	})
	return out, storeError("rollout", err)
}

// judges adds up what each judge said, in the order in which they judged first.
func judges(s Snapshot, f JudgmentFilter) ([]api.JudgeSummary, error) {
	out := []api.JudgeSummary{}
	err := eachJudgment(s, f, func(j evidence.Judgment) error {
		i := slices.IndexFunc(out, func(s api.JudgeSummary) bool { return s.Judge == j.Judge })
		if i < 0 {
			i, out = len(out), append(out, api.JudgeSummary{Judge: j.Judge})
		}
		rollout.Count(&out[i].Figures, j.Judgment)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range out {
		o := &out[i]
		o.WinRate = rollout.ShareOf(stats.Proportion{X: o.Figures.Wins, N: o.Figures.Decided()}, rollout.DefaultConfidence)
		o.HalfTies = rollout.HalfTies(o.Figures)
		c, err := calibrationOf(s, f.AppID, f.Environment, evidence.JudgeKey(o.Judge))
		if err == nil {
			o.Calibration = &c.Calibration
		} else if !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	}
	return out, nil
}

// judgmentsPage is how many judgments are read at once.
const judgmentsPage = 1000

// eachJudgment reads judgments in log order.
func eachJudgment(s Snapshot, f JudgmentFilter, do func(evidence.Judgment) error) error {
	for {
		records, err := s.Judgments(f, judgmentsPage)
		if err != nil {
			return err
		}
		for _, r := range records {
			j, err := judgmentOf(r)
			if err != nil {
				return err
			}
			if err := do(j); err != nil {
				return err
			}
			f.From = r.Index + 1
		}
		if len(records) < judgmentsPage {
			return nil
		}
	}
}

// recordedJudgment is a judgment as it is shown, with the judge's own words unless they were erased.
func recordedJudgment(s Snapshot, r JudgmentRecord) (api.RecordedJudgment, error) {
	j, err := judgmentOf(r)
	if err != nil {
		return api.RecordedJudgment{}, err
	}
	e, err := s.Entry(j.EventID)
	if err != nil {
		return api.RecordedJudgment{}, err
	}
	parsed, err := receipt.Parse(e.Raw)
	if err != nil {
		return api.RecordedJudgment{}, err
	}
	var body judgmentBody
	if err := json.Unmarshal(parsed.Body, &body); err != nil {
		return api.RecordedJudgment{}, err
	}
	out := api.RecordedJudgment{EventID: j.EventID, LogIndex: r.Index, RecordedAt: body.RecordedAt, Repeat: r.Repeat, Judgment: api.Judgment{
		AppID: r.AppID, Environment: r.Environment, BaselineRelease: r.Baseline, CandidateRelease: r.Candidate, ProbeID: r.ProbeID,
		Judge: body.Judge, Verdict: body.Verdict, Answers: body.Answers, BaselineChars: body.BaselineChars, CandidateChars: body.CandidateChars,
		Calls: body.Calls, CostUSD: body.CostUSD, LatencyMS: body.LatencyMS, OccurredAt: body.OccurredAt, IdempotencyKey: body.IdempotencyKey,
	}}
	if body.Runs != nil {
		out.BaselineEventID, out.CandidateEventID = body.Runs.Baseline.EventID, body.Runs.Candidate.EventID
	}
	if len(body.Commitments) == 0 {
		return out, nil
	}
	payloads, err := s.Payloads(r.Index)
	for _, pl := range payloads {
		for i := range out.Answers {
			if pl.Field == answerField(i) {
				err = errors.Join(err, json.Unmarshal(pl.Value, &out.Answers[i].Reason))
			}
		}
	}
	return out, err
}

// answerField is where the judge's words of an answer are kept.
func answerField(i int) string { return "answer_" + strconv.Itoa(i+1) }
