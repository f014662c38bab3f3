package authority_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/cobound/prova/api"
)

// TestOperatorActions: whatever a person does beside rollouts is a receipt that names who.
func TestOperatorActions(t *testing.T) {
	h := newHouse(t)
	before := len(h.log())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := h.CreateAPIKey(h.ctx, h.owner, api.CreateAPIKey{Name: "ci", Permissions: []api.Permission{api.ReleaseRead}})
	must(err)
	_, err = h.RevokeAPIKey(h.ctx, h.owner, key.ID)
	must(err)
	w := h.hook()
	test, err := h.TestWebhook(h.ctx, h.owner, w.ID)
	must(err)
	_, err = h.Redeliver(h.ctx, h.owner, test.ID)
	must(err)
	must(h.DeleteWebhook(h.ctx, h.owner, w.ID))
	_, err = h.CreateOrg(h.ctx, h.owner, api.CreateOrg{Name: "other"})
	must(err)

	type action struct {
		Actor  string            `json:"actor"`
		Action string            `json:"action"`
		Object map[string]string `json:"object"`
	}
	var got []string
	for _, item := range h.log()[before:] {
		var a action
		must(json.Unmarshal(item.Receipt.Body, &a))
		if item.Receipt.Kind != api.KindOperatorAction || a.Actor != h.owner.Actor() {
			t.Errorf("%s by %s", item.Receipt.Kind, a.Actor)
		}
		got = append(got, a.Action)
		want := map[string]string{
			"api_key.create": a.Object["api_key_id"], "api_key.revoke": a.Object["api_key_id"],
			"webhook.create": a.Object["webhook_id"], "webhook.redeliver": a.Object["delivery_id"], "webhook.delete": a.Object["webhook_id"], "org.create": a.Object["org"],
		}[a.Action]
		if !slices.Contains([]string{key.ID, w.ID, test.ID, "other"}, want) {
			t.Errorf("%s of %v", a.Action, a.Object)
		}
	}
	if want := []string{"api_key.create", "api_key.revoke", "webhook.create", "webhook.redeliver", "webhook.delete", "org.create"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
