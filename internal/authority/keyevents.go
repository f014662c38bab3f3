package authority

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// errKeyEnded marks a receipt whose key ended between its signature and its place in the log.
var errKeyEnded = errors.New("the key has ended")

// keyEventBody is the body of a key_event receipt.
type keyEventBody struct {
	common
	Event     string         `json:"event"` // add, retire or revoke
	Key       api.SigningKey `json:"key"`
	FromIndex *int64         `json:"from_index,omitempty"`
	Reason    string         `json:"reason,omitempty"`
}

// keyChange is an operator's change of the keys, made in the logs of all orgs.
type keyChange struct {
	by     Principal
	reason string
	now    time.Time
}

func (a *Authority) keyChange(p Principal, reason string) (keyChange, error) {
	if err := operator(p); err != nil {
		return keyChange{}, err
	}
	reason = strings.TrimSpace(reason)
	if reason == "" || len(reason) > maxReason || !utf8.ValidString(reason) || strings.ContainsRune(reason, 0) {
		return keyChange{}, invalid("/reason", "say why, in 1 to %d bytes of text: the reason stands in the signed receipt", maxReason)
	}
	return keyChange{by: p, reason: reason, now: a.now()}, nil
}

// actor names the operator in the operator's own log; the others' show no id of it.
func (c keyChange) actor(org string) Principal {
	if org == c.by.Org {
		return c.by
	}
	return System(org)
}

func signingKey(s receipt.Signer, now time.Time) api.SigningKey {
	return api.SigningKey{KeyID: s.KeyID(), Purpose: receipt.PurposeReceipt, Algorithm: "ed25519", PublicKey: base64.StdEncoding.EncodeToString(s.Public()), CreatedAt: now}
}

// addKey appends the addition of a key unless the log knows it. It takes the head's lock.
func (a *Authority) addKey(tx Tx, p Principal, key api.SigningKey, reason string, now time.Time) error {
	head, err := tx.LockHead()
	if err != nil {
		return err
	}
	states, err := keyStates(tx)
	if err != nil {
		return err
	}
	if _, known := states[key.KeyID]; known {
		return nil
	}
	body := keyEventBody{common: a.common(p, api.KindKeyEvent, now), Event: "add", Key: key, Reason: reason}
	body.KeyID = a.introducer(states, head.Tree.Size()).KeyID()
	return a.signed(tx, body, now)
}

// RotateKey gives this server a new receipt key: the present key signs the
// addition of the new one in each log, from then on the new one signs, and it
// signs the retirement of the old one.
//
// A crash leaves a server that starts and signs: the new key counts once the
// default org's log has it, and the next start does what is left. An unused new
// key of a rotation that broke off is taken by the next one.
func (a *Authority) RotateKey(ctx context.Context, p Principal, reason string) (api.KeyChange, error) {
	c, err := a.keyChange(p, reason)
	if err != nil {
		return api.KeyChange{}, err
	}
	if a.KeyRing == nil {
		return api.KeyChange{}, fail(CodeConflict, "this server's keys are not kept where a new one could be made")
	}
	a.rotating.Lock()
	defer a.rotating.Unlock()
	old := a.signer()
	next, err := a.unusedKey(ctx)
	if err != nil {
		return api.KeyChange{}, err
	}
	key := signingKey(next, c.now)
	if err := a.Store.SaveSigningKey(ctx, key); err != nil {
		return api.KeyChange{}, storeError("signing key", err)
	}
	// The default org comes first: its log decides at a start.
	if err := a.eachLog(ctx, func(org string) error {
		return a.Store.Update(ctx, org, func(tx Tx) error { return a.addKey(tx, c.actor(org), key, c.reason, c.now) })
	}); err != nil {
		return api.KeyChange{}, err
	}
	own := a.signing.Load()
	all := own.all
	if _, ok := own.find(next.KeyID()); !ok {
		all = append(slices.Clip(all), next)
	}
	a.signing.Store(&signers{current: next, all: all})
	if err := a.eachLog(ctx, func(org string) error {
		_, err := a.endKey(ctx, org, c, "retire", old.KeyID(), nil)
		return err
	}); err != nil {
		return api.KeyChange{}, err
	}
	return api.KeyChange{Event: "rotate", Key: key, Ended: old.KeyID(), Reason: c.reason}, nil
}

// unusedKey is a key of the ring that no log knows, or a new one.
func (a *Authority) unusedKey(ctx context.Context) (receipt.Signer, error) {
	all, err := a.KeyRing.Signers()
	if err != nil {
		return receipt.Signer{}, &Error{Code: CodeInternal, Detail: "the receipt keys in the data directory cannot be read", Cause: err}
	}
	known := map[string]bool{}
	err = a.eachLog(ctx, func(org string) error {
		return a.Store.View(ctx, org, func(s Snapshot) error {
			states, err := keyStates(s)
			for id := range states {
				known[id] = true
			}
			return err
		})
	})
	if err != nil {
		return receipt.Signer{}, err
	}
	for _, s := range all {
		if !known[s.KeyID()] {
			return s, nil
		}
	}
	s, err := a.KeyRing.Create()
	if err != nil {
		return s, &Error{Code: CodeInternal, Detail: "the new receipt key could not be written", Cause: err}
	}
	return s, nil
}

// eachLog calls fn for each org, the default one first.
func (a *Authority) eachLog(ctx context.Context, fn func(org string) error) error {
	orgs, err := a.Store.Orgs(ctx)
	if err != nil {
		return storeError("org", err)
	}
	if err := fn(DefaultOrg); err != nil {
		return storeError("log", err)
	}
	for _, o := range orgs {
		if o.Name == DefaultOrg {
			continue
		}
		if err := fn(o.Name); err != nil {
			return storeError("log", err)
		}
	}
	return nil
}

// AddKey adds another server's receipt key, so that auditors who know this
// server's follow it. A key that is there already stays as it is.
func (a *Authority) AddKey(ctx context.Context, p Principal, r api.AddKey) (api.KeyChange, error) {
	c, err := a.keyChange(p, r.Reason)
	if err != nil {
		return api.KeyChange{}, err
	}
	trust, err := receipt.ParsePublicKeys([]byte(r.PublicKey))
	if err != nil || len(trust.Receipt) != 1 || len(trust.Checkpoint)+len(trust.CheckpointKeys) != 0 {
		return api.KeyChange{}, invalid("/public_key", "public_key is not one receipt key of 32 bytes in base64 or hex")
	}
	var key api.SigningKey
	for id, pub := range trust.Receipt {
		key = api.SigningKey{KeyID: id, Purpose: receipt.PurposeReceipt, Algorithm: "ed25519", PublicKey: base64.StdEncoding.EncodeToString(pub), CreatedAt: c.now}
	}
	if err := a.Store.SaveSigningKey(ctx, key); err != nil {
		return api.KeyChange{}, storeError("signing key", err)
	}
	err = a.eachLog(ctx, func(org string) error {
		return a.Store.Update(ctx, org, func(tx Tx) error { return a.addKey(tx, c.actor(org), key, c.reason, c.now) })
	})
	return api.KeyChange{Event: "add", Key: key, Reason: c.reason}, err
}

// RetireKey ends a receipt key from now on, as planned: what it signed stays good.
func (a *Authority) RetireKey(ctx context.Context, p Principal, id, reason string) (api.KeyChange, error) {
	c, err := a.keyChange(p, reason)
	if err != nil {
		return api.KeyChange{}, err
	}
	return a.end(ctx, c, "retire", id, nil)
}

// RevokeKey ends a receipt key that others may have: from r.Since on, or from
// now on, nothing that it signed is to be believed.
func (a *Authority) RevokeKey(ctx context.Context, p Principal, id string, r api.RevokeKey) (api.KeyChange, error) {
	c, err := a.keyChange(p, r.Reason)
	if err != nil {
		return api.KeyChange{}, err
	}
	if r.Since != nil && r.Since.After(c.now) {
		return api.KeyChange{}, invalid("/since", "since is in the future; leave it out to revoke the key from now on")
	}
	return a.end(ctx, c, "revoke", id, r.Since)
}

func (a *Authority) end(ctx context.Context, c keyChange, event, id string, since *time.Time) (api.KeyChange, error) {
	key, err := a.SigningKey(ctx, id)
	if err != nil {
		return api.KeyChange{}, err
	}
	if key.Purpose != receipt.PurposeReceipt {
		return api.KeyChange{}, fail(CodeConflict, "the key %s is for checkpoints; only receipt keys are retired and revoked", id)
	}
	a.rotating.Lock()
	defer a.rotating.Unlock()
	if id == a.signer().KeyID() {
		return api.KeyChange{}, fail(CodeConflict, "the key %s is the one that this server signs with, and a successor comes first: rotate it (prova keys rotate), then %s the old one", id, event)
	}
	out := api.KeyChange{Event: event, Key: key, Ended: id, Reason: c.reason}
	err = a.eachLog(ctx, func(org string) error {
		from, err := a.endKey(ctx, org, c, event, id, since)
		if org == c.by.Org {
			out.FromIndex = from
		}
		return err
	})
	return out, err
}

// endKey appends the end of a key to an org's log, unless it ended there as early before.
func (a *Authority) endKey(ctx context.Context, org string, c keyChange, event, id string, since *time.Time) (from *int64, err error) {
	key, err := a.SigningKey(ctx, id)
	if err != nil {
		return nil, err
	}
	err = a.Store.Update(ctx, org, func(tx Tx) error {
		from = nil
		head, err := tx.LockHead()
		if err != nil {
			return err
		}
		states, err := keyStates(tx)
		if err != nil {
			return err
		}
		k, known := states[id]
		index := head.Tree.Size()
		first := index
		if since != nil {
			later, err := tx.Entries(EntryFilter{Since: *since}, 1)
			if err != nil {
				return err
			}
			if len(later) > 0 {
				first = later[0].Index
			}
		}
		if !known || first >= k.until {
			return nil
		}
		if err := a.survives(states, id, first); err != nil {
			return err
		}
		body := keyEventBody{common: a.common(c.actor(org), api.KindKeyEvent, c.now), Event: event, Key: key, FromIndex: &first, Reason: c.reason}
		if err := a.signed(tx, body, c.now); err != nil {
			return err
		}
		from = &first
		return tx.EndKey(id, first)
	})
	return from, storeError("log", err)
}

// survives refuses an end that would take the trust in this server's key away:
// if the ended key, or one that it added from there on, added it.
func (a *Authority) survives(states map[string]keyState, id string, from int64) error {
	for at := a.signer().KeyID(); ; {
		k, known := states[at]
		if !known || k.by == at {
			return nil
		}
		if k.by == id && k.at >= from {
			return fail(CodeConflict, "the key %s added this server's key at index %d of the log, so revoking it from index %d on would leave this server without a key that auditors follow. "+
				"Revoke it from a later time on; or on another server, whose key was added before; or start a server with a new key that you hand to the auditors yourself", id, k.at, from)
		}
		at = k.by
	}
}

// retireSuperseded does what a rotation that broke off has left: it ends the
// keys of this server that are older than the present one.
func (a *Authority) retireSuperseded(ctx context.Context, org string) error {
	own := a.signing.Load()
	c := keyChange{by: System(org), reason: "superseded by a rotation that broke off and was completed at a start", now: a.now()}
	var states map[string]keyState
	err := a.Store.View(ctx, org, func(s Snapshot) (err error) {
		states, err = keyStates(s)
		return err
	})
	if err != nil {
		return storeError("log", err)
	}
	for _, s := range own.all {
		if _, known := states[s.KeyID()]; !known || s.KeyID() == own.current.KeyID() {
			continue
		}
		if _, err := a.endKey(ctx, org, c, "retire", s.KeyID(), nil); err != nil {
			return fmt.Errorf("retire the key %s: %w", s.KeyID(), err)
		}
	}
	return nil
}
