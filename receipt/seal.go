package receipt

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Signer seals receipts with one key. Its zero value is not usable. It is safe
// for concurrent use if the crypto.Signer behind it is.
type Signer struct {
	key crypto.Signer
	pub ed25519.PublicKey
	id  string
}

// NewSigner returns a Signer for an Ed25519 key, whose public half it admits
// (see [AdmitKey]).
func NewSigner(s crypto.Signer) (Signer, error) {
	pub, ok := s.Public().(ed25519.PublicKey)
	if !ok {
		return Signer{}, fmt.Errorf("receipts are signed with Ed25519, and this key is a %T", s.Public())
	}
	if err := AdmitKey(pub); err != nil {
		return Signer{}, err
	}
	return Signer{key: s, pub: pub, id: KeyID(pub)}, nil
}

// KeyID returns the id that a body to be sealed must hold as key_id.
func (s Signer) KeyID() string { return s.id }

// Public returns the key that verifies what s seals.
func (s Signer) Public() ed25519.PublicKey { return s.pub }

// ReceiptKey implements [Keys] with the one key of s.
func (s Signer) ReceiptKey(id string) (ed25519.PublicKey, bool) { return s.pub, id == s.id }

// Sealed is a signed receipt.
type Sealed struct {
	Raw           []byte // the envelope; see the package comment
	EventID, Kind string
	IntegrityHash string // lower-case hex SHA-256 of the PAE
	LeafHash      tlog.Hash
}

// ErrNotSigned is matched by the errors of Seal that are not about the body:
// the key could not sign, or what it signed does not verify.
var ErrNotSigned = errors.New("the receipt was not signed")

// Seal brings body, a strict JSON object with the members that [Header]
// requires, into canonical form and signs it. Before it returns, it opens the
// result as a verifier would, so that a fault of the canonicaliser or of the
// key stops the write instead of entering the log.
//
// The error is a [*CanonicalError] or a [*VerifyError] where the body is at
// fault, and matches [ErrNotSigned] where the key is.
func (s Signer) Seal(body []byte) (Sealed, error) {
	canonical, err := Canonical(body)
	if err != nil {
		return Sealed{}, err
	}
	if canonical[0] != '{' {
		return Sealed{}, &VerifyError{Check: CheckSchema, Detail: "the body is not a JSON object"}
	}
	members, ok := Limits{}.scanMembers(nil, canonical)
	if !ok {
		return Sealed{}, Limits{}.notCanonical(canonical)
	}
	h, err := parseHeader(members)
	if err != nil {
		return Sealed{}, err
	}
	if h.KeyID != s.id {
		return Sealed{}, &VerifyError{Check: CheckKeyID, Expected: s.id, Found: h.KeyID, Detail: "the body names another key than the signer's"}
	}
	sig, err := s.key.Sign(rand.Reader, PAE(PayloadType, canonical), crypto.Hash(0))
	if err != nil {
		return Sealed{}, fmt.Errorf("%w: %w", ErrNotSigned, err)
	}
	raw := joinEnvelope(canonical, s.id, sig)
	r, err := Open(raw, s)
	if err != nil {
		if e, ok := errors.AsType[*VerifyError](err); ok && e.Check == CheckEnvelope {
			return Sealed{}, err // only its size can be wrong
		}
		return Sealed{}, fmt.Errorf("%w: its own verification fails: %w", ErrNotSigned, err)
	}
	return Sealed{Raw: raw, EventID: r.EventID, Kind: r.Kind, IntegrityHash: r.IntegrityHash, LeafHash: r.LeafHash}, nil
}
