package store

import (
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// conditions collects the WHERE of a query.
type conditions struct {
	text []string
	args []any
}

// add adds a condition; its arguments replace the placeholders in order.
func (c *conditions) add(text string, args ...any) {
	c.text = append(c.text, text)
	c.args = append(c.args, args...)
}

// addText adds a condition for a text unless the text is empty, which selects all.
func (c *conditions) addText(condition, value string) {
	if value != "" {
		c.add(condition, value)
	}
}

// addIn adds a condition that a column is one of values.
func (c *conditions) addIn(column string, values []string) {
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(values)), ", ")
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	c.add(column+" IN ("+marks+")", args...)
}

func (c *conditions) where() string { return " WHERE " + strings.Join(c.text, " AND ") }

func (s *snapshot) entry(what, condition string, args ...any) (authority.Entry, error) {
	return one(s.session, what, "SELECT "+entryColumns+" FROM receipts WHERE org = ? AND "+condition, append([]any{s.org}, args...), scanEntry)
}

func (s *snapshot) Entry(eventID string) (authority.Entry, error) {
	return s.entry("read a receipt", "event_id = ?", eventID)
}

func (s *snapshot) EntryByKey(appID, environment, key string) (authority.Entry, error) {
	return s.entry("read the receipt of an idempotency key",
		"environment = ? AND app_id = ? AND idempotency_key = ? AND idempotency_key <> ''", environment, appID, key)
}

func (s *snapshot) Entries(filter authority.EntryFilter, limit int) ([]authority.Entry, error) {
	if limit <= 0 {
		return nil, nil
	}
	where := entryConditions(s.org, filter)
	order := " ORDER BY idx LIMIT ?"
	if filter.Newest {
		order = " ORDER BY idx DESC LIMIT ?"
	}
	return list(s.session, "list receipts", "SELECT "+entryColumns+" FROM receipts"+where.where()+order,
		append(where.args, int64(limit)), scanEntry)
}

// entryConditions repeats the condition of each partial index beside the
// equality that implies it: with a placeholder the planner cannot know.
func entryConditions(org string, f authority.EntryFilter) conditions {
	var c conditions
	c.add("org = ?", org)
	if f.Kind == api.KindAgentRun {
		c.add("kind = ?", f.Kind)
	} else {
		c.addText("kind = ? AND kind <> 'agent_run'", f.Kind)
	}
	c.addText("app_id = ? AND app_id <> ''", f.AppID)
	c.addText("environment = ?", f.Environment)
	c.addText("release = ?", f.Release)
	c.addText("rollout_id = ? AND rollout_id <> ''", f.RolloutID)
	c.addText("probe_id = ? AND probe_id <> ''", f.ProbeID)
	if !f.Since.IsZero() {
		c.add("recorded_at >= ?", micros(f.Since))
	}
	if !f.Until.IsZero() {
		c.add("recorded_at < ?", micros(f.Until))
	}
	if f.From > 0 {
		c.add("idx >= ?", f.From)
	}
	if f.Before > 0 {
		c.add("idx < ?", f.Before)
	}
	return c
}

func (s *snapshot) RunEntries(appID, environment, runID string) ([]authority.Entry, error) {
	return list(s.session, "list the receipts of a run", "SELECT "+entryColumns+
		" FROM receipts WHERE org = ? AND run_id = ? AND run_id <> '' AND app_id = ? AND environment = ? AND kind IN (?, ?) ORDER BY idx",
		[]any{s.org, runID, appID, environment, api.KindAgentRun, api.KindOutcome}, scanEntry)
}
