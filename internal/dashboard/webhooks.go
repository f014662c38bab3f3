package dashboard

import (
	"net/http"
	"slices"

	"github.com/cobound/prova/api"
)

// webhookListPage is the list of receivers, and the form for one more.
type webhookListPage struct {
	Sentence string
	Rows     []webhookRow
	Form     webhookForm
	// Made is the webhook that was just created, with its secret; nil otherwise.
	Made *api.Webhook
	// Apps are those to suggest; empty where the key may not see them.
	Apps []string
}

// webhookRow is a receiver and what became of the newest delivery to it.
type webhookRow struct {
	api.Webhook
	Last *deliveryRow
}

// webhookForm is the form as it was filled in.
type webhookForm struct {
	api.CreateWebhook
	attempted
	// Limited is the environment that the reader's key is limited to; empty is none.
	Limited string
}

// Events are all, each with whether it is ticked: at first all are.
func (f webhookForm) Events() []choice {
	var out []choice
	for _, e := range api.WebhookEvents() {
		out = append(out, choice{Name: e, Says: webhookEventSays(e), On: f.Problem == nil || slices.Contains(f.CreateWebhook.Events, e)})
	}
	return out
}

func webhookEventSays(event string) string {
	if event == api.EventPromote {
		return "a canary goes up to the next weight, or is promoted"
	}
	return "a canary goes back to weight 0"
}

// choice is a box to tick.
type choice struct {
	Name, Says string
	On         bool
}

func (h *Handler) webhookList(r *request) error {
	return h.showWebhooks(r, http.StatusOK, webhookForm{CreateWebhook: api.CreateWebhook{Environment: r.who.Environment}}, nil)
}

func (h *Handler) showWebhooks(r *request, status int, form webhookForm, made *api.Webhook) error {
	hooks, err := h.Cases.Webhooks(r.Context(), r.who)
	if err != nil {
		return err
	}
	form.Limited = r.who.Environment
	page := webhookListPage{Form: form, Made: made}
	silent := 0
	for i := len(hooks) - 1; i >= 0; i-- { // the newest first
		row := webhookRow{Webhook: hooks[i]}
		last, err := h.Cases.Deliveries(r.Context(), r.who, row.ID, "", 1)
		if err != nil {
			return err
		}
		if len(last.Items) > 0 {
			d := h.deliveryRow(last.Items[0])
			row.Last = &d
			if d.Status != api.DeliveryDelivered && d.Status != api.DeliverySuperseded {
				silent++
			}
		}
		page.Rows = append(page.Rows, row)
	}
	page.Sentence = webhooksSentence(len(hooks), silent)
	if r.who.May(api.ReleaseRead) {
		releases, err := h.Cases.Releases(r.Context(), r.who, "")
		if err != nil {
			return err
		}
		page.Apps = appsOf(releases)
	}
	return r.page(status, "webhooks", "Webhooks", "copy.js", page)
}

// webhooksSentence says how many receivers there are, and how many did not take what was sent last.
func webhooksSentence(hooks, silent int) string {
	receivers := plural(int64(hooks), "receiver")
	switch {
	case hooks == 0:
		return "Nobody is told when a canary is promoted or rolled back."
	case silent == 0:
		return receivers + "; none has refused what was sent to it last."
	case silent == 1:
		return receivers + "; one has not taken what was sent to it last."
	}
	return receivers + "; " + plural(int64(silent), "receiver") + " have not taken what was sent to them last."
}

func (h *Handler) createWebhook(r *request) error {
	asked := api.CreateWebhook{
		URL: r.PostForm.Get("url"), Events: r.PostForm["events"], AppID: r.PostForm.Get("app"),
		Environment: r.PostForm.Get("environment"), Description: r.PostForm.Get("description"),
	}
	if len(asked.Events) == 0 { // the use case would take all
		return h.refuseWebhook(r, asked, invalid("/events", "tick at least one event: without one nothing would ever be sent"))
	}
	made, err := h.Cases.CreateWebhook(r.Context(), r.who, asked)
	if err != nil {
		return h.refuseWebhook(r, asked, err)
	}
	return h.showWebhooks(r, http.StatusCreated, webhookForm{}, &made)
}

func (h *Handler) refuseWebhook(r *request, asked api.CreateWebhook, err error) error {
	a, ok := refusal(err)
	if !ok {
		return err
	}
	return h.showWebhooks(r, a.Status, webhookForm{CreateWebhook: asked, attempted: a}, nil)
}
