package storetest

import (
	"errors"

	"github.com/cobound/prova/internal/authority"
)

func session(mark byte, from, until int) authority.Session {
	return authority.Session{Hash: [32]byte{mark, 31: mark}, Org: "acme", KeyID: "k", CreatedAt: at(from), ExpiresAt: at(until)}
}

func testSessions(f *fixture) {
	f.update("acme", func(tx authority.Tx) error { return tx.SaveAPIKey(apiKey("k")) })
	gone := func(what string, hash [32]byte) {
		f.Helper()
		if s, err := f.Session(f.ctx(), hash); !errors.Is(err, authority.ErrNotFound) {
			f.Errorf("%s: %+v, %v", what, s, err)
		}
	}
	short, long, later := session(1, 0, 10), session(2, 0, 11), session(3, 10, 99)
	gone("a session before it began", short.Hash)
	for _, s := range []authority.Session{short, long} {
		if err := f.SaveSession(f.ctx(), s); err != nil {
			f.Fatal(err)
		}
	}
	if err := f.SaveSession(f.ctx(), long); !errors.Is(err, authority.ErrExists) {
		f.Errorf("a hash a second time: %v", err)
	}
	for _, s := range []authority.Session{short, long} {
		got, err := f.Session(f.ctx(), s.Hash)
		if err != nil {
			f.Fatal(err)
		}
		equal(f, "session", got, s)
		f.utc("session", got.CreatedAt, got.ExpiresAt)
	}
	// One that begins takes away those that ended until then, and no other.
	if err := f.SaveSession(f.ctx(), later); err != nil {
		f.Fatal(err)
	}
	gone("a session that has ended", short.Hash)
	if _, err := f.Session(f.ctx(), long.Hash); err != nil {
		f.Errorf("a session that goes on: %v", err)
	}
	for range 2 { // ending it again changes nothing
		if err := f.EndSession(f.ctx(), long.Hash); err != nil {
			f.Fatal(err)
		}
	}
	gone("a session that was ended", long.Hash)
	if _, err := f.Session(f.ctx(), later.Hash); err != nil {
		f.Errorf("another's session: %v", err)
	}
	// It belongs to a key of its org.
	for _, change := range []func(*authority.Session){
		func(s *authority.Session) { s.KeyID = "nobody" },
		func(s *authority.Session) { s.Org = "other" },
	} {
		s := session(4, 20, 99)
		change(&s)
		if err := f.SaveSession(f.ctx(), s); !errors.Is(err, authority.ErrNotFound) {
			f.Errorf("a session of the key %s of %s: %v", s.KeyID, s.Org, err)
		}
	}
}
