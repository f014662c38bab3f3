package storetest

import (
	"github.com/cobound/prova/internal/authority"
)

func testPayloads(f *fixture) {
	payloads := []authority.Payload{
		{Field: "input", Salt: [32]byte{1}, Value: []byte(`{"a":1}`)},
		{Field: "output", Salt: [32]byte{2}, Value: []byte(`null`)},
	}
	a, b, c := entry("a"), entry("b"), entry("c")
	a.Payloads, b.Payloads = payloads, payloads
	f.update("acme", func(tx authority.Tx) error { return add(tx, a, b, c) })
	read := func(index int64) []authority.Payload {
		f.Helper()
		return must(f, "acme", func(s authority.Snapshot) ([]authority.Payload, error) { return s.Payloads(index) })
	}
	equal(f, "payloads", read(0), payloads)
	erase := func(index int64, fields ...string) (erased []string) {
		f.Helper()
		f.update("acme", func(tx authority.Tx) (err error) {
			if _, err = tx.LockHead(); err == nil {
				erased, err = tx.ErasePayloads(index, fields)
			}
			return err
		})
		return erased
	}
	equal(f, "erased", erase(0, "output", "other"), []string{"output"})
	equal(f, "what is left", read(0), payloads[:1])
	equal(f, "of another receipt", read(1), payloads)
	equal(f, "erased again", erase(0, "output"), nil)
	equal(f, "erased of a receipt without any", erase(2, "output"), nil)
	equal(f, "erased", erase(1, "input", "output"), []string{"input", "output"})
	for _, c := range []struct {
		from, before int64
		want         []authority.Erased
	}{{0, 9, []authority.Erased{{Index: 0, Field: "output"}, {Index: 1, Field: "input"}, {Index: 1, Field: "output"}}}, {0, 1, []authority.Erased{{Index: 0, Field: "output"}}}, {2, 9, nil}} {
		equal(f, "erasures", must(f, "acme", func(s authority.Snapshot) ([]authority.Erased, error) { return s.Erasures(c.from, c.before) }), c.want)
	}
	if err := f.Update(f.ctx(), "acme", func(tx authority.Tx) error {
		_, err := tx.ErasePayloads(0, []string{"input"})
		return err
	}); err == nil {
		f.Error("erased without the lock")
	}
	if err := f.ForgetErased(f.ctx()); err != nil {
		f.Error(err)
	}
}

func testKeyEnds(f *fixture) {
	end := func(id string, from int64) {
		f.Helper()
		f.update("acme", func(tx authority.Tx) error {
			if _, err := tx.LockHead(); err != nil {
				return err
			}
			return tx.EndKey(id, from)
		})
	}
	end("k", 7)
	end("k", 9)
	end("l", 3)
	end("l", 2)
	for id, want := range map[string]int64{"k": 7, "l": 2, "m": -1} {
		f.update("acme", func(tx authority.Tx) error {
			from, ended, err := tx.KeyEnd(id)
			if ended != (want >= 0) || ended && from != want {
				f.Errorf("key %s: %d, %t, want %d", id, from, ended, want)
			}
			return err
		})
	}
}
