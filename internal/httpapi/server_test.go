package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/httpapi/contract"
)

// listen serves f over a real connection, with limits short enough for a test.
func listen(t *testing.T, f Cases, limit time.Duration) (*http.Server, string) {
	t.Helper()
	h := New(Options{Cases: f, Log: discard()})
	srv := Server(h)
	srv.ReadTimeout, srv.WriteTimeout, srv.ReadHeaderTimeout = limit, 2*limit, limit
	srv.Handler = contract.Validate(t, h)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return srv, l.Addr().String()
}

// raw sends bytes as they are and reads one answer.
func raw(t *testing.T, addr, request string, half bool) (*http.Response, error) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.WriteString(c, request) // the server may answer and close before it has all
		if half {
			_ = c.(*net.TCPConn).CloseWrite()
		}
	}()
	return http.ReadResponse(bufio.NewReader(c), nil)
}

func post(header, body string) string {
	return "POST " + ingestPath + " HTTP/1.1\r\nHost: x\r\nAuthorization: " + bearer + "\r\n" + header + "\r\n\r\n" + body
}

func TestBrokenTransfers(t *testing.T) {
	_, addr := listen(t, &fake{}, 500*time.Millisecond)
	_, patient := listen(t, &fake{}, 20*time.Second)
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 1<<20, strings.Repeat(" ", 1<<20))
	for name, c := range map[string]struct {
		request string
		half    bool
		status  int
	}{
		"shorter than declared":      {post("Content-Length: 1000", run("")), true, 400},
		"shorter, and left open":     {post("Content-Length: 1000", run("")), false, 408},
		"longer than declared":       {post("Content-Length: 10\r\nConnection: close", run("")), false, 400},
		"declared too large":         {post("Content-Length: 99999999999", ""), false, 413},
		"negative length":            {post("Content-Length: -1", ""), false, 400},
		"two lengths":                {post("Content-Length: 5\r\nContent-Length: 6", "hello"), false, 400},
		"chunks without an end":      {post("Transfer-Encoding: chunked", strings.Repeat(chunk, 17)), false, 413},
		"chunks that stop":           {post("Transfer-Encoding: chunked", chunk), false, 408},
		"chunks that are not chunks": {post("Transfer-Encoding: chunked", "zz\r\n"), true, 400},
		"header without an end":      {"GET /healthz HTTP/1.1\r\nX: " + strings.Repeat("x", 64<<10), false, 431},
	} {
		t.Run(name, func(t *testing.T) {
			to := addr
			if c.status == 413 {
				to = patient // so much takes its time
			}
			a, err := raw(t, to, c.request, c.half)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(a.Body)
			if a.StatusCode != c.status {
				t.Errorf("status %d, want %d: %s", a.StatusCode, c.status, body)
			}
		})
	}
	if a, err := raw(t, addr, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow", false); err == nil && a.StatusCode == 200 {
		t.Error("a header that never ends is answered")
	}
	if a, err := http.Get("http://" + addr + "/healthz"); err != nil || a.StatusCode != 200 {
		t.Errorf("the server does not go on: %v", err)
	}
}

// waiting is a rollout that nobody moves.
func waiting(f *fake) *fake {
	f.rollout = func(ctx context.Context) (api.Rollout, error) {
		select {
		case <-ctx.Done():
			return api.Rollout{}, &authority.Error{Code: authority.CodeUnavailable, Detail: "interrupted", Cause: ctx.Err()}
		case <-time.After(time.Second):
			return aRollout(), nil
		}
	}
	return f
}

func get(t *testing.T, url string) *http.Response {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", bearer)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Body.Close() })
	return a
}

// A wait outlives the limits that the server puts on ordinary requests.
func TestWaitOutlivesTheLimits(t *testing.T) {
	_, addr := listen(t, waiting(&fake{}), 200*time.Millisecond)
	if a := get(t, "http://"+addr+"/api/v1/rollouts/x?wait=30s&since=3"); a.StatusCode != 200 {
		t.Errorf("status %d", a.StatusCode)
	}
	empty := &fake{runs: func() api.List[api.ReceiptItem] { return api.List[api.ReceiptItem]{} }}
	_, addr = listen(t, empty, 200*time.Millisecond)
	start := time.Now()
	if a := get(t, "http://"+addr+"/api/v1/runs?after=-1&wait=1200ms"); a.StatusCode != 200 || time.Since(start) < time.Second {
		t.Errorf("status %d after %s", a.StatusCode, time.Since(start))
	}
}

// A shutdown does not wait for those who wait, and tells them where things stand.
func TestShutdownAnswersThoseWhoWait(t *testing.T) {
	entered := make(chan struct{})
	calls := 0
	f := &fake{rollout: func(ctx context.Context) (api.Rollout, error) {
		if calls++; calls > 1 {
			return aRollout(), nil
		}
		close(entered)
		<-ctx.Done()
		return api.Rollout{}, ctx.Err()
	}}
	srv, addr := listen(t, f, time.Second)
	answer := make(chan int, 1)
	go func() { answer <- get(t, "http://"+addr+"/api/v1/rollouts/x?wait=60s&since=3").StatusCode }()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if status := <-answer; status != 200 {
		t.Errorf("status %d", status)
	}
}

func TestReadinessEndsWithTheServer(t *testing.T) {
	h := New(Options{Cases: &fake{}, Log: discard()})
	if err := Server(h).Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, ok := h.(*service)
	if !ok {
		t.Fatal("not a service")
	}
	<-s.draining.Done() // the hooks of a shutdown run by themselves
	wantProblem(t, ask(h, "GET", "/readyz", ""), 503, "unavailable")
}

// An export that fails on its way must not look like a whole one.
func TestExportThatBreaks(t *testing.T) {
	f := &fake{export: func(w io.Writer) error {
		if _, err := io.WriteString(w, "{\"export\":{}}\n"+strings.Repeat("x", 1<<16)); err != nil {
			return err
		}
		return errSecret
	}}
	_, addr := listen(t, f, time.Second)
	a := get(t, "http://"+addr+"/api/v1/audit/export")
	if body, err := io.ReadAll(a.Body); err == nil {
		t.Errorf("%d bytes, and no error", len(body))
	}
	f.export = func(io.Writer) error { return &authority.Error{Code: authority.CodeUnavailable, Detail: "later"} }
	if a := get(t, "http://"+addr+"/api/v1/audit/export"); a.StatusCode != 503 || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("before the first byte: %d %v", a.StatusCode, a.Header)
	}
	f.export = func(io.Writer) error { return nil }
	if a := get(t, "http://"+addr+"/api/v1/audit/export"); a.StatusCode != 200 || a.Header.Get("Content-Type") != typeNDJSON {
		t.Errorf("an empty one: %d %v", a.StatusCode, a.Header)
	}
}

// An export may take as long as its reader goes on reading.
func TestLongExport(t *testing.T) {
	f := &fake{export: func(w io.Writer) error {
		for range 6 {
			time.Sleep(100 * time.Millisecond)
			if _, err := io.WriteString(w, strings.Repeat("x", 8<<10)+"\n"); err != nil {
				return err
			}
		}
		return nil
	}}
	_, addr := listen(t, f, 250*time.Millisecond)
	body, err := io.ReadAll(get(t, "http://"+addr+"/api/v1/audit/export").Body)
	if err != nil || len(body) != 6*(8<<10+1) {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

// slowRecord takes longer than what a slow body leaves of the server's limit.
type slowRecord struct{ *fake }

func (slowRecord) Record(ctx context.Context, _ authority.Principal, _ []authority.Submission) ([]api.IngestResult, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(1200 * time.Millisecond):
		return nil, nil
	}
}

// A body may come as slowly as the server allows, and is then still recorded in peace.
func TestSlowBody(t *testing.T) {
	_, addr := listen(t, slowRecord{&fake{}}, 800*time.Millisecond)
	in, out := io.Pipe()
	go func() {
		time.Sleep(600 * time.Millisecond)
		_, _ = io.WriteString(out, "[]")
		_ = out.Close()
	}()
	r, err := http.NewRequest(http.MethodPost, "http://"+addr+ingestPath, in)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", bearer)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	if a.StatusCode != 200 {
		t.Errorf("status %d", a.StatusCode)
	}
}

func TestServerIsLimited(t *testing.T) {
	srv := Server(http.NotFoundHandler())
	if srv.ReadHeaderTimeout <= 0 || srv.ReadTimeout <= 0 || srv.WriteTimeout <= 0 || srv.IdleTimeout <= 0 || srv.MaxHeaderBytes <= 0 {
		t.Errorf("%+v", srv)
	}
	w := httptest.NewRecorder()
	srv.Handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 404 {
		t.Error("another handler can be served too")
	}
}

// Whoever asks for evidence says how long it may wait for cosignatures, within bounds.
func TestCosignWait(t *testing.T) {
	f := &fake{}
	h, _ := serving(t, f)
	for _, path := range []string{"/api/v1/audit/export?from=1&", "/api/v1/audit/bundle?from=1&", "/api/v1/audit/receipts/evt_1/bundle?", "/api/v1/log/checkpoint?"} {
		for query, want := range map[string]time.Duration{"": 0, "wait=1500ms": 1500 * time.Millisecond, "wait=1h": 10 * time.Second} {
			f.wait = -1
			if w := ask(h, "GET", path+query, ""); w.Code != 200 || f.wait != want {
				t.Errorf("%s%s: status %d, waits %s, want %s", path, query, w.Code, f.wait, want)
			}
		}
		wantProblem(t, ask(h, "GET", path+"wait=soon", ""), 400, "invalid")
	}
	wantProblem(t, ask(h, "GET", "/api/v1/log/checkpoint?size=3&wait=1s", ""), 400, "invalid")
}
