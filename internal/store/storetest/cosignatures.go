package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

func cosignature(size int64, vkey string, second int) authority.Cosignature {
	return authority.Cosignature{Size: size, VKey: vkey, At: at(second), Line: fmt.Sprintf("— %s %d %d\n", vkey, size, second)}
}

func witnessState(vkey string) authority.WitnessState {
	return authority.WitnessState{
		VKey: vkey, Origin: "prova.example/acme", Seen: 7, CosignedSize: 5, CosignedAt: pointer(at(1)), AskedAt: at(2), StatusCode: 409,
		Error: "it has seen ✓ more", Failures: 3, NextAt: at(3),
	}
}

// signed persists checkpoints of some sizes.
func (f *fixture) signed(org string, sizes ...int64) {
	f.Helper()
	f.update(org, func(tx authority.Tx) error {
		for _, size := range sizes {
			if _, err := tx.SaveCheckpoint(api.Checkpoint{Size: size, Note: fmt.Sprint("note ", size)}); err != nil {
				return err
			}
		}
		return nil
	})
}

func testCosignatures(f *fixture) {
	f.signed("acme", 3, 5, 8)
	save := func(c authority.Cosignature) {
		f.Helper()
		f.update("acme", func(tx authority.Tx) error { return tx.SaveCosignature(c) })
	}
	first, second, later := cosignature(5, "w2", 1), cosignature(5, "w1", 2), cosignature(8, "w1", 3)
	for _, c := range []authority.Cosignature{later, second, first} {
		save(c)
	}
	again := first
	again.At, again.Line = at(9), "— another line\n"
	save(again)
	for sizes, want := range map[[2]int64][]authority.Cosignature{
		{0, 99}: {first, second, later}, {5, 6}: {first, second}, {6, 9}: {later}, {6, 8}: nil, {3, 4}: nil,
	} {
		got := must(f, "acme", func(s authority.Snapshot) ([]authority.Cosignature, error) { return s.Cosignatures(sizes[0], sizes[1]) })
		equal(f, fmt.Sprint("of the sizes ", sizes), got, want)
		for _, c := range got {
			f.utc("cosignature", c.At)
		}
	}
	f.refused(authority.ErrNotFound, "acme", func(tx authority.Tx) error { return tx.SaveCosignature(cosignature(4, "w1", 1)) })
	f.refused(authority.ErrNotFound, "other", func(tx authority.Tx) error { return tx.SaveCosignature(cosignature(5, "w1", 1)) })
	equal(f, "the checkpoint", must(f, "acme", authority.Snapshot.Checkpoint), api.Checkpoint{Size: 8, Note: "note 8"})
}

func testWitnessStates(f *fixture) {
	read := func(s authority.Snapshot) (authority.WitnessState, error) { return s.WitnessState("w2") }
	absent(f, "acme", "witness state", read)
	full, bare := witnessState("w2"), authority.WitnessState{VKey: "w1", AskedAt: at(4), NextAt: at(5)}
	f.update("acme", func(tx authority.Tx) error { return errors.Join(tx.SaveWitnessState(full), tx.SaveWitnessState(bare)) })
	got := must(f, "acme", read)
	equal(f, "state", got, full)
	f.utc("state", *got.CosignedAt, got.AskedAt, got.NextAt)
	equal(f, "states", must(f, "acme", authority.Snapshot.WitnessStates), []authority.WitnessState{bare, full})
	f.update("acme", func(tx authority.Tx) error {
		full = authority.WitnessState{VKey: "w2", Origin: "o", Seen: 1, AskedAt: at(6), StatusCode: 200, NextAt: at(7)}
		return tx.SaveWitnessState(full)
	})
	equal(f, "replaced", must(f, "acme", read), full)
	absent(f, "other", "witness state", read)
}

// testNotCosigned: only the newest checkpoint counts, and only once its time has come.
func testNotCosigned(f *fixture) {
	for _, org := range []string{"empty", "late"} {
		f.createOrg(org)
	}
	due := func(vkey string, seconds, limit int, want ...string) {
		f.Helper()
		got, err := f.Store.NotCosigned(f.ctx(), vkey, at(seconds), limit)
		if err != nil {
			f.Fatal(err)
		}
		equal(f, fmt.Sprintf("due for %s at %d", vkey, seconds), got, want)
	}
	due("w1", 0, 9)
	f.signed("acme", 3, 5)
	f.signed("other", 2)
	f.signed("late", 4)
	f.signed("empty", 0)
	due("w1", 0, 9, "acme", "late", "other")
	due("w1", 0, 2, "acme", "late")
	due("w1", 0, 0)
	state := func(org string, asked, next int) {
		f.update(org, func(tx authority.Tx) error {
			return tx.SaveWitnessState(authority.WitnessState{VKey: "w1", AskedAt: at(asked), NextAt: at(next)})
		})
	}
	state("late", -2, 20)
	state("acme", -3, 10)
	due("w1", 9, 9, "other")
	due("w1", 10, 9, "other", "acme")
	due("w1", 20, 9, "other", "acme", "late")
	due("w2", 0, 9, "acme", "late", "other")
	f.update("acme", func(tx authority.Tx) error { return tx.SaveCosignature(cosignature(3, "w1", 1)) })
	due("w1", 10, 9, "other", "acme")
	f.update("acme", func(tx authority.Tx) error { return tx.SaveCosignature(cosignature(5, "w1", 1)) })
	due("w1", 10, 9, "other")
	due("w2", 10, 9, "acme", "late", "other")
	f.signed("acme", 6)
	due("w1", 10, 9, "other", "acme")
}

// testConcurrentCosignatures: whoever asks a witness at once, one line stays.
func testConcurrentCosignatures(f *fixture) {
	f.signed("acme", 1)
	f.race(func(racer int) {
		err := f.Update(f.ctx(), "acme", func(tx authority.Tx) error {
			c := cosignature(1, "w1", racer)
			return errors.Join(tx.SaveCosignature(c), tx.SaveWitnessState(authority.WitnessState{VKey: "w1", AskedAt: c.At, NextAt: c.At.Add(time.Second)}))
		})
		if err != nil {
			f.Errorf("racer %d: %v", racer, err)
		}
	})
	got := must(f, "acme", func(s authority.Snapshot) ([]authority.Cosignature, error) { return s.Cosignatures(1, 2) })
	if len(got) != 1 {
		f.Errorf("%d cosignatures of one witness: %+v", len(got), got)
	}
}
