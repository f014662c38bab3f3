package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cobound/prova/internal/authority"
)

func (s *snapshot) Payloads(index int64) ([]authority.Payload, error) {
	return list(s.session, "read payloads", `SELECT field, salt, value FROM payloads WHERE org = ? AND idx = ? ORDER BY field`, []any{s.org, index},
		func(r row) (p authority.Payload, err error) {
			var salt []byte
			if err = r.Scan(&p.Field, &salt, &p.Value); err == nil && len(salt) != len(p.Salt) {
				err = fmt.Errorf("the salt of field %q has %d bytes", p.Field, len(salt))
			}
			copy(p.Salt[:], salt)
			return p, err
		})
}

func (s *snapshot) Erasures(from, before int64) ([]authority.Erased, error) {
	return list(s.session, "list erasures", "SELECT idx, field FROM erasures WHERE org = ? AND idx >= ? AND idx < ? ORDER BY idx, field", []any{s.org, from, before},
		func(r row) (e authority.Erased, err error) { return e, r.Scan(&e.Index, &e.Field) })
}

// ErasePayloads deletes the rows. In SQLite it overwrites them first, in their
// place since the length is the same, so that no page holds the values whatever
// becomes of the deleted row.
func (t *tx) ErasePayloads(index int64, fields []string) ([]string, error) {
	const what = "erase payloads"
	if err := t.hold(what); err != nil {
		return nil, err
	}
	statements := []string{
		"DELETE FROM payloads WHERE org = ? AND idx = ? AND field = ?",
		"INSERT INTO erasures (org, idx, field) VALUES (?, ?, ?)",
	}
	if t.dialect.SQLite {
		statements = append([]string{"UPDATE payloads SET salt = zeroblob(length(salt)), value = zeroblob(length(value)) WHERE org = ? AND idx = ? AND field = ?"}, statements...)
	}
	there, err := t.Payloads(index)
	if err != nil {
		return nil, err
	}
	var erased []string
	for _, p := range there {
		for _, field := range fields {
			if field != p.Field {
				continue
			}
			for _, statement := range statements {
				if _, err := t.exec(what, statement, t.org, index, field); err != nil {
					return nil, err
				}
			}
			erased = append(erased, field)
		}
	}
	return erased, nil
}

// ForgetErased empties the write-ahead log, which holds pages as they were. It
// is an error while a reader still needs them. PostgreSQL keeps no such file
// that the server could empty: VACUUM and archives are the operator's.
func (s *Store) ForgetErased(ctx context.Context) error {
	if e, ok := s.engine.(*sqliteEngine); ok {
		return e.forget(ctx)
	}
	return nil
}

func (e *sqliteEngine) forget(ctx context.Context) error {
	const what = "store: empty the write-ahead log: %w"
	var l *sqliteLink
	select {
	case l = <-e.readers:
	case <-ctx.Done():
		return fmt.Errorf(what, ctx.Err())
	}
	defer func() { e.readers <- l }()
	if l == nil {
		var err error
		if l, err = openLink(ctx, e.reads); err != nil {
			return fmt.Errorf(what, err)
		}
	}
	// A connection that only reads may move the log into the file.
	var busy, frames, done int64
	err := l.each(ctx, "PRAGMA wal_checkpoint(TRUNCATE)", nil, func(r row) error { return r.Scan(&busy, &frames, &done) })
	if err == nil && busy != 0 {
		err = errors.New("somebody reads or writes")
	}
	if err != nil {
		l.discard()
		l = nil
		return fmt.Errorf(what, err)
	}
	return nil
}
