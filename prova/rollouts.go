package prova

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cobound/prova/api"
)

const rollouts = "/api/v1/rollouts"

// Page asks for a part of a list. The zero value is the first page at the
// server's size.
type Page struct {
	Limit int
	// Cursor is NextCursor of the page before.
	Cursor string
}

func (p Page) in(query url.Values) url.Values {
	if p.Limit > 0 {
		query.Set("limit", strconv.Itoa(p.Limit))
	}
	setIf(query, "cursor", p.Cursor)
	return query
}

// setIf sets what is not empty: an empty parameter would be a filter of its own.
func setIf(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

// CreateRollout declares a rollout. created is false when an equal unfinished
// one was there already and is returned. Permission: rollout.manage.
func (c *Client) CreateRollout(ctx context.Context, r api.CreateRollout) (rollout api.Rollout, created bool, err error) {
	rollout, status, err := do[api.Rollout](ctx, c, post(rollouts, r))
	return rollout, status == http.StatusCreated, err
}

// RolloutFilter selects rollouts; an empty member selects all.
type RolloutFilter struct {
	AppID, Environment string
	State              api.State
	Page               Page
}

// Rollouts lists rollouts, newest first. Permission: release.read.
func (c *Client) Rollouts(ctx context.Context, f RolloutFilter) (api.List[api.Rollout], error) {
	query := f.Page.in(url.Values{})
	setIf(query, "app_id", f.AppID)
	setIf(query, "environment", f.Environment)
	setIf(query, "state", string(f.State))
	list, _, err := do[api.List[api.Rollout]](ctx, c, get(rollouts, query))
	return list, err
}

// Rollout reads one rollout without a tick. Permission: release.read.
func (c *Client) Rollout(ctx context.Context, id string) (api.Rollout, error) {
	rollout, _, err := do[api.Rollout](ctx, c, get(rollouts+"/"+segment(id), nil))
	return rollout, err
}

// AwaitRollout reads one rollout as soon as its sequence is above since, or as
// it is after wait. It never ticks. Permission: release.read.
func (c *Client) AwaitRollout(ctx context.Context, id string, since int64, wait time.Duration) (api.Rollout, error) {
	r := get(rollouts+"/"+segment(id), url.Values{
		"since": {strconv.FormatInt(since, 10)},
		"wait":  {wait.String()},
	})
	r.wait = wait
	rollout, _, err := do[api.Rollout](ctx, c, r)
	return rollout, err
}

// Evaluate ticks one rollout. A tick that rolled the candidate back is an
// answer like any other: it stands in the decision, not in the error.
// Permission: rollout.manage.
func (c *Client) Evaluate(ctx context.Context, id string) (api.Tick, error) {
	r := post(rollouts+"/"+segment(id)+"/evaluate", nil)
	r.also = http.StatusUnprocessableEntity
	tick, _, err := do[api.Tick](ctx, c, r)
	return tick, err
}

// EvaluateAll ticks every active rollout of the org. A rollout that could not
// be ticked carries its problem and stops no other. Permission: rollout.manage.
func (c *Client) EvaluateAll(ctx context.Context) (api.EvaluateAll, error) {
	all, _, err := do[api.EvaluateAll](ctx, c, post(rollouts+"/evaluate", nil))
	return all, err
}

// Pause stops a rollout from advancing; it may still roll back. Permission: rollout.manage.
func (c *Client) Pause(ctx context.Context, id, reason string) (api.Rollout, error) {
	return c.operate(ctx, id, "pause", reason)
}

// Resume lets a paused rollout advance again. Permission: rollout.manage.
func (c *Client) Resume(ctx context.Context, id, reason string) (api.Rollout, error) {
	return c.operate(ctx, id, "resume", reason)
}

// Promote overrides the verdict for one step. Permission: rollout.manage.
func (c *Client) Promote(ctx context.Context, id, reason string) (api.Rollout, error) {
	return c.operate(ctx, id, "promote", reason)
}

// Abort ends a rollout and takes the candidate out of traffic. Permission: rollout.manage.
func (c *Client) Abort(ctx context.Context, id, reason string) (api.Rollout, error) {
	return c.operate(ctx, id, "abort", reason)
}

func (c *Client) operate(ctx context.Context, id, action, reason string) (api.Rollout, error) {
	rollout, _, err := do[api.Rollout](ctx, c, post(rollouts+"/"+segment(id)+"/"+action, api.OperatorRequest{Reason: reason}))
	return rollout, err
}

// Decisions lists the time line of a rollout, oldest first. Permission: release.read.
func (c *Client) Decisions(ctx context.Context, id string, page Page) (api.List[api.Decision], error) {
	list, _, err := do[api.List[api.Decision]](ctx, c, get(rollouts+"/"+segment(id)+"/decisions", page.in(url.Values{})))
	return list, err
}

// Gate answers a controller that stands at weight percent, without a tick:
// promote if more is authorised, rollback if the candidate is out, else hold.
// Permission: release.read.
func (c *Client) Gate(ctx context.Context, id string, weight int) (api.GateAnswer, error) {
	answer, _, err := do[api.GateAnswer](ctx, c, get(rollouts+"/"+segment(id)+"/gate", url.Values{"weight": {strconv.Itoa(weight)}}))
	return answer, err
}

// Compare asks whether a candidate is worse than a baseline on what has been
// recorded: one look, no rollout needed. Permission: release.read.
func (c *Client) Compare(ctx context.Context, r api.CompareRequest) (api.Comparison, error) {
	answer, _, err := do[api.Comparison](ctx, c, post("/api/v1/compare", r))
	return answer, err
}
