package store

import (
	"context"
	"fmt"

	"github.com/cobound/prova/internal/authority"
)

// SaveSession adds a session and removes those that had ended when it began.
func (s *Store) SaveSession(ctx context.Context, n authority.Session) error {
	return s.write(ctx, "", func(run *session) error {
		if _, err := run.exec("remove ended sessions", "DELETE FROM sessions WHERE expires_at <= ?", micros(n.CreatedAt)); err != nil {
			return err
		}
		_, err := run.exec("save a session", "INSERT INTO sessions (org, hash, key_id, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
			n.Org, n.Hash[:], n.KeyID, micros(n.CreatedAt), micros(n.ExpiresAt))
		return err
	})
}

// Session finds a session over all orgs.
func (s *Store) Session(ctx context.Context, hash [32]byte) (authority.Session, error) {
	n := authority.Session{Hash: hash}
	err := s.read(ctx, func(run *session) (err error) {
		n, err = one(run, "read a session", "SELECT org, hash, key_id, created_at, expires_at FROM sessions WHERE hash = ?", []any{hash[:]}, scanSession)
		return err
	})
	return n, err
}

func scanSession(r row) (authority.Session, error) {
	var n authority.Session
	var hash []byte
	var createdAt, expiresAt int64
	if err := r.Scan(&n.Org, &hash, &n.KeyID, &createdAt, &expiresAt); err != nil {
		return n, err
	}
	if len(hash) != len(n.Hash) {
		return n, fmt.Errorf("the hash of a session has %d bytes", len(hash))
	}
	n.Hash, n.CreatedAt, n.ExpiresAt = [32]byte(hash), timeOf(createdAt), timeOf(expiresAt)
	return n, nil
}

// EndSession removes a session; one that is not there is no error.
func (s *Store) EndSession(ctx context.Context, hash [32]byte) error {
	return s.write(ctx, "", func(run *session) error {
		_, err := run.exec("end a session", "DELETE FROM sessions WHERE hash = ?", hash[:])
		return err
	})
}
