package receipt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// The numbers are those of the project's list of tamper cases.

func TestTamperReceipt(t *testing.T) {
	s := newSigner(t, "receipts")
	raw := seal(t, s, nil).Raw
	good, err := Open(raw, s)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(old, new string) []byte {
		if !bytes.Contains(raw, []byte(old)) {
			t.Fatalf("no %s in the receipt", old)
		}
		return bytes.Replace(raw, []byte(old), []byte(new), 1)
	}
	withSig := func(sig []byte) []byte { return joinEnvelope(good.Body, s.KeyID(), sig) }
	sig64 := base64.StdEncoding.EncodeToString(good.Signature)
	flipped := clone(good.Signature)
	flipped[5] ^= 4
	resigned := func(changes string) []byte { // by the operator, with the right key
		return forge("receipts", PayloadType, bytes.Replace(good.Body, []byte(`"org":"default"`), []byte(changes), 1))
	}
	for _, c := range []struct {
		name string
		raw  []byte
		want CheckName
	}{
		{"1 payload changed", edit(`"latency_ms":812`, `"latency_ms":813`), CheckSignature},
		{"2 signature bit flipped", withSig(flipped), CheckSignature},
		{"3 S+L", withSig(malleate(good.Signature)), CheckSignature},
		{"4 signature truncated", withSig(good.Signature[:63]), CheckSignature},
		{"4 signature extended", withSig(append(clone(good.Signature), 0)), CheckSignature},
		{"4 signature empty", withSig(nil), CheckSignature},
		{"4 signature doubled", withSig(append(clone(good.Signature), good.Signature...)), CheckSignature},
		{"4 signature with spare bits", edit(sig64, spareBits(sig64)), CheckSignature},
		{"4 signature without padding", edit(sig64, strings.TrimRight(sig64, "=")), CheckSignature},
		{"4 signature with a line end", edit(sig64, sig64[:4]+"\n"+sig64[4:]), CheckSignature},
		{"5 payload spaced", edit(`"kind":`, `"kind": `), CheckCanonicalForm},
		{"5 spaced and signed", resigned(`"org": "default"`), CheckCanonicalForm},
		{"5 members reordered and signed", resigned(`"zorg":1,"org":"default"`), CheckCanonicalForm},
		{"6 duplicate member, signed", resigned(`"org":"default","org":"other"`), CheckCanonicalForm},
		{"6 duplicate by escape, signed", resigned(`"org":"default","\u006frg":"other"`), CheckCanonicalForm},
		{"6 duplicate in the envelope", edit(`,"key_id":"`+s.KeyID()+`","sig`, `,"body":{},"key_id":"`+s.KeyID()+`","sig`), CheckCanonicalForm},
		{"7 2^53+1, signed", resigned(`"n":9007199254740993,"org":"default"`), CheckCanonicalForm},
		{"7 2^53, signed", resigned(`"n":9007199254740992,"org":"default"`), CheckCanonicalForm},
		{"7 1e400, signed", resigned(`"n":1e400,"org":"default"`), CheckCanonicalForm},
		{"7 1e-400, signed", resigned(`"n":1e-400,"org":"default"`), CheckCanonicalForm},
		{"8 lone surrogate, signed", resigned(`"n":"\ud800","org":"default"`), CheckCanonicalForm},
		{"8 invalid UTF-8, signed", resigned("\"n\":\"\xff\",\"org\":\"default\""), CheckCanonicalForm},
		{"8 U+0000, signed", resigned(`"n":"\u0000","org":"default"`), CheckCanonicalForm},
		{"9 other payload type", forge("receipts", "application/vnd.prova.checkpoint", good.Body), CheckSignature},
		{"9 bare body signed", withSig(ed25519.Sign(seedKey("receipts"), good.Body)), CheckSignature},
		{"11 other key_id in the envelope", joinEnvelope(good.Body, strings.Repeat("0", 64), good.Signature), CheckKeyID},
		{"11 signed by another known key", joinEnvelope(good.Body, s.KeyID(), ed25519.Sign(seedKey("other"), PAE(PayloadType, good.Body))), CheckSignature},
		{"12 unknown member in front", edit(`{"body"`, `{"actor":"eve","body"`), CheckEnvelope},
		{"12 unknown member behind", append(clone(raw[:len(raw)-1]), `,"verified":true}`...), CheckEnvelope},
		{"12 member in other case", edit(`{"body"`, `{"Body":{},"body"`), CheckEnvelope},
		{"13 occurred after recorded, signed", forge("receipts", PayloadType,
			bytes.Replace(good.Body, []byte(`"occurred_at":"2026`), []byte(`"occurred_at":"2027`), 1)), CheckTimes},
	} {
		t.Run(c.name, func(t *testing.T) {
			if bytes.Equal(c.raw, raw) {
				t.Fatal("nothing was changed")
			}
			keys, err := NewKeySet(s.Public(), newSigner(t, "other").Public())
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(c.raw, keys)
			wantCheck(t, err, c.want)
			if r := verifyReceipt(c.raw, Trust{Receipt: keys}); r.Result != Failed {
				t.Errorf("reported as %s", r.Result)
			}
		})
	}
}

// malleate adds the group order to S.
func malleate(sig []byte) []byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := clone(sig[32:])
	slices.Reverse(s)
	sum := new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	slices.Reverse(sum)
	return append(clone(sig[:32]), sum...)
}

// spareBits spells the same 64 bytes in another base64, which a lenient decoder takes.
func spareBits(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	i := len(s) - 3
	return s[:i] + string(alphabet[strings.IndexByte(alphabet, s[i])|1]) + s[i+1:]
}

func TestTamperLog(t *testing.T) {
	for _, c := range []struct {
		name   string
		tamper func(t *testing.T, l *testLog) (checkpoint string)
		want   []CheckName
	}{
		{"24 leaf deleted", func(t *testing.T, l *testLog) string {
			cp := l.checkpoint(t)
			l.lines = slices.Delete(l.lines, 2, 3)
			return cp
		}, []CheckName{CheckLogIndex, CheckRoot}},
		{"24 leaf deleted, renumbered", func(t *testing.T, l *testLog) string {
			cp := l.checkpoint(t)
			l.lines = slices.Delete(l.lines, 2, 3)
			l.renumber()
			return cp
		}, []CheckName{CheckSize, CheckRoot}},
		{"25 tail cut", func(t *testing.T, l *testLog) string {
			cp := l.checkpoint(t)
			l.lines = l.lines[:4]
			return cp
		}, []CheckName{CheckSize, CheckRoot}},
		{"26 two swapped", func(t *testing.T, l *testLog) string {
			l.lines[1], l.lines[2] = l.lines[2], l.lines[1]
			return l.checkpoint(t)
		}, []CheckName{CheckLogIndex, CheckRoot}},
		{"26 two swapped, renumbered", func(t *testing.T, l *testLog) string {
			l.lines[1], l.lines[2] = l.lines[2], l.lines[1]
			l.renumber()
			return l.checkpoint(t)
		}, []CheckName{CheckRoot}},
		{"27 back-dated receipt inserted", func(t *testing.T, l *testLog) string {
			cp := l.checkpoint(t)
			old := seal(t, l.signer, fields{"event_id": "evt_0001a", "recorded_at": "2026-05-15T18:42:00Z"})
			l.lines = slices.Insert(l.lines, 2, testLine{0, old.Raw})
			l.renumber()
			return cp
		}, []CheckName{CheckSize, CheckRoot}},
		{"27 one replaced by a back-dated one", func(t *testing.T, l *testLog) string {
			l.lines[2].raw = seal(t, l.signer, fields{"event_id": "evt_0001a"}).Raw
			return l.checkpoint(t)
		}, []CheckName{CheckRoot}},
		{"28 event logged twice, checkpoint honest about it", func(t *testing.T, l *testLog) string {
			l.append(t, fields{"event_id": "evt_0001"})
			return l.checkpoint(t)
		}, []CheckName{CheckUniqueEvents}},
		{"29 one index twice", func(t *testing.T, l *testLog) string {
			l.append(t, fields{"event_id": "evt_other"})
			l.lines[len(l.lines)-1].index--
			return l.checkpoint(t)
		}, []CheckName{CheckLogIndex, CheckSize}},
		{"33 leaves hashed without the zero byte", func(t *testing.T, l *testLog) string {
			var wrong Tree
			for _, line := range l.lines {
				r, err := Parse(line.raw)
				if err != nil {
					t.Fatal(err)
				}
				wrong = wrong.Append(sha256.Sum256(LeafData(r.EventID, r.IntegrityHash)))
			}
			l.tree = wrong
			return l.checkpoint(t)
		}, []CheckName{CheckRoot}},
		{"33 last node duplicated", func(t *testing.T, l *testLog) string {
			last, err := Parse(l.lines[len(l.lines)-1].raw)
			if err != nil {
				t.Fatal(err)
			}
			l.tree = Tree{l.tree.size, l.tree.Append(last.LeafHash).roots}
			return l.checkpoint(t)
		}, []CheckName{CheckRoot}},
		{"35 body edited, leaf as it was", func(t *testing.T, l *testLog) string {
			l.lines[3].raw = bytes.Replace(l.lines[3].raw, []byte("812"), []byte("912"), 1)
			return l.checkpoint(t)
		}, []CheckName{CheckSignature, CheckRoot}},
		{"14 receipt of another org", func(t *testing.T, l *testLog) string {
			l.append(t, fields{"org": "other"})
			return l.checkpoint(t)
		}, []CheckName{CheckOrg}},
		{"17 everything signed again with another key", func(t *testing.T, l *testLog) string {
			*l = *resign(t, "impostor")
			return l.checkpoint(t)
		}, []CheckName{CheckKnownKey}},
		{"23 receipt key signs the checkpoint", func(t *testing.T, l *testLog) string {
			signer, _, err := NoteKeys(testOrigin, seedKey("receipts"))
			if err != nil {
				t.Fatal(err)
			}
			l.note = signer
			return l.checkpoint(t)
		}, []CheckName{CheckCheckpoint}},
		{"37 checkpoint of another org", func(t *testing.T, l *testLog) string {
			signer, _, err := NoteKeys("prova.example/log/2", seedKey("checkpoints"))
			if err != nil {
				t.Fatal(err)
			}
			text, err := SignCheckpoint(Checkpoint{"prova.example/log/2", l.tree.Size(), l.tree.Root()}, signer)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}, []CheckName{CheckCheckpoint}},
		{"37 origin changed", func(t *testing.T, l *testLog) string {
			return strings.Replace(l.checkpoint(t), testOrigin+"\n", testOrigin+"2\n", 1)
		}, []CheckName{CheckCheckpoint}},
		{"38 size changed", func(t *testing.T, l *testLog) string {
			return strings.Replace(l.checkpoint(t), "\n5\n", "\n6\n", 1)
		}, []CheckName{CheckCheckpoint, CheckSize}},
		{"38 root changed", func(t *testing.T, l *testLog) string {
			return strings.Replace(l.checkpoint(t), l.tree.Root().String(), tlog.RecordHash(nil).String(), 1)
		}, []CheckName{CheckCheckpoint, CheckRoot}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLog(t, 5)
			trust := l.trust(t)
			cp := c.tamper(t, l)
			wantReport(t, verifyExport(strings.NewReader(l.export(t, cp)), trust), Failed, c.want...)
		})
	}
}

// resign makes a log like newLog's with another receipt key in it.
func resign(t *testing.T, key string) *testLog {
	l := newLog(t, 0)
	l.signer = newSigner(t, key)
	l.head.Keys[0] = NewReceiptPublicKey(l.signer.Public())
	for range 5 {
		l.append(t, nil)
	}
	return l
}

// 39: nothing malformed passes for a size, a root or a text, even if signed.
func TestTamperCheckpointForm(t *testing.T) {
	l := newLog(t, 5)
	good := l.checkpoint(t)
	root := l.tree.Root().String()
	for _, c := range [][2]string{
		{"\n5\n", "\n+5\n"},
		{"\n5\n", "\n05\n"},
		{"\n5\n", "\n-5\n"},
		{"\n5\n", "\n9223372036854775808\n"},
		{"\n5\n", "\n5 \n"},
		{"\n5\n", "\n\n"},
		{root, root[:40]},
		{root, root + "AAAA"},
		{root, strings.TrimRight(root, "=")},
		{root, spareBits(root + "=")[:44]},
		{"\n5\n", "\r\n5\r\n"},
		{testOrigin + "\n5", "\n5"},
		{testOrigin + "\n5", "a b\n5"},
		{testOrigin + "\n5", "a+b\n5"},
	} {
		bad := strings.Replace(good, c[0], c[1], 1)
		if bad == good {
			t.Fatalf("nothing changed by %q", c)
		}
		if got, err := ParseCheckpoint(bad); err == nil {
			t.Errorf("%q passes as %+v", bad, got)
		}
		r := verifyExport(strings.NewReader(l.export(t, bad)), l.trust(t))
		wantReport(t, r, Failed, CheckCheckpoint)
	}
}

// 25, 40, 41: an older valid head, or another history, shows only against a
// head that the auditor saved.
func TestTamperAgainstSavedHeads(t *testing.T) {
	full := newLog(t, 9)
	saved, err := ParseCheckpoint(full.checkpoint(t))
	if err != nil {
		t.Fatal(err)
	}
	trust := full.trust(t)
	trust.Heads = []Checkpoint{saved, {Origin: "elsewhere", Size: 99}}

	older := newLog(t, 7)
	wantReport(t, verifyExport(strings.NewReader(older.export(t, older.checkpoint(t))), older.trust(t)), Verified)
	wantReport(t, verifyExport(strings.NewReader(older.export(t, older.checkpoint(t))), trust), Failed, CheckConsistency)

	rewritten := newLog(t, 3)
	for i := range 8 {
		rewritten.append(t, fields{"event_id": fmt.Sprintf("evt_new%d", i)})
	}
	wantReport(t, verifyExport(strings.NewReader(rewritten.export(t, rewritten.checkpoint(t))), trust), Failed, CheckConsistency)

	grown := newLog(t, 12)
	r := verifyExport(strings.NewReader(grown.export(t, grown.checkpoint(t))), trust)
	wantReport(t, r, Verified)
	if statusOf(r, CheckConsistency) != OK {
		t.Errorf("%+v", r.Checks)
	}

	trust.Heads = trust.Heads[1:] // a head that was given and compared with nothing proves nothing
	r = verifyExport(strings.NewReader(grown.export(t, grown.checkpoint(t))), trust)
	wantReport(t, r, Undetermined, CheckConsistency)
}

// 18: keys that judge differently are not admitted from an export either.
func TestTamperKeys(t *testing.T) {
	l := newLog(t, 2)
	identity := append([]byte{1}, make([]byte, 31)...)
	l.head.Keys = append(l.head.Keys, NewReceiptPublicKey(identity))
	r := verifyExport(strings.NewReader(l.export(t, l.checkpoint(t))), Trust{})
	wantReport(t, r, Failed, CheckHead)
}
