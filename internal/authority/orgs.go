package authority

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// DefaultOrg is the one that a new installation has.
const DefaultOrg = "default"

// Bootstrap makes a new installation usable and publishes this server's keys.
// It may be run at every start. A non-empty ownerKey is added to the default
// org unless it is there; created says that it was. A log that the database
// holds otherwise than this server has seen it is left alone; the error is
// CodeReadOnly only if the database lacks one altogether.
func (a *Authority) Bootstrap(ctx context.Context, ownerKey string) (created bool, err error) {
	orgs, err := a.Store.Orgs(ctx)
	if err != nil {
		return false, storeError("org", err)
	}
	if err := a.loadAnchors(ctx, orgs); err != nil {
		return false, err
	}
	if len(orgs) > 0 {
		if err := a.chooseSigner(ctx); err != nil {
			return false, err
		}
	}
	for _, k := range a.publicKeys(a.now()) {
		if err := a.Store.SaveSigningKey(ctx, k); err != nil {
			return false, storeError("signing key", err)
		}
	}
	if len(orgs) == 0 {
		org := Org{Name: DefaultOrg, CreatedAt: a.now(), LogID: a.secret(10)}
		if err := a.Store.CreateOrg(ctx, org); err != nil && !errors.Is(err, ErrExists) {
			return false, storeError("org", err)
		}
		orgs = []Org{org}
	}
	a.forgetErased(ctx) // of a server that broke off between an erasure and this
	for _, org := range orgs {
		if a.anchors.refusal(org.Name) != nil {
			continue
		}
		if err := a.completeNodes(ctx, org.Name); err != nil {
			return false, err
		}
		if err := a.publishKeys(ctx, org.Name); err != nil {
			return false, err
		}
		if err := a.retireSuperseded(ctx, org.Name); err != nil {
			return false, err
		}
	}
	if ownerKey == "" || a.anchors.refusal(DefaultOrg) != nil {
		return false, nil
	}
	return a.ownerKey(ctx, ownerKey)
}

// NeedsOwner reports whether nobody holds a key to the installation yet.
func (a *Authority) NeedsOwner(ctx context.Context) (bool, error) {
	orgs, err := a.Store.Orgs(ctx)
	if err != nil || len(orgs) == 0 {
		return err == nil, storeError("org", err)
	}
	var keys []APIKey
	err = a.Store.View(ctx, DefaultOrg, func(s Snapshot) (err error) {
		keys, err = s.APIKeys()
		return err
	})
	return len(keys) == 0, storeError("key", err)
}

// ownerKey adds an owner key to the default org unless it is there already.
func (a *Authority) ownerKey(ctx context.Context, text string) (bool, error) {
	id, secret, ok := splitKey(text)
	if !ok {
		return false, fail(CodeInvalid, "the owner key is not a key: it looks like prv_<id>_<secret>, with a secret of 16 characters or more")
	}
	now := a.now()
	k := APIKey{Org: DefaultOrg, Hash: secretHash(secret), APIKey: api.APIKey{ID: id, Name: "owner", Permissions: sorted(api.Permissions()), CreatedAt: now, CreatedBy: "system"}}
	created := false
	err := a.Store.Update(ctx, DefaultOrg, func(tx Tx) error {
		created = false
		if _, err := tx.LockHead(); err != nil { // two servers that start at once make one key
			return err
		}
		keys, err := tx.APIKeys()
		if err != nil || slices.ContainsFunc(keys, func(have APIKey) bool { return have.ID == id }) {
			return err
		}
		created = true
		if err := tx.SaveAPIKey(k); err != nil {
			return err
		}
		return a.operatorAction(tx, System(DefaultOrg), now, "api_key.create", map[string]string{"api_key_id": k.ID, "name": k.Name})
	})
	return created, storeError("key", err)
}

func (a *Authority) publicKeys(now time.Time) []api.SigningKey {
	checkpoint := a.CheckpointKey.Public().(ed25519.PublicKey)
	return []api.SigningKey{
		signingKey(a.signer(), now),
		{KeyID: a.checkpointKeyID(), Purpose: receipt.PurposeCheckpoint, Algorithm: "ed25519", PublicKey: base64.StdEncoding.EncodeToString(checkpoint), CreatedAt: now},
	}
}

func (a *Authority) checkpointKeyID() string {
	return receipt.KeyID(a.CheckpointKey.Public().(ed25519.PublicKey))
}

// publishKeys appends a key_event for each of this server's keys that the org's log does not know yet.
func (a *Authority) publishKeys(ctx context.Context, org string) error {
	now := a.now()
	keys := a.publicKeys(now)
	if org != DefaultOrg { // a new org's log begins with the keys of all servers that were introduced to one another
		others, err := a.keysThatHold(ctx)
		if err != nil {
			return err
		}
		keys = append(keys, others...)
	}
	err := a.Store.Update(ctx, org, func(tx Tx) error {
		for _, k := range keys {
			if err := a.addKey(tx, System(org), k, "", now); err != nil {
				return err
			}
		}
		return nil
	})
	return storeError("log", err)
}

// keysThatHold are the receipt keys that may sign in the default org's log and
// whose additions go back to the key that those of this server's go back to. A
// key that only added itself there is passed over: whoever can write to the
// database can do that.
func (a *Authority) keysThatHold(ctx context.Context) ([]api.SigningKey, error) {
	all, err := a.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	states, size, err := a.logKeys(ctx)
	if err != nil {
		return nil, storeError("log", err)
	}
	var out []api.SigningKey
	for _, k := range all {
		if states[k.KeyID].holds(size) && rootOf(states, k.KeyID) == rootOf(states, a.signer().KeyID()) {
			out = append(out, k)
		}
	}
	return out, nil
}

// rootOf is the key that a chain of additions begins with.
func rootOf(states map[string]keyState, id string) string {
	for k := states[id]; k.by != "" && k.by != id; k = states[id] {
		id = k.by
	}
	return id
}

// SigningKeys lists the public keys of all servers; anybody may read them.
func (a *Authority) SigningKeys(ctx context.Context) ([]api.SigningKey, error) {
	keys, err := a.Store.SigningKeys(ctx)
	return keys, storeError("signing key", err)
}

// SigningKey reads one public key.
func (a *Authority) SigningKey(ctx context.Context, id string) (api.SigningKey, error) {
	keys, err := a.Store.SigningKeys(ctx)
	if err != nil {
		return api.SigningKey{}, storeError("signing key", err)
	}
	for _, k := range keys {
		if k.KeyID == id {
			return k, nil
		}
	}
	return api.SigningKey{}, notFound("signing key")
}

// CreateOrg makes a tenant. Only the operator may: a key of the default org that holds org.manage.
func (a *Authority) CreateOrg(ctx context.Context, p Principal, r api.CreateOrg) (api.Org, error) {
	if err := operator(p); err != nil {
		return api.Org{}, err
	}
	if err := api.CheckName("name", r.Name); err != nil {
		return api.Org{}, invalid("/name", "%v", err)
	}
	if len(r.Name) > 64 || strings.Trim(r.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return api.Org{}, invalid("/name", "an org's name has 1 to 64 of a-z, 0-9 and -")
	}
	now := a.now()
	err := a.Store.CreateOrg(ctx, Org{Name: r.Name, CreatedAt: now, LogID: a.secret(10)})
	if err == nil { // who made it stands in the operator's own log
		err = a.Store.Update(ctx, p.Org, func(tx Tx) error {
			return a.operatorAction(tx, p, now, "org.create", map[string]string{"org": r.Name})
		})
	}
	if err != nil && !errors.Is(err, ErrExists) {
		return api.Org{}, storeError("org", err)
	}
	if err := a.publishKeys(ctx, r.Name); err != nil {
		return api.Org{}, err
	}
	permissions := api.Permissions()
	permissions = permissions[:len(permissions)-1] // org.manage stays with the operator
	k := a.newKey(r.Name, p.Actor(), api.CreateAPIKey{Name: "owner", Permissions: permissions}, now)
	err = a.Store.Update(ctx, r.Name, func(tx Tx) error {
		keys, err := tx.APIKeys()
		if err != nil {
			return err
		}
		if len(keys) > 0 { // an org without a key is one whose creation broke off here: it is finished now
			return fail(CodeConflict, "the org %q is there already", r.Name)
		}
		kept := k
		kept.Secret = ""
		if err := tx.SaveAPIKey(kept); err != nil {
			return err
		}
		return a.operatorAction(tx, System(r.Name), now, "api_key.create", map[string]string{"api_key_id": k.ID, "name": k.Name})
	})
	if err != nil {
		return api.Org{}, storeError("org", err)
	}
	return api.Org{Name: r.Name, CreatedAt: now, OwnerKey: k.Secret}, nil
}

func operator(p Principal) error {
	if p.Org != DefaultOrg || p.Environment != "" {
		return fail(CodeForbidden, "only the operator, with a key of the org %q, may manage orgs and the keys that sign", DefaultOrg)
	}
	return p.need(api.OrgManage)
}

// Orgs lists the tenants, for the operator.
func (a *Authority) Orgs(ctx context.Context, p Principal) ([]api.Org, error) {
	if err := operator(p); err != nil {
		return nil, err
	}
	orgs, err := a.Store.Orgs(ctx)
	out := make([]api.Org, len(orgs))
	for i, o := range orgs {
		out[i] = api.Org{Name: o.Name, CreatedAt: o.CreatedAt}
	}
	return out, storeError("org", err)
}

// Ready reports whether the database answers and is written to. Anybody may ask, so it names no org.
func (a *Authority) Ready(ctx context.Context) error {
	if err := a.Store.Ping(ctx); err != nil {
		return &Error{Code: CodeUnavailable, Detail: "the database does not answer", Cause: err}
	}
	if a.anchors.refused() {
		return fail(CodeReadOnly, "a log in the database is not the one that this server has seen, or is damaged, so nothing is written to it; the server's log says which and what to do")
	}
	return nil
}

// TickAll ticks every active rollout of every org, for a server that was asked to tick by itself.
func (a *Authority) TickAll(ctx context.Context) error {
	orgs, err := a.Store.Orgs(ctx)
	if err != nil {
		return storeError("org", err)
	}
	for _, o := range orgs {
		if _, err := a.EvaluateActive(ctx, System(o.Name)); err != nil {
			a.Log.Error("ticking an org failed", "org", o.Name, "error", err)
		}
	}
	return ctx.Err()
}

// ProposeKey makes the text of a new API key that Bootstrap can be given.
func (a *Authority) ProposeKey() string {
	return a.newKey(DefaultOrg, "system", api.CreateAPIKey{}, a.now()).Secret
}
