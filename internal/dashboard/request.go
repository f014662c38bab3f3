package dashboard

import (
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// request is a request by somebody who is signed in, or of a page for everybody.
type request struct {
	*http.Request
	h   *Handler
	out http.ResponseWriter
	// who and key are zero where nobody is signed in.
	who authority.Principal
	key api.APIKey
}

// maxForm bounds what a form may send, in bytes.
const maxForm = 64 << 10

// public answers everybody.
func (h *Handler) public(answer func(*request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		r := &request{Request: hr, h: h, out: w}
		if err := r.check(); err != nil {
			r.fail(err)
		} else if err := answer(r); err != nil {
			r.fail(err)
		}
	})
}

// signedIn answers who has signed in and holds the permission of a route.
// Everybody else is sent to sign in, and back from there.
func (h *Handler) signedIn(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		r := &request{Request: hr, h: h, out: w}
		err := r.check()
		if err == nil {
			r.who, r.key, err = h.Cases.Session(r.Context(), r.token())
		}
		if err != nil && authority.CodeOf(err) == authority.CodeUnauthenticated {
			r.sendToSignIn(err)
			return
		}
		if err == nil && rt.permission != anybody && !r.who.May(rt.permission) {
			err = &authority.Error{Code: authority.CodeForbidden, Detail: "this key lacks the permission " + string(rt.permission) + "; ask the owner for a key that has it"}
		}
		if err == nil {
			err = rt.answer(r)
		}
		if err != nil {
			r.fail(err)
		}
	})
}

// check refuses a form that another site sent, and reads one of our own.
func (r *request) check() error {
	if err := r.h.origins.Check(r.Request); err != nil {
		return &authority.Error{Code: authority.CodeForbidden, Detail: "this form was sent from another site, so nothing was done; open the page here and send it again"}
	}
	r.Body = http.MaxBytesReader(r.out, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return &authority.Error{Code: authority.CodeInvalid, Detail: "the address or the form cannot be read: " + err.Error()}
	}
	return nil
}

// page answers with a page in its frame. script is its module, empty for none.
func (r *request) page(status int, name, title, script string, page any) error {
	body, err := r.h.templates.render(name, "layout", r.view(title, script, page))
	if err != nil {
		return err
	}
	r.write(status, body)
	return nil
}

// part answers with what stands in the frame of a page, and 304 to who has it.
func (r *request) part(name string, page any) error {
	body, err := r.h.templates.render(name, "main", r.view("", "", page))
	if err != nil {
		return err
	}
	tag := strconv.Quote(digest(body))
	r.out.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		r.out.Header().Set("Cache-Control", "no-store")
		r.out.WriteHeader(http.StatusNotModified)
		return nil
	}
	r.write(http.StatusOK, body)
	return nil
}

func (r *request) view(title, script string, page any) view {
	v := view{assets: r.h.assets, Title: title, Version: r.h.Version, Script: script, Page: page, Done: done(r.Query("done"))}
	if r.who.KeyID == "" {
		return v
	}
	v.Who = &who{Key: r.key, Org: r.who.Org, Environment: r.who.Environment}
	for _, rt := range r.h.routes() {
		if rt.nav == "" || rt.permission != anybody && !r.who.May(rt.permission) {
			continue
		}
		path := strings.TrimPrefix(rt.pattern, "GET ")
		v.Nav = append(v.Nav, navItem{Name: rt.nav, Path: path, Here: r.URL.Path == path || strings.HasPrefix(r.URL.Path, path+"/")})
	}
	return v
}

// Query is a parameter of the address; "" if it is absent.
func (r *request) Query(name string) string { return r.URL.Query().Get(name) }

// write sends a page. Nothing of it is kept: after a sign-out it is not to be had by going back.
func (r *request) write(status int, body []byte) {
	head := r.out.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Length", strconv.Itoa(len(body)))
	head.Set("Cache-Control", "no-store")
	r.out.WriteHeader(status)
	_, _ = r.out.Write(body) // a client that left needs no answer
}

// see sends the reader on to a page of this server after a form, and says there what was done.
func (r *request) see(path, done string) error {
	if done != "" {
		path += "?done=" + url.QueryEscape(done)
	}
	http.Redirect(r.out, r.Request, path, http.StatusSeeOther)
	return nil
}

// done are the sentences for what a form has done, by the code in the address.
func done(code string) string {
	return map[string]string{
		"paused":     "Paused. It is still ticked and may roll back; it does not advance.",
		"resumed":    "Resumed.",
		"aborted":    "Aborted.",
		"promoted":   "Promoted by one step, ahead of the verdict.",
		"created":    "Created. It advances when it is ticked.",
		"equal":      "An equal rollout is under way already; this is it.",
		"signed-out": "Signed out.",

		"key-revoked": "Revoked. Nobody can use it any more.",

		"judging": "The judge is at it. What it says is recorded as it goes.",

		"webhook-deleted":    "Deleted. Nothing more is sent there.",
		"delivery-delivered": "Sent, and the receiver took it.",
		"delivery-pending":   "Sent, but the receiver did not take it. It is tried again; the newest attempt says what it answered.",
		"delivery-failed":    "Sent, but the receiver did not take it, and it is not tried again by itself.",
	}[code]
}

// fail shows what went wrong, and the cause of what is not for readers to the log.
func (r *request) fail(err error) {
	if r.Context().Err() != nil { // nobody waits for the answer any more
		return
	}
	problem := authority.ProblemOf(err)
	if problem.Status >= http.StatusInternalServerError {
		r.h.Log.LogAttrs(r.Context(), slog.LevelError, "page failed", slog.String("path", r.URL.Path), slog.String("error", err.Error()))
	}
	if err := r.page(problem.Status, "error", problem.Title, "", problem); err != nil {
		r.h.Log.LogAttrs(r.Context(), slog.LevelError, "page failed", slog.String("path", r.URL.Path), slog.String("error", err.Error()))
		http.Error(r.out, "something broke on the server, and its log says what", http.StatusInternalServerError)
	}
}

// waiting is how long a request may wait for news.
const waiting = 25 * time.Second
