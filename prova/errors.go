package prova

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cobound/prova/api"
)

// UnreachableError says that no answer came from the server: it is down, the
// address is wrong, the network is, or the answer took too long. Whether the
// request was carried out is not known.
type UnreachableError struct {
	// BaseURL is the address that was tried.
	BaseURL string
	Err     error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("cannot reach %s: %s", e.BaseURL, cause(e.Err))
}

// Unwrap returns the reason.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Unreachable marks the error for callers that do not link this package.
func (e *UnreachableError) Unreachable() bool { return true }

// AnswerError is an answer that is no success, with what the server says about
// trying again. It wraps an [api.Problem].
type AnswerError struct {
	Problem *api.Problem
	// RetryAfter is how long the server asks to wait; 0 if it does not say.
	RetryAfter time.Duration
}

func (e *AnswerError) Error() string { return e.Problem.Error() }

// Unwrap returns the problem.
func (e *AnswerError) Unwrap() error { return e.Problem }

// unreachable wraps a failure of the transport, unless the caller gave up.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("the request was given up: %w", context.Canceled)
	}
	return &UnreachableError{BaseURL: c.base.String(), Err: err}
}

// cause leaves out what a transport error repeats: method and URL.
func cause(err error) string {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	if de, ok := errors.AsType[*net.DNSError](err); ok {
		return "no address is known for " + de.Name
	}
	if oe, ok := errors.AsType[*net.OpError](err); ok {
		err = oe.Err
	}
	return strings.TrimPrefix(err.Error(), "connect: ")
}

func isProblem(resp *http.Response) bool {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return err == nil && kind == "application/problem+json"
}

// refusal turns an answer that is no success into an error.
func (c *Client) refusal(resp *http.Response, data []byte) error {
	if resp.StatusCode == http.StatusNotModified {
		return ErrNotModified
	}
	var p api.Problem
	if !isProblem(resp) || json.Unmarshal(data, &p) != nil || p.Type == "" {
		return c.foreign(resp, data, nil)
	}
	p.Status = resp.StatusCode
	return &AnswerError{Problem: &p, RetryAfter: retryAfter(resp, time.Now())}
}

// ErrNotModified says that what was asked for has not changed.
var ErrNotModified = errors.New("not modified")

// codeForeign is the code of an answer that Prova did not write.
const codeForeign = "foreign_answer"

// foreign describes an answer that Prova did not write: of a proxy, or of
// another service at this address.
func (c *Client) foreign(resp *http.Response, data []byte, err error) error {
	detail := fmt.Sprintf("%s answered %s with something that is not Prova's; is PROVA_BASE_URL right, and what stands in between?", c.base, resp.Status)
	if to := resp.Header.Get("Location"); to != "" && resp.StatusCode/100 == 3 {
		detail = fmt.Sprintf("%s redirects to %s; set PROVA_BASE_URL to the address that answers itself", c.base, to)
	}
	if text := strings.Join(strings.Fields(string(data[:min(len(data), 200)])), " "); text != "" {
		detail += "\n  it begins: " + strconv.Quote(text)
	}
	if err != nil {
		detail += "\n  " + err.Error()
	}
	p := &api.Problem{Type: api.ProblemBase + codeForeign, Title: "Foreign answer", Status: resp.StatusCode, Detail: detail}
	return &AnswerError{Problem: p, RetryAfter: retryAfter(resp, time.Now())}
}

// retryAfter reads seconds or a date (RFC 9110, 10.2.3).
func retryAfter(resp *http.Response, now time.Time) time.Duration {
	value := resp.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds > 0 {
		return min(time.Duration(seconds)*time.Second, 24*time.Hour)
	}
	if at, err := http.ParseTime(value); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}
