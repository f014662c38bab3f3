package prova_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/prova"
)

const hookSecret = "whsec_c2VjcmV0"

// delivery is a signed request.
func delivery(id, rollout string, sequence int, test bool) (http.Header, []byte) {
	body := fmt.Appendf(nil, `{"event":"rollout.promote","data":{"rollout_id":%q,"weight":25,"decision_event_id":"%s-%d","sequence":%d,"test":%v}}`,
		rollout, rollout, sequence, sequence, test)
	h := http.Header{}
	h.Set(api.SignatureHeader, api.Signature(time.Now(), body, hookSecret))
	h.Set(api.WebhookIDHeader, id)
	return h, body
}

// A delivery is acted on once, whatever comes again and in which order.
func TestReceiverReplays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var acted []int64
		receiver, err := prova.NewWebhookReceiver(func(_ context.Context, e api.WebhookEvent) error {
			acted = append(acted, e.Data.Sequence)
			return nil
		}, "whsec_b3RoZXI=", hookSecret)
		ok(t, err)
		header, body := delivery("m1", "ro_1", 3, false)
		ok(t, receiver.Receive(t.Context(), header, body))
		for name, send := range map[string]func() (http.Header, []byte){
			"the same":            func() (http.Header, []byte) { return header, body },
			"signed again":        func() (http.Header, []byte) { return delivery("m1", "ro_1", 3, false) },
			"under another id":    func() (http.Header, []byte) { return delivery("m2", "ro_1", 3, false) },
			"an older decision":   func() (http.Header, []byte) { return delivery("m3", "ro_1", 2, false) },
			"an id that was used": func() (http.Header, []byte) { return delivery("m1", "ro_2", 1, false) },
		} {
			h, b := send()
			if err := receiver.Receive(t.Context(), h, b); !errors.Is(err, prova.ErrWebhookRepeated) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for i, d := range []struct {
			id, rollout string
			sequence    int
			test        bool
		}{{"m4", "ro_1", 4, false}, {"m5", "ro_2", 1, false}, {"m6", "ro_1", 0, true}, {"m7", "ro_1", 5, false}} {
			h, b := delivery(d.id, d.rollout, d.sequence, d.test)
			if err := receiver.Receive(t.Context(), h, b); err != nil || len(acted) != i+2 {
				t.Errorf("%+v: %v, acted on %v", d, err, acted)
			}
		}
		// A day later the old signature does not count, and a new one of the same delivery still is the same.
		time.Sleep(24 * time.Hour)
		if err := receiver.Receive(t.Context(), header, body); !errors.Is(err, api.ErrSignatureTime) {
			t.Errorf("got %v", err)
		}
		h, b := delivery("m1", "ro_9", 1, false)
		if err := receiver.Receive(t.Context(), h, b); !errors.Is(err, prova.ErrWebhookRepeated) {
			t.Errorf("got %v", err)
		}
	})
}

// An action that fails is not remembered, and a rollout is acted on by one at a time.
func TestReceiverAction(t *testing.T) {
	fail := errors.New("no")
	var during error
	var receiver *prova.WebhookReceiver
	receiver, err := prova.NewWebhookReceiver(func(ctx context.Context, e api.WebhookEvent) error {
		impatient, cancel := context.WithCancel(ctx)
		cancel()
		h, b := delivery("m2", e.Data.RolloutID, 9, false)
		during = receiver.Receive(impatient, h, b)
		return fail
	}, hookSecret)
	ok(t, err)
	h, b := delivery("m1", "ro_1", 1, false)
	for range 2 {
		if err := receiver.Receive(t.Context(), h, b); !errors.Is(err, fail) || !errors.Is(during, prova.ErrWebhookBusy) {
			t.Errorf("got %v, and %v meanwhile", err, during)
		}
	}
	fail = nil
	ok(t, receiver.Receive(t.Context(), h, b))
	h.Del(api.WebhookIDHeader)
	if err := receiver.Receive(t.Context(), h, b); !errors.Is(err, prova.ErrWebhookBody) {
		t.Errorf("without an id: %v", err)
	}
	for _, secrets := range [][]string{nil, {""}, {hookSecret, ""}, {"whsec_"}} {
		if _, err := prova.NewWebhookReceiver(func(context.Context, api.WebhookEvent) error { return nil }, secrets...); err == nil {
			t.Errorf("%q are secrets", secrets)
		}
	}
	if _, err := prova.NewWebhookReceiver(nil, hookSecret); err == nil {
		t.Error("there is nothing to do")
	}
}

// The memory is bounded, and forgets nothing that could still be replayed.
func TestReceiverMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver, err := prova.NewWebhookReceiver(func(context.Context, api.WebhookEvent) error { return nil }, hookSecret)
		ok(t, err)
		receive := func(i int) error {
			h, b := delivery(fmt.Sprint("m", i), fmt.Sprint("ro_", i), 1, false)
			return receiver.Receive(t.Context(), h, b)
		}
		for i := range 10_000 {
			ok(t, receive(i))
		}
		if err := receive(10_000); !errors.Is(err, prova.ErrWebhookBusy) {
			t.Errorf("got %v", err)
		}
		time.Sleep(11 * time.Minute)
		ok(t, receive(10_000))
		if err := receive(1); !errors.Is(err, prova.ErrWebhookRepeated) {
			t.Errorf("more was forgotten than had to be: %v", err)
		}
	})
}

func TestReceiverServes(t *testing.T) {
	fail := error(nil)
	receiver, err := prova.NewWebhookReceiver(func(ctx context.Context, _ api.WebhookEvent) error { return errors.Join(fail, ctx.Err()) }, hookSecret)
	ok(t, err)
	send := func(h http.Header, body string) *httptest.ResponseRecorder {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		r := httptest.NewRequestWithContext(gone, http.MethodPost, "/hook", strings.NewReader(body))
		r.Header = h
		w := httptest.NewRecorder()
		receiver.ServeHTTP(w, r)
		return w
	}
	h, b := delivery("m1", "ro_1", 1, false)
	wrong := h.Clone()
	wrong.Set(api.SignatureHeader, "t=1,v1=00")
	fail = errors.New("s3cret")
	for _, c := range []struct {
		header http.Header
		body   string
		want   int
	}{
		{wrong, string(b), 401}, {http.Header{}, string(b), 401}, {h, strings.Repeat("x", 2<<20), 413}, {h, string(b), 500},
	} {
		if w := send(c.header, c.body); w.Code != c.want || strings.Contains(w.Body.String(), "s3cret") {
			t.Errorf("answered %d %s, want %d", w.Code, w.Body, c.want)
		}
	}
	fail = nil
	for range 2 {
		if w := send(h, string(b)); w.Code != 204 {
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
	}
}
