package httpapi

import (
	"context"
	"io"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

// Cases is everything that the routes call; *authority.Authority is the one
// that counts. All errors are *authority.Error; any other is shown to clients
// as internal. All methods may be called from many goroutines and end early
// when their context does.
type Cases interface {
	Access
	Settings
	Evidence
	Log
	Releases
	RolloutViews
	RolloutActions
	Judging
	Webhooks
}

// Access says who asks, and whether the service can answer at all.
type Access interface {
	// Authenticate finds the holder of a key, "prv_<id>_<secret>".
	Authenticate(ctx context.Context, bearer string) (authority.Principal, error)
	// Ready reports whether requests can be served now.
	Ready(ctx context.Context) error
}

// Settings keeps API keys and tenants.
type Settings interface {
	// CreateAPIKey answers with the secret, this once.
	CreateAPIKey(ctx context.Context, p authority.Principal, r api.CreateAPIKey) (api.APIKey, error)
	APIKeys(ctx context.Context, p authority.Principal) ([]api.APIKey, error)
	RevokeAPIKey(ctx context.Context, p authority.Principal, id string) (api.APIKey, error)
	// CreateOrg answers with the owner's key, this once.
	CreateOrg(ctx context.Context, p authority.Principal, r api.CreateOrg) (api.Org, error)
	Orgs(ctx context.Context, p authority.Principal) ([]api.Org, error)
}

// Evidence records and reads receipts.
type Evidence interface {
	// Record answers each submission, in order; an error means that none was recorded or that it is unknown.
	Record(ctx context.Context, p authority.Principal, batch []authority.Submission) ([]api.IngestResult, error)
	Receipt(ctx context.Context, p authority.Principal, eventID string) (api.ReceiptItem, error)
	// Receipts lists newest first.
	Receipts(ctx context.Context, p authority.Principal, f authority.EntryFilter, cursor string, limit int) (api.List[api.ReceiptItem], error)
	// Export writes NDJSON from a log index on. An error before the first byte leaves w untouched.
	// It waits up to a time for cosignatures of the checkpoint in it.
	Export(ctx context.Context, p authority.Principal, from int64, wait time.Duration, w io.Writer) error
	// Bundle writes a tar of what verifies a receipt, a rollout or a range offline. An error before the first byte leaves w untouched.
	// It waits up to a time for cosignatures of the checkpoint in it.
	Bundle(ctx context.Context, p authority.Principal, scope receipt.Scope, wait time.Duration, w io.Writer) error
	// Erase deletes payload fields of a receipt, for good.
	Erase(ctx context.Context, p authority.Principal, eventID string, r api.Erase) (api.Erasure, error)
	SigningKeys(ctx context.Context) ([]api.SigningKey, error)
	SigningKey(ctx context.Context, keyID string) (api.SigningKey, error)
	SigningKeyChanges
}

// SigningKeyChanges changes the receipt keys; each change is a receipt in the log of every org.
type SigningKeyChanges interface {
	AddKey(ctx context.Context, p authority.Principal, r api.AddKey) (api.KeyChange, error)
	RotateKey(ctx context.Context, p authority.Principal, reason string) (api.KeyChange, error)
	RetireKey(ctx context.Context, p authority.Principal, id, reason string) (api.KeyChange, error)
	RevokeKey(ctx context.Context, p authority.Principal, id string, r api.RevokeKey) (api.KeyChange, error)
}

// Log shows that the log only grows.
type Log interface {
	// Checkpoint signs the present head.
	Checkpoint(ctx context.Context, p authority.Principal) (api.Checkpoint, error)
	// CosignedCheckpoint does so and waits up to a time for cosignatures.
	CosignedCheckpoint(ctx context.Context, p authority.Principal, wait time.Duration) (api.Checkpoint, error)
	// CheckpointAt reads one that was signed before.
	CheckpointAt(ctx context.Context, p authority.Principal, size int64) (api.Checkpoint, error)
	// Checkpoints lists largest first.
	Checkpoints(ctx context.Context, p authority.Principal, cursor string, limit int) (api.List[api.Checkpoint], error)
	// Witnesses lists those that are asked to cosign, in the order of the configuration.
	Witnesses(ctx context.Context, p authority.Principal) ([]api.Witness, error)
	ProveInclusion(ctx context.Context, p authority.Principal, q authority.InclusionQuery) (api.InclusionProof, error)
	// Scrub verifies what is stored and calls damage for what is not as it was logged.
	Scrub(ctx context.Context, p authority.Principal, damage func(api.Damage) error, progress func(done, size int64) error) (api.ScrubResult, error)
	// Tile reads what the newest signed checkpoint covers; anything else is not found.
	Tile(ctx context.Context, p authority.Principal, t authority.Tile) ([]byte, error)
	// ProveConsistency of the present size if to is 0.
	ProveConsistency(ctx context.Context, p authority.Principal, from, to int64) (api.ConsistencyProof, error)
}

// Releases reads what was seen, and compares it.
type Releases interface {
	Compare(ctx context.Context, p authority.Principal, r api.CompareRequest) (api.Comparison, error)
	Apps(ctx context.Context, p authority.Principal) ([]api.App, error)
	Releases(ctx context.Context, p authority.Principal, appID string) ([]api.Release, error)
	// Runs lists newest first.
	Runs(ctx context.Context, p authority.Principal, f authority.EntryFilter, cursor string, limit int) (api.List[api.ReceiptItem], error)
	// RunsAfter lists ascending from f.From on.
	RunsAfter(ctx context.Context, p authority.Principal, f authority.EntryFilter, limit int) (api.List[api.ReceiptItem], error)
}

// Judging records and reads what judges say of pairs.
type Judging interface {
	// RecordJudgments answers each submission, in order; an error means that none was recorded or that it is unknown.
	RecordJudgments(ctx context.Context, p authority.Principal, batch []authority.JudgmentSubmission) ([]api.IngestResult, error)
	// Judgments lists newest first.
	Judgments(ctx context.Context, p authority.Principal, q authority.Judged, cursor string, limit int) (api.JudgmentList, error)
	// Pairs lists by probe, and says which of them a judge has given a verdict on.
	Pairs(ctx context.Context, p authority.Principal, q authority.Judged, judge api.Judge, cursor string, limit int) (api.PairList, error)
	RecordCalibration(ctx context.Context, p authority.Principal, c api.Calibration) (api.Calibration, error)
	// StartJudging begins a job, or answers with the one that is under way.
	StartJudging(ctx context.Context, p authority.Principal, rolloutID string, bounds api.StartJudging) (api.JudgeJob, error)
	JudgeJob(ctx context.Context, p authority.Principal, id string) (api.JudgeJob, error)
}

// RolloutViews reads rollouts and never ticks.
type RolloutViews interface {
	Rollouts(ctx context.Context, p authority.Principal, f authority.RolloutFilter, cursor string, limit int) (api.List[api.Rollout], error)
	Rollout(ctx context.Context, p authority.Principal, id string) (api.Rollout, error)
	// WaitRollout returns when the sequence is above since or the time is over.
	WaitRollout(ctx context.Context, p authority.Principal, id string, since int64, wait time.Duration) (api.Rollout, error)
	Decisions(ctx context.Context, p authority.Principal, id, cursor string, limit int) (api.List[api.Decision], error)
	Gate(ctx context.Context, p authority.Principal, id string, weight int) (api.GateAnswer, error)
}

// RolloutActions changes rollouts: a tick, or an operator's hand.
type RolloutActions interface {
	// CreateRollout returns created false when an equal rollout was there already.
	CreateRollout(ctx context.Context, p authority.Principal, r api.CreateRollout) (ro api.Rollout, created bool, err error)
	Evaluate(ctx context.Context, p authority.Principal, id string) (api.Tick, error)
	EvaluateActive(ctx context.Context, p authority.Principal) (api.EvaluateAll, error)
	Pause(ctx context.Context, p authority.Principal, id, reason string) (api.Rollout, error)
	Resume(ctx context.Context, p authority.Principal, id, reason string) (api.Rollout, error)
	Abort(ctx context.Context, p authority.Principal, id, reason string) (api.Rollout, error)
	PromoteStep(ctx context.Context, p authority.Principal, id, reason string) (api.Rollout, error)
}

// Webhooks keeps subscriptions and their deliveries.
type Webhooks interface {
	// CreateWebhook answers with the secret, this once.
	CreateWebhook(ctx context.Context, p authority.Principal, r api.CreateWebhook) (api.Webhook, error)
	Webhooks(ctx context.Context, p authority.Principal) ([]api.Webhook, error)
	Webhook(ctx context.Context, p authority.Principal, id string) (api.Webhook, error)
	DeleteWebhook(ctx context.Context, p authority.Principal, id string) error
	TestWebhook(ctx context.Context, p authority.Principal, id string) (api.Delivery, error)
	Deliveries(ctx context.Context, p authority.Principal, hookID, cursor string, limit int) (api.List[api.Delivery], error)
	Redeliver(ctx context.Context, p authority.Principal, deliveryID string) (api.Delivery, error)
}
