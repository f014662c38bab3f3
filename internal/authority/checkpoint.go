package authority

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/mod/sumdb/note"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// Checkpoint signs the head of the org's log. Each is persisted before it is
// shown, and a size is never shown with two roots.
func (a *Authority) Checkpoint(ctx context.Context, p Principal) (api.Checkpoint, error) {
	if err := p.need(api.AuditRead); err != nil {
		return api.Checkpoint{}, err
	}
	return a.checkpoint(ctx, p.Org)
}

func (a *Authority) checkpoint(ctx context.Context, org string) (api.Checkpoint, error) {
	id, err := a.logID(ctx, org)
	if err != nil {
		return api.Checkpoint{}, err
	}
	tree, err := a.moveAnchor(ctx, org, id)
	if err != nil {
		return api.Checkpoint{}, err
	}
	head := receipt.Checkpoint{Origin: a.originOf(id), Size: tree.Size(), Root: tree.Root()}
	var c api.Checkpoint
	err = a.Store.View(ctx, org, func(s Snapshot) (err error) {
		if c, err = s.CheckpointAt(head.Size); err == nil {
			err = cosigned(s, &c)
		}
		return err
	})
	if errors.Is(err, ErrNotFound) { // nobody has cosigned yet what is signed only now
		c, err = a.sign(ctx, org, head)
	}
	if err != nil {
		return api.Checkpoint{}, storeError("checkpoint", err)
	}
	// Another server may have signed this size first: its note is shown, unless
	// it speaks of another log than the one that is here.
	if c.RootHash != head.Root.String() {
		return api.Checkpoint{}, damaged(fmt.Errorf("the log has at size %d the root %s, and a checkpoint of that size the root %s", head.Size, head.Root, c.RootHash))
	}
	c.VKey, err = a.verifierKey(ctx, c)
	return c, err
}

// sign signs a head and persists it, unless another server did so meanwhile:
// either way it returns what is persisted.
func (a *Authority) sign(ctx context.Context, org string, head receipt.Checkpoint) (api.Checkpoint, error) {
	signer, _, err := receipt.NoteKeys(head.Origin, a.CheckpointKey)
	if err != nil {
		return api.Checkpoint{}, &Error{Code: CodeInternal, Detail: "the checkpoint key cannot be used", Cause: err}
	}
	text, err := receipt.SignCheckpoint(head, signer)
	if err != nil {
		return api.Checkpoint{}, &Error{Code: CodeInternal, Detail: "the checkpoint could not be signed", Cause: err}
	}
	c := api.Checkpoint{Origin: head.Origin, Size: head.Size, RootHash: head.Root.String(), Note: text}
	err = a.Store.Update(ctx, org, func(tx Tx) (err error) {
		c, err = tx.SaveCheckpoint(c)
		return err
	})
	return c, err
}

// damaged is the error of a log that does not agree with itself.
func damaged(cause error) error {
	return &Error{Code: CodeInternal, Detail: "the stored log does not agree with itself: run prova log scrub, which names what is damaged", Cause: cause}
}

// CheckpointAt reads the checkpoint of a size that was signed before.
func (a *Authority) CheckpointAt(ctx context.Context, p Principal, size int64) (api.Checkpoint, error) {
	if err := p.need(api.AuditRead); err != nil {
		return api.Checkpoint{}, err
	}
	var c api.Checkpoint
	err := a.Store.View(ctx, p.Org, func(s Snapshot) (err error) {
		if c, err = s.CheckpointAt(size); err == nil {
			err = cosigned(s, &c)
		}
		return err
	})
	if err != nil {
		return api.Checkpoint{}, storeError(fmt.Sprintf("checkpoint: none of size %d was signed", size), err)
	}
	c.VKey, err = a.verifierKey(ctx, c)
	return c, err
}

// newestCheckpoint reads the last one that was signed.
func (a *Authority) newestCheckpoint(ctx context.Context, org string) (api.Checkpoint, error) {
	var c api.Checkpoint
	err := a.Store.View(ctx, org, func(s Snapshot) (err error) {
		if c, err = s.Checkpoint(); err == nil {
			err = cosigned(s, &c)
		}
		return err
	})
	if err != nil {
		return c, storeError("checkpoint", err)
	}
	c.VKey, err = a.verifierKey(ctx, c)
	return c, err
}

// Checkpoints lists the checkpoints that were signed, largest first.
func (a *Authority) Checkpoints(ctx context.Context, p Principal, cursor string, limit int) (api.List[api.Checkpoint], error) {
	var none api.List[api.Checkpoint]
	if err := p.need(api.AuditRead); err != nil {
		return none, err
	}
	before, err := cursorNumber(cursor)
	if err != nil {
		return none, err
	}
	var found []api.Checkpoint
	err = a.Store.View(ctx, p.Org, func(s Snapshot) (err error) {
		if found, err = s.Checkpoints(CheckpointFilter{Before: before, Newest: true}, limit+1); err != nil {
			return err
		}
		each := make([]*api.Checkpoint, len(found))
		for i := range found {
			each[i] = &found[i]
		}
		return cosigned(s, each...)
	})
	if err != nil {
		return none, storeError("checkpoint", err)
	}
	for i := range found {
		if found[i].VKey, err = a.verifierKey(ctx, found[i]); err != nil {
			return none, err
		}
	}
	return page(found, limit, func(c api.Checkpoint) string { return strconv.FormatInt(c.Size, 10) }), nil
}

// verifierKey finds which server's checkpoint key signed a checkpoint.
func (a *Authority) verifierKey(ctx context.Context, c api.Checkpoint) (string, error) {
	keys, err := a.Store.SigningKeys(ctx)
	if err != nil {
		return "", storeError("signing key", err)
	}
	for _, k := range keys {
		pub, err := base64.StdEncoding.DecodeString(k.PublicKey)
		if err != nil || k.Purpose != receipt.PurposeCheckpoint {
			continue
		}
		vkey, err := receipt.VerifierKey(c.Origin, pub)
		if err != nil {
			return "", damaged(err)
		}
		verifier, err := receipt.NewNoteVerifier(vkey)
		if err != nil {
			return "", damaged(err)
		}
		if _, err := receipt.OpenCheckpoint(c.Note, note.VerifierList(verifier)); err == nil {
			return vkey, nil
		}
	}
	return "", damaged(fmt.Errorf("no known key signed the checkpoint of size %d", c.Size))
}

// originOf names a log in checkpoints.
func (a *Authority) originOf(logID string) string { return a.Origin + "/" + logID }

func (a *Authority) logID(ctx context.Context, org string) (string, error) {
	orgs, err := a.Store.Orgs(ctx)
	if err != nil {
		return "", storeError("org", err)
	}
	for _, o := range orgs {
		if o.Name == org {
			return o.LogID, nil
		}
	}
	return "", notFound("org")
}
