package webhook_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/webhook"
	"github.com/cobound/prova/prova"
)

// A delivery goes out twice, because its first answer got lost, and is acted on once.
func Example() {
	const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	receiver, err := prova.NewWebhookReceiver(func(_ context.Context, e api.WebhookEvent) error {
		fmt.Printf("set the weight of %s to %d %%\n", e.Data.CandidateRelease, e.Data.Weight)
		return nil
	}, secret)
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(receiver)
	defer server.Close()

	sender := webhook.New(webhook.Options{AllowLoopback: true})
	for range 2 {
		sent := sender.Deliver(context.Background(), authority.Shipment{
			URL: server.URL,
			ID:  "msg_1",
			Body: []byte(`{"event": "rollout.promote", "data": {"rollout_id": "ro_1", "candidate_release": "v37",
				"weight": 25, "decision_event_id": "ev_1", "sequence": 1}}`),
			Secrets: []string{secret},
			At:      time.Now(),
		})
		fmt.Println(sent.StatusCode, sent.OK())
	}
	fmt.Println(webhook.New(webhook.Options{}).CheckURL("https://10.1.2.3/hook"))
	// Output:
	// set the weight of v37 to 25 %
	// 204 true
	// 204 true
	// addresses in 10.0.0.0/8 (private) are closed to webhooks; the operator of the server opens them with --webhook-allow-cidr 10.1.2.3/32
}
