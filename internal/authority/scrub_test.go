package authority_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// scrub returns what a scrub finds, as "index event check".
func (v *vault) scrub() []string {
	v.t.Helper()
	var found []string
	result, err := v.Scrub(v.ctx, v.owner, func(d api.Damage) error {
		found = append(found, strings.Join(strings.Fields(fmt.Sprintf("%d %s %s", d.LogIndex, d.EventID, d.Check)), " "))
		return nil
	}, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	if result.Damages != int64(len(found)) {
		v.t.Errorf("%d damages were found and %d counted", len(found), result.Damages)
	}
	return found
}

// Whatever is edited behind the server's back, the scrub names it and nothing else.
func testScrub(t *testing.T, v *vault) {
	v.recordRuns(700)
	c, err := v.Checkpoint(v.ctx, v.owner)
	if err != nil {
		t.Fatal(err)
	}
	if found := v.scrub(); found != nil {
		t.Fatalf("an untouched log: %v", found)
	}
	var id string
	if err := v.row(&id, "SELECT event_id FROM receipts WHERE idx = 300"); err != nil {
		t.Fatal(err)
	}
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	for name, e := range map[string]struct {
		table, read, write string
		change             func([]byte) []byte
		want               string
	}{
		"body": {"receipts", "SELECT raw FROM receipts WHERE idx = 300", "UPDATE receipts SET raw = $1 WHERE idx = 300", func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"success":true`), []byte(`"success":false`), 1)
		}, "300 " + id + " signature"},
		"leaf": {"receipts", "SELECT leaf FROM receipts WHERE idx = 300", "UPDATE receipts SET leaf = $1 WHERE idx = 300", flip, "300 " + id + " leaf"},
		"node": {"log_nodes", "SELECT hash FROM log_nodes WHERE idx = 1", "UPDATE log_nodes SET hash = $1 WHERE idx = 1", flip, "256 node"},
	} {
		var was []byte
		if err := v.row(&was, e.read); err != nil {
			t.Fatal(err)
		}
		v.tamper(e.table, e.write, e.change(bytes.Clone(was)))
		if diff := cmp.Diff([]string{e.want}, v.scrub()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		v.tamper(e.table, e.write, was)
	}
	v.tamper("checkpoints", "UPDATE checkpoints SET note = 'x'")
	if diff := cmp.Diff([]string{fmt.Sprintf("%d checkpoint", c.Size)}, v.scrub()); diff != "" {
		t.Errorf("checkpoint: %s", diff)
	}
	v.tamper("checkpoints", "DELETE FROM checkpoints")
	v.tamper("receipts", "UPDATE receipts SET kind = 'other' WHERE idx = 300")
	if diff := cmp.Diff([]string{"300 " + id + " columns"}, v.scrub()); diff != "" {
		t.Errorf("columns: %s", diff)
	}
	v.tamper("receipts", "DELETE FROM receipts WHERE idx = 300")
	if found := v.scrub(); len(found) < 2 || found[0] != "300 log_index" || found[len(found)-1] != fmt.Sprintf("%d head", c.Size) {
		t.Errorf("a deleted receipt: %v", found)
	}
	other := v.owner
	other.Environment = "staging"
	_, err = v.Scrub(v.ctx, other, nil, nil)
	code(t, err, authority.CodeForbidden)
}

// A database that lost receipts for good goes on under another name, and says so.
func testResetAnchor(t *testing.T, v *vault) {
	m := v.anchored()
	v.recordRuns(20)
	before, err := v.Checkpoint(v.ctx, v.owner)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := v.ResetAnchor(v.ctx, true); err != nil || len(all) != 0 {
		t.Errorf("nothing to reset: %v, %v", all, err)
	}
	backup, size := v.tree()
	v.recordRuns(20)
	if _, err := v.Checkpoint(v.ctx, v.owner); err != nil {
		t.Fatal(err)
	}
	v.goBack(backup, size)
	v.tamper("checkpoints", "DELETE FROM checkpoints WHERE size > $1", size)
	v.restart()
	v.readOnly(v.house)
	if all, err := v.ResetAnchor(v.ctx, false); err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	v.readOnly(v.house)
	if _, err := v.ResetAnchor(v.ctx, true); err != nil {
		t.Fatal(err)
	}
	v.restart()
	v.writes(v.house)
	after, err := v.Checkpoint(v.ctx, v.owner)
	if err != nil || after.Origin == before.Origin {
		t.Errorf("%+v has the origin of before (%v)", after, err)
	}
	if len(m.heads) != 1 {
		t.Errorf("the anchor holds %v", m.heads)
	}
	list, err := v.Receipts(v.ctx, v.owner, authority.EntryFilter{Kind: api.KindOperatorAction}, "", 1)
	if err != nil || len(list.Items) != 1 || !bytes.Contains(list.Items[0].Receipt, []byte("log.reset_anchor")) {
		t.Errorf("no receipt says so: %v %v", list, err)
	}
	if found := v.scrub(); found != nil {
		t.Errorf("scrub: %v", found)
	}
}
