package dashboard

import (
	"context"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// Webhooks keeps subscriptions and what was sent to them.
type Webhooks interface {
	// CreateWebhook answers with the secret, this once.
	CreateWebhook(ctx context.Context, p authority.Principal, r api.CreateWebhook) (api.Webhook, error)
	Webhooks(ctx context.Context, p authority.Principal) ([]api.Webhook, error)
	Webhook(ctx context.Context, p authority.Principal, id string) (api.Webhook, error)
	DeleteWebhook(ctx context.Context, p authority.Principal, id string) error
	TestWebhook(ctx context.Context, p authority.Principal, id string) (api.Delivery, error)
	// Deliveries lists newest first.
	Deliveries(ctx context.Context, p authority.Principal, hookID, cursor string, limit int) (api.List[api.Delivery], error)
	Redeliver(ctx context.Context, p authority.Principal, deliveryID string) (api.Delivery, error)
}
