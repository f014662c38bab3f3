package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"modernc.org/sqlite"

	"github.com/cobound/prova/internal/store/migrations"
)

// oldestSQLite is the first version without a flaw that could lose a commit
// when one connection writes while another resets the write-ahead log.
const oldestSQLite = "3.51.3"

// sqliteEngine is one file: one connection that writes, a few that read.
type sqliteEngine struct {
	lock    *os.File
	writes  *sql.DB
	reads   *sql.DB
	writer  *writer
	readers chan *sqliteLink // nil stands for a connection to be opened
}

// OpenSQLite opens the database file at path, creates it if it is not there,
// and brings its schema up to date. It refuses a file that another server has
// open (ErrLocked) and one from a newer version (ErrSchema).
func OpenSQLite(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	e := &sqliteEngine{readers: make(chan *sqliteLink, max(4, 2*runtime.GOMAXPROCS(0)))}
	for range cap(e.readers) {
		e.readers <- nil
	}
	if err := e.open(ctx, path, log); err != nil {
		return nil, errors.Join(fmt.Errorf("store: open %s: %w", path, err), e.close())
	}
	return start(ctx, e, func(ctx context.Context) error {
		return migrate(ctx, e.writer.write, sqliteDialect(), migrations.Files)
	}, log)
}

func (e *sqliteEngine) open(ctx context.Context, path string, log *slog.Logger) error {
	if err := createPrivate(path); err != nil {
		return err
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return err
	}
	e.lock = lock
	if e.writes, err = openFile(path, url.Values{"_txlock": {"immediate"}}, 1); err != nil {
		return err
	}
	if e.reads, err = openFile(path, url.Values{"_query_only": {"on"}}, cap(e.readers)); err != nil {
		return err
	}
	var version string
	if err := e.writes.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return err
	}
	if err := checkSQLite(version); err != nil {
		return err
	}
	e.writer = startWriter(e.writes, log)
	return nil
}

// openFile returns the connections to a file. Each waits for a lock before
// anything else is set, since the settings themselves need one.
func openFile(path string, extra url.Values, connections int) (*sql.DB, error) {
	values := url.Values{
		"_busy_timeout": {"10000"},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"}, // an acknowledged commit survives a power cut
		"_foreign_keys": {"on"},
		"_dqs":          {"false"},
		"_defensive":    {"true"},
		"_pragma": {
			"wal_autocheckpoint(16000)",     // pages: many small commits share one copy into the file
			"journal_size_limit(134217728)", // what a long read let grow shrinks again
			"cache_size(-32768)",            // KiB
			"temp_store(memory)",
			"secure_delete(on)",                         // what is deleted, and pages that are given back, are zeroed
			"fullfsync(on)", "checkpoint_fullfsync(on)", // where fsync alone does not reach the disk
		},
	}
	maps.Copy(values, extra)
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: values.Encode()}
	connector, err := sqlite.NewConnector(name.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// createPrivate makes the file, and the directories above it, for the owner
// alone, and flushes the directory entry: a commit in a file that a power cut
// takes away was not durable. SQLite gives its other files the same mode.
func createPrivate(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = f.Chmod(0o600)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		return nil // directories cannot be flushed there
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// checkSQLite refuses a library older than oldestSQLite.
func checkSQLite(version string) error {
	have, want := strings.Split(version, "."), strings.Split(oldestSQLite, ".")
	for i := range want {
		n := 0
		if i < len(have) {
			var err error
			if n, err = strconv.Atoi(have[i]); err != nil {
				return fmt.Errorf("SQLite calls itself version %q; want at least %s", version, oldestSQLite)
			}
		}
		m, _ := strconv.Atoi(want[i])
		if n > m {
			return nil
		}
		if n < m {
			return fmt.Errorf("this program was built with SQLite %s, which can lose commits; build it with %s or later", version, oldestSQLite)
		}
	}
	return nil
}

// write waits its turn; the writer serves all orgs in the order in which they came.
func (e *sqliteEngine) write(ctx context.Context, _ string, fn work) error {
	return e.writer.write(ctx, fn)
}

// read runs fn on a connection of its own. The snapshot begins with the first
// query, so it holds whatever was acknowledged before.
func (e *sqliteEngine) read(ctx context.Context, fn work) error {
	var l *sqliteLink
	select {
	case l = <-e.readers:
	case <-ctx.Done():
		return fmt.Errorf("store: waiting for a reader: %w", ctx.Err())
	}
	whole := false
	defer func() {
		if l != nil && !whole {
			l.discard()
			l = nil
		}
		e.readers <- l
	}()
	if l == nil {
		var err error
		if l, err = openLink(ctx, e.reads); err != nil {
			return fmt.Errorf("store: open a reading connection: %w", err)
		}
	}
	if _, err := l.exec(ctx, "BEGIN", nil); err != nil {
		return fmt.Errorf("store: begin to read: %w", err)
	}
	err := fn(&session{ctx: ctx, caller: ctx, link: l, dialect: sqliteDialect()})
	_, rollback := l.exec(context.WithoutCancel(ctx), "ROLLBACK", nil)
	whole = rollback == nil
	return err
}

// close releases the file. The last connection to close copies the
// write-ahead log into the file.
func (e *sqliteEngine) close() error {
	if e.writer != nil {
		e.writer.close()
	}
	for range cap(e.readers) {
		if l := <-e.readers; l != nil {
			l.discard()
		}
	}
	var errs []error
	for _, db := range []*sql.DB{e.reads, e.writes} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if e.lock != nil {
		errs = append(errs, e.lock.Close())
	}
	return errors.Join(errs...)
}
