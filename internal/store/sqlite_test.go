package store_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/store"
	"github.com/cobound/prova/receipt"
)

func TestSQLiteSecondServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "prova.db")
	first, err := store.OpenSQLite(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.OpenSQLite(t.Context(), path, nil)
	if !errors.Is(err, store.ErrLocked) {
		t.Fatalf("second server: %v, want ErrLocked", err)
	}
	for _, want := range []string{path, fmt.Sprintf("process %d", os.Getpid()), "stop it", "PostgreSQL"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	if err := first.Ping(t.Context()); err != nil {
		t.Errorf("the first server after the second was refused: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := store.OpenSQLite(t.Context(), path, nil)
	if err != nil {
		t.Fatalf("after the first has closed: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSQLiteFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("file modes are of Unix")
	}
	dir := filepath.Join(t.TempDir(), "not", "there yet", "50% off?#&")
	path := filepath.Join(dir, "prova.db")
	s, err := store.OpenSQLite(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	createOrg(t, s)
	appendEntries(t, s, "e1")
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o", file.Name(), mode)
		}
	}
	if len(files) != 4 {
		t.Errorf("%d files, want the database, its log, its index and the lock: %v", len(files), files)
	}
}

// TestSQLiteKill kills a process while it appends. What it said it had appended
// is there, and no index is missing.
func TestSQLiteKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "prova.db")
	acknowledged := map[string]bool{}
	for round := range 10 {
		for _, id := range killOnce(t, path, round) {
			acknowledged[id] = true
		}
		s, err := store.OpenSQLite(t.Context(), path, nil)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		there := checkLog(t, s)
		for id := range acknowledged {
			if !there[id] {
				t.Fatalf("round %d: %s was acknowledged and is lost", round, id)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(acknowledged) < 100 {
		t.Errorf("only %d entries were acknowledged", len(acknowledged))
	}
	t.Logf("%d entries acknowledged over 10 kills", len(acknowledged))
}

// killOnce runs killedAppender for a while and returns what it acknowledged.
func killOnce(t *testing.T, path string, round int) []string {
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledAppender$", "-test.v")
	cmd.Env = append(os.Environ(), "PROVA_KILLED_APPENDER="+path, "PROVA_KILLED_ROUND="+strconv.Itoa(round))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ids []string
	var kill sync.Once
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if id, ok := strings.CutPrefix(lines.Text(), "ack "); ok {
			ids = append(ids, id)
			// Some moment after the first, another in every round.
			kill.Do(func() {
				time.AfterFunc(time.Duration(20+round*23)*time.Millisecond, func() { _ = cmd.Process.Kill() })
			})
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the appender ended by itself")
	}
	return ids
}

// TestKilledAppender is the process that TestSQLiteKill kills.
func TestKilledAppender(t *testing.T) {
	path := os.Getenv("PROVA_KILLED_APPENDER")
	if path == "" {
		t.Skip("only as a helper of TestSQLiteKill")
	}
	s, err := store.OpenSQLite(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = s.CreateOrg(t.Context(), authority.Org{Name: "acme"})
	if err != nil && !errors.Is(err, authority.ErrExists) {
		t.Fatal(err)
	}
	var appenders sync.WaitGroup
	for appender := range 4 {
		appenders.Go(func() {
			for n := 0; ; n++ {
				ids := []string{fmt.Sprintf("%s-%d-%d", os.Getenv("PROVA_KILLED_ROUND"), appender, n)}
				for range n % 3 {
					ids = append(ids, ids[0]+strings.Repeat("+", len(ids)))
				}
				if err := tryAppend(context.Background(), s, ids...); err != nil {
					t.Errorf("append: %v", err)
					return
				}
				fmt.Print("ack " + strings.Join(ids, "\nack ") + "\n")
			}
		})
	}
	appenders.Wait()
}

func createOrg(t testing.TB, s *store.Store) {
	t.Helper()
	if err := s.CreateOrg(t.Context(), authority.Org{Name: "acme", CreatedAt: time.Now(), LogID: "log"}); err != nil {
		t.Fatal(err)
	}
}

// tryAppend appends entries with the given ids to the log of acme.
func tryAppend(ctx context.Context, s *store.Store, ids ...string) error {
	return s.Update(ctx, "acme", func(tx authority.Tx) error {
		head, err := tx.LockHead()
		if err != nil {
			return err
		}
		entries := make([]authority.Entry, len(ids))
		leaves := make([]tlog.Hash, len(ids))
		for i, id := range ids {
			leaves[i] = tlog.Hash(sha256.Sum256([]byte(id)))
			entries[i] = authority.Entry{
				Index: head.Tree.Size() + int64(i), EventID: id, Kind: "agent_run", AppID: "bot", Environment: "production", Release: "v1",
				RunID: "run " + id, IdempotencyKey: id, Leaf: leaves[i], Raw: raw(id), RequestHash: leaves[i],
				RecordedAt: time.Now(), Metrics: []string{"cost_usd", "latency_ms", "success"},
			}
		}
		return tx.Append(entries, authority.Head{Tree: head.Tree.Append(leaves...)})
	})
}

// raw is an envelope of a usual size.
func raw(id string) []byte { return []byte(id + strings.Repeat("x", 900)) }

func appendEntries(t testing.TB, s *store.Store, ids ...string) {
	t.Helper()
	if err := tryAppend(t.Context(), s, ids...); err != nil {
		t.Fatal(err)
	}
}

// checkLog reads the log of acme, checks that it is whole and returns its event ids.
func checkLog(t testing.TB, s *store.Store) map[string]bool {
	t.Helper()
	there := map[string]bool{}
	err := s.View(t.Context(), "acme", func(v authority.Snapshot) error {
		head, err := v.Head()
		if err != nil {
			return err
		}
		entries, err := v.Entries(authority.EntryFilter{}, 10_000_000)
		if err != nil {
			return err
		}
		var tree receipt.Tree
		for i, e := range entries {
			if e.Index != int64(i) || string(e.Raw) != string(raw(e.EventID)) {
				return fmt.Errorf("entry %d has index %d or another content", i, e.Index)
			}
			there[e.EventID] = true
			tree = tree.Append(e.Leaf)
		}
		if tree.Size() != head.Tree.Size() || tree.Root() != head.Tree.Root() {
			return fmt.Errorf("the head is of size %d, the log of %d, or the roots differ", head.Tree.Size(), tree.Size())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return there
}
