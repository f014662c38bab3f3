package dashboard

import (
	"context"
	"encoding/json"

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

// Judging reads what judges said, and has the server's judge judge.
type Judging interface {
	// Judgments lists newest first.
	Judgments(ctx context.Context, p authority.Principal, q authority.Judged, cursor string, limit int) (api.JudgmentList, error)
	// Outputs are what runs answered, by their event ids, of those that are there.
	Outputs(ctx context.Context, p authority.Principal, eventIDs []string) (map[string]json.RawMessage, error)
	// ServerJudge names the server's own judge; ok is false if it has none.
	ServerJudge() (judge api.Judge, ok bool)
	// StartJudging begins a job, or answers with the one that is under way.
	StartJudging(ctx context.Context, p authority.Principal, rolloutID string, bounds api.StartJudging) (api.JudgeJob, error)
	// LastJudgeJob is the newest job of a rollout; nil before the first.
	LastJudgeJob(ctx context.Context, p authority.Principal, rolloutID string) (*api.JudgeJob, error)
}
