package receipt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"filippo.io/edwards25519"
)

// Keys answers which public key has an id. The answer for an id never changes.
// Implementations are safe for concurrent use and return admitted keys (see
// [AdmitKey]).
type Keys interface {
	ReceiptKey(id string) (ed25519.PublicKey, bool)
}

// KeySet holds admitted public keys by [KeyID]. Make it with [NewKeySet].
type KeySet map[string]ed25519.PublicKey

// NewKeySet admits each key. The error says which key was refused and why.
func NewKeySet(pubs ...ed25519.PublicKey) (KeySet, error) {
	set := make(KeySet, len(pubs))
	for _, pub := range pubs {
		if err := AdmitKey(pub); err != nil {
			return nil, fmt.Errorf("public key %x: %w", []byte(pub), err)
		}
		set[KeyID(pub)] = bytes.Clone(pub)
	}
	return set, nil
}

// ReceiptKey implements [Keys].
func (s KeySet) ReceiptKey(id string) (ed25519.PublicKey, bool) {
	pub, ok := s[id]
	return pub, ok
}

// KeyID names a public key: the lower-case hex SHA-256 of the text
// "prova-receipt-key\n" and the 32 bytes of the key.
func KeyID(pub ed25519.PublicKey) string {
	sum := sha256.Sum256(append([]byte("prova-receipt-key\n"), pub...))
	return hex.EncodeToString(sum[:])
}

// Reasons for which [AdmitKey] refuses a public key.
var (
	ErrKeyLength       = errors.New("a public key has 32 bytes")
	ErrKeyNotAPoint    = errors.New("the public key is no point of the curve")
	ErrKeyNotCanonical = errors.New("the public key is not canonically encoded")
	ErrKeySmallOrder   = errors.New("the public key has small order")
	ErrKeyMixedOrder   = errors.New("the public key is outside the prime-order subgroup")
)

// AdmitKey returns nil for a public key that every Ed25519 verifier judges
// alike: canonically encoded and a point of the prime-order subgroup other
// than the identity. Whoever signs with another key can make receipts that
// pass for one auditor and fail for the next. It costs about as much as a
// verification; call it where a key enters, not where it is used.
func AdmitKey(pub ed25519.PublicKey) error {
	if len(pub) != ed25519.PublicKeySize {
		return ErrKeyLength
	}
	a, err := new(edwards25519.Point).SetBytes(pub)
	if err != nil {
		return ErrKeyNotAPoint
	}
	if !bytes.Equal(a.Bytes(), pub) {
		return ErrKeyNotCanonical
	}
	identity := edwards25519.NewIdentityPoint()
	if new(edwards25519.Point).MultByCofactor(a).Equal(identity) == 1 {
		return ErrKeySmallOrder
	}
	// A scalar is reduced modulo L, so [L]A has to be written [L-1]A + A.
	one, err := edwards25519.NewScalar().SetCanonicalBytes(append([]byte{1}, make([]byte, 31)...))
	if err != nil {
		return err
	}
	p := new(edwards25519.Point).ScalarMult(new(edwards25519.Scalar).Negate(one), a)
	if p.Add(p, a).Equal(identity) != 1 {
		return ErrKeyMixedOrder
	}
	return nil
}

// Reasons for which [VerifySignature] refuses a signature.
var (
	ErrSignatureLength     = errors.New("a signature has 64 bytes")
	ErrSignatureSmallOrder = errors.New("the signature's point R has small order")
	ErrSignatureInvalid    = errors.New("the signature does not match")
)

// VerifySignature checks a pure Ed25519 signature under the strict profile:
// exact lengths, S below the group order, R canonical and not of small order,
// and the equation without the cofactor. pub must have been admitted.
func VerifySignature(pub ed25519.PublicKey, msg, sig []byte) error {
	if len(pub) != ed25519.PublicKeySize {
		return ErrKeyLength
	}
	if len(sig) != ed25519.SignatureSize {
		return ErrSignatureLength
	}
	if smallOrder([32]byte(sig[:32])) {
		return ErrSignatureSmallOrder
	}
	// crypto/ed25519 refuses S of L and above, and compares the bytes of R with
	// a canonical encoding, so no other spelling of R passes.
	if !ed25519.Verify(pub, msg, sig) {
		return ErrSignatureInvalid
	}
	return nil
}

// smallOrder reports whether p is the canonical encoding of one of the eight
// points whose order divides the cofactor. A comparison is a thousand times
// cheaper than the multiplication; a test derives the list.
func smallOrder(p [32]byte) bool {
	sign := p[31] & 0x80
	p[31] &^= 0x80
	switch hex.EncodeToString(p[:]) {
	case "0000000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a":
		return true
	case "0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f":
		return sign == 0
	}
	return false
}
