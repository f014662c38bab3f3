package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

func webhook(id string) authority.Webhook {
	return authority.Webhook{Webhook: api.Webhook{
		ID: id, URL: "https://cd.example/hook?x=1", Events: []string{api.EventPromote, api.EventRollback}, AppID: "bot", Environment: "production",
		Description: "to the ✓ deployer", Enabled: true, CreatedAt: at(1), Secret: "whsec_c2VjcmV0",
	}}
}

func delivery(id string) api.Delivery {
	return api.Delivery{
		ID: id, WebhookID: "wh_1", RolloutID: "ro_1", EventID: "e1", Event: api.EventPromote, Sequence: 3, Status: api.DeliveryPending,
		Body: []byte("{ \"as\": \"it was signed\\u0000\" }"), CreatedAt: at(1), NextAt: pointer(at(10)),
	}
}

// hooked saves the webhook wh_1 and deliveries to it.
func (f *fixture) hooked(org string, deliveries ...api.Delivery) {
	f.Helper()
	f.update(org, func(tx authority.Tx) error {
		if err := tx.SaveWebhook(webhook("wh_1")); err != nil {
			return err
		}
		for _, d := range deliveries {
			if err := tx.AddDelivery(d); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *fixture) delivery(org, id string) api.Delivery {
	f.Helper()
	return must(f, org, func(s authority.Snapshot) (api.Delivery, error) { return s.Delivery(id) })
}

func (f *fixture) due(now time.Time, limit int) []authority.DeliveryRef {
	f.Helper()
	refs, err := f.DueDeliveries(f.ctx(), "", now, limit)
	if err != nil {
		f.Fatal(err)
	}
	// Asked for one org, the same without the others', however many those have.
	byOrg := map[string][]authority.DeliveryRef{}
	for _, ref := range refs {
		byOrg[ref.Org] = append(byOrg[ref.Org], ref)
	}
	for org, want := range byOrg {
		got, err := f.DueDeliveries(f.ctx(), org, now, len(want))
		if err != nil {
			f.Fatal(err)
		}
		equal(f, "due of "+org, got, want)
	}
	return refs
}

func testWebhooks(f *fixture) {
	read := func(id string) func(authority.Snapshot) (authority.Webhook, error) {
		return func(s authority.Snapshot) (authority.Webhook, error) { return s.Webhook(id) }
	}
	absent(f, "acme", "webhook", read("wh_1"))
	late, early := webhook("wh_1"), authority.Webhook{Webhook: api.Webhook{ID: "wh_2", URL: "http://x", CreatedAt: at(0)}}
	late.CreatedAt = at(9)
	f.update("acme", func(tx authority.Tx) error {
		if err := tx.SaveWebhook(late); err != nil {
			return err
		}
		return tx.SaveWebhook(early)
	})
	equal(f, "webhooks, oldest first", must(f, "acme", authority.Snapshot.Webhooks), []authority.Webhook{early, late})
	f.utc("webhook", must(f, "acme", authority.Snapshot.Webhooks)[0].CreatedAt)
	early = webhook("wh_2")
	early.Enabled, early.Secret = false, "whsec_new"
	f.update("acme", func(tx authority.Tx) error { return tx.SaveWebhook(early) })
	equal(f, "replaced", must(f, "acme", read("wh_2")), early)

	f.update("acme", func(tx authority.Tx) error {
		if err := tx.AddDelivery(delivery("d1")); err != nil {
			return err
		}
		return tx.AddAttempt("d1", api.Attempt{Number: 1, At: at(1)})
	})
	f.refused(authority.ErrNotFound, "other", func(tx authority.Tx) error { return tx.DeleteWebhook("wh_1") })
	f.update("acme", func(tx authority.Tx) error { return tx.DeleteWebhook("wh_1") })
	absent(f, "acme", "deleted webhook", read("wh_1"))
	absent(f, "acme", "delivery of a deleted webhook", func(s authority.Snapshot) (api.Delivery, error) { return s.Delivery("d1") })
	if refs := f.due(at(100), 10); len(refs) != 0 {
		f.Errorf("due after the webhook is gone: %v", refs)
	}
	f.refused(authority.ErrNotFound, "acme", func(tx authority.Tx) error { return tx.DeleteWebhook("wh_1") })
	f.refused(authority.ErrNotFound, "acme", func(tx authority.Tx) error { return tx.AddDelivery(delivery("d2")) })
}

func testDeliveries(f *fixture) {
	full := delivery("d1")
	bare := api.Delivery{ID: "d2", WebhookID: "wh_1", Event: api.EventRollback, Status: api.DeliveryDelivered, Body: []byte("{}"), CreatedAt: at(2)}
	f.hooked("acme", full, bare)
	equal(f, "full", f.delivery("acme", "d1"), full)
	equal(f, "bare", f.delivery("acme", "d2"), bare)
	f.utc("delivery", f.delivery("acme", "d1").CreatedAt, *f.delivery("acme", "d1").NextAt)
	f.refused(authority.ErrExists, "acme", func(tx authority.Tx) error { return tx.AddDelivery(full) })

	full.Attempts = []api.Attempt{
		{Number: 1, At: at(3), StatusCode: 503, DurationMS: 12, Answer: "busy \x00\xff", Error: "no \x00"},
		{Number: 2, At: at(4), DurationMS: 5000, Error: "timeout"},
	}
	f.update("acme", func(tx authority.Tx) error {
		if err := tx.AddAttempt("d1", full.Attempts[1]); err != nil {
			return err
		}
		return tx.AddAttempt("d1", full.Attempts[0])
	})
	equal(f, "with attempts", f.delivery("acme", "d1"), full)
	f.utc("attempt", f.delivery("acme", "d1").Attempts[0].At)

	full.Status, full.NextAt = api.DeliveryFailed, nil
	changed := full
	changed.Body, changed.Event = []byte("changed"), "changed"
	f.update("acme", func(tx authority.Tx) error { return tx.SaveDelivery(changed) })
	equal(f, "saved", f.delivery("acme", "d1"), full)
	f.refused(authority.ErrNotFound, "acme", func(tx authority.Tx) error { return tx.SaveDelivery(delivery("d9")) })
	absent(f, "acme", "delivery", func(s authority.Snapshot) (api.Delivery, error) { return s.Delivery("d9") })

	want := []api.Delivery{full, bare}
	f.update("acme", func(tx authority.Tx) error {
		want = want[:2]
		if err := tx.SaveWebhook(webhook("wh_2")); err != nil {
			return err
		}
		for i := range 300 {
			d := delivery(fmt.Sprintf("d3%03d", i))
			d.Attempts = []api.Attempt{{Number: 1, At: at(i)}}
			if err := tx.AddDelivery(d); err != nil {
				return err
			}
			if err := tx.AddAttempt(d.ID, d.Attempts[0]); err != nil {
				return err
			}
			want = append(want, d)
		}
		another := delivery("d9")
		another.WebhookID = "wh_2"
		return tx.AddDelivery(another)
	})
	slices.Reverse(want)
	list := func(before string, limit int) []api.Delivery {
		return must(f, "acme", func(s authority.Snapshot) ([]api.Delivery, error) { return s.Deliveries("wh_1", before, limit) })
	}
	equal(f, "newest first", list("", 1000), want)
	equal(f, "a page", list("d3100", 7), want[200:207])
	equal(f, "none asked for", list("", 0), nil)
}

func testClaimDelivery(f *fixture) {
	sent, unscheduled := delivery("d2"), delivery("d3")
	sent.Status = api.DeliveryDelivered
	unscheduled.NextAt, unscheduled.CreatedAt = nil, at(12)
	f.hooked("acme", delivery("d1"), sent, unscheduled)
	claim := func(id string, now, until time.Time, want bool) {
		f.Helper()
		f.update("acme", func(tx authority.Tx) error {
			got, err := tx.ClaimDelivery(id, now, until)
			if got != want {
				f.Errorf("claim %s at %v: got %v", id, now, got)
			}
			return err
		})
	}
	equal(f, "due before", f.due(at(9), 10), nil)
	claim("d1", at(9), at(99), false)
	equal(f, "due", f.due(at(10), 10), []authority.DeliveryRef{{Org: "acme", ID: "d1"}})
	equal(f, "due, oldest first", f.due(at(12), 10), []authority.DeliveryRef{{Org: "acme", ID: "d1"}, {Org: "acme", ID: "d3"}})
	equal(f, "due, one", f.due(at(12), 1), []authority.DeliveryRef{{Org: "acme", ID: "d1"}})
	equal(f, "due, none asked for", f.due(at(12), 0), nil)
	claim("d1", at(10), at(20), true)
	claim("d1", at(10), at(20), false)
	claim("d1", at(19), at(30), false)
	equal(f, "due while claimed", f.due(at(19), 10), []authority.DeliveryRef{{Org: "acme", ID: "d3"}})
	equal(f, "claimed", *f.delivery("acme", "d1").NextAt, at(20))
	claim("d1", at(20), at(30), true) // whoever claimed it before has died
	claim("d3", at(12), at(30), true)
	claim("d2", at(20), at(30), false)
	claim("nothing", at(20), at(30), false)
	f.update("other", func(tx authority.Tx) error {
		got, err := tx.ClaimDelivery("d1", at(99), at(100))
		if got {
			f.Error("other claimed a delivery of acme")
		}
		return err
	})
}

func testSupersedePromotes(f *fixture) {
	rollback, elsewhere, sent := delivery("d2"), delivery("d3"), delivery("d4")
	rollback.Event = api.EventRollback
	elsewhere.RolloutID = "ro_2"
	sent.Status, sent.NextAt = api.DeliveryDelivered, nil
	f.hooked("acme", delivery("d1"), rollback, elsewhere, sent, delivery("d5"))
	f.hooked("other", delivery("d1"))
	f.update("acme", func(tx authority.Tx) error {
		// One of them is being sent at this moment.
		if _, err := tx.ClaimDelivery("d5", at(10), at(20)); err != nil {
			return err
		}
		n, err := tx.SupersedePromotes("ro_1")
		equal(f, "superseded", n, 2)
		return err
	})
	for _, want := range []api.Delivery{rollback, elsewhere, sent} {
		equal(f, "untouched", f.delivery("acme", want.ID), want)
	}
	equal(f, "of another org", f.delivery("other", "d1"), delivery("d1"))
	superseded := delivery("d5")
	superseded.Status, superseded.NextAt = api.DeliverySuperseded, nil
	equal(f, "superseded", f.delivery("acme", "d5"), superseded)

	// What became of the sending no longer matters, and nobody sends it again.
	done := delivery("d5")
	done.Status = api.DeliveryPending
	f.update("acme", func(tx authority.Tx) error { return tx.SaveDelivery(done) })
	equal(f, "still superseded", f.delivery("acme", "d5"), superseded)
	equal(f, "due", f.due(at(1000), 10), []authority.DeliveryRef{{Org: "other", ID: "d1"}, {Org: "acme", ID: "d2"}, {Org: "acme", ID: "d3"}})
	f.update("acme", func(tx authority.Tx) error {
		n, err := tx.SupersedePromotes("ro_1")
		equal(f, "superseded again", n, 0)
		return err
	})
}
