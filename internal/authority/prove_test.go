package authority_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"math"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

func hashOf(t testing.TB, text string) tlog.Hash {
	t.Helper()
	h, err := tlog.ParseHash(text)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func hashesOf(t testing.TB, texts []string) []tlog.Hash {
	t.Helper()
	out := make([]tlog.Hash, len(texts))
	for i, text := range texts {
		out[i] = hashOf(t, text)
	}
	return out
}

// includes checks a proof as its receiver would: from the receipt's own bytes.
func (h *house) includes(q authority.InclusionQuery) api.InclusionProof {
	h.t.Helper()
	p, err := h.ProveInclusion(h.ctx, h.owner, q)
	if err != nil {
		h.t.Fatalf("%+v: %v", q, err)
	}
	item, err := h.Receipt(h.ctx, h.owner, p.EventID)
	if err != nil {
		h.t.Fatal(err)
	}
	r, err := receipt.Parse(item.Receipt)
	if err != nil {
		h.t.Fatal(err)
	}
	if p.LogIndex != item.LogIndex || p.LeafHash != r.LeafHash.String() {
		h.t.Errorf("%+v speaks of another receipt than %d %s", p, item.LogIndex, r.LeafHash)
	}
	if err := receipt.VerifyInclusion(hashesOf(h.t, p.Hashes), p.LogIndex, r.LeafHash, p.Size, hashOf(h.t, p.RootHash)); err != nil {
		h.t.Errorf("%+v: %v", q, err)
	}
	return p
}

func testProofs(t *testing.T, v *vault) {
	ids := v.recordRuns(300)
	early, err := v.Checkpoint(v.ctx, v.owner)
	if err != nil {
		t.Fatal(err)
	}
	ids = append(ids, v.recordRuns(700)...)
	last := ids[len(ids)-1]
	p := v.includes(authority.InclusionQuery{EventID: ids[0]})
	now, err := v.Checkpoint(v.ctx, v.owner)
	if err != nil || p.Size != now.Size || p.RootHash != now.RootHash {
		t.Fatalf("%+v is not of the present head %+v (%v)", p, now, err)
	}
	verifier, err := receipt.NewNoteVerifier(now.VKey)
	if err != nil {
		t.Fatal(err)
	}
	text, err := receipt.ParseProof(p.Proof)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := text.Verify(hashOf(t, p.LeafHash), note.VerifierList(verifier)); err != nil || c.Origin != now.Origin {
		t.Errorf("the text of the proof: %+v, %v", c, err)
	}
	for _, q := range []authority.InclusionQuery{
		{Index: 0},
		{Index: 255},
		{Index: 256},
		{Index: 301, Size: 500},
		{EventID: ids[7], Size: early.Size},
		{Index: 0, Size: 1},
		{EventID: last},
		{Index: early.Size - 1, Size: early.Size},
	} {
		p := v.includes(q)
		if signed := p.Size == early.Size || p.Size == now.Size; signed != (p.Proof != "") {
			t.Errorf("%+v: the proof's text is %q", q, p.Proof)
		}
	}
	v.consistent(early, now)
	v.refusesProofs(last, now.Size)
}

func (v *vault) consistent(early, now api.Checkpoint) {
	t := v.t
	for _, sizes := range [][2]int64{{early.Size, 0}, {early.Size, now.Size}, {1, 256}, {256, 257}, {512, 900}, {now.Size, now.Size}} {
		p, err := v.ProveConsistency(v.ctx, v.owner, sizes[0], sizes[1])
		if err != nil {
			t.Fatalf("%v: %v", sizes, err)
		}
		if err := receipt.VerifyConsistency(hashesOf(t, p.Hashes), p.From, hashOf(t, p.FromRootHash), p.To, hashOf(t, p.ToRootHash)); err != nil {
			t.Errorf("%v: %v", sizes, err)
		}
		if p.From == early.Size && p.FromRootHash != early.RootHash || p.To == now.Size && p.ToRootHash != now.RootHash {
			t.Errorf("%v: the roots are not those that were signed", sizes)
		}
	}
}

func (v *vault) refusesProofs(last string, size int64) {
	t := v.t
	for name, c := range map[string]struct {
		q    authority.InclusionQuery
		code authority.Code
	}{
		"beyond the log":   {authority.InclusionQuery{Index: size}, authority.CodeNotFound},
		"unknown event":    {authority.InclusionQuery{EventID: "evt_nobody"}, authority.CodeNotFound},
		"size too large":   {authority.InclusionQuery{Index: 0, Size: size + 1}, authority.CodeInvalid},
		"huge size":        {authority.InclusionQuery{Index: 0, Size: math.MaxInt64}, authority.CodeInvalid},
		"not yet in there": {authority.InclusionQuery{EventID: last, Size: 5}, authority.CodeInvalid},
	} {
		_, err := v.ProveInclusion(v.ctx, v.owner, c.q)
		if authority.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	for _, sizes := range [][2]int64{{0, 5}, {-1, 5}, {6, 5}, {1, size + 1}, {math.MaxInt64, math.MaxInt64}} {
		_, err := v.ProveConsistency(v.ctx, v.owner, sizes[0], sizes[1])
		code(t, err, authority.CodeInvalid)
	}
	other := v.owner
	other.Environment = "staging"
	_, err := v.ProveInclusion(v.ctx, other, authority.InclusionQuery{EventID: last})
	code(t, err, authority.CodeNotFound)
	other.Permissions = []api.Permission{api.ReleaseRead}
	_, err = v.ProveInclusion(v.ctx, other, authority.InclusionQuery{EventID: last})
	code(t, err, authority.CodeForbidden)
	_, err = v.ProveConsistency(v.ctx, other, 1, 2)
	code(t, err, authority.CodeForbidden)
}

// A log that was written before nodes were kept gets them at the next start,
// and one in which some are missing when a proof needs them.
func testNodesOfOlderLogs(t *testing.T, v *vault) {
	v.recordRuns(1200)
	count := func() (n int) {
		t.Helper()
		if err := v.row(&n, "SELECT COUNT(*) FROM log_nodes"); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 4 {
		t.Fatalf("%d nodes were kept, want 4", n)
	}
	v.tamper("log_nodes", "DELETE FROM log_nodes")
	v.restart()
	if n := count(); n != 4 {
		t.Errorf("%d nodes after a start, want 4", n)
	}
	v.tamper("log_nodes", "DELETE FROM log_nodes WHERE idx = 1")
	v.includes(authority.InclusionQuery{Index: 700})
	if n := count(); n != 4 {
		t.Errorf("%d nodes after a proof, want 4", n)
	}
}

// A receipt, a leaf or a node that was changed gives no proof at all.
func testNoProofOfChangedBytes(t *testing.T, v *vault) {
	v.recordRuns(600)
	v.includes(authority.InclusionQuery{Index: 300})
	read := func(query string) (b []byte) {
		t.Helper()
		if err := v.row(&b, query); err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, c := range map[string]struct {
		table, read, write string
		reached            int64 // an index whose proof needs the bytes
	}{
		"body": {"receipts", "SELECT raw FROM receipts WHERE idx = 300", "UPDATE receipts SET raw = $1 WHERE idx = 300", 300},
		"leaf": {"receipts", "SELECT leaf FROM receipts WHERE idx = 301", "UPDATE receipts SET leaf = $1 WHERE idx = 301", 302},
		"node": {"log_nodes", "SELECT hash FROM log_nodes WHERE idx = 1", "UPDATE log_nodes SET hash = $1 WHERE idx = 1", 5},
	} {
		was := read(c.read)
		changed := []byte(strings.Replace(string(was), `"success":true`, `"success":false`, 1))
		if name != "body" {
			changed[0] ^= 1
		}
		v.tamper(c.table, c.write, changed)
		_, err := v.ProveInclusion(v.ctx, v.owner, authority.InclusionQuery{Index: c.reached})
		if authority.CodeOf(err) != authority.CodeInternal || !strings.Contains(err.Error(), "prova log scrub") {
			t.Errorf("%s: %v", name, err)
		}
		tile := authority.Tile{Index: 1, Width: 50}
		if tile.Entries = name == "body"; name == "node" {
			tile = authority.Tile{Level: 1, Width: 2}
		}
		if _, err := v.Tile(v.ctx, v.owner, tile); authority.CodeOf(err) != authority.CodeInternal || !strings.Contains(err.Error(), "prova log scrub") {
			t.Errorf("%s: a tile of what was changed: %v", name, err)
		}
		v.tamper(c.table, c.write, was)
		v.includes(authority.InclusionQuery{Index: c.reached})
		if _, err := v.Tile(v.ctx, v.owner, tile); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func testCheckpointsOfThePast(t *testing.T, v *vault) {
	var made []api.Checkpoint
	for range 5 {
		v.recordRuns(3)
		c, err := v.Checkpoint(v.ctx, v.owner)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, c)
	}
	for _, want := range made {
		if c, err := v.CheckpointAt(v.ctx, v.owner, want.Size); err != nil || c != want {
			t.Errorf("size %d: %+v, %v", want.Size, c, err)
		}
	}
	_, err := v.CheckpointAt(v.ctx, v.owner, made[0].Size+1)
	code(t, err, authority.CodeNotFound)
	cursor, at := "", len(made)
	for {
		list, err := v.Checkpoints(v.ctx, v.owner, cursor, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list.Items {
			if at--; at < 0 || c != made[at] {
				t.Fatalf("%+v is out of place", c)
			}
		}
		if cursor = list.NextCursor; cursor == "" {
			break
		}
	}
	if at != 0 {
		t.Errorf("the list lacks %d", at)
	}
	_, err = v.Checkpoints(v.ctx, v.owner, base64.RawURLEncoding.EncodeToString([]byte("1:x")), 2)
	code(t, err, authority.CodeInvalid)
}

// Every delivery carries the signed head of the log, which holds the decision.
func testCheckpointInDeliveries(t *testing.T, v *vault) {
	v.hook()
	ro := v.create(canary("v36", "v37"))
	if _, err := v.Abort(v.ctx, v.owner, ro.ID, "enough"); err != nil {
		t.Fatal(err)
	}
	if len(v.out.sent) != 1 {
		t.Fatalf("%d deliveries were sent", len(v.out.sent))
	}
	sent := v.out.sent[0]
	c, err := receipt.ParseCheckpoint(sent.Checkpoint)
	if err != nil {
		t.Fatalf("%q: %v", sent.Checkpoint, err)
	}
	kept, err := v.CheckpointAt(v.ctx, v.owner, c.Size)
	if err != nil || kept.Note != sent.Checkpoint {
		t.Errorf("the checkpoint %q was sent and %+v kept (%v)", sent.Checkpoint, kept, err)
	}
	p := v.includes(authority.InclusionQuery{EventID: v.out.events(t)[0].Data.DecisionEventID, Size: c.Size})
	if p.RootHash != c.Root.String() {
		t.Errorf("root %s, the delivery says %s", p.RootHash, c.Root)
	}
}

// Many checkpointers at once, on as many servers as the database allows: each
// size has one note, which is that of the log.
func testConcurrentCheckpointers(t *testing.T, v *vault) {
	servers := []*house{v.house, v.server(v.stores[0], v.config())}
	if !v.sqlite {
		other := v.config()
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		other.CheckpointKey = key
		servers[1] = v.server(v.open(), other)
	}
	var mu sync.Mutex
	seen := map[int64]api.Checkpoint{}
	var wg sync.WaitGroup
	for i := range 8 {
		h := servers[i%2]
		wg.Go(func() {
			for range 12 {
				h.recordRuns(1)
				c, err := h.Checkpoint(h.ctx, h.owner)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if first, ok := seen[c.Size]; ok && first != c {
					t.Errorf("size %d was shown as %+v and as %+v", c.Size, first, c)
				}
				seen[c.Size] = c
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for size, c := range seen {
		p, err := v.ProveConsistency(v.ctx, v.owner, size, 0)
		if err != nil || p.FromRootHash != c.RootHash {
			t.Errorf("size %d: %+v is not in the log: %v", size, c, err)
		}
	}
}
