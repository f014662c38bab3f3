package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

// judgmentBatch is the judgments of one request.
type judgmentBatch struct {
	submissions []authority.JudgmentSubmission
	// lone is a judgment that was sent by itself.
	lone bool
}

func readJudgments(r *request) judgmentBatch {
	var in judgmentBatch
	in.lone = r.each("a judgment", func(raw []byte) { in.submissions = append(in.submissions, judgment(raw)) })
	return in
}

// judgment decodes one judgment.
func judgment(raw []byte) authority.JudgmentSubmission {
	var s authority.JudgmentSubmission
	err := refuse(codeTooLarge, fmt.Sprintf("the judgment has %d bytes, the most is %d", len(raw), api.MaxEvent))
	if len(raw) <= api.MaxEvent {
		_, err = decode(raw, receipt.Limits{Bytes: api.MaxEvent, Depth: api.MaxDepth}, &s.Judgment)
	}
	if err != nil {
		p := problemOf(err)
		s.Refused = &p
	}
	return s
}

func (s *service) recordJudgments(ctx context.Context, who authority.Principal, in judgmentBatch) (reply, error) {
	results, err := s.cases.RecordJudgments(ctx, who, in.submissions)
	return answerEach(results, in.lone, err)
}

// judged is what is asked about two releases.
type judged struct {
	of authority.Judged
	// judge is whose verdicts are looked for.
	judge api.Judge
	page
}

func readJudged(r *request) judged {
	return judged{of: authority.Judged{
		RolloutID: r.text("rollout_id"), AppID: r.text("app_id"), Environment: r.text("environment"), Baseline: r.text("baseline"), Candidate: r.text("candidate"),
	}, page: r.page()}
}

func (s *service) judgments(ctx context.Context, who authority.Principal, in judged) (reply, error) {
	return ok(s.cases.Judgments(ctx, who, in.of, in.cursor, in.limit))
}

func readPairs(r *request) judged {
	in := readJudged(r)
	in.judge = api.Judge{Model: r.text("model"), Version: r.text("version"), Template: r.text("template")}
	return in
}

func (s *service) pairs(ctx context.Context, who authority.Principal, in judged) (reply, error) {
	return ok(s.cases.Pairs(ctx, who, in.of, in.judge, in.cursor, in.limit))
}

func (s *service) recordCalibration(ctx context.Context, who authority.Principal, in api.Calibration) (reply, error) {
	c, err := s.cases.RecordCalibration(ctx, who, in)
	return reply{status: http.StatusCreated, value: c}, err
}

type startJudging struct {
	id string
	api.StartJudging
}

// readStartJudging takes bounds; without a body there are none.
func readStartJudging(r *request) startJudging {
	in := startJudging{id: r.id("id")}
	if raw, ok := r.bytes(maxRequest, typeJSON); ok && len(bytes.TrimSpace(raw)) > 0 {
		r.decode(raw, &in.StartJudging)
	}
	return in
}

func (s *service) startJudging(ctx context.Context, who authority.Principal, in startJudging) (reply, error) {
	job, err := s.cases.StartJudging(ctx, who, in.id, in.StartJudging)
	return reply{status: http.StatusAccepted, header: map[string]string{"Location": "/api/v1/judge-jobs/" + job.ID}, value: job}, err
}

func (s *service) judgeJob(ctx context.Context, who authority.Principal, id string) (reply, error) {
	return ok(s.cases.JudgeJob(ctx, who, id))
}
