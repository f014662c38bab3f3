// Package httpapi serves the use cases of Prova over HTTP: JSON in, JSON out,
// problems as RFC 9457 writes them.
//
// It translates and decides nothing. A request becomes a principal and a
// strictly decoded value, one use case is called, its answer or its error
// becomes a response. Permissions are checked by the use cases; what the table
// of routes says about them is for readers, and tests hold both together.
//
// Invariants: every body and every parameter is bounded before it is read and
// decoded without guessing: what is unknown, doubled or of another type is
// refused by name. Status 422 means one thing, a tick that rolled a candidate
// back. A cause that is not for clients goes to the log under the request's
// id, and no secret goes there. Every exchange is described by
// api/openapi.yaml, and the routes are exactly its paths.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Options is what a handler needs. Nothing is optional but Version.
type Options struct {
	Cases   Cases
	Log     *slog.Logger
	Version string
}

// service is the handler. It is safe for concurrent use.
type service struct {
	cases   Cases
	log     *slog.Logger
	version string
	mux     *http.ServeMux
	// draining is done when the server shuts down: requests that only wait for news answer at once.
	draining context.Context
	drain    context.CancelFunc
}

// New returns the handler of all routes. It starts nothing.
func New(o Options) http.Handler { return newService(o) }

func newService(o Options) *service {
	draining, drain := context.WithCancel(context.Background())
	s := &service{cases: o.Cases, log: o.Log, version: o.Version, mux: http.NewServeMux(), draining: draining, drain: drain}
	for _, rt := range s.routes() {
		s.mux.Handle(rt.pattern, s.handle(rt))
	}
	return s
}

// How long a connection may take. A request that waits for news, or whose
// answer streams, moves the limit of its own answer further.
const (
	headerTime = 10 * time.Second
	readTime   = 60 * time.Second
	writeTime  = 90 * time.Second
	idleTime   = 120 * time.Second
	maxHeader  = 32 << 10
)

// Server returns a server around h with limits on time and header size; the
// caller sets its address, listeners and error log. When it is shut down,
// requests that only wait for news are answered at once.
func Server(h http.Handler) *http.Server {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       readTime,
		WriteTimeout:      writeTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
	}
	if s, ok := h.(*service); ok {
		srv.RegisterOnShutdown(s.drain)
	}
	return srv
}
