package receipt

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// nodeLog keeps leaves and nodes as a store does.
type nodeLog struct {
	tree   Tree
	levels [][]tlog.Hash
	reads  int // hashes read
}

func (l *nodeLog) append(t testing.TB, leaves ...tlog.Hash) {
	t.Helper()
	var nodes []Node
	l.tree, nodes = l.tree.AppendNodes(leaves...)
	l.put(t, 0, leaves...)
	for _, n := range nodes {
		if len(l.levels) <= n.Level {
			l.levels = append(l.levels, nil)
		}
		if int(n.Index) != len(l.levels[n.Level]) {
			t.Fatalf("node %d of level %d comes when there are %d", n.Index, n.Level, len(l.levels[n.Level]))
		}
		l.put(t, n.Level, n.Hash)
	}
}

func (l *nodeLog) put(t testing.TB, level int, hashes ...tlog.Hash) {
	t.Helper()
	if len(l.levels) == 0 {
		l.levels = append(l.levels, nil)
	}
	l.levels[level] = append(l.levels[level], hashes...)
}

func (l *nodeLog) source(level int, index int64, n int) ([]tlog.Hash, error) {
	l.reads += n
	if level >= len(l.levels) || index+int64(n) > int64(len(l.levels[level])) {
		return nil, errors.New("not there")
	}
	return l.levels[level][index : index+int64(n)], nil
}

// Proofs made from nodes of every eighth level are those made from all hashes.
func TestHashesAgainstStoredHashes(t *testing.T) {
	const most = 70_000 // more than 256²: three levels
	l := &nodeLog{}
	var batch []tlog.Hash
	for i := range int64(most) {
		if batch = append(batch, leaf(i)); len(batch) == 77 || i == most-1 {
			l.append(t, batch...)
			batch = batch[:0]
		}
	}
	stored, roots := storedLog(t, most)
	rapid.Check(t, func(t *rapid.T) {
		to := rapid.Int64Range(1, most).Draw(t, "to")
		from := rapid.Int64Range(1, to).Draw(t, "from")
		l.reads = 0
		ours, err := ProveConsistency(from, to, l.tree.Hashes(l.source))
		theirs, err2 := ProveConsistency(from, to, stored)
		if err != nil || err2 != nil || fmt.Sprint(ours) != fmt.Sprint(theirs) {
			t.Fatal(err, err2, ours, theirs)
		}
		ours, err = ProveInclusion(from-1, to, l.tree.Hashes(l.source))
		theirs, err2 = ProveInclusion(from-1, to, stored)
		if err != nil || err2 != nil || fmt.Sprint(ours) != fmt.Sprint(theirs) {
			t.Fatal(err, err2, ours, theirs)
		}
		if l.reads > 2*3*3*TileWidth {
			t.Errorf("%d hashes read", l.reads)
		}
		root, err := l.tree.RootAt(to, l.source)
		if err != nil || root != roots[to] {
			t.Fatalf("root at %d: %v, want %v (%v)", to, root, roots[to], err)
		}
	})
	for _, size := range []int64{0, most} {
		if root, err := l.tree.RootAt(size, l.source); err != nil || root != roots[size] {
			t.Errorf("root at %d: %v, %v", size, root, err)
		}
	}
	if _, err := l.tree.RootAt(most+1, l.source); !errors.Is(err, ErrProof) {
		t.Error(err)
	}
}

// A changed hash, of a leaf or of a node, gives no proof.
func TestHashesNoticeChanges(t *testing.T) {
	l := &nodeLog{}
	for i := range int64(600) {
		l.append(t, leaf(i))
	}
	for level, index := range []int64{3, 1} {
		for _, at := range []int64{3, 300} {
			l.levels[level][index][0] ^= 1
			_, err := ProveInclusion(at, 600, l.tree.Hashes(l.source))
			l.levels[level][index][0] ^= 1
			if needed := level == 1 || at < TileWidth; (err != nil) != needed {
				t.Errorf("level %d, inclusion of %d: %v", level, at, err)
			}
		}
	}
	short := func(level int, index int64, n int) ([]tlog.Hash, error) {
		h, err := l.source(level, index, n)
		return h[:max(len(h)-1, 0)], err
	}
	if _, err := ProveInclusion(3, 600, l.tree.Hashes(short)); err == nil {
		t.Error("made from too few hashes")
	}
}

// A tree of before is the one that was there then.
func TestTreeBefore(t *testing.T) {
	l := &nodeLog{}
	var grown []Tree
	for i := range int64(1500) {
		grown = append(grown, l.tree)
		l.append(t, leaf(i))
	}
	grown = append(grown, l.tree)
	for _, size := range []int64{0, 1, 2, 3, 255, 256, 257, 512, 1023, 1499, 1500} {
		got, err := l.tree.Before(size, l.source)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(grown[size]) {
			t.Errorf("%d: %v, %v", size, got, err)
		}
	}
	for _, size := range []int64{-1, 1501} {
		if _, err := l.tree.Before(size, l.source); !errors.Is(err, ErrProof) {
			t.Errorf("%d: %v", size, err)
		}
	}
}
