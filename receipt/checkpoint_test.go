package receipt

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func TestCheckpoint(t *testing.T) {
	signer, vkey, err := NoteKeys(testOrigin, seedKey("checkpoints"))
	if err != nil {
		t.Fatal(err)
	}
	want := Checkpoint{testOrigin, 7, leaf(7)}
	text, err := SignCheckpoint(want, signer)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(text, fmt.Sprintf("%s\n7\n%s\n\n— %s ", testOrigin, leaf(7), testOrigin)) {
		t.Errorf("%q", text)
	}
	v, err := NewNoteVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []note.Verifier{v, plain} {
		if got, err := OpenCheckpoint(text, note.VerifierList(v)); err != nil || got != want {
			t.Errorf("%+v, %v", got, err)
		}
	}
	for i := range len(text) {
		for _, c := range []string{"", "x", " ", "\n", "=", "\r"} {
			bad := text[:i] + c + text[i+1:]
			if bad == text {
				continue
			}
			if got, err := OpenCheckpoint(bad, note.VerifierList(v)); err == nil {
				t.Fatalf("%q opens as %+v", bad, got)
			} else if !errors.Is(err, ErrCheckpoint) {
				t.Fatalf("%q: %v is no ErrCheckpoint", bad, err)
			}
		}
	}
}

func TestCheckpointSignatures(t *testing.T) {
	signer, vkey, _ := NoteKeys(testOrigin, seedKey("checkpoints"))
	witness, wkey, _ := NoteKeys("witness", seedKey("witness"))
	c := Checkpoint{testOrigin, 1, leaf(1)}
	body := fmt.Sprintf("%s\n1\n%s\n", testOrigin, leaf(1))
	sign := func(signers ...note.Signer) string {
		b, err := note.Sign(&note.Note{Text: body}, signers...)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	log, err1 := NewNoteVerifier(vkey)
	wit, err2 := NewNoteVerifier(wkey)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	one, both := sign(signer), sign(signer, witness)
	line := one[strings.LastIndex(one, "— "):]
	broken := strings.Replace(line, line[len(line)-20:len(line)-4], strings.Repeat("A", 16), 1)
	for _, x := range []struct {
		name, text string
		known      note.Verifiers
		ok         bool
	}{
		{"log", one, note.VerifierList(log), true},
		{"log and an unknown witness", both, note.VerifierList(log), true},
		{"log and a known witness", both, note.VerifierList(log, wit), true},
		{"only the witness is known", both, note.VerifierList(wit), false},
		{"nobody is known", both, note.VerifierList(), false},
		{"the same signature twice", one + line, note.VerifierList(log), false},
		{"a second, broken signature of the same key", one + broken, note.VerifierList(log), false},
		{"a broken signature of a known witness", one + strings.Replace(both[strings.LastIndex(both, "— "):], "ness ", "ness AAAA", 1), note.VerifierList(log, wit), true},
		{"not a signature line", one + "hello\n", note.VerifierList(log), false},
		{"extension line", strings.Replace(one, "\n\n", "\nextension\n\n", 1), note.VerifierList(log), false},
	} {
		got, err := OpenCheckpoint(x.text, x.known)
		if (err == nil) != x.ok || x.ok && got != c {
			t.Errorf("%s: %+v, %v", x.name, got, err)
		}
	}
	body = fmt.Sprintf("%s\n1\n%s\nextension\n", testOrigin, leaf(1))
	if got, err := OpenCheckpoint(sign(signer), note.VerifierList(log)); err != nil || got != c {
		t.Errorf("a signed extension line: %v", err)
	}
	_, err := OpenCheckpoint(one, note.VerifierList())
	if _, ok := errors.AsType[*note.UnverifiedNoteError](err); !ok {
		t.Errorf("%v does not say that no key is known", err)
	}
}

func TestSignCheckpointRefuses(t *testing.T) {
	signer, _, err := NoteKeys(testOrigin, seedKey("checkpoints"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Checkpoint{{"other", 1, leaf(1)}, {testOrigin, -1, leaf(1)}, {testOrigin, 0, leaf(1)}} {
		if text, err := SignCheckpoint(c, signer); err == nil {
			t.Errorf("%+v signed: %q", c, text)
		}
	}
	if _, err := SignCheckpoint(Checkpoint{testOrigin, 0, Tree{}.Root()}, signer); err != nil {
		t.Error(err)
	}
	broken, _, err := NoteKeys(testOrigin, faulty{seedKey("checkpoints"), nil})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SignCheckpoint(Checkpoint{testOrigin, 1, tlog.Hash{}}, broken); err == nil {
		t.Error("a faulty signature leaves the signer")
	}
	for _, origin := range []string{"", "a b", "a+b", "a\n"} {
		if _, _, err := NoteKeys(origin, seedKey("a")); err == nil {
			t.Errorf("origin %q", origin)
		}
	}
}
