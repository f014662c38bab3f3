package authority

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// scrubPage bounds what a scrub holds in memory.
const scrubPage = 256

// Scrub reads the org's whole log as it is stored and verifies it with the
// verifier's own code: each receipt's form and signature, its leaf, the nodes
// of the Merkle tree, every checkpoint and the head. It calls damage for each
// thing that is not as it was logged, and progress, if not nil, now and then.
// The error is of an outage only; a damaged log is a result.
func (a *Authority) Scrub(ctx context.Context, p Principal, damage func(api.Damage) error, progress func(done, size int64) error) (api.ScrubResult, error) {
	if err := p.need(api.AuditRead); err != nil {
		return api.ScrubResult{}, err
	}
	if p.Environment != "" {
		return api.ScrubResult{}, fail(CodeForbidden, "a scrub reads the whole log; this key is limited to the environment %q", p.Environment)
	}
	keys, err := a.receiptKeys(ctx)
	if err != nil {
		return api.ScrubResult{}, err
	}
	s := &scrub{Authority: a, org: p.Org, keys: keys, report: damage}
	err = a.Store.View(ctx, p.Org, func(snap Snapshot) (err error) {
		s.head, err = snap.Head()
		return err
	})
	for err == nil && s.next < s.head.Tree.Size() {
		if err = s.page(ctx); err == nil && progress != nil {
			err = progress(s.next, s.head.Tree.Size())
		}
	}
	if err == nil && !s.tree.Equal(s.head.Tree) {
		err = s.found(api.Damage{LogIndex: s.next, Check: "head", Detail: fmt.Sprintf("the receipts have the root %s, the head says %s", s.tree.Root(), s.head.Tree.Root())})
	}
	if err != nil {
		return api.ScrubResult{}, storeError("log", err)
	}
	return api.ScrubResult{Size: s.head.Tree.Size(), Receipts: s.receipts, Damages: s.damages}, nil
}

// ScrubAll scrubs the logs of all orgs and logs what it finds, for a server that starts.
func (a *Authority) ScrubAll(ctx context.Context) error {
	orgs, err := a.Store.Orgs(ctx)
	if err != nil {
		return storeError("org", err)
	}
	for _, o := range orgs {
		result, err := a.Scrub(ctx, System(o.Name), func(d api.Damage) error {
			a.Log.Error("the stored log is damaged", "org", o.Name, "log_index", d.LogIndex, "receipt", d.EventID, "check", d.Check, "detail", d.Detail)
			return nil
		}, func(int64, int64) error { return ctx.Err() })
		if err != nil {
			return err
		}
		a.Log.Info("scrubbed a log", "org", o.Name, "receipts", result.Receipts, "damages", result.Damages)
	}
	return nil
}

func (a *Authority) receiptKeys(ctx context.Context) (receipt.KeySet, error) {
	list, err := a.Store.SigningKeys(ctx)
	if err != nil {
		return nil, storeError("signing key", err)
	}
	keys := receipt.KeySet{}
	for _, k := range list {
		pub, err := base64.StdEncoding.DecodeString(k.PublicKey)
		if err == nil && k.Purpose == receipt.PurposeReceipt && receipt.AdmitKey(pub) == nil {
			keys[k.KeyID] = pub
		}
	}
	return keys, nil
}

// scrub is one under way.
type scrub struct {
	*Authority
	org      string
	keys     receipt.KeySet
	report   func(api.Damage) error
	head     Head
	tree     receipt.Tree // of the leaves up to next, as the receipts give them
	next     int64
	receipts int64
	damages  int64
}

func (s *scrub) found(d api.Damage) error {
	s.damages++
	return s.report(d)
}

// logPart is a part of the log as one snapshot shows it.
type logPart struct {
	entries     []Entry
	checkpoints map[int64]api.Checkpoint
	cosigned    map[int64][]Cosignature
	nodes       map[receipt.Node]bool
}

func (s *scrub) page(ctx context.Context) error {
	end := min(s.next+scrubPage, s.head.Tree.Size())
	var part logPart
	err := s.Store.View(ctx, s.org, func(snap Snapshot) (err error) {
		part, err = s.read(snap, end)
		return err
	})
	if err != nil {
		return err
	}
	if s.next == 0 {
		if err := s.checkpointAt(ctx, part); err != nil {
			return err
		}
	}
	for _, e := range part.entries {
		for ; s.next < e.Index; s.next++ {
			if err := s.missing(); err != nil {
				return err
			}
		}
		if err := s.entry(e, part); err != nil {
			return err
		}
		if err := s.checkpointAt(ctx, part); err != nil {
			return err
		}
	}
	for ; s.next < end; s.next++ {
		if err := s.missing(); err != nil {
			return err
		}
	}
	return nil
}

func (s *scrub) read(snap Snapshot, end int64) (logPart, error) {
	part := logPart{checkpoints: map[int64]api.Checkpoint{}, cosigned: map[int64][]Cosignature{}, nodes: map[receipt.Node]bool{}}
	var err error
	if part.entries, err = snap.Entries(EntryFilter{From: s.next, Before: end}, scrubPage); err != nil {
		return part, err
	}
	list, err := snap.Checkpoints(CheckpointFilter{From: s.next, Before: end + 1}, scrubPage+1)
	if err != nil {
		return part, err
	}
	for _, c := range list {
		part.checkpoints[c.Size] = c
	}
	cosigned, err := snap.Cosignatures(s.next, end+1)
	if err != nil {
		return part, err
	}
	for _, c := range cosigned {
		part.cosigned[c.Size] = append(part.cosigned[c.Size], c)
	}
	// At most one node of each level ends in a page.
	for level, width := 1, int64(receipt.TileWidth); width <= end; level, width = level+1, width*receipt.TileWidth {
		index := end/width - 1
		hashes, err := snap.Hashes(level, index, 1)
		if err != nil {
			return part, err
		}
		for _, h := range hashes {
			part.nodes[receipt.Node{Level: level, Index: index, Hash: h}] = true
		}
	}
	return part, nil
}

func (s *scrub) missing() error {
	s.tree = s.tree.Append(tlog.Hash{}) // the root cannot come out right any more
	return s.found(api.Damage{LogIndex: s.next, Check: string(receipt.CheckLogIndex), Detail: "there is no receipt with this log index"})
}

// entry verifies one receipt and what was stored beside it.
func (s *scrub) entry(e Entry, part logPart) error {
	s.receipts++
	leaf := e.Leaf
	d := api.Damage{LogIndex: e.Index, EventID: e.EventID}
	r, err := receipt.Open(e.Raw, s.keys)
	switch failed, ok := errors.AsType[*receipt.VerifyError](err); {
	case ok:
		d.Check, d.Detail = string(failed.Check), failed.Error()
	case err != nil:
		d.Check, d.Detail = string(receipt.CheckEnvelope), err.Error()
	case r.EventID != e.EventID || r.Kind != e.Kind || r.Org != s.org:
		d.Check, d.Detail = "columns", fmt.Sprintf("stored as %s of kind %s, signed as %s of kind %s and org %s", e.EventID, e.Kind, r.EventID, r.Kind, r.Org)
	case r.LeafHash != e.Leaf:
		leaf = r.LeafHash
		d.Check, d.Detail = "leaf", fmt.Sprintf("the stored leaf is %s, the receipt's is %s", e.Leaf, r.LeafHash)
	}
	if d.Check != "" {
		if err := s.found(d); err != nil {
			return err
		}
	}
	var nodes []receipt.Node
	s.tree, nodes = s.tree.AppendNodes(leaf)
	s.next = e.Index + 1
	for _, n := range nodes {
		if part.nodes[n] {
			continue
		}
		width := int64(receipt.TileWidth)
		for range n.Level - 1 {
			width *= receipt.TileWidth
		}
		err := s.found(api.Damage{LogIndex: n.Index * width, Check: "node", Detail: fmt.Sprintf("the node over the %d receipts from here on is missing or not %s", width, n.Hash)})
		if err != nil {
			return err
		}
	}
	return nil
}

// checkpointAt verifies the checkpoint of the size that was reached.
func (s *scrub) checkpointAt(ctx context.Context, part logPart) error {
	c, ok := part.checkpoints[s.next]
	if !ok {
		return nil
	}
	delete(part.checkpoints, s.next)
	d := api.Damage{LogIndex: s.next, Check: string(receipt.CheckCheckpoint)}
	signed, err := receipt.ParseCheckpoint(c.Note)
	if err == nil {
		_, err = s.verifierKey(ctx, c)
	}
	switch {
	case CodeOf(err) == CodeUnavailable:
		return err
	case err != nil:
		d.Detail = fmt.Sprintf("the checkpoint of size %d does not verify: %v", c.Size, err)
	case signed.Size != c.Size || signed.Root != s.tree.Root() || c.RootHash != signed.Root.String():
		d.Detail = fmt.Sprintf("the checkpoint of size %d says size %d and root %s, the receipts have the root %s", c.Size, signed.Size, signed.Root, s.tree.Root())
	default:
		return s.cosignatures(c, part.cosigned[c.Size])
	}
	return s.found(d)
}

// cosignatures verifies what witnesses signed for a checkpoint, each by the key that it was asked with.
func (s *scrub) cosignatures(c api.Checkpoint, collected []Cosignature) error {
	for _, k := range collected {
		w, err := receipt.ParseWitness(k.VKey)
		var at time.Time
		if err == nil {
			at, _, err = w.Cosigned(c.Note + k.Line)
		}
		if err == nil && !at.Equal(k.At) {
			err = fmt.Errorf("it states the time %s, and is kept with %s", at, k.At)
		}
		if err == nil {
			continue
		}
		detail := fmt.Sprintf("the cosignature of the checkpoint of size %d by %s does not verify: %v", c.Size, k.VKey, err)
		if err := s.found(api.Damage{LogIndex: c.Size, Check: string(receipt.CheckWitnesses), Detail: detail}); err != nil {
			return err
		}
	}
	return nil
}
