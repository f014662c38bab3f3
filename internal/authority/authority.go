// Package authority holds the use cases of Prova: record runs, compare
// releases, create, evaluate and steer rollouts, keep keys and webhooks.
//
// It owns the order of effects and declares, in ports.go, the ports that
// adapters fill. Everything it decides comes from the pure packages below it;
// what it adds is who may do what, in which order things are written, and what
// a crash in between means.
//
// Invariants: a decision, its receipt, its state and its deliveries are
// written in one transaction; no network is used inside a transaction; nothing
// crosses an org.
package authority

import (
	"crypto/ed25519"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// Config is what an Authority needs. Nothing but Anchor, KeyRing, Witnesses and Judger is optional.
type Config struct {
	Store     Store
	Deliverer Deliverer
	// Signer signs receipts, CheckpointKey signs the heads of logs: two different keys.
	// With a KeyRing, which holds Signer too, Bootstrap settles which of its keys signs.
	Signer        receipt.Signer
	CheckpointKey ed25519.PrivateKey
	// KeyRing keeps the receipt keys; without one they cannot be rotated.
	KeyRing KeyRing
	// Anchor remembers outside the database what was shown of the logs; without
	// one, a database that went back is noticed only while the server runs.
	Anchor Anchor
	// Witnesses are asked, through WitnessClient, to cosign checkpoints.
	Witnesses     []Witness
	WitnessClient WitnessClient
	// Judger judges pairs for those that ask the server to; nil if it has no judge.
	Judger Judger
	// Origin begins the origin line of every checkpoint, such as the host's name.
	Origin string
	Now    func() time.Time
	// Random fills p with unpredictable bytes and never fails.
	Random func(p []byte)
	Log    *slog.Logger
}

// Authority carries out the use cases. It is safe for concurrent use.
type Authority struct {
	Config
	changed   *broadcast
	recording *coalescer
	ids       *sequence
	anchors   *anchors
	absent    absences
	signing   atomic.Pointer[signers]
	// rotating is held by whoever changes this server's keys.
	rotating sync.Mutex
	// judgings are the jobs that wait for JudgeLoop.
	judgings chan judging
	// forget says that ForgetErased is to be tried again.
	forget atomic.Bool
}

// New checks the configuration.
func New(c Config) (*Authority, error) {
	if c.Store == nil || c.Deliverer == nil || c.Now == nil || c.Random == nil || c.Log == nil || c.Origin == "" ||
		c.Signer.KeyID() == "" || len(c.CheckpointKey) != ed25519.PrivateKeySize || len(c.Witnesses) > 0 && c.WitnessClient == nil {
		return nil, errors.New("authority: the configuration is incomplete")
	}
	anchors := newAnchors(c.Anchor)
	c.Store = guarded{c.Store, anchors}
	a := &Authority{Config: c, changed: newBroadcast(), recording: newCoalescer(), ids: &sequence{}, anchors: anchors, judgings: make(chan judging, jobsWaiting)}
	a.signing.Store(&signers{current: c.Signer, all: []receipt.Signer{c.Signer}})
	return a, nil
}

// Principal is who asks: the holder of an API key, or the system itself.
type Principal struct {
	Org         string
	KeyID       string
	Permissions []api.Permission
	// Environment limits the key to one; empty is no limit.
	Environment string
	// ExpiresAt ends the key; nil is never.
	ExpiresAt *time.Time
}

// Actor names the principal in receipts.
func (p Principal) Actor() string {
	if p.KeyID == "" {
		return "system"
	}
	return p.KeyID
}

// May reports whether the principal holds a permission. RolloutManage includes ReleaseRead.
func (p Principal) May(permission api.Permission) bool {
	return slices.Contains(p.Permissions, permission) ||
		permission == api.ReleaseRead && slices.Contains(p.Permissions, api.RolloutManage)
}

func (p Principal) need(permission api.Permission) error {
	if !p.May(permission) {
		return fail(CodeForbidden, "this key lacks the permission %s; ask the owner for a key that has it", permission)
	}
	return nil
}

// sees reports whether a key that is limited to one environment may see another's rows.
func (p Principal) sees(environment string) bool {
	return p.Environment == "" || p.Environment == environment
}

// now is the present in UTC, in milliseconds: the precision of receipts.
func (a *Authority) now() time.Time { return a.Now().UTC().Truncate(time.Millisecond) }

// System is the principal of what the server does by itself for an org.
func System(org string) Principal { return Principal{Org: org, Permissions: api.Permissions()} }
