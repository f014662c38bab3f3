package webhook

import (
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
	// maxBody is the largest delivery that is read, in bytes.
	maxBody = 1 << 20
	// maxID is the longest webhook-id, in bytes.
	maxID = 256
	// rememberedIDs and rememberedRollouts bound the memory of a Receiver.
	rememberedIDs      = 16384
	rememberedRollouts = 4096
	// DefaultActLimit is how long Act may take.
	DefaultActLimit = 10 * time.Minute
)

// ReceiverOptions are what a Receiver needs.
type ReceiverOptions struct {
	// Secrets are the live secrets of the webhook as they were shown; one of them must have signed.
	Secrets []string
	// Tolerance is how far a delivery's time may be off; 0 is api.SignatureTolerance.
	Tolerance time.Duration
	// Act carries out an event; id is the webhook-id. It runs for one event of a
	// rollout at a time, and its context does not end when the sender gives up
	// waiting: a deployment must not be cut in half. An error is answered with
	// 500, so that the sender tries again. A test delivery has Data.Test set.
	Act func(ctx context.Context, event api.WebhookEvent, id string) error
	// ActLimit bounds one call of Act; 0 is DefaultActLimit.
	ActLimit time.Duration
	// Note, if set, is told in one printable line about each delivery that was
	// refused, ignored or not carried out. It may be called concurrently.
	Note func(line string)
}

// Receiver is an http.Handler for deliveries. It remembers what it acted on in
// memory of bounded size, for as long as the process lives: an action should
// still be one that is harmless to repeat, as setting a weight is.
type Receiver struct {
	o ReceiverOptions

	mu    sync.Mutex
	ids   *memory[struct{}]
	last  *memory[acted]
	lanes map[string]*lane
}

// acted is the latest decision of a rollout that was acted on.
type acted struct {
	sequence int64
	decision string
}

// lane lets the deliveries of one rollout through one at a time.
type lane struct {
	turn  chan struct{} // holds one token while somebody is in the lane
	users int           // in the lane or waiting; guarded by Receiver.mu
}

// answer is the status of an answer and what is said with it.
type answer struct {
	status int
	text   string
}

// NewReceiver checks the options. An empty secret is an error, because
// everybody can sign with that.
func NewReceiver(o ReceiverOptions) (*Receiver, error) {
	if len(o.Secrets) == 0 || slices.Contains(o.Secrets, "") || slices.Contains(o.Secrets, api.SecretPrefix) {
		return nil, errors.New("webhook receiver: needs the secret of the webhook (whsec_…)")
	}
	if o.Act == nil {
		return nil, errors.New("webhook receiver: needs something to do with an event")
	}
	o.Secrets = slices.Clone(o.Secrets)
	if o.Tolerance <= 0 {
		o.Tolerance = api.SignatureTolerance
	}
	if o.ActLimit <= 0 {
		o.ActLimit = DefaultActLimit
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	return &Receiver{
		o:     o,
		ids:   newMemory[struct{}](rememberedIDs),
		last:  newMemory[acted](rememberedRollouts),
		lanes: map[string]*lane{},
	}, nil
}

// ServeHTTP takes one delivery: 204 when it was acted on or needs no action,
// 401 for a wrong signature, 400 or 413 for what no server of ours sends, 500
// and 503 for what is worth another try.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	a := r.receive(w, req)
	if a.status == http.StatusNoContent {
		w.WriteHeader(a.status)
		return
	}
	r.o.Note(fmt.Sprintf("answered %d: %s", a.status, a.text))
	if a.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	http.Error(w, a.text, a.status)
}

func (r *Receiver) receive(w http.ResponseWriter, req *http.Request) answer {
	if req.Method != http.MethodPost {
		return answer{http.StatusMethodNotAllowed, "deliveries are sent with POST"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return answer{http.StatusRequestEntityTooLarge, fmt.Sprintf("a delivery holds at most %d bytes", maxBody)}
	}
	if err != nil {
		return answer{http.StatusBadRequest, "the body could not be read to its end"}
	}
	if hint := r.verify(req.Header.Get(api.SignatureHeader), body); hint != "" {
		return answer{http.StatusUnauthorized, hint}
	}
	id := req.Header.Get(api.WebhookIDHeader)
	if id == "" || len(id) > maxID {
		return answer{http.StatusBadRequest, fmt.Sprintf("the header %s is needed, with at most %d bytes", api.WebhookIDHeader, maxID)}
	}
	event, err := decodeEvent(body)
	if err != nil {
		return answer{http.StatusBadRequest, err.Error()}
	}
	return r.carryOut(req.Context(), event, id)
}

// verify returns what to look at if the signature is wrong, or nothing.
func (r *Receiver) verify(header string, body []byte) string {
	if header == "" {
		return "the header " + api.SignatureHeader + " is missing: the request is not a delivery, or a proxy has dropped the header"
	}
	err := api.VerifySignature(header, body, time.Now(), r.o.Tolerance, r.o.Secrets...)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, api.ErrSignatureTime):
		return fmt.Sprintf("the delivery was signed more than %s from now: check both clocks", r.o.Tolerance)
	case errors.Is(err, api.ErrSignature):
		return "the signature does not match: the secret is another webhook's, or something on the way has changed the body"
	default:
		return err.Error()
	}
}

// carryOut acts on an event when its rollout's lane is free and nothing newer was acted on.
func (r *Receiver) carryOut(ctx context.Context, event api.WebhookEvent, id string) answer {
	leave, err := r.enter(ctx, event.Data.RolloutID)
	if err != nil {
		return answer{http.StatusServiceUnavailable, "an earlier delivery of the rollout is still being carried out"}
	}
	defer leave()
	if why := r.settled(event, id); why != "" {
		r.o.Note(fmt.Sprintf("ignored %s %q: %s", event.Event, id, why))
		return answer{status: http.StatusNoContent}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.o.ActLimit)
	defer cancel()
	if err := r.o.Act(ctx, event, id); err != nil {
		r.o.Note(fmt.Sprintf("could not carry out %s %q: %s", event.Event, id, printable([]byte(err.Error()))))
		return answer{http.StatusInternalServerError, "the event could not be carried out; send it again"}
	}
	r.remember(event, id)
	return answer{status: http.StatusNoContent}
}

// settled says why an event needs no action, or nothing.
func (r *Receiver) settled(event api.WebhookEvent, id string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.ids.get(id); ok {
		return "it was carried out before"
	}
	last, ok := r.last.get(event.Data.RolloutID)
	switch {
	case !ok || event.Data.Test:
		return ""
	case event.Data.Sequence < last.sequence:
		return fmt.Sprintf("the rollout is at sequence %d, this is %d", last.sequence, event.Data.Sequence)
	case event.Data.Sequence == last.sequence && event.Data.DecisionEventID == last.decision:
		// Our signature does not cover the id, so that a captured delivery could
		// come back under a new one.
		return "the decision was carried out before, under another id"
	}
	return ""
}

func (r *Receiver) remember(event api.WebhookEvent, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids.put(id, struct{}{})
	if !event.Data.Test {
		r.last.put(event.Data.RolloutID, acted{event.Data.Sequence, event.Data.DecisionEventID})
	}
}

// enter waits for the rollout's lane until the sender gives up; leave gives it
// to the next. Lanes of rollouts that nobody is in are dropped.
func (r *Receiver) enter(ctx context.Context, rollout string) (leave func(), err error) {
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
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn; drop() }, nil
	case <-ctx.Done():
		drop()
		return nil, ctx.Err()
	}
}
