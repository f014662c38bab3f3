package receipt

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestSealOpen(t *testing.T) {
	s := newSigner(t, "receipts")
	sealed := seal(t, s, nil)
	r, err := Open(sealed.Raw, s)
	if err != nil {
		t.Fatal(err)
	}
	want := Header{
		Schema: Schema, EventID: "evt_01k2a", Org: "default", Kind: "agent_run", OccurredAt: "2026-05-15T18:42:00Z",
		RecordedAt: "2026-05-15T18:42:00.125Z", Actor: "key_1", KeyID: s.KeyID(), IdempotencyKey: "trace-abc",
		Source: Source{AppID: "claims-agent", Environment: "production", Release: "v36", Framework: "langgraph"}, RunID: "run-1",
	}
	if r.Header != want {
		t.Errorf("%+v", r.Header)
	}
	canonical, err := Canonical(bodyOf(s, nil))
	if err != nil || !bytes.Equal(r.Body, canonical) || !bytes.Contains(sealed.Raw, r.Body) {
		t.Errorf("the body is not the canonical one, verbatim: %s (%v)", r.Body, err)
	}
	if err := IsCanonical(sealed.Raw); err != nil {
		t.Errorf("the envelope is not in canonical form: %v", err)
	}
	if r.IntegrityHash != sealed.IntegrityHash || r.LeafHash != sealed.LeafHash || r.EventID != sealed.EventID || r.Kind != sealed.Kind {
		t.Error("Seal and Open disagree")
	}
	if r.LeafHash != LeafHash(r.EventID, r.IntegrityHash) {
		t.Error("leaf hash")
	}
	parsed, err := Parse(sealed.Raw)
	if err != nil || !reflect.DeepEqual(parsed, r) {
		t.Errorf("Parse: %+v, %v", parsed, err)
	}
	if again := seal(t, s, nil); !bytes.Equal(again.Raw, sealed.Raw) {
		t.Error("sealing is not deterministic")
	}
}

func TestPAE(t *testing.T) {
	// The example of the DSSE specification.
	got := string(PAE("http://example.com/HelloWorld", []byte("hello world")))
	if got != "DSSEv1 29 http://example.com/HelloWorld 11 hello world" {
		t.Error(got)
	}
}

func TestSealRefuses(t *testing.T) {
	s := newSigner(t, "receipts")
	for _, c := range []struct {
		name    string
		changes fields
		want    CheckName
	}{
		{"other schema", fields{"schema": "prova.receipt/2"}, CheckSchema},
		{"no schema", fields{"schema": nil}, CheckSchema},
		{"no org", fields{"org": nil}, CheckSchema},
		{"empty org", fields{"org": ""}, CheckSchema},
		{"long org", fields{"org": strings.Repeat("o", 129)}, CheckSchema},
		{"no actor", fields{"actor": nil}, CheckSchema},
		{"wrong type", fields{"actor": 7}, CheckSchema},
		{"wrong source", fields{"source": "x"}, CheckSchema},
		{"wrong type in source", fields{"source": fields{"release": 36}}, CheckSchema},
		{"no event id", fields{"event_id": nil}, CheckEventID},
		{"event id with a dot", fields{"event_id": "evt_a.b"}, CheckEventID},
		{"event id in capitals", fields{"event_id": "evt_A"}, CheckEventID},
		{"bare event id", fields{"event_id": "evt_"}, CheckEventID},
		{"long event id", fields{"event_id": "evt_" + strings.Repeat("a", 61)}, CheckEventID},
		{"no kind", fields{"kind": nil}, CheckKind},
		{"kind in capitals", fields{"kind": "Run"}, CheckKind},
		{"kind with a digit first", fields{"kind": "1run"}, CheckKind},
		{"no key id", fields{"key_id": nil}, CheckKeyID},
		{"other key id", fields{"key_id": strings.Repeat("0", 64)}, CheckKeyID},
		{"no time", fields{"recorded_at": nil}, CheckTimes},
		{"offset", fields{"recorded_at": "2026-05-15T18:42:00+00:00"}, CheckTimes},
		{"comma", fields{"recorded_at": "2026-05-15T18:42:00,5Z"}, CheckTimes},
		{"bare point", fields{"recorded_at": "2026-05-15T18:42:00.Z"}, CheckTimes},
		{"picoseconds", fields{"recorded_at": "2026-05-15T18:42:00.0000000001Z"}, CheckTimes},
		{"small letters", fields{"recorded_at": "2026-05-15t18:42:00Z"}, CheckTimes},
		{"no such day", fields{"recorded_at": "2026-02-30T18:42:00Z"}, CheckTimes},
		{"bad occurred_at", fields{"occurred_at": "yesterday"}, CheckTimes},
		{"occurred later", fields{"occurred_at": "2026-05-15T18:47:00.126Z"}, CheckTimes},
		{"no room for the signature", fields{"note": strings.Repeat("x", MaxBytes-len(`"note":"",`)-len(bodyOf(s, nil)))}, CheckEnvelope},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.Seal(bodyOf(s, c.changes))
			wantCheck(t, err, c.want)
		})
	}
	for _, c := range []fields{{"occurred_at": nil}, {"occurred_at": "2026-05-15T18:47:00Z"}, {"source": nil, "run_id": nil}} {
		seal(t, s, c)
	}
	_, err := s.Seal([]byte(`{"a":1,"a":2}`))
	if _, ok := errors.AsType[*CanonicalError](err); !ok {
		t.Error(err)
	}
	_, err = s.Seal([]byte(`[1]`))
	wantCheck(t, err, CheckSchema)
}

// faulty is a key whose hardware fails.
type faulty struct {
	ed25519.PrivateKey
	err error
}

func (f faulty) Sign(r io.Reader, msg []byte, o crypto.SignerOpts) ([]byte, error) {
	sig, err := f.PrivateKey.Sign(r, msg, o)
	if err != nil || f.err != nil {
		return nil, f.err
	}
	sig[40] ^= 1
	return sig, nil
}

func TestSealVerifiesWhatItSigned(t *testing.T) {
	for _, fault := range []error{nil, errors.New("the module is locked")} {
		s, err := NewSigner(faulty{seedKey("a"), fault})
		if err != nil {
			t.Fatal(err)
		}
		if sealed, err := s.Seal(bodyOf(s, nil)); !errors.Is(err, ErrNotSigned) {
			t.Errorf("%s, %v; want ErrNotSigned", sealed.Raw, err)
		}
	}
}

// Every change of every byte is found, and so is every prefix and suffix.
func TestEveryByte(t *testing.T) {
	s := newSigner(t, "receipts")
	raw := seal(t, s, nil).Raw
	changed := clone(raw)
	for i := range raw {
		for _, c := range []byte{raw[i] ^ 1, raw[i] ^ 0x20, raw[i] ^ 0x80, ' ', '"', '\\', 0, '\n'} {
			if c == raw[i] {
				continue
			}
			changed[i] = c
			if _, err := Open(changed, s); err == nil {
				t.Fatalf("byte %d changed from %q to %q and the receipt opens", i, raw[i], c)
			}
		}
		changed[i] = raw[i]
	}
	for i := range raw {
		for _, part := range [][]byte{raw[:i], raw[i+1:], append(clone(raw[:i]), raw[i+1:]...), append(append(clone(raw[:i]), ' '), raw[i:]...)} {
			if _, err := Open(part, s); err == nil {
				t.Fatalf("opens when cut or stretched at byte %d", i)
			}
		}
	}
}

// A change of any one member of the header breaks the signature: nothing that
// is shown lies outside what was signed.
func TestEveryFieldIsSigned(t *testing.T) {
	s := newSigner(t, "receipts")
	a := seal(t, s, nil)
	sig, err := Parse(a.Raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{
		"event_id": "evt_x", "org": "x", "kind": "x", "occurred_at": "2026-05-15T18:41:00Z", "recorded_at": "2026-05-15T18:43:00Z",
		"actor": "x", "idempotency_key": "x", "source": fields{"app_id": "x"}, "run_id": "x", "probe_id": "x", "extra": 1,
	} {
		b, err := Canonical(bodyOf(s, fields{name: v}))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Open(joinEnvelope(b, s.KeyID(), sig.Signature), s)
		wantCheck(t, err, CheckSignature)
	}
}

func TestOpenUnknownKey(t *testing.T) {
	raw := seal(t, newSigner(t, "receipts"), nil).Raw
	_, err := Open(raw, newSigner(t, "other"))
	if !errors.Is(err, ErrUnknownKey) {
		t.Error(err)
	}
	_, err = Open(raw, KeySet{newSigner(t, "receipts").KeyID(): newSigner(t, "other").Public()})
	wantCheck(t, err, CheckKeyID)
	if errors.Is(err, ErrUnknownKey) {
		t.Error("a key under a wrong id passes for an unknown key")
	}
}

func FuzzOpen(f *testing.F) {
	s := newSigner(f, "receipts")
	raw := seal(f, s, nil).Raw
	f.Add(raw)
	f.Add(bytes.Replace(raw, []byte(`"org"`), []byte(`"org":"a","org"`), 1))
	f.Add(append(clone(raw), '\n'))
	f.Add([]byte(`{"body":{},"key_id":"","signature":""}`))
	f.Add([]byte(`{"signature":"","body":{},"key_id":"","x":{"x":[]}}`))
	addCorpus(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := Open(in, s)
		if err != nil {
			if _, ok := err.(*VerifyError); !ok {
				t.Fatalf("error of type %T: %v", err, err)
			}
		} else if !bytes.Equal(joinEnvelope(r.Body, r.KeyID, r.Signature), in) {
			t.Fatalf("opens in another spelling: %s", in)
		}
		if p, err := Parse(in); err == nil && !bytes.Equal(joinEnvelope(p.Body, p.KeyID, p.Signature), in) {
			t.Fatalf("parses in another spelling: %s", in)
		}
	})
}

// A foreign implementation accepts our signature and refuses a changed one.
func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("NOT TESTED: no openssl here")
	}
	s := newSigner(t, "receipts")
	r, err := Parse(seal(t, s, nil).Raw)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(s.Public())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := file("key", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	sig := file("sig", r.Signature)
	check := func(msg []byte) error {
		return exec.Command(openssl, "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", key, "-in", file("msg", msg), "-sigfile", sig).Run()
	}
	if err := check(PAE(PayloadType, r.Body)); err != nil {
		t.Errorf("openssl refuses a receipt: %v (signature %s)", err, base64.StdEncoding.EncodeToString(r.Signature))
	}
	if check(PAE("text/plain", r.Body)) == nil {
		t.Error("openssl accepts anything")
	}
}
