// Package dashboard serves the pages of Prova: HTML from templates, one style
// sheet and small ES modules, all of it in the program.
//
// A page is a file here, a template of the same name and a row in the table of
// routes. Who looks at it has signed in with an API key; the use cases decide
// what that key may do, the pages only do not offer the rest. GET /verify needs
// no key: it verifies a receipt in the reader's browser, and what is pasted
// there never reaches this server.
//
// Invariants: no page holds a script or a style of its own, and the policy
// sent with each forbids both, and any connection but to this server. Every
// page but /verify, and but receipts' checks, works with scripts off. What is
// served as an asset never changes under its address: assets stand below a hash
// over all of them, so that pages and modules of two versions never mix, and
// are kept for good by caches. Text that came from elsewhere enters a page as
// text only. A form is taken from this server's own pages only.
package dashboard

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Options is what the pages need. Nothing is optional but Version, Server and Index.
type Options struct {
	Cases Cases
	Log   *slog.Logger
	// Now tells the age of things.
	Now func() time.Time
	// Version is the program's, for the foot of a page; it may be empty.
	Version string
	// Server is what the settings page tells of how the server was started.
	Server Server
	// Index answers at / who asks for no page, such as a client of the API; without one, everybody is sent to the rollouts.
	Index http.Handler
}

// policy lets a page load what this server serves and talk to it, nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// formless is the policy of a page that sends nothing anywhere.
const formless = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the pages. It is safe for concurrent use.
type Handler struct {
	Options
	mux       *http.ServeMux
	patterns  []string
	assets    assets
	templates templates
	origins   *http.CrossOriginProtection
	// playing is held by who plays a policy.
	playing chan struct{}
	// draining is done when the server shuts down: who waits for news is answered at once.
	draining context.Context
	drain    context.CancelFunc
}

// New reads the templates, renders what does not change and returns the handler
// of all pages. The error is a fault of the program: a template or an asset
// that is not right.
func New(o Options) (*Handler, error) {
	h := &Handler{Options: o, mux: http.NewServeMux(), origins: http.NewCrossOriginProtection(), playing: make(chan struct{}, 1)}
	h.draining, h.drain = context.WithCancel(context.Background())
	var err error
	if h.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	if h.templates, err = loadTemplates(); err != nil {
		return nil, err
	}
	verify, err := h.templates.render("verify", "layout", view{
		Title: "Verify a receipt", assets: h.assets, Version: o.Version, Script: "page.js", Page: verifyChecks(),
	})
	if err != nil {
		return nil, err
	}
	h.handle("GET /verify", static(verify, "text/html; charset=utf-8", "no-cache", formless))
	for name, content := range h.assets.contents {
		h.handle("GET "+h.assets.Asset(name), static(content, contentType(name), "public, max-age=31536000, immutable", formless))
	}
	h.handle("GET /{$}", http.HandlerFunc(h.start))
	h.handle("GET /sign-in", h.public(h.signInForm))
	h.handle("POST /sign-in", h.public(h.signIn))
	for _, rt := range h.routes() {
		h.handle(rt.pattern, h.signedIn(rt))
	}
	return h, nil
}

func (h *Handler) handle(pattern string, answer http.Handler) {
	h.mux.Handle(pattern, answer)
	h.patterns = append(h.patterns, pattern)
}

// Mount adds the pages to mux, each at its pattern.
func (h *Handler) Mount(mux *http.ServeMux) {
	for _, pattern := range h.patterns {
		mux.Handle(pattern, h)
	}
}

// Drain answers everybody who waits for news; a server calls it when it shuts down.
func (h *Handler) Drain() { h.drain() }

// ServeHTTP surrounds every page.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Security-Policy", policy)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("X-Frame-Options", "DENY") // for what does not read frame-ancestors
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.mux.ServeHTTP(w, r)
}

// start is what the address of the server alone leads to.
func (h *Handler) start(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Accept")
	if h.Index != nil && !strings.Contains(r.Header.Get("Accept"), "text/html") {
		h.Index.ServeHTTP(w, r)
		return
	}
	http.Redirect(w, r, "/rollouts", http.StatusSeeOther)
}

// static serves bytes that stay as they are, and 304 to who has them.
func static(content []byte, contentType, cache, policy string) http.Handler {
	tag := strconv.Quote(digest(content))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", cache)
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, "", zeroTime(), bytes.NewReader(content))
	})
}
