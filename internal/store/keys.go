package store

import (
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/cobound/prova/internal/authority"
)

const apiKeyColumns = "id, name, permissions, environment, created_at, created_by, expires_at, revoked_at, hash"

func scanAPIKey(r row) (authority.APIKey, error) {
	var k authority.APIKey
	var permissions string
	var createdAt int64
	var expiresAt, revokedAt sql.NullInt64
	var hash []byte
	err := r.Scan(&k.Org, &k.ID, &k.Name, &permissions, &k.Environment, &createdAt, &k.CreatedBy, &expiresAt, &revokedAt, &hash)
	if err != nil {
		return k, err
	}
	if len(hash) != len(k.Hash) {
		return k, fmt.Errorf("the hash of key %s has %d bytes", k.ID, len(hash))
	}
	k.CreatedAt, k.ExpiresAt, k.RevokedAt, k.Hash = timeOf(createdAt), optionalOf(expiresAt), optionalOf(revokedAt), [32]byte(hash)
	return k, json.Unmarshal([]byte(permissions), &k.Permissions)
}

func (s *snapshot) APIKeys() ([]authority.APIKey, error) {
	return list(s.session, "list API keys", "SELECT org, "+apiKeyColumns+" FROM api_keys WHERE org = ? ORDER BY created_at, id", []any{s.org}, scanAPIKey)
}

// SaveAPIKey keeps everything but the secret.
func (t *tx) SaveAPIKey(k authority.APIKey) error {
	const what = "save an API key"
	if k.Org != "" && k.Org != t.org {
		return fmt.Errorf("store: %s: it belongs to another org", what)
	}
	permissions, err := json.Marshal(k.Permissions)
	if err != nil {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	_, err = t.exec(what, "INSERT INTO api_keys (org, "+apiKeyColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
 ON CONFLICT (org, id) DO UPDATE SET name = excluded.name, permissions = excluded.permissions, environment = excluded.environment,
 created_at = excluded.created_at, created_by = excluded.created_by, expires_at = excluded.expires_at, revoked_at = excluded.revoked_at, hash = excluded.hash`,
		t.org, k.ID, k.Name, string(permissions), k.Environment, micros(k.CreatedAt), k.CreatedBy, optional(k.ExpiresAt), optional(k.RevokedAt), k.Hash[:])
	return err
}
