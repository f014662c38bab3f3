package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// migration is one numbered file.
type migration struct {
	version  int64
	name     string
	text     string
	checksum string
}

// schemaTable remembers which migrations ran.
const schemaTable = `CREATE TABLE IF NOT EXISTS schema_migrations (
  version    {{.Int}}  NOT NULL PRIMARY KEY,
  name       {{.Text}} NOT NULL,
  checksum   {{.Text}} NOT NULL,
  applied_at {{.Int}}  NOT NULL
){{.Strict}}`

// readMigrations reads the files in their order, which must be 1, 2, 3.
func readMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("store: migrations: %w", err)
	}
	var all []migration
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("store: migration %s: its name does not begin with a number", name)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("store: migration %s: %w", name, err)
		}
		sum := sha256.Sum256(text)
		all = append(all, migration{version, name, string(text), hex.EncodeToString(sum[:])})
	}
	slices.SortFunc(all, func(a, b migration) int { return cmp.Compare(a.version, b.version) })
	for i, m := range all {
		if m.version != int64(i+1) {
			return nil, fmt.Errorf("store: migration %s: want number %d next", m.name, i+1)
		}
	}
	return all, nil
}

// migrate brings the schema up to date, one transaction for each migration.
// A crash leaves whole migrations; the next start goes on behind them.
func migrate(ctx context.Context, write func(context.Context, work) error, d *dialect, files fs.FS) error {
	all, err := readMigrations(files)
	if err != nil {
		return err
	}
	for done := false; !done; {
		err := write(ctx, func(run *session) error {
			var err error
			done, err = migrateOne(run, d, all)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// migrateOne looks at the schema under its lock, since another server may have
// migrated in between, and applies the first migration that is missing.
func migrateOne(run *session, d *dialect, all []migration) (done bool, err error) {
	if d.lockSchema != "" {
		if err := run.script("lock the schema", d.lockSchema); err != nil {
			return false, err
		}
	}
	table, err := migration{name: "schema_migrations", text: schemaTable}.render(d)
	if err != nil {
		return false, err
	}
	if err := run.script("create schema_migrations", table); err != nil {
		return false, err
	}
	applied, err := list(run, "read schema_migrations", "SELECT version, checksum FROM schema_migrations ORDER BY version", nil,
		func(r row) (m migration, err error) { return m, r.Scan(&m.version, &m.checksum) })
	if err != nil {
		return false, err
	}
	if err := checkApplied(applied, all); err != nil {
		return false, err
	}
	if len(applied) == len(all) {
		return true, nil
	}
	next := all[len(applied)]
	text, err := next.render(d)
	if err != nil {
		return false, err
	}
	if err := run.script("migration "+next.name, text); err != nil {
		return false, err
	}
	_, err = run.exec("record migration "+next.name, "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
		next.version, next.name, next.checksum, micros(time.Now()))
	return false, err
}

// checkApplied compares what ran in the database with what the program holds.
func checkApplied(applied, all []migration) error {
	for i, a := range applied {
		switch {
		case a.version > int64(len(all)):
			return fmt.Errorf("store: %w: it has version %d and this program knows versions up to %d; start the newer program that wrote it, or restore a backup from before",
				ErrSchema, applied[len(applied)-1].version, len(all))
		case a.version != int64(i+1):
			return fmt.Errorf("store: %w: version %d is missing from schema_migrations; restore the table from a backup", ErrSchema, i+1)
		case a.checksum != all[i].checksum:
			return fmt.Errorf("store: %w: migration %s is not the one that ran in this database; start a released program, which never changes an old migration",
				ErrSchema, all[i].name)
		}
	}
	return nil
}

// render fills in what differs between the databases.
func (m migration) render(d *dialect) (string, error) {
	t, err := template.New(m.name).Option("missingkey=error").Parse(m.text)
	if err != nil {
		return "", fmt.Errorf("store: migration %s: %w", m.name, err)
	}
	var b strings.Builder
	if err := t.Execute(&b, d); err != nil {
		return "", fmt.Errorf("store: migration %s: %w", m.name, err)
	}
	return b.String(), nil
}
