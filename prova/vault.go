package prova

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// Ingest records events and answers with their signed receipts, in order. An
// event that is refused is refused alone and carries its problem. Give each
// event an idempotency key and the call may be repeated. Permission: audit.ingest.
func (c *Client) Ingest(ctx context.Context, events []api.Event) (api.IngestAnswer, error) {
	answer, _, err := do[api.IngestAnswer](ctx, c, post("/api/v1/audit/ingest", events))
	return answer, err
}

// RunsQuery selects runs. Empty members select all.
type RunsQuery struct {
	AppID, Environment, Release string
	// After is the log index behind which runs are wanted; -1 is from the start.
	After int64
	// Wait is how long the server may wait for a run when there is none.
	Wait  time.Duration
	Limit int
}

// Runs lists runs in log order, the first ones behind After. Permission: release.read.
func (c *Client) Runs(ctx context.Context, q RunsQuery) (api.List[api.ReceiptItem], error) {
	query := q.filter(Page{Limit: q.Limit}.in(url.Values{"after": {strconv.FormatInt(q.After, 10)}}))
	if q.Wait > 0 {
		query.Set("wait", q.Wait.String())
	}
	r := get("/api/v1/runs", query)
	r.wait = q.Wait
	list, _, err := do[api.List[api.ReceiptItem]](ctx, c, r)
	return list, err
}

// LatestRuns lists the last runs, newest first; After and Wait of the query do
// not count. Permission: release.read.
func (c *Client) LatestRuns(ctx context.Context, q RunsQuery, limit int) (api.List[api.ReceiptItem], error) {
	query := q.filter(Page{Limit: limit}.in(url.Values{}))
	list, _, err := do[api.List[api.ReceiptItem]](ctx, c, get("/api/v1/runs", query))
	return list, err
}

func (q RunsQuery) filter(query url.Values) url.Values {
	setIf(query, "app_id", q.AppID)
	setIf(query, "environment", q.Environment)
	setIf(query, "release", q.Release)
	return query
}

// Apps lists the apps that have been seen. Permission: release.read.
func (c *Client) Apps(ctx context.Context) (api.List[api.App], error) {
	list, _, err := do[api.List[api.App]](ctx, c, get("/api/v1/apps", nil))
	return list, err
}

// Releases lists the releases of an app that have been seen. Permission: release.read.
func (c *Client) Releases(ctx context.Context, appID string) (api.List[api.Release], error) {
	list, _, err := do[api.List[api.Release]](ctx, c, get("/api/v1/apps/"+segment(appID)+"/releases", nil))
	return list, err
}

// ReceiptFilter selects receipts; an empty member selects all.
type ReceiptFilter struct {
	Kind, AppID, Environment, Release, RolloutID, ProbeID string
	Since, Until                                          time.Time
	Page                                                  Page
}

// Receipts lists receipts, newest first. Permission: audit.read.
func (c *Client) Receipts(ctx context.Context, f ReceiptFilter) (api.List[api.ReceiptItem], error) {
	query := f.Page.in(url.Values{})
	setIf(query, "kind", f.Kind)
	setIf(query, "app_id", f.AppID)
	setIf(query, "environment", f.Environment)
	setIf(query, "release", f.Release)
	setIf(query, "rollout_id", f.RolloutID)
	setIf(query, "probe_id", f.ProbeID)
	if !f.Since.IsZero() {
		query.Set("since", f.Since.UTC().Format(time.RFC3339Nano))
	}
	if !f.Until.IsZero() {
		query.Set("until", f.Until.UTC().Format(time.RFC3339Nano))
	}
	list, _, err := do[api.List[api.ReceiptItem]](ctx, c, get("/api/v1/audit/receipts", query))
	return list, err
}

// Receipt reads one receipt by its event id. Permission: audit.read.
func (c *Client) Receipt(ctx context.Context, id string) (api.ReceiptItem, error) {
	item, _, err := do[api.ReceiptItem](ctx, c, get("/api/v1/audit/receipts/"+segment(id), nil))
	return item, err
}

// EvidenceOption changes how evidence is asked for.
type EvidenceOption func(url.Values)

// Cosigned has the server wait up to d, at most ten seconds, until its witnesses
// have cosigned the head of the log; see [Client.Witnesses]. Evidence then
// carries the cosignatures that there are.
func Cosigned(d time.Duration) EvidenceOption {
	return func(query url.Values) { query.Set("wait", d.String()) }
}

// Export opens the stream of receipts in log order from an index, ending with
// a signed checkpoint. The caller closes it. Permission: audit.read.
func (c *Client) Export(ctx context.Context, from int64, options ...EvidenceOption) (io.ReadCloser, error) {
	query := url.Values{"from": {strconv.FormatInt(from, 10)}}
	for _, o := range options {
		o(query)
	}
	r := get("/api/v1/audit/export", query)
	r.header = http.Header{"Accept": {"application/x-ndjson"}}
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Bundle opens the stream of a tar with all that verifies a receipt, a rollout
// or a range of the log offline; a range without an end goes to the end of the
// log. The server records that it handed it out. The caller closes the stream,
// and verifies what it saved: one that was cut off is no whole tar. Permission:
// audit.read.
func (c *Client) Bundle(ctx context.Context, scope receipt.Scope, options ...EvidenceOption) (io.ReadCloser, error) {
	path, query := "/api/v1/audit/bundle", url.Values{}
	for _, o := range options {
		o(query)
	}
	if scope.Receipt != "" {
		path = "/api/v1/audit/receipts/" + segment(scope.Receipt) + "/bundle"
	}
	setIf(query, "rollout", scope.Rollout)
	if scope.From != nil {
		query.Set("from", strconv.FormatInt(*scope.From, 10))
	}
	if scope.To != nil {
		query.Set("to", strconv.FormatInt(*scope.To, 10))
	}
	r := get(path, query)
	r.header = http.Header{"Accept": {"application/x-tar"}}
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Scrub verifies the org's log as it is stored. It calls line for each line of
// the answer and returns the result; an answer without one is an error.
// Permission: audit.read.
func (c *Client) Scrub(ctx context.Context, line func(api.ScrubLine)) (api.ScrubResult, error) {
	r := post("/api/v1/log/scrub", nil)
	r.header = http.Header{"Accept": {"application/x-ndjson"}}
	resp, err := c.send(ctx, r)
	if err != nil {
		return api.ScrubResult{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	for in := json.NewDecoder(resp.Body); ; {
		var l api.ScrubLine
		if err := in.Decode(&l); err != nil {
			return api.ScrubResult{}, fmt.Errorf("the scrub broke off: %w", err)
		}
		if l.Result != nil {
			return *l.Result, nil
		}
		line(l)
	}
}

// SigningKeys lists the server's public keys, past ones too. It needs no key.
func (c *Client) SigningKeys(ctx context.Context) (api.List[api.SigningKey], error) {
	list, _, err := do[api.List[api.SigningKey]](ctx, c, get("/api/v1/keys", nil))
	return list, err
}
