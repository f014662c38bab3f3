package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/note"
)

// Purposes of a public key. No key has both.
const (
	PurposeReceipt    = "receipt"
	PurposeCheckpoint = "checkpoint"
)

// PublicKey is how a public key stands in an export and in the answer of the
// key endpoint.
type PublicKey struct {
	KeyID     string `json:"key_id"`
	Purpose   string `json:"purpose"`            // PurposeReceipt or PurposeCheckpoint
	Algorithm string `json:"algorithm,omitzero"` // "ed25519", or empty for the same
	PublicKey string `json:"public_key"`         // standard base64 of 32 bytes
	VKey      string `json:"vkey,omitzero"`      // of a checkpoint key: <origin>+<hash>+<base64>
}

// NewReceiptPublicKey describes a receipt key.
func NewReceiptPublicKey(pub ed25519.PublicKey) PublicKey {
	return PublicKey{KeyID: KeyID(pub), Purpose: PurposeReceipt, Algorithm: "ed25519", PublicKey: base64.StdEncoding.EncodeToString(pub)}
}

// NewCheckpointPublicKey describes a checkpoint key by its verifier key.
func NewCheckpointPublicKey(vkey string) (PublicKey, error) {
	pub, err := vkeyPublic(vkey)
	if err != nil {
		return PublicKey{}, err
	}
	return PublicKey{
		KeyID: KeyID(pub), Purpose: PurposeCheckpoint, Algorithm: "ed25519",
		PublicKey: base64.StdEncoding.EncodeToString(pub), VKey: vkey,
	}, nil
}

// Trust is what an auditor believes before reading any evidence. The zero
// value trusts nothing in advance: a verifier then falls back on the keys in
// the evidence, which shows only that the evidence agrees with itself, and the
// report says so.
type Trust struct {
	Receipt    KeySet   // keys that may sign receipts
	Checkpoint []string // verifier keys that may sign checkpoints
	// CheckpointKeys may sign the checkpoints of any log, whatever its origin: a server has one for the logs of all its orgs.
	CheckpointKeys []ed25519.PublicKey
	Heads          []Checkpoint // heads of logs saved earlier, which a log must continue
	// Policy asks for cosignatures of the checkpoint. Its logs are not trusted by that: add their keys to Checkpoint.
	Policy Policy
}

// Pinned reports whether t names any key.
func (t Trust) Pinned() bool { return len(t.Receipt) > 0 || t.checkpoints() }

func (t Trust) checkpoints() bool { return len(t.Checkpoint) > 0 || len(t.CheckpointKeys) > 0 }

// anyOrigin finds, besides the verifier keys of a list, those that its keys
// have under whatever name a note is signed with.
type anyOrigin struct {
	note.Verifiers
	keys []ed25519.PublicKey
}

func (a anyOrigin) Verifier(name string, hash uint32) (note.Verifier, error) {
	v, err := a.Verifiers.Verifier(name, hash)
	if err == nil {
		return v, nil
	}
	for _, pub := range a.keys {
		if k := newNoteKey(name, pub); k.hash == hash && validOrigin(name) {
			return k, nil
		}
	}
	return nil, err
}

// verifiers admits the checkpoint keys and refuses one that is also a receipt
// key: one signature could then be offered for the other.
func (t Trust) verifiers() (note.Verifiers, error) {
	var list []note.Verifier
	seen := map[string]bool{}
	for _, vkey := range t.Checkpoint {
		v, err := NewNoteVerifier(vkey)
		if err != nil {
			return nil, fmt.Errorf("checkpoint key %s: %w", quote(vkey), err)
		}
		pub, err := vkeyPublic(vkey)
		if err != nil {
			return nil, err
		}
		if _, ok := t.Receipt[KeyID(pub)]; ok {
			return nil, fmt.Errorf("the key %s is given for receipts and for checkpoints", KeyID(pub))
		}
		if !seen[vkey] {
			list = append(list, v)
		}
		seen[vkey] = true
	}
	for _, pub := range t.CheckpointKeys {
		if err := AdmitKey(pub); err != nil {
			return nil, err
		}
		if _, ok := t.Receipt[KeyID(pub)]; ok {
			return nil, fmt.Errorf("the key %s is given for receipts and for checkpoints", KeyID(pub))
		}
	}
	for _, w := range t.Policy.Witnesses {
		if _, ok := t.Receipt[KeyID(w.pub)]; ok || t.signsCheckpoints(w.pub) {
			return nil, fmt.Errorf("the key of the witness %s also signs receipts or checkpoints: a log is not its own witness", quote(w.Name))
		}
	}
	return anyOrigin{note.VerifierList(list...), t.CheckpointKeys}, nil
}

func (t Trust) signsCheckpoints(pub ed25519.PublicKey) bool {
	return slices.ContainsFunc(t.CheckpointKeys, func(k ed25519.PublicKey) bool { return k.Equal(pub) }) ||
		slices.ContainsFunc(t.Checkpoint, func(vkey string) bool {
			k, err := vkeyPublic(vkey)
			return err == nil && k.Equal(pub)
		})
}

func vkeyPublic(vkey string) (ed25519.PublicKey, error) {
	v, err := NewNoteVerifier(vkey)
	if err != nil {
		return nil, err
	}
	return v.(noteKey).pub, nil
}

// ParsePublicKeys reads public keys in any of the forms in which they are
// handed over: lines that each hold a receipt key in hex or base64 or a
// checkpoint key as verifier key, with blank lines and # comments; or the JSON
// of the key endpoint, one object, {"keys": […]} or {"items": […]}. All keys are admitted. It
// is an error if there is none.
func ParsePublicKeys(data []byte) (Trust, error) {
	t := Trust{Receipt: KeySet{}}
	var err error
	if data = bytes.TrimSpace(data); bytes.HasPrefix(data, []byte("{")) {
		err = t.addJSON(data)
	} else {
		err = t.addLines(string(data))
	}
	if err != nil {
		return Trust{}, err
	}
	if !t.Pinned() {
		return Trust{}, errors.New("no public key found")
	}
	if _, err := t.verifiers(); err != nil {
		return Trust{}, err
	}
	return t, nil
}

func (t *Trust) addLines(text string) error {
	number := 0
	for line := range strings.Lines(text) {
		number++
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if err := t.addLine(line); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return nil
}

func (t *Trust) addLine(line string) error {
	if pub, err := hex.DecodeString(line); err == nil && len(pub) == ed25519.PublicKeySize {
		return t.addReceiptKey(pub)
	}
	if pub, ok := parseHash(line); ok {
		return t.addReceiptKey(pub[:])
	}
	if _, err := NewNoteVerifier(line); err != nil {
		return errors.New("not a public key of 32 bytes in hex or base64, and not the verifier key of a checkpoint key: " + err.Error())
	}
	t.Checkpoint = append(t.Checkpoint, line)
	return nil
}

func (t *Trust) addReceiptKey(pub ed25519.PublicKey) error {
	if err := AdmitKey(pub); err != nil {
		return err
	}
	t.Receipt[KeyID(pub)] = pub
	return nil
}

func (t *Trust) addJSON(data []byte) error {
	var list struct {
		Keys  []PublicKey `json:"keys"`
		Items []PublicKey `json:"items"` // as the endpoint lists them
		PublicKey
	}
	// Other members are passed over: the endpoint may say more about a key.
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("not the JSON of a key endpoint: %w", err)
	}
	if list.Keys == nil {
		list.Keys = list.Items
	}
	if list.Keys == nil {
		list.Keys = []PublicKey{list.PublicKey}
	}
	for i, k := range list.Keys {
		if err := t.add(k); err != nil {
			return fmt.Errorf("key %d: %w", i, err)
		}
	}
	return nil
}

// add takes a described key if all that is said of it agrees.
func (t *Trust) add(k PublicKey) error {
	if k.Algorithm != "" && k.Algorithm != "ed25519" {
		return fmt.Errorf("algorithm %s; only ed25519 is known", quote(k.Algorithm))
	}
	hash, ok := parseHash(k.PublicKey)
	if !ok {
		return errors.New("public_key is not the base64 of 32 bytes")
	}
	pub := ed25519.PublicKey(hash[:])
	if k.KeyID != "" && k.KeyID != KeyID(pub) {
		return fmt.Errorf("key_id is %s and the key's is %s", quote(k.KeyID), KeyID(pub))
	}
	switch k.Purpose {
	case PurposeReceipt:
		return t.addReceiptKey(pub)
	case PurposeCheckpoint:
		if k.VKey == "" {
			t.CheckpointKeys = append(t.CheckpointKeys, pub)
			return AdmitKey(pub)
		}
		inVKey, err := vkeyPublic(k.VKey)
		if err != nil {
			return fmt.Errorf("vkey: %w", err)
		}
		if !inVKey.Equal(pub) {
			return errors.New("vkey holds another key than public_key")
		}
		t.Checkpoint = append(t.Checkpoint, k.VKey)
		return nil
	}
	return fmt.Errorf("purpose %s; known are receipt and checkpoint", quote(k.Purpose))
}
