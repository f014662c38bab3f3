package receipt

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// Commit returns the commitment to a payload that a body holds in place of it:
// "sha256:" and the lower-case hex SHA-256 of "prova-payload-commitment\n",
// the salt and the value's canonical bytes (see [Canonical]). The salt must be
// random and is kept and erased together with the value: without it a short
// value could be guessed.
func Commit(salt [32]byte, canonicalValue []byte) string {
	h := sha256.New()
	h.Write([]byte("prova-payload-commitment\n"))
	h.Write(salt[:])
	h.Write(canonicalValue)
	return commitmentPrefix + hex.EncodeToString(h.Sum(nil))
}

const commitmentPrefix = "sha256:"

// ErrCommitment is matched by the error of [OpenCommitment].
var ErrCommitment = errors.New("the commitment is to another value or salt")

// OpenCommitment reports whether a commitment in a receipt is one to this salt
// and value. The value must be canonical, as it was when it was committed to.
func OpenCommitment(commitment string, salt [32]byte, canonicalValue []byte) error {
	if err := IsCanonical(canonicalValue); err != nil {
		return err
	}
	if Commit(salt, canonicalValue) != commitment {
		return ErrCommitment
	}
	return nil
}
