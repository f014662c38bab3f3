package authority

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/cobound/prova/api"
)

// Code classifies every error that leaves this package. Codes are stable:
// they end the type of the problem that a client sees.
type Code string

// The codes.
const (
	CodeInvalid         Code = "invalid"         // the request is wrong; Fields says where
	CodeUnauthenticated Code = "unauthenticated" // no key, or one that is unknown, revoked or expired
	CodeForbidden       Code = "forbidden"       // the key lacks the permission
	CodeNotFound        Code = "not_found"       // absent, or another org's
	CodeConflict        Code = "conflict"        // what is there already says otherwise
	CodeUnavailable     Code = "unavailable"     // try again later
	CodeReadOnly        Code = "read_only"       // the database went back or is damaged: only a person can help
	CodeInternal        Code = "internal"        // a bug or a broken database; the detail is for the log only
)

// Error is the one error type of the use cases. Detail says what to do.
type Error struct {
	Code   Code
	Detail string
	Fields []api.FieldError
	// Cause is for the log and is never shown to a client.
	Cause error
}

// Error writes the code and the detail, and the cause for the log.
func (e *Error) Error() string {
	text := string(e.Code) + ": " + e.Detail
	for _, f := range e.Fields {
		text += "; " + f.Pointer + ": " + f.Detail
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// CodeOf is the code of an error, CodeInternal for one that carries none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// Status is the HTTP status and the title of a code's problem: part of the wire
// contract, because problems also stand inside answers.
func (c Code) Status() (status int, title string) {
	switch c {
	case CodeInvalid:
		return http.StatusBadRequest, "The request is invalid"
	case CodeUnauthenticated:
		return http.StatusUnauthorized, "A valid API key is needed"
	case CodeForbidden:
		return http.StatusForbidden, "The key does not allow this"
	case CodeNotFound:
		return http.StatusNotFound, "Not found"
	case CodeConflict:
		return http.StatusConflict, "Conflict"
	case CodeUnavailable:
		return http.StatusServiceUnavailable, "Try again later"
	case CodeReadOnly:
		return http.StatusServiceUnavailable, "The log is not written to"
	case CodeInternal:
	}
	return http.StatusInternalServerError, "Internal error"
}

// ProblemOf is an error as a client may see it: neither its cause nor the detail of an internal one.
func ProblemOf(err error) *api.Problem {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Code == CodeInternal {
		e = &Error{Code: CodeInternal, Detail: "something broke on the server, and its log says what; read again what was to change before you repeat it"}
	}
	status, title := e.Code.Status()
	return &api.Problem{Type: api.ProblemBase + string(e.Code), Title: title, Status: status, Detail: e.Detail, Errors: e.Fields}
}

func fail(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// invalid points at one member of a request.
func invalid(pointer, format string, args ...any) *Error {
	detail := fmt.Sprintf(format, args...)
	return &Error{Code: CodeInvalid, Detail: detail, Fields: []api.FieldError{{Pointer: pointer, Detail: detail}}}
}

// notFound is the same for what is absent and for what is another org's.
func notFound(what string) *Error { return fail(CodeNotFound, "there is no such %s", what) }

// storeError turns what a store returned into an Error: what for a missing row, CodeUnavailable for an outage.
func storeError(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrNotFound):
		return notFound(what)
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return &Error{Code: CodeUnavailable, Detail: "the database did not answer as it should: if this was a change, it may or may not have been made; read it again before you repeat it", Cause: err}
}
