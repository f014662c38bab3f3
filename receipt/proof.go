package receipt

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ErrProof is matched by every error about a proof: that it is refused, or that none can exist.
var ErrProof = errors.New("bad proof")

func proofError(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrProof, fmt.Errorf(format, args...))
}

// maxProofSize bounds the sizes of which proofs speak. The arithmetic of tlog
// does not end for sizes above 2^62, which a checkpoint's text can hold.
const maxProofSize = 1 << 60

// ProveInclusion returns the RFC 6962 audit path (section 2.1.1) of the leaf
// at index in the tree of size, from the leaf's sibling upwards.
func ProveInclusion(index, size int64, hashes tlog.HashReader) ([]tlog.Hash, error) {
	if err := checkInclusion(index, size); err != nil {
		return nil, err
	}
	return tlog.ProveRecord(size, index, hashes)
}

// VerifyInclusion reports, as an error that matches [ErrProof], that proof
// does not show leaf at index in the tree of size and root. The caller makes
// leaf from the receipt's own bytes (see [LeafHash]) and never takes it from
// where the proof came from.
func VerifyInclusion(proof []tlog.Hash, index int64, leaf tlog.Hash, size int64, root tlog.Hash) error {
	if err := checkInclusion(index, size); err != nil {
		return err
	}
	if err := tlog.CheckRecord(proof, size, root, index, leaf); err != nil {
		return proofError("index %d in size %d: %w", index, size, err)
	}
	return nil
}

func checkInclusion(index, size int64) error {
	if index < 0 || index >= size || size > maxProofSize {
		return proofError("no log of size %d has an index %d", size, index)
	}
	return nil
}

// ProveConsistency returns the RFC 6962 consistency proof (section 2.1.2)
// that the tree of size to begins with the tree of size from.
func ProveConsistency(from, to int64, hashes tlog.HashReader) ([]tlog.Hash, error) {
	if err := checkConsistency(from, to); err != nil {
		return nil, err
	}
	return tlog.ProveTree(to, from, hashes)
}

// VerifyConsistency reports, as an error that matches [ErrProof], that proof
// does not show that the tree of size to begins with the one of size from. A
// tree of size 0 is refused, since every tree begins with it whatever its
// root; two equal sizes need equal roots and an empty proof.
func VerifyConsistency(proof []tlog.Hash, from int64, fromRoot tlog.Hash, to int64, toRoot tlog.Hash) error {
	if err := checkConsistency(from, to); err != nil {
		return err
	}
	if err := tlog.CheckTree(proof, to, toRoot, from, fromRoot); err != nil {
		return proofError("size %d after size %d: %w", to, from, err)
	}
	return nil
}

func checkConsistency(from, to int64) error {
	if from < 1 || from > to || to > maxProofSize {
		return proofError("no proof leads from size %d to size %d", from, to)
	}
	return nil
}

// proofHeader is the first line of a [Proof]'s text.
const proofHeader = "c2sp.org/tlog-proof@v1"

// maxProofText bounds the text of a proof; a checkpoint with a hundred cosignatures needs less.
const maxProofText = 64 << 10

// Proof shows offline that a receipt is in a log: what a C2SP tlog-proof holds.
type Proof struct {
	// Extra is whatever the maker added. Nothing vouches for it; it is empty in what Prova writes.
	Extra      []byte
	Index      int64
	Hashes     []tlog.Hash // from the leaf's sibling upwards
	Checkpoint string      // a signed note
}

// MarshalText writes the lines of a C2SP tlog-proof: the header, "extra" if
// there is any, "index", a hash for each line in base64, a blank line, and the
// checkpoint as it is. It refuses what [ParseProof] would refuse.
func (p Proof) MarshalText() ([]byte, error) {
	var b strings.Builder
	b.WriteString(proofHeader + "\n")
	if len(p.Extra) > 0 {
		b.WriteString("extra " + base64.StdEncoding.EncodeToString(p.Extra) + "\n")
	}
	b.WriteString("index " + strconv.FormatInt(p.Index, 10) + "\n")
	for _, h := range p.Hashes {
		b.WriteString(h.String() + "\n")
	}
	b.WriteString("\n" + p.Checkpoint)
	text := b.String()
	if _, err := ParseProof(text); err != nil {
		return nil, err
	}
	return []byte(text), nil
}

// ParseProof reads a C2SP tlog-proof in its one spelling. It believes nothing: see [Proof.Verify].
func ParseProof(text string) (Proof, error) {
	if len(text) > maxProofText {
		return Proof{}, proofError("longer than %d bytes", maxProofText)
	}
	head, checkpoint, ok := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || lines[0] != proofHeader {
		return Proof{}, proofError("not the text of a proof: it begins with %s and holds a checkpoint behind a blank line", proofHeader)
	}
	p, lines := Proof{Checkpoint: checkpoint}, lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		extra, err := base64.StdEncoding.Strict().DecodeString(lines[0][len("extra "):])
		if err != nil || len(extra) == 0 || strings.Contains(lines[0], "\r") { // the decoder skips line ends
			return Proof{}, proofError("line %s", quote(lines[0]))
		}
		p.Extra, lines = extra, lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return Proof{}, proofError("no line with the index")
	}
	if p.Index, ok = parseSize(lines[0][len("index "):]); !ok {
		return Proof{}, proofError("line %s", quote(lines[0]))
	}
	for _, line := range lines[1:] {
		h, ok := parseHash(line)
		if !ok {
			return Proof{}, proofError("line %s is not the base64 of 32 bytes", quote(line))
		}
		p.Hashes = append(p.Hashes, h)
	}
	if _, err := ParseCheckpoint(checkpoint); err != nil {
		return Proof{}, proofError("%w", err)
	}
	return p, nil
}

// Verify opens the checkpoint (see [OpenCheckpoint]) and checks that the leaf
// stands at the index under its root. It returns the checkpoint that it
// trusted. The origin is the caller's to compare: a proof from another log is
// a good proof of that log.
func (p Proof) Verify(leaf tlog.Hash, verifiers note.Verifiers) (Checkpoint, error) {
	c, err := OpenCheckpoint(p.Checkpoint, verifiers)
	if err != nil {
		return Checkpoint{}, err
	}
	return c, VerifyInclusion(p.Hashes, p.Index, leaf, c.Size, c.Root)
}
