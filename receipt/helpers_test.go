package receipt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// vectors reads a file of the shared test vectors, which are not part of this
// repository.
func vectors(t *testing.T, name string, out any) {
	t.Helper()
	dir := os.Getenv("PROVA_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared")
	}
	data, err := os.ReadFile(filepath.Join(dir, "vectors", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("NOT TESTED: no vectors at %s; set PROVA_SHARED to the folder that holds vectors/%s", dir, name)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, out); err != nil {
		t.Fatal(err)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func seedKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func newSigner(t testing.TB, name string) Signer {
	t.Helper()
	s, err := NewSigner(seedKey(name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fields are the members of a body; set to nil to leave one out.
type fields map[string]any

func bodyOf(s Signer, changes fields) []byte {
	m := fields{
		"schema": Schema, "event_id": "evt_01k2a", "org": "default", "kind": "agent_run",
		"occurred_at": "2026-05-15T18:42:00Z", "recorded_at": "2026-05-15T18:42:00.125Z",
		"actor": "key_1", "key_id": s.KeyID(), "idempotency_key": "trace-abc",
		"source":  fields{"app_id": "claims-agent", "environment": "production", "release": "v36", "framework": "langgraph"},
		"run_id":  "run-1",
		"metrics": fields{"success": true, "latency_ms": 812, "cost_usd": 0.0123},
	}
	for k, v := range changes {
		if v == nil {
			delete(m, k)
		} else {
			m[k] = v
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

func seal(t testing.TB, s Signer, changes fields) Sealed {
	t.Helper()
	sealed, err := s.Seal(bodyOf(s, changes))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// forge signs any bytes as a body, past all checks: what a dishonest operator
// can do.
func forge(key string, payloadType string, body []byte) []byte {
	priv := seedKey(key)
	return joinEnvelope(body, KeyID(priv.Public().(ed25519.PublicKey)), ed25519.Sign(priv, PAE(payloadType, body)))
}

func wantCheck(t *testing.T, err error, want CheckName) {
	t.Helper()
	e, ok := errors.AsType[*VerifyError](err)
	if !ok || e.Check != want {
		t.Errorf("got %v, want the check %s to fail", err, want)
	}
}

// testLog is a log with an honest operator, whose parts a test can spoil
// before it is exported.
type testLog struct {
	signer Signer
	note   note.Signer
	vkey   string
	head   ExportHead
	lines  []testLine
	tree   Tree
}

type testLine struct {
	index int64
	raw   []byte
}

const testOrigin = "prova.example/log/1"

func newLog(t testing.TB, n int) *testLog {
	t.Helper()
	l := &testLog{signer: newSigner(t, "receipts")}
	var err error
	if l.note, l.vkey, err = NoteKeys(testOrigin, seedKey("checkpoints")); err != nil {
		t.Fatal(err)
	}
	k, err := NewCheckpointPublicKey(l.vkey)
	if err != nil {
		t.Fatal(err)
	}
	l.head = ExportHead{Version: ExportVersion, Org: "default", Keys: []PublicKey{NewReceiptPublicKey(l.signer.Public()), k}}
	for range n {
		l.append(t, nil)
	}
	return l
}

// append seals one more receipt and logs it.
func (l *testLog) append(t testing.TB, changes fields) {
	t.Helper()
	c := fields{"event_id": fmt.Sprintf("evt_%04d", l.tree.Size())}
	maps.Copy(c, changes)
	s := seal(t, l.signer, c)
	l.lines = append(l.lines, testLine{l.tree.Size(), s.Raw})
	l.tree = l.tree.Append(s.LeafHash)
}

func (l *testLog) trust(t testing.TB) Trust {
	t.Helper()
	keys, err := NewKeySet(l.signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	return Trust{Receipt: keys, Checkpoint: []string{l.vkey}}
}

func (l *testLog) checkpoint(t testing.TB) string {
	t.Helper()
	text, err := SignCheckpoint(Checkpoint{testOrigin, l.tree.Size(), l.tree.Root()}, l.note)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// export writes the lines as they are, without the care of ExportWriter.
func (l *testLog) export(t testing.TB, checkpoint string) string {
	t.Helper()
	var b strings.Builder
	w := NewExportWriter(&b, l.head)
	if err := w.begin(); err != nil {
		t.Fatal(err)
	}
	for _, line := range l.lines {
		fmt.Fprintf(&b, "{\"log_index\":%d,\"receipt\":%s}\n", line.index, line.raw)
	}
	if checkpoint != "" {
		c, err := ParseCheckpoint(checkpoint)
		if err != nil {
			c.Size = l.tree.Size()
		}
		w.writeJSON(checkpointLine{checkpoint, c.Size})
	}
	return b.String()
}

// renumber gives the lines the indexes of their places.
func (l *testLog) renumber() {
	for i := range l.lines {
		l.lines[i].index = l.head.From + int64(i)
	}
}

func statusOf(r Report, name CheckName) string {
	worst := ""
	for _, c := range r.Checks {
		if c.Check == name && (worst == "" || worst == OK) {
			worst = c.Status
		}
	}
	return worst
}

func wantReport(t *testing.T, r Report, result string, failed ...CheckName) {
	t.Helper()
	if r.Result != result {
		t.Errorf("result %s, want %s: %+v", r.Result, result, r.Checks)
	}
	for _, name := range failed {
		if s := statusOf(r, name); s == OK || s == "" {
			t.Errorf("check %s is %q, want it to fail: %+v", name, s, r.Checks)
		}
	}
}

func clone(b []byte) []byte { return bytes.Clone(b) }

func unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

func sealBody(t testing.TB, s Signer, body fields) []byte {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := s.Seal(b)
	if err != nil {
		t.Fatal(err)
	}
	return sealed.Raw
}
