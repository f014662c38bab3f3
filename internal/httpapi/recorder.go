package httpapi

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/cobound/prova/internal/authority"
)

// requestIDHeader names a request in the log and in the answer.
const requestIDHeader = "X-Request-Id"

// recorder is the response as it is written: it remembers what the access log
// says, and turns the plain text with which the mux answers what it does not
// know into a problem.
type recorder struct {
	http.ResponseWriter
	request *http.Request
	id      string
	who     authority.Principal
	started time.Time

	status int
	bytes  int64
	// replaced drops the mux's own text.
	replaced bool
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.status = status
	if w.request.Pattern == "" && (status == http.StatusNotFound || status == http.StatusMethodNotAllowed) {
		w.replaceMuxAnswer(status)
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.replaced {
		return len(b), nil
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

func (w *recorder) replaceMuxAnswer(status int) {
	e := refuse(authority.CodeNotFound, "there is nothing at this path; GET /openapi.json lists what there is")
	if status == http.StatusMethodNotAllowed {
		e = refuse(codeMethod, "this path does not take "+methodName(w.request.Method)+"; it takes "+w.Header().Get("Allow"))
	}
	writeProblem(w.ResponseWriter, problemOf(e))
	w.replaced = true
}

// methodName keeps an arbitrary token out of the answer.
func methodName(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "this method"
}

// ServeHTTP surrounds every route: request id, headers, panics, access log.
func (s *service) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w := &recorder{ResponseWriter: out, request: r, id: requestID(r), started: time.Now()}
	h := w.Header()
	h.Set(requestIDHeader, w.id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	defer func() { s.finish(w, recover()) }()
	s.mux.ServeHTTP(w, r)
}

// finish ends a request that returned or panicked. An answer that had begun is
// cut off, so that nobody takes its beginning for the whole.
func (s *service) finish(w *recorder, panicked any) {
	if panicked == nil {
		s.logAccess(w)
		return
	}
	if panicked != http.ErrAbortHandler { //nolint:errorlint // net/http compares this value itself
		s.log.LogAttrs(w.request.Context(), slog.LevelError, "panic", slog.String("request_id", w.id),
			slog.String("route", w.request.Pattern), slog.Any("panic", panicked), slog.String("stack", string(debug.Stack())))
		if w.status == 0 {
			writeProblem(w, problemOf(refuse(authority.CodeInternal, "")))
			s.logAccess(w)
			return
		}
	}
	s.logAccess(w)
	panic(http.ErrAbortHandler)
}

// logAccess writes one line; the query and the headers, which may hold anything, stay out of it.
func (s *service) logAccess(w *recorder) {
	level := slog.LevelDebug
	if w.status >= http.StatusInternalServerError {
		level = slog.LevelInfo
	}
	r := w.request
	if !s.log.Enabled(r.Context(), level) {
		return
	}
	s.log.LogAttrs(r.Context(), level, "request", slog.String("request_id", w.id), slog.String("method", r.Method),
		slog.String("path", loggedPath(r.URL.Path)), slog.String("route", r.Pattern), slog.Int("status", w.status), slog.Int64("bytes", w.bytes),
		slog.Duration("took", time.Since(w.started)), slog.String("org", w.who.Org), slog.String("key", w.who.KeyID))
}

// loggedPath is a path without the secret of a key that somebody took for the key's id.
func loggedPath(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if end := strings.LastIndexByte(part, '_'); strings.HasPrefix(part, "prv_") && end > len("prv_") {
			parts[i] = part[:end] + "_…"
		}
	}
	return strings.Join(parts, "/")
}

// requestID is the client's own, if it can do no harm in a log or a header, else a new one.
func requestID(r *http.Request) string {
	const most = 128
	id := r.Header.Get(requestIDHeader)
	harmless := func(c rune) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-_.:", c)
	}
	if id == "" || len(id) > most || strings.ContainsFunc(id, func(c rune) bool { return !harmless(c) }) {
		return rand.Text()
	}
	return id
}
