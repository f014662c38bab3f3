package receipt

import (
	"strings"
	"testing"
)

// 55: an erasure names commitments of an earlier receipt.
func TestTamperErasure(t *testing.T) {
	good := Commit([32]byte{1}, []byte(`"hello"`))
	for _, c := range []struct {
		name   string
		erased any
		want   string
	}{
		{"a field", fields{"event_id": "evt_0001", "log_index": 1, "commitments": fields{"input": good}}, Verified},
		{"two fields", fields{"event_id": "evt_0001", "log_index": 1, "commitments": fields{"input": good, "output": good}}, Verified},
		{"no field", fields{"event_id": "evt_0001", "log_index": 1, "commitments": fields{}}, Failed},
		{"nothing", nil, Failed},
		{"not an object", "evt_0001", Failed},
		{"no commitment", fields{"event_id": "evt_0001", "log_index": 1, "commitments": fields{"input": "sha256:00"}}, Failed},
		{"a commitment and a null", fields{"event_id": "evt_0001", "log_index": 1, "commitments": []string{good}}, Failed},
		{"no event", fields{"event_id": "0001", "log_index": 1, "commitments": fields{"input": good}}, Failed},
		{"a later receipt", fields{"event_id": "evt_0001", "log_index": 3, "commitments": fields{"input": good}}, Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLog(t, 3)
			l.append(t, fields{"kind": "erasure", "erased": c.erased, "ground": "because", "metrics": nil, "run_id": nil})
			r := verifyExport(strings.NewReader(l.export(t, l.checkpoint(t))), l.trust(t))
			wantReport(t, r, c.want)
			want := OK
			if c.want == Failed {
				want = Failed
			}
			if got := statusOf(r, CheckRedactions); got != want {
				t.Errorf("redactions %q, want %q", got, want)
			}
		})
	}
}
