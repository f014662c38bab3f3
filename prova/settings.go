package prova

import (
	"context"
	"net/http"
	"net/url"

	"github.com/cobound/prova/api"
)

const (
	apiKeys  = "/api/v1/api-keys"
	webhooks = "/api/v1/webhooks"
	orgs     = "/api/v1/orgs"
)

func remove(path string) call { return call{method: http.MethodDelete, path: path} }

// CreateAPIKey makes a key. Its secret is in this answer and never again.
// Permission: key.manage.
func (c *Client) CreateAPIKey(ctx context.Context, r api.CreateAPIKey) (api.APIKey, error) {
	key, _, err := do[api.APIKey](ctx, c, post(apiKeys, r))
	return key, err
}

// APIKeys lists the keys of the org, revoked ones too. Permission: key.manage.
func (c *Client) APIKeys(ctx context.Context) (api.List[api.APIKey], error) {
	list, _, err := do[api.List[api.APIKey]](ctx, c, get(apiKeys, nil))
	return list, err
}

// RevokeAPIKey ends a key at once. Permission: key.manage.
func (c *Client) RevokeAPIKey(ctx context.Context, id string) (api.APIKey, error) {
	key, _, err := do[api.APIKey](ctx, c, remove(apiKeys+"/"+segment(id)))
	return key, err
}

// CreateWebhook subscribes a receiver. The secret is in this answer and never
// again. Permission: webhook.manage.
func (c *Client) CreateWebhook(ctx context.Context, r api.CreateWebhook) (api.Webhook, error) {
	hook, _, err := do[api.Webhook](ctx, c, post(webhooks, r))
	return hook, err
}

// Webhooks lists the subscriptions. Permission: webhook.manage.
func (c *Client) Webhooks(ctx context.Context) (api.List[api.Webhook], error) {
	list, _, err := do[api.List[api.Webhook]](ctx, c, get(webhooks, nil))
	return list, err
}

// DeleteWebhook ends a subscription. Permission: webhook.manage.
func (c *Client) DeleteWebhook(ctx context.Context, id string) error {
	_, _, err := do[struct{}](ctx, c, remove(webhooks+"/"+segment(id)))
	return err
}

// TestWebhook sends a delivery that is marked as a test, and answers with what
// became of it. Permission: webhook.manage.
func (c *Client) TestWebhook(ctx context.Context, id string) (api.Delivery, error) {
	delivery, _, err := do[api.Delivery](ctx, c, post(webhooks+"/"+segment(id)+"/test", nil))
	return delivery, err
}

// Deliveries lists what was sent to a webhook, with every attempt. Permission: webhook.manage.
func (c *Client) Deliveries(ctx context.Context, webhookID string, page Page) (api.List[api.Delivery], error) {
	list, _, err := do[api.List[api.Delivery]](ctx, c, get(webhooks+"/"+segment(webhookID)+"/deliveries", page.in(url.Values{})))
	return list, err
}

// Redeliver sends a delivery again. Permission: webhook.manage.
func (c *Client) Redeliver(ctx context.Context, deliveryID string) (api.Delivery, error) {
	delivery, _, err := do[api.Delivery](ctx, c, post(webhooks+"/deliveries/"+segment(deliveryID)+"/redeliver", nil))
	return delivery, err
}

// CreateOrg makes a tenant. Its owner's key is in this answer and never again.
// Permission: org.manage.
func (c *Client) CreateOrg(ctx context.Context, r api.CreateOrg) (api.Org, error) {
	org, _, err := do[api.Org](ctx, c, post(orgs, r))
	return org, err
}

// Orgs lists the tenants. Permission: org.manage.
func (c *Client) Orgs(ctx context.Context) (api.List[api.Org], error) {
	list, _, err := do[api.List[api.Org]](ctx, c, get(orgs, nil))
	return list, err
}
