package prova

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/cobound/prova/api"
)

// ErrWebhookBody is what [VerifyWebhook] wraps when a delivery is signed as it
// should be and its body is not that of an event that this version knows.
var ErrWebhookBody = errors.New("webhook body")

// VerifyWebhook checks that a delivery was signed with the hook's secret within
// the last five minutes, and reads it. body is the request's body exactly as it
// came: decoding and encoding it again breaks the signature. A promotion to a
// weight outside 1 to 100, a rollback to another than 0 and a decision without
// an id or a rollout are an [ErrWebhookBody].
//
// A delivery is repeated until it is answered with 2xx, so act on each header
// webhook-id once; and act on the highest sequence of a rollout, because an
// older promotion may arrive after a rollback. A [WebhookReceiver] sees to both.
func VerifyWebhook(header http.Header, body []byte, secret string) (api.WebhookEvent, error) {
	if secret == "" {
		// An empty key would verify against an empty key.
		return api.WebhookEvent{}, errors.New("webhook signature: no secret given; use the one that the webhook's creation showed")
	}
	return verifyWebhook(header, body, secret)
}

func verifyWebhook(header http.Header, body []byte, secrets ...string) (api.WebhookEvent, error) {
	if err := verifySignature(header, body, secrets...); err != nil {
		return api.WebhookEvent{}, err
	}
	event, err := readWebhook(body)
	if err != nil {
		return api.WebhookEvent{}, fmt.Errorf("%w: %w", ErrWebhookBody, err)
	}
	return event, nil
}

// verifySignature says what to look at if the signature does not hold.
func verifySignature(header http.Header, body []byte, secrets ...string) error {
	signature := header.Get(api.SignatureHeader)
	if signature == "" {
		return fmt.Errorf("%w: the header %s is missing: the request is not a delivery, or a proxy has dropped the header", api.ErrSignatureFormat, api.SignatureHeader)
	}
	err := api.VerifySignature(signature, body, time.Now(), api.SignatureTolerance, secrets...)
	switch {
	case errors.Is(err, api.ErrSignatureTime):
		return fmt.Errorf("%w: the delivery was signed more than %v from now; check both clocks", err, api.SignatureTolerance)
	case errors.Is(err, api.ErrSignature):
		return fmt.Errorf("%w: the secret is another webhook's, or something on the way has changed the body", err)
	}
	return err
}

// readWebhook reads the body of a delivery. Names are matched by case and may
// occur once, text is valid UTF-8, and nothing follows the object. A member
// that is unknown is passed over: a newer server may send more, and a rollback
// must not fail for that.
func readWebhook(body []byte) (api.WebhookEvent, error) {
	var e api.WebhookEvent
	if err := json.Unmarshal(body, &e); err != nil {
		return e, errors.New("not the JSON of a webhook event")
	}
	if e.Event != api.EventPromote && e.Event != api.EventRollback {
		return e, fmt.Errorf("the event must be %s or %s", api.EventPromote, api.EventRollback)
	}
	if e.Data.Test {
		return e, nil // is about no rollout, so that nothing in it needs to fit
	}
	if e.Data.RolloutID == "" || e.Data.DecisionEventID == "" || e.Data.Sequence < 0 {
		return e, errors.New("data.rollout_id, data.decision_event_id and data.sequence are needed")
	}
	// An absent weight decodes as 0, which must not read as "promote to nothing".
	low, high := 1, 100
	if e.Event == api.EventRollback {
		low, high = 0, 0
	}
	if w := e.Data.Weight; w < low || w > high {
		return e, fmt.Errorf("data.weight of a %s must be between %d and %d", e.Event, low, high)
	}
	return e, nil
}
