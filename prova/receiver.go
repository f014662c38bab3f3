package prova

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cobound/prova/api"
)

const (
	// maxDelivery is the largest body of a delivery, in bytes.
	maxDelivery = 1 << 20
	// maxNote is the longest line that is said about a delivery, in bytes.
	maxNote = 512
	// remembered bounds what a receiver remembers of deliveries and of rollouts.
	remembered = 10_000
	// actLimit is how long an action may take, unless WebhookReceiver.ActLimit says otherwise.
	actLimit = 10 * time.Minute
)

// Errors of [WebhookReceiver.Receive]. Nothing was done when it returns one of them.
var (
	// ErrWebhookRepeated is a delivery that was acted on, or that something newer of its rollout was: answer it with 2xx.
	ErrWebhookRepeated = errors.New("webhook: acted on before")
	// ErrWebhookBusy is a delivery that waited for its rollout in vain, or for which there is no memory left:
	// answer it with 503, and it is sent again.
	ErrWebhookBusy = errors.New("webhook: busy, send it again")
)

// What is no delivery, by the status that answers it.
var (
	errDeliveryMethod = errors.New("deliveries are sent with POST")
	errDeliverySize   = fmt.Errorf("a delivery holds at most %d bytes", maxDelivery)
	errDeliveryCut    = errors.New("the body could not be read to its end")
)

// actError is an action's error. Whatever it wraps, the action was begun.
type actError struct {
	event, id string
	err       error
}

func (e *actError) Error() string {
	return fmt.Sprintf("webhook: could not carry out %s %q: %v", e.event, e.id, e.err)
}

func (e *actError) Unwrap() error { return e.err }

// WebhookReceiver acts on each delivery once, and only after its signature was
// verified. Besides the header webhook-id, which is not signed, it remembers the
// highest sequence of each rollout, which stands in the signed body, so that
// neither a delivery that is sent again under another id nor a promotion that
// arrives after a rollback is acted on. A delivery is acknowledged only after it
// was acted on; those of one rollout wait for their turn.
//
// It remembers 10,000 deliveries, in memory, and no less than those of the time
// in which a signature counts: a delivery that it has no room for is put off.
// After a restart it remembers nothing, so an action is to be one that is
// harmless to repeat, as setting a weight is. It is safe for concurrent use;
// its fields are set before the first delivery.
type WebhookReceiver struct {
	// ActLimit bounds one call of act, whose context ends then; 0 or less is ten minutes.
	ActLimit time.Duration
	// Note, if set, is told by ServeHTTP in one printable line of at most 512 bytes
	// about each delivery that was refused, ignored or not carried out. It may be
	// called concurrently.
	Note func(line string)

	act     func(context.Context, api.WebhookEvent) error
	secrets []string

	mu    sync.Mutex
	acted lately[struct{}]
	last  lately[int64]
	lanes map[string]*lane
}

// lane lets the deliveries of one rollout through one at a time.
type lane struct {
	turn  chan struct{} // holds one token while somebody is in the lane
	users int           // in the lane or waiting; guarded by WebhookReceiver.mu
}

// NewWebhookReceiver makes a receiver. act carries out an event; its error
// makes the sender try again. It runs for one event of a rollout at a time, and
// its context does not end when the sender stops waiting: a deployment is not
// cut in half. A delivery of a test has Data.Test set. secrets are the live
// secrets of the hook, two during a rotation; one that is empty is an error.
func NewWebhookReceiver(act func(context.Context, api.WebhookEvent) error, secrets ...string) (*WebhookReceiver, error) {
	if len(secrets) == 0 || slices.Contains(secrets, "") || slices.Contains(secrets, api.SecretPrefix) {
		return nil, errors.New("webhook receiver: no secret given; use the one that the webhook's creation showed")
	}
	if act == nil {
		return nil, errors.New("webhook receiver: no function given that acts on an event")
	}
	return &WebhookReceiver{act: act, secrets: slices.Clone(secrets), lanes: map[string]*lane{}}, nil
}

// Receive verifies a delivery as [VerifyWebhook] does and acts on it, once. It
// waits while an earlier delivery of the rollout is acted on, until ctx ends; an
// action that was begun goes on, with the values of ctx. The error is that of
// the verification, [ErrWebhookRepeated], [ErrWebhookBusy], or one that wraps the
// action's; after the action's the delivery is not remembered.
func (r *WebhookReceiver) Receive(ctx context.Context, header http.Header, body []byte) error {
	event, err := verifyWebhook(header, body, r.secrets...)
	if err != nil {
		return err
	}
	id := header.Get(api.WebhookIDHeader)
	if id == "" || len(id) > api.MaxName {
		return fmt.Errorf("%w: the header %s is needed, with at most %d bytes", ErrWebhookBody, api.WebhookIDHeader, api.MaxName)
	}
	leave, err := r.enter(ctx, event.Data.RolloutID)
	if err != nil {
		return err
	}
	defer leave()
	// The memory goes back as far as a signature counts, so it has to count now.
	if err := verifySignature(header, body, r.secrets...); err != nil {
		return fmt.Errorf("%w: its signature counted no longer when its turn came", ErrWebhookBusy)
	}
	if err := r.settled(event, id); err != nil {
		return err
	}
	limit := r.ActLimit
	if limit <= 0 {
		limit = actLimit
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	if err := r.act(ctx, event); err != nil {
		return &actError{event.Event, id, err}
	}
	r.remember(event, id)
	return nil
}

// enter waits for the rollout's lane until ctx ends; leave gives it to the
// next. Lanes of rollouts that nobody is in are dropped.
func (r *WebhookReceiver) enter(ctx context.Context, rollout string) (leave func(), err error) {
	r.mu.Lock()
	l, ok := r.lanes[rollout]
	if !ok {
		l = &lane{turn: make(chan struct{}, 1)}
		r.lanes[rollout] = l
	}
	l.users++
	r.mu.Unlock()
	drop := func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(r.lanes, rollout)
		}
	}
	leave = func() { <-l.turn; drop() }
	select { // a lane that is free is taken, even by a sender that is gone
	case l.turn <- struct{}{}:
		return leave, nil
	default:
	}
	select {
	case l.turn <- struct{}{}:
		return leave, nil
	case <-ctx.Done():
		drop()
		return nil, fmt.Errorf("%w: an earlier delivery of rollout %q is still being carried out", ErrWebhookBusy, rollout)
	}
}

// settled says why a delivery whose turn it is is not acted on, or nothing.
func (r *WebhookReceiver) settled(event api.WebhookEvent, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := event.Data
	_, known := r.acted.get(id)
	last, seen := r.last.get(d.RolloutID)
	now := time.Now()
	switch {
	case known:
		return fmt.Errorf("%w: %s %q", ErrWebhookRepeated, event.Event, id)
	case seen && !d.Test && d.Sequence <= last:
		return fmt.Errorf("%w: %s %q is number %d of its rollout, which is at %d", ErrWebhookRepeated, event.Event, id, d.Sequence, last)
	case !r.acted.room(now) || !r.last.room(now):
		return fmt.Errorf("%w: %d deliveries came within %v", ErrWebhookBusy, remembered, 2*api.SignatureTolerance)
	}
	return nil
}

func (r *WebhookReceiver) remember(event api.WebhookEvent, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.acted.put(id, struct{}{}, now)
	if !event.Data.Test {
		r.last.put(event.Data.RolloutID, event.Data.Sequence, now)
	}
}

// ServeHTTP takes a delivery: 204 if it was acted on, now or before, 401 for a
// signature that does not hold, 400, 405 or 413 for what no server of Prova
// sends, 500 if the action failed and 503 if it is to come again. It waits for
// the delivery's turn until the sender gives up.
func (r *WebhookReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	err := r.take(w, req)
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	status, text := answerTo(err), oneLine(err.Error())
	if r.Note != nil {
		r.Note(oneLine(fmt.Sprintf("answered %d: %s", status, text)))
	}
	switch status {
	case http.StatusNoContent:
		w.WriteHeader(status)
		return
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	case http.StatusInternalServerError: // what the action says is not the sender's
		text = "the event could not be carried out; send it again"
	}
	http.Error(w, text, status)
}

func (r *WebhookReceiver) take(w http.ResponseWriter, req *http.Request) error {
	if req.Method != http.MethodPost {
		return errDeliveryMethod
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxDelivery))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errDeliverySize
	}
	if err != nil {
		return errDeliveryCut
	}
	return r.Receive(req.Context(), req.Header, body)
}

// answerTo is the status for what take returned.
func answerTo(err error) int {
	if _, ok := errors.AsType[*actError](err); ok { // first, for it may wrap any other
		return http.StatusInternalServerError
	}
	switch {
	case errors.Is(err, ErrWebhookRepeated):
		return http.StatusNoContent
	case errors.Is(err, ErrWebhookBusy):
		return http.StatusServiceUnavailable
	case errors.Is(err, errDeliveryMethod):
		return http.StatusMethodNotAllowed
	case errors.Is(err, errDeliverySize):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errDeliveryCut), errors.Is(err, ErrWebhookBody):
		return http.StatusBadRequest
	}
	return http.StatusUnauthorized
}

// oneLine makes text fit for a terminal and a log: valid UTF-8 without control
// characters, invisible ones or line breaks, at most maxNote bytes.
func oneLine(text string) string {
	text = strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case !unicode.IsPrint(c):
			return utf8.RuneError
		}
		return c
	}, text)
	return strings.ToValidUTF8(text[:min(len(text), maxNote)], "")
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
