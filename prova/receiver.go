package prova

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/cobound/prova/api"
)

const (
	// maxDelivery is the largest body of a delivery, in bytes.
	maxDelivery = 1 << 20
	// remembered bounds what a receiver remembers of deliveries and of rollouts.
	remembered = 10_000
)

// Errors of [WebhookReceiver.Receive]. Nothing was done when it returns one of them.
var (
	// ErrWebhookRepeated is a delivery that was acted on, or that something newer of its rollout was: answer it with 2xx.
	ErrWebhookRepeated = errors.New("webhook: acted on before")
	// ErrWebhookBusy is a delivery whose rollout is being acted on, or for which there is no memory left: answer
	// it with 503, and it is sent again.
	ErrWebhookBusy = errors.New("webhook: busy, send it again")
)

// WebhookReceiver acts on each delivery once. Besides the header webhook-id,
// which is not signed, it remembers the decision in the signed body and the
// highest sequence of each rollout, so that neither a delivery that is sent
// again under another id nor a promotion that arrives after a rollback is
// acted on.
//
// It remembers 10,000 deliveries, in memory, and no less than those of the time
// in which a signature counts: a delivery that it has no room for is put off.
// After a restart it remembers nothing, so an action is to be one that is
// harmless to repeat, as setting a weight is. It is safe for concurrent use.
type WebhookReceiver struct {
	act     func(context.Context, api.WebhookEvent) error
	secrets []string

	mu    sync.Mutex
	acted lately[struct{}]
	last  lately[int64]
	busy  map[string]bool
}

// NewWebhookReceiver makes a receiver. act carries out an event; its error
// makes the sender try again. It runs for one event of a rollout at a time. A
// delivery of a test has Data.Test set. secrets are the live secrets of the
// hook, two during a rotation; one that is empty is an error.
func NewWebhookReceiver(act func(context.Context, api.WebhookEvent) error, secrets ...string) (*WebhookReceiver, error) {
	if len(secrets) == 0 || slices.Contains(secrets, "") || slices.Contains(secrets, api.SecretPrefix) {
		return nil, errors.New("webhook receiver: no secret given; use the one that the webhook's creation showed")
	}
	if act == nil {
		return nil, errors.New("webhook receiver: no function given that acts on an event")
	}
	return &WebhookReceiver{act: act, secrets: slices.Clone(secrets), busy: map[string]bool{}}, nil
}

// Receive verifies a delivery as [VerifyWebhook] does and acts on it, once. The
// error is that of the verification, [ErrWebhookRepeated], [ErrWebhookBusy], or
// the action's; after the action's the delivery is not remembered.
func (r *WebhookReceiver) Receive(ctx context.Context, header http.Header, body []byte) error {
	event, err := r.verify(header, body)
	if err != nil {
		return err
	}
	id := header.Get(api.WebhookIDHeader)
	if id == "" || len(id) > api.MaxName {
		return fmt.Errorf("%w: the header %s is missing or too long", ErrWebhookBody, api.WebhookIDHeader)
	}
	if err := r.enter(event, id); err != nil {
		return err
	}
	done := false
	defer func() { r.leave(event, id, done) }()
	err = r.act(ctx, event)
	done = err == nil
	return err
}

func (r *WebhookReceiver) verify(header http.Header, body []byte) (event api.WebhookEvent, err error) {
	for _, secret := range r.secrets {
		event, err = VerifyWebhook(header, body, secret)
		if !errors.Is(err, api.ErrSignature) {
			return event, err
		}
	}
	return event, err
}

// enter takes the rollout for a delivery that is to be acted on.
func (r *WebhookReceiver) enter(event api.WebhookEvent, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := event.Data
	_, known := r.acted.get(id)
	last, seen := r.last.get(d.RolloutID)
	now := time.Now()
	switch {
	case r.busy[d.RolloutID]:
		return fmt.Errorf("%w: rollout %s is being acted on", ErrWebhookBusy, d.RolloutID)
	case known, seen && !d.Test && d.Sequence <= last:
		return ErrWebhookRepeated
	case !r.acted.room(now) || !r.last.room(now):
		return fmt.Errorf("%w: %d deliveries came within %v", ErrWebhookBusy, remembered, api.SignatureTolerance)
	}
	r.busy[d.RolloutID] = true
	return nil
}

func (r *WebhookReceiver) leave(event api.WebhookEvent, id string, done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.busy, event.Data.RolloutID)
	if !done {
		return
	}
	now := time.Now()
	r.acted.put(id, struct{}{}, now)
	if !event.Data.Test {
		r.last.put(event.Data.RolloutID, event.Data.Sequence, now)
	}
}

// ServeHTTP takes a delivery: 204 if it was acted on, now or before, 401 for
// a signature that does not hold, 400 for what no server of Prova sends, 500 if
// the action failed and 503 if it is to come again. The action's context does
// not end when the sender stops waiting: a deployment is not cut in half.
func (r *WebhookReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxDelivery))
	if err != nil {
		http.Error(w, "the body could not be read to its end, or is too large", http.StatusBadRequest)
		return
	}
	switch err := r.Receive(context.WithoutCancel(req.Context()), req.Header, body); {
	case err == nil, errors.Is(err, ErrWebhookRepeated):
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, ErrWebhookBusy):
		w.Header().Set("Retry-After", "1")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case errors.Is(err, api.ErrSignature), errors.Is(err, api.ErrSignatureTime), errors.Is(err, api.ErrSignatureFormat):
		http.Error(w, err.Error(), http.StatusUnauthorized)
	case errors.Is(err, ErrWebhookBody):
		http.Error(w, err.Error(), http.StatusBadRequest)
	default: // what the action says is not the sender's
		http.Error(w, "the event could not be carried out; send it again", http.StatusInternalServerError)
	}
}

// lately remembers values by key, the oldest first to go.
type lately[V any] struct {
	byKey map[string]*list.Element
	order list.List
}

type remember[V any] struct {
	key   string
	value V
	at    time.Time
}

func (m *lately[V]) get(key string) (value V, ok bool) {
	e, ok := m.byKey[key]
	if !ok {
		return value, false
	}
	return e.Value.(remember[V]).value, true
}

// room forgets what is old enough and says whether there is room for one more.
func (m *lately[V]) room(now time.Time) bool {
	for len(m.byKey) >= remembered {
		oldest := m.order.Front()
		r := oldest.Value.(remember[V])
		// A signature counts for the tolerance in both directions.
		if now.Sub(r.at) <= 2*api.SignatureTolerance {
			return false
		}
		m.order.Remove(oldest)
		delete(m.byKey, r.key)
	}
	return true
}

func (m *lately[V]) put(key string, value V, now time.Time) {
	if m.byKey == nil {
		m.byKey = map[string]*list.Element{}
	}
	if e, ok := m.byKey[key]; ok {
		m.order.Remove(e)
	}
	m.byKey[key] = m.order.PushBack(remember[V]{key, value, now})
}
