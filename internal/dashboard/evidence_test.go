package dashboard

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/receipt"
)

var update = flag.Bool("update", false, "write assets/sample.js anew")

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func keyFrom(text string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(text))
	return ed25519.NewKeyFromSeed(seed[:])
}

const origin = "prova.example/log/1"

// fixture is a small log with its keys.
type fixture struct {
	private  ed25519.PrivateKey
	signer   receipt.Signer
	note     note.Signer
	keys     []receipt.PublicKey
	trust    receipt.Trust
	sealed   []receipt.Sealed
	tree     receipt.Tree
	hashes   map[int64]tlog.Hash
	stored   int64
	keysJSON string
}

type fields map[string]any

func newFixture() *fixture {
	f := &fixture{private: keyFrom("a key of no account: receipts"), hashes: map[int64]tlog.Hash{}}
	f.signer = must(receipt.NewSigner(f.private))
	signer, vkey, err := receipt.NoteKeys(origin, keyFrom("a key of no account: checkpoints"))
	f.note = must(signer, err)
	f.keys = []receipt.PublicKey{receipt.NewReceiptPublicKey(f.signer.Public()), must(receipt.NewCheckpointPublicKey(vkey))}
	f.keysJSON = string(must(json.Marshal(map[string]any{"items": f.keys})))
	f.trust = must(receipt.ParsePublicKeys([]byte(f.keysJSON)))
	return f
}

// body has what every receipt needs, with changes; nil leaves a member out.
func (f *fixture) body(changes fields) []byte {
	m := fields{
		"schema": receipt.Schema, "event_id": fmt.Sprintf("evt_%04d", len(f.sealed)), "org": "default", "kind": "agent_run",
		"occurred_at": "2026-05-15T18:42:00Z", "recorded_at": "2026-05-15T18:42:00.125Z",
		"actor": "key_1", "key_id": f.signer.KeyID(), "idempotency_key": "trace-abc",
		"source":  fields{"app_id": "claims-agent", "environment": "production", "release": "v36", "framework": "langgraph"},
		"metrics": fields{"success": true, "latency_ms": 812, "cost_usd": 0.0123, "tokens": 1e21, "score": nil},
	}
	maps.Copy(m, changes)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return must(json.Marshal(m))
}

func (f *fixture) seal(changes fields) receipt.Sealed {
	s := must(f.signer.Seal(f.body(changes)))
	for i, h := range must(tlog.StoredHashesForRecordHash(int64(len(f.sealed)), s.LeafHash, tlog.HashReaderFunc(f.read))) {
		f.hashes[f.stored+int64(i)] = h
	}
	f.stored = tlog.StoredHashCount(int64(len(f.sealed)) + 1)
	f.sealed = append(f.sealed, s)
	f.tree = f.tree.Append(s.LeafHash)
	return s
}

func (f *fixture) read(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, n := range indexes {
		out[i] = f.hashes[n]
	}
	return out, nil
}

// proof is the text that shows the receipt at index.
func (f *fixture) proof(index int64) string {
	checkpoint := must(receipt.SignCheckpoint(receipt.Checkpoint{Origin: origin, Size: f.tree.Size(), Root: f.tree.Root()}, f.note))
	hashes := must(receipt.ProveInclusion(index, f.tree.Size(), tlog.HashReaderFunc(f.read)))
	return string(must(receipt.Proof{Index: index, Hashes: hashes, Checkpoint: checkpoint}.MarshalText()))
}

// forge signs any bytes as a body, past all checks, as a dishonest operator can.
func (f *fixture) forge(body []byte) []byte {
	return envelope(body, f.signer.KeyID(), base64.StdEncoding.EncodeToString(ed25519.Sign(f.private, receipt.PAE(receipt.PayloadType, body))))
}

func envelope(body []byte, keyID, signature string) []byte {
	return fmt.Appendf(nil, `{"body":%s,"key_id":"%s","signature":"%s"}`, body, keyID, signature)
}

// sample is a decision at index 4 of a log of 9, to be tried without a server's data.
func sample() (f *fixture, index int64) {
	f = newFixture()
	for i := range 9 {
		changes := fields{}
		if i == 4 {
			changes = fields{
				"kind": "rollout_decision", "actor": "system", "idempotency_key": nil, "occurred_at": nil, "event_id": "evt_0sample",
				"rollout_id": "rol_0sample", "decision": "promote", "mode": "canary", "step": 1, "weight_before": 5, "weight_after": 25,
				"reason":  fields{"code": "clean", "text": "clean verdict at 5%, advancing canary to 25%"},
				"metrics": fields{"success": fields{"baseline": 0.97, "candidate": 0.975, "interval": []float64{-0.0125, 0.0225}}},
				"note":    "a sample: its key is public, so it proves nothing",
			}
		}
		f.seal(changes)
	}
	return f, 4
}

// TestSample holds the sample to what the signer makes.
func TestSample(t *testing.T) {
	f, index := sample()
	var b bytes.Buffer
	b.WriteString("// A receipt to try the page with, its proof, and its keys. The private keys are\n// known to everybody, so it proves nothing. A test writes this file.\n\nexport const sample = ")
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	keys := "# The keys of the sample: everybody can sign with them.\n" + f.keys[0].PublicKey + "\n" + f.keys[1].VKey + "\n"
	if err := enc.Encode(fields{"receipt": string(f.sealed[index].Raw), "proof": f.proof(index), "keys": keys}); err != nil {
		t.Fatal(err)
	}
	want := append(bytes.TrimSuffix(b.Bytes(), []byte("\n")), ";\n"...)
	if *update {
		if err := os.WriteFile("assets/sample.js", want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := must(assetFiles.ReadFile("assets/sample.js"))
	if !*update && !bytes.Equal(got, want) {
		t.Errorf("assets/sample.js is not what the signer makes; write it with go test -run Sample -update\ngot  %s\nwant %s", got, want)
	}
}
