package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/cobound/prova/internal/authority"
)

func (s *snapshot) Cosignatures(from, before int64) ([]authority.Cosignature, error) {
	return list(s.session, "list cosignatures",
		"SELECT size, vkey, cosigned_at, line FROM cosignatures WHERE org = ? AND size >= ? AND size < ? ORDER BY size, cosigned_at, vkey",
		[]any{s.org, from, before},
		func(r row) (c authority.Cosignature, err error) {
			var at int64
			err = r.Scan(&c.Size, &c.VKey, &at, &c.Line)
			c.At = timeOf(at)
			return c, err
		})
}

const witnessStateColumns = "vkey, origin, seen, cosigned_size, cosigned_at, asked_at, status_code, error, failures, next_at"

func (s *snapshot) WitnessStates() ([]authority.WitnessState, error) {
	return list(s.session, "list what witnesses answered",
		"SELECT "+witnessStateColumns+" FROM witness_states WHERE org = ? ORDER BY vkey", []any{s.org}, scanWitnessState)
}

func (s *snapshot) WitnessState(vkey string) (authority.WitnessState, error) {
	return one(s.session, "read what a witness answered",
		"SELECT "+witnessStateColumns+" FROM witness_states WHERE org = ? AND vkey = ?", []any{s.org, vkey}, scanWitnessState)
}

func scanWitnessState(r row) (authority.WitnessState, error) {
	var w authority.WitnessState
	var askedAt, nextAt, status, failures int64
	var cosignedAt sql.NullInt64
	err := r.Scan(&w.VKey, &w.Origin, &w.Seen, &w.CosignedSize, &cosignedAt, &askedAt, &status, &w.Error, &failures, &nextAt)
	w.CosignedAt, w.AskedAt, w.NextAt = optionalOf(cosignedAt), timeOf(askedAt), timeOf(nextAt)
	w.StatusCode, w.Failures = int(status), int(failures)
	return w, err
}

// SaveCosignature keeps the first cosignature of a witness for a size: two
// servers that asked at once show the same one.
func (t *tx) SaveCosignature(c authority.Cosignature) error {
	_, err := t.exec("save a cosignature",
		"INSERT INTO cosignatures (org, size, vkey, cosigned_at, line) VALUES (?, ?, ?, ?, ?) ON CONFLICT (org, size, vkey) DO NOTHING",
		t.org, c.Size, c.VKey, micros(c.At), c.Line)
	return err
}

func (t *tx) SaveWitnessState(w authority.WitnessState) error {
	_, err := t.exec("save what a witness answered", "INSERT INTO witness_states (org, "+witnessStateColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
 ON CONFLICT (org, vkey) DO UPDATE SET origin = excluded.origin, seen = excluded.seen, cosigned_size = excluded.cosigned_size,
 cosigned_at = excluded.cosigned_at, asked_at = excluded.asked_at, status_code = excluded.status_code, error = excluded.error,
 failures = excluded.failures, next_at = excluded.next_at`,
		t.org, w.VKey, w.Origin, w.Seen, w.CosignedSize, optional(w.CosignedAt), micros(w.AskedAt), int64(w.StatusCode), w.Error, int64(w.Failures), micros(w.NextAt))
	return err
}

// NotCosigned lists the orgs whose newest checkpoint a witness has not
// cosigned and may be asked about. The newest of an org is one look into the
// key of checkpoints.
func (s *Store) NotCosigned(ctx context.Context, vkey string, now time.Time, limit int) ([]string, error) {
	if limit <= 0 {
		return nil, nil
	}
	return listAll(ctx, s, "list what a witness has not cosigned", `SELECT n.org FROM
 (SELECT o.name AS org, (SELECT MAX(c.size) FROM checkpoints c WHERE c.org = o.name) AS size FROM orgs o) n
 LEFT JOIN cosignatures k ON k.org = n.org AND k.size = n.size AND k.vkey = ?
 LEFT JOIN witness_states w ON w.org = n.org AND w.vkey = ?
 WHERE n.size > 0 AND k.org IS NULL AND COALESCE(w.next_at, 0) <= ? ORDER BY COALESCE(w.asked_at, 0), n.org LIMIT ?`,
		[]any{vkey, vkey, micros(now), int64(limit)},
		func(r row) (org string, err error) { return org, r.Scan(&org) })
}
