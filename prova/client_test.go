package prova_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/prova"
	"github.com/cobound/prova/receipt"
)

func serve(t *testing.T, handler http.HandlerFunc) *prova.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client, err := prova.New(prova.Options{BaseURL: server.URL, APIKey: "prv_key", UserAgent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestNew(t *testing.T) {
	for _, o := range []prova.Options{{}, {BaseURL: "https://prova.example.com/below/"}, {BaseURL: "http://[::1]:7788", APIKey: "prv_a_b"}} {
		if _, err := prova.New(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []prova.Options{{BaseURL: "prova.example.com"}, {BaseURL: "ftp://x"}, {BaseURL: "https://"}, {BaseURL: "https://u:p@x"}, {BaseURL: "https://x?y=1"}, {APIKey: "prv_a\n"}, {APIKey: "prv a"}} {
		if _, err := prova.New(o); err == nil || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestRequest(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer prv_key" {
			t.Errorf("Authorization is %q", got)
		}
		if r.Header.Get("User-Agent") != "test" || r.Header.Get("Accept") != "application/json" {
			t.Errorf("the header is %v", r.Header)
		}
		if want := "/api/v1/rollouts?app_id=a%26b&limit=5&state=active"; r.URL.String() != want {
			t.Errorf("asked for %s, want %s", r.URL, want)
		}
		_, _ = io.WriteString(w, `{"items":[{"id":"ro_1"}],"next_cursor":"c"}`)
	})
	list, err := client.Rollouts(t.Context(), prova.RolloutFilter{AppID: "a&b", State: api.StateActive, Page: prova.Page{Limit: 5}})
	if err != nil || len(list.Items) != 1 || list.NextCursor != "c" {
		t.Errorf("got %+v, %v", list, err)
	}
}

// An id can never reach another route than the one that is meant.
func TestSegments(t *testing.T) {
	var path string
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.EscapedPath()
		_, _ = io.WriteString(w, "{}")
	})
	for id, want := range map[string]string{
		"ro_1":      "/api/v1/rollouts/ro_1/evaluate",
		"a/b":       "/api/v1/rollouts/a%2Fb/evaluate",
		"../orgs":   "/api/v1/rollouts/..%2Forgs/evaluate",
		"..":        "/api/v1/rollouts/%00/evaluate",
		".":         "/api/v1/rollouts/%00/evaluate",
		"":          "/api/v1/rollouts/%00/evaluate",
		"a?b#c%2F ": "/api/v1/rollouts/a%3Fb%23c%252F%20/evaluate",
	} {
		if _, err := client.Evaluate(t.Context(), id); err != nil || path != want {
			t.Errorf("%q reached %s, want %s (%v)", id, path, want, err)
		}
	}
}

func TestEvaluateRolledBack(t *testing.T) {
	status, kind, body := 422, "application/json", `{"rollout":{"id":"ro_1","state":"rolled_back"},"decision":{"decision":"rollback"},"ticked":true}`
	client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	tick, err := client.Evaluate(t.Context(), "ro_1")
	if err != nil || tick.Decision.Decision != api.Rollback || !tick.Ticked {
		t.Errorf("got %+v, %v", tick, err)
	}
	// A problem with this status is no decision.
	kind, body = "application/problem+json; charset=utf-8", `{"type":"urn:prova:problem:invalid","detail":"no","status":422}`
	if _, err := client.Evaluate(t.Context(), "ro_1"); err == nil {
		t.Error("a problem was taken for a decision")
	}
}

func TestProblem(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"type":"urn:prova:problem:rate_limited","title":"Too many requests","detail":"wait","status":200}`)
	})
	_, err := client.Apps(t.Context())
	problem, ok := errors.AsType[*api.Problem](err)
	if !ok || problem.Code() != "rate_limited" || problem.Status != http.StatusTooManyRequests || err.Error() != "wait" {
		t.Errorf("got %v (%+v)", err, problem)
	}
	if answer, ok := errors.AsType[*prova.AnswerError](err); !ok || answer.RetryAfter != 7*time.Second {
		t.Errorf("retry after %v", answer)
	}
}

// What Prova did not write is told apart from what it refuses.
func TestForeignAnswers(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"a page":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>welcome</html>") },
		"an error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "bad gateway", http.StatusBadGateway) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusMovedPermanently)
		},
		"half a value": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"items":[`) },
		"no problem": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "{}")
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := serve(t, handler).Apps(t.Context())
			if problem, ok := errors.AsType[*api.Problem](err); !ok || problem.Code() != "foreign_answer" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"no answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"broken off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"items":`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := serve(t, handler).Apps(t.Context())
			if e, ok := errors.AsType[*prova.UnreachableError](err); !ok || !e.Unreachable() {
				t.Errorf("got %v", err)
			}
		})
	}
	slow := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	late, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := slow.Apps(late); !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("got %v", err)
	}
	// Giving up is the caller's doing and says nothing about the server.
	given, give := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, give)
	_, err := slow.Apps(given)
	if _, ok := errors.AsType[*prova.UnreachableError](err); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestExport(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != "/api/v1/audit/export?from=3" || r.Header.Get("Accept") != "application/x-ndjson" {
			t.Errorf("asked for %s %v", r.URL, r.Header)
		}
		_, _ = io.WriteString(w, "one\ntwo\n")
	})
	stream, err := client.Export(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	if data, err := io.ReadAll(stream); err != nil || string(data) != "one\ntwo\n" {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestCosigned(t *testing.T) {
	var asked []string
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.String())
		_, _ = io.WriteString(w, "{}")
	})
	wait := prova.Cosigned(1500 * time.Millisecond)
	export, err := client.Export(t.Context(), 3, wait)
	if err != nil {
		t.Fatal(err)
	}
	_ = export.Close()
	bundle, err := client.Bundle(t.Context(), receipt.Scope{Receipt: "evt_1"}, wait)
	if err != nil {
		t.Fatal(err)
	}
	_ = bundle.Close()
	if _, err := client.Checkpoint(t.Context(), wait); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Witnesses(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "/api/v1/audit/export?from=3&wait=1.5s /api/v1/audit/receipts/evt_1/bundle?wait=1.5s /api/v1/log/checkpoint?wait=1.5s /api/v1/log/witnesses"
	if got := strings.Join(asked, " "); got != want {
		t.Errorf("asked for\n%s, want\n%s", got, want)
	}
}

func TestVerifyWebhook(t *testing.T) {
	const secret = "whsec_c2VjcmV0"
	body := []byte(`{"event":"rollout.promote","data":{"rollout_id":"ro_1","decision_event_id":"evt_1","weight":25}}`)
	sign := func(body []byte, at time.Time, secrets ...string) http.Header {
		h := http.Header{}
		h.Set(api.SignatureHeader, api.Signature(at, body, secrets...))
		return h
	}
	event, err := prova.VerifyWebhook(sign(body, time.Now(), secret), body, secret)
	if err != nil || event.Data.Weight != 25 {
		t.Errorf("got %+v, %v", event, err)
	}
	if _, err := prova.VerifyWebhook(sign(body, time.Now(), "whsec_bmV3", secret), body, secret); err != nil {
		t.Errorf("during a rotation: %v", err)
	}
	unknown, twice := []byte(`{"event":"rollout.explode"}`), append(append([]byte{}, body...), body...)
	for name, c := range map[string]struct {
		header http.Header
		body   []byte
		secret string
		want   error
	}{
		"another secret": {sign(body, time.Now(), "whsec_b3RoZXI="), body, secret, api.ErrSignature},
		"another body":   {sign(body, time.Now(), secret), append(body, ' '), secret, api.ErrSignature},
		"old":            {sign(body, time.Now().Add(-6*time.Minute), secret), body, secret, api.ErrSignatureTime},
		"no header":      {http.Header{}, body, secret, api.ErrSignatureFormat},
		"unknown event":  {sign(unknown, time.Now(), secret), unknown, secret, prova.ErrWebhookBody},
		"two values":     {sign(twice, time.Now(), secret), twice, secret, prova.ErrWebhookBody},
	} {
		if _, err := prova.VerifyWebhook(c.header, c.body, c.secret); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if _, err := prova.VerifyWebhook(sign(body, time.Now(), ""), body, ""); err == nil {
		t.Error("an empty secret verifies")
	}
}
