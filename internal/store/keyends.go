package store

import (
	"errors"

	"github.com/cobound/prova/internal/authority"
)

func (s *snapshot) KeyEnd(keyID string) (from int64, ended bool, err error) {
	from, err = one(s.session, "read the end of a key", "SELECT from_idx FROM key_ends WHERE org = ? AND key_id = ?", []any{s.org, keyID},
		func(r row) (from int64, err error) { return from, r.Scan(&from) })
	if errors.Is(err, authority.ErrNotFound) {
		return 0, false, nil
	}
	return from, err == nil, err
}

func (t *tx) EndKey(keyID string, from int64) error {
	const what = "keep the end of a key"
	if err := t.hold(what); err != nil {
		return err
	}
	_, err := t.exec(what, `INSERT INTO key_ends (org, key_id, from_idx) VALUES (?, ?, ?)
 ON CONFLICT (org, key_id) DO UPDATE SET from_idx = excluded.from_idx WHERE excluded.from_idx < key_ends.from_idx`, t.org, keyID, from)
	return err
}
