package storetest

import (
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

func testCheckpoints(f *fixture) {
	absent(f, "acme", "checkpoint", authority.Snapshot.Checkpoint)
	first := api.Checkpoint{Origin: "prova.example/acme", Size: 3, RootHash: "cm9vdA==", Note: "note\n\n— sig\n"}
	later := api.Checkpoint{Origin: "prova.example/acme", Size: 5, RootHash: "cjU=", Note: strings.Repeat("n", 5000)}
	rival := first
	rival.Note = "another signature"
	for _, c := range []struct{ save, want api.Checkpoint }{{first, first}, {rival, first}, {later, later}, {rival, first}} {
		f.update("acme", func(tx authority.Tx) error {
			got, err := tx.SaveCheckpoint(c.save)
			equal(f, "saved", got, c.want)
			return err
		})
	}
	equal(f, "newest", must(f, "acme", authority.Snapshot.Checkpoint), later)
	absent(f, "other", "checkpoint", authority.Snapshot.Checkpoint)
	for size, want := range map[int64]api.Checkpoint{3: first, 5: later} {
		read := func(s authority.Snapshot) (api.Checkpoint, error) { return s.CheckpointAt(size) }
		equal(f, fmt.Sprintf("of size %d", size), must(f, "acme", read), want)
		absent(f, "other", "checkpoint", read)
	}
	absent(f, "acme", "checkpoint of size 4", func(s authority.Snapshot) (api.Checkpoint, error) { return s.CheckpointAt(4) })
	for _, c := range []struct {
		filter authority.CheckpointFilter
		limit  int
		want   []api.Checkpoint
	}{
		{authority.CheckpointFilter{}, 9, []api.Checkpoint{first, later}},
		{authority.CheckpointFilter{Newest: true}, 9, []api.Checkpoint{later, first}},
		{authority.CheckpointFilter{Newest: true}, 1, []api.Checkpoint{later}},
		{authority.CheckpointFilter{Newest: true, Before: 5}, 9, []api.Checkpoint{first}},
		{authority.CheckpointFilter{From: 4}, 9, []api.Checkpoint{later}},
		{authority.CheckpointFilter{From: 3, Before: 5}, 9, []api.Checkpoint{first}},
		{authority.CheckpointFilter{}, 0, nil},
	} {
		got := must(f, "acme", func(s authority.Snapshot) ([]api.Checkpoint, error) { return s.Checkpoints(c.filter, c.limit) })
		equal(f, fmt.Sprintf("%+v limit %d", c.filter, c.limit), got, c.want)
	}
}

// testHashes appends batches that end before, at and behind the ends of tiles,
// and makes proofs from what was stored.
func testHashes(f *fixture) {
	var leaves []tlog.Hash
	for _, n := range []int{1, 254, 1, 1, 255, 256, 600} {
		batch := make([]authority.Entry, n)
		for i := range batch {
			batch[i] = entry(fmt.Sprintf("%06d", len(leaves)))
			leaves = append(leaves, batch[i].Leaf)
		}
		f.update("acme", func(tx authority.Tx) error { return add(tx, batch...) })
	}
	size := int64(len(leaves))
	hashes := func(org string, level int, index int64, n int) []tlog.Hash {
		return must(f, org, func(s authority.Snapshot) ([]tlog.Hash, error) { return s.Hashes(level, index, n) })
	}
	equal(f, "leaves", hashes("acme", 0, 100, 300), leaves[100:400])
	equal(f, "leaves at the end", hashes("acme", 0, size-2, 10), leaves[size-2:])
	_, nodes := receipt.Tree{}.AppendNodes(leaves...)
	var want []tlog.Hash
	for _, n := range nodes {
		want = append(want, n.Hash)
	}
	equal(f, "nodes", hashes("acme", 1, 0, 256), want)
	equal(f, "some nodes", hashes("acme", 1, 1, 2), want[1:3])
	for _, none := range [][]tlog.Hash{hashes("other", 0, 0, 9), hashes("other", 1, 0, 9), hashes("acme", 2, 0, 9), hashes("acme", 1, 9, 9)} {
		if len(none) != 0 {
			f.Errorf("found %d hashes where there are none", len(none))
		}
	}
	must(f, "acme", func(s authority.Snapshot) (authority.Head, error) {
		head, err := s.Head()
		for _, index := range []int64{0, 255, 256, 700, size - 1} {
			proof, err := receipt.ProveInclusion(index, size, head.Tree.Hashes(s.Hashes))
			if err == nil {
				err = receipt.VerifyInclusion(proof, index, leaves[index], size, head.Tree.Root())
			}
			if err != nil {
				f.Errorf("proof of %d: %v", index, err)
			}
		}
		return head, err
	})
}

func testSaveNodes(f *fixture) {
	put := func(nodes ...receipt.Node) {
		f.update("acme", func(tx authority.Tx) error { return tx.SaveNodes(nodes) })
	}
	put(receipt.Node{Level: 1, Index: 0, Hash: tlog.Hash{1}}, receipt.Node{Level: 1, Index: 2, Hash: tlog.Hash{3}}, receipt.Node{Level: 2, Index: 0, Hash: tlog.Hash{9}})
	read := func(s authority.Snapshot) ([]tlog.Hash, error) { return s.Hashes(1, 0, 9) }
	equal(f, "up to the gap", must(f, "acme", read), []tlog.Hash{{1}})
	put(receipt.Node{Level: 1, Index: 0, Hash: tlog.Hash{7}}, receipt.Node{Level: 1, Index: 1, Hash: tlog.Hash{2}})
	put()
	equal(f, "what was there stays", must(f, "acme", read), []tlog.Hash{{1}, {2}, {3}})
	if got := must(f, "other", read); len(got) != 0 {
		f.Errorf("another org sees %d nodes", len(got))
	}
}
