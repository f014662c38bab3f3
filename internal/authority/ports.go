package authority

import (
	"context"
	"errors"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/receipt"
)

// Errors that a Store returns. Anything else is an outage or a bug.
var (
	// ErrNotFound: the org has no such row. It never tells whether another org has one.
	ErrNotFound = evidence.ErrNotFound
	// ErrVersion: the rollout moved since it was read; start again from a fresh read.
	ErrVersion = errors.New("the rollout has moved since it was read")
	// ErrExists: a row with this key is there already.
	ErrExists = errors.New("already exists")
)

// Store keeps what every org owns. Nothing read or written through View or
// Update of one org can touch another.
//
// Concurrency: all methods may be called from many goroutines and, on a
// database server, from many processes.
//
// Retries: View and Update may run fn more than once (a serialization failure,
// a lost race), so fn keeps nothing from an earlier run and has no effect
// outside its argument. When fn returns an error the transaction is undone and
// that error is returned as it is. When Update returns nil the effects are
// durable; when it returns an error other than fn's the outcome is unknown and
// the caller finds out by reading. fn must not call the Store that runs it.
//
// An error of the database (also ErrExists) ends the transaction: fn returns
// it, and nothing of the transaction stays. ErrNotFound and ErrVersion do not.
//
// Times are kept to the microsecond and returned in UTC. Text that holds NUL
// or invalid UTF-8 is refused when it is written and finds nothing when it is
// looked for.
type Store interface {
	// View reads one consistent snapshot.
	View(ctx context.Context, org string, fn func(Snapshot) error) error
	// Update reads and writes in one transaction.
	Update(ctx context.Context, org string, fn func(Tx) error) error
	Instance
	// Close waits for transactions under way and releases everything.
	Close() error
}

// Instance is what belongs to no single org.
type Instance interface {
	// CreateOrg adds a tenant with an empty log; ErrExists if the name is taken.
	CreateOrg(ctx context.Context, org Org) error
	Orgs(ctx context.Context) ([]Org, error)
	// APIKey finds a key by its id over all orgs; ErrNotFound.
	APIKey(ctx context.Context, id string) (APIKey, error)
	// SaveSession adds a session, and removes those that had ended by its CreatedAt; ErrExists if its hash is taken, ErrNotFound if its org has no such key.
	SaveSession(ctx context.Context, s Session) error
	// Session finds one by the hash of its token over all orgs, ended or not; ErrNotFound.
	Session(ctx context.Context, hash [32]byte) (Session, error)
	// EndSession removes one; nothing if there is none.
	EndSession(ctx context.Context, hash [32]byte) error
	// SaveSigningKey adds a public key; one that is there already is left alone.
	SaveSigningKey(ctx context.Context, key api.SigningKey) error
	// SigningKeys lists the public keys of all servers, oldest first.
	SigningKeys(ctx context.Context) ([]api.SigningKey, error)
	// DueDeliveries lists pending deliveries whose time has come, oldest first: of one org, or of all if org is empty.
	DueDeliveries(ctx context.Context, org string, now time.Time, limit int) ([]DeliveryRef, error)
	// NotCosigned lists the orgs whose newest checkpoint, of a size above 0, a witness has not cosigned and whose next time for it has come: those that it was asked about longest ago first.
	NotCosigned(ctx context.Context, vkey string, now time.Time, limit int) ([]string, error)
	// ForgetErased removes what was erased from the files beside the database's own, where the store keeps such files; an error while somebody reads.
	ForgetErased(ctx context.Context) error
	// Ping reports whether the database answers.
	Ping(ctx context.Context) error
}

// Snapshot reads one org.
type Snapshot interface {
	LogReader
	EvidenceReader
	RolloutReader
	WebhookReader
	WitnessReader
	JudgeReader
	// APIKeys lists the org's keys, revoked ones too, oldest first.
	APIKeys() ([]APIKey, error)
}

// Tx reads and writes one org. Lock order: the head (LockHead) before all
// else that a transaction writes besides webhooks and API keys, so two
// transactions of an org never wait for each other in a circle.
type Tx interface {
	Snapshot
	LogWriter
	EvidenceWriter
	RolloutWriter
	WebhookWriter
	WitnessWriter
	JudgeWriter
	// SaveAPIKey adds or replaces a key.
	SaveAPIKey(key APIKey) error
}

// Org is a tenant.
type Org struct {
	Name      string
	CreatedAt time.Time
	// LogID names the org's log in checkpoints without naming the org.
	LogID string
}

// APIKey is a key as it is kept: only the SHA-256 of the secret.
type APIKey struct {
	api.APIKey
	Org  string
	Hash [32]byte
}

// Head is the state of an org's log.
type Head struct{ Tree receipt.Tree }

// Entry is one receipt in the log with the columns that it is found by.
type Entry struct {
	Index       int64
	EventID     string
	Kind        string
	KeyID       string // of the signature; looked at by whoever appends, not stored beside Raw
	Raw         []byte // the envelope as it was signed; never re-encoded
	Leaf        tlog.Hash
	AppID       string
	Environment string
	Release     string
	RolloutID   string
	RunID       string
	ProbeID     string
	// IdempotencyKey is the client's; empty if it sent none. Unique per org, environment and app.
	IdempotencyKey string
	// RequestHash is the SHA-256 of the event as it was sent, without its payload; zero for receipts of the server's own, and for those with a payload that an earlier version recorded.
	RequestHash [32]byte
	// Epoch is the epoch of AppID and Environment that a run or outcome counts in; 0 for other kinds.
	Epoch      int64
	RecordedAt time.Time
	// Metrics are the names of a run's or outcome's metrics, sorted.
	Metrics  []string
	Payloads []Payload // written by Append, read by Payloads
}

// Payload is one erasable field whose commitment stands in the receipt.
type Payload struct {
	Field string
	Salt  [32]byte
	Value []byte // canonical JSON
}

// Erased names a payload field that was erased.
type Erased struct {
	Index int64
	Field string
}

// EntryFilter selects entries; a zero member selects all.
type EntryFilter struct {
	Kind, AppID, Environment, Release, RolloutID, ProbeID string
	Since, Until                                          time.Time // recorded_at, [Since, Until)
	// From is the smallest log index.
	From int64
	// Before is, if positive, the log index that all results are below.
	Before int64
	// Newest returns descending log indexes instead of ascending ones.
	Newest bool
}

// LogReader reads the org's log.
type LogReader interface {
	Head() (Head, error)
	// Entry finds a receipt by its event id; ErrNotFound.
	Entry(eventID string) (Entry, error)
	Entries(filter EntryFilter, limit int) ([]Entry, error)
	// EntryByKey finds the receipt of an idempotency key; ErrNotFound.
	EntryByKey(appID, environment, key string) (Entry, error)
	// RunEntries lists the run and the outcomes that carry a run id, in log order.
	RunEntries(appID, environment, runID string) ([]Entry, error)
	// KeyEnd is the log index from which a key signs no more, if there is one.
	KeyEnd(keyID string) (from int64, ended bool, err error)
	// Payloads are the payload fields of the receipt at an index that were not erased, by name.
	Payloads(index int64) ([]Payload, error)
	// Erasures are the payload fields of the receipts [from, before) that were erased, by index and name.
	Erasures(from, before int64) ([]Erased, error)
	// Checkpoint is the newest one that was persisted; ErrNotFound before the first.
	Checkpoint() (api.Checkpoint, error)
	// CheckpointAt is the one of a size; ErrNotFound if none was persisted.
	CheckpointAt(size int64) (api.Checkpoint, error)
	// Checkpoints lists by size.
	Checkpoints(filter CheckpointFilter, limit int) ([]api.Checkpoint, error)
	// Hashes reads n hashes of a level of the Merkle tree from an index on, leaves at level 0 and nodes above (see receipt.Node): fewer if one is missing, up to the gap.
	Hashes(level int, index int64, n int) ([]tlog.Hash, error)
}

// CheckpointFilter selects checkpoints; a zero member selects all.
type CheckpointFilter struct {
	// From is the smallest size; Before is, if positive, the size that all results are below.
	From, Before int64
	// Newest returns descending sizes instead of ascending ones.
	Newest bool
}

// LogWriter appends to the org's log.
type LogWriter interface {
	// LockHead reads the head and holds it until the transaction ends: from here on this transaction alone appends to the org's log.
	LockHead() (Head, error)
	// Append writes entries, whose indexes follow the locked head without a gap, the nodes of the Merkle tree that they complete, and the head after them, which it checks. ErrExists if an idempotency key or an event id is taken.
	Append(entries []Entry, after Head) error
	// EndKey keeps the log index from which a key signs no more; the smallest counts.
	EndKey(keyID string, from int64) error
	// ErasePayloads deletes payload fields with their salts and returns those that were there.
	ErasePayloads(index int64, fields []string) ([]string, error)
	// SaveCheckpoint persists a checkpoint unless one of its size is there; either way it returns the one that is.
	SaveCheckpoint(c api.Checkpoint) (api.Checkpoint, error)
	// RenameLog gives the org's log another id.
	RenameLog(logID string) error
	// SaveNodes adds nodes of a log that was written before nodes were kept; those that are there stay.
	SaveNodes(nodes []receipt.Node) error
}

// What runs add up to, as the pure core folds it.
type (
	// Epoch is a range of log indexes in which no weight changed.
	Epoch = evidence.Epoch
	// Cohort is what the runs of one release in one span add up to.
	Cohort = evidence.Cohort
	// CohortFilter selects cohorts of an app and environment.
	CohortFilter = evidence.CohortFilter
)

// EvidenceReader reads epochs and cohorts.
type EvidenceReader interface {
	// OpenEpoch is the epoch with the highest number; ErrNotFound before the first run or rollout.
	OpenEpoch(appID, environment string) (Epoch, error)
	// Epoch reads one; ErrNotFound.
	Epoch(appID, environment string, number int64) (Epoch, error)
	// Cohort reads one; ErrNotFound.
	Cohort(appID, environment string, span int64, release string) (Cohort, error)
	// Cohorts reads cohorts by span, then release.
	Cohorts(filter CohortFilter) ([]Cohort, error)
	// Releases sums up all cohorts by app, environment and release, with the names of their metrics, by app, environment, first index. An empty appID or environment selects all.
	Releases(appID, environment string) ([]api.Release, error)
}

// EvidenceWriter writes epochs and cohorts under the head's lock.
type EvidenceWriter interface {
	// SaveEpoch adds or replaces an epoch.
	SaveEpoch(e Epoch) error
	// SaveCohort adds a cohort or replaces its counts, its mixes and the summaries that c holds; summaries that c does not hold stay.
	SaveCohort(c Cohort) error
}

// RolloutRecord is a rollout as it is kept. Doc is its whole value; the other
// members are what it is found by.
type RolloutRecord struct {
	ID               string
	AppID            string
	Environment      string
	BaselineRelease  string
	CandidateRelease string
	Mode             api.Mode
	State            api.State
	CreatedAt        time.Time
	// Version rises with every save.
	Version int64
	Doc     []byte
}

// RolloutFilter selects rollouts; a zero member selects all.
type RolloutFilter struct {
	AppID, Environment, CandidateRelease string
	Mode                                 api.Mode
	States                               []api.State
	// BeforeID is, if set, the id that all results sort before.
	BeforeID string
}

// BlockRecord is a block of a rollout. At most one, that with the highest
// number, is open.
type BlockRecord struct {
	RolloutID string
	Number    int64 // from 1; number 0, if there is one, is no block but the baseline's history
	Closed    bool
	Doc       []byte
}

// RolloutReader reads rollouts, their blocks and time lines.
type RolloutReader interface {
	// Rollout reads one; ErrNotFound.
	Rollout(id string) (RolloutRecord, error)
	// Rollouts lists newest first, by id.
	Rollouts(filter RolloutFilter, limit int) ([]RolloutRecord, error)
	// OpenBlock is the block being filled; ErrNotFound if there is none.
	OpenBlock(rolloutID string) (BlockRecord, error)
	// ClosedBlocks lists the closed blocks with a number above after, ascending.
	ClosedBlocks(rolloutID string, after int64, limit int) ([]BlockRecord, error)
	// Decisions lists the time line above a sequence number, ascending.
	Decisions(rolloutID string, after int64, limit int) ([]api.Decision, error)
}

// RolloutWriter writes rollouts, their blocks and time lines.
type RolloutWriter interface {
	// CreateRollout adds a rollout with Version 1; ErrExists if it is a canary and another canary of the app and environment is unfinished.
	CreateRollout(r RolloutRecord) error
	// SaveRollout replaces the rollout whose stored version is r.Version, and stores r.Version+1; ErrVersion if it has moved.
	SaveRollout(r RolloutRecord) error
	// SaveBlock adds or replaces a block.
	SaveBlock(b BlockRecord) error
	// AddDecision appends to the time line; the sequence number is the caller's and unique per rollout.
	AddDecision(rolloutID string, d api.Decision) error
}

// Webhook is a subscription with its secret.
type Webhook struct{ api.Webhook }

// DeliveryRef names a delivery and its org.
type DeliveryRef struct{ Org, ID string }

// WebhookReader reads webhooks and deliveries.
type WebhookReader interface {
	// Webhooks lists all, oldest first, with their secrets.
	Webhooks() ([]Webhook, error)
	// Webhook reads one with its secret; ErrNotFound.
	Webhook(id string) (Webhook, error)
	// Deliveries lists a webhook's deliveries with their attempts, newest first, below beforeID if that is set.
	Deliveries(webhookID, beforeID string, limit int) ([]api.Delivery, error)
	// Delivery reads one with its attempts; ErrNotFound.
	Delivery(id string) (api.Delivery, error)
}

// WebhookWriter writes webhooks and the outbox.
type WebhookWriter interface {
	// SaveWebhook adds or replaces.
	SaveWebhook(w Webhook) error
	// DeleteWebhook removes a webhook with its deliveries; ErrNotFound.
	DeleteWebhook(id string) error
	// AddDelivery puts a delivery into the outbox, without its attempts. A pending one without a next time is due since it was created.
	AddDelivery(d api.Delivery) error
	// ClaimDelivery moves a pending delivery whose time has come to until, so that nobody else sends it meanwhile; false if it is not pending or not due.
	ClaimDelivery(id string, now, until time.Time) (bool, error)
	// SaveDelivery replaces status and next time, but never changes a delivery that is superseded.
	SaveDelivery(d api.Delivery) error
	// AddAttempt keeps one try.
	AddAttempt(deliveryID string, a api.Attempt) error
	// SupersedePromotes marks the pending promotes of a rollout superseded, clears their next time and returns how many.
	SupersedePromotes(rolloutID string) (int, error)
}

// Cosignature is what a witness signed for a checkpoint.
type Cosignature struct {
	Size int64     // of the checkpoint
	VKey string    // of the witness
	At   time.Time // that the witness states, to the second
	Line string    // of the signed note, with its end
}

// WitnessState is what a witness last answered about an org's log.
type WitnessState struct {
	VKey string
	// Origin is that of the checkpoint that it was asked to cosign; Seen is the size of that log that it is known to have seen.
	Origin string
	Seen   int64
	// CosignedSize is that of the largest checkpoint that it cosigned, CosignedAt the time that it stated; 0 and nil before the first.
	CosignedSize int64
	CosignedAt   *time.Time
	AskedAt      time.Time
	// StatusCode is that of its last answer, 0 if there was none; Error is why that was no cosignature, or empty.
	StatusCode int
	Error      string
	// Failures counts the answers in a row that were no cosignature.
	Failures int
	// NextAt is when it may be asked again.
	NextAt time.Time
}

// WitnessReader reads what witnesses said.
type WitnessReader interface {
	// Cosignatures lists those of the checkpoints of the sizes [from, before), by size, then by their time.
	Cosignatures(from, before int64) ([]Cosignature, error)
	// WitnessState reads that of one; ErrNotFound before it was asked.
	WitnessState(vkey string) (WitnessState, error)
	// WitnessStates lists all.
	WitnessStates() ([]WitnessState, error)
}

// WitnessWriter keeps what witnesses say.
type WitnessWriter interface {
	// SaveCosignature adds one unless there is one of its size and witness; ErrNotFound if there is no checkpoint of the size.
	SaveCosignature(c Cosignature) error
	// SaveWitnessState adds or replaces.
	SaveWitnessState(w WitnessState) error
}
