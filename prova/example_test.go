package prova_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/prova"
	"github.com/cobound/prova/receipt"
)

func readAll(t *testing.T, resp *http.Response) []byte {
	t.Helper()
	data, err := io.ReadAll(resp.Body)
	ok(t, errors.Join(err, resp.Body.Close()))
	return data
}

// eventOf reads the event in a receipt's body.
func eventOf(t *testing.T, body []byte) api.Event {
	t.Helper()
	var e api.Event
	ok(t, json.Unmarshal(body, &e))
	return e
}

// One call records a run, with its release, how long it took and whether it succeeded.
func ExampleRecorder_Run() {
	server := startServer() // in a program: PROVA_BASE_URL and PROVA_API_KEY
	defer server.Stop()

	rec := prova.NewRecorder(prova.RecorderOptions{
		BaseURL: server.URL, APIKey: server.Key,
		AppID: "claims-agent", Release: "v37", // in a program: PROVA_RELEASE, set where you deploy
	})
	err := rec.Run(context.Background(), func(_ context.Context, run *prova.Run) error {
		run.Input("Is claim 17 covered?")
		run.Output("Yes.")
		run.Metric("cost_usd", 0.0123)
		return nil
	})
	fmt.Println("the agent:", err)
	fmt.Println("sent:", rec.Close(context.Background()) == nil)

	client, _ := prova.New(prova.Options{BaseURL: server.URL, APIKey: server.Key})
	releases, _ := client.Releases(context.Background(), "claims-agent")
	for _, r := range releases.Items {
		fmt.Println(r.Release, r.Runs)
	}
	// Output:
	// the agent: <nil>
	// sent: true
	// v37 1
}

// What was measured elsewhere is recorded as it is; what becomes known later
// is added to its run.
func ExampleRecorder_Record() {
	server := startServer()
	defer server.Stop()
	rec := prova.NewRecorder(prova.RecorderOptions{BaseURL: server.URL, APIKey: server.Key, AppID: "claims-agent", Release: "v37"})

	id := rec.Record(prova.RunRecord{
		ProbeID: "claim-0017",
		Metrics: map[string]any{"success": true, "latency_ms": 812, "tokens": 2210},
	})
	rec.Outcome(id, map[string]any{"score": 0.82}) // a reviewer's, a day later

	fmt.Println(rec.Close(context.Background()))
	fmt.Println("recorded", rec.Stats().Recorded, "sent", rec.Stats().Sent)
	// Output:
	// <nil>
	// recorded 2 sent 2
}

// The server is away. The agent goes on; Flush says what is left, and the
// recorder keeps it.
func ExampleRecorder_Flush() {
	rec := prova.NewRecorder(prova.RecorderOptions{
		BaseURL: "http://127.0.0.1:1", APIKey: "prv_id_secret", AppID: "claims-agent", Release: "v37",
		Logger: slog.New(slog.DiscardHandler), // in a program: leave it out, to be told
	})
	rec.Record(prova.RunRecord{Metrics: map[string]any{"success": true}})

	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if unsent, ok := errors.AsType[*prova.UnsentError](rec.Flush(ctx)); ok {
		fmt.Println("queued:", unsent.Queued)
	}
	if unsent, ok := errors.AsType[*prova.UnsentError](rec.Close(ctx)); ok {
		fmt.Println("lost:", unsent.Lost) // with a SpoolDir it would be kept
	}
	// Output:
	// queued: 1
	// lost: 1
}

// A deployment obeys signed webhooks, each once.
func ExampleNewWebhookReceiver() {
	const secret = "whsec_c2VjcmV0" // as the webhook's creation showed it
	receiver, err := prova.NewWebhookReceiver(func(_ context.Context, e api.WebhookEvent) error {
		fmt.Println("set", e.Data.CandidateRelease, "to", e.Data.Weight, "%")
		return nil
	}, secret)
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(receiver)
	defer server.Close()

	body := `{"event":"rollout.promote","data":{"rollout_id":"ro_1","candidate_release":"v37","weight":25,"decision_event_id":"evt_2","sequence":2}}`
	for range 2 { // the second is what a replay, or a lost answer, looks like
		resp, err := http.DefaultClient.Do(signedRequest(server.URL, body, secret))
		if err != nil {
			panic(err)
		}
		_ = resp.Body.Close()
		fmt.Println(resp.StatusCode)
	}
	// Output:
	// set v37 to 25 %
	// 204
	// 204
}

// A receipt is believed because of a pinned key, not because of who sent it.
func ExampleVerifyReceipt() {
	server := startServer()
	defer server.Stop()
	ctx := context.Background()
	client, _ := prova.New(prova.Options{BaseURL: server.URL, APIKey: server.Key})
	keys, _ := client.SigningKeys(ctx) // once, over a channel that you trust; then keep them
	saved, _ := json.Marshal(keys)

	answer, _ := client.Ingest(ctx, []api.Event{{
		Kind: api.KindAgentRun, Source: api.EventSource{AppID: "claims-agent", Release: "v37"},
		Metrics: map[string]api.Metric{"success": api.Bool(true)},
	}})
	pinned, err := receipt.ParsePublicKeys(saved)
	if err != nil {
		panic(err)
	}
	opened, err := prova.VerifyReceipt(answer.Results[0].Receipt, pinned)
	fmt.Println(opened.Kind, err)
	_, err = prova.VerifyReceipt([]byte(`{"body":{},"key_id":"","signature":""}`), pinned)
	fmt.Println(err != nil)
	// Output:
	// agent_run <nil>
	// true
}

func signedRequest(url, body, secret string) *http.Request {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set(api.SignatureHeader, api.Signature(time.Now(), []byte(body), secret))
	req.Header.Set(api.WebhookIDHeader, "msg_1")
	return req
}
