package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/store"
)

// An org's log begins empty and grows only under the lock of its head.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "prova")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	s, err := store.OpenSQLite(ctx, filepath.Join(dir, "prova.db"), nil)
	if err != nil {
		panic(err)
	}
	defer s.Close()
	if err := s.CreateOrg(ctx, authority.Org{Name: "acme", CreatedAt: time.Now(), LogID: "7f3a"}); err != nil {
		panic(err)
	}
	err = s.Update(ctx, "acme", func(tx authority.Tx) error {
		head, err := tx.LockHead()
		if err != nil {
			return err
		}
		entry := authority.Entry{Index: head.Tree.Size(), EventID: "0198", Kind: "note", Raw: []byte("{}"), RecordedAt: time.Now()}
		return tx.Append([]authority.Entry{entry}, authority.Head{Tree: head.Tree.Append(entry.Leaf)})
	})
	if err != nil {
		panic(err)
	}
	err = s.View(ctx, "acme", func(v authority.Snapshot) error {
		entry, err := v.Entry("0198")
		fmt.Println(entry.Index, entry.Kind)
		return err
	})
	if err != nil {
		panic(err)
	}
	// Output: 0 note
}
