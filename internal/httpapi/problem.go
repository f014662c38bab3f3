package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// The codes of what goes wrong before a use case is called. Like those of
// authority they end the type of a problem and never change.
const (
	codeMethod   authority.Code = "method_not_allowed"
	codeTimeout  authority.Code = "request_timeout"
	codeTooLarge authority.Code = "too_large"
	codeMedia    authority.Code = "unsupported_media_type"
)

// retryAfter is what a client is asked to wait, in seconds, when the service is unavailable.
const retryAfter = 2

// status maps a code to the status and the title of its problem.
func status(code authority.Code) (status int, title string) {
	switch code {
	case codeMethod:
		return http.StatusMethodNotAllowed, "Method not allowed"
	case codeTimeout:
		return http.StatusRequestTimeout, "The request took too long to arrive"
	case codeTooLarge:
		return http.StatusRequestEntityTooLarge, "The request is too large"
	case codeMedia:
		return http.StatusUnsupportedMediaType, "The format is not supported"
	default:
		return code.Status()
	}
}

// problemOf is an error as a client may see it: neither its cause nor the detail of an internal one.
func problemOf(e *authority.Error) api.Problem {
	code, title := status(e.Code)
	p := api.Problem{Type: api.ProblemBase + string(e.Code), Title: title, Status: code, Detail: e.Detail, Errors: e.Fields}
	if code == http.StatusInternalServerError {
		p.Type = api.ProblemBase + string(authority.CodeInternal)
		p.Detail = "something broke on the server; it is in the server's log under the id in the header X-Request-Id"
		p.Errors = nil
	}
	return p
}

// fail writes an error as a problem and logs what a client must not see.
func (s *service) fail(w *recorder, r *http.Request, err error) {
	var p api.Problem
	if e, ok := errors.AsType[*api.Problem](err); ok {
		p = *e // of a lone event: the use case has judged it
	} else if e, ok := errors.AsType[*authority.Error](err); ok {
		p = problemOf(e)
	} else {
		p = problemOf(&authority.Error{Code: authority.CodeInternal})
	}
	if p.Status >= http.StatusInternalServerError {
		level := slog.LevelError
		if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
			level = slog.LevelDebug // the client left: nobody is to be woken for that
		}
		s.log.LogAttrs(r.Context(), level, "request failed", slog.String("request_id", w.id),
			slog.String("route", r.Pattern), slog.Int("status", p.Status), slog.String("error", err.Error()))
	}
	writeProblem(w, p)
}

func writeProblem(w http.ResponseWriter, p api.Problem) {
	switch p.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="prova"`)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	body, err := encode(p)
	if err != nil { // no problem holds anything that cannot be encoded
		body = []byte("{}\n")
	}
	write(w, p.Status, "application/problem+json", body)
}

// invalid points at one member of a body or at one query parameter.
func invalid(pointer, detail string) *authority.Error {
	return &authority.Error{Code: authority.CodeInvalid, Detail: detail, Fields: []api.FieldError{{Pointer: pointer, Detail: detail}}}
}

func refuse(code authority.Code, detail string) *authority.Error {
	return &authority.Error{Code: code, Detail: detail}
}
