package authority

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// exportBody is the body of an export receipt: evidence was handed out, to the
// actor, and this is what.
type exportBody struct {
	common
	Manifest receipt.Manifest `json:"manifest"`
}

// Bundle streams, as a tar, what an auditor needs to verify one receipt, one
// rollout or a range of the log with no account here. A range without an end
// goes to the end of the log.
//
// The log is read twice: once to sum the files up for the signed manifest, and
// once to write them. Between the two the export receipt is appended to the
// log, so that nothing is handed out without one; after a crash in between
// there is a receipt of a bundle that nobody got. An error before the first
// byte leaves w untouched; one after it leaves a tar without its end. It waits
// for cosignatures as [Authority.CosignedCheckpoint] does.
func (a *Authority) Bundle(ctx context.Context, p Principal, scope receipt.Scope, wait time.Duration, w io.Writer) error {
	if err := p.need(api.AuditRead); err != nil {
		return err
	}
	b, err := a.planBundle(ctx, p, scope, wait)
	if err != nil {
		return storeError(scope.Claim(), err)
	}
	if err := b.sum(ctx); err != nil {
		return storeError("log", err)
	}
	manifest, err := a.handOut(ctx, p, b.signer, b.manifest)
	if err != nil {
		return err
	}
	if err := b.write(ctx, w, manifest); err != nil {
		return storeError("log", err)
	}
	return nil
}

// handOut appends the export receipt to the log.
func (a *Authority) handOut(ctx context.Context, p Principal, signer string, m receipt.Manifest) ([]byte, error) {
	now := a.now()
	body := exportBody{a.common(p, receipt.KindExport, now), m}
	body.KeyID = signer
	entry, sealed, err := a.sealedEntry(body, now)
	if err != nil {
		return nil, err
	}
	err = a.Store.Update(ctx, p.Org, func(tx Tx) error {
		head, err := tx.LockHead()
		if err != nil {
			return err
		}
		_, err = appendEntries(tx, head, []Entry{entry})
		return err
	})
	return sealed.Raw, storeError("log", err)
}

// bundle is a bundle on its way.
type bundle struct {
	a   *Authority
	org string
	// signer is the key that signs the manifest: the one of before the checkpoint, whose addition the bundle holds.
	signer   string
	manifest receipt.Manifest
	// pick selects the receipts besides the key events, and kinds those kinds; nil is all.
	pick      EntryFilter
	kinds     map[string]bool
	keyEvents []Entry
	proofs    []string // event ids of receipts that need one, in log order
	small     map[string][]byte
}

// planBundle finds out what belongs into a bundle, and signs the head of the log that holds it.
func (a *Authority) planBundle(ctx context.Context, p Principal, scope receipt.Scope, wait time.Duration) (*bundle, error) {
	openEnd := scope.From != nil && scope.To == nil
	if !openEnd {
		if err := scope.Check(); err != nil {
			return nil, invalid("", "%v", err)
		}
	}
	b := &bundle{a: a, org: p.Org, signer: a.signer().KeyID(), small: map[string][]byte{receipt.FileReadme: receipt.BundleReadme()}}
	first := int64(0)
	var err error
	switch {
	case scope.Receipt != "":
		err = b.planReceipt(ctx, p, scope.Receipt)
	case scope.Rollout != "":
		first, err = b.planRollout(ctx, p, scope.Rollout)
	case p.Environment != "":
		err = fail(CodeForbidden, "a range holds the whole log; this key is limited to the environment %q", p.Environment)
	}
	if err != nil {
		return nil, err
	}
	// The head is signed after the receipts were found, so it covers them.
	c, err := a.CosignedCheckpoint(ctx, p, wait)
	if err != nil {
		return nil, err
	}
	if scope.From != nil {
		if openEnd {
			scope.To = &c.Size
		}
		if *scope.From < 0 || *scope.From >= *scope.To || *scope.To > c.Size {
			return nil, invalid("/from", "the range from %d to %d (exclusive) holds nothing of a log of %d receipts", *scope.From, *scope.To, c.Size)
		}
		first, b.pick = *scope.From, EntryFilter{From: *scope.From, Before: *scope.To}
	}
	b.manifest = receipt.Manifest{
		Version: receipt.BundleVersion, Scope: scope, Origin: c.Origin, Size: c.Size,
		Counts: map[string]int64{}, Redactions: []receipt.Redaction{},
	}
	b.manifest.Completeness.Claim = scope.Claim()
	if scope.Receipt != "" {
		first = c.Size
	}
	return b, b.planProofs(ctx, c, first)
}

func (b *bundle) planReceipt(ctx context.Context, p Principal, eventID string) error {
	return b.a.Store.View(ctx, p.Org, func(s Snapshot) error {
		e, err := s.Entry(eventID)
		if err == nil && !p.sees(e.Environment) {
			err = ErrNotFound
		}
		b.pick = EntryFilter{From: e.Index, Before: e.Index + 1}
		if b.proofs = nil; e.Kind != api.KindKeyEvent { // those have theirs anyway
			b.proofs = []string{eventID}
		}
		return err
	})
}

// evidenceKinds are those that a rollout's decisions rest on.
func evidenceKinds() map[string]bool {
	return map[string]bool{
		api.KindAgentRun: true, api.KindOutcome: true, api.KindJudgment: true, api.KindCalibration: true,
		api.KindRolloutCreated: true, api.KindRolloutDecision: true, api.KindRolloutAction: true,
	}
}

// planRollout selects the rollout's receipts, and of its agent every run and
// every rollout from where its evidence begins: rebuilding a decision takes the
// runs, and the weights that others changed between them. It returns the log
// index from which on leaves are needed.
func (b *bundle) planRollout(ctx context.Context, p Principal, id string) (first int64, err error) {
	err = b.a.Store.View(ctx, p.Org, func(s Snapshot) error {
		record, err := s.Rollout(id)
		if err != nil {
			return err
		}
		r, err := open(record)
		if err != nil {
			return err
		}
		if !p.sees(r.Environment) {
			return ErrNotFound
		}
		last, err := s.Entries(EntryFilter{RolloutID: id, Newest: true}, 1)
		if err != nil || len(last) == 0 {
			return errors.Join(err, damagedIf(err == nil, "rollout %s has no receipt", id))
		}
		if first, err = firstOf(s, r); err != nil {
			return err
		}
		b.kinds = evidenceKinds()
		b.pick = EntryFilter{AppID: r.AppID, Environment: r.Environment, From: first, Before: last[0].Index + 1}
		return nil
	})
	return first, err
}

func damagedIf(is bool, format string, args ...any) error {
	if !is {
		return nil
	}
	return damaged(fmt.Errorf(format, args...))
}

// firstOf is the log index where the evidence of a rollout begins: its first
// epoch, the history that it is compared with, and the creation of the rollouts
// that it continues.
func firstOf(s Snapshot, r stored) (int64, error) {
	epoch, err := s.Epoch(r.AppID, r.Environment, r.FirstEpoch)
	if err != nil {
		return 0, err
	}
	first := epoch.FirstIndex
	if h := r.Core.History; h.Runs > 0 {
		first = min(first, h.FirstIndex)
	}
	seen := map[string]bool{}
	for id := r.Core.ID; id != "" && !seen[id]; {
		seen[id] = true
		entries, err := s.Entries(EntryFilter{RolloutID: id, Kind: api.KindRolloutCreated}, 1)
		if err != nil || len(entries) == 0 {
			return 0, errors.Join(err, damagedIf(err == nil, "rollout %s has no receipt", id))
		}
		first = min(first, entries[0].Index)
		var body createdBody
		created, err := receipt.Parse(entries[0].Raw)
		if err == nil {
			err = json.Unmarshal(created.Body, &body)
		}
		if err != nil {
			return 0, damaged(err)
		}
		id = body.Continues
	}
	return first, nil
}

// planProofs makes the small files: keys, checkpoint, and the proofs of the
// receipts that lie before the leaves.
func (b *bundle) planProofs(ctx context.Context, c api.Checkpoint, first int64) error {
	keys, err := b.a.evidenceKeys(ctx, c)
	if err != nil {
		return err
	}
	if b.small[receipt.FileKeys], err = receipt.BundleKeys(keys); err != nil {
		return err
	}
	b.small[receipt.FileCheckpoint] = []byte(c.Note)
	err = b.each(ctx, EntryFilter{Kind: api.KindKeyEvent, Before: c.Size}, func(e Entry) error {
		b.keyEvents = append(b.keyEvents, e)
		return nil
	})
	if err != nil {
		return err
	}
	var early []string
	for _, e := range b.keyEvents {
		if e.Index < first {
			early = append(early, e.EventID)
		}
	}
	b.proofs = append(early, b.proofs...)
	for _, id := range b.proofs {
		proof, err := b.a.ProveInclusion(ctx, System(b.org), InclusionQuery{EventID: id, Size: c.Size})
		if err != nil {
			return err
		}
		if b.small[receipt.ProofFile(id)], err = proofUnder(c, proof.Proof); err != nil {
			return err
		}
	}
	if first == c.Size {
		return nil
	}
	tree, err := b.a.treeAt(ctx, b.org, first)
	b.manifest.Tree = &tree
	return err
}

// proofUnder is a proof whose checkpoint is the bundle's to the byte: a witness
// may have cosigned it between the two.
func proofUnder(c api.Checkpoint, text string) ([]byte, error) {
	p, err := receipt.ParseProof(text)
	if err != nil {
		return nil, damaged(err)
	}
	p.Checkpoint = c.Note
	return p.MarshalText()
}

// treeAt is the tree that the log had at a size.
func (a *Authority) treeAt(ctx context.Context, org string, size int64) (receipt.Tree, error) {
	var tree receipt.Tree
	err := a.hashes(ctx, org, func(_ Snapshot, head Head, source receipt.HashSource) (err error) {
		tree, err = head.Tree.Before(size, source)
		return err
	})
	return tree, err
}

// evidenceKeys are the public keys that go along with evidence for convenience.
func (a *Authority) evidenceKeys(ctx context.Context, c api.Checkpoint) ([]receipt.PublicKey, error) {
	keys, err := a.Store.SigningKeys(ctx)
	if err != nil {
		return nil, storeError("signing key", err)
	}
	var out []receipt.PublicKey
	for _, k := range keys {
		if k.Purpose == receipt.PurposeReceipt {
			out = append(out, receipt.PublicKey{KeyID: k.KeyID, Purpose: k.Purpose, Algorithm: k.Algorithm, PublicKey: k.PublicKey})
		}
	}
	key, err := receipt.NewCheckpointPublicKey(c.VKey)
	if err != nil {
		return nil, &Error{Code: CodeInternal, Detail: "the checkpoint's key cannot be written", Cause: err}
	}
	return append(out, key), nil
}
