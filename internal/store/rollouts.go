package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

const rolloutColumns = "id, app_id, environment, baseline_release, candidate_release, mode, state, created_at, version, doc"

func scanRollout(r row) (authority.RolloutRecord, error) {
	var v authority.RolloutRecord
	var createdAt int64
	err := r.Scan(&v.ID, &v.AppID, &v.Environment, &v.BaselineRelease, &v.CandidateRelease, &v.Mode, &v.State, &createdAt, &v.Version, &v.Doc)
	v.CreatedAt = timeOf(createdAt)
	return v, err
}

func (s *snapshot) Rollout(id string) (authority.RolloutRecord, error) {
	return one(s.session, "read a rollout", "SELECT "+rolloutColumns+" FROM rollouts WHERE org = ? AND id = ?", []any{s.org, id}, scanRollout)
}

func (s *snapshot) Rollouts(filter authority.RolloutFilter, limit int) ([]authority.RolloutRecord, error) {
	if limit <= 0 {
		return nil, nil
	}
	var c conditions
	c.add("org = ?", s.org)
	c.addText("app_id = ?", filter.AppID)
	c.addText("environment = ?", filter.Environment)
	c.addText("candidate_release = ?", filter.CandidateRelease)
	c.addText("mode = ?", string(filter.Mode))
	c.addText("id < ?", filter.BeforeID)
	if len(filter.States) > 0 {
		states := make([]string, len(filter.States))
		for i, state := range filter.States {
			states[i] = string(state)
		}
		c.addIn("state", states)
		if !slices.ContainsFunc(filter.States, func(state api.State) bool { return state != api.StateActive && state != api.StatePaused }) {
			c.add("state IN ('active', 'paused')") // word for word the condition of rollouts_unfinished
		}
	}
	return list(s.session, "list rollouts", "SELECT "+rolloutColumns+" FROM rollouts"+c.where()+" ORDER BY id DESC LIMIT ?",
		append(c.args, int64(limit)), scanRollout)
}

func (t *tx) CreateRollout(r authority.RolloutRecord) error {
	_, err := t.exec("create a rollout", "INSERT INTO rollouts (org, "+rolloutColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		t.org, r.ID, r.AppID, r.Environment, r.BaselineRelease, r.CandidateRelease, string(r.Mode), string(r.State), micros(r.CreatedAt), int64(1), r.Doc)
	return err
}

// SaveRollout is a compare-and-set on the version: of several that read the
// same version one wins, and the others begin again.
func (t *tx) SaveRollout(r authority.RolloutRecord) error {
	const what = "save a rollout"
	saved, err := t.exec(what, `UPDATE rollouts SET app_id = ?, environment = ?, baseline_release = ?, candidate_release = ?,
 mode = ?, state = ?, created_at = ?, version = ?, doc = ? WHERE org = ? AND id = ? AND version = ?`,
		r.AppID, r.Environment, r.BaselineRelease, r.CandidateRelease,
		string(r.Mode), string(r.State), micros(r.CreatedAt), r.Version+1, r.Doc, t.org, r.ID, r.Version)
	if err != nil || saved == 1 {
		return err
	}
	if _, err := t.Rollout(r.ID); err != nil {
		return err
	}
	return fmt.Errorf("store: %s: %w", what, authority.ErrVersion)
}

func scanBlock(r row) (b authority.BlockRecord, err error) {
	var closed int64
	err = r.Scan(&b.RolloutID, &b.Number, &closed, &b.Doc)
	b.Closed = closed != 0
	return b, err
}

func (s *snapshot) OpenBlock(rolloutID string) (authority.BlockRecord, error) {
	return one(s.session, "read the open block", "SELECT rollout_id, number, closed, doc FROM blocks WHERE org = ? AND rollout_id = ? AND closed = 0",
		[]any{s.org, rolloutID}, scanBlock)
}

func (s *snapshot) ClosedBlocks(rolloutID string, after int64, limit int) ([]authority.BlockRecord, error) {
	if limit <= 0 {
		return nil, nil
	}
	return list(s.session, "list closed blocks", `SELECT rollout_id, number, closed, doc FROM blocks
 WHERE org = ? AND rollout_id = ? AND number > ? AND closed = 1 ORDER BY number LIMIT ?`,
		[]any{s.org, rolloutID, after, int64(limit)}, scanBlock)
}

func (t *tx) SaveBlock(b authority.BlockRecord) error {
	if err := t.hold("save a block"); err != nil {
		return err
	}
	_, err := t.exec("save a block", `INSERT INTO blocks (org, rollout_id, number, closed, doc) VALUES (?, ?, ?, ?, ?)
 ON CONFLICT (org, rollout_id, number) DO UPDATE SET closed = excluded.closed, doc = excluded.doc`,
		t.org, b.RolloutID, b.Number, flag(b.Closed), b.Doc)
	return err
}

func (s *snapshot) Decisions(rolloutID string, after int64, limit int) ([]api.Decision, error) {
	if limit <= 0 {
		return nil, nil
	}
	return list(s.session, "list decisions", "SELECT sequence, doc FROM decisions WHERE org = ? AND rollout_id = ? AND sequence > ? ORDER BY sequence LIMIT ?",
		[]any{s.org, rolloutID, after, int64(limit)},
		func(r row) (api.Decision, error) {
			var sequence int64
			var doc []byte
			var d api.Decision
			if err := r.Scan(&sequence, &doc); err != nil {
				return d, err
			}
			if err := json.Unmarshal(doc, &d); err != nil {
				return d, err
			}
			if d.Sequence != sequence {
				return d, errors.New("a decision stands at the wrong sequence number")
			}
			d.RecordedAt = d.RecordedAt.UTC()
			return d, nil
		})
}

func (t *tx) AddDecision(rolloutID string, d api.Decision) error {
	doc, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("store: add a decision: %w", err)
	}
	_, err = t.exec("add a decision", "INSERT INTO decisions (org, rollout_id, sequence, doc) VALUES (?, ?, ?, ?)",
		t.org, rolloutID, d.Sequence, doc)
	return err
}
