package api

import (
	"encoding/json"
	"time"
)

// Permission is what an API key may do.
type Permission string

// The permissions. RolloutManage includes ReleaseRead.
const (
	RolloutManage Permission = "rollout.manage"
	ReleaseRead   Permission = "release.read"
	AuditIngest   Permission = "audit.ingest"
	AuditRead     Permission = "audit.read"
	JudgeWrite    Permission = "judge.write"
	WebhookManage Permission = "webhook.manage"
	KeyManage     Permission = "key.manage"
	OrgManage     Permission = "org.manage"
)

// Permissions lists all permissions.
func Permissions() []Permission {
	return []Permission{RolloutManage, ReleaseRead, AuditIngest, AuditRead, JudgeWrite, WebhookManage, KeyManage, OrgManage}
}

// APIKey is a key as it is listed. Secret is the whole key, shown once, when it is created.
type APIKey struct {
	ID          string       `json:"id"`
	Name        string       `json:"name"`
	Permissions []Permission `json:"permissions"`
	Environment string       `json:"environment,omitempty"`
	CreatedAt   time.Time    `json:"created_at"`
	CreatedBy   string       `json:"created_by"`
	ExpiresAt   *time.Time   `json:"expires_at,omitempty"`
	RevokedAt   *time.Time   `json:"revoked_at,omitempty"`
	Secret      string       `json:"secret,omitempty"`
}

// CreateAPIKey is the request for a key.
type CreateAPIKey struct {
	Name        string       `json:"name"`
	Permissions []Permission `json:"permissions"`
	Environment string       `json:"environment,omitempty"`
	ExpiresAt   *time.Time   `json:"expires_at,omitempty"`
}

// Org is a tenant. OwnerKey is shown once, when it is created.
type Org struct {
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
	OwnerKey  string    `json:"owner_key,omitempty"`
}

// CreateOrg is the request for a tenant.
type CreateOrg struct {
	Name string `json:"name"`
}

// SigningKey is a public key of the server.
type SigningKey struct {
	KeyID string `json:"key_id"`
	// Purpose is receipt or checkpoint.
	Purpose   string `json:"purpose"`
	Algorithm string `json:"algorithm"`
	// PublicKey is the raw 32-byte key in base64.
	PublicKey string `json:"public_key"`
	// VKey is the verifier key of a signed note, for a checkpoint key.
	VKey      string    `json:"vkey,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

// AddKey is the request to add another server's receipt key.
type AddKey struct {
	// PublicKey is the raw 32-byte key in base64 or hex.
	PublicKey string `json:"public_key"`
	Reason    string `json:"reason"`
}

// RevokeKey is the request to revoke a receipt key.
type RevokeKey struct {
	Reason string `json:"reason"`
	// Since is when the key may have come into other hands; nil is now.
	Since *time.Time `json:"since,omitempty"`
}

// KeyChange is what became of a request to add, rotate, retire or revoke a receipt key.
type KeyChange struct {
	// Event is add, rotate, retire or revoke.
	Event string `json:"event"`
	// Key is the key that was added, or the one that was ended.
	Key SigningKey `json:"key"`
	// Ended is the id of the key that was ended.
	Ended string `json:"ended,omitempty"`
	// FromIndex is the log index, in the caller's org, from which it signs no more; absent if it ended before.
	FromIndex *int64 `json:"from_index,omitempty"`
	Reason    string `json:"reason"`
}

// Webhook is a subscription. Secret is shown once, when it is created.
type Webhook struct {
	ID          string    `json:"id"`
	URL         string    `json:"url"`
	Events      []string  `json:"events"`
	AppID       string    `json:"app_id,omitempty"`
	Environment string    `json:"environment,omitempty"`
	Description string    `json:"description,omitempty"`
	Enabled     bool      `json:"enabled"`
	CreatedAt   time.Time `json:"created_at"`
	Secret      string    `json:"secret,omitempty"`
}

// CreateWebhook is the request for a subscription.
type CreateWebhook struct {
	URL         string   `json:"url"`
	Events      []string `json:"events"`
	AppID       string   `json:"app_id,omitempty"`
	Environment string   `json:"environment,omitempty"`
	Description string   `json:"description,omitempty"`
}

// DeliveryStatus is where a delivery is.
type DeliveryStatus string

// The states of a delivery.
const (
	DeliveryPending    DeliveryStatus = "pending"
	DeliveryDelivered  DeliveryStatus = "delivered"
	DeliveryFailed     DeliveryStatus = "failed"
	DeliverySuperseded DeliveryStatus = "superseded"
)

// Delivery is one event on its way to one webhook.
type Delivery struct {
	ID        string          `json:"id"`
	WebhookID string          `json:"webhook_id"`
	RolloutID string          `json:"rollout_id,omitempty"`
	EventID   string          `json:"event_id"`
	Event     string          `json:"event"`
	Sequence  int64           `json:"sequence"`
	Status    DeliveryStatus  `json:"status"`
	Body      json.RawMessage `json:"body"`
	CreatedAt time.Time       `json:"created_at"`
	NextAt    *time.Time      `json:"next_at,omitempty"`
	Attempts  []Attempt       `json:"attempts"`
}

// Attempt is one try to deliver.
type Attempt struct {
	Number     int       `json:"number"`
	At         time.Time `json:"at"`
	StatusCode int       `json:"status_code,omitempty"`
	DurationMS int64     `json:"duration_ms"`
	// Answer is the first bytes of what the receiver said.
	Answer string `json:"answer,omitempty"`
	Error  string `json:"error,omitempty"`
}

// App is an agent that has been seen.
type App struct {
	AppID        string   `json:"app_id"`
	Environments []string `json:"environments"`
	Releases     int      `json:"releases"`
	Runs         int64    `json:"runs"`
}

// Release is a version of an app that has been seen; Release is empty for runs that carry none.
type Release struct {
	AppID       string   `json:"app_id"`
	Environment string   `json:"environment"`
	Release     string   `json:"release"`
	Runs        int64    `json:"runs"`
	Metrics     []string `json:"metrics"`
	FirstIndex  int64    `json:"first_index"`
	LastIndex   int64    `json:"last_index"`
}

// ReceiptItem is a receipt with its place in the log.
type ReceiptItem struct {
	LogIndex int64           `json:"log_index"`
	Receipt  json.RawMessage `json:"receipt"`
}

// Erase is the request to erase payload fields of a receipt.
type Erase struct {
	// Fields are their names; empty is all that the receipt has a commitment to.
	Fields []string `json:"fields,omitempty"`
	// Ground says why, such as a request of the person concerned. It is signed and stays.
	Ground string `json:"ground"`
}

// Erasure says what was erased of a receipt. Receipt is the signed record of it.
type Erasure struct {
	EventID string `json:"event_id"`
	// Fields are those that were there until now; AlreadyErased those that were erased before.
	Fields        []string     `json:"fields"`
	AlreadyErased []string     `json:"already_erased,omitempty"`
	Ground        string       `json:"ground"`
	Receipt       *ReceiptItem `json:"receipt,omitempty"` // absent if there was nothing left to erase
}

// List is a page of items. NextCursor is empty on the last page.
type List[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor,omitempty"`
}

// Checkpoint is the signed head of an org's log.
type Checkpoint struct {
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	// RootHash is the Merkle root (RFC 6962) in base64.
	RootHash string `json:"root_hash"`
	// Note is the C2SP signed note: the log's signature, and behind it the
	// cosignatures of witnesses that were collected by now.
	Note string `json:"note"`
	// VKey is the verifier key of the note.
	VKey string `json:"vkey"`
}

// CompareRequest asks for the release compare on demand.
type CompareRequest struct {
	AppID       string   `json:"app_id"`
	Environment string   `json:"environment,omitempty"`
	Baseline    string   `json:"baseline"`
	Candidate   string   `json:"candidate"`
	Gates       []Gate   `json:"gates,omitempty"`
	Confidence  *float64 `json:"confidence,omitempty"`
	MinRuns     *int64   `json:"min_runs,omitempty"`
	// Pair is auto, probe or none, for the gates that do not say themselves; empty is none.
	Pair string `json:"pair,omitempty"`
}

// Comparison is the answer to a release compare.
type Comparison struct {
	AppID       string  `json:"app_id"`
	Environment string  `json:"environment,omitempty"`
	Baseline    string  `json:"baseline"`
	Candidate   string  `json:"candidate"`
	Verdict     Verdict `json:"verdict"`
}
