package dashboard

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// textOnly fails the test if a page holds markup that came in as text.
func textOnly(t *testing.T, page string) {
	t.Helper()
	for _, markup := range []string{"<script>pwned", "<img src=x", "<svg onload", "<iframe", `" autofocus onfocus=pwned`, "<a href=//evil", "<a href=javascript", `href="javascript:`, "]]><b>", "<!--"} {
		if i := strings.Index(page, markup); i >= 0 {
			t.Errorf("text became markup: %s", page[max(0, i-80):min(len(page), i+80)])
		}
	}
}

// receiver answers webhooks as a test has it.
type receiver struct {
	sent   []authority.Shipment
	answer authority.Sent
	closed string // an address that is refused
}

func (r *receiver) CheckURL(url string) error {
	if url == "" || url == r.closed {
		return errors.New("this address is closed: give another one")
	}
	return nil
}

func (r *receiver) Deliver(_ context.Context, s authority.Shipment) authority.Sent {
	r.sent = append(r.sent, s)
	return r.answer
}

// receives puts a receiver in the place of the mailbox.
func (h *house) receives(answer authority.Sent) *receiver {
	r := &receiver{answer: answer}
	h.Deliverer = r
	return r
}

// hook subscribes a receiver, with changes.
func (h *house) hook(changes ...func(*api.CreateWebhook)) api.Webhook {
	h.t.Helper()
	r := api.CreateWebhook{URL: "https://cd.example/prova"}
	for _, change := range changes {
		change(&r)
	}
	hook, err := h.CreateWebhook(h.t.Context(), h.owner, r)
	if err != nil {
		h.t.Fatal(err)
	}
	return hook
}

// send makes a delivery that is a test.
func (h *house) send(hook string) api.Delivery {
	h.t.Helper()
	d, err := h.TestWebhook(h.t.Context(), h.owner, hook)
	if err != nil {
		h.t.Fatal(err)
	}
	return d
}

// settingsPages makes something for each page to show, and returns their paths by name.
func (h *house) settingsPages() map[string]string {
	h.t.Helper()
	r := h.receives(authority.Sent{StatusCode: 503, Duration: 812 * time.Millisecond, Answer: "upstream connect error or disconnect/reset before headers. " + strings.Repeat("x", 200)})
	failing := h.hook(func(w *api.CreateWebhook) {
		w.URL, w.Description = "https://cd.example/"+strings.Repeat("a-long-path/", 12), "tells Argo Rollouts in the cluster of the north"
	})
	h.send(failing.ID)
	r.answer = authority.Sent{StatusCode: 204, Duration: 31 * time.Millisecond}
	taken := h.hook(func(w *api.CreateWebhook) {
		w.AppID, w.Environment, w.Events = "claims-agent", "staging", []string{api.EventRollback}
	})
	h.send(taken.ID)
	rollout := h.judgedRollout("judged")
	h.judged("judged", rollout, 60)
	h.key(api.CreateAPIKey{Name: "claims-agent in staging, sends runs", Environment: "staging", Permissions: []api.Permission{api.AuditIngest}, ExpiresAt: ptr(h.clock.now().Add(time.Hour))})
	over := must(h.CreateAPIKey(h.t.Context(), h.owner, api.CreateAPIKey{Name: "the old CD system", Permissions: []api.Permission{api.RolloutManage, api.ReleaseRead}}))
	must(h.RevokeAPIKey(h.t.Context(), h.owner, over.ID))
	must(h.CreateOrg(h.t.Context(), h.owner, api.CreateOrg{Name: "research"}))
	return map[string]string{
		"keys": "/keys", "key-revoke": "/keys/" + h.owner.KeyID + "/revoke", "settings": "/settings",
		"judge": "/judge?rollout=" + rollout, "judge-none": "/judge?app=nobody&baseline=v1&candidate=v2",
		"webhooks": "/webhooks", "webhook": "/webhooks/" + failing.ID, "webhook-delete": "/webhooks/" + taken.ID + "/delete", "webhook-none": "/webhooks/" + h.hook().ID,
	}
}
