package receipt

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/tlog"
)

// PayloadType is the DSSE type of a receipt. It is signed, so that a signature
// made for anything else is never one over a receipt.
const PayloadType = "application/vnd.prova.receipt+json"

// PAE is DSSE's pre-authentication encoding, the bytes that are signed:
//
//	DSSEv1 <len(payloadType)> <payloadType> <len(body)> <body>
//
// with lengths in bytes and in decimal.
func PAE(payloadType string, body []byte) []byte {
	b := make([]byte, 0, len(payloadType)+len(body)+32)
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, ' ')
	return append(b, body...)
}

// Receipt is an opened receipt. Body shares memory with the bytes that it was
// opened from.
type Receipt struct {
	Header
	Body          []byte // the exact bytes that were signed
	Signature     []byte // 64 bytes
	IntegrityHash string // lower-case hex SHA-256 of the PAE
	LeafHash      tlog.Hash
}

// Open parses raw and verifies its signature with the key that keys holds for
// it. Any error is a [*VerifyError] that names the check; for a key that keys
// does not hold it also matches [ErrUnknownKey].
func Open(raw []byte, keys Keys) (Receipt, error) {
	r, pae, err := parse(raw)
	if err != nil {
		return Receipt{}, err
	}
	if err := verify(r, pae, keys); err != nil {
		return Receipt{}, err
	}
	return r, nil
}

func verify(r Receipt, pae []byte, keys Keys) error {
	pub, ok := keys.ReceiptKey(r.KeyID)
	if !ok {
		return unknownKey(r.KeyID)
	}
	if id := KeyID(pub); id != r.KeyID {
		return &VerifyError{Check: CheckKeyID, Expected: r.KeyID, Found: id, Detail: "the key on file has another id"}
	}
	if err := VerifySignature(pub, pae, r.Signature); err != nil {
		return &VerifyError{Check: CheckSignature, Detail: err.Error(), cause: err}
	}
	return nil
}

func unknownKey(id string) error {
	return &VerifyError{Check: CheckKnownKey, Found: id, Detail: "the signing key is not among the keys given, and no key event of a trusted key adds it"}
}

// Parse is as strict as [Open] about everything but the signature, which it
// does not check: for showing a receipt, never for believing it.
func Parse(raw []byte) (Receipt, error) {
	r, _, err := parse(raw)
	return r, err
}

func parse(raw []byte) (r Receipt, pae []byte, err error) {
	body, keyID, signature, err := splitEnvelope(raw)
	if err != nil {
		return Receipt{}, nil, err
	}
	var room [32]member
	members, ok := Limits{}.scanMembers(room[:0], body)
	if !ok {
		err := Limits{}.notCanonical(body)
		return Receipt{}, nil, &VerifyError{Check: CheckCanonicalForm, Detail: err.Error(), cause: err}
	}
	h, err := parseHeader(members)
	if err != nil {
		return Receipt{}, nil, err
	}
	if string(keyID) != h.KeyID {
		return Receipt{}, nil, &VerifyError{
			Check: CheckKeyID, Expected: h.KeyID, Found: string(keyID),
			Detail: "the envelope names another key than the body",
		}
	}
	sig, err := base64.StdEncoding.Strict().AppendDecode(nil, signature)
	if err != nil || bytes.ContainsAny(signature, "\r\n") { // the decoder skips line ends
		return Receipt{}, nil, &VerifyError{Check: CheckSignature, Expected: "standard base64 with no spare bits", Found: quote(string(signature)), cause: err}
	}
	if len(sig) != 64 {
		return Receipt{}, nil, &VerifyError{
			Check: CheckSignature, Expected: "64 bytes", Found: strconv.Itoa(len(sig)) + " bytes",
			cause: ErrSignatureLength,
		}
	}
	pae = PAE(PayloadType, body)
	hash := integrityHash(pae)
	return Receipt{Header: h, Body: body, Signature: sig, IntegrityHash: hash, LeafHash: LeafHash(h.EventID, hash)}, pae, nil
}

func integrityHash(pae []byte) string {
	sum := sha256.Sum256(pae)
	return hex.EncodeToString(sum[:])
}

// The envelope around body, key id and signature. Its members are sorted and
// it holds no space, so it is in canonical form if the body is.
const (
	envelopeHead = `{"body":`
	envelopeKey  = `,"key_id":"`
	envelopeSig  = `","signature":"`
	envelopeTail = `"}`
)

func joinEnvelope(body []byte, keyID string, sig []byte) []byte {
	b := make([]byte, 0, len(body)+len(keyID)+len(envelopeHead+envelopeKey+envelopeSig+envelopeTail)+88)
	b = append(append(b, envelopeHead...), body...)
	b = append(append(b, envelopeKey...), keyID...)
	b = append(b, envelopeSig...)
	b = base64.StdEncoding.AppendEncode(b, sig)
	return append(b, envelopeTail...)
}

// splitEnvelope takes raw apart without a parser: the parts between fixed texts
// are the same for every reader, which no lenient parser can promise. The
// caller shows that body is one JSON value.
func splitEnvelope(raw []byte) (body, keyID, signature []byte, err error) {
	if len(raw) > MaxBytes {
		return nil, nil, nil, &VerifyError{
			Check: CheckEnvelope, Expected: fmt.Sprintf("at most %d bytes", MaxBytes),
			Found: fmt.Sprintf("%d bytes", len(raw)), malformed: true,
		}
	}
	rest, ok1 := bytes.CutPrefix(raw, []byte(envelopeHead))
	rest, ok2 := bytes.CutSuffix(rest, []byte(envelopeTail))
	i := bytes.LastIndex(rest, []byte(envelopeKey))
	if !ok1 || !ok2 || i < 0 {
		return nil, nil, nil, envelopeError(raw)
	}
	body = rest[:i]
	keyID, signature, ok := bytes.Cut(rest[i+len(envelopeKey):], []byte(envelopeSig))
	if !ok || bytes.ContainsAny(keyID, `"\`) || bytes.ContainsAny(signature, `"\`) || len(body) == 0 || body[0] != '{' {
		return nil, nil, nil, envelopeError(raw)
	}
	return body, keyID, signature, nil
}

// envelopeError finds out what is wrong with an envelope that is not in its
// one spelling.
func envelopeError(raw []byte) error {
	e := &VerifyError{Check: CheckEnvelope, Expected: `{"body":{…},"key_id":"…","signature":"…"}`}
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	if tok, err := d.ReadToken(); err != nil || tok.Kind() != '{' {
		e.Detail, e.malformed = "not a JSON object", true
		return e
	}
	seen := map[string]jsontext.Kind{}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return notJSON(e, err)
		}
		member, kind := name.String(), d.PeekKind()
		if err := d.SkipValue(); err != nil {
			return notJSON(e, err)
		}
		if member != "body" && member != "key_id" && member != "signature" {
			e.Detail = "unknown member " + strconv.QuoteToASCII(member)
			return e
		}
		seen[member] = kind
	}
	for _, m := range []struct {
		name string
		kind jsontext.Kind
	}{{"body", '{'}, {"key_id", '"'}, {"signature", '"'}} {
		if kind, ok := seen[m.name]; !ok || kind != m.kind {
			e.Detail, e.malformed = fmt.Sprintf("member %q is missing or of the wrong type", m.name), true
			return e
		}
	}
	e.Detail = "members out of order, or space or escapes between them, or data behind them"
	return e
}

func notJSON(e *VerifyError, err error) error {
	e.Detail, e.cause = "not strict JSON: "+syntaxError(err).Error(), syntaxError(err)
	// A second member of a name is an attempt to be read in two ways, not an
	// accident of transport.
	e.malformed = !duplicateName(err)
	return e
}
