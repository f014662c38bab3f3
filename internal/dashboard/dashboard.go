// Package dashboard serves the pages of Prova: HTML from templates, one style
// sheet and small ES modules, all of it in the program.
//
// So far there is one page, GET /verify. It verifies a receipt in the reader's
// browser: what is pasted there never reaches this server, which is why the
// page needs no permission and has no state.
//
// Invariants: no page holds a script or a style of its own, and the policy
// sent with each forbids both, and any connection but to this server. What is
// served never changes under its address: assets stand below a hash over all of
// them, so that pages and modules of two versions never mix, and are kept for
// good by caches. Text that came from elsewhere enters a page as text only.
package dashboard

import (
	"bytes"
	"net/http"
	"strconv"
)

// Options is what the pages show.
type Options struct {
	// Version is the program's, for the foot of a page; it may be empty.
	Version string
}

// policy lets a page load what this server serves and talk to it, nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the pages. It is safe for concurrent use.
type Handler struct {
	mux   *http.ServeMux
	paths []string
}

// New renders what does not change and returns the handler of all pages. The
// error is a fault of the program: a template or an asset that is not right.
func New(o Options) (*Handler, error) {
	assets, err := loadAssets()
	if err != nil {
		return nil, err
	}
	verify, err := render("verify", page{assets: assets, Version: o.Version, Checks: verifyChecks(), Modules: assets.modules})
	if err != nil {
		return nil, err
	}
	h := &Handler{mux: http.NewServeMux()}
	h.handle("/verify", static(verify, "text/html; charset=utf-8", "no-cache"))
	for name, content := range assets.contents {
		h.handle(assets.Asset(name), static(content, contentType(name), "public, max-age=31536000, immutable"))
	}
	return h, nil
}

func (h *Handler) handle(path string, answer http.Handler) {
	h.mux.Handle("GET "+path, answer)
	h.paths = append(h.paths, path)
}

// Mount adds the pages to mux, each at its path for GET and HEAD.
func (h *Handler) Mount(mux *http.ServeMux) {
	for _, path := range h.paths {
		mux.Handle("GET "+path, h)
	}
}

// ServeHTTP surrounds every page.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Security-Policy", policy)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.mux.ServeHTTP(w, r)
}

// static serves bytes that stay as they are, and 304 to who has them.
func static(content []byte, contentType, cache string) http.Handler {
	tag := strconv.Quote(digest(content))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", cache)
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, "", zeroTime(), bytes.NewReader(content))
	})
}
