package prova

import (
	"context"
	"net/url"
	"strconv"

	"github.com/cobound/prova/api"
)

// Checkpoint reads the signed head of the org's log. Permission: audit.read.
func (c *Client) Checkpoint(ctx context.Context, options ...EvidenceOption) (api.Checkpoint, error) {
	query := url.Values{}
	for _, o := range options {
		o(query)
	}
	checkpoint, _, err := do[api.Checkpoint](ctx, c, get("/api/v1/log/checkpoint", query))
	return checkpoint, err
}

// CheckpointAt reads the checkpoint of an earlier size of the org's log; one
// that was never signed is an answer of 404. Permission: audit.read.
func (c *Client) CheckpointAt(ctx context.Context, size int64) (api.Checkpoint, error) {
	query := url.Values{"size": {strconv.FormatInt(size, 10)}}
	checkpoint, _, err := do[api.Checkpoint](ctx, c, get("/api/v1/log/checkpoint", query))
	return checkpoint, err
}

// Checkpoints lists the checkpoints that were signed, largest first. Permission: audit.read.
func (c *Client) Checkpoints(ctx context.Context, page Page) (api.List[api.Checkpoint], error) {
	list, _, err := do[api.List[api.Checkpoint]](ctx, c, get("/api/v1/log/checkpoints", page.in(url.Values{})))
	return list, err
}

// Witnesses lists the witnesses that the server asks to cosign checkpoints,
// with what each last said of the org's log. Permission: audit.read.
func (c *Client) Witnesses(ctx context.Context) (api.List[api.Witness], error) {
	list, _, err := do[api.List[api.Witness]](ctx, c, get("/api/v1/log/witnesses", nil))
	return list, err
}

// ProveInclusion proves that the receipt of an event stands in the log of a
// size; 0 is the present size. [receipt.ParseProof] reads the answer's Proof
// and verifies it without the server. Permission: audit.read.
func (c *Client) ProveInclusion(ctx context.Context, eventID string, size int64) (api.InclusionProof, error) {
	query := url.Values{"event_id": {eventID}}
	if size != 0 {
		query.Set("size", strconv.FormatInt(size, 10))
	}
	proof, _, err := do[api.InclusionProof](ctx, c, get("/api/v1/log/proof/inclusion", query))
	return proof, err
}

// ProveConsistency proves that the log of size to, 0 for the present one,
// begins with the log of size from, which is at least 1. Permission: audit.read.
func (c *Client) ProveConsistency(ctx context.Context, from, to int64) (api.ConsistencyProof, error) {
	query := url.Values{"from": {strconv.FormatInt(from, 10)}}
	if to != 0 {
		query.Set("to", strconv.FormatInt(to, 10))
	}
	proof, _, err := do[api.ConsistencyProof](ctx, c, get("/api/v1/log/proof/consistency", query))
	return proof, err
}
