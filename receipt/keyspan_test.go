package receipt

import (
	"crypto/ed25519"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// keyEventOf is what a key event about a key for receipts changes in a body.
func keyEventOf(t *testing.T, event, key string, more fields) fields {
	t.Helper()
	c := fields{"kind": "key_event", "event": event, "key": NewReceiptPublicKey(newSigner(t, key).Public()), "source": nil, "metrics": nil, "run_id": nil}
	maps.Copy(c, more)
	return c
}

// keyStory writes a log from steps "signer run", "signer add key", "signer
// retire key", "signer revoke key" and, behind any of them, " from INDEX". It
// begins with the key "receipts" that adds itself.
func keyStory(t *testing.T, steps ...string) *testLog {
	t.Helper()
	l := newLog(t, 0)
	l.append(t, keyEventOf(t, "add", "receipts", nil))
	for _, step := range steps {
		words := strings.Fields(step)
		l.signer = newSigner(t, words[0])
		var changes fields
		if words[1] != "run" {
			changes = keyEventOf(t, words[1], words[2], nil)
		}
		if i := slices.Index(words, "from"); i > 0 {
			from, err := strconv.Atoi(words[i+1])
			if err != nil {
				t.Fatal(err)
			}
			changes["from_index"] = from
		}
		l.append(t, changes)
	}
	return l
}

// An auditor who pinned the first key follows its successors, as far as keys
// that held added them. Each story is told from index 1 on; both verifiers and
// both forms of evidence must agree.
func TestTamperKeyChain(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps string // separated by commas
		pin   string // besides receipts
		want  string
		check CheckName
	}{
		{"rotation", "receipts run, receipts add b, b run, b retire receipts, b run", "", Verified, ""},
		{"two rotations", "receipts add b, b retire receipts, b run, b add c, c run, c retire b, c run", "", Verified, ""},
		{"nobody adds the new key", "receipts run, b run", "", Failed, CheckKnownKey},
		{"21 the new key adds itself", "receipts run, b add b, b run", "", Failed, CheckKnownKey},
		{"a pinned key adds itself, as another server does", "receipts run, b add b, b run", "b", Verified, ""},
		{"an untrusted key adds another one", "receipts run, b add b, b add c, c run", "", Failed, CheckKnownKey},
		{"used before it was added", "receipts run, b run, receipts add b", "", Failed, CheckKnownKey},
		{"added for the past, used since", "receipts run, receipts add b from 0, b run", "", Verified, ""},
		{"added for later, used before", "receipts add b from 4, b run, b run, b run", "", Failed, CheckKeySpan},
		{"added for later, used then", "receipts add b from 3, receipts run, b run", "", Verified, ""},
		{"added by a key that was retired", "receipts add b, b retire receipts, receipts add c, c run", "", Failed, CheckKnownKey},
		{"the last key retires", "receipts run, receipts retire receipts", "", Failed, CheckKeySpan},
		{"the last key is ended, and the successor was added for later", "receipts add b from 3, receipts retire receipts, b run", "", Verified, ""},
		{"a retirement that reaches back", "receipts add b, b run, b retire receipts from 2", "", Failed, CheckKeySpan},
		{"a retirement for later, kept", "receipts add b, b retire receipts from 4, receipts run, b run", "", Verified, ""},
		{"a retirement for later, broken", "receipts add b, b retire receipts from 3, receipts run", "", Failed, CheckKeySpan},
		{"a key revokes itself", "receipts add b, receipts revoke receipts", "", Failed, CheckKeySpan},
		{"ended twice, the earliest counts", "receipts add b, b retire receipts from 9, b revoke receipts from 4, receipts run", "", Failed, CheckKeySpan},
		{"a later end does not extend", "receipts add b, b revoke receipts from 3, b retire receipts from 9, receipts run", "", Failed, CheckKeySpan},
		{"a key that was never added is ended", "receipts run, receipts retire b", "", Failed, CheckKeySpan},
		{"a pinned key that was never added is ended", "receipts run, receipts retire b", "b", Failed, CheckKeySpan},
		{"added again after its end", "receipts add b, receipts retire b, receipts add b, b run", "", Failed, CheckKeySpan},
		{"20 the chain falls", "receipts add d, receipts run, receipts add b, b run, d revoke receipts from 3", "", Failed, CheckKeySpan},
		{"20 the chain falls, and takes the one behind along", "receipts add d, receipts add b, b add c, c run, d revoke receipts from 2", "", Failed, CheckKeySpan},
		{"20 who fell adds nobody", "receipts add d, receipts add b, d revoke receipts from 2, b add c, c run", "", Failed, CheckKnownKey},
		{"revoked where it had not signed", "receipts add b, b run, b revoke receipts from 2, b run", "", Verified, ""},
		{"a checkpoint key is no key for receipts", "receipts add b, b add b", "", Failed, CheckKeySpan},
		{"no successor but the one who fell", "receipts run, receipts add b, b revoke receipts from 1", "", Failed, CheckKeySpan},
		{"a new key that the auditor was given ends the stolen one", "receipts run, receipts add b, n add n, n revoke receipts from 3, n run", "n", Verified, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := keyStory(t, strings.Split(c.steps, ", ")...)
			pubs := []ed25519.PublicKey{newSigner(t, "receipts").Public()}
			if c.pin != "" {
				pubs = append(pubs, newSigner(t, c.pin).Public())
			}
			keys, err := NewKeySet(pubs...)
			if err != nil {
				t.Fatal(err)
			}
			trust := Trust{Receipt: keys, Checkpoint: []string{l.vkey}}
			var names []CheckName
			if c.want != Verified {
				names = []CheckName{c.check}
			}
			wantReport(t, verifyExport(strings.NewReader(l.export(t, l.checkpoint(t))), trust), c.want, names...)
			wantReport(t, bundleOf(t, l, rangeScope(0, l.tree.Size())).both(t, trust), c.want, names...)
		})
	}
}

// What a key signed before the index from which it is revoked stays good in a
// bundle about it, although the bundle holds a key event that the revocation
// takes the effect from.
func TestTamperKeyEventsBesideTheScope(t *testing.T) {
	l := keyStory(t, strings.Split("receipts add d, receipts run, receipts run, receipts add b, d revoke receipts from 4, d run", ", ")...)
	keys, err := NewKeySet(newSigner(t, "receipts").Public())
	if err != nil {
		t.Fatal(err)
	}
	trust := Trust{Receipt: keys, Checkpoint: []string{l.vkey}}
	wantReport(t, bundleOf(t, l, rangeScope(2, 4)).both(t, trust), Verified)
	wantReport(t, bundleOf(t, l, Scope{Receipt: "evt_0003"}).both(t, trust), Verified)
	wantReport(t, bundleOf(t, l, Scope{Receipt: "evt_0004"}).both(t, trust), Failed, CheckKeySpan)
	wantReport(t, bundleOf(t, l, rangeScope(2, 6)).both(t, trust), Failed, CheckKeySpan)
	wantReport(t, verifyExport(strings.NewReader(l.export(t, l.checkpoint(t))), trust), Failed, CheckKeySpan)
}

// A key falls with the one that added it, also if only its own receipt is what the bundle is about.
func TestTamperKeyChainBesideTheScope(t *testing.T) {
	for from, want := range map[string]string{"3": Failed, "4": Verified} {
		l := keyStory(t, strings.Split("receipts add d, receipts run, receipts add b, b add c, c run, d revoke receipts from "+from+", d run", ", ")...)
		keys, err := NewKeySet(newSigner(t, "receipts").Public())
		if err != nil {
			t.Fatal(err)
		}
		wantReport(t, bundleOf(t, l, rangeScope(5, 6)).both(t, Trust{Receipt: keys, Checkpoint: []string{l.vkey}}), want)
	}
}

// A bundle whose manifest is signed by a key that was retired or revoked is
// nobody's.
func TestTamperManifestByAnEndedKey(t *testing.T) {
	l := keyStory(t, "receipts run", "receipts add b", "b retire receipts", "b run")
	keys, err := NewKeySet(newSigner(t, "receipts").Public())
	if err != nil {
		t.Fatal(err)
	}
	trust := Trust{Receipt: keys, Checkpoint: []string{l.vkey}}
	wantReport(t, bundleOf(t, l, rangeScope(0, 2)).both(t, trust), Verified)
	for _, signer := range []string{"receipts", "c"} {
		l.signer = newSigner(t, signer)
		wantReport(t, bundleOf(t, l, rangeScope(0, 2)).both(t, trust), Failed, CheckManifest)
	}
}

// An export that does not begin at 0 follows the additions that it holds.
func TestTamperKeyChainFromTheMiddle(t *testing.T) {
	for steps, want := range map[string]string{
		"receipts run, receipts run, receipts add b, b run, b retire receipts, b run": Verified,
		"receipts run, receipts run, b add b, b run":                                  Failed,
		"receipts run, d run, receipts add d from 0, d run":                           Failed,
		"receipts run, receipts run, receipts add b, b retire receipts, receipts run": Failed,
	} {
		l := keyStory(t, strings.Split(steps, ", ")...)
		l.head.Tree = Tree{}.Append(l.leafHashes(t)[:2]...)
		l.head.From, l.lines = 2, l.lines[2:]
		keys, err := NewKeySet(newSigner(t, "receipts").Public(), newSigner(t, "d").Public())
		if err != nil {
			t.Fatal(err)
		}
		wantReport(t, verifyExport(strings.NewReader(l.export(t, l.checkpoint(t))), Trust{Receipt: keys, Checkpoint: []string{l.vkey}}), want)
	}
}

// 19, 20, 21: a key signs only at the indexes for which the log's key events let it.
func TestTamperKeySpans(t *testing.T) {
	event := func(event, key string, more fields) fields { return keyEventOf(t, event, key, more) }
	for _, c := range []struct {
		name string
		more func(l *testLog)
		want string
	}{
		{"another key added and used", func(l *testLog) {
			l.append(t, event("add", "second", nil))
			l.signer = newSigner(t, "second")
			l.append(t, nil)
		}, Verified},
		{"19 a key that no event adds", func(l *testLog) {
			l.signer = newSigner(t, "second")
			l.append(t, nil)
		}, Failed},
		{"19 used before it was added", func(l *testLog) {
			l.signer = newSigner(t, "second")
			l.append(t, nil)
			l.append(t, event("add", "second", nil))
		}, Failed},
		{"19 used before it holds", func(l *testLog) {
			l.append(t, event("add", "second", fields{"from_index": 6}))
			l.signer = newSigner(t, "second")
			l.append(t, nil)
		}, Failed},
		{"19 used after it was retired", func(l *testLog) {
			l.append(t, event("retire", "receipts", nil))
			l.append(t, nil)
		}, Failed},
		{"retired, and another one goes on", func(l *testLog) {
			l.append(t, event("add", "second", nil))
			l.append(t, event("retire", "receipts", nil))
			l.signer = newSigner(t, "second")
			l.append(t, nil)
		}, Verified},
		{"20 revoked for what it signed before", func(l *testLog) {
			l.append(t, event("add", "second", nil))
			l.append(t, nil)
			l.signer = newSigner(t, "second")
			l.append(t, event("revoke", "receipts", fields{"from_index": 3}))
		}, Failed},
		{"20 revoked from the end on", func(l *testLog) {
			l.append(t, event("add", "second", nil))
			l.append(t, nil)
			l.signer = newSigner(t, "second")
			l.append(t, event("revoke", "receipts", fields{"from_index": 4}))
		}, Verified},
		{"21 added twice", func(l *testLog) { l.append(t, event("add", "receipts", nil)) }, Failed},
		{"21 an event of no known kind", func(l *testLog) { l.append(t, event("bless", "receipts", nil)) }, Undetermined},
		{"21 a key that is not the one named", func(l *testLog) {
			k := NewReceiptPublicKey(newSigner(t, "second").Public())
			k.KeyID = l.signer.KeyID()
			l.append(t, event("add", "second", fields{"key": k}))
		}, Failed},
		{"23 a checkpoint key signs a receipt", func(l *testLog) {
			l.signer = newSigner(t, "checkpoints")
			l.append(t, nil)
		}, Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLog(t, 0)
			for _, k := range l.head.Keys {
				l.append(t, fields{"kind": "key_event", "event": "add", "key": k, "source": nil, "metrics": nil, "run_id": nil})
			}
			c.more(l)
			keys, err := NewKeySet(newSigner(t, "receipts").Public(), newSigner(t, "second").Public(), newSigner(t, "checkpoints").Public())
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(c.name, "23") {
				delete(keys, KeyID(newSigner(t, "checkpoints").Public()))
			}
			trust := Trust{Receipt: keys, Checkpoint: []string{l.vkey}}
			var names []CheckName
			if c.want != Verified {
				names = []CheckName{CheckKeySpan}
			}
			wantReport(t, bundleOf(t, l, rangeScope(0, l.tree.Size())).both(t, trust), c.want, names...)
			wantReport(t, verifyExport(strings.NewReader(l.export(t, l.checkpoint(t))), trust), c.want, names...)
		})
	}
}

// A key that was ended behind a range is ended for the range: the bundle holds
// the key events that come later, too.
func TestTamperKeyEndedLater(t *testing.T) {
	for from, want := range map[int64]string{3: Failed, 6: Verified} {
		l := newLog(t, 0)
		for _, k := range l.head.Keys {
			l.append(t, fields{"kind": "key_event", "event": "add", "key": k, "source": nil, "metrics": nil, "run_id": nil})
		}
		trust := l.trust(t)
		l.append(t, keyEventOf(t, "add", "second", nil))
		for range 4 {
			l.append(t, nil)
		}
		l.signer = newSigner(t, "second")
		l.append(t, fields{"kind": "key_event", "event": "revoke", "key": l.head.Keys[0], "from_index": from + 1, "source": nil, "metrics": nil, "run_id": nil})
		r := bundleOf(t, l, rangeScope(2, 5)).both(t, trust)
		if from == 3 {
			wantReport(t, r, want, CheckKeySpan)
		} else {
			wantReport(t, r, want)
		}
	}
}
