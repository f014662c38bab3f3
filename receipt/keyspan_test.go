package receipt

import (
	"maps"
	"strings"
	"testing"
)

// 19, 20, 21: a key signs only at the indexes for which the log's key events let it.
func TestTamperKeySpans(t *testing.T) {
	event := func(event, key string, more fields) fields {
		pub := newSigner(t, key).Public()
		c := fields{"kind": "key_event", "event": event, "key": NewReceiptPublicKey(pub), "source": nil, "metrics": nil, "run_id": nil}
		maps.Copy(c, more)
		return c
	}
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
		for range 4 {
			l.append(t, nil)
		}
		l.append(t, fields{"kind": "key_event", "event": "revoke", "key": l.head.Keys[0], "from_index": from + 1, "source": nil, "metrics": nil, "run_id": nil})
		r := bundleOf(t, l, rangeScope(2, 5)).both(t, l.trust(t))
		if from == 3 {
			wantReport(t, r, want, CheckKeySpan)
		} else {
			wantReport(t, r, want)
		}
	}
}
