package store

import (
	"context"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

// CreateOrg adds a tenant and the head of its empty log together.
func (s *Store) CreateOrg(ctx context.Context, org authority.Org) error {
	tree, err := receipt.Tree{}.MarshalText()
	if err != nil {
		return err
	}
	return s.write(ctx, "", func(run *session) error {
		if _, err := run.exec("create an org", "INSERT INTO orgs (name, created_at, log_id) VALUES (?, ?, ?)",
			org.Name, micros(org.CreatedAt), org.LogID); err != nil {
			return err
		}
		_, err := run.exec("create the log of an org", "INSERT INTO log_heads (org, size, tree) VALUES (?, 0, ?)", org.Name, string(tree))
		return err
	})
}

// Orgs lists all tenants by name.
func (s *Store) Orgs(ctx context.Context) ([]authority.Org, error) {
	return listAll(ctx, s, "list orgs", "SELECT name, created_at, log_id FROM orgs ORDER BY name", nil,
		func(r row) (authority.Org, error) {
			var o authority.Org
			var createdAt int64
			err := r.Scan(&o.Name, &createdAt, &o.LogID)
			o.CreatedAt = timeOf(createdAt)
			return o, err
		})
}

// APIKey finds a key by its id over all orgs.
func (s *Store) APIKey(ctx context.Context, id string) (authority.APIKey, error) {
	var key authority.APIKey
	err := s.read(ctx, func(run *session) (err error) {
		key, err = one(run, "read an API key", "SELECT org, "+apiKeyColumns+" FROM api_keys WHERE id = ?", []any{id}, scanAPIKey)
		return err
	})
	return key, err
}

// SaveSigningKey adds a public key unless it is there.
func (s *Store) SaveSigningKey(ctx context.Context, key api.SigningKey) error {
	return s.write(ctx, "", func(run *session) error {
		_, err := run.exec("save a signing key", `INSERT INTO signing_keys (key_id, purpose, algorithm, public_key, vkey, created_at)
 VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key_id, purpose) DO NOTHING`,
			key.KeyID, key.Purpose, key.Algorithm, key.PublicKey, key.VKey, micros(key.CreatedAt))
		return err
	})
}

// SigningKeys lists the public keys of all servers, oldest first.
func (s *Store) SigningKeys(ctx context.Context) ([]api.SigningKey, error) {
	return listAll(ctx, s, "list signing keys",
		"SELECT key_id, purpose, algorithm, public_key, vkey, created_at FROM signing_keys ORDER BY created_at, key_id, purpose", nil,
		func(r row) (api.SigningKey, error) {
			var k api.SigningKey
			var createdAt int64
			err := r.Scan(&k.KeyID, &k.Purpose, &k.Algorithm, &k.PublicKey, &k.VKey, &createdAt)
			k.CreatedAt = timeOf(createdAt)
			return k, err
		})
}

// DueDeliveries lists what the outbox has to send by now. A pending delivery
// without a next time has been due since it was created.
func (s *Store) DueDeliveries(ctx context.Context, org string, now time.Time, limit int) ([]authority.DeliveryRef, error) {
	if limit <= 0 {
		return nil, nil
	}
	of, args := "", []any{micros(now)}
	if org != "" {
		of = "org = ? AND "
		args = []any{org, micros(now)}
	}
	return listAll(ctx, s, "list due deliveries", `SELECT org, id FROM deliveries
 WHERE `+of+`status = 'pending' AND COALESCE(next_at, created_at) <= ? ORDER BY COALESCE(next_at, created_at), id LIMIT ?`,
		append(args, int64(limit)),
		func(r row) (ref authority.DeliveryRef, err error) { return ref, r.Scan(&ref.Org, &ref.ID) })
}

// Ping reports whether the database answers, with its tables in place.
func (s *Store) Ping(ctx context.Context) error {
	_, err := listAll(ctx, s, "ping", "SELECT version FROM schema_migrations WHERE version = 1", nil,
		func(r row) (version int64, err error) { return version, r.Scan(&version) })
	return err
}

// listAll is list over all orgs, on a snapshot of its own.
func listAll[T any](ctx context.Context, s *Store, what, query string, args []any, scan func(row) (T, error)) ([]T, error) {
	var all []T
	err := s.read(ctx, func(run *session) (err error) {
		all, err = list(run, what, query, args, scan)
		return err
	})
	return all, err
}
