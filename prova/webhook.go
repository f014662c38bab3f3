package prova

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cobound/prova/api"
)

// ErrWebhookBody is what [VerifyWebhook] wraps when a delivery is signed as it
// should be and its body is not one that this version knows.
var ErrWebhookBody = errors.New("webhook body")

// VerifyWebhook checks that a delivery was signed with the hook's secret within
// the last five minutes, and reads it. body is the request's body exactly as it
// came: decoding and encoding it again breaks the signature.
//
// A delivery is repeated until it is answered with 2xx, so act on each header
// webhook-id once; and act on the highest sequence of a rollout, because an
// older promotion may arrive after a rollback. A [WebhookReceiver] sees to both.
func VerifyWebhook(header http.Header, body []byte, secret string) (api.WebhookEvent, error) {
	if secret == "" {
		// An empty key would verify against an empty key.
		return api.WebhookEvent{}, errors.New("webhook signature: no secret given; use the one that the webhook's creation showed")
	}
	signature := header.Get(api.SignatureHeader)
	if signature == "" {
		return api.WebhookEvent{}, fmt.Errorf("%w: the header %s is missing", api.ErrSignatureFormat, api.SignatureHeader)
	}
	if err := api.VerifySignature(signature, body, time.Now(), api.SignatureTolerance, secret); err != nil {
		return api.WebhookEvent{}, err
	}
	var event api.WebhookEvent
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(&event); err != nil {
		return api.WebhookEvent{}, fmt.Errorf("%w: %w", ErrWebhookBody, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return api.WebhookEvent{}, fmt.Errorf("%w: more than one JSON value", ErrWebhookBody)
	}
	if event.Event != api.EventPromote && event.Event != api.EventRollback {
		return api.WebhookEvent{}, fmt.Errorf("%w: unknown event %q", ErrWebhookBody, event.Event)
	}
	return event, nil
}
