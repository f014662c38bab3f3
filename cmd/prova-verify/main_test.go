package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

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

func writeAll(dir string, files map[string][]byte) error {
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
