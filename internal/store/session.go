package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cobound/prova/internal/authority"
)

// session is one run of one transaction: the only way to a statement.
type session struct {
	// ctx is what statements run under.
	ctx context.Context
	// caller ends the transaction between two statements. It is ctx itself
	// except where many callers share a transaction and none may interrupt it.
	caller  context.Context
	link    link
	dialect *dialect
	// failed is the first error of a statement. Nothing runs after it, as
	// PostgreSQL would have it, and the transaction is not committed.
	failed error
	ended  bool
}

// link is a connection on which a transaction is open.
type link interface {
	// exec runs a statement and returns the number of rows it changed.
	exec(ctx context.Context, query string, args []any) (int64, error)
	// each runs a query and calls scan for every row of the result.
	each(ctx context.Context, query string, args []any, scan func(row) error) error
	// script runs many statements without arguments.
	script(ctx context.Context, text string) error
}

// row is what a result is scanned from.
type row interface{ Scan(dest ...any) error }

// snapshot reads one org within a session.
type snapshot struct {
	*session
	org string
}

// tx reads and writes one org within a session.
type tx struct {
	snapshot
	// head is that of the log, once it is locked.
	locked bool
	head   authority.Head
}

var (
	errText  = errors.New("a text with a NUL byte or invalid UTF-8 cannot be stored")
	errEnded = errors.New("the transaction has ended")
)

// ready reports why no statement can run.
func (s *session) ready(what string) error {
	switch {
	case s.ended:
		return fmt.Errorf("store: %s: %w", what, errEnded)
	case s.failed != nil:
		return fmt.Errorf("store: %s: not run, an earlier statement had failed: %w", what, s.failed)
	case s.caller.Err() != nil:
		return fmt.Errorf("store: %s: %w", what, s.caller.Err())
	}
	return nil
}

// fail records the failure of a statement and says what was being done.
func (s *session) fail(what string, err error) error {
	s.failed = err
	switch s.dialect.violation(err) {
	case violatesKey, violatesUnique:
		return fmt.Errorf("store: %s: %w", what, authority.ErrExists)
	case violatesReference:
		return fmt.Errorf("store: %s: what it belongs to: %w", what, authority.ErrNotFound)
	case violatesNothing:
	}
	return fmt.Errorf("store: %s: %w", what, err)
}

// exec runs a statement and returns the number of rows it changed.
func (s *session) exec(what, query string, args ...any) (int64, error) {
	if err := s.ready(what); err != nil {
		return 0, err
	}
	if err := storable(args); err != nil {
		return 0, fmt.Errorf("store: %s: %w", what, err)
	}
	n, err := s.link.exec(s.ctx, s.dialect.rebind(query), args)
	if err != nil {
		return 0, s.fail(what, err)
	}
	return n, nil
}

// each runs a query and calls scan for every row of the result.
func (s *session) each(what, query string, args []any, scan func(row) error) error {
	if err := s.ready(what); err != nil {
		return err
	}
	if storable(args) != nil {
		return nil // what cannot be stored is not there
	}
	if err := s.link.each(s.ctx, s.dialect.rebind(query), args, scan); err != nil {
		return s.fail(what, err)
	}
	return nil
}

// list runs a query and returns what scan makes of the rows.
func list[T any](s *session, what, query string, args []any, scan func(row) (T, error)) ([]T, error) {
	var all []T
	err := s.each(what, query, args, func(r row) error {
		one, err := scan(r)
		all = append(all, one)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// one is list for a query of at most one row; ErrNotFound if there is none.
func one[T any](s *session, what, query string, args []any, scan func(row) (T, error)) (T, error) {
	var zero T
	all, err := list(s, what, query, args, scan)
	if err != nil {
		return zero, err
	}
	if len(all) == 0 {
		return zero, fmt.Errorf("store: %s: %w", what, authority.ErrNotFound)
	}
	return all[0], nil
}

// maxRows is the number of rows of one INSERT. It is a power of two: a batch
// of any size is cut into powers of two, so that few texts are ever prepared.
const maxRows = 256

// insert adds rows with as few statements as possible. head is the text up to
// VALUES, tail what follows the rows.
func (s *session) insert(what, head, tail string, rows [][]any) error {
	for len(rows) > 0 {
		n := maxRows
		for n > len(rows) {
			n /= 2
		}
		width := len(rows[0])
		tuple := "(" + strings.TrimSuffix(strings.Repeat("?, ", width), ", ") + ")"
		query := head + " VALUES " + strings.TrimSuffix(strings.Repeat(tuple+", ", n), ", ") + tail
		args := make([]any, 0, n*width)
		for _, r := range rows[:n] {
			args = append(args, r...)
		}
		if _, err := s.exec(what, query, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// script runs many statements without arguments, as migrations hold.
func (s *session) script(what, text string) error {
	if err := s.ready(what); err != nil {
		return err
	}
	if err := s.link.script(s.ctx, text); err != nil {
		return s.fail(what, err)
	}
	return nil
}

// storable refuses what one of the databases could not keep, so that a value
// does not depend on where it happens to be stored.
func storable(args []any) error {
	for i, a := range args {
		switch v := a.(type) {
		case string:
			if strings.IndexByte(v, 0) >= 0 || !utf8.ValidString(v) {
				return errText
			}
		case []byte:
			if v == nil {
				args[i] = []byte{} // nil would be NULL
			}
		case int64, nil:
		default:
			return fmt.Errorf("argument %d has the unexpected type %T", i+1, a)
		}
	}
	return nil
}

// micros is a time as it is stored.
func micros(t time.Time) int64 { return t.UnixMicro() }

// timeOf is a stored time as it is returned.
func timeOf(us int64) time.Time { return time.UnixMicro(us).UTC() }

// optional is a time that may be absent as it is stored.
func optional(t *time.Time) any {
	if t == nil {
		return nil
	}
	return micros(*t)
}

// optionalOf is a stored time that may be absent as it is returned.
func optionalOf(us sql.NullInt64) *time.Time {
	if !us.Valid {
		return nil
	}
	t := timeOf(us.Int64)
	return &t
}

// flag is a boolean as it is stored.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
