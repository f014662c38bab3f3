package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

func (s *service) createRollout(ctx context.Context, who authority.Principal, in api.CreateRollout) (reply, error) {
	ro, created, err := s.cases.CreateRollout(ctx, who, in)
	if err != nil {
		return reply{}, err
	}
	a := reply{status: http.StatusOK, header: rolloutHeader(ro), value: ro}
	if created {
		a.status = http.StatusCreated
	}
	a.header["Location"] = "/api/v1/rollouts/" + ro.ID
	return a, nil
}

type rolloutList struct {
	filter authority.RolloutFilter
	page
}

func readRolloutList(r *request) rolloutList {
	f := authority.RolloutFilter{
		AppID:            r.text("app_id"),
		Environment:      r.text("environment"),
		CandidateRelease: r.text("candidate_release"),
		Mode:             oneOf(r, "mode", api.ModeShadow, api.ModeCanary),
	}
	states := []api.State{api.StateActive, api.StatePaused, api.StatePromoted, api.StateRolledBack, api.StateAborted}
	for _, text := range r.texts("state") {
		for part := range strings.SplitSeq(text, ",") {
			f.States = append(f.States, oneOfText(r, "state", part, states...))
		}
	}
	return rolloutList{f, r.page()}
}

func (s *service) rollouts(ctx context.Context, who authority.Principal, in rolloutList) (reply, error) {
	return ok(s.cases.Rollouts(ctx, who, in.filter, in.cursor, in.limit))
}

type rolloutRead struct {
	id    string
	wait  time.Duration
	since int64
	// known are the entity tags that the client has.
	known string
}

func readRollout(r *request) rolloutRead {
	in := rolloutRead{id: r.id("id"), wait: r.wait(), since: r.integer("since", -1, 0, maxInteger), known: strings.Join(r.Header.Values("If-None-Match"), ",")}
	if in.wait > 0 && in.since < 0 {
		r.note(invalid("/since", "wait needs since: the sequence of the rollout that you have"))
	}
	return in
}

// rollout never ticks. A wait ends when there is news, when its time is over
// or when the server shuts down, and always with the rollout as it then is.
func (s *service) rollout(ctx context.Context, who authority.Principal, in rolloutRead) (reply, error) {
	var ro api.Rollout
	var err error
	if in.wait > 0 {
		waiting, stop := s.untilDraining(ctx)
		defer stop()
		ro, err = s.cases.WaitRollout(waiting, who, in.id, in.since, in.wait)
	}
	if in.wait == 0 || err != nil && s.draining.Err() != nil {
		ro, err = s.cases.Rollout(ctx, who, in.id)
	}
	if err != nil {
		return reply{}, err
	}
	a := reply{status: http.StatusOK, header: rolloutHeader(ro), value: ro}
	if matches(in.known, a.header["ETag"]) {
		return reply{status: http.StatusNotModified, header: a.header}, nil
	}
	return a, nil
}

// untilDraining ends with ctx, or when the server shuts down.
func (s *service) untilDraining(ctx context.Context) (context.Context, func()) {
	waiting, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.draining, cancel)
	return waiting, func() { stop(); cancel() }
}

// rolloutHeader holds the entity tag: a rollout changes with its sequence or, between decisions, at its time of update.
func rolloutHeader(ro api.Rollout) map[string]string {
	return map[string]string{"ETag": `W/"` + strconv.FormatInt(ro.Sequence, 10) + "-" + strconv.FormatInt(ro.UpdatedAt.UnixNano(), 36) + `"`}
}

// matches compares weakly (RFC 9110, 13.1.2). Our tags hold no comma.
func matches(known, tag string) bool {
	for k := range strings.SplitSeq(known, ",") {
		if k = strings.TrimSpace(k); k == "*" || k != "" && strings.TrimPrefix(k, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// evaluateTime bounds a tick that also delivers webhooks to slow receivers.
const evaluateTime = 5 * time.Minute

func readEvaluate(r *request) string {
	r.noBody()
	r.extend(evaluateTime)
	return r.id("id")
}

// evaluate answers 422 for the one thing that a pipeline must not overlook: this tick rolled the candidate back.
func (s *service) evaluate(ctx context.Context, who authority.Principal, id string) (reply, error) {
	tick, err := s.cases.Evaluate(ctx, who, id)
	a := reply{status: http.StatusOK, value: tick}
	if tick.Ticked && tick.Decision.Decision == api.Rollback && tick.Rollout.Mode == api.ModeCanary {
		a.status = http.StatusUnprocessableEntity
	}
	return a, err
}

func readEvaluateActive(r *request) struct{} {
	r.noBody()
	r.extend(evaluateTime)
	return struct{}{}
}

func (s *service) evaluateActive(ctx context.Context, who authority.Principal, _ struct{}) (reply, error) {
	return ok(s.cases.EvaluateActive(ctx, who))
}

type operatorAction struct{ id, reason string }

func readOperatorAction(r *request) operatorAction {
	in := operatorAction{r.id("id"), body[api.OperatorRequest](r).Reason}
	if r.wrong == nil && strings.TrimSpace(in.reason) == "" {
		r.note(invalid("/reason", "say why: the reason is signed and stays in the time line"))
	}
	return in
}

// operator makes an endpoint of one of the operator's actions.
func operator(act func(ctx context.Context, who authority.Principal, id, reason string) (api.Rollout, error)) endpoint {
	return serve(readOperatorAction, func(ctx context.Context, who authority.Principal, in operatorAction) (reply, error) {
		return ok(act(ctx, who, in.id, in.reason))
	})
}

type pageOf struct {
	id string
	page
}

func readPageOf(r *request) pageOf { return pageOf{r.id("id"), r.page()} }

func (s *service) decisions(ctx context.Context, who authority.Principal, in pageOf) (reply, error) {
	return ok(s.cases.Decisions(ctx, who, in.id, in.cursor, in.limit))
}

type gateQuestion struct {
	id     string
	weight int
}

func readGate(r *request) gateQuestion {
	in := gateQuestion{r.id("id"), int(r.integer("weight", -1, 0, 100))}
	if r.query.Get("weight") == "" {
		r.note(invalid("/weight", "weight is missing: the weight in percent that is to be exceeded, from 0 to 100"))
	}
	return in
}

func (s *service) gate(ctx context.Context, who authority.Principal, in gateQuestion) (reply, error) {
	return ok(s.cases.Gate(ctx, who, in.id, in.weight))
}
