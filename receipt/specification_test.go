package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/edwards25519"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// The vectors of docs/receipts.md: made here with fixed keys, kept in
// testdata/vectors for whoever implements the format in another language, and
// verified below as they are read from there.

var update = flag.Bool("update", false, "rewrite testdata/vectors")

// kept returns the vectors of a file as they are kept, after comparing them
// with those that are made now.
func kept[T any](t *testing.T, name string, made T) T {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(made); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "vectors", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no %s: run the test with -update", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, b.Bytes()) {
		t.Errorf("%s is not what is made now: if that is meant, run the test with -update", path)
	}
	var out T
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func publicOf(name string) ed25519.PublicKey { return seedKey(name).Public().(ed25519.PublicKey) }

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func unb64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type canonicalVectors struct {
	About    string            `json:"about"`
	Accepted []canonicalVector `json:"accepted"`
	Refused  []canonicalVector `json:"refused"`
}

type canonicalVector struct {
	Name      string `json:"name"`
	Input     string `json:"input_base64"`
	Canonical string `json:"canonical,omitempty"`
}

func canonicalVectorsMade() canonicalVectors {
	v := canonicalVectors{About: "docs/receipts.md, Canonical form: texts with their canonical form, and texts that have none."}
	for _, c := range [][3]string{
		{"members are sorted", `{"b":1,"a":2}`, `{"a":2,"b":1}`},
		{"by UTF-16 code units", "{\"\uffee\":1,\"\U0001f600\":2,\"\u00e9\":3}", "{\"\u00e9\":3,\"\U0001f600\":2,\"\uffee\":1}"},
		{"space goes", " [ 1 , { } ] ", "[1,{}]"},
		{"escapes that are not needed go", `"\u0041\/\u00e9\ud83d\ude00"`, `"A/` + "\u00e9\U0001f600" + `"`},
		{"control characters", `"\u0008\u0009\u000A\u000c\u000d\u001F\u007f"`, `"\b\t\n\f\r\u001f` + "\x7f" + `"`},
		{"numbers", `[1.50,15e-1,-0,0.0,1E3,1e-7,0.000001,1e21,123456789012345,9007199254740991]`, `[1.5,1.5,0,0,1000,1e-7,0.000001,1e+21,123456789012345,9007199254740991]`},
		{"a scalar", `true`, `true`},
		{"32 levels", strings.Repeat("[", 32) + strings.Repeat("]", 32), strings.Repeat("[", 32) + strings.Repeat("]", 32)},
	} {
		v.Accepted = append(v.Accepted, canonicalVector{c[0], b64([]byte(c[1])), c[2]})
	}
	for _, c := range [][2]string{
		{"two values", `{} {}`},
		{"a comma too many", `{"a":1,}`},
		{"nothing", ``},
		{"a comment", "{} // x"},
		{"a byte order mark", "\ufeff{}"},
		{"invalid UTF-8", "\"\xff\""},
		{"a duplicate member", `{"a":1,"a":1}`},
		{"a duplicate member by escape", `{"a":1,"\u0061":2}`},
		{"a lone surrogate", `"\ud800"`},
		{"U+0000", `"\u0000"`},
		{"an integer that a double does not carry", `9007199254740993`},
		{"the first unsafe integer", `9007199254740992`},
		{"an unsafe integer with an exponent", `1e20`},
		{"digits that a double does not carry", `333333333.33333329`},
		{"beyond the range of a double", `1e400`},
		{"below the range of a double", `1e-400`},
		{"not a number", `NaN`},
		{"a leading zero", `01`},
		{"a leading plus", `+1`},
		{"33 levels", strings.Repeat("[", 33) + strings.Repeat("]", 33)},
	} {
		v.Refused = append(v.Refused, canonicalVector{Name: c[0], Input: b64([]byte(c[1]))})
	}
	return v
}

func TestSpecificationCanonical(t *testing.T) {
	v := kept(t, "canonical.json", canonicalVectorsMade())
	for _, c := range v.Accepted {
		got, err := Canonical(unb64(t, c.Input))
		if err != nil || string(got) != c.Canonical {
			t.Errorf("%s: %s, %v; want %s", c.Name, got, err, c.Canonical)
		}
		if err := IsCanonical([]byte(c.Canonical)); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	for _, c := range v.Refused {
		if got, err := Canonical(unb64(t, c.Input)); err == nil {
			t.Errorf("%s: accepted as %s", c.Name, got)
		}
	}
}

type paeVectors struct {
	About string      `json:"about"`
	Type  string      `json:"type"`
	Cases []paeVector `json:"cases"`
}

type paeVector struct {
	Body          string `json:"body"`
	PAE           string `json:"pae_base64"`
	IntegrityHash string `json:"integrity_hash"`
	Seed          string `json:"seed"`
	PublicKey     string `json:"public_key"`
	KeyID         string `json:"key_id"`
	Signature     string `json:"signature"`
}

func TestSpecificationPAE(t *testing.T) {
	made := paeVectors{About: "docs/receipts.md, A receipt: the signed bytes of a body, their digest, a key with its id and its signature. seed is the Ed25519 private key.", Type: PayloadType}
	for i, body := range []string{`{}`, `{"a":"é"}`, string(bodyOf(newSigner(t, "vector 2"), nil))} {
		key := seedKey(fmt.Sprintf("vector %d", i))
		canonical, err := Canonical([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		pae := PAE(PayloadType, canonical)
		made.Cases = append(made.Cases, paeVector{
			string(canonical), b64(pae), integrityHash(pae), hex.EncodeToString(key.Seed()),
			hex.EncodeToString(key[32:]), KeyID(ed25519.PublicKey(key[32:])), b64(ed25519.Sign(key, pae)),
		})
	}
	v := kept(t, "pae.json", made)
	for _, c := range v.Cases {
		want := fmt.Sprintf("DSSEv1 34 application/vnd.prova.receipt+json %d %s", len(c.Body), c.Body)
		pub := unhex(t, c.PublicKey)
		if string(unb64(t, c.PAE)) != want || integrityHash([]byte(want)) != c.IntegrityHash || KeyID(pub) != c.KeyID {
			t.Errorf("%s: PAE, digest or key id", c.Body)
		}
		if err := VerifySignature(pub, []byte(want), unb64(t, c.Signature)); err != nil {
			t.Errorf("%s: %v", c.Body, err)
		}
	}
}

type keyVectors struct {
	About string      `json:"about"`
	Cases []keyVector `json:"cases"`
}

type keyVector struct {
	Name      string `json:"name"`
	PublicKey string `json:"public_key"`
	KeyID     string `json:"key_id,omitempty"`
	// Refused is why the key is not admitted; empty if it is.
	Refused string `json:"refused,omitempty"`
}

func keyVectorsMade(t *testing.T) keyVectors {
	t.Helper()
	v := keyVectors{About: "docs/receipts.md, A receipt, Signature: public keys that are admitted, and others that are not."}
	add := func(name string, pub []byte) {
		c := keyVector{Name: name, PublicKey: hex.EncodeToString(pub)}
		if err := AdmitKey(pub); err != nil {
			c.Refused = err.Error()
		} else {
			c.KeyID = KeyID(pub)
		}
		v.Cases = append(v.Cases, c)
	}
	pub := publicOf("vector 0")
	add("a good key", pub)
	add("another good key", publicOf("vector 1"))
	add("31 bytes", pub[:31])
	noPoint := make([]byte, 32)
	for noPoint[0] = 2; ; noPoint[0]++ {
		if _, err := new(edwards25519.Point).SetBytes(noPoint); err != nil {
			break
		}
	}
	add("no point of the curve", noPoint)
	add("the identity", unhex(t, "01"+strings.Repeat("00", 31)))
	add("the identity, not canonical", unhex(t, "ee"+strings.Repeat("ff", 30)+"7f"))
	add("order 2", unhex(t, "ec"+strings.Repeat("ff", 30)+"7f"))
	eight := unhex(t, "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
	add("order 8", eight)
	a, err := new(edwards25519.Point).SetBytes(pub)
	if err != nil {
		t.Fatal(err)
	}
	e, err := new(edwards25519.Point).SetBytes(eight)
	if err != nil {
		t.Fatal(err)
	}
	add("a good key and a point of order 8", new(edwards25519.Point).Add(a, e).Bytes())
	return v
}

func TestSpecificationKeys(t *testing.T) {
	v := kept(t, "keys.json", keyVectorsMade(t))
	for _, c := range v.Cases {
		pub := unhex(t, c.PublicKey)
		if err := AdmitKey(pub); (err == nil) != (c.Refused == "") || err == nil && KeyID(pub) != c.KeyID {
			t.Errorf("%s: %v, want %q", c.Name, err, c.Refused)
		}
	}
}

type receiptVectors struct {
	About string          `json:"about"`
	Keys  []PublicKey     `json:"keys"`
	Cases []receiptVector `json:"cases"`
}

type receiptVector struct {
	Name    string `json:"name"`
	Receipt string `json:"receipt_base64"`
	// Result is that of a report; Check is the first check that is not ok, empty for a good one.
	Result        string    `json:"result"`
	Check         CheckName `json:"check,omitempty"`
	IntegrityHash string    `json:"integrity_hash,omitempty"`
}

func receiptVectorsMade(t *testing.T) receiptVectors {
	t.Helper()
	s := newSigner(t, "receipts")
	v := receiptVectors{
		About: "docs/receipts.md, Checks of one receipt: receipts and what a verifier says that was given these keys.",
		Keys:  []PublicKey{NewReceiptPublicKey(s.Public()), NewReceiptPublicKey(publicOf("other"))},
	}
	raw := seal(t, s, nil).Raw
	good, err := Open(raw, s)
	if err != nil {
		t.Fatal(err)
	}
	add := func(name string, raw []byte, result string, check CheckName) {
		c := receiptVector{Name: name, Receipt: b64(raw), Result: result, Check: check}
		if check == "" {
			r, err := Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			c.IntegrityHash = r.IntegrityHash
		}
		v.Cases = append(v.Cases, c)
	}
	bad := func(name string, raw []byte, check CheckName) { add(name, raw, Failed, check) }
	edit := func(old, new string) []byte { return bytes.Replace(raw, []byte(old), []byte(new), 1) }
	signed := func(old, new string) []byte {
		return forge("receipts", PayloadType, bytes.Replace(good.Body, []byte(old), []byte(new), 1))
	}
	withSig := func(sig []byte) []byte { return joinEnvelope(good.Body, s.KeyID(), sig) }
	sig64 := b64(good.Signature)
	flipped := clone(good.Signature)
	flipped[5] ^= 4
	smallR := append(unhex(t, "01"+strings.Repeat("00", 31)), good.Signature[32:]...)

	add("a run", raw, Verified, "")
	add("an event with a body of its own", seal(t, s, fields{"kind": "tool_call", "metrics": nil, "attributes": fields{"näme": []any{1.5, nil, "\u2028"}}}).Raw, Verified, "")
	add("without what is optional", seal(t, s, fields{"occurred_at": nil, "idempotency_key": nil, "source": nil, "run_id": nil, "metrics": nil}).Raw, Verified, "")

	add("no JSON", []byte("hello"), Malformed, CheckEnvelope)
	add("no signature", edit(`,"signature":"`+sig64+`"`, ``), Malformed, CheckEnvelope)
	bad("members in another order", []byte(`{"key_id":"`+s.KeyID()+`","body":`+string(good.Body)+`,"signature":"`+sig64+`"}`), CheckEnvelope)
	bad("a space in the envelope", edit(`,"key_id":"`+s.KeyID()+`","sig`, `, "key_id":"`+s.KeyID()+`","sig`), CheckEnvelope)
	bad("a member more", append(clone(raw[:len(raw)-1]), `,"verified":true}`...), CheckEnvelope)
	bad("a member in front", edit(`{"body"`, `{"actor":"eve","body"`), CheckEnvelope)

	bad("a space in the body", edit(`"kind":`, `"kind": `), CheckCanonicalForm)
	bad("a space in the body, signed", signed(`"org":"default"`, `"org": "default"`), CheckCanonicalForm)
	bad("a duplicate member, signed", signed(`"org":"default"`, `"org":"default","org":"other"`), CheckCanonicalForm)
	bad("a duplicate member by escape, signed", signed(`"org":"default"`, `"org":"default","\u006frg":"other"`), CheckCanonicalForm)
	bad("members out of order, signed", signed(`"org":"default"`, `"zorg":1,"org":"default"`), CheckCanonicalForm)
	bad("an unsafe integer, signed", signed(`"org":"default"`, `"n":9007199254740992,"org":"default"`), CheckCanonicalForm)
	bad("a number in another spelling, signed", signed(`"org":"default"`, `"n":1.50,"org":"default"`), CheckCanonicalForm)
	bad("invalid UTF-8, signed", signed(`"org":"default"`, "\"n\":\"\xff\",\"org\":\"default\""), CheckCanonicalForm)
	bad("a lone surrogate, signed", signed(`"org":"default"`, `"n":"\ud800","org":"default"`), CheckCanonicalForm)
	bad("U+0000, signed", signed(`"org":"default"`, `"n":"\u0000","org":"default"`), CheckCanonicalForm)

	bad("another schema, signed", signed(`"prova.receipt/1"`, `"prova.receipt/2"`), CheckSchema)
	bad("no org, signed", signed(`"org":"default",`, ``), CheckSchema)
	bad("an org of 129 bytes, signed", signed(`"org":"default"`, `"org":"`+strings.Repeat("o", 129)+`"`), CheckSchema)
	bad("a run id that is a number, signed", signed(`"run_id":"run-1"`, `"run_id":1`), CheckSchema)
	bad("a source that is null, signed", forge("receipts", PayloadType, []byte(`{"source":null}`)), CheckSchema)
	bad("an event id with a dot, signed", signed(`"evt_01k2a"`, `"evt_01.k2a"`), CheckEventID)
	bad("an event id in upper case, signed", signed(`"evt_01k2a"`, `"evt_01K2A"`), CheckEventID)
	bad("a kind with a dash, signed", signed(`"agent_run"`, `"agent-run"`), CheckKind)
	bad("an offset that is not Z, signed", signed(`"2026-05-15T18:42:00.125Z"`, `"2026-05-15T18:42:00.125+00:00"`), CheckTimes)
	bad("a comma in a time, signed", signed(`"2026-05-15T18:42:00.125Z"`, `"2026-05-15T18:42:00,125Z"`), CheckTimes)
	bad("it occurred later than it was recorded, signed", signed(`"occurred_at":"2026-05-15T18:42`, `"occurred_at":"2026-05-15T18:48`), CheckTimes)
	bad("the envelope names another key", joinEnvelope(good.Body, strings.Repeat("0", 64), good.Signature), CheckKeyID)
	bad("a key id in upper case, signed", signed(s.KeyID(), strings.ToUpper(s.KeyID())), CheckKeyID)

	bad("a metric changed", edit(`"latency_ms":812`, `"latency_ms":813`), CheckSignature)
	bad("a bit of the signature flipped", withSig(flipped), CheckSignature)
	bad("S plus the order of the group", withSig(malleate(good.Signature)), CheckSignature)
	bad("R is the identity", withSig(smallR), CheckSignature)
	bad("63 bytes", withSig(good.Signature[:63]), CheckSignature)
	bad("base64 with spare bits", edit(sig64, spareBits(sig64)), CheckSignature)
	bad("base64 without padding", edit(sig64, strings.TrimRight(sig64, "=")), CheckSignature)
	bad("signed as another type", forge("receipts", "application/vnd.prova.checkpoint", good.Body), CheckSignature)
	bad("the body signed without PAE", withSig(ed25519.Sign(seedKey("receipts"), good.Body)), CheckSignature)
	bad("signed by another known key", joinEnvelope(good.Body, s.KeyID(), ed25519.Sign(seedKey("other"), PAE(PayloadType, good.Body))), CheckSignature)
	bad("signed by a key that was not given", seal(t, newSigner(t, "stranger"), nil).Raw, CheckKnownKey)
	return v
}

func TestSpecificationReceipts(t *testing.T) {
	v := kept(t, "receipts.json", receiptVectorsMade(t))
	trust := Trust{Receipt: KeySet{}}
	for _, k := range v.Keys {
		if err := trust.add(k); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range v.Cases {
		r := VerifyReceipt(unb64(t, c.Receipt), trust)
		check := CheckName("")
		for _, found := range r.Checks {
			if found.Status != OK && check == "" {
				check = found.Check
			}
		}
		if r.Result != c.Result || check != c.Check {
			t.Errorf("%s: %s at %q, want %s at %q", c.Name, r.Result, check, c.Result, c.Check)
		}
		if c.Check != "" {
			continue
		}
		if opened, err := Open(unb64(t, c.Receipt), trust.Receipt); err != nil || opened.IntegrityHash != c.IntegrityHash {
			t.Errorf("%s: %s, %v", c.Name, opened.IntegrityHash, err)
		}
	}
}

type commitmentVectors struct {
	About string             `json:"about"`
	Cases []commitmentVector `json:"cases"`
}

type commitmentVector struct {
	Salt       string `json:"salt"`
	Value      string `json:"value"` // in canonical form
	Commitment string `json:"commitment"`
}

func TestSpecificationCommitments(t *testing.T) {
	made := commitmentVectors{About: "docs/receipts.md, Commitments: salt in hex, value in canonical form."}
	for i, value := range []string{`"yes"`, `{"input":"Where is my claim?","tokens":7}`, `""`} {
		salt := [32]byte(seedKey(fmt.Sprintf("salt %d", i)).Seed())
		made.Cases = append(made.Cases, commitmentVector{hex.EncodeToString(salt[:]), value, Commit(salt, []byte(value))})
	}
	for _, c := range kept(t, "commitments.json", made).Cases {
		if got := Commit([32]byte(unhex(t, c.Salt)), []byte(c.Value)); got != c.Commitment || IsCanonical([]byte(c.Value)) != nil {
			t.Errorf("%s: %s", c.Value, got)
		}
	}
}

type logVectors struct {
	About       string              `json:"about"`
	Leaves      []leafVector        `json:"leaves"`
	Sizes       []sizeVector        `json:"sizes"`
	Inclusion   []inclusionVector   `json:"inclusion"`
	Consistency []consistencyVector `json:"consistency"`
	VKey        string              `json:"vkey"`
	Origin      string              `json:"origin"`
	PublicKey   string              `json:"public_key"`
	Proof       string              `json:"tlog_proof"` // of the leaf 3
	Checkpoints []checkpointVector  `json:"checkpoints"`
}

type leafVector struct {
	EventID       string `json:"event_id"`
	IntegrityHash string `json:"integrity_hash"`
	Data          string `json:"data"`
	Hash          string `json:"hash"`
}

type sizeVector struct {
	Size int64  `json:"size"`
	Root string `json:"root"`
	Tree string `json:"tree"`
}

type inclusionVector struct {
	Index  int64    `json:"index"`
	Size   int64    `json:"size"`
	Hashes []string `json:"hashes"`
}

type consistencyVector struct {
	From   int64    `json:"from"`
	To     int64    `json:"to"`
	Hashes []string `json:"hashes"`
}

type checkpointVector struct {
	Name  string `json:"name"`
	Note  string `json:"note"`
	Valid bool   `json:"valid"`
}

const vectorLeaves = 11

func logVectorsMade(t *testing.T) logVectors {
	t.Helper()
	l := newLog(t, vectorLeaves)
	v := logVectors{
		About:  "docs/receipts.md, The log. Hashes, roots and proofs are in base64. A checkpoint is valid if vkey opens it.",
		Origin: testOrigin, VKey: l.vkey, PublicKey: b64(publicOf("checkpoints")),
	}
	var tree Tree
	var leaves []tlog.Hash
	size := func() {
		text, err := tree.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		v.Sizes = append(v.Sizes, sizeVector{tree.Size(), tree.Root().String(), string(text)})
	}
	size()
	for _, line := range l.lines {
		r, err := Parse(line.raw)
		if err != nil {
			t.Fatal(err)
		}
		v.Leaves = append(v.Leaves, leafVector{r.EventID, r.IntegrityHash, string(LeafData(r.EventID, r.IntegrityHash)), r.LeafHash.String()})
		leaves = append(leaves, r.LeafHash)
		tree = tree.Append(r.LeafHash)
		size()
	}
	source := tree.Hashes(func(level int, index int64, n int) ([]tlog.Hash, error) { return leaves[index : index+int64(n)], nil })
	texts := func(hashes []tlog.Hash) []string {
		out := []string{}
		for _, h := range hashes {
			out = append(out, h.String())
		}
		return out
	}
	for _, p := range [][2]int64{{0, 1}, {0, 11}, {3, 11}, {10, 11}, {6, 7}} {
		hashes, err := ProveInclusion(p[0], p[1], source)
		if err != nil {
			t.Fatal(err)
		}
		v.Inclusion = append(v.Inclusion, inclusionVector{p[0], p[1], texts(hashes)})
		if p == [2]int64{3, 11} {
			text, err := Proof{Index: 3, Hashes: hashes, Checkpoint: l.checkpoint(t)}.MarshalText()
			if err != nil {
				t.Fatal(err)
			}
			v.Proof = string(text)
		}
	}
	for _, p := range [][2]int64{{1, 11}, {4, 8}, {6, 11}, {8, 11}, {11, 11}} {
		hashes, err := ProveConsistency(p[0], p[1], source)
		if err != nil {
			t.Fatal(err)
		}
		v.Consistency = append(v.Consistency, consistencyVector{p[0], p[1], texts(hashes)})
	}
	good := l.checkpoint(t)
	root := tree.Root().String()
	checkpoint := func(name, note string, valid bool) {
		v.Checkpoints = append(v.Checkpoints, checkpointVector{name, note, valid})
	}
	checkpoint("good", good, true)
	foreign, _, err := NoteKeys("witness.example/w1", seedKey("witness"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Sign(&note.Note{Text: good[:strings.Index(good, "\n\n")+1]}, l.note, foreign)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint("with a cosignature of an unknown key", string(n), true)
	checkpoint("another size", strings.Replace(good, "\n11\n", "\n12\n", 1), false)
	checkpoint("another root", strings.Replace(good, root, v.Sizes[3].Root, 1), false)
	checkpoint("another origin", strings.Replace(good, testOrigin+"\n", testOrigin+"2\n", 1), false)
	checkpoint("a leading zero", strings.Replace(good, "\n11\n", "\n011\n", 1), false)
	checkpoint("CR LF", strings.ReplaceAll(good, "\n", "\r\n"), false)
	checkpoint("no signature", good[:strings.Index(good, "\n\n")+2], false)
	line := good[strings.Index(good, "\n\n")+2:]
	checkpoint("signed twice", good+line, false)
	stranger, _, err := NoteKeys(testOrigin, seedKey("stranger"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := SignCheckpoint(Checkpoint{testOrigin, tree.Size(), tree.Root()}, stranger)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint("signed by another key of the same name", text, false)
	return v
}

func TestSpecificationLog(t *testing.T) {
	v := kept(t, "log.json", logVectorsMade(t))
	hash := func(s string) tlog.Hash {
		h, ok := parseHash(s)
		if !ok {
			t.Fatalf("%s is no hash", s)
		}
		return h
	}
	hashes := func(list []string) []tlog.Hash {
		var out []tlog.Hash
		for _, s := range list {
			out = append(out, hash(s))
		}
		return out
	}
	var tree Tree
	for i, s := range v.Sizes {
		text, err := tree.MarshalText()
		if err != nil || string(text) != s.Tree || tree.Root() != hash(s.Root) || tree.Size() != s.Size {
			t.Errorf("size %d: %s %s, %v", s.Size, tree.Root(), text, err)
		}
		if i == len(v.Leaves) {
			break
		}
		l := v.Leaves[i]
		if l.Data != l.EventID+"."+l.IntegrityHash || tlog.RecordHash([]byte(l.Data)) != hash(l.Hash) {
			t.Errorf("leaf %d", i)
		}
		tree = tree.Append(hash(l.Hash))
	}
	for _, p := range v.Inclusion {
		if err := VerifyInclusion(hashes(p.Hashes), p.Index, hash(v.Leaves[p.Index].Hash), p.Size, hash(v.Sizes[p.Size].Root)); err != nil {
			t.Error(err)
		}
	}
	for _, p := range v.Consistency {
		if err := VerifyConsistency(hashes(p.Hashes), p.From, hash(v.Sizes[p.From].Root), p.To, hash(v.Sizes[p.To].Root)); err != nil {
			t.Error(err)
		}
	}
	if vkey, err := VerifierKey(v.Origin, unb64(t, v.PublicKey)); err != nil || vkey != v.VKey {
		t.Errorf("verifier key %s, %v", vkey, err)
	}
	verifier, err := NewNoteVerifier(v.VKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range v.Checkpoints {
		got, err := OpenCheckpoint(c.Note, note.VerifierList(verifier))
		if (err == nil) != c.Valid || err == nil && (got.Origin != v.Origin || got.Root.String() != v.Sizes[got.Size].Root) {
			t.Errorf("%s: %+v, %v", c.Name, got, err)
		}
	}
	p, err := ParseProof(v.Proof)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Verify(hash(v.Leaves[p.Index].Hash), note.VerifierList(verifier)); err != nil || p.Index != 3 {
		t.Error(err)
	}
}

// TestSpecificationProgram runs the code that stands in the document over the
// vectors, the replay of a log with three rollouts among them.
func TestSpecificationProgram(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("PROVA_REQUIRE_ALL") != "" {
			t.Fatal("python3 is missing")
		}
		t.Skip("NOT TESTED: there is no python3")
	}
	text, err := os.ReadFile(filepath.Join("..", "docs", "receipts.md"))
	if err != nil {
		t.Fatal(err)
	}
	var program strings.Builder
	for i, part := range strings.Split(string(text), "```python\n") {
		if code, _, ok := strings.Cut(part, "\n```\n"); i > 0 && ok {
			program.WriteString(code + "\n")
		}
	}
	checks, err := os.ReadFile(filepath.Join("testdata", "specification.py"))
	if err != nil {
		t.Fatal(err)
	}
	program.Write(checks)
	file := filepath.Join(t.TempDir(), "program.py")
	if err := os.WriteFile(file, []byte(program.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), python, file, filepath.Join("testdata", "vectors")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// TestAuditorByHand runs the commands that docs/auditor.md shows for checking a
// receipt, the root and the checkpoint by hand.
func TestAuditorByHand(t *testing.T) {
	for _, program := range []string{"bash", "openssl", "jq", "python3", "sha256sum"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("PROVA_REQUIRE_ALL") != "" {
				t.Fatalf("%s is missing", program)
			}
			t.Skipf("NOT TESTED: there is no %s", program)
		}
	}
	text, err := os.ReadFile(filepath.Join("..", "docs", "auditor.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## By hand\n")
	section, _, _ = strings.Cut(section, "\n## ")
	script := "set -e\n"
	for i, part := range strings.Split(section, "\n```\n") {
		if i%2 == 1 {
			script += part + "\n"
		}
	}
	data, err := os.ReadFile(filepath.Join("testdata", "vectors", "rollouts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Keys   []PublicKey `json:"keys"`
		Export []string    `json:"export"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	var last checkpointLine
	if err := json.Unmarshal([]byte(v.Export[len(v.Export)-1]), &last); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("receipts.ndjson", strings.Join(v.Export[1:len(v.Export)-1], "\n")+"\n")
	write("checkpoint", last.Checkpoint)
	for _, k := range v.Keys {
		write(map[string]string{PurposeReceipt: "key.b64", PurposeCheckpoint: "checkpoint-key.b64"}[k.Purpose], k.PublicKey)
	}
	var leaves []byte
	var seventh Receipt
	for i, line := range v.Export[1 : len(v.Export)-1] {
		raw := strings.TrimPrefix(line, fmt.Sprintf(`{"log_index":%d,"receipt":`, i))
		r, err := Parse([]byte(raw[:len(raw)-1]))
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, r.LeafHash[:]...)
		if i == 7 {
			seventh = r
		}
	}
	write("leaves", string(leaves))
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c, err := ParseCheckpoint(last.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Signature Verified Successfully", seventh.KeyID + "  -", fmt.Sprintf("%x  -", seventh.LeafHash[:]),
		c.Root.String(), c.Root.String(), "Signature Verified Successfully",
	}
	if got := strings.TrimSpace(string(out)); got != strings.Join(want, "\n") {
		t.Errorf("the commands print\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
