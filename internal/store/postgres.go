package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cobound/prova/internal/store/migrations"
)

const (
	// maxRuns is how often a transaction is tried before its error is returned.
	maxRuns = 8
	// maxPause bounds the wait before a transaction is tried again.
	maxPause = 400 * time.Millisecond
	// answerTime bounds the wait for the answer to a commit or rollback.
	answerTime = 30 * time.Second
)

// postgresEngine is a PostgreSQL database that many servers may share. It is
// safe behind a pooler that hands out a connection for each transaction: all
// settings are local to the transaction and nothing stays prepared.
type postgresEngine struct {
	pool  *postgresPool
	turns turns
	// The texts that begin a transaction, each one round trip.
	beginRead, beginWrite, beginMigration string
}

// OpenPostgres opens the database at url, such as
// postgres://user:password@host:5432/database, and brings its schema up to
// date. The parameter search_path of the url chooses the schema. It refuses a
// database from a newer version (ErrSchema). No error holds the password.
func OpenPostgres(ctx context.Context, url string, log *slog.Logger) (*Store, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		// The error of the parser may quote the url, and with it the password.
		return nil, errors.New("store: the PostgreSQL URL cannot be parsed; want postgres://user:password@host:port/database")
	}
	// The description of a query is kept, the query itself is not.
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	config.StatementCacheCapacity = 0
	config.DescriptionCacheCapacity = 512
	// After a failover an old primary must not serve a snapshot of the past.
	if config.ValidateConnect == nil {
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	// A pooler would refuse or lose it as a setting of the connection.
	searchPath := config.RuntimeParams["search_path"]
	delete(config.RuntimeParams, "search_path")

	e := &postgresEngine{pool: newPool(config)}
	if err := e.prepare(ctx, searchPath, log); err != nil {
		return nil, errors.Join(fmt.Errorf("store: open PostgreSQL: %w", err), e.close())
	}
	return start(ctx, e, func(ctx context.Context) error {
		return migrate(ctx, func(ctx context.Context, fn work) error { return e.run(ctx, e.beginMigration, fn) }, postgresDialect(), migrations.Files)
	}, log)
}

// prepare looks at the database's settings and writes the texts that begin transactions.
func (e *postgresEngine) prepare(ctx context.Context, searchPath string, log *slog.Logger) error {
	var encoding, commit, flush string
	e.beginRead = "BEGIN"
	err := e.run(ctx, e.beginRead, func(run *session) error {
		return run.each("read the settings", "SELECT current_setting('server_encoding'), current_setting('synchronous_commit'), current_setting('fsync')",
			nil, func(r row) error { return r.Scan(&encoding, &commit, &flush) })
	})
	if err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database has the encoding %s; create one with ENCODING 'UTF8'", encoding)
	}
	if flush != "on" {
		log.Warn("PostgreSQL runs with fsync=off: a power cut loses what was acknowledged")
	}
	path := ""
	if searchPath != "" {
		path = "; SELECT set_config('search_path', " + literal(searchPath) + ", true)"
	}
	durable := ""
	if commit == "off" {
		// An acknowledged commit survives a crash; stronger settings than on are left alone.
		durable = "; SET LOCAL synchronous_commit = on"
	}
	const begin = "BEGIN ISOLATION LEVEL READ COMMITTED"
	e.beginRead = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout = '60s'" + path
	// One hung server must not stop an org's log for ever.
	e.beginWrite = begin + "; SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '60s'" + durable + path
	e.beginMigration = begin + "; SET LOCAL lock_timeout = '10min'" + durable + path
	return nil
}

// literal quotes a text for SQL, whatever the setting of backslashes.
func literal(s string) string {
	return "E'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

func (e *postgresEngine) read(ctx context.Context, fn work) error { return e.run(ctx, e.beginRead, fn) }

// write waits for a turn of the org before it takes a connection.
func (e *postgresEngine) write(ctx context.Context, org string, fn work) error {
	if err := e.turns.take(ctx, org); err != nil {
		return fmt.Errorf("store: waiting for other writes of the org: %w", err)
	}
	defer e.turns.put(org)
	return e.run(ctx, e.beginWrite, fn)
}

func (e *postgresEngine) close() error { return e.pool.close() }

// run runs fn in transactions until one stands, one fails for good or
// patience ends. Only a transaction that surely left no effect is run again.
func (e *postgresEngine) run(ctx context.Context, begin string, fn work) error {
	pause := 4 * time.Millisecond
	for n := 1; ; n++ {
		again, err := e.once(ctx, begin, fn)
		if !again || n == maxRuns {
			return err
		}
		select {
		// Spread, so that those who met once do not meet again.
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
		pause = min(2*pause, maxPause)
	}
}

// once runs fn in one transaction. again reports that nothing of it remains
// and that another run may fare better.
func (e *postgresEngine) once(ctx context.Context, begin string, fn work) (again bool, err error) {
	l, err := e.pool.take(ctx)
	if err != nil {
		return ctx.Err() == nil && !refused(err), fmt.Errorf("store: connect to PostgreSQL: %w", err)
	}
	// Also when fn ends its goroutine; put closes a connection in a transaction.
	defer func() { e.pool.put(l) }()
	if err := l.script(ctx, begin); err != nil {
		return ctx.Err() == nil && (l.conn.IsClosed() || retryable(err)), fmt.Errorf("store: begin: %w", err)
	}
	run := &session{ctx: ctx, caller: ctx, link: l, dialect: postgresDialect()}
	if err = fn(run); err == nil {
		if err := ctx.Err(); err != nil {
			return false, fmt.Errorf("store: not committed: %w", err)
		}
		return l.commit(ctx)
	}
	again = run.failed != nil && ctx.Err() == nil && (l.conn.IsClosed() || retryable(run.failed))
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTime)
	defer cancel()
	_ = l.script(end, "ROLLBACK") // put closes the connection if that failed
	return again, err
}

// commit commits. Once it is sent the caller's patience no longer matters: the
// answer is waited for. Without an answer the outcome is unknown and nothing
// is tried again; an error that the server answered with means that nothing remains.
func (l *postgresLink) commit(ctx context.Context) (again bool, err error) {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTime)
	defer cancel()
	tag, err := l.conn.Exec(end, "COMMIT")
	if err != nil {
		return retryable(err), fmt.Errorf("store: commit: %w", err)
	}
	if tag.String() != "COMMIT" {
		return false, fmt.Errorf("store: commit: the server answered %s", tag)
	}
	return false, nil
}

// retryable reports an error after which the server has undone the
// transaction and another run may fare better: it lost against another
// transaction, what it belongs to was deleted meanwhile, or the server became
// a standby.
func retryable(err error) bool {
	failure, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch failure.Code {
	case pgSerializationFailure, pgDeadlock, pgForeignKeyViolation, pgReadOnly:
		return true
	}
	return false
}

// refused reports that the server answered and does not want this connection:
// a wrong password, no such database.
func refused(err error) bool {
	failure, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (strings.HasPrefix(failure.Code, "28") || strings.HasPrefix(failure.Code, "3D"))
}
