package webhook

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
)

// site is a system that carries out what it is told, and keeps account.
type site struct {
	*Receiver
	t     *testing.T
	mu    sync.Mutex
	acted []string
	notes []string
	fail  error
	pause time.Duration
}

func newSite(t *testing.T) *site {
	s := &site{t: t}
	r, err := NewReceiver(ReceiverOptions{
		Secrets: []string{secretA, secretB},
		Act: func(ctx context.Context, e api.WebhookEvent, id string) error {
			s.mu.Lock()
			pause, fail := s.pause, s.fail
			s.mu.Unlock()
			time.Sleep(pause)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if fail == nil {
				s.acted = append(s.acted, fmt.Sprintf("%s %s %d", id, e.Data.RolloutID, e.Data.Sequence))
			}
			return fail
		},
		Note: func(line string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.notes = append(s.notes, line)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Receiver = r
	return s
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
	b, err := json.Marshal(e)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.serve(delivery(id, string(b), time.Now(), secretA)).Code
}

func (s *site) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func delivery(id, body string, at time.Time, secret string) *http.Request {
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

func TestReceiverActsOnce(t *testing.T) {
	s := newSite(t)
	for _, id := range []string{"m1", "m1", "m1"} {
		if got := s.send(id, promote("r1", 1)); got != http.StatusNoContent {
			t.Errorf("got %d", got)
		}
	}
	// The same decision under an id that the signature does not cover.
	if got := s.send("m2", promote("r1", 1)); got != http.StatusNoContent {
		t.Errorf("got %d", got)
	}
	s.want("m1 r1 1")
	if len(s.notes) != 3 {
		t.Errorf("notes: %q", s.notes)
	}
}

func TestReceiverKeepsOrder(t *testing.T) {
	s := newSite(t)
	for _, d := range []struct {
		id string
		e  api.WebhookEvent
	}{
		{"m1", promote("r1", 1)},
		{"m4", rollback("r1", 4)},
		{"m3", promote("r1", 3)}, // came too late
		{"m1", promote("r1", 1)},
		{"n1", promote("r2", 1)}, // another rollout has its own order
		{"m5", promote("r1", 5)},
	} {
		if got := s.send(d.id, d.e); got != http.StatusNoContent {
			t.Errorf("%s: got %d", d.id, got)
		}
	}
	s.want("m1 r1 1", "m4 r1 4", "n1 r2 1", "m5 r1 5")
}

func TestReceiverFailureIsTriedAgain(t *testing.T) {
	s := newSite(t)
	s.fail = errors.New("exit status 1\x1b[2J: token s3cret")
	w := s.serve(delivery("m2", mustJSON(t, promote("r1", 2)), time.Now(), secretA))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "s3cret") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if joined := strings.Join(s.notes, "\n"); !strings.Contains(joined, "exit status 1") || strings.Contains(joined, "\x1b") {
		t.Errorf("notes: %q", joined)
	}
	s.want()
	// A failure moves nothing: neither the id nor an earlier decision is taken for done.
	s.fail = nil
	if got := s.send("m1", promote("r1", 1)); got != http.StatusNoContent {
		t.Errorf("got %d", got)
	}
	if got := s.send("m2", promote("r1", 2)); got != http.StatusNoContent {
		t.Errorf("got %d", got)
	}
	s.want("m1 r1 1", "m2 r1 2")
}

func TestReceiverRefusesSignatures(t *testing.T) {
	good := mustJSON(t, promote("r1", 1))
	now := time.Now()
	for _, c := range []struct {
		name   string
		change func(r *http.Request)
		hint   string
	}{
		{"none", func(r *http.Request) { r.Header.Del(api.SignatureHeader) }, "missing"},
		{"malformed", func(r *http.Request) { r.Header.Set(api.SignatureHeader, "sha256=00") }, "malformed"},
		{"another secret", func(r *http.Request) {
			r.Header.Set(api.SignatureHeader, api.Signature(now, []byte(good), "whsec_b3RoZXI="))
		}, "another webhook's"},
		{"another body", func(r *http.Request) {
			r.Header.Set(api.SignatureHeader, api.Signature(now, []byte(good+" "), secretA))
		}, "changed the body"},
		{"old", func(r *http.Request) {
			r.Header.Set(api.SignatureHeader, api.Signature(now.Add(-6*time.Minute), []byte(good), secretA))
		}, "check both clocks"},
		{"from the future", func(r *http.Request) {
			r.Header.Set(api.SignatureHeader, api.Signature(now.Add(6*time.Minute), []byte(good), secretA))
		}, "check both clocks"},
		{"Standard Webhooks alone", func(r *http.Request) {
			sig, err := api.StandardSignature("m1", now, []byte(good), secretA)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Del(api.SignatureHeader)
			r.Header.Set(api.WebhookSignatureHeader, sig)
		}, "missing"},
	} {
		s := newSite(t)
		r := delivery("m1", good, now, secretA)
		c.change(r)
		w := s.serve(r)
		if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), c.hint) {
			t.Errorf("%s: got %d %s", c.name, w.Code, w.Body)
		}
		s.want()
	}
	s := newSite(t)
	if w := s.serve(delivery("m1", good, now, secretB)); w.Code != http.StatusNoContent {
		t.Errorf("the second secret: got %d", w.Code)
	}
}

func TestReceiverRefusesMalformed(t *testing.T) {
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
		if w := s.serve(delivery("m1", c.body, time.Now(), secretA)); w.Code != c.want {
			t.Errorf("%.120q: got %d %s, want %d", c.body, w.Code, w.Body, c.want)
		}
		if (len(s.acted) == 1) != (c.want == 204) {
			t.Errorf("%.120q: acted on %q", c.body, s.acted)
		}
	}
	s := newSite(t)
	for _, id := range []string{"", strings.Repeat("x", maxID+1)} {
		if w := s.serve(delivery(id, good, time.Now(), secretA)); w.Code != http.StatusBadRequest {
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
	s.want("m5 r1 5", "t1 r1 0")
}

// TestReceiverRetryDuringAct: the sender gives up after ten seconds and tries again while Act still runs.
func TestReceiverRetryDuringAct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.pause = time.Minute
		b := mustJSON(t, promote("r1", 1))
		attempt := func(after, patience time.Duration) *http.Request {
			ctx, cancel := context.WithTimeout(t.Context(), after+patience)
			t.Cleanup(cancel)
			return delivery("m1", b, time.Now(), secretA).WithContext(ctx)
		}
		codes := make([]int, 3)
		var wg sync.WaitGroup
		for i, r := range []*http.Request{attempt(0, 10*time.Second), attempt(15*time.Second, 10*time.Second), attempt(55*time.Second, 10*time.Second)} {
			wg.Go(func() {
				time.Sleep([]time.Duration{0, 15 * time.Second, 55 * time.Second}[i])
				codes[i] = s.serve(r).Code
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
		s.want("m1 r1 1", "n1 r2 1")
		if len(s.lanes) != 0 {
			t.Errorf("%d lanes are left", len(s.lanes))
		}
	})
}

func TestReceiverActLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.pause = DefaultActLimit + time.Second
		if got := s.send("m1", promote("r1", 1)); got != http.StatusInternalServerError {
			t.Errorf("got %d", got)
		}
		s.want()
	})
}

func TestReceiverSurvivesAPanicOfAct(t *testing.T) {
	s := newSite(t)
	act := s.o.Act
	s.o.Act = func(context.Context, api.WebhookEvent, string) error { panic(http.ErrAbortHandler) }
	func() {
		defer func() { _ = recover() }()
		s.send("m1", promote("r1", 1))
	}()
	s.o.Act = act
	s.send("m1", promote("r1", 1))
	s.want("m1 r1 1")
}

func TestReceiverConcurrentDuplicates(t *testing.T) {
	s := newSite(t)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { s.send("m1", promote("r1", 1)) })
	}
	wg.Wait()
	s.want("m1 r1 1")
}

func TestNewReceiverRefuses(t *testing.T) {
	act := func(context.Context, api.WebhookEvent, string) error { return nil }
	for _, o := range []ReceiverOptions{
		{Act: act},
		{Act: act, Secrets: []string{""}},
		{Act: act, Secrets: []string{secretA, ""}},
		{Act: act, Secrets: []string{api.SecretPrefix}},
		{Secrets: []string{secretA}},
	} {
		if _, err := NewReceiver(o); err == nil {
			t.Errorf("%+v is accepted", o.Secrets)
		}
	}
}

func TestMemoryForgetsTheOldest(t *testing.T) {
	m := newMemory[int](3)
	for i, key := range []string{"a", "b", "c"} {
		m.put(key, i)
	}
	m.get("a")     // touched
	m.put("b", 11) // replaced
	m.put("d", 3)
	if _, ok := m.get("c"); ok {
		t.Error("c was touched longest ago and is still there")
	}
	for key, want := range map[string]int{"a": 0, "b": 11, "d": 3} {
		if got, ok := m.get(key); !ok || got != want {
			t.Errorf("%s: got %d, %t", key, got, ok)
		}
	}
	if len(m.entries) != 3 || m.order.Len() != 3 {
		t.Errorf("holds %d and %d", len(m.entries), m.order.Len())
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
