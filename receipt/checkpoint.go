package receipt

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is a log's head: what a C2SP tlog-checkpoint states. Its text is
// three lines, the origin, the size in decimal and the root in base64.
type Checkpoint struct {
	Origin string // the log's name, which is also the name of its key
	Size   int64  // leaves
	Root   tlog.Hash
}

// ErrCheckpoint is matched by every error about the text or the signatures of
// a checkpoint. Where no key of the note is known, errors.AsType also finds a
// [*note.UnverifiedNoteError].
var ErrCheckpoint = errors.New("bad checkpoint")

func checkpointError(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrCheckpoint, fmt.Errorf(format, args...))
}

// NoteKeys returns the note signer and the verifier key
// (<origin>+<hash>+<base64>) for an Ed25519 private key and the name of a log.
// The key must not be one that signs receipts.
func NoteKeys(origin string, priv crypto.Signer) (signer note.Signer, vkey string, err error) {
	pub, ok := priv.Public().(ed25519.PublicKey)
	if !ok {
		return nil, "", fmt.Errorf("checkpoints are signed with Ed25519, and this key is a %T", priv.Public())
	}
	if vkey, err = VerifierKey(origin, pub); err != nil {
		return nil, "", err
	}
	return noteSigner{newNoteKey(origin, pub), priv}, vkey, nil
}

// NewNoteVerifier reads a verifier key and admits the Ed25519 key in it. It
// verifies under the same strict profile as receipts, see [VerifySignature].
func NewNoteVerifier(vkey string) (note.Verifier, error) {
	if _, err := note.NewVerifier(vkey); err != nil {
		return nil, err
	}
	name, rest, _ := strings.Cut(vkey, "+")
	_, key64, _ := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.Strict().DecodeString(key64)
	if err != nil || strings.ContainsAny(vkey, "\r\n") {
		return nil, errors.New("malformed verifier key")
	}
	if err := AdmitKey(key[1:]); err != nil {
		return nil, err
	}
	k := newNoteKey(name, key[1:])
	if want := fmt.Sprintf("%s+%08x+%s", k.name, k.hash, key64); want != vkey {
		return nil, errors.New("malformed verifier key")
	}
	return k, nil
}

// noteKey is the public half of a key for notes.
type noteKey struct {
	name string
	hash uint32
	pub  ed25519.PublicKey
}

// Signature types of C2SP signed notes.
const (
	algEd25519     = "\x01"
	algCosignature = "\x04" // cosignature/v1 with Ed25519
)

func newNoteKey(name string, pub ed25519.PublicKey) noteKey {
	return noteKey{name, noteKeyHash(name, algEd25519, pub), pub}
}

func noteKeyHash(name, alg string, pub ed25519.PublicKey) uint32 {
	sum := sha256.Sum256([]byte(name + "\n" + alg + string(pub)))
	return binary.BigEndian.Uint32(sum[:4])
}

func (k noteKey) Name() string                { return k.name }
func (k noteKey) KeyHash() uint32             { return k.hash }
func (k noteKey) Verify(msg, sig []byte) bool { return VerifySignature(k.pub, msg, sig) == nil }

type noteSigner struct {
	noteKey
	key crypto.Signer
}

// Sign verifies what it made: a faulty signature of a log is for ever.
func (s noteSigner) Sign(msg []byte) ([]byte, error) {
	sig, err := s.key.Sign(rand.Reader, msg, crypto.Hash(0))
	if err != nil {
		return nil, err
	}
	return sig, VerifySignature(s.pub, msg, sig)
}

// SignCheckpoint returns the signed note. The signer's name must be the origin.
func SignCheckpoint(c Checkpoint, signer note.Signer) (string, error) {
	if signer.Name() != c.Origin {
		return "", checkpointError("origin %s is signed by a key named %s", quote(c.Origin), quote(signer.Name()))
	}
	body := c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + c.Root.String() + "\n"
	if _, err := parseCheckpointBody(body); err != nil {
		return "", err
	}
	text, err := note.Sign(&note.Note{Text: body}, signer)
	return string(text), err
}

// OpenCheckpoint reads a checkpoint and requires that a key among verifiers
// whose name is the origin signed it, that no signature by a key among
// verifiers fails, and that none of those signs twice. Signatures by other
// keys are ignored, as are further lines of the text, which C2SP allows.
func OpenCheckpoint(text string, verifiers note.Verifiers) (Checkpoint, error) {
	c, err := ParseCheckpoint(text)
	if err != nil {
		return Checkpoint{}, err
	}
	n, err := note.Open([]byte(text), verifiers)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	// note.Open does not look at a second signature by the same key, and it
	// takes any spelling of the base64.
	seen := map[string]bool{}
	for _, line := range signatureLines(text) {
		name, hash, _, err := parseSignatureLine(line)
		if err != nil {
			return Checkpoint{}, err
		}
		if _, err := verifiers.Verifier(name, hash); err != nil {
			continue
		}
		id := fmt.Sprintf("%s+%08x", name, hash)
		if seen[id] {
			return Checkpoint{}, checkpointError("two signatures by the key %s", quote(id))
		}
		seen[id] = true
	}
	for _, sig := range n.Sigs {
		if sig.Name == c.Origin {
			return c, nil
		}
	}
	return Checkpoint{}, checkpointError("no known key named %s signed it", quote(c.Origin))
}

// ParseCheckpoint reads a checkpoint without looking at its signatures: for
// showing it, never for believing it.
func ParseCheckpoint(text string) (Checkpoint, error) {
	i := strings.LastIndex(text, "\n\n")
	if i < 0 || len(signatureLines(text)) == 0 {
		return Checkpoint{}, checkpointError("not a signed note")
	}
	return parseCheckpointBody(text[:i+1])
}

// parseCheckpointBody reads the signed text, which ends in a line end.
func parseCheckpointBody(body string) (Checkpoint, error) {
	if strings.ContainsFunc(body, func(r rune) bool { return r < ' ' && r != '\n' || r == utf8.RuneError }) {
		return Checkpoint{}, checkpointError("control characters or invalid UTF-8")
	}
	lines := strings.Split(body, "\n")
	if len(lines) < 4 || lines[len(lines)-1] != "" {
		return Checkpoint{}, checkpointError("not three lines")
	}
	if slices.Contains(lines[3:len(lines)-1], "") {
		return Checkpoint{}, checkpointError("an empty line")
	}
	c := Checkpoint{Origin: lines[0]}
	if !validOrigin(c.Origin) {
		return Checkpoint{}, checkpointError("origin %s is empty or holds a space or a plus", quote(c.Origin))
	}
	var ok bool
	if c.Size, ok = parseSize(lines[1]); !ok {
		return Checkpoint{}, checkpointError("size %s", quote(lines[1]))
	}
	if c.Root, ok = parseHash(lines[2]); !ok {
		return Checkpoint{}, checkpointError("root %s is not the base64 of 32 bytes", quote(lines[2]))
	}
	if c.Size == 0 && c.Root != (Tree{}).Root() {
		return Checkpoint{}, checkpointError("the root of an empty log is the SHA-256 of nothing")
	}
	return c, nil
}

// signatureLines returns the lines behind the last blank line of a note.
func signatureLines(text string) []string {
	i := strings.LastIndex(text, "\n\n")
	if i < 0 || !strings.HasSuffix(text, "\n") || i+2 == len(text) {
		return nil
	}
	return strings.Split(text[i+2:len(text)-1], "\n")
}

// parseSignatureLine reads a line of a note without its end: the name and the hash of a key, and its signature.
func parseSignatureLine(line string) (name string, hash uint32, sig []byte, err error) {
	rest, ok := strings.CutPrefix(line, "— ")
	name, sig64, _ := strings.Cut(rest, " ")
	data, err := base64.StdEncoding.Strict().DecodeString(sig64)
	if err != nil || !ok || len(data) < 5 || strings.ContainsAny(line, "\r\n") {
		return "", 0, nil, checkpointError("signature line of %s is not strict base64", quote(name))
	}
	return name, binary.BigEndian.Uint32(data), data[4:], nil
}

// validOrigin applies the rule for names of keys, since the two are the same.
func validOrigin(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsSpace) && !strings.Contains(s, "+")
}

// VerifierKey is the verifier key of a checkpoint key for the log of a name.
func VerifierKey(origin string, pub ed25519.PublicKey) (string, error) {
	if !validOrigin(origin) {
		return "", checkpointError("origin %s is empty or holds a space or a plus", quote(origin))
	}
	if err := AdmitKey(pub); err != nil {
		return "", err
	}
	return note.NewEd25519VerifierKey(origin, pub)
}
