package authority

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/cobound/prova/api"
)

// backoff is the wait before each further attempt: quickly at first, then
// slower, three days in all. A quarter of it is added at random, so that
// deliveries that failed together do not come back together.
func backoff() []time.Duration {
	return []time.Duration{
		2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
		15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 12 * time.Hour, 20 * time.Hour, 20 * time.Hour,
	}
}

// claimTime is how long a claimed delivery is left alone by others: longer than
// an attempt can take, and no longer than a rollback may wait for a server that
// died while it sent it.
const claimTime = 15 * time.Second

// maxRetryAfter bounds what a receiver may ask for.
const maxRetryAfter = 24 * time.Hour

// enqueue puts one delivery for each subscribed hook into the decision's
// transaction. A rollback overtakes what was not delivered before it.
func (a *Authority) enqueue(tx Tx, s stored, d api.Decision, now time.Time) error {
	if s.shadow() || !d.Transition() {
		return nil
	}
	event := api.EventPromote
	if d.Decision == api.Rollback {
		event = api.EventRollback
		if _, err := tx.SupersedePromotes(s.Core.ID); err != nil {
			return err
		}
	}
	body, err := json.Marshal(api.WebhookEvent{Event: event, Data: api.WebhookData{
		RolloutID: s.Core.ID, AppID: s.AppID, Environment: s.Environment,
		CandidateRelease: s.CandidateRelease, BaselineRelease: s.BaselineRelease, Weight: d.Weight, Terminal: d.Terminal,
		DecisionEventID: d.EventID, Sequence: d.Sequence, Reason: d.Reason.Text,
	}})
	if err != nil {
		return err
	}
	hooks, err := tx.Webhooks()
	if err != nil {
		return err
	}
	for _, h := range hooks {
		if !h.Enabled || !slices.Contains(h.Events, event) || h.AppID != "" && h.AppID != s.AppID || h.Environment != "" && h.Environment != s.Environment {
			continue
		}
		err := tx.AddDelivery(api.Delivery{
			ID: a.newID("dlv_", now), WebhookID: h.ID, RolloutID: s.Core.ID, EventID: d.EventID, Event: event,
			Sequence: d.Sequence, Status: api.DeliveryPending, Body: body, CreatedAt: now, NextAt: &now,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// deliverPending sends what is due, as part of a tick, and waits for it. What
// fails stays in the outbox; the tick's answer does not depend on it.
func (a *Authority) deliverPending(ctx context.Context, org, rolloutID string) {
	if _, err := a.deliverDue(context.WithoutCancel(ctx), org); err != nil {
		a.Log.Warn("deliveries stay pending", "org", org, "rollout", rolloutID, "error", err)
	}
}

// DeliverDue makes one pass over the due deliveries of all orgs and returns how many it tried.
func (a *Authority) DeliverDue(ctx context.Context) (int, error) { return a.deliverDue(ctx, "") }

// deliverAtOnce bounds the deliveries under way at once, and those of one pass.
const deliverAtOnce = 16

func (a *Authority) deliverDue(ctx context.Context, org string) (int, error) {
	due, err := a.Store.DueDeliveries(ctx, org, a.now(), 256)
	if err != nil {
		return 0, storeError("delivery", err)
	}
	slots := make(chan struct{}, deliverAtOnce)
	var wg sync.WaitGroup
	for _, ref := range due {
		if a.anchors.refusal(ref.Org) != nil { // a database that went back may hold deliveries that were made long ago
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := a.attempt(ctx, ref); err != nil {
				a.Log.Error("a delivery was not attempted or its result was not kept", "org", ref.Org, "delivery", ref.ID, "error", err)
			}
		})
	}
	wg.Wait()
	return len(due), nil
}

// attempt claims a delivery, sends it once and keeps what came of it.
//
// A crash after the claim leaves the delivery pending until the claim is over;
// a crash after the sending sends it again with the same webhook-id.
func (a *Authority) attempt(ctx context.Context, ref DeliveryRef) error {
	var d api.Delivery
	var hook Webhook
	claimed := false
	now := a.now()
	err := a.Store.Update(ctx, ref.Org, func(tx Tx) (err error) {
		if claimed, err = tx.ClaimDelivery(ref.ID, now, now.Add(claimTime)); err != nil || !claimed {
			return err
		}
		if d, err = tx.Delivery(ref.ID); err != nil {
			return err
		}
		hook, err = tx.Webhook(d.WebhookID)
		return err
	})
	if err != nil || !claimed {
		return err
	}
	checkpoint, err := a.checkpoint(ctx, ref.Org)
	if err != nil { // a rollback is not held back for it
		a.Log.Warn("a delivery goes without the log's checkpoint", "org", ref.Org, "delivery", ref.ID, "error", err)
		checkpoint.Note = ""
	}
	at := a.now()
	sent := a.Deliverer.Deliver(ctx, Shipment{URL: hook.URL, ID: d.EventID, Body: d.Body, Secrets: []string{hook.Secret}, At: at, Checkpoint: shortened(checkpoint.Note, maxCarried)})
	return a.Store.Update(ctx, ref.Org, func(tx Tx) error {
		try := api.Attempt{Number: len(d.Attempts) + 1, At: at, StatusCode: sent.StatusCode, DurationMS: sent.Duration.Milliseconds(), Answer: sent.Answer}
		if sent.Err != nil {
			try.Error = sent.Err.Error()
		}
		if err := tx.AddAttempt(d.ID, try); err != nil {
			return err
		}
		a.settle(&d, sent, try.Number)
		return tx.SaveDelivery(d)
	})
}

// settle decides what happens to a delivery after an attempt.
func (a *Authority) settle(d *api.Delivery, sent Sent, number int) {
	waits := backoff()
	switch {
	case sent.OK():
		d.Status, d.NextAt = api.DeliveryDelivered, nil
	case number > len(waits):
		d.Status, d.NextAt = api.DeliveryFailed, nil
	default:
		wait := waits[number-1]
		wait += time.Duration(float64(wait) * 0.25 * a.fraction())
		if asked := min(sent.RetryAfter, maxRetryAfter); asked > wait {
			wait = asked
		}
		next := a.now().Add(wait)
		d.NextAt = &next
	}
}

// fraction is random in [0,1).
func (a *Authority) fraction() float64 {
	var b [2]byte
	a.Random(b[:])
	return float64(uint16(b[0])<<8|uint16(b[1])) / 65536
}
