package storetest

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"time"

	"github.com/cobound/prova/internal/authority"
)

var errWanted = errors.New("fn's own error")

func testErrorUndoesEverything(f *fixture) {
	err := f.Update(f.ctx(), "acme", func(tx authority.Tx) error {
		if err := add(tx, entry("e1")); err != nil {
			return err
		}
		if err := errors.Join(tx.CreateRollout(rollout("ro_1")), tx.SaveWebhook(webhook("wh_1")), tx.AddDelivery(delivery("d1"))); err != nil {
			return err
		}
		// The transaction sees what it wrote.
		if _, err := tx.Entry("e1"); err != nil {
			return err
		}
		return errWanted
	})
	if err != errWanted { //nolint:errorlint // the contract is the very same error
		f.Fatalf("got %v, want fn's error as it is", err)
	}
	f.view("acme", func(s authority.Snapshot) error {
		equal(f, "what is left", look(s), map[string]any{})
		return nil
	})
	if err := f.View(f.ctx(), "acme", func(authority.Snapshot) error { return errWanted }); err != errWanted { //nolint:errorlint // as above
		f.Errorf("view: got %v, want fn's error as it is", err)
	}
	f.update("acme", func(tx authority.Tx) error { return add(tx, entry("e1")) })
	f.log("acme")
}

// testFailedStatement: fn cannot swallow the failure of a statement.
func testFailedStatement(f *fixture) {
	f.update("acme", func(tx authority.Tx) error { return add(tx, entry("e1")) })
	f.refused(authority.ErrExists, "acme", func(tx authority.Tx) error {
		if err := tx.SaveWebhook(webhook("wh_1")); err != nil {
			return err
		}
		err := add(tx, entry("e1"))
		if _, later := tx.Webhooks(); later == nil {
			f.Error("a statement ran after one had failed")
		}
		return err
	})
	err := f.Update(f.ctx(), "acme", func(tx authority.Tx) error {
		_ = tx.SaveWebhook(webhook("wh_1"))
		_ = add(tx, entry("e1"))
		return nil
	})
	if err == nil {
		f.Error("committed after a statement had failed")
	}
	equal(f, "webhooks", must(f, "acme", authority.Snapshot.Webhooks), nil)
	f.log("acme")
}

func testPanic(f *fixture) {
	for name, run := range map[string]func(func()) error{
		"update": func(do func()) error {
			return f.Update(f.ctx(), "acme", func(tx authority.Tx) error {
				if err := add(tx, entry("e1")); err != nil {
					return err
				}
				do()
				return nil
			})
		},
		"view": func(do func()) error {
			return f.View(f.ctx(), "acme", func(authority.Snapshot) error { do(); return nil })
		},
	} {
		if err := run(func() { panic("oh") }); err == nil || !strings.Contains(err.Error(), "oh") {
			f.Errorf("%s: got the error %v", name, err)
		}
		// As t.Fatal does.
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = run(runtime.Goexit)
			f.Errorf("%s: the goroutine went on", name)
		}()
		<-done
	}
	if n := len(f.log("acme")); n != 0 {
		f.Errorf("the log has %d entries, want none", n)
	}
	f.update("acme", func(tx authority.Tx) error { return add(tx, entry("e1")) })
}

func testCancel(f *fixture) {
	ctx, cancel := context.WithCancel(f.ctx())
	cancel()
	if err := f.Update(ctx, "acme", func(tx authority.Tx) error { return add(tx, entry("e1")) }); !errors.Is(err, context.Canceled) {
		f.Errorf("update: %v", err)
	}
	if err := f.View(ctx, "acme", func(s authority.Snapshot) error { _, err := s.Head(); return err }); !errors.Is(err, context.Canceled) {
		f.Errorf("view: %v", err)
	}

	// One that waits for its turn leaves the others alone.
	inside, release := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		entered := false
		first <- f.Update(f.ctx(), "acme", func(tx authority.Tx) error {
			err := add(tx, entry("e2"))
			if !entered {
				entered = true
				close(inside)
				<-release
			}
			return err
		})
	}()
	<-inside
	ctx, cancel = context.WithTimeout(f.ctx(), 50*time.Millisecond)
	defer cancel()
	if err := f.Update(ctx, "acme", func(tx authority.Tx) error { return add(tx, entry("e3")) }); err == nil {
		f.Error("an update went past one that holds the head")
	}
	close(release)
	if err := <-first; err != nil {
		f.Errorf("the one that held the head: %v", err)
	}

	// One that is cancelled in the middle is undone.
	ctx, cancel = context.WithCancel(f.ctx())
	defer cancel()
	err := f.Update(ctx, "acme", func(tx authority.Tx) error {
		if err := add(tx, entry("e4")); err != nil {
			return err
		}
		cancel()
		_, err := tx.Head()
		return err
	})
	if !errors.Is(err, context.Canceled) {
		f.Errorf("cancelled in the middle: %v", err)
	}
	equal(f, "log", len(f.log("acme")), 1)
	f.update("acme", func(tx authority.Tx) error { return add(tx, entry("e5")) })
}

// testAfterTheEnd: a transaction that outlives fn does nothing.
func testAfterTheEnd(f *fixture) {
	var kept authority.Tx
	f.update("acme", func(tx authority.Tx) error { kept = tx; return nil })
	if err := kept.SaveWebhook(webhook("wh_1")); err == nil {
		f.Error("a write after the end")
	}
	if _, err := kept.Webhooks(); err == nil {
		f.Error("a read after the end")
	}
}

// testClose: transactions under way end well, and none begins after.
func testClose(f *fixture) {
	inside, release := make(chan struct{}), make(chan struct{})
	result, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		result <- f.Update(f.ctx(), "acme", func(tx authority.Tx) error {
			close(inside)
			<-release
			return add(tx, entry("e1"))
		})
	}()
	<-inside
	go func() { closed <- f.Close() }()
	select {
	case err := <-closed:
		f.Fatalf("closed under a transaction: %v", err)
	case <-time.After(30 * time.Millisecond):
	}
	close(release)
	if err := <-result; err != nil {
		f.Errorf("the transaction under way: %v", err)
	}
	if err := <-closed; err != nil {
		f.Errorf("close: %v", err)
	}
	if err := f.View(f.ctx(), "acme", func(authority.Snapshot) error { return nil }); err == nil {
		f.Error("a view after Close")
	}
	if err := f.Ping(f.ctx()); err == nil {
		f.Error("a ping after Close")
	}
	if err := f.Close(); err != nil {
		f.Errorf("second close: %v", err)
	}
}
