package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/judge"
	"github.com/cobound/prova/prova"
)

// demoJudge names who judges in the demo. It is no model: what it says is made up, and says so.
func demoJudge() api.Judge { return api.Judge{Model: "demo-judge", Version: "1"} }

// The pairs of the house: the inputs, how many of them the judge has judged, and how many it would have to decide.
const (
	billedInputs = 40
	judgedPairs  = 16
	neededPairs  = 30
)

// housePairwise is what the rollout asks of the judge.
func housePairwise() *api.CreatePairwise {
	return &api.CreatePairwise{MinPairs: new(int64(neededPairs)), Judge: new(demoJudge())}
}

// judged records what a judge said of the first pairs and how well it agrees with people, and ticks.
func (h *demoHouse) judged(ctx context.Context, r api.Rollout) (api.Rollout, error) {
	list, err := h.client.Pairs(ctx, prova.Releases{RolloutID: r.ID}, demoJudge(), prova.Page{Limit: judgedPairs})
	if err != nil {
		return r, err
	}
	var batch []api.Judgment
	for i, pair := range list.Pairs {
		j := judgmentOf(i)
		j.AppID, j.BaselineRelease, j.CandidateRelease, j.ProbeID = r.AppID, r.BaselineRelease, r.CandidateRelease, pair.ProbeID
		j.BaselineEventID, j.CandidateEventID = pair.Baseline.EventID, pair.Candidate.EventID
		j.BaselineChars, j.CandidateChars = new(int64(len(pair.Baseline.Output)-len(`""`))), new(int64(len(pair.Candidate.Output)-len(`""`)))
		batch = append(batch, j)
	}
	answer, err := h.client.RecordJudgments(ctx, batch)
	if err != nil {
		return r, err
	}
	if _, err := taken(answer); err != nil {
		return r, err
	}
	if _, err := h.client.RecordCalibration(ctx, calibration(r.AppID)); err != nil {
		return r, err
	}
	tick, err := h.client.Evaluate(ctx, r.ID)
	return tick.Rollout, err
}

// billed makes a run of the billing agent one on an input that both releases run.
func billed(e *api.Event, i int) {
	i %= billedInputs
	e.ProbeID = fmt.Sprintf("invoice-%03d", i)
	e.Payload = map[string]json.RawMessage{"input": quotedJSON(fmt.Sprintf("Why was invoice %03d not taken from my account?", i)), "output": quotedJSON(billing(e.Source.Release, i))}
}

// billing is what a release answers.
func billing(release string, i int) string {
	if release == houseCandidate {
		return fmt.Sprintf("Invoice %03d: your bank refused the debit on the 3rd. It is tried again on the 10th; you can also pay by card.", i)
	}
	return fmt.Sprintf("There was a problem with invoice %03d. Please contact your bank.", i)
}

// judgmentOf is what the judge said of a pair, asked in both orders: of seven
// pairs the candidate wins four and loses one, one is a tie, and of one the judge
// contradicts itself.
func judgmentOf(i int) api.Judgment {
	first, second, reason := api.PositionSecond, api.PositionFirst, "It names the day and another way to pay; the other answer names neither."
	switch i % 7 {
	case 2:
		first, second, reason = api.PositionFirst, api.PositionSecond, "It keeps to what is known; the other one promises a day that nobody has confirmed."
	case 4:
		first, second, reason = api.PositionTie, api.PositionTie, "Both say what happened and what to do."
	case 5:
		first, second, reason = api.PositionFirst, api.PositionFirst, "It is the clearer one."
	}
	return api.Judgment{
		Judge:   demoJudge(),
		Answers: []api.JudgeAnswer{{First: api.PreferBaseline, Verdict: first, Reason: reason}, {First: api.PreferCandidate, Verdict: second, Reason: reason}},
		Calls:   new(int64(2)), CostUSD: new(0.0021), LatencyMS: new(1340.0),
	}
}

// calibration is how well the judge agrees with people. Its figures belong
// together: the agreement is the diagonal of the confusion.
func calibration(app string) api.Calibration {
	share := judge.ShareOf
	return api.Calibration{
		AppID: app, Judge: demoJudge(), Labels: 120, Compared: 110, Agreement: share(85, 110), Kappa: new(0.64),
		Confusion: [3][3]int64{{30, 7, 4}, {5, 40, 3}, {2, 4, 15}}, Consistent: share(96, 110), FirstBias: share(9, 14),
		LongerWins: share(60, 89), LabelsLonger: share(50, 89), Retest: share(108, 110),
	}
}
