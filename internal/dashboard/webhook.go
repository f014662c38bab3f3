package dashboard

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/cobound/prova/api"
)

// pageOfDeliveries is how many deliveries stand on a page.
const pageOfDeliveries = 25

// webhookPage is a receiver with what was sent to it.
type webhookPage struct {
	api.Webhook
	Sentence   string
	Deliveries []deliveryRow
	// Older is the next page, and Newest whether this is the first one.
	Older  string
	Newest bool
	// Refused is why the last thing that was asked for was not done.
	Refused attempted
	// MayRead is whether the reader may see rollouts.
	MayRead bool
}

// deliveryRow is a delivery as it is shown.
type deliveryRow struct {
	api.Delivery
	Latest moment
	// Tries are its attempts, the newest first, and Outcome what came of the newest in a few words.
	Tries   []api.Attempt
	Outcome string
	// Sent is the body in lines.
	Sent string
	// Again is whether it can be sent again.
	Again bool
	// Test is whether somebody asked for it to try the receiver.
	Test bool
}

func (h *Handler) deliveryRow(d api.Delivery) deliveryRow {
	row := deliveryRow{Delivery: d, Latest: h.moment(d.CreatedAt), Outcome: "not tried yet", Again: d.Status != api.DeliverySuperseded, Test: d.RolloutID == ""}
	row.Tries = slices.SortedFunc(slices.Values(d.Attempts), func(a, b api.Attempt) int { return cmp.Compare(b.Number, a.Number) })
	if len(row.Tries) > 0 {
		row.Latest, row.Outcome = h.moment(row.Tries[0].At), outcomeOf(row.Tries[0])
	}
	var body bytes.Buffer
	if json.Indent(&body, d.Body, "", "  ") != nil {
		body.Write(d.Body)
	}
	row.Sent = body.String()
	return row
}

// outcomeOf is what came of an attempt: the status that was answered, or why there was none.
func outcomeOf(a api.Attempt) string {
	switch {
	case a.StatusCode == 0 && a.Error != "":
		return "no answer"
	case a.StatusCode == 0:
		return "not tried to the end"
	}
	if text := http.StatusText(a.StatusCode); text != "" {
		return strconv.Itoa(a.StatusCode) + " " + text
	}
	return strconv.Itoa(a.StatusCode)
}

func (h *Handler) webhookDetail(r *request) error {
	return h.showWebhook(r, http.StatusOK, r.PathValue("id"), attempted{})
}

func (h *Handler) showWebhook(r *request, status int, id string, refused attempted) error {
	hook, err := h.Cases.Webhook(r.Context(), r.who, id)
	if err != nil {
		return err
	}
	before := r.Query("before")
	list, err := h.Cases.Deliveries(r.Context(), r.who, id, before, pageOfDeliveries)
	if err != nil {
		return err
	}
	page := webhookPage{Webhook: hook, Newest: before == "", Refused: refused, MayRead: r.who.May(api.ReleaseRead)}
	for _, d := range list.Items {
		page.Deliveries = append(page.Deliveries, h.deliveryRow(d))
	}
	if list.NextCursor != "" {
		page.Older = "/webhooks/" + url.PathEscape(hook.ID) + "?before=" + url.QueryEscape(list.NextCursor)
	}
	page.Sentence = webhookSentence(hook, page.Deliveries)
	return r.page(status, "webhook", "Webhook", "copy.js", page)
}

// webhookSentence says what became of the newest delivery.
func webhookSentence(hook api.Webhook, deliveries []deliveryRow) string {
	if !hook.Enabled {
		return "Switched off: the receiver answered 410 Gone. Delete it, and create it again when the receiver is back."
	}
	if len(deliveries) == 0 {
		return "Nothing was sent yet. Send a test to see whether the receiver takes it."
	}
	switch d := deliveries[0]; d.Status {
	case api.DeliveryDelivered:
		return "The receiver took the newest delivery: " + d.Outcome + "."
	case api.DeliveryPending:
		return "The newest delivery is under way: " + d.Outcome + "."
	case api.DeliveryFailed:
		return "The receiver did not take the newest delivery, which is not tried again by itself: " + d.Outcome + "."
	case api.DeliverySuperseded:
		return "The newest delivery was not sent: a rollback came before it."
	}
	return ""
}

func (h *Handler) testWebhook(r *request) error {
	id := r.PathValue("id")
	d, err := h.Cases.TestWebhook(r.Context(), r.who, id)
	return h.sent(r, id, d, err)
}

func (h *Handler) redeliver(r *request) error {
	id := r.PathValue("id")
	if _, err := h.Cases.Webhook(r.Context(), r.who, id); err != nil {
		return err
	}
	delivery := r.PostForm.Get("delivery")
	if delivery == "" {
		return h.sent(r, id, api.Delivery{}, invalid("/delivery", "say which delivery is to be sent again: press the button beside it"))
	}
	d, err := h.Cases.Redeliver(r.Context(), r.who, delivery)
	return h.sent(r, id, d, err)
}

// sent goes back to the webhook and says there what became of a delivery.
func (h *Handler) sent(r *request, id string, d api.Delivery, err error) error {
	if a, ok := refusal(err); err != nil && ok {
		return h.showWebhook(r, a.Status, id, a)
	}
	if err != nil {
		return err
	}
	return r.see("/webhooks/"+url.PathEscape(d.WebhookID), "delivery-"+string(d.Status))
}

func (h *Handler) confirmDeleteWebhook(r *request) error {
	hook, err := h.Cases.Webhook(r.Context(), r.who, r.PathValue("id"))
	if err != nil {
		return err
	}
	at := "/webhooks/" + url.PathEscape(hook.ID)
	return r.page(http.StatusOK, "forms", "Delete a webhook", "", confirmation{
		Title: "Delete this webhook?", What: hook.URL, Button: "Delete the webhook", Action: at + "/delete", Back: at,
		Says: "What was not delivered is not sent any more, and its deliveries are not shown any more. That it was deleted, and by which key, is signed into the log.",
	})
}

func (h *Handler) deleteWebhook(r *request) error {
	if err := h.Cases.DeleteWebhook(r.Context(), r.who, r.PathValue("id")); err != nil {
		return err
	}
	return r.see("/webhooks", "webhook-deleted")
}
