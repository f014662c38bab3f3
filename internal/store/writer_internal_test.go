package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cobound/prova/internal/authority"
)

func openFileStore(t *testing.T) *Store {
	t.Helper()
	s, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "prova.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func addOrg(name string) work {
	return func(run *session) error {
		_, err := run.exec("add", "INSERT INTO orgs (name, created_at, log_id) VALUES (?, 0, '')", name)
		return err
	}
}

// together runs works in one batch: the first holds the writer until the
// others wait behind it.
func together(t *testing.T, s *Store, works ...work) []error {
	t.Helper()
	w := s.engine.(*sqliteEngine).writer
	errs := make([]error, len(works))
	var all sync.WaitGroup
	started := make(chan struct{}, len(works))
	for i := 1; i < len(works); i++ {
		all.Go(func() {
			started <- struct{}{}
			errs[i] = w.write(t.Context(), works[i])
		})
	}
	for range len(works) - 1 {
		<-started
	}
	all.Go(func() { errs[0] = w.write(t.Context(), works[0]) })
	all.Wait()
	return errs
}

func (s *Store) orgNames(t *testing.T) string {
	t.Helper()
	orgs, err := s.Orgs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range orgs {
		names = append(names, o.Name)
	}
	return strings.Join(names, " ")
}

// TestBatchFails: when the transaction that callers share is lost, by its
// commit or before, none of them is told that it stands, and the next is fine.
func TestBatchFails(t *testing.T) {
	for name, spoil := range map[string]work{
		"commit": func(run *session) error {
			// A foreign key that is looked at as late as in COMMIT.
			if err := run.script("defer", "PRAGMA defer_foreign_keys = on"); err != nil {
				return err
			}
			_, err := run.exec("add", "INSERT INTO decisions (org, rollout_id, sequence, doc) VALUES ('x', 'x', 1, x'')")
			return err
		},
		"before": func(run *session) error { return run.script("spoil", "ROLLBACK") },
	} {
		t.Run(name, func(t *testing.T) {
			s := openFileStore(t)
			w := s.engine.(*sqliteEngine).writer
			w.open = time.Minute
			// One batch: the second comes while the first has its turn.
			second := make(chan error, 1)
			first := w.write(t.Context(), func(run *session) error {
				if err := addOrg("a")(run); err != nil {
					return err
				}
				waiting := make(chan struct{})
				go func() {
					close(waiting)
					second <- w.write(context.Background(), func(run *session) error { return errors.Join(addOrg("b")(run), spoil(run)) })
				}()
				<-waiting
				time.Sleep(100 * time.Millisecond) // until it stands in the queue
				return nil
			})
			if first == nil || <-second == nil {
				t.Errorf("acknowledged: first %v", first)
			}
			if err := w.write(t.Context(), addOrg("c")); err != nil {
				t.Errorf("after the failure: %v", err)
			}
			if got := s.orgNames(t); got != "c" {
				t.Errorf("orgs %q, want only c", got)
			}
		})
	}
}

// TestBatchKeepsOthers: what one caller does wrong touches no other.
func TestBatchKeepsOthers(t *testing.T) {
	s := openFileStore(t)
	errMine := errors.New("mine")
	var works []work
	for i := range 40 {
		name := fmt.Sprintf("%02d", i)
		switch i % 4 {
		case 0:
			works = append(works, addOrg(name))
		case 1:
			works = append(works, func(run *session) error { return errors.Join(addOrg(name)(run), errMine) })
		case 2:
			works = append(works, func(run *session) error { return errors.Join(addOrg(name)(run), addOrg(name)(run)) })
		case 3:
			works = append(works, func(run *session) error {
				return s.guard(run, func(run *session) error { _ = addOrg(name)(run); panic("oh") })
			})
		}
	}
	var want []string
	for i, err := range together(t, s, works...) {
		switch {
		case i%4 == 0 && err == nil:
			want = append(want, fmt.Sprintf("%02d", i))
		case i%4 == 1 && errors.Is(err, errMine), i%4 == 2 && errors.Is(err, authority.ErrExists), i%4 == 3 && err != nil:
		default:
			t.Errorf("work %d: %v", i, err)
		}
	}
	if got := s.orgNames(t); got != strings.Join(want, " ") {
		t.Errorf("orgs %q, want %q", got, want)
	}
}

// TestSQLiteSettings: the settings that durability and integrity stand on.
func TestSQLiteSettings(t *testing.T) {
	s := openFileStore(t)
	check := func(run *session, want map[string]string) error {
		for name, value := range want {
			err := run.each(name, "PRAGMA "+name, nil, func(r row) error {
				var got string
				err := r.Scan(&got)
				if got != value {
					t.Errorf("%s is %s, want %s", name, got, value)
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	both := map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000", "fullfsync": "1", "checkpoint_fullfsync": "1",
	}
	if err := s.write(t.Context(), "", func(run *session) error {
		both["wal_autocheckpoint"], both["query_only"] = "16000", "0"
		return check(run, both)
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.read(t.Context(), func(run *session) error {
		both["query_only"] = "1"
		return check(run, both)
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.read(t.Context(), addOrg("x")); err == nil {
		t.Error("a reader could write")
	}
}

func TestSQLiteVersion(t *testing.T) {
	for version, ok := range map[string]bool{
		"3.51.3": true, "3.51.4": true, "3.52.0": true, "4.0": true, "3.51.10": true, "3.51.3.1": true,
		"3.51.2": false, "3.50.9": false, "3.9.0": false, "3.51": false, "2.99.99": false, "": false, "new": false,
	} {
		if err := checkSQLite(version); (err == nil) != ok {
			t.Errorf("%q: %v", version, err)
		}
	}
}

// TestSQLitePlans: the filters that pages and ticks are made of use an index.
func TestSQLitePlans(t *testing.T) {
	s := openFileStore(t)
	var rollouts conditions
	rollouts.add("org = ? AND app_id = ? AND environment = ?", "", "", "")
	rollouts.addIn("state", []string{"active", "paused"})
	rollouts.add("state IN ('active', 'paused')")
	entries := func(f authority.EntryFilter) conditions { return entryConditions("acme", f) }
	for _, c := range []struct {
		index, table, order string
		where               conditions
	}{
		{"sqlite_autoindex_receipts_1", "receipts", "idx", entries(authority.EntryFilter{})},
		{"sqlite_autoindex_receipts_1", "receipts", "idx DESC", entries(authority.EntryFilter{From: 5, Newest: true})},
		{"receipts_kind", "receipts", "idx", entries(authority.EntryFilter{Kind: "rollout_decision"})},
		{"receipts_app", "receipts", "idx", entries(authority.EntryFilter{AppID: "a", Environment: "e", Release: "r"})},
		{"receipts_app", "receipts", "idx DESC", entries(authority.EntryFilter{AppID: "a", Environment: "e", Before: 7})},
		{"receipts_rollout", "receipts", "idx", entries(authority.EntryFilter{RolloutID: "r"})},
		{"rollouts_unfinished", "rollouts", "id DESC", rollouts},
	} {
		var plan strings.Builder
		err := s.read(t.Context(), func(run *session) error {
			query := "EXPLAIN QUERY PLAN SELECT * FROM " + c.table + c.where.where() + " ORDER BY " + c.order + " LIMIT 10"
			return run.each("explain", query, c.where.args, func(r row) error {
				var id, parent, unused int64
				var detail string
				err := r.Scan(&id, &parent, &unused, &detail)
				plan.WriteString(detail + "\n")
				return err
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := plan.String(); !strings.Contains(got, c.index+" ") || strings.Contains(got, "TEMP B-TREE") {
			t.Errorf("%s%s uses\n%swant %s and no sorting", c.table, c.where.where(), got, c.index)
		}
	}
}
