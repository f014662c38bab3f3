package dashboard

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// The cookies that hold the token of a session. The first is for https only and
// cannot be set by a neighbouring host; the second serves plain http, such as
// on loopback.
const (
	secureCookie = "__Host-prova"
	plainCookie  = "prova_session"
)

// signInPage is what the form to sign in shows.
type signInPage struct {
	// Next is where the reader goes from there.
	Next    string
	Problem *api.Problem
}

func (h *Handler) signInForm(r *request) error {
	return r.page(http.StatusOK, "sign-in", "Sign in", "", signInPage{Next: local(r.Query("next"))})
}

// signIn begins a session. How often a key may be tried is left to the limits on the server.
func (h *Handler) signIn(r *request) error {
	next := local(r.PostForm.Get("next"))
	token, until, err := h.Cases.SignIn(r.Context(), strings.TrimSpace(r.PostForm.Get("key")))
	if err != nil {
		if problem := authority.ProblemOf(err); problem.Status == http.StatusUnauthorized {
			return r.page(problem.Status, "sign-in", "Sign in", "", signInPage{Next: next, Problem: problem})
		}
		return err
	}
	http.SetCookie(r.out, r.cookie(token, until))
	return r.see(next, "")
}

func (h *Handler) signOut(r *request) error {
	if err := h.Cases.SignOut(r.Context(), r.token()); err != nil {
		return err
	}
	for _, name := range []string{secureCookie, plainCookie} {
		if _, err := r.Cookie(name); err == nil {
			http.SetCookie(r.out, &http.Cookie{Name: name, Path: "/", MaxAge: -1, HttpOnly: true, Secure: name == secureCookie, SameSite: http.SameSiteLaxMode}) //nolint:gosec // the cookie of plain http cannot be Secure
		}
	}
	return r.see("/sign-in", "signed-out")
}

// sendToSignIn asks who is not signed in to do so. What was sent with a form is
// not repeated; a module that waits for news is only told.
func (r *request) sendToSignIn(err error) {
	to := ""
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		to = r.URL.RequestURI()
	}
	if strings.HasSuffix(r.URL.Path, "/live") {
		http.Error(r.out, "signed out", http.StatusUnauthorized)
		return
	}
	if to != "" {
		http.Redirect(r.out, r.Request, "/sign-in?next="+url.QueryEscape(to), http.StatusSeeOther)
		return
	}
	if err := r.page(http.StatusUnauthorized, "sign-in", "Sign in", "", signInPage{Next: local(""), Problem: authority.ProblemOf(err)}); err != nil {
		r.fail(err)
	}
}

// token is that of the session; "" if the request brings none.
func (r *request) token() string {
	for _, name := range []string{secureCookie, plainCookie} {
		if c, err := r.Cookie(name); err == nil {
			return c.Value
		}
	}
	return ""
}

// cookie keeps a token in the browser. It is Lax: with Strict, a link to a
// rollout in a chat would find its reader signed out. What changes something is
// a POST, which Lax does not accompany from another site, and which is refused
// from there anyhow.
func (r *request) cookie(token string, until time.Time) *http.Cookie {
	left := int(until.Sub(r.h.Now()) / time.Second) // a browser's clock may be off
	c := &http.Cookie{Name: plainCookie, Value: token, Path: "/", MaxAge: max(left, 1), HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if r.secure() {
		c.Name, c.Secure = secureCookie, true
	}
	return c
}

// secure reports whether the browser speaks https. Where a proxy in front of
// the server does that, the browser's own Origin says so.
func (r *request) secure() bool {
	return r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://")
}

// local is a path of this server to go to, and the start page for anything else.
func local(next string) string {
	const start = "/rollouts"
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" ||
		!strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") || len(next) > 2000 || u.Path == "/sign-in" {
		return start
	}
	return u.RequestURI()
}
