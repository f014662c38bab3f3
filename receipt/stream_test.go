package receipt

import (
	"strings"
	"testing"
)

// 53, 54: the receipts of a rollout follow each other, in exports too.
func TestTamperStreams(t *testing.T) {
	for _, c := range []struct {
		name string
		more func(l *testLog)
		want string
	}{
		{"in order", func(l *testLog) { l.stream(t, "rollout_decision", nil) }, Verified},
		{"a number left out", func(l *testLog) {
			l.stream(t, "rollout_decision", fields{"stream": fields{"id": testRollout, "seq": 2, "prev": strings.Repeat("0", 64)}})
		}, Failed},
		{"another receipt before", func(l *testLog) {
			l.stream(t, "rollout_decision", fields{"stream": fields{"id": testRollout, "seq": 1, "prev": strings.Repeat("0", 64)}})
		}, Failed},
		{"begins in the middle", func(l *testLog) {
			l.stream(t, "rollout_decision", fields{"stream": fields{"id": "rol_02", "seq": 1, "prev": strings.Repeat("0", 64)}})
		}, Failed},
		{"begins twice", func(l *testLog) {
			l.stream(t, "rollout_created", fields{"stream": fields{"id": testRollout, "seq": 0, "prev": ""}})
		}, Failed},
		{"begins with a decision", func(l *testLog) {
			l.stream(t, "rollout_decision", fields{"stream": fields{"id": "rol_02", "seq": 0, "prev": ""}})
		}, Failed},
		{"in no stream", func(l *testLog) { l.stream(t, "rollout_decision", fields{"stream": nil}) }, Failed},
		{"goes on after its end", func(l *testLog) {
			l.stream(t, "rollout_decision", fields{"terminal": true})
			l.stream(t, "rollout_decision", nil)
		}, Failed},
		{"a shadow goes on after its end", func(l *testLog) {
			l.stream(t, "rollout_decision", fields{"terminal": true, "advisory": true})
			l.stream(t, "rollout_decision", fields{"advisory": true})
		}, Verified},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLog(t, 0)
			for _, k := range l.head.Keys {
				l.append(t, fields{"kind": "key_event", "event": "add", "key": k, "source": nil, "metrics": nil, "run_id": nil})
			}
			l.stream(t, "rollout_created", nil)
			c.more(l)
			var names []CheckName
			if c.want != Verified {
				names = []CheckName{CheckStream}
			}
			wantReport(t, bundleOf(t, l, rangeScope(0, l.tree.Size())).both(t, l.trust(t)), c.want, names...)
			wantReport(t, verifyExport(strings.NewReader(l.export(t, l.checkpoint(t))), l.trust(t)), c.want, names...)
		})
	}
	for _, s := range []fields{
		{"id": "", "seq": 1, "prev": strings.Repeat("0", 64)},
		{"id": "r", "seq": -1, "prev": ""},
		{"id": "r", "seq": 1, "prev": ""},
		{"id": "r", "seq": 0, "prev": strings.Repeat("0", 64)},
		{"id": "r", "seq": "1", "prev": strings.Repeat("0", 64)},
		{"id": "r", "seq": 1.5, "prev": strings.Repeat("0", 64)},
	} {
		s2 := newSigner(t, "receipts")
		if _, err := s2.Seal(bodyOf(s2, fields{"stream": s})); err == nil {
			t.Errorf("%v is sealed", s)
		}
	}
}
