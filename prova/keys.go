package prova

import (
	"context"

	"github.com/cobound/prova/api"
)

const signingKeys = "/api/v1/keys"

// AddKey adds another server's receipt key, in base64 or hex. Permission:
// org.manage, of the default org; so for the calls below.
func (c *Client) AddKey(ctx context.Context, r api.AddKey) (api.KeyChange, error) {
	change, _, err := do[api.KeyChange](ctx, c, post(signingKeys, r))
	return change, err
}

// RotateKey gives the server that answers a new receipt key.
func (c *Client) RotateKey(ctx context.Context, reason string) (api.KeyChange, error) {
	change, _, err := do[api.KeyChange](ctx, c, post(signingKeys+"/rotate", api.OperatorRequest{Reason: reason}))
	return change, err
}

// RetireKey ends a receipt key, as planned.
func (c *Client) RetireKey(ctx context.Context, id, reason string) (api.KeyChange, error) {
	change, _, err := do[api.KeyChange](ctx, c, post(signingKeys+"/"+segment(id)+"/retire", api.OperatorRequest{Reason: reason}))
	return change, err
}

// RevokeKey ends a receipt key that others may have.
func (c *Client) RevokeKey(ctx context.Context, id string, r api.RevokeKey) (api.KeyChange, error) {
	change, _, err := do[api.KeyChange](ctx, c, post(signingKeys+"/"+segment(id)+"/revoke", r))
	return change, err
}

// Erase deletes payload fields of a receipt, for good. Permission: key.manage.
func (c *Client) Erase(ctx context.Context, eventID string, r api.Erase) (api.Erasure, error) {
	erasure, _, err := do[api.Erasure](ctx, c, post("/api/v1/audit/receipts/"+segment(eventID)+"/erase", r))
	return erasure, err
}
