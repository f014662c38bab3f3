package receipt

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// include shows that a receipt stands in the log at its index: by the leaves
// if they reach so far back, else by its own proof.
func (v *bundleVerifier) include(r Receipt, place int64) {
	if v.leaves == nil || place < v.m.Tree.Size() {
		v.includeByProof(r, place)
		return
	}
	if place < v.tree.Size() || place >= v.m.Size { // its index failed already
		return
	}
	v.advance(place)
	leaf, ok := v.leaf()
	if ok && leaf != r.LeafHash {
		v.add(Check{
			Check: CheckInclusion, Status: Failed, Expected: leaf.String(), Found: r.LeafHash.String(),
			Detail: "the leaf at this index of the log is of another receipt", LogIndex: &place, EventID: r.EventID,
		})
	}
	if ok {
		v.grow(leaf)
	}
}

// leaf reads the next leaf. That the file is too short shows in its size.
func (v *bundleVerifier) leaf() (leaf tlog.Hash, ok bool) {
	_, err := io.ReadFull(v.leaves, leaf[:])
	switch {
	case err == nil:
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		v.stop(err)
	case v.status[CheckInclusion] != Failed:
		v.add(Check{Check: CheckInclusion, Status: Failed, Detail: fmt.Sprintf("the leaf of index %d is missing", v.tree.Size())})
	}
	return leaf, err == nil
}

func (v *bundleVerifier) grow(leaves ...tlog.Hash) {
	v.tree = v.tree.Append(leaves...)
	v.noteHead()
}

// advance adds the leaves up to a size, and stops at sizes of saved heads.
func (v *bundleVerifier) advance(size int64) {
	batch := make([]tlog.Hash, 0, batchLines)
	for v.tree.Size() < size {
		stop := min(size, v.tree.Size()+batchLines)
		for _, h := range v.pinned.Heads {
			if h.Size > v.tree.Size() {
				stop = min(stop, h.Size)
			}
		}
		batch = batch[:0]
		for range stop - v.tree.Size() {
			leaf, ok := v.leaf()
			if !ok {
				return
			}
			batch = append(batch, leaf)
		}
		v.grow(batch...)
	}
}

func (v *bundleVerifier) includeByProof(r Receipt, place int64) {
	name := ProofFile(r.EventID)
	fault := func(format string, args ...any) {
		v.add(Check{Check: CheckInclusion, Status: Failed, Detail: fmt.Sprintf(format, args...), LogIndex: &place, EventID: r.EventID})
	}
	if _, ok := v.digests[name]; !ok {
		fault("nothing shows that it stands in the log: there is no %s, and no leaf of that index", name)
		return
	}
	text, ok := v.small(name)
	if v.proofs[name] = true; !ok || !v.headRead {
		return
	}
	p, err := ParseProof(string(text))
	switch {
	case err != nil:
		fault("%s: %v", name, err)
	case len(p.Extra) > 0:
		fault("%s holds extra data that nothing vouches for", name)
	case p.Index != place:
		fault("%s is of index %d", name, p.Index)
	case p.Checkpoint != v.note:
		fault("%s is under another checkpoint than the bundle's", name)
	default:
		if err := VerifyInclusion(p.Hashes, place, r.LeafHash, v.head.Size, v.head.Root); err != nil {
			fault("%v", err)
		}
	}
}

func (v *bundleVerifier) settleRoot() {
	shown := "by the leaves of the rebuilt tree"
	if v.leaves == nil {
		shown = "by proofs"
		v.heads[v.head.Size] = v.head.Root // at which the proofs end
		if v.status[CheckInclusion] != Failed {
			v.settleIfRead(CheckRoot, "%s, reached from every receipt", v.head.Root)
		}
	} else {
		if root := v.tree.Root(); root != v.head.Root {
			v.add(Check{Check: CheckRoot, Status: Failed, Expected: v.head.Root.String(), Found: root.String(), Detail: "the leaves are not those that the checkpoint signs for"})
		}
		v.settle(CheckRoot, "%s, rebuilt from the leaves %d to %d and the tree before them", v.head.Root, v.m.Tree.Size(), v.m.Size-1)
		if n := len(v.proofs); n > 0 {
			shown += fmt.Sprintf(", %d of them by proofs", n)
		}
	}
	if v.status[CheckRoot] == OK {
		v.settleIfRead(CheckInclusion, "%d receipts stand in the log at their indexes, shown %s", v.Receipts, shown)
	}
}
