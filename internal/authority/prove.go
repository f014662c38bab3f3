package authority

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// InclusionQuery asks for the proof that a receipt stands in the log.
type InclusionQuery struct {
	// EventID names the receipt; empty leaves that to Index.
	EventID string
	Index   int64
	// Size is that of the log that the proof is for; 0 is the present one, which is signed for it.
	Size int64
}

// ProveInclusion makes and checks the proof that a receipt stands in the org's
// log. The leaf is hashed anew from the receipt as it is stored, so that no
// proof is made of a receipt that was changed.
func (a *Authority) ProveInclusion(ctx context.Context, p Principal, q InclusionQuery) (api.InclusionProof, error) {
	var out api.InclusionProof
	if err := p.need(api.AuditRead); err != nil {
		return out, err
	}
	if q.Size == 0 {
		c, err := a.checkpoint(ctx, p.Org)
		if err != nil {
			return out, err
		}
		q.Size = c.Size
	}
	err := a.hashes(ctx, p.Org, func(s Snapshot, head Head, source receipt.HashSource) error {
		e, err := entryOf(s, q)
		if err == nil && !p.sees(e.Environment) {
			err = ErrNotFound
		}
		if err != nil {
			return storeError("receipt", err)
		}
		if err := q.within(e.Index, head.Tree.Size()); err != nil {
			return err
		}
		r, err := receipt.Parse(e.Raw)
		if err == nil && (r.EventID != e.EventID || r.LeafHash != e.Leaf) {
			err = errors.New("its id or its leaf hash is another")
		}
		if err != nil {
			return damaged(fmt.Errorf("receipt %s at index %d is not the one that was logged: %w", e.EventID, e.Index, err))
		}
		root, hashes, err := inclusion(head.Tree, e.Index, q.Size, r.LeafHash, source)
		if err != nil {
			return err
		}
		out = api.InclusionProof{EventID: e.EventID, LogIndex: e.Index, Size: q.Size, RootHash: root.String(), LeafHash: r.LeafHash.String(), Hashes: texts(hashes)}
		c, err := s.CheckpointAt(q.Size)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err == nil {
			err = cosigned(s, &c)
		}
		if err != nil {
			return storeError("checkpoint", err)
		}
		if c.RootHash != out.RootHash {
			return damaged(fmt.Errorf("the checkpoint of size %d has root %s and the log %s", c.Size, c.RootHash, out.RootHash))
		}
		text, err := receipt.Proof{Index: e.Index, Hashes: hashes, Checkpoint: c.Note}.MarshalText()
		out.Proof = string(text)
		return err
	})
	return out, err
}

// within checks what a query asks of a log that has size receipts.
func (q InclusionQuery) within(index, size int64) error {
	if q.Size > size {
		return invalid("/size", "size is %d and the log has %d receipts", q.Size, size)
	}
	if index >= q.Size {
		return invalid("/size", "the receipt has the log index %d: a log of size %d does not hold it yet; ask for a size above the index, or leave size out", index, q.Size)
	}
	return nil
}

func entryOf(s Snapshot, q InclusionQuery) (Entry, error) {
	if q.EventID != "" {
		return s.Entry(q.EventID)
	}
	found, err := s.Entries(EntryFilter{From: q.Index, Before: q.Index + 1}, 1)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Entry{}, err
	}
	return found[0], nil
}

func inclusion(t receipt.Tree, index, size int64, leaf tlog.Hash, source receipt.HashSource) (tlog.Hash, []tlog.Hash, error) {
	root, err := t.RootAt(size, source)
	if err != nil {
		return root, nil, err
	}
	hashes, err := receipt.ProveInclusion(index, size, t.Hashes(source))
	if err != nil {
		return root, nil, err
	}
	return root, hashes, receipt.VerifyInclusion(hashes, index, leaf, size, root)
}

// ProveConsistency makes and checks the proof that the org's log of size to
// begins with its log of size from. to = 0 is the present one, which is signed for it.
func (a *Authority) ProveConsistency(ctx context.Context, p Principal, from, to int64) (api.ConsistencyProof, error) {
	var out api.ConsistencyProof
	if err := p.need(api.AuditRead); err != nil {
		return out, err
	}
	if to == 0 {
		c, err := a.checkpoint(ctx, p.Org)
		if err != nil {
			return out, err
		}
		to = c.Size
	}
	if from < 1 || from > to {
		return out, invalid("/from", "from is %d and to is %d: want 1 ≤ from ≤ to; every log begins with the empty one, so there is nothing to prove of size 0", from, to)
	}
	err := a.hashes(ctx, p.Org, func(_ Snapshot, head Head, source receipt.HashSource) error {
		if to > head.Tree.Size() {
			return invalid("/to", "to is %d and the log has %d receipts", to, head.Tree.Size())
		}
		fromRoot, err := head.Tree.RootAt(from, source)
		if err != nil {
			return err
		}
		toRoot, err := head.Tree.RootAt(to, source)
		if err != nil {
			return err
		}
		hashes, err := receipt.ProveConsistency(from, to, head.Tree.Hashes(source))
		if err != nil {
			return err
		}
		out = api.ConsistencyProof{From: from, To: to, FromRootHash: fromRoot.String(), ToRootHash: toRoot.String(), Hashes: texts(hashes)}
		return receipt.VerifyConsistency(hashes, from, fromRoot, to, toRoot)
	})
	return out, err
}

func texts(hashes []tlog.Hash) []string {
	out := make([]string, len(hashes))
	for i, h := range hashes {
		out[i] = h.String()
	}
	return out
}

// errNoNode is the answer of a source that lacks a node: the log is older than the nodes.
var errNoNode = errors.New("a node of the log was never stored")

// hashes calls fn on a snapshot with the hashes of its log. Where nodes are
// missing it adds them and calls fn once more. What fn returns and is not an
// Error or an outage means that the stored log does not agree with itself.
func (a *Authority) hashes(ctx context.Context, org string, fn func(Snapshot, Head, receipt.HashSource) error) error {
	var outage, result error
	look := func() error {
		return a.Store.View(ctx, org, func(s Snapshot) error {
			outage = nil
			head, err := s.Head()
			if err != nil {
				return err
			}
			result = fn(s, head, func(level int, index int64, n int) ([]tlog.Hash, error) {
				found, err := s.Hashes(level, index, n)
				if err != nil {
					outage = err
				} else if len(found) < n && level > 0 {
					err = errNoNode
				}
				return found, err
			})
			return outage
		})
	}
	err := look()
	if err == nil && errors.Is(result, errNoNode) {
		if err := a.completeNodes(ctx, org); err != nil {
			return err
		}
		err = look()
	}
	if err != nil {
		return storeError("log", err)
	}
	if _, ok := errors.AsType[*Error](result); ok || result == nil {
		return result
	}
	return damaged(result)
}

// nodesAtOnce bounds the nodes that one transaction adds.
const nodesAtOnce = 64

// completeNodes adds the nodes that a log lacks because it was written before
// nodes were kept. It may be run at any time and again after a crash; appends
// under way add theirs themselves.
func (a *Authority) completeNodes(ctx context.Context, org string) error {
	var size int64
	err := a.Store.View(ctx, org, func(s Snapshot) error {
		head, err := s.Head()
		size = head.Tree.Size()
		return err
	})
	if err != nil {
		return storeError("log", err)
	}
	added := 0
	for level, count := 1, size/receipt.TileWidth; count > 0; level, count = level+1, count/receipt.TileWidth {
		for next := int64(0); next < count; {
			var n int
			if next, n, err = a.addNodes(ctx, org, level, next, count); err != nil {
				return storeError("log", err)
			}
			if added += n; n > 0 && added%4096 < n {
				a.Log.Info("adding nodes to a log from an earlier version", "org", org, "level", level, "done", next, "of", count)
			}
		}
	}
	return nil
}

// addNodes looks for a gap among the nodes [next, count) of a level and fills
// a part of it. It returns the first node that it has not seen.
func (a *Authority) addNodes(ctx context.Context, org string, level int, next, count int64) (int64, int, error) {
	var nodes []receipt.Node
	err := a.Store.View(ctx, org, func(s Snapshot) error {
		nodes = nil
		const look = 4096
		there, err := s.Hashes(level, next, int(min(count-next, look)))
		if err != nil || len(there) > 0 {
			next += int64(len(there))
			return err
		}
		for i := next; i < min(count, next+nodesAtOnce); i++ {
			below, err := s.Hashes(level-1, i*receipt.TileWidth, receipt.TileWidth)
			if err != nil {
				return err
			}
			if len(below) < receipt.TileWidth {
				return damaged(fmt.Errorf("hash %d of level %d is missing", i*receipt.TileWidth+int64(len(below)), level-1))
			}
			nodes = append(nodes, receipt.Node{Level: level, Index: i, Hash: receipt.Tree{}.Append(below...).Root()})
		}
		return nil
	})
	if err != nil || len(nodes) == 0 {
		return next, 0, err
	}
	err = a.Store.Update(ctx, org, func(tx Tx) error { return tx.SaveNodes(nodes) })
	return next + int64(len(nodes)), len(nodes), err
}
