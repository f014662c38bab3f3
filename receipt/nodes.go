package receipt

import (
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	// tileHeight is that of C2SP tlog-tiles.
	tileHeight = 8
	// TileWidth is the number of hashes in a whole tile, and of leaves below a node of level 1.
	TileWidth = 1 << tileHeight
)

// Node is the root of a perfect subtree of 256^Level leaves, the first of
// which has the log index Index·256^Level. Level is at least 1: level 0 are
// the leaves. Index/256 and Index%256 are its tile and its place in it.
type Node struct {
	Level int
	Index int64
	Hash  tlog.Hash
}

// HashSource reads n consecutive hashes of a level, from index on: leaf hashes
// of level 0, nodes of the levels above. Less than n is an error.
type HashSource func(level int, index int64, n int) ([]tlog.Hash, error)

// Hashes returns a reader of all hashes in the tree for [ProveInclusion] and
// [ProveConsistency], for sizes up to that of t. It reads a few hundred hashes
// for each proof, whatever the size, and compares what it reads with the root
// of t: changed hashes give an error and never a proof that fails elsewhere.
func (t Tree) Hashes(source HashSource) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: t.size, Hash: t.Root()}, tiles(source))
}

// RootAt returns the root that the tree had at a smaller size.
func (t Tree) RootAt(size int64, source HashSource) (tlog.Hash, error) {
	if size < 0 || size > t.size {
		return tlog.Hash{}, proofError("a log of size %d never had the size %d", t.size, size)
	}
	if size == t.size || size == 0 {
		return (Tree{size: size, roots: t.roots}).Root(), nil
	}
	return tlog.TreeHash(size, t.Hashes(source))
}

// Before returns the tree that t was at a smaller size.
func (t Tree) Before(size int64, source HashSource) (Tree, error) {
	if size < 0 || size > t.size {
		return Tree{}, proofError("a log of size %d never had the size %d", t.size, size)
	}
	if size == t.size {
		return t, nil
	}
	before := Tree{size: size}
	var indexes []int64
	for level, at := bits.Len64(uint64(size))-1, int64(0); level >= 0; level-- {
		if size>>level&1 == 1 {
			indexes = append(indexes, tlog.StoredHashIndex(level, at>>level))
			at += 1 << level
		}
	}
	if len(indexes) == 0 {
		return before, nil
	}
	var err error
	before.roots, err = t.Hashes(source).ReadHashes(indexes)
	return before, err
}

// tiles reads the tiles that package tlog asks for.
type tiles HashSource

func (tiles) Height() int                     { return tileHeight }
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (source tiles) ReadTiles(list []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(list))
	for i, tile := range list {
		hashes, err := source(tile.L, tile.N<<tileHeight, tile.W)
		if err != nil {
			return nil, err
		}
		if len(hashes) != tile.W {
			return nil, fmt.Errorf("%d hashes of level %d from %d on, want %d", len(hashes), tile.L, tile.N<<tileHeight, tile.W)
		}
		out[i] = make([]byte, 0, tile.W*tlog.HashSize)
		for _, h := range hashes {
			out[i] = append(out[i], h[:]...)
		}
	}
	return out, nil
}
