package store

import (
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// dialect is what the two databases do not share.
type dialect struct {
	// The column types of the migrations, and what ends a table.
	Int, Text, Bytes, Strict string
	SQLite, Postgres         bool

	// forUpdate ends a SELECT whose row is held until the transaction ends.
	forUpdate string
	// numbered is set where placeholders are $1, $2 instead of ?.
	numbered bool
	// lockSchema is run before the schema is looked at, so that of several
	// servers that start together one migrates.
	lockSchema string

	violation func(error) violation
}

// violation is the kind of constraint that a statement broke.
type violation int

const (
	violatesNothing   violation = iota
	violatesKey                 // a primary key
	violatesUnique              // another unique index
	violatesReference           // a foreign key
)

// rebind writes the placeholders of the database. No query holds a question
// mark in a literal.
func (d *dialect) rebind(query string) string {
	if !d.numbered {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + 2*strings.Count(query, "?"))
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
		query = after
	}
}

func sqliteDialect() *dialect {
	return &dialect{
		Int: "INTEGER", Text: "TEXT", Bytes: "BLOB", Strict: " STRICT", SQLite: true,
		violation: sqliteViolation,
	}
}

func postgresDialect() *dialect {
	return &dialect{
		// The C collation sorts by bytes, as SQLite does; any other would page in another order.
		Int: "BIGINT", Text: `TEXT COLLATE "C"`, Bytes: "BYTEA", Postgres: true,
		forUpdate: " FOR UPDATE",
		numbered:  true,
		// Keyed by the schema: several stores can share a database.
		lockSchema: "SELECT pg_advisory_xact_lock(hashtext('prova schema'), hashtext(current_schema()))",
		violation:  postgresViolation,
	}
}

func sqliteViolation(err error) violation {
	failure, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return violatesNothing
	}
	switch failure.Code() {
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return violatesKey
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE:
		return violatesUnique
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return violatesReference
	}
	return violatesNothing
}

// The error codes of PostgreSQL that mean something to the store.
const (
	pgUniqueViolation      = "23505"
	pgForeignKeyViolation  = "23503"
	pgSerializationFailure = "40001"
	pgDeadlock             = "40P01"
	pgReadOnly             = "25006"
)

func postgresViolation(err error) violation {
	failure, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return violatesNothing
	}
	switch failure.Code {
	case pgUniqueViolation:
		if strings.HasSuffix(failure.ConstraintName, "_pkey") {
			return violatesKey
		}
		return violatesUnique
	case pgForeignKeyViolation:
		return violatesReference
	}
	return violatesNothing
}
