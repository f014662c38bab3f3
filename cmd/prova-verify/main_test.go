package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/internal/cli/clitest"
	"github.com/cobound/prova/receipt"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"prova-verify": func() {
			os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
		},
		// evidence writes a receipt, an export and the keys of both.
		"evidence": func() {
			if err := evidence("."); err != nil {
				panic(err)
			}
		},
	})
}

func TestScripts(t *testing.T) { clitest.Run(t) }

func seed(b byte) []byte { return bytes.Repeat([]byte{b}, ed25519.SeedSize) }

func evidence(dir string) error {
	signer, err := receipt.NewSigner(ed25519.NewKeyFromSeed(seed(1)))
	if err != nil {
		return err
	}
	notes, vkey, err := receipt.NoteKeys("prova.example/log", ed25519.NewKeyFromSeed(seed(2)))
	if err != nil {
		return err
	}
	checkpointKey, err := receipt.NewCheckpointPublicKey(vkey)
	if err != nil {
		return err
	}
	var export bytes.Buffer
	w := receipt.NewExportWriter(&export, receipt.ExportHead{Org: "default", Keys: []receipt.PublicKey{receipt.NewReceiptPublicKey(signer.Public()), checkpointKey}})
	var tree receipt.Tree
	var first []byte
	for i := range int64(3) {
		sealed, err := signer.Seal(fmt.Appendf(nil, `{"schema":%q,"event_id":"evt_%d","org":"default","kind":"agent_run","recorded_at":"2026-05-15T18:42:00Z","actor":"key_1","key_id":%q}`, receipt.Schema, i, signer.KeyID()))
		if err != nil {
			return err
		}
		if first == nil {
			first = sealed.Raw
		}
		tree = tree.Append(sealed.LeafHash)
		if err := w.Receipt(i, sealed.Raw); err != nil {
			return err
		}
	}
	checkpoint, err := receipt.SignCheckpoint(receipt.Checkpoint{Origin: "prova.example/log", Size: tree.Size(), Root: tree.Root()}, notes)
	if err != nil {
		return err
	}
	if err := w.Close(checkpoint); err != nil {
		return err
	}
	if err := witnessed(dir, export.Bytes(), checkpoint); err != nil {
		return err
	}
	bundle, head, err := bundleOf(signer, notes, checkpointKey)
	if err != nil {
		return err
	}
	if err := writeAll(dir, map[string][]byte{"bundle.tar": bundle, "cut.tar": bundle[:len(bundle)-600], "head": []byte(head)}); err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(dir, "bundle"), unpacked(bundle)); err != nil {
		return err
	}
	return writeAll(dir, map[string][]byte{
		"receipt.json":  append(first, '\n'),
		"tampered.json": bytes.Replace(first, []byte("evt_0"), []byte("evt_9"), 1),
		"export.ndjson": export.Bytes(),
		"cut.ndjson":    export.Bytes()[:bytes.LastIndexByte(bytes.TrimSpace(export.Bytes()), '\n')+1],
		"checkpoint":    []byte(checkpoint),
		"keys":          []byte(hex.EncodeToString(signer.Public()) + "\n" + vkey + "\n"),
		"other":         []byte(hex.EncodeToString(ed25519.NewKeyFromSeed(seed(3)).Public().(ed25519.PublicKey))),
	})
}

// witnessed writes the export with a checkpoint that one of two witnesses has
// cosigned, the same with that cosignature spoiled, and policies that ask for
// one of them, and for both.
func witnessed(dir string, export []byte, checkpoint string) error {
	policy := ""
	line := ""
	for i, name := range []string{"first.example", "second.example"} {
		c, err := receipt.NewCosigner(name, ed25519.NewKeyFromSeed(seed(byte(10+i))))
		if err != nil {
			return err
		}
		policy += fmt.Sprintf("witness w%d %s\n", i, c.VKey())
		if i > 0 {
			continue
		}
		if line, err = c.Cosign(checkpoint, time.Date(2026, 5, 15, 18, 43, 0, 0, time.UTC)); err != nil {
			return err
		}
	}
	at := len(line) - 20 // within the signature
	spoiled := line[:at] + string(line[at]^1) + line[at+1:]
	with := func(line string) []byte {
		before, err := json.Marshal(checkpoint)
		if err != nil {
			panic(err)
		}
		after, err := json.Marshal(checkpoint + line)
		if err != nil {
			panic(err)
		}
		return bytes.Replace(export, before, after, 1)
	}
	return writeAll(dir, map[string][]byte{
		"cosigned.ndjson": with(line), "spoiled.ndjson": with(spoiled),
		"any": []byte(policy + "group g any w0 w1\nquorum g\n"), "all": []byte(policy + "group g all w0 w1\nquorum g\n"),
	})
}

func writeAll(dir string, files map[string][]byte) error {
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// bundleOf makes a bundle of the log indexes 2 and 3, behind two key events.
func bundleOf(signer receipt.Signer, notes note.Signer, checkpointKey receipt.PublicKey) (tar []byte, head string, err error) {
	keys := []receipt.PublicKey{receipt.NewReceiptPublicKey(signer.Public()), checkpointKey}
	var leaves []tlog.Hash
	var lines []byte
	for i := range int64(4) {
		kind := `"kind":"agent_run"`
		if i < 2 {
			key, err := json.Marshal(keys[i])
			if err != nil {
				return nil, "", err
			}
			kind = `"kind":"key_event","event":"add","key":` + string(key)
		}
		sealed, err := signer.Seal(fmt.Appendf(nil, `{"schema":%q,"event_id":"evt_%d","org":"default",%s,"recorded_at":"2026-05-15T18:42:00Z","actor":"key_1","key_id":%q}`, receipt.Schema, i, kind, signer.KeyID()))
		if err != nil {
			return nil, "", err
		}
		leaves = append(leaves, sealed.LeafHash)
		lines = receipt.AppendLine(lines, i, sealed.Raw)
	}
	tree := receipt.Tree{}.Append(leaves...)
	if head, err = receipt.SignCheckpoint(receipt.Checkpoint{Origin: "prova.example/log", Size: 4, Root: tree.Root()}, notes); err != nil {
		return nil, "", err
	}
	files := map[string][]byte{receipt.FileReadme: receipt.BundleReadme(), receipt.FileCheckpoint: []byte(head), receipt.FileReceipts: lines}
	if files[receipt.FileKeys], err = receipt.BundleKeys(keys); err != nil {
		return nil, "", err
	}
	for i := range 2 {
		path := []tlog.Hash{leaves[1-i], tlog.NodeHash(leaves[2], leaves[3])}
		proof, err := receipt.Proof{Index: int64(i), Hashes: path, Checkpoint: head}.MarshalText()
		if err != nil {
			return nil, "", err
		}
		files[receipt.ProofFile(fmt.Sprintf("evt_%d", i))] = proof
	}
	files[receipt.FileLeaves] = append(leaves[2][:], leaves[3][:]...)
	before := receipt.Tree{}.Append(leaves[:2]...)
	from, to := int64(2), int64(4)
	m := receipt.Manifest{
		Version: receipt.BundleVersion, Scope: receipt.Scope{From: &from, To: &to}, Origin: "prova.example/log", Size: 4, Tree: &before,
		Counts: map[string]int64{"key_event": 2, "agent_run": 2}, Completeness: receipt.Completeness{Claim: receipt.ClaimRange}, Redactions: []receipt.Redaction{},
	}
	names := []string{receipt.FileReadme, receipt.FileKeys, receipt.FileCheckpoint, receipt.ProofFile("evt_0"), receipt.ProofFile("evt_1"), receipt.FileLeaves, receipt.FileReceipts}
	for _, name := range names {
		sum := receipt.NewFileSum(name)
		if _, err := sum.Write(files[name]); err != nil {
			return nil, "", err
		}
		m.Files = append(m.Files, sum.File())
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, "", err
	}
	manifest, err := signer.Seal(fmt.Appendf(nil, `{"schema":%q,"event_id":"evt_export","org":"default","kind":"export","recorded_at":"2026-05-15T18:42:00Z","actor":"key_1","key_id":%q,"manifest":%s}`, receipt.Schema, signer.KeyID(), text))
	if err != nil {
		return nil, "", err
	}
	var out bytes.Buffer
	w, err := receipt.NewBundleWriter(&out, manifest.Raw)
	if err != nil {
		return nil, "", err
	}
	for _, name := range names {
		if err := w.Write(name, files[name]); err != nil {
			return nil, "", err
		}
	}
	err = w.Close()
	return out.Bytes(), head, err
}

// unpacked are the files of a tar.
func unpacked(tar []byte) fs.FS {
	files := fstest.MapFS{}
	b := receipt.OpenBundleTar(bytes.NewReader(tar), int64(len(tar)))
	names, err := b.Names()
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		f, err := b.Open(name)
		if err != nil {
			panic(err)
		}
		data, err := io.ReadAll(f)
		if err != nil {
			panic(err)
		}
		files[name] = &fstest.MapFile{Data: data, Mode: 0o644}
	}
	return files
}
