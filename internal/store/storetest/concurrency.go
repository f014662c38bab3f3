package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// racers is how many try at once.
const racers = 8

// race calls fn from many goroutines at once.
func (f *fixture) race(fn func(racer int)) {
	var ready, done sync.WaitGroup
	ready.Add(1)
	for racer := range racers {
		done.Go(func() {
			ready.Wait()
			fn(racer)
		})
	}
	ready.Done()
	done.Wait()
}

// winners races and counts the successes; the others must fail with want.
func (f *fixture) winners(want error, try func(racer int) error) int {
	f.Helper()
	var won atomic.Int64
	f.race(func(racer int) {
		switch err := try(racer); {
		case err == nil:
			won.Add(1)
		case !errors.Is(err, want):
			f.Errorf("racer %d: %v", racer, err)
		}
	})
	return int(won.Load())
}

// testConcurrentAppenders: the log has no gap whoever fails, and holds exactly
// what was acknowledged.
func testConcurrentAppenders(f *fixture) {
	const rounds = 40
	var acknowledged sync.Map
	var count atomic.Int64
	f.race(func(racer int) {
		for round := range rounds {
			ids := []string{fmt.Sprintf("%d-%d", racer, round), fmt.Sprintf("%d-%d b", racer, round)}[:1+round%2]
			err := f.Update(f.ctx(), "acme", func(tx authority.Tx) error {
				var entries []authority.Entry
				for _, id := range ids {
					entries = append(entries, entry(id))
				}
				if err := add(tx, entries...); err != nil {
					return err
				}
				if (racer+round)%5 == 0 {
					return errWanted
				}
				return nil
			})
			switch {
			case err == nil:
				for _, id := range ids {
					acknowledged.Store(id, true)
					count.Add(1)
				}
			case !errors.Is(err, errWanted):
				f.Errorf("append: %v", err)
			}
		}
	})
	log := f.log("acme")
	if int64(len(log)) != count.Load() {
		f.Errorf("the log has %d entries, %d were acknowledged", len(log), count.Load())
	}
	for _, e := range log {
		if _, ok := acknowledged.Load(e.EventID); !ok {
			f.Errorf("%s is in the log and was not acknowledged", e.EventID)
		}
	}
}

func testConcurrentSaveRollout(f *fixture) {
	f.update("acme", func(tx authority.Tx) error { return tx.CreateRollout(rollout("ro_1")) })
	for round := range 20 {
		before := must(f, "acme", func(s authority.Snapshot) (authority.RolloutRecord, error) { return s.Rollout("ro_1") })
		won := f.winners(authority.ErrVersion, func(racer int) error {
			mine := before
			mine.Doc = fmt.Appendf(nil, "%d %d", round, racer)
			return f.Update(f.ctx(), "acme", func(tx authority.Tx) error {
				if err := tx.SaveRollout(mine); err != nil {
					return err
				}
				return add(tx, entry(fmt.Sprintf("%d-%d", round, racer)))
			})
		})
		if won != 1 {
			f.Fatalf("round %d: %d winners", round, won)
		}
		if log := f.log("acme"); len(log) != round+1 {
			f.Fatalf("round %d: %d receipts, want one for each winner", round, len(log))
		}
	}
	equal(f, "version", must(f, "acme", func(s authority.Snapshot) (authority.RolloutRecord, error) { return s.Rollout("ro_1") }).Version, int64(21))
}

// testConcurrentKeys: of many events with one idempotency key one is recorded,
// and whoever fails finds it.
func testConcurrentKeys(f *fixture) {
	for round := range 20 {
		key := fmt.Sprint("key ", round)
		won := f.winners(authority.ErrExists, func(racer int) error {
			e := entry(fmt.Sprintf("%d-%d", round, racer))
			e.IdempotencyKey = key
			err := f.Update(f.ctx(), "acme", func(tx authority.Tx) error { return add(tx, e) })
			if err != nil {
				if _, err := read(f, "acme", func(s authority.Snapshot) (authority.Entry, error) { return s.EntryByKey("bot", "production", key) }); err != nil {
					f.Errorf("the winner's receipt: %v", err)
				}
			}
			return err
		})
		if won != 1 {
			f.Fatalf("round %d: %d winners", round, won)
		}
	}
	equal(f, "log", len(f.log("acme")), 20)
}

func testConcurrentCanaries(f *fixture) {
	won := f.winners(authority.ErrExists, func(racer int) error {
		return f.Update(f.ctx(), "acme", func(tx authority.Tx) error { return tx.CreateRollout(rollout(fmt.Sprint("ro_", racer))) })
	})
	equal(f, "winners", won, 1)
}

func testConcurrentClaims(f *fixture) {
	f.hooked("acme", delivery("d1"))
	for round := range 10 {
		now := at(10 + round*100)
		var won atomic.Int64
		f.race(func(racer int) {
			claimed := false
			err := f.Update(f.ctx(), "acme", func(tx authority.Tx) (err error) {
				claimed, err = tx.ClaimDelivery("d1", now, now.Add(at(50).Sub(start)))
				return err
			})
			if err != nil {
				f.Errorf("claim: %v", err)
			}
			if claimed {
				won.Add(1)
			}
		})
		equal(f, "winners", won.Load(), int64(1))
	}
}

// testConcurrentSupersede: a promote that a rollback has superseded stays so,
// whatever its sender reports meanwhile.
func testConcurrentSupersede(f *fixture) {
	var ids []string
	for i := range 20 {
		ids = append(ids, fmt.Sprintf("d%02d", i))
	}
	f.update("acme", func(tx authority.Tx) error {
		if err := tx.SaveWebhook(webhook("wh_1")); err != nil {
			return err
		}
		for _, id := range ids {
			if err := tx.AddDelivery(delivery(id)); err != nil {
				return err
			}
		}
		return nil
	})
	superseded := 0
	f.race(func(racer int) {
		err := f.Update(f.ctx(), "acme", func(tx authority.Tx) error {
			if racer == 0 {
				n, err := tx.SupersedePromotes("ro_1")
				superseded = n
				return err
			}
			for i, id := range ids {
				d := delivery(id)
				if i%2 == 0 {
					d.Status, d.NextAt = api.DeliveryDelivered, nil
				}
				if err := tx.SaveDelivery(d); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			f.Errorf("racer %d: %v", racer, err)
		}
	})
	n := 0
	for i, id := range ids {
		switch status := f.delivery("acme", id).Status; {
		case status == api.DeliverySuperseded:
			n++
		case i%2 != 0 || status != api.DeliveryDelivered:
			f.Errorf("%s is %s", id, status)
		}
	}
	equal(f, "superseded", n, superseded)
}

func testConcurrentCheckpoints(f *fixture) {
	for size := range int64(10) {
		var notes sync.Map
		f.race(func(racer int) {
			var kept api.Checkpoint
			err := f.Update(f.ctx(), "acme", func(tx authority.Tx) (err error) {
				kept, err = tx.SaveCheckpoint(api.Checkpoint{Size: size + 1, Note: fmt.Sprint("by ", racer)})
				return err
			})
			if err != nil {
				f.Errorf("save: %v", err)
			}
			notes.Store(kept.Note, true)
		})
		n := 0
		notes.Range(func(any, any) bool { n++; return true })
		equal(f, "different notes", n, 1)
	}
}

// testSnapshot: a View sees one moment, however long it reads, and never half
// of a transaction.
func testSnapshot(f *fixture) {
	f.update("acme", func(tx authority.Tx) error { return tx.CreateRollout(rollout("ro_1")) })
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for writer := range 2 {
		writers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				err := f.Update(f.ctx(), "acme", func(tx authority.Tx) error {
					if err := add(tx, entry(fmt.Sprintf("%d-%d", writer, n))); err != nil {
						return err
					}
					head, err := tx.Head()
					if err != nil {
						return err
					}
					return tx.AddDecision("ro_1", api.Decision{Sequence: head.Tree.Size(), LogIndex: head.Tree.Size() - 1})
				})
				if err != nil {
					f.Errorf("write: %v", err)
					return
				}
			}
		})
	}
	f.race(func(int) {
		for range 10 {
			if err := f.View(f.ctx(), "acme", oneMoment); err != nil {
				f.Errorf("view: %v", err)
			}
		}
	})
	close(stop)
	writers.Wait()
}

// oneMoment reads in several steps what testSnapshot's writers keep equal.
func oneMoment(s authority.Snapshot) error {
	first, err := s.Head()
	if err != nil {
		return err
	}
	decisions, err := s.Decisions("ro_1", 0, 1_000_000)
	if err != nil {
		return err
	}
	entries, err := s.Entries(authority.EntryFilter{Newest: true}, 1)
	if err != nil {
		return err
	}
	last, err := s.Head()
	if err != nil {
		return err
	}
	size := first.Tree.Size()
	if last.Tree.Size() != size || int64(len(decisions)) != size || len(entries) == 1 && entries[0].Index != size-1 {
		return fmt.Errorf("sizes %d and %d, %d decisions, %d newest", size, last.Tree.Size(), len(decisions), len(entries))
	}
	return nil
}
