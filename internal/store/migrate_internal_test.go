package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/store/migrations"
	"github.com/cobound/prova/internal/store/pgtest"
)

// onBoth runs a test on an open store of each database. reopen opens the same data again.
func onBoth(t *testing.T, test func(t *testing.T, s *Store, d *dialect, migrating func(context.Context, work) error)) {
	t.Run("SQLite", func(t *testing.T) {
		s := openFileStore(t)
		test(t, s, sqliteDialect(), s.engine.(*sqliteEngine).writer.write)
	})
	t.Run("Postgres", func(t *testing.T) {
		s, err := OpenPostgres(t.Context(), pgtest.URL(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		e := s.engine.(*postgresEngine)
		test(t, s, postgresDialect(), func(ctx context.Context, fn work) error { return e.run(ctx, e.beginMigration, fn) })
	})
}

// files copies the migrations, so that a test can change them.
func files(t *testing.T) fstest.MapFS {
	t.Helper()
	all := fstest.MapFS{}
	names, err := fs.Glob(migrations.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(migrations.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &fstest.MapFile{Data: text}
	}
	return all
}

func version(t *testing.T, s *Store) int64 {
	t.Helper()
	var newest int64
	err := s.read(t.Context(), func(run *session) error {
		return run.each("version", "SELECT MAX(version) FROM schema_migrations", nil, func(r row) error { return r.Scan(&newest) })
	})
	if err != nil {
		t.Fatal(err)
	}
	return newest
}

func TestMigrate(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store, d *dialect, migrating func(context.Context, work) error) {
		all := files(t)
		if got := version(t, s); got != int64(len(all)) {
			t.Errorf("a new database has version %d, want %d", got, len(all))
		}
		if err := migrate(t.Context(), migrating, d, all); err != nil {
			t.Errorf("again: %v", err)
		}

		changed := files(t)
		changed["0002_log.sql"].Data = append(changed["0002_log.sql"].Data, '\n')
		err := migrate(t.Context(), migrating, d, changed)
		if !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "0002_log.sql") {
			t.Errorf("a changed migration: %v", err)
		}

		next := fmt.Sprintf("%04d_next.sql", len(all)+1)
		all[next] = &fstest.MapFile{Data: []byte("CREATE TABLE more (org {{.Text}} NOT NULL){{.Strict}}; CREATE TABLE even_more (n {{.Int}}){{.Strict}};")}
		if err := migrate(t.Context(), migrating, d, all); err != nil {
			t.Errorf("one more: %v", err)
		}
		if got := version(t, s); got != int64(len(all)) {
			t.Errorf("version %d, want %d", got, len(all))
		}
		err = migrate(t.Context(), migrating, d, migrations.Files)
		if !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "newer program") {
			t.Errorf("an older program: %v", err)
		}
	})
}

// TestMigrateFails: a migration that fails half-way leaves nothing.
func TestMigrateFails(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store, d *dialect, migrating func(context.Context, work) error) {
		all := files(t)
		before := len(all)
		bad := fmt.Sprintf("%04d_bad.sql", before+1)
		all[bad] = &fstest.MapFile{Data: []byte("CREATE TABLE half (n {{.Int}}){{.Strict}}; CREATE TABLE orgs (n {{.Int}});")}
		if err := migrate(t.Context(), migrating, d, all); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("got %v", err)
		}
		all[bad].Data = []byte("CREATE TABLE half (n {{.Int}}){{.Strict}};")
		if err := migrate(t.Context(), migrating, d, all); err != nil {
			t.Errorf("mended: %v", err)
		}
		if got := version(t, s); got != int64(before+1) {
			t.Errorf("version %d", got)
		}
	})
}

func TestReadMigrations(t *testing.T) {
	for name, set := range map[string]fstest.MapFS{
		"gap":       {"0001_a.sql": {}, "0003_b.sql": {}},
		"twice":     {"0001_a.sql": {}, "0001_b.sql": {}},
		"no number": {"a.sql": {}},
	} {
		if _, err := readMigrations(set); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestMigrateTogether: of servers that start at once on an empty database one
// migrates and the others wait for it.
func TestMigrateTogether(t *testing.T) {
	url := pgtest.URL(t)
	var servers sync.WaitGroup
	for range 6 {
		servers.Go(func() {
			s, err := OpenPostgres(t.Context(), url, nil)
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	servers.Wait()
}

// TestAppendOnly: the database itself refuses to change what was signed.
func TestAppendOnly(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store, d *dialect, _ func(context.Context, work) error) {
		ctx := t.Context()
		if err := s.CreateOrg(ctx, authority.Org{Name: "acme"}); err != nil {
			t.Fatal(err)
		}
		err := s.Update(ctx, "acme", func(tx authority.Tx) error {
			head, err := tx.LockHead()
			if err != nil {
				return err
			}
			return tx.Append([]authority.Entry{{EventID: "e"}}, authority.Head{Tree: head.Tree.Append([32]byte{})})
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.write(ctx, "", func(run *session) error {
			_, err := run.exec("checkpoint", "INSERT INTO checkpoints (org, size, origin, root_hash, note) VALUES ('acme', 1, '', '', '')")
			if err == nil {
				_, err = run.exec("node", "INSERT INTO log_nodes (org, level, idx, hash) VALUES ('acme', 1, 0, ?)", []byte{1})
			}
			if err == nil {
				_, err = run.exec("cosignature", "INSERT INTO cosignatures (org, size, vkey, cosigned_at, line) VALUES ('acme', 1, 'w', 1, '')")
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		statements := []string{
			"UPDATE receipts SET raw = raw", "DELETE FROM receipts", "UPDATE checkpoints SET note = 'x'", "DELETE FROM checkpoints",
			"UPDATE log_nodes SET idx = 7", "DELETE FROM log_nodes", "UPDATE cosignatures SET line = 'x'", "DELETE FROM cosignatures",
		}
		if d.Postgres {
			statements = append(statements, "TRUNCATE receipts", "TRUNCATE checkpoints CASCADE", "TRUNCATE log_nodes", "TRUNCATE cosignatures")
		}
		for _, statement := range statements {
			err := s.write(ctx, "", func(run *session) error {
				_, err := run.exec("tamper", statement)
				return err
			})
			if err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s: %v", statement, err)
			}
		}
	})
}
