package receipt

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/mod/sumdb/tlog"
)

// storyLog is the log of an org from its first day: its keys, an agent whose
// rollout rolls back, another agent beside it.
//
//	0 key_event, receipts    4 agent_run, other agent    8 rollout_decision, rollback
//	1 key_event, checkpoints 5 agent_run, candidate      9 agent_run
//	2 agent_run, baseline    6 rollout_decision, hold   10 operator_action
//	3 rollout_created        7 agent_run, candidate     11 agent_run, other agent
func storyLog(t testing.TB) *testLog {
	t.Helper()
	l := newLog(t, 0)
	for _, k := range l.head.Keys {
		l.append(t, fields{"kind": "key_event", "event": "add", "key": k, "source": nil, "metrics": nil, "run_id": nil})
	}
	other := fields{"source": fields{"app_id": "other", "environment": "production"}}
	l.append(t, nil)
	l.stream(t, "rollout_created", nil)
	l.append(t, other)
	l.append(t, nil)
	l.stream(t, "rollout_decision", nil)
	l.append(t, fields{"payload_commitments": fields{"input": Commit([32]byte{1}, []byte(`"hello"`))}})
	l.stream(t, "rollout_decision", fields{"terminal": true, "decision": "rollback", "weight": 0})
	l.append(t, nil)
	l.append(t, fields{"kind": "operator_action", "source": nil, "metrics": nil})
	l.append(t, other)
	return l
}

const testRollout = "rol_01"

// stream appends the next receipt of the rollout.
func (l *testLog) stream(t testing.TB, kind string, changes fields) {
	t.Helper()
	seq, prev := int64(0), ""
	for _, line := range l.lines {
		if r, err := Parse(line.raw); err == nil && r.Stream.ID == testRollout {
			seq, prev = r.Stream.Seq+1, r.IntegrityHash
		}
	}
	c := fields{"kind": kind, "stream": fields{"id": testRollout, "seq": seq, "prev": prev}, "metrics": nil, "run_id": nil}
	maps.Copy(c, changes)
	l.append(t, c)
}

// leafHashes are those of all lines.
func (l *testLog) leafHashes(t testing.TB) []tlog.Hash {
	t.Helper()
	var out []tlog.Hash
	for _, line := range l.lines {
		r, err := Parse(line.raw)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r.LeafHash)
	}
	return out
}

// testBundle is a bundle whose parts a test can spoil.
type testBundle struct {
	log      *testLog
	manifest Manifest
	files    map[string][]byte // all but the manifest
	receipts []testLine
	raw      []byte // the manifest as it was sealed
}

func ptr[T any](v T) *T { return &v }

var rolloutScope = Scope{Rollout: testRollout}

func rangeScope(from, to int64) Scope { return Scope{From: &from, To: &to} }

// bundleOf makes an honest bundle.
func bundleOf(t testing.TB, l *testLog, scope Scope) *testBundle {
	t.Helper()
	b := &testBundle{log: l, files: map[string][]byte{FileReadme: BundleReadme(), FileCheckpoint: []byte(l.checkpoint(t))}}
	keys, err := BundleKeys(l.head.Keys)
	if err != nil {
		t.Fatal(err)
	}
	b.files[FileKeys] = keys
	b.manifest = Manifest{Version: 1, Scope: scope, Origin: testOrigin, Size: l.tree.Size(), Counts: map[string]int64{}, Redactions: []Redaction{}}
	b.manifest.Completeness.Claim = scope.Claim()
	first := int64(2)
	if scope.From != nil {
		first = *scope.From
	}
	hashes := l.leafHashes(t)
	for _, line := range l.lines {
		r, err := Parse(line.raw)
		if err != nil {
			t.Fatal(err)
		}
		if r.Kind == kindKeyEvent || r.EventID == scope.Receipt ||
			scope.Rollout != "" && r.Source.AppID == "claims-agent" && line.index < 9 ||
			scope.From != nil && line.index >= *scope.From && line.index < *scope.To {
			b.receipts = append(b.receipts, line)
			b.manifest.Counts[r.Kind]++
			if scope.Receipt != "" || line.index < first {
				b.files[ProofFile(r.EventID)] = l.proof(t, hashes, line.index)
			}
		}
		if scope.Rollout != "" && r.Stream.ID == scope.Rollout {
			b.manifest.Completeness.LastSeq, b.manifest.Completeness.Ended = ptr(r.Stream.Seq), ptr(r.Terminal)
		}
	}
	if scope.Receipt == "" {
		b.manifest.Tree = ptr(Tree{}.Append(hashes[:first]...))
		for _, h := range hashes[first:] {
			b.files[FileLeaves] = append(b.files[FileLeaves], h[:]...)
		}
	}
	b.join()
	b.list()
	b.seal(t)
	return b
}

func (l *testLog) proof(t testing.TB, hashes []tlog.Hash, index int64) []byte {
	t.Helper()
	path, err := ProveInclusion(index, int64(len(hashes)), hashReader(hashes))
	if err != nil {
		t.Fatal(err)
	}
	text, err := Proof{Index: index, Hashes: path, Checkpoint: l.checkpoint(t)}.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// hashReader reads the stored hashes of leaves.
func hashReader(leaves []tlog.Hash) tlog.HashReader {
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for i, h := range leaves {
		more, err := tlog.StoredHashesForRecordHash(int64(i), h, read)
		if err != nil {
			panic(err)
		}
		stored = append(stored, more...)
	}
	return read
}

// join makes the file of the receipts.
func (b *testBundle) join() {
	var lines []byte
	for _, line := range b.receipts {
		lines = AppendLine(lines, line.index, line.raw)
	}
	b.files[FileReceipts] = lines
}

func (b *testBundle) names() []string {
	order := map[string]int{FileReadme: 0, FileKeys: 1, FileCheckpoint: 2, FileLeaves: 4, FileReceipts: 5}
	place := func(name string) int {
		if i, ok := order[name]; ok {
			return i
		}
		return 3
	}
	return slices.SortedFunc(maps.Keys(b.files), func(x, y string) int {
		if d := place(x) - place(y); d != 0 {
			return d
		}
		return strings.Compare(x, y)
	})
}

// list describes the files anew.
func (b *testBundle) list() {
	b.manifest.Files = nil
	for _, name := range b.names() {
		sum := NewFileSum(name)
		_, _ = sum.Write(b.files[name])
		b.manifest.Files = append(b.manifest.Files, sum.File())
	}
}

// seal signs the manifest, as the operator can.
func (b *testBundle) seal(t testing.TB) {
	t.Helper()
	b.raw = seal(t, b.log.signer, fields{
		"event_id": "evt_export", "kind": KindExport, "manifest": b.manifest, "actor": "key_auditor",
		"source": nil, "metrics": nil, "run_id": nil, "idempotency_key": nil,
	}).Raw
}

// again makes the bundle agree with itself after a change, as an operator would who cheats.
func (b *testBundle) again(t testing.TB) {
	b.join()
	b.list()
	b.seal(t)
}

// tar writes the files as they are, without the care of BundleWriter.
func (b *testBundle) tar(t testing.TB) []byte {
	t.Helper()
	out := tarEntryOf(t, FileManifest, b.raw)
	for _, name := range b.names() {
		out = append(out, tarEntryOf(t, name, b.files[name])...)
	}
	return append(out, make([]byte, 2*tarBlock)...)
}

func tarEntryOf(t testing.TB, name string, content []byte) []byte {
	t.Helper()
	out, err := tarHeader(name, int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	return append(append(out, content...), make([]byte, (tarBlock-len(content)%tarBlock)%tarBlock)...)
}

func (b *testBundle) dir() fstest.MapFS {
	out := fstest.MapFS{FileManifest: {Data: b.raw}}
	for name, data := range b.files {
		out[name] = &fstest.MapFile{Data: data}
	}
	return out
}

func verifyTar(data []byte, trust Trust) Report {
	report := OpenBundleTar(bytes.NewReader(data), int64(len(data))).Verify(trust, nil)
	if !IsTar(data) { // a program takes it for a receipt
		return report
	}
	return keepCase(data, trust, report)
}

func verifyDir(dir fstest.MapFS, trust Trust) Report {
	return keepCase(dir, trust, OpenBundleDir(dir).Verify(trust, nil))
}

// both verifies the bundle as tar and as directory, which must agree.
func (b *testBundle) both(t testing.TB, trust Trust) Report {
	t.Helper()
	asTar := verifyTar(b.tar(t), trust)
	asDir := verifyDir(b.dir(), trust)
	one, err := json.Marshal(asTar)
	if err != nil {
		t.Fatal(err)
	}
	two, err := json.Marshal(asDir)
	if err != nil {
		t.Fatal(err)
	}
	if asTar.Result != asDir.Result || !bytes.Equal(one, two) && asTar.Result != Malformed {
		t.Errorf("as tar:       %s\nas directory: %s", one, two)
	}
	return asTar
}
