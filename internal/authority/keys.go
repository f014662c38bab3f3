package authority

import (
	"context"
	"crypto/subtle"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/cobound/prova/api"
)

// keyPrefix begins every API key: prv_<id>_<secret>.
const keyPrefix = "prv_"

// operatorBody is the body of an operator_action receipt: keys and webhooks made and ended.
type operatorBody struct {
	common
	Action string            `json:"action"`
	Object map[string]string `json:"object"`
}

// operatorAction appends the receipt of an operator's action. It takes the head's lock.
func (a *Authority) operatorAction(tx Tx, p Principal, now time.Time, action string, object map[string]string) error {
	return a.signed(tx, operatorBody{common: a.common(p, api.KindOperatorAction, now), Action: action, Object: object}, now)
}

// signed appends one receipt of the server's own.
func (a *Authority) signed(tx Tx, body keyed, now time.Time) error {
	entry, _, err := a.sealedEntry(body, now)
	if err != nil {
		return err
	}
	head, err := tx.LockHead()
	if err != nil {
		return err
	}
	_, err = appendEntries(tx, head, []Entry{entry})
	return err
}

// Authenticate finds who holds a key. Every failure reads the same, so that
// nothing can be learned about keys that exist.
func (a *Authority) Authenticate(ctx context.Context, bearer string) (Principal, error) {
	refused := fail(CodeUnauthenticated, "the API key is missing, unknown, revoked or expired; send Authorization: Bearer prv_…")
	id, secret, ok := splitKey(bearer)
	if !ok {
		return Principal{}, refused
	}
	k, err := a.Store.APIKey(ctx, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Principal{}, storeError("key", err)
	}
	hash := secretHash(secret)
	if subtle.ConstantTimeCompare(hash[:], k.Hash[:]) != 1 || err != nil || !k.holds(a.now()) {
		return Principal{}, refused
	}
	return k.principal(), nil
}

// holds reports whether the key is neither revoked nor expired.
func (k APIKey) holds(now time.Time) bool {
	return k.RevokedAt == nil && (k.ExpiresAt == nil || now.Before(*k.ExpiresAt))
}

func (k APIKey) principal() Principal {
	return Principal{Org: k.Org, KeyID: k.ID, Permissions: k.Permissions, Environment: k.Environment, ExpiresAt: k.ExpiresAt}
}

func splitKey(bearer string) (id, secret string, ok bool) {
	rest, prefixed := strings.CutPrefix(bearer, keyPrefix)
	id, secret, ok = strings.Cut(rest, "_")
	return keyPrefix + id, secret, prefixed && ok && id != "" && len(secret) >= 16 && len(bearer) <= api.MaxName
}

// newKey makes a key; its Secret is shown once and never kept.
func (a *Authority) newKey(org, by string, r api.CreateAPIKey, now time.Time) APIKey {
	id := keyPrefix + a.secret(10)
	secret := a.secret(25)
	return APIKey{Org: org, Hash: secretHash(secret), APIKey: api.APIKey{
		ID: id, Name: r.Name, Permissions: sorted(r.Permissions),
		Environment: r.Environment, CreatedAt: now, CreatedBy: by, ExpiresAt: r.ExpiresAt, Secret: id + "_" + secret,
	}}
}

func sorted(p []api.Permission) []api.Permission {
	return slices.Compact(slices.Sorted(slices.Values(p)))
}

// CreateAPIKey makes a key that holds no permission that its maker lacks.
func (a *Authority) CreateAPIKey(ctx context.Context, p Principal, r api.CreateAPIKey) (api.APIKey, error) {
	if err := p.need(api.KeyManage); err != nil {
		return api.APIKey{}, err
	}
	now := a.now()
	if err := checkKey(p, r, now); err != nil {
		return api.APIKey{}, err
	}
	if r.Environment == "" {
		r.Environment = p.Environment
	}
	if r.ExpiresAt == nil || p.ExpiresAt != nil && r.ExpiresAt.After(*p.ExpiresAt) { // no key outlives the one that made it
		r.ExpiresAt = p.ExpiresAt
	}
	k := a.newKey(p.Org, p.Actor(), r, now)
	err := a.Store.Update(ctx, p.Org, func(tx Tx) error {
		kept := k
		kept.Secret = ""
		if err := tx.SaveAPIKey(kept); err != nil {
			return err
		}
		return a.operatorAction(tx, p, now, "api_key.create", map[string]string{"api_key_id": k.ID, "name": k.Name})
	})
	if err != nil {
		return api.APIKey{}, storeError("key", err)
	}
	return k.APIKey, nil
}

func checkKey(p Principal, r api.CreateAPIKey, now time.Time) error {
	if err := api.CheckName("name", r.Name); err != nil {
		return invalid("/name", "%v: a name says what the key is for", err)
	}
	if len(r.Permissions) == 0 {
		return invalid("/permissions", "a key needs at least one permission")
	}
	for _, permission := range r.Permissions {
		if !slices.Contains(api.Permissions(), permission) {
			return invalid("/permissions", "there is no permission %q", permission)
		}
		if !p.May(permission) {
			return fail(CodeForbidden, "a key cannot give the permission %s that it lacks itself", permission)
		}
	}
	if r.Environment != "" {
		if err := api.CheckName("environment", r.Environment); err != nil {
			return invalid("/environment", "%v", err)
		}
	}
	if p.Environment != "" && r.Environment != "" && r.Environment != p.Environment {
		return fail(CodeForbidden, "this key is limited to the environment %q and can only make keys for it", p.Environment)
	}
	if r.ExpiresAt != nil && !r.ExpiresAt.After(now) {
		return invalid("/expires_at", "expires_at is in the past")
	}
	return nil
}

// APIKeys lists the org's keys, without secrets.
func (a *Authority) APIKeys(ctx context.Context, p Principal) ([]api.APIKey, error) {
	if err := p.need(api.KeyManage); err != nil {
		return nil, err
	}
	out := []api.APIKey{}
	err := a.Store.View(ctx, p.Org, func(s Snapshot) error {
		keys, err := s.APIKeys()
		for _, k := range keys {
			if p.sees(k.Environment) {
				out = append(out, k.APIKey)
			}
		}
		return err
	})
	return out, storeError("key", err)
}

// RevokeAPIKey ends a key at once. Revoking it again changes nothing.
func (a *Authority) RevokeAPIKey(ctx context.Context, p Principal, id string) (api.APIKey, error) {
	if err := p.need(api.KeyManage); err != nil {
		return api.APIKey{}, err
	}
	var out api.APIKey
	err := a.Store.Update(ctx, p.Org, func(tx Tx) error {
		keys, err := tx.APIKeys()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(keys, func(k APIKey) bool { return k.ID == id && p.sees(k.Environment) })
		if i < 0 {
			return ErrNotFound
		}
		k := keys[i]
		if out = k.APIKey; k.RevokedAt != nil {
			return nil
		}
		now := a.now()
		k.RevokedAt = &now
		out = k.APIKey
		if err := tx.SaveAPIKey(k); err != nil {
			return err
		}
		return a.operatorAction(tx, p, now, "api_key.revoke", map[string]string{"api_key_id": k.ID, "name": k.Name})
	})
	return out, storeError("key", err)
}
