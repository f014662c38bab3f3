package dashboard

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

func theJudge() api.Judge { return api.Judge{Model: "gpt-judge", Version: "2026-04"} }

func ptr[T any](v T) *T { return &v }

// judgedRollout makes a canary that asks for the judge.
func (h *house) judgedRollout(app string) string {
	h.t.Helper()
	return h.create(app, func(r *api.CreateRollout) {
		r.RequirePairwise, r.Pairwise = true, &api.CreatePairwise{MinPairs: ptr(int64(20))}
	}).ID
}

// probed records a run of a release on a probe, with what it answered, and returns its event id.
func (h *house) probed(app, release, probe, output string) string {
	h.t.Helper()
	e := event(app, release, true)
	e.ProbeID = probe
	e.Payload = map[string]json.RawMessage{"input": json.RawMessage(`"a question"`), "output": must(json.Marshal(output))}
	var receipt struct {
		Body struct {
			EventID string `json:"event_id"`
		} `json:"body"`
	}
	if err := json.Unmarshal(h.record(h.owner, e)[0].Receipt, &receipt); err != nil {
		h.t.Fatal(err)
	}
	return receipt.Body.EventID
}

// verdict is a judgment on a probe, asked in both orders.
func verdict(app, probe string, said api.Position, reason string) api.Judgment {
	second := map[api.Position]api.Position{api.PositionFirst: api.PositionSecond, api.PositionSecond: api.PositionFirst, api.PositionTie: api.PositionTie, api.PositionNone: api.PositionNone}[said]
	return api.Judgment{
		AppID: app, BaselineRelease: "v36", CandidateRelease: "v37", ProbeID: probe, Judge: theJudge(),
		Answers:       []api.JudgeAnswer{{First: api.PreferBaseline, Verdict: said, Reason: reason}, {First: api.PreferCandidate, Verdict: second, Reason: reason}},
		BaselineChars: ptr(int64(200)), CandidateChars: ptr(int64(210)),
	}
}

func (h *house) recordJudgments(judgments ...api.Judgment) {
	h.t.Helper()
	batch := make([]authority.JudgmentSubmission, len(judgments))
	for i, j := range judgments {
		batch[i].Judgment = j
	}
	results, err := h.RecordJudgments(h.t.Context(), h.owner, batch)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, r := range results {
		if r.Status != api.IngestCreated {
			h.t.Fatalf("%+v", r.Problem)
		}
	}
}

// judged records n judgments, of which two in three are for the candidate, and
// a calibration; one is on runs whose answers are there.
func (h *house) judged(app, rollout string, n int) {
	h.t.Helper()
	var list []api.Judgment
	for i := range n {
		said := []api.Position{api.PositionSecond, api.PositionFirst, api.PositionSecond, api.PositionTie}[i%4]
		list = append(list, verdict(app, fmt.Sprintf("claim-%04d", i), said, "The second answer names the deadline and the form; the first one is polite and says neither."))
	}
	full := verdict(app, "claim-9999", api.PositionSecond, "The second answer is complete.")
	full.BaselineEventID = h.probed(app, "v36", full.ProbeID, "Please file your claim with us. We are happy to help you.")
	full.CandidateEventID = h.probed(app, "v37", full.ProbeID, "File form 12 by 30 June, with the invoice. You can do that online.")
	h.recordJudgments(append(list, full)...)
	h.calibrate(app, agreeing())
	other := verdict(app, "claim-0001", api.PositionFirst, "")
	other.Judge.Model = "another-judge"
	h.recordJudgments(other)
	h.Judger = patient{}
	if _, err := h.StartJudging(h.t.Context(), h.owner, rollout, api.StartJudging{}); err != nil {
		h.t.Fatal(err)
	}
}

// agreeing is how often the judge and people said what, if they agree well; quarrelling if they do not.
func agreeing() [3][3]int64    { return [3][3]int64{{30, 7, 4}, {5, 40, 3}, {2, 4, 15}} }
func quarrelling() [3][3]int64 { return [3][3]int64{{20, 15, 6}, {12, 28, 8}, {5, 6, 10}} }

// calibrate records how well the judge agrees with people.
func (h *house) calibrate(app string, confusion [3][3]int64) {
	h.t.Helper()
	_, err := h.RecordCalibration(h.t.Context(), h.owner, api.Calibration{
		AppID: app, Judge: theJudge(), Labels: 120, Compared: 110, Agreement: api.Share{X: confusion[0][0] + confusion[1][1] + confusion[2][2], N: 110},
		Confusion: confusion, Consistent: api.Share{X: 96, N: 110}, FirstBias: api.Share{X: 11, N: 14},
		LongerWins: api.Share{X: 60, N: 89}, LabelsLonger: api.Share{X: 50, N: 89}, Retest: api.Share{X: 108, N: 110},
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// patient is a judge that is asked and does not answer while the test runs.
type patient struct{}

func (patient) Judge() api.Judge { return theJudge() }

func (patient) Run(ctx context.Context, _ authority.JudgeSource, _ api.StartJudging, _ func(api.JudgeJob)) error {
	<-ctx.Done()
	return ctx.Err()
}
