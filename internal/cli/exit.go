package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/cobound/prova/api"
)

// The exit codes. From 64 on they are those of sysexits.h, except for 130,
// which is what a shell shows for a program that was interrupted.
const (
	Done        = 0   // fully promoted; verdict clean; done
	Regressed   = 1   // rolled back; regression; bad evidence
	TimedOut    = 2   // watch timed out; verify: malformed
	Undecided   = 3   // hold, insufficient or undetermined; some lines were refused
	Aborted     = 4   // a person aborted the rollout
	Usage       = 64  // the command line, or what it asks for, is wrong
	Unreachable = 69  // no server answers
	TryLater    = 75  // the server asks to try later
	NotAllowed  = 77  // the key is unknown, ended or lacks a permission
	BadConfig   = 78  // the environment or a file of settings is wrong
	Interrupted = 130 // Ctrl-C
)

// Malformed is the exit code of a verification whose input is no evidence at all.
const Malformed = TimedOut

// ExitError ends a program with a code. Without Err everything was said before.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns the reason.
func (e *ExitError) Unwrap() error { return e.Err }

// Exit ends a program with a code and says nothing more. Exit(Done) is nil.
func Exit(code int) error {
	if code == Done {
		return nil
	}
	return &ExitError{Code: code}
}

// Usagef says that the command line is wrong.
func Usagef(format string, args ...any) error {
	return &ExitError{Code: Usage, Err: fmt.Errorf(format, args...)}
}

// Configf says that the environment or a file of settings is wrong.
func Configf(format string, args ...any) error {
	return &ExitError{Code: BadConfig, Err: fmt.Errorf(format, args...)}
}

// Code is the exit code of an error. What nobody classified is Usage: most of
// that is a file that cannot be read or written, and it must never look like a
// verdict.
func Code(err error) int {
	if err == nil {
		return Done
	}
	if e, ok := errors.AsType[*ExitError](err); ok {
		return e.Code
	}
	if errors.Is(err, context.Canceled) {
		return Interrupted
	}
	if e, ok := errors.AsType[unreachable](err); ok && e.Unreachable() {
		return Unreachable
	}
	if p, ok := errors.AsType[*api.Problem](err); ok {
		return problemCode(p)
	}
	return Usage
}

// foreignAnswer is the code that the client gives to an answer that is not Prova's.
const foreignAnswer = "foreign_answer"

// problemCode is the exit code of an answer that is no success. What a
// stranger answers at the server's address (the page of a proxy whose backend
// is being restarted) says nothing: the server is not reached.
func problemCode(p *api.Problem) int {
	code := statusCode(p.Status)
	if code == Usage && p.Code() == foreignAnswer {
		return Unreachable
	}
	return code
}

// unreachable is implemented by the client's error: this package links no network.
type unreachable interface {
	error
	Unreachable() bool
}

// The HTTP statuses that have an exit code of their own. net/http would link a network.
const (
	statusUnauthorized   = 401
	statusForbidden      = 403
	statusRequestTimeout = 408
	statusTooMany        = 429
	statusBadGateway     = 502
	statusGatewayTimeout = 504
)

// statusCode is the exit code of an HTTP status that is no success.
func statusCode(status int) int {
	switch {
	case status == statusUnauthorized || status == statusForbidden:
		return NotAllowed
	case status == statusBadGateway || status == statusGatewayTimeout:
		return Unreachable // a proxy answered, no server behind it did
	case Transient(status):
		return TryLater
	case status >= 300 && status < 400:
		return BadConfig // a redirect
	}
	return Usage
}

// Transient reports whether the same request may succeed later.
func Transient(status int) bool {
	return status == statusTooMany || status == statusRequestTimeout || status >= 500
}

// Outage reports whether an error says nothing about what was asked: no server
// answered, or it asks to try later.
func Outage(err error) bool {
	code := Code(err)
	return code == Unreachable || code == TryLater
}
