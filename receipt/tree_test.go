package receipt

import (
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

func leaf(n int64) tlog.Hash { return tlog.RecordHash(binary.BigEndian.AppendUint64(nil, uint64(n))) }

// tlog, which keeps all hashes, is the opponent.
func TestTreeAgainstTlog(t *testing.T) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	})
	var tree, earlier Tree
	for n := range int64(700) {
		hashes, err := tlog.StoredHashesForRecordHash(n, leaf(n), reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		earlier, tree = tree, tree.Append(leaf(n))
		if !tree.Equal(earlier.Append(leaf(n))) || tree.Equal(earlier) || tree.Equal(earlier.Append(leaf(n+1))) {
			t.Fatalf("size %d: Equal does not tell trees apart", tree.Size())
		}
		want, err := tlog.TreeHash(n+1, reader)
		if err != nil || tree.Root() != want || tree.Size() != n+1 {
			t.Fatalf("size %d: root %s, want %s (%v)", tree.Size(), tree.Root(), want, err)
		}
		// A Tree is a value: what grows from it leaves it alone.
		before := earlier.Root()
		earlier.Append(leaf(n+1), leaf(n+2))
		if earlier.Root() != before || tree.Root() != want {
			t.Fatalf("size %d changed by an Append", n)
		}
		text, err := tree.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var again Tree
		if err := again.UnmarshalText(text); err != nil || again.Root() != want || again.Size() != n+1 {
			t.Fatalf("size %d does not survive as text %s: %v", n+1, text, err)
		}
	}
	var all []tlog.Hash
	for n := range tree.Size() {
		all = append(all, leaf(n))
	}
	if (Tree{}).Append(all...).Root() != tree.Root() {
		t.Error("appending at once gives another root")
	}
}

func TestTreeText(t *testing.T) {
	h := leaf(0).String()
	for text, ok := range map[string]bool{
		"0": true, "1 " + h: true, "3 " + h + " " + h: true, "4 " + h: true,
		"": false, "1": false, "0 " + h: false, "2 " + h + " " + h: false, "01 " + h: false, "+1 " + h: false, "-1 " + h: false,
		"1  " + h: false, "1 " + h + "\n": false, "1 " + h[:43]: false, "1 " + spareBits(h + "=")[:44]: false,
		"1 " + h[:10] + "\n" + h[10:]: false, "9223372036854775807 " + strings.Repeat(h+" ", 62) + h: false,
	} {
		tree := Tree{size: 1, roots: []tlog.Hash{leaf(9)}}
		if err := tree.UnmarshalText([]byte(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		} else if err != nil && tree.Root() != leaf(9) {
			t.Errorf("%q: changed the tree in spite of the error", text)
		}
	}
}
