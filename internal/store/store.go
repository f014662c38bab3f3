// Package store keeps what the authority decides, in a SQLite file or in a
// PostgreSQL database. It implements [authority.Store] with one text for every
// query; what differs between the two databases stands in dialect.go, sqlite.go
// and postgres.go.
//
// Invariants:
//
//   - Every row but those of the instance itself carries its org, every key and
//     every query starts with it, so no transaction can reach another org.
//   - What Update acknowledged is on disk: SQLite runs with synchronous=FULL,
//     PostgreSQL with synchronous_commit on.
//   - A log has no gap: an index is taken from the org's head row, which the
//     transaction holds until it ends, and a trigger refuses to change a receipt.
//   - A transaction in which a statement failed is never committed, whatever fn
//     makes of the error: both databases behave alike.
//
// Times are kept to the microsecond and come back in UTC. A text with a NUL or
// invalid UTF-8 cannot be stored; a look-up by such a text finds nothing.
//
// fn never calls the Store it runs in: on SQLite an Update inside an Update
// would wait for itself.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/cobound/prova/internal/authority"
)

// Errors of opening.
var (
	// ErrLocked: another server has the SQLite file open.
	ErrLocked = errors.New("the data is in use by another server")
	// ErrSchema: the database was written by a newer version, or its migrations were changed.
	ErrSchema = errors.New("the schema of the database does not fit this program")
)

// ErrClosed is returned after Close.
var ErrClosed = errors.New("the store is closed")

// Store is an [authority.Store] on one database.
type Store struct {
	engine engine
	log    *slog.Logger

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

var _ authority.Store = (*Store)(nil)

// work is what one transaction does. It may be run again after a retry.
type work func(*session) error

// engine runs transactions on a database.
type engine interface {
	// read runs fn on one snapshot.
	read(ctx context.Context, fn work) error
	// write runs fn in one transaction of an org, or of the instance if org is
	// empty; a nil error means that it is durable.
	write(ctx context.Context, org string, fn work) error
	close() error
}

// View reads one consistent snapshot of an org.
func (s *Store) View(ctx context.Context, org string, fn func(authority.Snapshot) error) error {
	return s.read(ctx, func(run *session) error {
		return fn(&snapshot{session: run, org: org})
	})
}

// Update reads and writes one org in one transaction.
func (s *Store) Update(ctx context.Context, org string, fn func(authority.Tx) error) error {
	return s.write(ctx, org, func(run *session) error {
		return fn(&tx{snapshot: snapshot{session: run, org: org}})
	})
}

// read runs fn on one snapshot, unless the store is closed.
func (s *Store) read(ctx context.Context, fn work) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.running.Done()
	return s.engine.read(ctx, func(run *session) error { return s.guard(run, fn) })
}

// write runs fn in one transaction, unless the store is closed.
func (s *Store) write(ctx context.Context, org string, fn work) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.running.Done()
	return s.engine.write(ctx, org, func(run *session) error { return s.guard(run, fn) })
}

// enter holds Close back until running.Done.
func (s *Store) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("store: %w", ErrClosed)
	}
	s.running.Add(1)
	return nil
}

// guard runs fn, turns a panic into an error and ends the session: a
// transaction that outlives fn, in a goroutine that it started, touches nothing.
func (s *Store) guard(run *session, fn work) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic in a transaction", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("store: panic in a transaction: %v", p)
		}
		run.ended = true
	}()
	if err := fn(run); err != nil {
		return err
	}
	if run.failed != nil {
		return fmt.Errorf("store: not committed, a statement had failed: %w", run.failed)
	}
	return nil
}

// Close waits for transactions under way and releases everything.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.running.Wait()
	return s.engine.close()
}

// start runs the migrations and hands out the store; the engine is closed if they fail.
func start(ctx context.Context, e engine, migrate func(context.Context) error, log *slog.Logger) (*Store, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := migrate(ctx); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return &Store{engine: e, log: log}, nil
}
