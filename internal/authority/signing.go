package authority

import (
	"context"
	"encoding/json"
	"math"
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// KeyRing keeps this server's private receipt keys, outside the database.
type KeyRing interface {
	// Signers are all that are at hand, those of ended keys too.
	Signers() ([]receipt.Signer, error)
	// Create makes one more; when it returns, the key survives a power cut.
	Create() (receipt.Signer, error)
}

// keyState is what a log's key events say of a key.
type keyState struct {
	purpose string
	at      int64  // log index of its addition
	by      string // the key that signed the addition
	until   int64  // it signs below this index
	end     string // retire or revoke; empty while it signs
}

// maxKeyEvents bounds the key events of a log that are read: as many as a verifier follows.
const maxKeyEvents = 8192

// keyStates reads the key events of a log. Receipts of another shape are passed over.
func keyStates(s Snapshot) (map[string]keyState, error) {
	events, err := s.Entries(EntryFilter{Kind: api.KindKeyEvent}, maxKeyEvents)
	if err != nil {
		return nil, err
	}
	states := map[string]keyState{}
	for _, e := range events {
		var body keyEventBody
		r, err := receipt.Parse(e.Raw)
		if err != nil || json.Unmarshal(r.Body, &body) != nil {
			continue
		}
		k, known := states[body.Key.KeyID]
		switch {
		case body.Event == "add" && !known:
			states[body.Key.KeyID] = keyState{purpose: body.Key.Purpose, at: e.Index, by: r.KeyID, until: math.MaxInt64}
		case body.Event != "add" && known:
			from := e.Index + 1
			if body.FromIndex != nil {
				from = *body.FromIndex
			}
			if from < k.until {
				k.until, k.end = from, body.Event
			}
			states[body.Key.KeyID] = k
		}
	}
	return states, nil
}

// logKeys are the keys of the default org's log, and its size.
func (a *Authority) logKeys(ctx context.Context) (states map[string]keyState, size int64, err error) {
	err = a.Store.View(ctx, DefaultOrg, func(s Snapshot) error {
		head, err := s.Head()
		if err != nil {
			return err
		}
		size = head.Tree.Size()
		states, err = keyStates(s)
		return err
	})
	return states, size, err
}

// holds reports whether the key may sign receipts at the end of a log of a size.
func (k keyState) holds(size int64) bool {
	return k.purpose == receipt.PurposeReceipt && size < k.until
}

// signers are this server's receipt keys.
type signers struct {
	current receipt.Signer
	all     []receipt.Signer
}

func (s *signers) find(id string) (receipt.Signer, bool) {
	i := slices.IndexFunc(s.all, func(k receipt.Signer) bool { return k.KeyID() == id })
	if i < 0 {
		return receipt.Signer{}, false
	}
	return s.all[i], true
}

// signer is the key that this server signs with now.
func (a *Authority) signer() receipt.Signer { return a.signing.Load().current }

// chooseSigner settles which of its keys the server signs with: of those that
// hold in the default org's log the one that was added last. The log decides,
// so a rotation that broke off anywhere leaves one that signs.
func (a *Authority) chooseSigner(ctx context.Context) error {
	if a.KeyRing == nil {
		return nil
	}
	all, err := a.KeyRing.Signers()
	if err != nil {
		return &Error{Code: CodeInternal, Detail: "the receipt keys in the data directory cannot be read", Cause: err}
	}
	states, size, err := a.logKeys(ctx)
	if err != nil {
		return storeError("log", err)
	}
	chosen := signers{current: a.Signer, all: all}
	newest, known := int64(-1), 0
	for _, s := range all {
		k, added := states[s.KeyID()]
		if added {
			known++
		}
		if added && k.holds(size) && k.at > newest {
			chosen.current, newest = s, k.at
		}
	}
	if newest < 0 && known > 0 {
		return fail(CodeReadOnly, "every receipt key in the data directory was retired or revoked, so nothing can be signed with them. Start this server with another data directory: "+
			"make its keys with prova keys new --data DIR, and add the receipt key that it prints with prova keys add on a server whose key holds")
	}
	a.signing.Store(&chosen)
	return nil
}

// introducer is the key that signs the addition of another one: the present
// one, or one of this server's that holds in this log already. A key adds
// itself only where there is none.
func (a *Authority) introducer(states map[string]keyState, size int64) receipt.Signer {
	own := a.signing.Load()
	if states[own.current.KeyID()].holds(size) {
		return own.current
	}
	for _, s := range own.all {
		if states[s.KeyID()].holds(size) {
			return s
		}
	}
	return own.current
}

// checkSigners refuses receipts that were signed with a key that has ended
// since. It is called under the head's lock.
func checkSigners(tx Tx, entries []Entry) error {
	checked := ""
	for _, e := range entries {
		if e.KeyID == checked {
			continue
		}
		until, ended, err := tx.KeyEnd(e.KeyID)
		if err != nil {
			return err
		}
		if ended && e.Index >= until {
			return &Error{Code: CodeUnavailable, Cause: errKeyEnded, Detail: "the receipt was signed with a key that was retired or revoked meanwhile, and was not recorded; send it again. " +
				"If it stays so, this server's key was ended by another server: give this one a new key (prova keys list --signing shows which hold)"}
		}
		checked = e.KeyID
	}
	return nil
}
