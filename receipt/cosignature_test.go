package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

var witnessTime = time.Date(2026, 5, 15, 19, 0, 0, 0, time.UTC)

func newCosigner(t testing.TB, name string) Cosigner {
	t.Helper()
	c, err := NewCosigner("witness.example/"+name, seedKey("witness "+name))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c Cosigner) line(t testing.TB, checkpoint string) string {
	t.Helper()
	line, err := c.Cosign(checkpoint, witnessTime)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// Cosignatures of this package and of another implementation of the
// specification verify with each other.
func TestCosignatureInterop(t *testing.T) {
	checkpoint := newLog(t, 3).checkpoint(t)
	ours := newCosigner(t, "w1")
	theirs, err := torchwood.NewCosignatureSigner("witness.example/w2", seedKey("witness w2"))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := newCosigner(t, "w2").VKey(), theirs.Verifier().String(); a != b {
		t.Fatalf("the verifier key is %s, the other implementation says %s", a, b)
	}
	signed := checkpoint + ours.line(t, checkpoint)
	verifier, err := torchwood.NewCosignatureVerifier(ours.VKey())
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if err != nil || len(n.Sigs) != 1 {
		t.Fatalf("%+v, %v", n, err)
	}
	if at, err := torchwood.CosignatureTimestamp(n.Sigs[0]); err != nil || at != witnessTime.Unix() {
		t.Errorf("time %d, %v", at, err)
	}
	log, err := noteVerifier(t)
	if err != nil {
		t.Fatal(err)
	}
	n, err = note.Open([]byte(checkpoint), note.VerifierList(log))
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-time.Second)
	text, err := note.Sign(n, theirs)
	if err != nil {
		t.Fatal(err)
	}
	w, err := ParseWitness(theirs.Verifier().String())
	if err != nil {
		t.Fatal(err)
	}
	at, line, err := w.Cosigned(string(text))
	if err != nil || at.Before(before) || at.After(time.Now()) || !strings.HasSuffix(string(text), line) {
		t.Errorf("%s %q, %v", at, line, err)
	}
}

// noteVerifier is the verifier of the test logs.
func noteVerifier(t testing.TB) (note.Verifier, error) {
	t.Helper()
	_, vkey, err := NoteKeys(testOrigin, seedKey("checkpoints"))
	if err != nil {
		return nil, err
	}
	return NewNoteVerifier(vkey)
}

func TestCosignatureRefusals(t *testing.T) {
	checkpoint := newLog(t, 3).checkpoint(t)
	w1, w2 := newCosigner(t, "w1"), newCosigner(t, "w2")
	good := w1.line(t, checkpoint)
	_, hash, sig, err := parseSignatureLine(strings.TrimSuffix(good, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	line := func(name string, hash uint32, sig []byte) string {
		return "— " + name + " " + base64.StdEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, hash), sig...)) + "\n"
	}
	timed := func(at uint64) []byte {
		return append(binary.BigEndian.AppendUint64(nil, at), sig[8:]...)
	}
	body := noteBody(checkpoint)
	if at, found, err := w1.Cosigned(checkpoint + good); err != nil || found != good || !at.Equal(witnessTime) {
		t.Fatalf("%s %q %v", at, found, err)
	}
	far := ed25519.Sign(seedKey("witness w1"), cosigned(body, math.MaxInt64))
	for _, c := range []struct {
		name, text string
		missing    bool
	}{
		{"none", checkpoint, true},
		{"by another witness", checkpoint + w2.line(t, checkpoint), true},
		{"under another name", checkpoint + line("witness.example/w3", hash, sig), true},
		{"of another key hash", checkpoint + line(w1.Name(), hash+1, sig), true},
		{"twice", checkpoint + good + good, false},
		{"good and bad", checkpoint + good + line(w1.Name(), hash, timed(1)), false},
		{"another time", checkpoint + line(w1.Name(), hash, timed(uint64(witnessTime.Unix())+1)), false},
		{"no time", checkpoint + line(w1.Name(), hash, sig[8:]), false},
		{"longer", checkpoint + line(w1.Name(), hash, append(bytes.Clone(sig), 0)), false},
		{"a time beyond all languages", checkpoint + line(w1.Name(), hash, append(binary.BigEndian.AppendUint64(nil, math.MaxInt64), far...)), false},
		{"a plain signature", checkpoint + line(w1.Name(), hash, append(make([]byte, 8), ed25519.Sign(seedKey("witness w1"), []byte(body))...)), false},
		{"another size", strings.Replace(checkpoint, "\n3\n", "\n4\n", 1) + good, false},
		{"another origin", strings.Replace(checkpoint, "log/1\n3", "log/2\n3", 1) + good, false},
		{"a line more in the body", strings.Replace(checkpoint, "\n\n", "\nmore\n\n", 1) + good, false},
		{"not a note", "hello", false},
	} {
		at, found, err := w1.Cosigned(c.text)
		if errors.Is(err, ErrNotCosigned) != c.missing || err == nil || !c.missing && !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %s %q %v", c.name, at, found, err)
		}
	}
	for i := range good {
		bad := good[:i] + string(good[i]^1) + good[i+1:]
		if _, _, err := w1.Cosigned(checkpoint + bad); err == nil {
			t.Fatalf("%q verifies", bad)
		}
	}
	if _, err := w1.Cosign("hello", witnessTime); err == nil {
		t.Error("what is no checkpoint is cosigned")
	}
	if _, err := w1.Cosign(checkpoint, time.Unix(-1, 0)); err == nil {
		t.Error("a time before 1970 is cosigned")
	}
	broken, err := NewCosigner("w", faulty{seedKey("w"), nil})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := broken.Cosign(checkpoint, witnessTime); err == nil {
		t.Error("a faulty signature leaves the cosigner")
	}
}

func TestWitnessKeys(t *testing.T) {
	w := newCosigner(t, "w1")
	if again, err := ParseWitness(w.VKey()); err != nil || again.VKey() != w.VKey() || again.Name() != "witness.example/w1" {
		t.Errorf("%+v, %v", again, err)
	}
	_, vkey, err := NoteKeys("witness.example/w1", seedKey("witness w1"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range w.VKey() {
		bad := []byte(w.VKey())
		bad[i] ^= 1
		if got, err := ParseWitness(string(bad)); err == nil {
			t.Fatalf("%s reads as %+v", bad, got)
		}
	}
	small := make([]byte, 32)
	small[0] = 1
	for _, bad := range []string{"", "a", "a+b", "a+b+c", vkey, w.VKey() + "\n", w.VKey() + "=", " " + w.VKey(), "w+00000000+" + base64.StdEncoding.EncodeToString(append([]byte{4}, small...))} {
		if got, err := ParseWitness(bad); err == nil {
			t.Errorf("%q reads as %+v", bad, got)
		}
	}
	if _, err := ParseWitness(vkey); err == nil || !strings.Contains(err.Error(), "type 1") {
		t.Errorf("the key of a log: %v", err)
	}
	for _, name := range []string{"", "a b", "a+b"} {
		if _, err := NewCosigner(name, seedKey("a")); err == nil {
			t.Errorf("name %q", name)
		}
	}
}

// policyOf asks for k of the named witnesses.
func policyOf(t testing.TB, k int, names ...string) Policy {
	t.Helper()
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = newCosigner(t, name).VKey()
	}
	p, err := NewPolicy(k, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The numbers are those of the project's list of tamper cases.
func TestTamperWitnesses(t *testing.T) {
	l := storyLog(t)
	checkpoint := l.checkpoint(t)
	w := map[string]string{}
	for _, name := range []string{"w1", "w2", "w3", "stranger"} {
		w[name] = newCosigner(t, name).line(t, checkpoint)
	}
	smaller := newLog(t, 3).checkpoint(t)
	elsewhere := checkpointOf(t, "prova.example/log/2", l.tree, "checkpoints")
	w1 := newCosigner(t, "w1")
	plain, err := seedKey("witness w1").Sign(nil, []byte(noteBody(checkpoint)), &ed25519.Options{})
	if err != nil {
		t.Fatal(err)
	}
	asCosignature := "— " + w1.Name() + " " + base64.StdEncoding.EncodeToString(append(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, w1.hash), uint64(witnessTime.Unix())), plain...)) + "\n"
	noteLine := checkpointOf(t, testOrigin, l.tree, "witness w1") // signed as a note under the log's name
	noteLine = noteLine[strings.LastIndex(noteLine, "— "):]
	two := policyOf(t, 2, "w1", "w2", "w3")
	ownWitness, err := NewWitness("own", seedKey("checkpoints").Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	own, err := NewPolicy(1, ownWitness.VKey())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		policy Policy
		lines  string
		result string
		seen   int
	}{
		{"no policy", Policy{}, "", Verified, 0},
		{"no policy, and a witness", Policy{}, w["w1"], Verified, 0},
		{"2 of 3", two, w["w1"] + w["w3"], Verified, 2},
		{"3 of 3", two, w["w1"] + w["w3"] + w["w2"], Verified, 3},
		{"1 of 1 and a stranger", policyOf(t, 1, "w1"), w["stranger"] + w["w1"], Verified, 1},
		{"none", two, "", Undetermined, 0},
		{"one is missing", two, w["w2"], Undetermined, 1},
		{"43 one witness twice", two, w["w1"] + w["w1"], Failed, 0},
		{"43 one witness twice beside another", two, w["w1"] + w["w2"] + w["w1"], Failed, 1},
		{"44 of another size", two, w["w1"] + newCosigner(t, "w2").line(t, smaller), Failed, 1},
		{"44 of another log", two, w["w1"] + newCosigner(t, "w2").line(t, elsewhere), Failed, 1},
		{"45 another time", two, w["w1"] + retimed(t, w["w2"]), Failed, 1},
		{"46 a plain signature as a cosignature", policyOf(t, 1, "w1"), asCosignature, Failed, 0},
		{"46 a plain signature of the witness's key", policyOf(t, 1, "w1"), noteLine, Undetermined, 0},
		{"47 a witness that the auditor does not know", two, w["w1"] + w["stranger"], Undetermined, 1},
		{"a bad one beside a quorum", two, w["w1"] + w["w2"] + retimed(t, w["w3"]), Failed, 2},
		{"the log as its own witness", own, "", Failed, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			trust := l.trust(t)
			trust.Policy = c.policy
			note := checkpoint + c.lines
			check := func(r Report) {
				t.Helper()
				wantReport(t, r, c.result)
				if len(r.Witnesses) != c.seen {
					t.Errorf("%d witnesses: %+v", len(r.Witnesses), r.Witnesses)
				}
				for _, seen := range r.Witnesses {
					if seen.CosignedAt != "2026-05-15T19:00:00Z" || !strings.HasPrefix(seen.Witness, "witness.example/w") {
						t.Errorf("%+v", seen)
					}
				}
				if s := statusOf(r, CheckWitnesses); c.policy.Given() && (s == OK) != (c.result == Verified) && c.name != "the log as its own witness" || !c.policy.Given() && s != "" {
					t.Errorf("the check is %q", s)
				}
			}
			check(verifyExport(strings.NewReader(l.export(t, note)), trust))
			b := bundleOf(t, l, rolloutScope)
			b.withCheckpoint(t, note)
			check(b.both(t, trust))
		})
	}
}

// withCheckpoint puts another checkpoint into a bundle, and into its proofs.
func (b *testBundle) withCheckpoint(t testing.TB, text string) {
	t.Helper()
	for name, data := range b.files {
		if p, err := ParseProof(string(data)); err == nil {
			p.Checkpoint = text
			if b.files[name], err = p.MarshalText(); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.files[FileCheckpoint] = []byte(text)
	b.again(t)
}

// retimed is a cosignature line that states a time one second later.
func retimed(t testing.TB, line string) string {
	t.Helper()
	name, hash, sig, err := parseSignatureLine(strings.TrimSuffix(line, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint64(sig, binary.BigEndian.Uint64(sig)+1)
	return "— " + name + " " + base64.StdEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, hash), sig...)) + "\n"
}

// 48: what a bundle says of witnesses is not asked; and without a policy of the
// auditor's nothing is said of any.
func TestTamperWitnessesOfAReceipt(t *testing.T) {
	l := newLog(t, 1)
	trust := l.trust(t)
	wantReport(t, verifyReceipt(l.lines[0].raw, trust), Verified)
	trust.Policy = policyOf(t, 1, "w1")
	wantReport(t, verifyReceipt(l.lines[0].raw, trust), Undetermined, CheckWitnesses)
	// With the keys of the file, the quorum is still the auditor's.
	export := l.export(t, l.checkpoint(t))
	wantReport(t, verifyExport(strings.NewReader(export), Trust{Policy: trust.Policy}), Undetermined, CheckWitnesses)
	export = l.export(t, l.checkpoint(t)+newCosigner(t, "w1").line(t, l.checkpoint(t)))
	wantReport(t, verifyExport(strings.NewReader(export), Trust{Policy: trust.Policy}), Verified)
	// A file that claims the witness's key for its own log.
	_, vkey, err := NoteKeys(testOrigin, seedKey("witness w1"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewCheckpointPublicKey(vkey)
	if err != nil {
		t.Fatal(err)
	}
	l.head.Keys = append(l.head.Keys, k)
	wantReport(t, verifyExport(strings.NewReader(l.export(t, l.checkpoint(t))), Trust{Policy: trust.Policy}), Failed, CheckTrust)
}

func ExamplePolicy() {
	p, err := ParsePolicy([]byte("witness bank " + mustWitness("a") + "\nwitness auditor " + mustWitness("b") + "\ngroup both all bank auditor\nquorum both\n"))
	fmt.Println(p, p.Met([]bool{true, false}), p.Met([]bool{true, true}), err)
	// Output: 2 of 2 false true <nil>
}

func mustWitness(name string) string {
	w, err := NewWitness("witness.example/"+name, seedKey(name).Public().(ed25519.PublicKey))
	if err != nil {
		panic(err)
	}
	return w.VKey()
}
