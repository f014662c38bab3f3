package storetest

import (
	"errors"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

func testOrgs(f *fixture) {
	if err := f.CreateOrg(f.ctx(), authority.Org{Name: "acme", CreatedAt: at(9), LogID: "x"}); !errors.Is(err, authority.ErrExists) {
		f.Errorf("a second acme: %v", err)
	}
	orgs, err := f.Orgs(f.ctx())
	if err != nil {
		f.Fatal(err)
	}
	equal(f, "orgs", orgs, []authority.Org{
		{Name: "acme", CreatedAt: start, LogID: "log-of-acme"},
		{Name: "other", CreatedAt: start, LogID: "log-of-other"},
	})
	f.utc("org", orgs[0].CreatedAt)
	equal(f, "head of a new org", must(f, "acme", authority.Snapshot.Head), authority.Head{})
	absent(f, "nobody", "head", authority.Snapshot.Head)
	f.refused(authority.ErrNotFound, "nobody", func(tx authority.Tx) error { return add(tx, entry("e")) })
	if err := f.Ping(f.ctx()); err != nil {
		f.Errorf("ping: %v", err)
	}
}

func testSigningKeys(f *fixture) {
	keys := []api.SigningKey{
		{KeyID: "k2", Purpose: "receipt", Algorithm: "Ed25519", PublicKey: "cHVi", CreatedAt: at(1)},
		{KeyID: "k1", Purpose: "checkpoint", Algorithm: "Ed25519", PublicKey: "a2V5", VKey: "log+1234+key", CreatedAt: at(2)},
	}
	for _, k := range []api.SigningKey{keys[1], keys[0], {KeyID: "k2", Purpose: "receipt", PublicKey: "other", CreatedAt: at(0)}} {
		if err := f.SaveSigningKey(f.ctx(), k); err != nil {
			f.Fatal(err)
		}
	}
	got, err := f.SigningKeys(f.ctx())
	if err != nil {
		f.Fatal(err)
	}
	equal(f, "signing keys", got, keys)
	f.utc("signing key", got[0].CreatedAt)
}

func apiKey(id string) authority.APIKey {
	return authority.APIKey{
		APIKey: api.APIKey{
			ID: id, Name: "ci ✓", Permissions: []api.Permission{api.AuditIngest, api.ReleaseRead}, Environment: "staging",
			CreatedAt: at(1), CreatedBy: "owner", ExpiresAt: pointer(at(60)), RevokedAt: pointer(at(30)),
		},
		Org: "acme", Hash: [32]byte{1, 2, 31: 3},
	}
}

func testAPIKeys(f *fixture) {
	late := apiKey("a")
	late.CreatedAt = at(5)
	early := apiKey("b")
	early.ExpiresAt, early.RevokedAt = nil, nil
	secret := early
	secret.Secret = "prova_secret"
	f.update("acme", func(tx authority.Tx) error { return errors.Join(tx.SaveAPIKey(late), tx.SaveAPIKey(secret)) })
	equal(f, "keys, oldest first, without secrets", must(f, "acme", authority.Snapshot.APIKeys), []authority.APIKey{early, late})

	early.RevokedAt = pointer(at(7).In(time.FixedZone("", 3600)))
	f.update("acme", func(tx authority.Tx) error { return tx.SaveAPIKey(early) })
	got, err := f.APIKey(f.ctx(), "b")
	if err != nil {
		f.Fatal(err)
	}
	equal(f, "key", got, early)
	f.utc("key", got.CreatedAt, *got.RevokedAt)
	if _, err := f.APIKey(f.ctx(), "c"); !errors.Is(err, authority.ErrNotFound) {
		f.Errorf("absent key: %v", err)
	}
	// A key leads to one org, so no other can take its id, nor write into it.
	stolen := early
	stolen.Org = "other"
	f.refused(authority.ErrExists, "other", func(tx authority.Tx) error { return tx.SaveAPIKey(stolen) })
	if err := f.Update(f.ctx(), "other", func(tx authority.Tx) error { return tx.SaveAPIKey(apiKey("d")) }); err == nil {
		f.Error("other could save a key of acme")
	}
}
