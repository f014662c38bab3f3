package authority

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/cobound/prova/api"
)

// CreateWebhook subscribes a receiver. The answer holds the secret, once.
func (a *Authority) CreateWebhook(ctx context.Context, p Principal, r api.CreateWebhook) (api.Webhook, error) {
	if err := p.need(api.WebhookManage); err != nil {
		return api.Webhook{}, err
	}
	if len(r.Events) == 0 {
		r.Events = api.WebhookEvents()
	}
	if err := a.checkWebhook(p, r); err != nil {
		return api.Webhook{}, err
	}
	now := a.now()
	w := Webhook{api.Webhook{
		ID: a.newID("whk_", now), URL: r.URL, Events: slices.Compact(slices.Sorted(slices.Values(r.Events))), AppID: r.AppID,
		Environment: r.Environment, Description: r.Description, Enabled: true, CreatedAt: now, Secret: api.SecretPrefix + a.webhookSecret(),
	}}
	err := a.Store.Update(ctx, p.Org, func(tx Tx) error {
		if err := tx.SaveWebhook(w); err != nil {
			return err
		}
		return a.operatorAction(tx, p, now, "webhook.create", map[string]string{"webhook_id": w.ID, "url": w.URL})
	})
	if err != nil {
		return api.Webhook{}, storeError("webhook", err)
	}
	return w.Webhook, nil
}

func (a *Authority) checkWebhook(p Principal, r api.CreateWebhook) error {
	for _, e := range r.Events {
		if !slices.Contains(api.WebhookEvents(), e) {
			return invalid("/events", "there is no event %q; the events are rollout.promote and rollout.rollback", e)
		}
	}
	for _, n := range []struct{ pointer, what, value string }{{"/app_id", "app_id", r.AppID}, {"/environment", "environment", r.Environment}, {"/description", "description", r.Description}} {
		if n.value == "" {
			continue
		}
		if err := api.CheckName(n.what, n.value); err != nil {
			return invalid(n.pointer, "%v", err)
		}
	}
	if p.Environment != "" && r.Environment != p.Environment {
		return fail(CodeForbidden, "this key is limited to the environment %q: say \"environment\": %q", p.Environment, p.Environment)
	}
	if err := a.Deliverer.CheckURL(r.URL); err != nil {
		return invalid("/url", "%v", err)
	}
	return nil
}

// Webhooks lists the subscriptions without their secrets.
func (a *Authority) Webhooks(ctx context.Context, p Principal) ([]api.Webhook, error) {
	if err := p.need(api.WebhookManage); err != nil {
		return nil, err
	}
	out := []api.Webhook{}
	err := a.Store.View(ctx, p.Org, func(s Snapshot) error {
		hooks, err := s.Webhooks()
		for _, h := range hooks {
			if p.sees(h.Environment) {
				out = append(out, public(h))
			}
		}
		return err
	})
	return out, storeError("webhook", err)
}

func public(h Webhook) api.Webhook {
	h.Secret = ""
	return h.Webhook
}

// Webhook reads one subscription without its secret.
func (a *Authority) Webhook(ctx context.Context, p Principal, id string) (api.Webhook, error) {
	if err := p.need(api.WebhookManage); err != nil {
		return api.Webhook{}, err
	}
	var out api.Webhook
	err := a.Store.View(ctx, p.Org, func(s Snapshot) error {
		h, err := a.hook(s, p, id)
		out = public(h)
		return err
	})
	return out, storeError("webhook", err)
}

func (a *Authority) hook(s Snapshot, p Principal, id string) (Webhook, error) {
	h, err := s.Webhook(id)
	if err == nil && !p.sees(h.Environment) {
		err = ErrNotFound
	}
	if err != nil {
		return Webhook{}, err
	}
	return h, nil
}

// DeleteWebhook ends a subscription; what was not delivered is not sent any more.
func (a *Authority) DeleteWebhook(ctx context.Context, p Principal, id string) error {
	if err := p.need(api.WebhookManage); err != nil {
		return err
	}
	err := a.Store.Update(ctx, p.Org, func(tx Tx) error {
		if _, err := a.hook(tx, p, id); err != nil {
			return err
		}
		if err := tx.DeleteWebhook(id); err != nil {
			return err
		}
		return a.operatorAction(tx, p, a.now(), "webhook.delete", map[string]string{"webhook_id": id})
	})
	return storeError("webhook", err)
}

// TestWebhook sends a promote that is marked as a test and answers with what came of it.
func (a *Authority) TestWebhook(ctx context.Context, p Principal, id string) (api.Delivery, error) {
	if err := p.need(api.WebhookManage); err != nil {
		return api.Delivery{}, err
	}
	now := a.now()
	data := api.WebhookData{
		RolloutID: "rol_test", AppID: "test", Environment: api.DefaultEnvironment, CandidateRelease: "candidate", BaselineRelease: "baseline",
		Weight: 5, DecisionEventID: a.newID("evt_", now), Reason: "a test that somebody asked for; change nothing", Test: true,
	}
	body, err := json.Marshal(api.WebhookEvent{Event: api.EventPromote, Data: data})
	if err != nil {
		return api.Delivery{}, &Error{Code: CodeInternal, Detail: "the test could not be written", Cause: err}
	}
	d := api.Delivery{
		ID: a.newID("dlv_", now), WebhookID: id, EventID: data.DecisionEventID, Event: api.EventPromote, Status: api.DeliveryPending,
		Body: body, CreatedAt: now, NextAt: &now,
	}
	err = a.Store.Update(ctx, p.Org, func(tx Tx) error {
		if _, err := a.hook(tx, p, id); err != nil {
			return err
		}
		return tx.AddDelivery(d)
	})
	if err != nil {
		return api.Delivery{}, storeError("webhook", err)
	}
	return a.attemptNow(ctx, p, d.ID)
}

func (a *Authority) attemptNow(ctx context.Context, p Principal, id string) (api.Delivery, error) {
	if err := a.attempt(context.WithoutCancel(ctx), DeliveryRef{Org: p.Org, ID: id}); err != nil {
		return api.Delivery{}, storeError("delivery", err)
	}
	var d api.Delivery
	err := a.Store.View(ctx, p.Org, func(s Snapshot) (err error) {
		d, err = s.Delivery(id)
		return err
	})
	return d, storeError("delivery", err)
}

// Deliveries lists a webhook's deliveries with every attempt, newest first.
func (a *Authority) Deliveries(ctx context.Context, p Principal, hookID, cursor string, limit int) (api.List[api.Delivery], error) {
	if err := p.need(api.WebhookManage); err != nil {
		return api.List[api.Delivery]{}, err
	}
	before, err := cursorText(cursor)
	if err != nil {
		return api.List[api.Delivery]{}, err
	}
	var items []api.Delivery
	err = a.Store.View(ctx, p.Org, func(s Snapshot) (err error) {
		if _, err := a.hook(s, p, hookID); err != nil {
			return err
		}
		items, err = s.Deliveries(hookID, before, limit+1)
		return err
	})
	if err != nil {
		return api.List[api.Delivery]{}, storeError("webhook", err)
	}
	return page(items, limit, func(d api.Delivery) string { return d.ID }), nil
}

// Redeliver sends a delivery again, whatever became of it, with the same
// webhook-id. One that a rollback has superseded stays superseded.
func (a *Authority) Redeliver(ctx context.Context, p Principal, id string) (api.Delivery, error) {
	if err := p.need(api.WebhookManage); err != nil {
		return api.Delivery{}, err
	}
	err := a.Store.Update(ctx, p.Org, func(tx Tx) error {
		d, err := tx.Delivery(id)
		if err != nil {
			return err
		}
		if _, err := a.hook(tx, p, d.WebhookID); err != nil {
			return err
		}
		if err := stillTrue(tx, d); err != nil {
			return err
		}
		now := a.now()
		d.Status, d.NextAt = api.DeliveryPending, &now
		if err := tx.SaveDelivery(d); err != nil {
			return err
		}
		return a.operatorAction(tx, p, now, "webhook.redeliver", map[string]string{"delivery_id": id, "webhook_id": d.WebhookID})
	})
	if err != nil {
		return api.Delivery{}, storeError("delivery", err)
	}
	return a.attemptNow(ctx, p, id)
}

// stillTrue refuses to send what a later decision has replaced: a promote must never follow a rollback.
func stillTrue(tx Tx, d api.Delivery) error {
	if d.Status == api.DeliverySuperseded {
		return fail(CodeConflict, "a rollback has superseded this delivery: sending it now would promote a candidate that was rolled back")
	}
	if d.RolloutID == "" {
		return nil // a test
	}
	record, err := tx.Rollout(d.RolloutID)
	if err != nil {
		return err
	}
	s, err := open(record)
	if err != nil {
		return err
	}
	if d.Sequence < s.Transition {
		return fail(CodeConflict, "a later decision has replaced this delivery: the weight is %d %% now; send that one again instead", s.Core.Weight())
	}
	return nil
}
