package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

const webhookColumns = "id, url, events, app_id, environment, description, enabled, created_at, secret"

func scanWebhook(r row) (authority.Webhook, error) {
	var w authority.Webhook
	var events string
	var enabled, createdAt int64
	err := r.Scan(&w.ID, &w.URL, &events, &w.AppID, &w.Environment, &w.Description, &enabled, &createdAt, &w.Secret)
	if err != nil {
		return w, err
	}
	w.Enabled = enabled != 0
	w.CreatedAt = timeOf(createdAt)
	return w, json.Unmarshal([]byte(events), &w.Events)
}

func (s *snapshot) Webhooks() ([]authority.Webhook, error) {
	return list(s.session, "list webhooks", "SELECT "+webhookColumns+" FROM webhooks WHERE org = ? ORDER BY created_at, id", []any{s.org}, scanWebhook)
}

func (s *snapshot) Webhook(id string) (authority.Webhook, error) {
	return one(s.session, "read a webhook", "SELECT "+webhookColumns+" FROM webhooks WHERE org = ? AND id = ?", []any{s.org, id}, scanWebhook)
}

func (t *tx) SaveWebhook(w authority.Webhook) error {
	events, err := json.Marshal(w.Events)
	if err != nil {
		return fmt.Errorf("store: save a webhook: %w", err)
	}
	_, err = t.exec("save a webhook", "INSERT INTO webhooks (org, "+webhookColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
 ON CONFLICT (org, id) DO UPDATE SET url = excluded.url, events = excluded.events, app_id = excluded.app_id, environment = excluded.environment,
 description = excluded.description, enabled = excluded.enabled, created_at = excluded.created_at, secret = excluded.secret`,
		t.org, w.ID, w.URL, string(events), w.AppID, w.Environment, w.Description, flag(w.Enabled), micros(w.CreatedAt), w.Secret)
	return err
}

// DeleteWebhook takes the deliveries and their attempts along, through the foreign keys.
func (t *tx) DeleteWebhook(id string) error {
	const what = "delete a webhook"
	deleted, err := t.exec(what, "DELETE FROM webhooks WHERE org = ? AND id = ?", t.org, id)
	if err == nil && deleted == 0 {
		return fmt.Errorf("store: %s: %w", what, authority.ErrNotFound)
	}
	return err
}

const deliveryColumns = "id, webhook_id, rollout_id, event_id, event, sequence, status, body, created_at, next_at"

func scanDelivery(r row) (api.Delivery, error) {
	d := api.Delivery{Attempts: []api.Attempt{}}
	var createdAt int64
	var nextAt sql.NullInt64
	var body []byte
	err := r.Scan(&d.ID, &d.WebhookID, &d.RolloutID, &d.EventID, &d.Event, &d.Sequence, &d.Status, &body, &createdAt, &nextAt)
	d.Body, d.CreatedAt, d.NextAt = body, timeOf(createdAt), optionalOf(nextAt)
	return d, err
}

func (s *snapshot) Deliveries(webhookID, beforeID string, limit int) ([]api.Delivery, error) {
	if limit <= 0 {
		return nil, nil
	}
	var c conditions
	c.add("org = ? AND webhook_id = ?", s.org, webhookID)
	c.addText("id < ?", beforeID)
	all, err := list(s.session, "list deliveries", "SELECT "+deliveryColumns+" FROM deliveries"+c.where()+" ORDER BY id DESC LIMIT ?",
		append(c.args, int64(limit)), scanDelivery)
	if err != nil {
		return nil, err
	}
	return all, s.attempts(all)
}

func (s *snapshot) Delivery(id string) (api.Delivery, error) {
	d, err := one(s.session, "read a delivery", "SELECT "+deliveryColumns+" FROM deliveries WHERE org = ? AND id = ?", []any{s.org, id}, scanDelivery)
	if err != nil {
		return api.Delivery{}, err
	}
	all := []api.Delivery{d}
	err = s.attempts(all)
	return all[0], err
}

// attempts fills in the attempts of deliveries, some hundred deliveries at a time.
func (s *snapshot) attempts(deliveries []api.Delivery) error {
	at := map[string]*api.Delivery{}
	for i := range deliveries {
		at[deliveries[i].ID] = &deliveries[i]
	}
	for len(deliveries) > 0 {
		ids := make([]string, min(len(deliveries), maxRows))
		for i := range ids {
			ids[i] = deliveries[i].ID
		}
		deliveries = deliveries[len(ids):]
		var c conditions
		c.add("org = ?", s.org)
		c.addIn("delivery_id", ids)
		err := s.each("list attempts", "SELECT delivery_id, number, at, status_code, duration_ms, answer, error FROM attempts"+
			c.where()+" ORDER BY number", c.args,
			func(r row) error {
				var id string
				var sentAt int64
				var answer, failure []byte
				var a api.Attempt
				if err := r.Scan(&id, &a.Number, &sentAt, &a.StatusCode, &a.DurationMS, &answer, &failure); err != nil {
					return err
				}
				a.At, a.Answer, a.Error = timeOf(sentAt), string(answer), string(failure)
				at[id].Attempts = append(at[id].Attempts, a)
				return nil
			})
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) AddDelivery(d api.Delivery) error {
	_, err := t.exec("add a delivery", "INSERT INTO deliveries (org, "+deliveryColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		t.org, d.ID, d.WebhookID, d.RolloutID, d.EventID, d.Event, d.Sequence, string(d.Status), []byte(d.Body), micros(d.CreatedAt), optional(d.NextAt))
	return err
}

// ClaimDelivery is a compare-and-set: of several that see a delivery due one
// moves it. Should its process die, the delivery is due again at until.
func (t *tx) ClaimDelivery(id string, now, until time.Time) (bool, error) {
	claimed, err := t.exec("claim a delivery",
		"UPDATE deliveries SET next_at = ? WHERE org = ? AND id = ? AND status = 'pending' AND COALESCE(next_at, created_at) <= ?",
		micros(until), t.org, id, micros(now))
	return claimed == 1, err
}

func (t *tx) SaveDelivery(d api.Delivery) error {
	saved, err := t.exec("save a delivery", "UPDATE deliveries SET status = ?, next_at = ? WHERE org = ? AND id = ? AND status <> 'superseded'",
		string(d.Status), optional(d.NextAt), t.org, d.ID)
	if err != nil || saved == 1 {
		return err
	}
	_, err = one(t.session, "save a delivery", "SELECT id FROM deliveries WHERE org = ? AND id = ?", []any{t.org, d.ID},
		func(r row) (id string, err error) { return id, r.Scan(&id) })
	return err
}

func (t *tx) AddAttempt(deliveryID string, a api.Attempt) error {
	_, err := t.exec("add an attempt", `INSERT INTO attempts (org, delivery_id, number, at, status_code, duration_ms, answer, error)
 VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		t.org, deliveryID, int64(a.Number), micros(a.At), int64(a.StatusCode), a.DurationMS, []byte(a.Answer), []byte(a.Error))
	return err
}

func (t *tx) SupersedePromotes(rolloutID string) (int, error) {
	n, err := t.exec("supersede promotes",
		"UPDATE deliveries SET status = 'superseded', next_at = NULL WHERE org = ? AND rollout_id = ? AND status = 'pending' AND event = ?",
		t.org, rolloutID, api.EventPromote)
	return int(n), err
}
