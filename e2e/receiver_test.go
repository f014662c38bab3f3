package e2e

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/prova"
)

// arrival is one attempt that reached a receiver.
type arrival struct {
	id     string
	event  api.WebhookEvent
	body   string
	status int
}

// receiver is a CD system: it verifies each delivery in both ways before it
// accepts it. A delivery that does not verify fails the test.
type receiver struct {
	testing.TB
	server *httptest.Server
	hook   api.Webhook
	// answer chooses the status; nil is always 204. attempt counts those of an id from 1.
	answer func(attempt int, e api.WebhookEvent) int

	mu       sync.Mutex
	arrivals []arrival
	attempts map[string]int
}

// subscribe starts a receiver of all events.
func (s *testServer) subscribe(answer func(attempt int, e api.WebhookEvent) int) *receiver {
	s.Helper()
	r := &receiver{TB: s.TB, answer: answer, attempts: map[string]int{}}
	r.server = httptest.NewUnstartedServer(r)
	r.listen(r.server.Listener)
	s.register(r)
	return r
}

// register makes the webhook of a receiver.
func (s *testServer) register(r *receiver) {
	s.Helper()
	hook, err := s.api().CreateWebhook(s.Context(), api.CreateWebhook{URL: "http://" + r.server.Listener.Addr().String() + "/hook", Events: api.WebhookEvents()})
	s.ok(err)
	r.mu.Lock()
	r.hook = hook
	r.mu.Unlock()
}

// listen opens the receiver at a listener.
func (r *receiver) listen(l net.Listener) {
	r.server.Listener = l
	r.server.Start()
	r.Cleanup(r.server.Close)
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the sender was killed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	event, err := prova.VerifyWebhook(req.Header, body, r.hook.Secret)
	if err != nil {
		r.Errorf("%s: %v", api.SignatureHeader, err)
	}
	standard, err := standardwebhooks.NewWebhook(r.hook.Secret)
	if err == nil {
		err = standard.Verify(body, req.Header)
	}
	if err != nil {
		r.Errorf("Standard Webhooks: %v", err)
	}
	a := arrival{id: req.Header.Get(api.WebhookIDHeader), event: event, body: string(body), status: http.StatusNoContent}
	if a.id != event.Data.DecisionEventID && !event.Data.Test {
		r.Errorf("the webhook-id is %q for the decision %q", a.id, event.Data.DecisionEventID)
	}
	r.attempts[a.id]++
	if r.answer != nil {
		a.status = r.answer(r.attempts[a.id], event)
	}
	r.arrivals = append(r.arrivals, a)
	w.WriteHeader(a.status)
}

// seen is every attempt so far.
func (r *receiver) seen() []arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]arrival{}, r.arrivals...)
}

// accepted is what was answered with 2xx, each id once, in the order of arrival.
func (r *receiver) accepted() []arrival {
	var list []arrival
	known := map[string]string{}
	for _, a := range r.seen() {
		if a.status/100 != 2 {
			continue
		}
		if body, ok := known[a.id]; ok {
			if body != a.body {
				r.Errorf("%s came with two bodies:\n%s\n%s", a.id, body, a.body)
			}
			continue
		}
		known[a.id] = a.body
		list = append(list, a)
	}
	return list
}

// await waits until an event was accepted.
func (r *receiver) await(id string, limit time.Duration) arrival {
	r.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		for _, a := range r.accepted() {
			if a.id == id {
				return a
			}
		}
		if time.Now().After(deadline) {
			r.Fatalf("%s did not arrive within %s; seen: %+v", id, limit, r.seen())
		}
	}
}

// newestWeight is the weight of the newest rollout in a list.
func newestWeight(list []byte) (int, error) {
	var page api.List[api.Rollout]
	if err := json.Unmarshal(list, &page); err != nil || len(page.Items) == 0 {
		return 0, err
	}
	return weight(page.Items[0]), nil
}

// times is how often an id came.
func (r *receiver) times(id string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attempts[id]
}
