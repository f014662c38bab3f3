package receipt

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// LeafData is the data of a receipt's leaf: event_id "." integrity_hash. No
// event id holds a dot, so the two cannot be told apart in two ways.
func LeafData(eventID, integrityHash string) []byte {
	return []byte(eventID + "." + integrityHash)
}

// LeafHash is the RFC 6962 hash of the leaf: SHA-256 of a zero byte and
// [LeafData].
func LeafHash(eventID, integrityHash string) tlog.Hash {
	return tlog.RecordHash(LeafData(eventID, integrityHash))
}

// Tree is an append-only Merkle tree reduced to its size and the roots of the
// perfect subtrees that it falls into, largest first: what is needed to append
// and to compute the root, in space logarithmic in the size. The zero value is
// the empty tree. A Tree is a value: Append leaves the old one as it was.
type Tree struct {
	size  int64
	roots []tlog.Hash // one for each bit of size that is set
}

// Size returns the number of leaves.
func (t Tree) Size() int64 { return t.size }

// Append returns t with leaves added behind. It makes one copy of the subtree
// roots for each call, whatever the number of leaves.
func (t Tree) Append(leaves ...tlog.Hash) Tree {
	next, _ := t.AppendNodes(leaves...)
	return next
}

// AppendNodes is Append that also returns the nodes which the leaves complete,
// of the levels that [Node] has, in the order of their completion. Kept beside
// the leaves they are all that [Tree.Hashes] needs.
func (t Tree) AppendNodes(leaves ...tlog.Hash) (Tree, []Node) {
	next := Tree{size: t.size, roots: make([]tlog.Hash, len(t.roots), len(t.roots)+2)}
	copy(next.roots, t.roots)
	var nodes []Node
	for _, leaf := range leaves {
		// Each set bit at the low end is a subtree of the size reached so far.
		height := 0
		for n := next.size; n&1 == 1; n >>= 1 {
			last := len(next.roots) - 1
			leaf = tlog.NodeHash(next.roots[last], leaf)
			next.roots = next.roots[:last]
			if height++; height%tileHeight == 0 {
				nodes = append(nodes, Node{Level: height / tileHeight, Index: next.size >> height, Hash: leaf})
			}
		}
		next.roots = append(next.roots, leaf)
		next.size++
	}
	return next, nodes
}

// Equal reports whether two trees have the same leaves.
func (t Tree) Equal(u Tree) bool { return t.size == u.size && slices.Equal(t.roots, u.roots) }

// Root returns the RFC 6962 root. That of the empty tree is the SHA-256 of
// nothing.
func (t Tree) Root() tlog.Hash {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	root := t.roots[len(t.roots)-1]
	for i := len(t.roots) - 2; i >= 0; i-- {
		root = tlog.NodeHash(t.roots[i], root)
	}
	return root
}

// MarshalText writes the size in decimal, then each subtree root, largest
// first, as a space and its standard base64.
func (t Tree) MarshalText() ([]byte, error) {
	b := strconv.AppendInt(nil, t.size, 10)
	for _, h := range t.roots {
		b = base64.StdEncoding.AppendEncode(append(b, ' '), h[:])
	}
	return b, nil
}

// ErrTreeText is matched by errors of [Tree.UnmarshalText].
var ErrTreeText = errors.New("malformed tree text")

// UnmarshalText reads exactly what MarshalText writes. It cannot know whether
// the hashes are those of any log; only a root that comes out right says so.
func (t *Tree) UnmarshalText(text []byte) error {
	fields := strings.Split(string(text), " ")
	size, ok := parseSize(fields[0])
	if !ok || size > 1<<62 { // leaves room to append
		return fmt.Errorf("%w: size %s", ErrTreeText, quote(fields[0]))
	}
	if want := bits.OnesCount64(uint64(size)); len(fields)-1 != want {
		return fmt.Errorf("%w: a tree of size %d has %d subtree roots, not %d", ErrTreeText, size, want, len(fields)-1)
	}
	read := Tree{size: size}
	for _, f := range fields[1:] {
		h, ok := parseHash(f)
		if !ok {
			return fmt.Errorf("%w: subtree root %s", ErrTreeText, quote(f))
		}
		read.roots = append(read.roots, h)
	}
	*t = read
	return nil
}

// parseSize takes a decimal without sign or leading zero that fits in an int64.
func parseSize(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == s
}

// parseHash takes the standard base64 of 32 bytes in its one spelling.
func parseHash(s string) (tlog.Hash, bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	// The decoder skips line ends, which the length shows.
	if err != nil || len(b) != tlog.HashSize || len(s) != base64.StdEncoding.EncodedLen(tlog.HashSize) {
		return tlog.Hash{}, false
	}
	return tlog.Hash(b), true
}
