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

// Settings keeps API keys and tenants, and tells of the log and its keys.
type Settings interface {
	// CreateAPIKey answers with the secret, this once.
	CreateAPIKey(ctx context.Context, p authority.Principal, r api.CreateAPIKey) (api.APIKey, error)
	APIKeys(ctx context.Context, p authority.Principal) ([]api.APIKey, error)
	RevokeAPIKey(ctx context.Context, p authority.Principal, id string) (api.APIKey, error)
	// CreateOrg answers with the owner's key, this once.
	CreateOrg(ctx context.Context, p authority.Principal, r api.CreateOrg) (api.Org, error)
	Orgs(ctx context.Context, p authority.Principal) ([]api.Org, error)
	// SigningKeyStates lists the public keys with what the org's log says of them.
	SigningKeyStates(ctx context.Context, p authority.Principal) ([]authority.SigningKeyState, error)
	// LogOrigin names the org's log.
	LogOrigin(ctx context.Context, p authority.Principal) (string, error)
}
