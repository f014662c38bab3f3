package dashboard

import (
	"context"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// Cases are the use cases that the pages call; *authority.Authority is the one
// that counts. Errors are *authority.Error; any other is shown as internal.
type Cases interface {
	Sessions
	Rollouts
	Operations
	Receipts
	Webhooks
	Judging
	Settings
	Comparisons
	ReleaseLists
	Vault
}

// Sessions say who looks at a page.
type Sessions interface {
	// SignIn takes an API key and returns the token of a new session and its end.
	SignIn(ctx context.Context, key string) (token string, until time.Time, err error)
	// Session finds who holds a token, and the key it was had for.
	Session(ctx context.Context, token string) (authority.Principal, api.APIKey, error)
	SignOut(ctx context.Context, token string) error
}

// Rollouts reads rollouts and what was seen of apps. Nothing here ticks.
type Rollouts interface {
	Rollouts(ctx context.Context, p authority.Principal, f authority.RolloutFilter, cursor string, limit int) (api.List[api.Rollout], error)
	Rollout(ctx context.Context, p authority.Principal, id string) (api.Rollout, error)
	WaitRollout(ctx context.Context, p authority.Principal, id string, since int64, wait time.Duration) (api.Rollout, error)
	// Findings reads a rollout with its newest decisions and the verdict of the last, Inputs what changed between its releases by probe.
	Findings(ctx context.Context, p authority.Principal, id string, most int) (authority.Findings, error)
	Inputs(ctx context.Context, p authority.Principal, id string, most int) (*authority.Inputs, error)
	Releases(ctx context.Context, p authority.Principal, appID string) ([]api.Release, error)
	Runs(ctx context.Context, p authority.Principal, f authority.EntryFilter, cursor string, limit int) (api.List[api.ReceiptItem], error)
}

// Operations change a rollout; each is signed.
type Operations interface {
	CreateRollout(ctx context.Context, p authority.Principal, r api.CreateRollout) (ro api.Rollout, created bool, err error)
	Pause(ctx context.Context, p authority.Principal, id, reason string) (api.Rollout, error)
	Resume(ctx context.Context, p authority.Principal, id, reason string) (api.Rollout, error)
	Abort(ctx context.Context, p authority.Principal, id, reason string) (api.Rollout, error)
	PromoteStep(ctx context.Context, p authority.Principal, id, reason string) (api.Rollout, error)
}

// Receipts reads the log.
type Receipts interface {
	Receipt(ctx context.Context, p authority.Principal, eventID string) (api.ReceiptItem, error)
	ProveInclusion(ctx context.Context, p authority.Principal, q authority.InclusionQuery) (api.InclusionProof, error)
}
