package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"
)

// The bounds of a batch: a caller never waits for more than the others of one
// batch and the commit.
const (
	maxBatch     = 256
	maxBatchTime = 20 * time.Millisecond // after which nobody else joins
)

// writer owns the one connection that writes to a SQLite file. Callers that
// wait at the same time share a transaction: each runs inside a savepoint of
// its own, then one commit, and so one flush to the disk, serves all of them.
type writer struct {
	db   *sql.DB
	log  *slog.Logger
	link *sqliteLink   // nil after a failure; the next batch opens another
	open time.Duration // how long a batch takes others in

	jobs chan *job
	stop chan struct{}
	done chan struct{}
}

// job is one caller's part of a batch. Its fn runs in the caller's own
// goroutine, while the writer waits, so that it cannot take the writer down.
type job struct {
	caller  context.Context
	session *session
	turn    chan struct{} // closed when the caller may run
	ran     chan error    // what became of fn
	result  chan error    // what became of the batch
	err     error         // of fn
}

var errExited = errors.New("store: the goroutine exited in a transaction")

func startWriter(db *sql.DB, log *slog.Logger) *writer {
	w := &writer{db: db, log: log, open: maxBatchTime, jobs: make(chan *job), stop: make(chan struct{}), done: make(chan struct{})}
	go w.loop()
	return w
}

// write waits for a turn, runs fn and returns when the batch is on disk. Until
// its turn the caller can leave; after that only fn's own statements end early,
// since the effects may be durable already.
func (w *writer) write(ctx context.Context, fn work) error {
	j := &job{caller: ctx, turn: make(chan struct{}), ran: make(chan error, 1), result: make(chan error, 1)}
	select {
	case w.jobs <- j:
	case <-ctx.Done():
		return fmt.Errorf("store: waiting for the writer: %w", ctx.Err())
	}
	select {
	case <-j.turn:
		j.run(fn)
		return <-j.result
	case err := <-j.result:
		return err
	}
}

func (j *job) run(fn work) {
	err := errExited
	defer func() { j.ran <- err }()
	err = fn(j.session)
}

func (w *writer) loop() {
	defer close(w.done)
	for {
		select {
		case j := <-w.jobs:
			w.batch(j)
		case <-w.stop:
			if w.link != nil {
				w.drop(nil)
			}
			return
		}
	}
}

// close waits for the batch under way. No caller may be left.
func (w *writer) close() {
	close(w.stop)
	<-w.done
}

// batch runs first and whoever comes while it runs in one transaction.
//
// A crash before the commit undoes all of it, and none was acknowledged. A
// failed commit is reported to all of them and never tried again: after a
// failed flush the operating system may say yes to the next one without having
// written anything.
func (w *writer) batch(first *job) {
	batch := []*job{first}
	err := w.begin()
	wrote := false
	for started := time.Now(); err == nil; {
		j := batch[len(batch)-1]
		err = w.take(j)
		wrote = wrote || j.err == nil
		if err != nil || len(batch) == maxBatch || time.Since(started) > w.open {
			break
		}
		next := w.next()
		if next == nil {
			break
		}
		batch = append(batch, next)
	}
	if err == nil {
		end := "COMMIT"
		if !wrote {
			end = "ROLLBACK"
		}
		err = w.do(end)
	}
	if err != nil {
		w.log.Error("a batch of writes failed", "jobs", len(batch), "error", err)
		w.drop(err)
	}
	for _, j := range batch {
		if err != nil {
			j.result <- err
		} else {
			j.result <- j.err
		}
	}
}

// next is whoever waits by now. Callers that were just answered get a chance
// to come back first.
func (w *writer) next() *job {
	for range 2 {
		select {
		case j := <-w.jobs:
			return j
		default:
			runtime.Gosched()
		}
	}
	return nil
}

// take runs one job in a savepoint. Its error is one of the whole transaction,
// which SQLite may have undone as a whole, as it does when the disk is full.
func (w *writer) take(j *job) error {
	if err := w.do("SAVEPOINT job"); err != nil {
		return err
	}
	j.session = &session{
		// An interrupted statement would undo the transaction of all.
		ctx: context.WithoutCancel(j.caller), caller: j.caller, link: w.link, dialect: sqliteDialect(),
	}
	close(j.turn)
	if j.err = <-j.ran; j.err != nil {
		if err := w.do("ROLLBACK TO job"); err != nil {
			return errors.Join(err, j.err)
		}
	}
	return w.do("RELEASE job")
}

func (w *writer) begin() error {
	if w.link == nil {
		l, err := openLink(context.Background(), w.db)
		if err != nil {
			return fmt.Errorf("store: open the writing connection: %w", err)
		}
		w.link = l
	}
	return w.do("BEGIN IMMEDIATE")
}

func (w *writer) do(statement string) error {
	if _, err := w.link.exec(context.Background(), statement, nil); err != nil {
		return fmt.Errorf("store: %s: %w", statement, err)
	}
	return nil
}

// drop closes the connection, and with it a transaction in an unknown state.
func (w *writer) drop(cause error) {
	if w.link == nil {
		return
	}
	if cause != nil {
		_ = w.do("ROLLBACK") // usually undone already
	}
	w.link.discard()
	w.link = nil
}
