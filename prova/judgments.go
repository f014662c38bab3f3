package prova

import (
	"context"
	"net/http"
	"net/url"

	"github.com/cobound/prova/api"
)

const (
	judgments    = "/api/v1/judgments"
	calibrations = "/api/v1/judge-calibrations"
	judgeJobs    = "/api/v1/judge-jobs"
	pairs        = "/api/v1/pairs"
)

// Releases names two releases of an app, or a rollout, which has both.
type Releases struct {
	// RolloutID stands for all others, and for the rollout's own evidence: what was recorded before it does not count.
	RolloutID string
	AppID     string
	// Environment is production where it is empty.
	Environment         string
	Baseline, Candidate string
}

func (r Releases) in(query url.Values) url.Values {
	setIf(query, "rollout_id", r.RolloutID)
	setIf(query, "app_id", r.AppID)
	setIf(query, "environment", r.Environment)
	setIf(query, "baseline", r.Baseline)
	setIf(query, "candidate", r.Candidate)
	return query
}

// Pairs lists the probes that both releases ran, with what they were given and
// answered, by probe_id. Each says whether judge has given a verdict on it.
// Permission: judge.write.
func (c *Client) Pairs(ctx context.Context, of Releases, judge api.Judge, page Page) (api.PairList, error) {
	query := of.in(page.in(url.Values{}))
	setIf(query, "model", judge.Model)
	setIf(query, "version", judge.Version)
	setIf(query, "template", judge.Template)
	list, _, err := do[api.PairList](ctx, c, get(pairs, query))
	return list, err
}

// RecordJudgments records verdicts of a judge, each as a signed receipt. The
// results are in the order of the judgments; a bad one is refused alone.
// Permission: judge.write.
func (c *Client) RecordJudgments(ctx context.Context, batch []api.Judgment) (api.IngestAnswer, error) {
	answer, _, err := do[api.IngestAnswer](ctx, c, post(judgments, batch))
	return answer, err
}

// Judgments lists what is recorded about two releases, newest first, with what
// it adds up to for each judge. Permission: release.read.
func (c *Client) Judgments(ctx context.Context, of Releases, page Page) (api.JudgmentList, error) {
	list, _, err := do[api.JudgmentList](ctx, c, get(judgments, of.in(page.in(url.Values{}))))
	return list, err
}

// RecordCalibration records how well a judge agrees with people, as a signed
// receipt. The newest of a judge is shown with each of its win rates.
// Permission: judge.write.
func (c *Client) RecordCalibration(ctx context.Context, found api.Calibration) (api.Calibration, error) {
	recorded, _, err := do[api.Calibration](ctx, c, post(calibrations, found))
	return recorded, err
}

// Judge has the server's own judge judge the pairs of a rollout that it has not
// judged yet. The job runs on; follow it with [Client.JudgeJob]. Permission: judge.write.
func (c *Client) Judge(ctx context.Context, rolloutID string, bounds api.StartJudging) (api.JudgeJob, error) {
	job, _, err := do[api.JudgeJob](ctx, c, call{method: http.MethodPost, path: rollouts + "/" + segment(rolloutID) + "/judge", body: bounds})
	return job, err
}

// JudgeJob reads a judging job. Permission: judge.write.
func (c *Client) JudgeJob(ctx context.Context, id string) (api.JudgeJob, error) {
	job, _, err := do[api.JudgeJob](ctx, c, get(judgeJobs+"/"+segment(id), nil))
	return job, err
}
