package receipt

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// cosignatureHeader begins what a witness signs, so that its signature can be
// taken neither for a log's nor for a receipt's.
const cosignatureHeader = "cosignature/v1\n"

// maxCosignatureTime is the last second of the year 9999: what every language can print.
const maxCosignatureTime = 253402300799

// Witness is the public half of a key that cosigns checkpoints: who holds the
// other half saw that the log only grew. The zero value is none.
type Witness struct {
	name string
	hash uint32
	pub  ed25519.PublicKey
}

// Name is the name in the verifier key.
func (w Witness) Name() string { return w.name }

// VKey is the verifier key: <name>+<hash>+<base64>, of signature type 4.
func (w Witness) VKey() string {
	key := base64.StdEncoding.EncodeToString(append([]byte(algCosignature), w.pub...))
	return fmt.Sprintf("%s+%08x+%s", w.name, w.hash, key)
}

// NewWitness admits a public key under a name, which should be a URL without its scheme.
func NewWitness(name string, pub ed25519.PublicKey) (Witness, error) {
	if !validOrigin(name) {
		return Witness{}, checkpointError("the name of a witness, %s, is empty or holds a space or a plus", quote(name))
	}
	if err := AdmitKey(pub); err != nil {
		return Witness{}, err
	}
	return Witness{name, noteKeyHash(name, algCosignature, pub), pub}, nil
}

// ParseWitness reads a verifier key in its one spelling. The verifier key of a
// log is refused: its signature says nothing of other people's logs.
func ParseWitness(vkey string) (Witness, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	_, key64, _ := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.Strict().DecodeString(key64)
	if err != nil || len(key) != 1+ed25519.PublicKeySize {
		return Witness{}, errors.New("malformed verifier key")
	}
	if string(key[:1]) != algCosignature {
		return Witness{}, fmt.Errorf("the verifier key is of signature type %d; that of a witness is of type 4, cosignature/v1", key[0])
	}
	w, err := NewWitness(name, key[1:])
	if err == nil && w.VKey() != vkey {
		err = errors.New("malformed verifier key")
	}
	return w, err
}

// cosigned is what a witness signs for the body of a checkpoint.
func cosigned(body string, at int64) []byte {
	return []byte(cosignatureHeader + "time " + strconv.FormatInt(at, 10) + "\n" + body)
}

// Cosigner is a witness that can sign.
type Cosigner struct {
	Witness
	key crypto.Signer
}

// NewCosigner returns the cosigner of an Ed25519 private key, which must be
// used for nothing else: what is signed does not hold the name.
func NewCosigner(name string, priv crypto.Signer) (Cosigner, error) {
	pub, ok := priv.Public().(ed25519.PublicKey)
	if !ok {
		return Cosigner{}, fmt.Errorf("a witness signs with Ed25519, and this key is a %T", priv.Public())
	}
	w, err := NewWitness(name, pub)
	return Cosigner{w, priv}, err
}

// Cosign returns the signature line, with its end, that says: at this time this
// was the largest head of its log that the cosigner had seen, and it continued
// all those before it. The signatures of the checkpoint are not looked at.
// Times are kept to the second.
func (c Cosigner) Cosign(checkpoint string, at time.Time) (string, error) {
	if _, err := ParseCheckpoint(checkpoint); err != nil {
		return "", err
	}
	body, seconds := noteBody(checkpoint), at.Unix()
	if seconds < 0 || seconds > maxCosignatureTime {
		return "", checkpointError("the time %s is none that a cosignature can hold", at)
	}
	sig, err := c.key.Sign(rand.Reader, cosigned(body, seconds), crypto.Hash(0))
	if err != nil {
		return "", err
	}
	if err := VerifySignature(c.pub, cosigned(body, seconds), sig); err != nil {
		return "", err
	}
	data := binary.BigEndian.AppendUint32(nil, c.hash)
	data = binary.BigEndian.AppendUint64(data, uint64(seconds))
	return "— " + c.name + " " + base64.StdEncoding.EncodeToString(append(data, sig...)) + "\n", nil
}

// noteBody is the signed text of a note, which ends in a line end.
func noteBody(text string) string { return text[:strings.LastIndex(text, "\n\n")+1] }

// ErrNotCosigned says that a checkpoint holds no cosignature of a witness at all.
var ErrNotCosigned = errors.New("the witness did not cosign the checkpoint")

// Cosigned finds the witness's cosignature in a checkpoint and verifies it. It
// returns the time that it states and its line, with its end. The error is
// [ErrNotCosigned] where there is none, and one that matches [ErrCheckpoint]
// where there is one that does not verify, or more than one.
func (w Witness) Cosigned(checkpoint string) (at time.Time, line string, err error) {
	if _, err := ParseCheckpoint(checkpoint); err != nil {
		return time.Time{}, "", err
	}
	body := noteBody(checkpoint)
	for _, text := range signatureLines(checkpoint) {
		name, hash, sig, err := parseSignatureLine(text)
		if err != nil || name != w.name || hash != w.hash {
			continue
		}
		if line != "" {
			return time.Time{}, "", checkpointError("two cosignatures by the witness %s", quote(w.name))
		}
		line = text + "\n"
		if at, err = w.verify(body, sig); err != nil {
			return time.Time{}, "", err
		}
	}
	if line == "" {
		return time.Time{}, "", ErrNotCosigned
	}
	return at, line, nil
}

func (w Witness) verify(body string, sig []byte) (time.Time, error) {
	if len(sig) != 8+ed25519.SignatureSize {
		return time.Time{}, checkpointError("the cosignature by %s is not a time and a signature", quote(w.name))
	}
	seconds := binary.BigEndian.Uint64(sig)
	if seconds > maxCosignatureTime {
		return time.Time{}, checkpointError("the cosignature by %s states a time after the year 9999", quote(w.name))
	}
	if err := VerifySignature(w.pub, cosigned(body, int64(seconds)), sig[8:]); err != nil {
		return time.Time{}, checkpointError("invalid cosignature by the witness %s: %w", quote(w.name), err)
	}
	return time.Unix(int64(seconds), 0).UTC(), nil
}
