package receipt

import (
	"crypto/sha256"
	"encoding/hex"
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
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}
