package store_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/store"
)

// What was erased stands in no file of the database, wherever SQLite once had
// it: in a page that was split, in the write-ahead log, in an overflow page.
func TestErasedIsGone(t *testing.T) {
	dir := t.TempDir()
	s, err := store.OpenSQLite(t.Context(), filepath.Join(dir, "prova.db"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.CreateOrg(t.Context(), authority.Org{Name: "acme", LogID: "log"}); err != nil {
		t.Fatal(err)
	}
	const receipts, perBatch = 900, 7
	secret := func(i int) []byte { return fmt.Appendf(nil, "secret-%05d-", i) }
	salt := func(i int) [32]byte { return [32]byte([]byte(fmt.Sprintf("salt-of-%024d", i))) }
	update := func(fn func(tx authority.Tx, head authority.Head) error) {
		t.Helper()
		err := s.Update(t.Context(), "acme", func(tx authority.Tx) error {
			head, err := tx.LockHead()
			if err != nil {
				return err
			}
			return fn(tx, head)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < receipts; i += perBatch {
		update(func(tx authority.Tx, head authority.Head) error {
			var entries []authority.Entry
			tree := head.Tree
			for j := i; j < min(i+perBatch, receipts); j++ {
				leaf := [32]byte{byte(j), byte(j >> 8)}
				entries = append(entries, authority.Entry{
					EventID: fmt.Sprint("evt_", j), Kind: "agent_run", Index: int64(j), Raw: []byte("{}"), Leaf: leaf,
					Payloads: []authority.Payload{{Field: "input", Salt: salt(j), Value: bytes.Repeat(secret(j), 1+j*j%90)}},
				})
				tree = tree.Append(leaf)
			}
			return tx.Append(entries, authority.Head{Tree: tree})
		})
	}
	everywhere := func() string {
		t.Helper()
		var all strings.Builder
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			all.Write(data)
		}
		return all.String()
	}
	if text := everywhere(); !strings.Contains(text, string(secret(5))) {
		t.Fatal("the test does not see what is stored")
	}
	// Those that go first would make room, into which the others would move before they go.
	gone := func(i int) bool { return i%8 != 1 }
	for k := range 2 * receipts {
		if i := k % receipts; gone(i) && (i%4 == 3) == (k >= receipts) {
			update(func(tx authority.Tx, _ authority.Head) error {
				_, err := tx.ErasePayloads(int64(i), []string{"input"})
				return err
			})
		}
	}
	if err := s.ForgetErased(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := everywhere()
	for i := range receipts {
		key := salt(i)
		if there := strings.Contains(text, string(secret(i))) || strings.Contains(text, string(key[:])); there == gone(i) {
			t.Errorf("receipt %d: value or salt there: %t", i, there)
		}
	}
}
