package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

var errSecret = errors.New("hidden cause")

// problem is an api.Problem that is not an error: many tests only look that it is there.
type problem api.Problem

func wantProblem(t *testing.T, w *httptest.ResponseRecorder, status int, code string) problem {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("status %d, no problem: %q", w.Code, w.Body)
	}
	if w.Code != status || p.Status != status || p.Code() != code || p.Title == "" || p.Detail == "" || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Fatalf("status %d, want %d %s: %s", w.Code, status, code, w.Body)
	}
	return problem(p)
}

func TestUnknownPathsAndMethods(t *testing.T) {
	h, _ := serving(t, &fake{})
	for _, path := range []string{"/nothing", "/api", "/api/v1/", "/api/v2/rollouts", "/api/v1/rollouts/a/b/c"} {
		wantProblem(t, ask(h, "GET", path, ""), 404, "not_found")
	}
	for _, c := range []struct{ method, path, allow string }{
		{"DELETE", "/api/v1/rollouts/x", "GET, HEAD"},
		{"PUT", "/api/v1/rollouts", "GET, HEAD, POST"},
		{"OPTIONS", "/healthz", "GET, HEAD"},
		{"B\"REW", "/healthz", "GET, HEAD"},
	} {
		r := httptest.NewRequest("GET", c.path, nil)
		r.Method = c.method
		w := httptest.NewRecorder()
		New(Options{Cases: &fake{}, Log: slog.New(slog.DiscardHandler)}).ServeHTTP(w, r)
		p := wantProblem(t, w, 405, "method_not_allowed")
		if w.Header().Get("Allow") != c.allow || !strings.Contains(p.Detail, c.allow) {
			t.Errorf("%s %s: Allow %q, %q", c.method, c.path, w.Header().Get("Allow"), p.Detail)
		}
	}
	if w := ask(h, "HEAD", "/api/v1/rollouts/x", ""); w.Code != 200 || w.Header().Get("ETag") == "" {
		t.Errorf("HEAD: %d %v", w.Code, w.Header())
	}
}

func TestPathsThatNameNothing(t *testing.T) {
	h, _ := serving(t, &fake{})
	for _, id := range []string{"%00", "a%0Ab", "%ff", strings.Repeat("x", 5000)} {
		wantProblem(t, ask(h, "GET", "/api/v1/rollouts/"+id, ""), 404, "not_found")
		wantProblem(t, ask(h, "GET", "/api/v1/apps/"+id+"/releases", ""), 404, "not_found")
	}
	f := &fake{}
	h, _ = serving(t, f)
	if w := ask(h, "GET", "/api/v1/apps/team%2Fagent%20%C3%A9/releases", ""); w.Code != 200 || f.argument != "team/agent é" {
		t.Errorf("%d, %v", w.Code, f.argument)
	}
}

func TestParameters(t *testing.T) {
	for _, c := range []struct{ target, pointer string }{
		{"/api/v1/rollouts?limit=0", "/limit"},
		{"/api/v1/rollouts?limit=1001", "/limit"},
		{"/api/v1/rollouts?limit=ten", "/limit"},
		{"/api/v1/rollouts?limit=1&limit=2", "/limit"},
		{"/api/v1/rollouts?limit=99999999999999999999", "/limit"},
		{"/api/v1/rollouts?mode=both", "/mode"},
		{"/api/v1/rollouts?state=active,done", "/state"},
		{"/api/v1/rollouts?app_id=%00", "/app_id"},
		{"/api/v1/rollouts?app_id=%ff", "/app_id"},
		{"/api/v1/rollouts?app_id=" + strings.Repeat("x", 900), "/app_id"},
		{"/api/v1/rollouts?%ff=1", "/\uFFFD"},
		{"/api/v1/rollouts/x?wait=1", "/wait"},
		{"/api/v1/rollouts/x?wait=-1s&since=1", "/wait"},
		{"/api/v1/rollouts/x?wait=1s", "/since"},
		{"/api/v1/rollouts/x?since=-1", "/since"},
		{"/api/v1/rollouts/x/gate", "/weight"},
		{"/api/v1/rollouts/x/gate?weight=", "/weight"},
		{"/api/v1/rollouts/x/gate?weight=101", "/weight"},
		{"/api/v1/rollouts/x/gate?weight=5.5", "/weight"},
		{"/api/v1/audit/receipts?since=yesterday", "/since"},
		{"/api/v1/audit/export?from=-1", "/from"},
		{"/api/v1/runs?after=-2", "/after"},
		{"/api/v1/runs?after=1&cursor=c", "/cursor"},
		{"/api/v1/runs?wait=1s", "/after"},
		{"/api/v1/compare?gate=nonsense", "/gate"},
		{"/api/v1/compare?confidence=NaN", "/confidence"},
		{"/api/v1/compare?min_runs=0", "/min_runs"},
	} {
		h, _ := serving(t, &fake{})
		p := wantProblem(t, ask(h, "GET", c.target, ""), 400, "invalid")
		if len(p.Errors) != 1 || p.Errors[0].Pointer != c.pointer {
			t.Errorf("%s: %+v, want %s", c.target, p.Errors, c.pointer)
		}
	}
	h, _ := serving(t, &fake{})
	wantProblem(t, ask(h, "GET", "/api/v1/rollouts?a=%zz", ""), 400, "invalid")
	p := wantProblem(t, ask(h, "GET", "/api/v1/rollouts?limit=x&mode=y&z=1", ""), 400, "invalid")
	if len(p.Errors) != 3 {
		t.Errorf("three faults: %+v", p.Errors)
	}
}

func TestFiltersArrive(t *testing.T) {
	f := &fake{}
	h, _ := serving(t, f)
	ask(h, "GET", "/api/v1/rollouts?app_id=a&state=active,paused&mode=shadow&cursor=c", "")
	got, ok := f.filter.(authority.RolloutFilter)
	if !ok || got.AppID != "a" || len(got.States) != 2 || got.Mode != api.ModeShadow || f.cursor != "c" || f.limit != 100 {
		t.Errorf("%+v, cursor %q, limit %d", f.filter, f.cursor, f.limit)
	}
	ask(h, "GET", "/api/v1/runs?release=r&after=41&limit=7", "")
	e, ok := f.filter.(authority.EntryFilter)
	if !ok || e.Release != "r" || e.From != 42 || f.limit != 7 {
		t.Errorf("%+v, limit %d", f.filter, f.limit)
	}
}

type panicking struct{ fake }

func (*panicking) SigningKeys(context.Context) ([]api.SigningKey, error) {
	panic("a bug with a hidden cause")
}

func TestPanic(t *testing.T) {
	var log strings.Builder
	h := New(Options{Cases: &panicking{}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	w := ask(h, "GET", "/api/v1/keys", "", "X-Request-Id", "req-1")
	wantProblem(t, w, 500, "internal")
	if strings.Contains(w.Body.String(), "hidden") || !strings.Contains(log.String(), "hidden") || !strings.Contains(log.String(), "req-1") {
		t.Errorf("answer %s, log %s", w.Body, log.String())
	}
}

func TestRequestID(t *testing.T) {
	h, log := serving(t, &fake{})
	if w := ask(h, "GET", "/healthz", "", "X-Request-Id", "trace:1.a-B_2"); w.Header().Get("X-Request-Id") != "trace:1.a-B_2" {
		t.Errorf("a good id becomes %q", w.Header().Get("X-Request-Id"))
	}
	for _, bad := range []string{"", "a b", "a\x1b[31m", strings.Repeat("a", 129), "é"} {
		if id := ask(h, "GET", "/healthz", "", "X-Request-Id", bad).Header().Get("X-Request-Id"); id == bad || len(id) < 20 {
			t.Errorf("%q becomes %q", bad, id)
		}
	}
	if !strings.Contains(log.String(), "trace:1.a-B_2") {
		t.Errorf("the log does not name the request: %s", log)
	}
}

func TestLogIsNotInjected(t *testing.T) {
	h, log := serving(t, &fake{})
	ask(h, "GET", "/api/v1/rollouts/a%0d%0alevel=ERROR%1b%5b31m?token=prv_secret", "")
	if text := log.String(); strings.Contains(text, "\nlevel") || strings.ContainsAny(text, "\x1b\r") || strings.Contains(text, "prv_") {
		t.Errorf("%q", text)
	}
}

func TestReady(t *testing.T) {
	h, _ := serving(t, &fake{err: errSecret})
	p := wantProblem(t, ask(h, "GET", "/readyz", ""), 503, "unavailable")
	if strings.Contains(p.Detail, "hidden") {
		t.Error("the cause shows")
	}
	if w := ask(h, "GET", "/healthz", ""); w.Code != http.StatusOK {
		t.Errorf("healthz does not depend on the database: %d", w.Code)
	}
}

func TestReceiptsAreServedAsBytes(t *testing.T) {
	h, _ := serving(t, &fake{})
	if w := ask(h, "GET", "/api/v1/audit/receipts/x", ""); !strings.Contains(w.Body.String(), aReceipt) {
		t.Errorf("%s\nholds not\n%s", w.Body, aReceipt)
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
