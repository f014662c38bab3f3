package store

import (
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

var errUnlocked = errors.New("LockHead comes first")

func (s *snapshot) Head() (authority.Head, error) { return s.readHead("read the head of the log", "") }

func (s *snapshot) readHead(what, suffix string) (authority.Head, error) {
	return one(s.session, what, "SELECT size, tree FROM log_heads WHERE org = ?"+suffix, []any{s.org}, scanHead)
}

func scanHead(r row) (authority.Head, error) {
	var size int64
	var text string
	if err := r.Scan(&size, &text); err != nil {
		return authority.Head{}, err
	}
	var tree receipt.Tree
	if err := tree.UnmarshalText([]byte(text)); err != nil {
		return authority.Head{}, err
	}
	if tree.Size() != size {
		return authority.Head{}, fmt.Errorf("the log has size %d and a tree of %d: the row was changed from outside", size, tree.Size())
	}
	return authority.Head{Tree: tree}, nil
}

// LockHead holds the org's row of log_heads, last of all locks: from here to
// the commit nobody else appends.
func (t *tx) LockHead() (authority.Head, error) {
	head, err := t.readHead("lock the head of the log", t.dialect.forUpdate)
	if err != nil {
		return authority.Head{}, err
	}
	t.locked, t.head = true, head
	return head, nil
}

// hold reports an error unless this transaction holds the head.
func (t *tx) hold(what string) error {
	if !t.locked {
		return fmt.Errorf("store: %s: %w", what, errUnlocked)
	}
	return nil
}

const entryColumns = "idx, event_id, kind, app_id, environment, release, rollout_id, run_id, probe_id, " +
	"idempotency_key, request_hash, epoch, recorded_at, metrics, leaf, raw"

// Append writes the receipts, their payloads, the nodes that they complete and
// the head. The size in the last WHERE is a second guard: an index can be given
// once only.
func (t *tx) Append(entries []authority.Entry, after authority.Head) error {
	nodes, err := t.fits(entries, after)
	if err != nil {
		return err
	}
	rows := make([][]any, len(entries))
	var payloads [][]any
	for i, e := range entries {
		cells, err := t.cells(e)
		if err != nil {
			return err
		}
		rows[i] = cells
		for _, p := range e.Payloads {
			payloads = append(payloads, []any{t.org, e.Index, p.Field, p.Salt[:], p.Value})
		}
	}
	if err := t.insert("append receipts", "INSERT INTO receipts (org, "+entryColumns+")", "", rows); err != nil {
		if t.failed != nil && t.dialect.violation(t.failed) == violatesKey {
			// Not a duplicate that the caller could look up, but a log and a head that differ.
			return fmt.Errorf("store: append receipts: index %d or one after it is taken already: %w", t.head.Tree.Size(), t.failed)
		}
		return err
	}
	if err := t.insert("append payloads", "INSERT INTO payloads (org, idx, field, salt, value)", "", payloads); err != nil {
		return err
	}
	if err := t.SaveNodes(nodes); err != nil {
		return err
	}
	text, err := after.Tree.MarshalText()
	if err != nil {
		return fmt.Errorf("store: append receipts: %w", err)
	}
	moved, err := t.exec("move the head of the log", "UPDATE log_heads SET size = ?, tree = ? WHERE org = ? AND size = ?",
		after.Tree.Size(), string(text), t.org, t.head.Tree.Size())
	if err != nil {
		return err
	}
	if moved != 1 {
		return t.fail("move the head of the log", errors.New("it is not the one that was locked"))
	}
	t.head = after
	return nil
}

// fits checks that entries follow the locked head without a gap and that after
// is the head with their leaves. It returns the nodes that they complete.
func (t *tx) fits(entries []authority.Entry, after authority.Head) ([]receipt.Node, error) {
	if err := t.hold("append receipts"); err != nil {
		return nil, err
	}
	leaves := make([]tlog.Hash, len(entries))
	for i, e := range entries {
		if want := t.head.Tree.Size() + int64(i); e.Index != want {
			return nil, fmt.Errorf("store: append receipts: entry %d has index %d, the log goes on with %d", i, e.Index, want)
		}
		leaves[i] = e.Leaf
	}
	want, nodes := t.head.Tree.AppendNodes(leaves...)
	if after.Tree.Size() != want.Size() || after.Tree.Root() != want.Root() {
		return nil, fmt.Errorf("store: append receipts: the tree after them has size %d and root %s, want %d and %s",
			after.Tree.Size(), after.Tree.Root(), want.Size(), want.Root())
	}
	return nodes, nil
}

func (t *tx) cells(e authority.Entry) ([]any, error) {
	metrics, requestHash := "", []byte{}
	if len(e.Metrics) > 0 {
		text, err := json.Marshal(e.Metrics)
		if err != nil {
			return nil, fmt.Errorf("store: append receipts: %w", err)
		}
		metrics = string(text)
	}
	if e.RequestHash != [32]byte{} {
		requestHash = e.RequestHash[:]
	}
	return []any{
		t.org, e.Index, e.EventID, e.Kind, e.AppID, e.Environment, e.Release, e.RolloutID, e.RunID, e.ProbeID,
		e.IdempotencyKey, requestHash, e.Epoch, micros(e.RecordedAt), metrics, e.Leaf[:], e.Raw,
	}, nil
}

func scanEntry(r row) (authority.Entry, error) {
	var e authority.Entry
	var requestHash, leaf []byte
	var recordedAt int64
	var metrics string
	err := r.Scan(&e.Index, &e.EventID, &e.Kind, &e.AppID, &e.Environment, &e.Release, &e.RolloutID, &e.RunID, &e.ProbeID,
		&e.IdempotencyKey, &requestHash, &e.Epoch, &recordedAt, &metrics, &leaf, &e.Raw)
	if err != nil {
		return e, err
	}
	e.RecordedAt = timeOf(recordedAt)
	copy(e.RequestHash[:], requestHash)
	if len(leaf) != tlog.HashSize {
		return e, fmt.Errorf("the leaf of receipt %d has %d bytes", e.Index, len(leaf))
	}
	e.Leaf = tlog.Hash(leaf)
	if metrics != "" {
		err = json.Unmarshal([]byte(metrics), &e.Metrics)
	}
	return e, err
}
