package receipt

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// storedLog keeps every hash of a log of n leaves, and the root of each size.
func storedLog(t testing.TB, n int64) (hashes tlog.HashReader, roots []tlog.Hash) {
	t.Helper()
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	})
	var tree Tree
	roots = []tlog.Hash{tree.Root()}
	for i := range n {
		more, err := tlog.StoredHashesForRecordHash(i, leaf(i), reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, more...)
		tree = tree.Append(leaf(i))
		roots = append(roots, tree.Root())
	}
	return reader, roots
}

// raw is a proof as the other library takes it.
func raw(hashes []tlog.Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}

// The transparency-dev library is the opponent: it checks every proof that we
// make, and both say the same of proofs that were tampered with.
func TestProofsAgainstOpponent(t *testing.T) {
	const most = 80
	hashes, roots := storedLog(t, most)
	for size := int64(1); size <= most; size++ {
		for i := range size {
			p, err := ProveInclusion(i, size, hashes)
			if err != nil {
				t.Fatal(err)
			}
			h := leaf(i)
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(i), uint64(size), h[:], raw(p), roots[size][:]); err != nil {
				t.Fatalf("inclusion of %d in %d: the opponent refuses it: %v", i, size, err)
			}
			if err := VerifyInclusion(p, i, h, size, roots[size]); err != nil {
				t.Fatalf("inclusion of %d in %d: %v", i, size, err)
			}
		}
		for from := int64(1); from <= size; from++ {
			p, err := ProveConsistency(from, size, hashes)
			if err != nil {
				t.Fatal(err)
			}
			if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(from), uint64(size), raw(p), roots[from][:], roots[size][:]); err != nil {
				t.Fatalf("consistency of %d with %d: the opponent refuses it: %v", size, from, err)
			}
			if err := VerifyConsistency(p, from, roots[from], size, roots[size]); err != nil {
				t.Fatalf("consistency of %d with %d: %v", size, from, err)
			}
		}
	}
}

func TestTamperedProofsAgainstOpponent(t *testing.T) {
	const most = 200
	hashes, roots := storedLog(t, most)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, most).Draw(t, "size")
		at := rapid.Int64Range(0, size-1).Draw(t, "at")
		included, err := ProveInclusion(at, size, hashes)
		if err != nil {
			t.Fatal(err)
		}
		consistent, err := ProveConsistency(at+1, size, hashes)
		if err != nil {
			t.Fatal(err)
		}
		included, consistent = tamper(t, included), tamper(t, consistent)
		otherSize := max(size+rapid.Int64Range(-1, 1).Draw(t, "size+"), 0)
		otherAt := max(at+rapid.Int64Range(-1, 1).Draw(t, "at+"), 0)
		h, root, before := leaf(at), roots[size], roots[at+1]
		ours := VerifyInclusion(included, otherAt, h, otherSize, root)
		theirs := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(otherAt), uint64(otherSize), h[:], raw(included), root[:])
		if (ours == nil) != (theirs == nil) {
			t.Fatalf("inclusion: %v, the opponent says %v", ours, theirs)
		}
		ours = VerifyConsistency(consistent, otherAt+1, before, otherSize, root)
		theirs = proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(otherAt+1), uint64(otherSize), raw(consistent), before[:], root[:])
		if (ours == nil) != (theirs == nil) {
			t.Fatalf("consistency: %v, the opponent says %v", ours, theirs)
		}
		if ours != nil && !errors.Is(ours, ErrProof) {
			t.Fatalf("%v is not an ErrProof", ours)
		}
	})
}

func tamper(t *rapid.T, p []tlog.Hash) []tlog.Hash {
	p = slices.Clone(p)
	switch rapid.IntRange(0, 5).Draw(t, "tamper") {
	case 0:
		if len(p) > 0 {
			p[rapid.IntRange(0, len(p)-1).Draw(t, "node")][7] ^= 1
		}
	case 1:
		if len(p) > 0 {
			i := rapid.IntRange(0, len(p)-1).Draw(t, "node")
			p = slices.Delete(p, i, i+1)
		}
	case 2:
		i := rapid.IntRange(0, len(p)).Draw(t, "node")
		p = slices.Insert(p, i, leaf(3))
	case 3:
		slices.Reverse(p)
	}
	return p
}

func TestMerkleProofVectors(t *testing.T) {
	var f struct {
		Inclusion []struct {
			File              string
			LeafIdx, TreeSize uint64
			Root, LeafHash    []byte
			Proof             [][]byte
			WantErr           bool
		}
		Consistency []struct {
			File         string
			Size1, Size2 uint64
			Root1, Root2 []byte
			Proof        [][]byte
			WantErr      bool
		}
	}
	vectors(t, "merkle-rfc6962.json", &f)
	if len(f.Inclusion) == 0 || len(f.Consistency) == 0 {
		t.Fatal("no cases")
	}
	// Some hashes are of other lengths: to us they are hashes that fit nothing else.
	hash := func(b []byte) (h tlog.Hash) {
		copy(h[:], b)
		return h
	}
	hashes := func(all [][]byte) (out []tlog.Hash) {
		for _, b := range all {
			out = append(out, hash(b))
		}
		return out
	}
	for _, c := range f.Inclusion {
		err := VerifyInclusion(hashes(c.Proof), int64(c.LeafIdx), hash(c.LeafHash), int64(c.TreeSize), hash(c.Root))
		if c.File == "single-entry/empty-root-and-leaf.json" && err == nil {
			continue // leaf and root are the same 32 bytes once they are hashes at all
		}
		if (err != nil) != c.WantErr {
			t.Errorf("inclusion %s: %v, want an error: %v", c.File, err, c.WantErr)
		}
	}
	for _, c := range f.Consistency {
		err := VerifyConsistency(hashes(c.Proof), int64(c.Size1), hash(c.Root1), int64(c.Size2), hash(c.Root2))
		if (err != nil) != c.WantErr {
			t.Errorf("consistency %s: %v, want an error: %v", c.File, err, c.WantErr)
		}
	}
}

// Sizes that no log has are refused before any arithmetic; some of these would never end.
func TestProofBounds(t *testing.T) {
	hashes, roots := storedLog(t, 3)
	empty := Tree{}.Root()
	for name, err := range map[string]error{
		"size 0":          VerifyInclusion(nil, 0, leaf(0), 0, empty),
		"index -1":        VerifyInclusion(nil, -1, leaf(0), 1, leaf(0)),
		"index = size":    VerifyInclusion(nil, 1, leaf(0), 1, leaf(0)),
		"huge":            VerifyInclusion(nil, 0, leaf(0), math.MaxInt64, leaf(0)),
		"from 0":          VerifyConsistency(nil, 0, empty, 1, leaf(0)),
		"0 to 0":          VerifyConsistency(nil, 0, empty, 0, empty),
		"backwards":       VerifyConsistency(nil, 2, roots[2], 1, roots[1]),
		"huge to huge":    VerifyConsistency(nil, 1, roots[1], math.MaxInt64, roots[2]),
		"other root":      VerifyConsistency(nil, 2, roots[2], 2, roots[3]),
		"spare node":      VerifyConsistency([]tlog.Hash{roots[2]}, 2, roots[2], 2, roots[2]),
		"inner as a leaf": VerifyInclusion([]tlog.Hash{leaf(2)}, 0, tlog.NodeHash(leaf(0), leaf(1)), 3, roots[3]),
	} {
		if !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ProveInclusion(3, 3, hashes); !errors.Is(err, ErrProof) {
		t.Error(err)
	}
	if _, err := ProveConsistency(0, 3, hashes); !errors.Is(err, ErrProof) {
		t.Error(err)
	}
}

func proofOf(t testing.TB) (Proof, note.Verifiers) {
	t.Helper()
	hashes, roots := storedLog(t, 11)
	p, err := ProveInclusion(6, 11, hashes)
	if err != nil {
		t.Fatal(err)
	}
	signer, vkey, err := NoteKeys("prova.test/log", seedKey("proof"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := SignCheckpoint(Checkpoint{Origin: "prova.test/log", Size: 11, Root: roots[11]}, signer)
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewNoteVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return Proof{Index: 6, Hashes: p, Checkpoint: text}, note.VerifierList(v)
}

func TestProofText(t *testing.T) {
	p, verifiers := proofOf(t)
	for _, extra := range [][]byte{nil, []byte("more")} {
		p.Extra = extra
		text, err := p.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseProof(string(text))
		if err != nil {
			t.Fatal(err)
		}
		if back, err := again.MarshalText(); err != nil || string(back) != string(text) {
			t.Fatalf("%s\ncomes back as\n%s (%v)", text, back, err)
		}
		c, err := again.Verify(leaf(6), verifiers)
		if err != nil || c.Size != 11 {
			t.Fatal(c, err)
		}
		if _, err := again.Verify(leaf(7), verifiers); !errors.Is(err, ErrProof) {
			t.Errorf("another leaf: %v", err)
		}
	}
	if _, err := p.Verify(leaf(6), note.VerifierList()); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("unknown key: %v", err)
	}
}

// Whatever byte is changed, the proof is refused or says nothing else.
func TestProofTextEveryByte(t *testing.T) {
	p, verifiers := proofOf(t)
	text, err := p.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		for _, flip := range []byte{1, 0x20, 0x80} {
			changed := slices.Clone(text)
			changed[i] ^= flip
			q, err := ParseProof(string(changed))
			if err != nil {
				continue
			}
			if _, err := q.Verify(leaf(6), verifiers); err == nil {
				t.Errorf("byte %d (%q) changed to %q passes", i, text[i], changed[i])
			}
		}
	}
}

func TestProofTextRefused(t *testing.T) {
	p, _ := proofOf(t)
	good, err := p.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, with string) string {
		changed := strings.Replace(string(good), old, with, 1)
		if changed == string(good) {
			t.Fatalf("no %q in the proof", old)
		}
		return changed
	}
	for name, text := range map[string]string{
		"empty":            "",
		"version":          replace("@v1", "@v2"),
		"no index":         replace("index 6\n", ""),
		"leading zero":     replace("index 6", "index 06"),
		"signed index":     replace("index 6", "index +6"),
		"negative index":   replace("index 6", "index -1"),
		"index twice":      replace("index 6\n", "index 6\nindex 6\n"),
		"empty extra":      replace("index 6", "extra \nindex 6"),
		"extra behind":     replace("index 6\n", "index 6\nextra bW9yZQ==\n"),
		"loose extra":      replace("index 6", "extra bW9yZR==\nindex 6"),
		"carriage returns": strings.ReplaceAll(string(good), "\n", "\r\n"),
		"space":            replace("index 6\n", "index 6 \n"),
		"no checkpoint":    replace("\n\n"+p.Checkpoint, "\n\n"),
		"cut":              string(good[:len(good)-1]),
		"long":             string(good) + strings.Repeat("\n", maxProofText),
	} {
		if _, err := ParseProof(text); !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.Index = -1
	if text, err := p.MarshalText(); err == nil {
		t.Errorf("writes what cannot be read:\n%s", text)
	}
}

func FuzzParseProof(f *testing.F) {
	p, _ := proofOf(f)
	text, err := p.MarshalText()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseProof(text)
		if err != nil {
			return
		}
		if back, err := p.MarshalText(); err != nil || string(back) != text {
			t.Errorf("%q comes back as %q (%v)", text, back, err)
		}
	})
}
