package authority_test

import (
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/cobound/prova/internal/authority"
)

// memory is an anchor that survives the server.
type memory struct {
	mu    sync.Mutex
	heads map[string]authority.LogHead
	saves int
	err   error
}

func (m *memory) Load() (map[string]authority.LogHead, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]authority.LogHead{}
	maps.Copy(out, m.heads)
	return out, m.err
}

func (m *memory) Save(heads map[string]authority.LogHead) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.heads = maps.Clone(heads)
	m.saves++
	return nil
}

// anchored restarts the vault with an anchor.
func (v *vault) anchored() *memory {
	v.t.Helper()
	m := &memory{}
	v.anchor = m
	v.restart()
	return m
}

// readOnly says that nothing is written, that reading goes on, and that the reason says what to do.
func (v *vault) readOnly(h *house) {
	v.t.Helper()
	_, err := h.Record(h.ctx, h.owner, []authority.Submission{submission(v.t, event("v1", true))})
	code(v.t, err, authority.CodeReadOnly)
	if err != nil && !strings.Contains(err.Error(), "prova log ") {
		v.t.Errorf("%v does not say what to do", err)
	}
	code(v.t, h.Ready(h.ctx), authority.CodeReadOnly)
	_, err = h.Checkpoint(h.ctx, h.owner)
	code(v.t, err, authority.CodeReadOnly)
	if _, err := h.Receipts(h.ctx, h.owner, authority.EntryFilter{}, "", 5); err != nil {
		v.t.Errorf("reading: %v", err)
	}
}

func (v *vault) writes(h *house) {
	v.t.Helper()
	if _, err := h.Record(h.ctx, h.owner, []authority.Submission{submission(v.t, event("v1", true))}); err != nil {
		v.t.Errorf("writing: %v", err)
	}
	if err := h.Ready(h.ctx); err != nil {
		v.t.Errorf("ready: %v", err)
	}
}

// goBack takes the database back to an earlier size, as a backup would.
func (v *vault) goBack(tree string, size int64) {
	v.t.Helper()
	v.tamper("receipts", "DELETE FROM receipts WHERE idx >= $1", size)
	v.tamper("log_nodes", "DELETE FROM log_nodes WHERE level > 0 AND (idx + 1) * 256 > $1", size)
	v.tamper("log_heads", "UPDATE log_heads SET size = $1, tree = $2", size, tree)
}

func (v *vault) tree() (text string, size int64) {
	v.t.Helper()
	if err := errors.Join(v.row(&text, "SELECT tree FROM log_heads"), v.row(&size, "SELECT size FROM log_heads")); err != nil {
		v.t.Fatal(err)
	}
	return text, size
}

// A database from before what was shown is not written to, whether the server
// ran on or was started with it.
func testRestoredBackup(t *testing.T, v *vault) {
	m := v.anchored()
	v.recordRuns(300)
	backup, size := v.tree()
	v.recordRuns(300)
	c, err := v.Checkpoint(v.ctx, v.owner)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.heads) != 1 || m.saves == 0 {
		t.Fatalf("the anchor holds %v", m.heads)
	}
	for _, head := range m.heads {
		if head.Size != c.Size || head.Root.String() != c.RootHash {
			t.Errorf("the anchor holds %v, the checkpoint is %+v", head, c)
		}
	}
	v.goBack(backup, size)
	v.readOnly(v.house)
	v.restart()
	v.readOnly(v.house)
	if list, err := v.Checkpoints(v.ctx, v.owner, "", 5); err != nil || len(list.Items) != 1 {
		t.Errorf("earlier checkpoints: %v, %v", list, err)
	}
}

// The same size with another root: the lost commits were followed by others.
func testAnotherHistory(t *testing.T, v *vault) {
	v.anchored()
	v.recordRuns(10)
	backup, size := v.tree()
	v.recordRuns(10)
	if _, err := v.Checkpoint(v.ctx, v.owner); err != nil {
		t.Fatal(err)
	}
	v.goBack(backup, size)
	forgetful := v.config()
	forgetful.Anchor = nil
	other := v.server(v.stores[len(v.stores)-1], forgetful)
	other.recordRuns(20)
	// The server that ran on sees a larger log: only its look at the root tells.
	if err := v.MoveAnchors(v.ctx); err != nil {
		t.Fatal(err)
	}
	v.readOnly(v.house)
	v.restart()
	v.readOnly(v.house)
}

// A server with an anchor tolerates that others write.
func testAnchorsOfTwoServers(t *testing.T, v *vault) {
	if v.sqlite {
		t.Skip("two servers never share a SQLite file")
	}
	first, second := v.anchored(), &memory{}
	c := v.config()
	c.Anchor = second
	other := v.server(v.open(), c)
	for range 4 {
		v.recordRuns(130)
		other.recordRuns(130)
		for _, h := range []*house{v.house, other} {
			if _, err := h.Checkpoint(h.ctx, h.owner); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(first.heads) != 1 || len(second.heads) != 1 {
		t.Errorf("%v %v", first.heads, second.heads)
	}
	v.restart()
	v.writes(v.house)
	v.writes(other)
}

// An anchor that is not written means that no checkpoint is shown.
func testAnchorComesFirst(t *testing.T, v *vault) {
	m := v.anchored()
	v.recordRuns(3)
	m.err = errors.New("disk full")
	_, err := v.Checkpoint(v.ctx, v.owner)
	code(t, err, authority.CodeUnavailable)
	var n int
	if err := v.row(&n, "SELECT COUNT(*) FROM checkpoints"); err != nil || n != 0 {
		t.Errorf("%d checkpoints were signed (%v)", n, err)
	}
	m.err = nil
	if _, err := v.Checkpoint(v.ctx, v.owner); err != nil {
		t.Error(err)
	}
}
