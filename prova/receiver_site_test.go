package prova_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/prova"
)

const newHookSecret = "whsec_bmV3"

// site is a system that carries out what it is told, and keeps account.
type site struct {
	*prova.WebhookReceiver
	t     *testing.T
	mu    sync.Mutex
	acted []string
	notes []string
	fail  error
	panic any
	pause time.Duration
}

func newSite(t *testing.T) *site {
	s := &site{t: t}
	var err error
	s.WebhookReceiver, err = prova.NewWebhookReceiver(s.act, hookSecret, newHookSecret)
	ok(t, err)
	s.Note = func(line string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.notes = append(s.notes, line)
	}
	return s
}

func (s *site) act(ctx context.Context, e api.WebhookEvent) error {
	s.mu.Lock()
	pause, fail, fault := s.pause, s.fail, s.panic
	s.mu.Unlock()
	if fault != nil {
		panic(fault)
	}
	time.Sleep(pause)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if fail == nil {
		s.acted = append(s.acted, fmt.Sprintf("%s %d", e.Data.RolloutID, e.Data.Sequence))
	}
	return fail
}

// want compares what was acted on since the beginning.
func (s *site) want(acted ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.acted, acted) {
		s.t.Errorf("acted on %q, want %q", s.acted, acted)
	}
}

// send delivers an event signed now and returns the status.
func (s *site) send(id string, e api.WebhookEvent) int {
	s.t.Helper()
	return s.serve(signed(id, mustJSON(s.t, e), time.Now(), hookSecret)).Code
}

func (s *site) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func signed(id, body string, at time.Time, secret string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set(api.SignatureHeader, api.Signature(at, []byte(body), secret))
	r.Header.Set(api.WebhookIDHeader, id)
	return r
}

// promote is a decision of a rollout; its id follows from both.
func promote(rollout string, sequence int64) api.WebhookEvent {
	return api.WebhookEvent{Event: api.EventPromote, Data: api.WebhookData{
		RolloutID: rollout, Sequence: sequence, Weight: 25, DecisionEventID: fmt.Sprintf("%s-%d", rollout, sequence),
	}}
}

func rollback(rollout string, sequence int64) api.WebhookEvent {
	e := promote(rollout, sequence)
	e.Event, e.Data.Weight, e.Data.Terminal = api.EventRollback, 0, true
	return e
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	ok(t, err)
	return string(b)
}

// Whatever is not acted on is acknowledged all the same, and told.
func TestReceiverKeepsOrder(t *testing.T) {
	s := newSite(t)
	for _, d := range []struct {
		id   string
		e    api.WebhookEvent
		note string
	}{
		{"m1", promote("r1", 1), ""},
		{"m4", rollback("r1", 4), ""},
		{"m3", promote("r1", 3), `rollout.promote "m3" is number 3 of its rollout, which is at 4`}, // came too late
		{"m1", promote("r1", 1), `acted on before: rollout.promote "m1"`},
		{"x4", rollback("r1", 4), `"x4" is number 4`}, // under an id that the signature does not cover
		{"n1", promote("r2", 1), ""},                  // another rollout has its own order
		{"m5", promote("r1", 5), ""},
	} {
		s.notes = nil
		if got := s.send(d.id, d.e); got != http.StatusNoContent {
			t.Errorf("%s: got %d", d.id, got)
		}
		if said := strings.Join(s.notes, "\n"); !strings.Contains(said, d.note) || (said == "") != (d.note == "") {
			t.Errorf("%s: said %q, want %q", d.id, said, d.note)
		}
	}
	s.want("r1 1", "r1 4", "r2 1", "r1 5")
}

func TestReceiverFailureIsTriedAgain(t *testing.T) {
	s := newSite(t)
	for _, fail := range []error{
		errors.New("exit status 1\x1b[2J: token\n s3cret " + strings.Repeat("é", 1000)),
		// The action's error is no answer about this delivery, whatever it wraps.
		fmt.Errorf("exit status 1 s3cret: %w", prova.ErrWebhookRepeated), fmt.Errorf("exit status 1 s3cret: %w", api.ErrSignature),
	} {
		s.fail, s.notes = fail, nil
		w := s.serve(signed("m2", mustJSON(t, promote("r1", 2)), time.Now(), hookSecret))
		if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "s3cret") {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
		if len(s.notes) != 1 || !strings.Contains(s.notes[0], `could not carry out rollout.promote "m2": exit status 1`) ||
			strings.ContainsAny(s.notes[0], "\x1b\n") || len(s.notes[0]) > 512 || !strings.Contains(s.notes[0], "s3cret") {
			t.Errorf("notes: %q", s.notes)
		}
	}
	s.want()
	// A failure moves nothing: neither the id nor an earlier decision is taken for done.
	s.fail = nil
	for id, sequence := range []int64{1, 2} {
		if got := s.send(fmt.Sprint("m", id+1), promote("r1", sequence)); got != http.StatusNoContent {
			t.Errorf("got %d", got)
		}
	}
	s.want("r1 1", "r1 2")
}

func TestReceiverRefusesSignatures(t *testing.T) {
	good := mustJSON(t, promote("r1", 1))
	now := time.Now()
	sign := func(at time.Time, body, secret string) func(http.Header) {
		return func(h http.Header) { h.Set(api.SignatureHeader, api.Signature(at, []byte(body), secret)) }
	}
	for _, c := range []struct {
		name   string
		change func(h http.Header)
		hint   string
	}{
		{"none", func(h http.Header) { h.Del(api.SignatureHeader) }, "a proxy has dropped"},
		{"malformed", func(h http.Header) { h.Set(api.SignatureHeader, "sha256=00") }, "malformed"},
		{"another secret", sign(now, good, "whsec_b3RoZXI="), "another webhook's"},
		{"another body", sign(now, good+" ", hookSecret), "changed the body"},
		{"old", sign(now.Add(-6*time.Minute), good, hookSecret), "check both clocks"},
		{"from the future", sign(now.Add(6*time.Minute), good, hookSecret), "check both clocks"},
		{"Standard Webhooks alone", func(h http.Header) {
			sig, err := api.StandardSignature("m1", now, []byte(good), hookSecret)
			ok(t, err)
			h.Del(api.SignatureHeader)
			h.Set(api.WebhookSignatureHeader, sig)
		}, "missing"},
	} {
		s := newSite(t)
		r := signed("m1", good, now, hookSecret)
		c.change(r.Header)
		w := s.serve(r)
		if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), c.hint) {
			t.Errorf("%s: got %d %s", c.name, w.Code, w.Body)
		}
		if len(s.notes) != 1 || !strings.Contains(s.notes[0], "answered 401: ") || !strings.Contains(s.notes[0], c.hint) {
			t.Errorf("%s: notes %q", c.name, s.notes)
		}
		s.want()
	}
	s := newSite(t)
	if w := s.serve(signed("m1", good, now, newHookSecret)); w.Code != http.StatusNoContent {
		t.Errorf("the second secret: got %d", w.Code)
	}
	s.Note = nil // nobody needs to be told
	if w := s.serve(httptest.NewRequest(http.MethodPost, "/", nil)); w.Code != http.StatusUnauthorized {
		t.Errorf("without a note: got %d", w.Code)
	}
}

func TestReceiverRefusesMalformed(t *testing.T) {
	const maxBody = 1 << 20
	good := mustJSON(t, promote("r1", 1))
	with := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in %s", old, good)
		}
		return strings.Replace(good, old, new, 1)
	}
	for _, c := range []struct {
		body string
		want int
	}{
		{good, 204},
		{with(`"weight":25`, `"weight":25,"later":{"more":1}`), 204},
		{with(`"weight":25`, `"weight":100`), 204},
		{"", 400},
		{"null", 400},
		{"[]", 400},
		{"{}", 400},
		{good + good, 400},
		{good + "x", 400},
		{good[:len(good)-1], 400},
		{with(`"weight":25`, `"weight":25,"weight":100`), 400},
		{with(`"weight":25`, `"Weight":25`), 400},
		{with(`"weight":25`, `"weight":"25"`), 400},
		{with(`"weight":25`, `"weight":25.5`), 400},
		{with(`"weight":25`, `"weight":0`), 400},
		{with(`"weight":25`, `"weight":101`), 400},
		{with(`"weight":25`, `"weight":-1`), 400},
		{with(api.EventPromote, api.EventRollback), 400}, // a rollback to 25 %
		{with(api.EventPromote, "rollout.explode"), 400},
		{with(`"rollout_id":"r1"`, `"rollout_id":""`), 400},
		{with(`"rollout_id":"r1"`, "\"rollout_id\":\"\xff\""), 400},
		{with(`"decision_event_id":"r1-1"`, `"decision_event_id":""`), 400},
		{with(`"sequence":1`, `"sequence":-1`), 400},
		{with(`"sequence":1`, `"sequence":9223372036854775808`), 400},
		{strings.Repeat(" ", maxBody-len(good)) + good, 204},
		{strings.Repeat(" ", maxBody-len(good)+1) + good, 413},
	} {
		s := newSite(t)
		if w := s.serve(signed("m1", c.body, time.Now(), hookSecret)); w.Code != c.want {
			t.Errorf("%.120q: got %d %s, want %d", c.body, w.Code, w.Body, c.want)
		}
		if (len(s.acted) == 1) != (c.want == 204) {
			t.Errorf("%.120q: acted on %q", c.body, s.acted)
		}
	}
	s := newSite(t)
	for _, id := range []string{"", strings.Repeat("x", api.MaxName+1)} {
		if w := s.serve(signed(id, good, time.Now(), hookSecret)); w.Code != http.StatusBadRequest {
			t.Errorf("id %.5q: got %d", id, w.Code)
		}
	}
	w := s.serve(httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: got %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestReceiverTestDeliveries(t *testing.T) {
	s := newSite(t)
	s.send("m5", promote("r1", 5))
	test := api.WebhookEvent{Event: api.EventPromote, Data: api.WebhookData{RolloutID: "r1", Test: true}}
	for range 2 {
		if got := s.send("t1", test); got != http.StatusNoContent {
			t.Errorf("got %d", got)
		}
	}
	s.send("m4", promote("r1", 4))
	s.want("r1 5", "r1 0")
}

// The sender gives up after ten seconds and tries again while act still runs.
func TestReceiverRetryDuringAct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.pause = time.Minute
		b := mustJSON(t, promote("r1", 1))
		codes := make([]int, 3)
		var wg sync.WaitGroup
		for i, after := range []time.Duration{0, 15 * time.Second, 55 * time.Second} {
			wg.Go(func() {
				time.Sleep(after)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				codes[i] = s.serve(signed("m1", b, time.Now(), hookSecret).WithContext(ctx)).Code
			})
		}
		wg.Go(func() { // another rollout does not wait
			time.Sleep(time.Second)
			start := time.Now()
			if got := s.send("n1", promote("r2", 1)); got != 204 || time.Since(start) != time.Minute {
				t.Errorf("got %d after %s", got, time.Since(start))
			}
		})
		wg.Wait()
		if want := []int{204, 503, 204}; !slices.Equal(codes, want) {
			t.Errorf("got %d, want %d", codes, want)
		}
		s.want("r1 1", "r2 1")
	})
}

// A signature that was good on arrival counts no longer after a long wait: the memory does not go back further.
func TestReceiverLongWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.pause = api.SignatureTolerance + 2*time.Second
		var wg sync.WaitGroup
		wg.Go(func() { s.send("m1", promote("r1", 1)) })
		synctest.Wait() // m1 is in the lane
		h, b := delivery("m2", "r1", 2, false)
		if err := s.Receive(t.Context(), h, b); !errors.Is(err, prova.ErrWebhookBusy) {
			t.Errorf("got %v", err)
		}
		wg.Wait()
		s.want("r1 1")
		h, b = delivery("m2", "r1", 2, false)
		ok(t, s.Receive(t.Context(), h, b))
	})
}

func TestReceiverActLimit(t *testing.T) {
	for limit, bound := range map[time.Duration]time.Duration{0: 10 * time.Minute, time.Second: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t)
			s.ActLimit = limit
			for pause, want := range map[time.Duration]int{bound - time.Millisecond: 204, bound + time.Millisecond: 500} {
				s.pause = pause
				if got := s.send(fmt.Sprint(pause), promote(fmt.Sprint(pause), 1)); got != want {
					t.Errorf("limit %v: %v is answered with %d, want %d", limit, pause, got, want)
				}
			}
		})
	}
}

func TestReceiverSurvivesAPanicOfAct(t *testing.T) {
	s := newSite(t)
	s.panic = http.ErrAbortHandler
	func() {
		defer func() { _ = recover() }()
		s.send("m1", promote("r1", 1))
		t.Error("the panic is hidden")
	}()
	s.panic = nil
	s.send("m1", promote("r1", 1))
	s.want("r1 1")
}

func TestReceiverConcurrentDuplicates(t *testing.T) {
	s := newSite(t)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { s.send("m1", promote("r1", 1)) })
	}
	wg.Wait()
	s.want("r1 1")
}
