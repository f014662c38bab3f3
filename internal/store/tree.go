package store

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

// hashAt is a hash with its place in its level.
type hashAt struct {
	index int64
	hash  tlog.Hash
}

func scanHash(r row) (hashAt, error) {
	var h hashAt
	var b []byte
	if err := r.Scan(&h.index, &b); err != nil {
		return h, err
	}
	if len(b) != tlog.HashSize {
		return h, fmt.Errorf("hash %d has %d bytes", h.index, len(b))
	}
	h.hash = tlog.Hash(b)
	return h, nil
}

func (s *snapshot) Hashes(level int, index int64, n int) ([]tlog.Hash, error) {
	query := "SELECT idx, hash FROM log_nodes WHERE org = ? AND level = ? AND idx >= ? AND idx < ? ORDER BY idx"
	args := []any{s.org, int64(level), index, index + int64(n)}
	if level == 0 {
		query, args = "SELECT idx, leaf FROM receipts WHERE org = ? AND idx >= ? AND idx < ? ORDER BY idx", []any{s.org, index, index + int64(n)}
	}
	found, err := list(s.session, "read hashes of the log", query, args, scanHash)
	if err != nil {
		return nil, err
	}
	hashes := make([]tlog.Hash, 0, len(found))
	for _, h := range found {
		if h.index != index+int64(len(hashes)) {
			break
		}
		hashes = append(hashes, h.hash)
	}
	return hashes, nil
}

// RenameLog gives the org's log another id.
func (t *tx) RenameLog(logID string) error {
	_, err := t.exec("rename the log", "UPDATE orgs SET log_id = ? WHERE name = ?", logID, t.org)
	return err
}

// SaveNodes adds nodes. One that is there already stays: only its proofs can tell which is right.
func (t *tx) SaveNodes(nodes []receipt.Node) error {
	rows := make([][]any, len(nodes))
	for i, n := range nodes {
		rows[i] = []any{t.org, int64(n.Level), n.Index, n.Hash[:]}
	}
	return t.insert("save nodes", "INSERT INTO log_nodes (org, level, idx, hash)", " ON CONFLICT (org, level, idx) DO NOTHING", rows)
}

const selectCheckpoint = "SELECT origin, size, root_hash, note FROM checkpoints WHERE org = ?"

func (s *snapshot) Checkpoint() (api.Checkpoint, error) {
	return one(s.session, "read the newest checkpoint", selectCheckpoint+" ORDER BY size DESC LIMIT 1", []any{s.org}, scanCheckpoint)
}

func (s *snapshot) CheckpointAt(size int64) (api.Checkpoint, error) {
	return one(s.session, "read a checkpoint", selectCheckpoint+" AND size = ?", []any{s.org, size}, scanCheckpoint)
}

func (s *snapshot) Checkpoints(filter authority.CheckpointFilter, limit int) ([]api.Checkpoint, error) {
	if limit <= 0 {
		return nil, nil
	}
	query, args := selectCheckpoint, []any{s.org}
	if filter.Before > 0 {
		query, args = query+" AND size < ?", append(args, filter.Before)
	}
	order := " AND size >= ? ORDER BY size LIMIT ?"
	if filter.Newest {
		order = " AND size >= ? ORDER BY size DESC LIMIT ?"
	}
	return list(s.session, "list checkpoints", query+order, append(args, filter.From, int64(limit)), scanCheckpoint)
}

// SaveCheckpoint keeps the first checkpoint of a size: two servers that sign
// the same size hand out the same note.
func (t *tx) SaveCheckpoint(c api.Checkpoint) (api.Checkpoint, error) {
	_, err := t.exec("save a checkpoint",
		"INSERT INTO checkpoints (org, size, origin, root_hash, note) VALUES (?, ?, ?, ?, ?) ON CONFLICT (org, size) DO NOTHING",
		t.org, c.Size, c.Origin, c.RootHash, c.Note)
	if err != nil {
		return api.Checkpoint{}, err
	}
	return t.CheckpointAt(c.Size)
}

func scanCheckpoint(r row) (c api.Checkpoint, err error) {
	return c, r.Scan(&c.Origin, &c.Size, &c.RootHash, &c.Note)
}
