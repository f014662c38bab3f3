package authority_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/verifycmd"
	"github.com/cobound/prova/internal/replay"
	"github.com/cobound/prova/receipt"
	"github.com/cobound/prova/verifiers/python/pythontest"
)

// sealed exports bodies as the server would have logged them: signed with its
// own keys, numbered in their streams, under a checkpoint of that log.
func (h *house) sealed(bodies [][]byte) []byte {
	h.t.Helper()
	var out bytes.Buffer
	checkpoint, err := h.Checkpoint(h.ctx, h.owner)
	if err != nil {
		h.t.Fatal(err)
	}
	w := receipt.NewExportWriter(&out, receipt.ExportHead{Org: h.owner.Org})
	streams := map[string]receipt.Stream{}
	var tree receipt.Tree
	for i, body := range bodies {
		sealed, err := h.receipts.Seal(renumbered(h.t, body, streams))
		if err != nil {
			h.t.Fatal(err)
		}
		r, err := receipt.Parse(sealed.Raw)
		if err != nil {
			h.t.Fatal(err)
		}
		if id := r.Stream.ID; id != "" {
			streams[id] = receipt.Stream{ID: id, Seq: r.Stream.Seq + 1, Prev: sealed.IntegrityHash}
		}
		tree = tree.Append(sealed.LeafHash)
		if err := w.Receipt(int64(i), sealed.Raw); err != nil {
			h.t.Fatal(err)
		}
	}
	signer, _, err := receipt.NoteKeys(checkpoint.Origin, h.checkpoints)
	if err != nil {
		h.t.Fatal(err)
	}
	note, err := receipt.SignCheckpoint(receipt.Checkpoint{Origin: checkpoint.Origin, Size: tree.Size(), Root: tree.Root()}, signer)
	if err == nil {
		err = w.Close(note)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return out.Bytes()
}

// renumbered puts a receipt of a stream behind the one that is the last so far.
func renumbered(t testing.TB, body []byte, streams map[string]receipt.Stream) []byte {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		t.Fatal(err)
	}
	var own receipt.Stream
	if members["stream"] == nil {
		return body
	}
	if err := json.Unmarshal(members["stream"], &own); err != nil {
		t.Fatal(err)
	}
	if next, ok := streams[own.ID]; ok {
		own = next
	}
	var err error
	if members["stream"], err = json.Marshal(own); err != nil {
		t.Fatal(err)
	}
	if body, err = json.Marshal(members); err != nil {
		t.Fatal(err)
	}
	return body
}

// TestForgedEvidence: whoever holds the server's keys can sign a log that never
// was. Each signature and the root hold; that the decisions do not follow from
// the runs is found by both verifiers, at the same places.
func TestForgedEvidence(t *testing.T) {
	h := newHouse(t)
	w := &world{house: h, rng: rand.New(rand.NewPCG(11, 12))}
	w.events(40, 0, 1)
	request := canary("v36", "v37")
	request.Gates, request.MinRuns = gatesOf(t, "success", "latency_ms:p95:on=warn"), ptr(int64(8))
	r := h.create(request)
	for range 4 {
		w.events(40, 0.4, 1)
		h.tick(r.ID)
	}
	h.replays(3)
	var bodies [][]byte
	for _, item := range h.log() {
		bodies = append(bodies, item.Receipt.Body)
	}
	find := func(part string) int {
		i := slices.IndexFunc(bodies[100:], func(body []byte) bool { return strings.Contains(string(body), part) })
		if i < 0 {
			t.Fatalf("no body holds %s", part)
		}
		return 100 + i
	}
	edit := func(at int, from, to string) [][]byte {
		out := slices.Clone(bodies)
		out[at] = bytes.Replace(bodies[at], []byte(from), []byte(to), 1)
		if bytes.Equal(out[at], bodies[at]) {
			t.Fatalf("%q is not in %s", from, bodies[at])
		}
		return out
	}
	run, decision := find(`"success":true`), find(`"decision":"`)
	id := string(bodies[run][bytes.Index(bodies[run], []byte("evt_")):][:30])
	another := bytes.Replace(bodies[run], []byte(id), []byte("evt_forged"), 1)
	dir := t.TempDir()
	var paths []string
	for i, forged := range [][][]byte{
		bodies,
		edit(run, `"success":true`, `"success":false`),
		slices.Delete(slices.Clone(bodies), run, run+1),
		slices.Insert(slices.Clone(bodies), run, another),
		edit(decision, `"verdict":"`, `"verdict":"un`),
		edit(decision, `"fresh_runs":`, `"fresh_runs":1`),
		edit(find(`"kind":"rollout_decision"`), `"decision":"`, `"decision":"pro`),
	} {
		paths = append(paths, filepath.Join(dir, strconv.Itoa(i)+".ndjson"))
		if err := os.WriteFile(paths[i], h.sealed(forged), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keys := filepath.Join(dir, "keys.json")
	list, err := h.SigningKeys(h.ctx)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(api.List[api.SigningKey]{Items: list})
	if err == nil {
		err = os.WriteFile(keys, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = verifycmd.Verify{File: paths, Key: []string{keys}, Replay: true, JSON: true}.Run(t.Context(), &cli.Env{Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }})
	if err == nil {
		t.Error("forged evidence is verified")
	}
	answers, code := pythontest.Verify(t, append([]string{"--replay", "--key", keys}, paths...)...)
	if code != 1 || len(answers) != len(paths) {
		t.Fatalf("exit code %d, %d answers", code, len(answers))
	}
	dec := json.NewDecoder(&out)
	for i := range paths {
		var got, want receipt.Report
		if err := errors.Join(dec.Decode(&want), json.Unmarshal(answers[i], &got)); err != nil {
			t.Fatal(err)
		}
		if wanted := map[bool]string{true: receipt.Verified, false: receipt.Failed}[i == 0]; want.Result != wanted {
			t.Errorf("%s: %s, want %s: %+v", paths[i], want.Result, wanted, want.Checks)
		}
		for _, c := range want.Checks {
			if c.Status == receipt.Failed && c.Check != replay.CheckReplay {
				t.Errorf("%s: %+v", paths[i], c)
			}
		}
		if got.Result != want.Result || !slices.EqualFunc(got.Checks, want.Checks, sameCheck) {
			t.Errorf("%s:\nPython %s\nGo     %+v", paths[i], answers[i], want)
		}
	}
}
