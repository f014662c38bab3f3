package judge

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	shortestPause = 500 * time.Millisecond
	longestPause  = 30 * time.Second
	// longestRetryAfter is the longest that an endpoint is waited for at its word.
	longestRetryAfter = 2 * time.Minute
)

// noVerdict says that the endpoint works and gives no answer on these texts.
type noVerdict struct{ reason string }

func (e *noVerdict) Error() string { return e.reason }

// ask makes requests until one is answered: again after a pause where that may
// help, and in a weaker dialect where the endpoint does not know all of it.
// Its errors are *noVerdict, *Error with the kind that ends a run, or what
// stood in the way of this call alone.
func (e *endpoint) ask(ctx context.Context, t *turn, messages []message) (reply, error) {
	d, proven := e.spoken()
	if t.plain {
		d.format = formatText
	}
	for attempt := 0; ; {
		most := e.mostCost(messages)
		if err := t.spend(most); err != nil {
			return reply{}, err
		}
		r, err := e.once(ctx, d, messages)
		t.settle(most, charge(r, err, most))
		if err == nil {
			r.dialect = d
			return r, nil
		}
		if ctx.Err() != nil {
			return reply{}, context.Cause(ctx)
		}
		if s, ok := errors.AsType[*statusError](err); ok && s.rejects() {
			if proven || s.aboutTexts() {
				return reply{}, &noVerdict{s.Error()}
			}
			if next, ok := d.without(s.text); ok {
				d = next
				continue
			}
			if _, proven := e.spoken(); proven { // by another call meanwhile
				return reply{}, &noVerdict{s.Error()}
			}
		}
		if final := e.final(err); final != nil {
			return reply{}, final
		}
		if attempt++; attempt > max(e.config.Retries, 0) {
			return reply{}, exhausted(err)
		}
		if err := t.pause(ctx, backoff(attempt, err)); err != nil {
			return reply{}, exhausted(err)
		}
	}
}

// charge is what a request is taken to have cost: what is not known may have
// been billed whole, unless the endpoint refused it.
func charge(r reply, err error, most float64) float64 {
	if _, refused := errors.AsType[*statusError](err); refused {
		return 0
	}
	if err == nil && r.cost != nil {
		return *r.cost
	}
	return most
}

// rejects reports whether the request itself was refused.
func (e *statusError) rejects() bool {
	return e.status == http.StatusBadRequest || e.status == http.StatusUnprocessableEntity || e.status == http.StatusRequestEntityTooLarge
}

// aboutTexts reports whether it was refused for what is to be judged. Where the
// bound of the answer is named, that may be what does not fit.
func (e *statusError) aboutTexts() bool {
	text := strings.ToLower(e.code + " " + e.text)
	if strings.Contains(text, "max_tokens") || strings.Contains(text, "max_completion_tokens") {
		return false
	}
	for _, w := range []string{"context_length", "context length", "context size", "context window", "maximum context", "content_filter", "content management policy"} {
		if strings.Contains(text, w) {
			return true
		}
	}
	return e.status == http.StatusRequestEntityTooLarge
}

// final is the error that ends a run, if this is one: trying again would not help.
func (e *endpoint) final(err error) error {
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	s, ok := errors.AsType[*statusError](err)
	if !ok {
		return nil
	}
	switch {
	case s.status == http.StatusUnauthorized || s.status == http.StatusForbidden:
		return badConfig("%w; set PROVA_JUDGE_API_KEY to a key that may use %s", s, e.config.Model)
	case s.status == http.StatusNotFound:
		return badConfig("%w; is PROVA_JUDGE_URL the base, such as …/v1, and is there a model %s?", s, e.config.Model)
	case strings.Contains(s.code, "insufficient_quota") || s.status == http.StatusPaymentRequired:
		return &Error{TryLater, fmt.Errorf("%w; the account has no credit left", s)}
	case s.retryAfter > longestRetryAfter:
		return &Error{TryLater, fmt.Errorf("%w; it asks to wait for %s", s, s.retryAfter.Round(time.Second))}
	case s.status >= 300 && s.status < 400:
		return badConfig("%w; set PROVA_JUDGE_URL to where it stands", s)
	case transient(s.status):
		return nil
	}
	return badConfig("%w; check PROVA_JUDGE_URL, PROVA_JUDGE_MODEL and PROVA_JUDGE_MAX_TOKENS", s)
}

func transient(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status == http.StatusTooEarly || status == http.StatusConflict || status >= 500
}

// exhausted classifies an error that no further try changed.
func exhausted(err error) error {
	if s, ok := errors.AsType[*statusError](err); ok && s.status == http.StatusTooManyRequests {
		return &failure{TryLater, fmt.Errorf("%w; try later, or with a lower concurrency", err)}
	}
	return &failure{Unreachable, err}
}

// failure is a call that got no answer. One does not end a run, several in a row do.
type failure struct {
	kind Kind
	err  error
}

func (e *failure) Error() string { return e.err.Error() }

func (e *failure) Unwrap() error { return e.err }

// backoff is how long to wait before a further attempt, from 1: twice as long
// each time, with jitter, and never shorter than the endpoint asks for.
func backoff(attempt int, err error) time.Duration {
	most := min(shortestPause<<min(attempt, 10), longestPause)
	wait := most/2 + rand.N(most/2)
	if s, ok := errors.AsType[*statusError](err); ok {
		wait = max(wait, s.retryAfter)
	}
	return wait
}

// retryAfter reads the header: seconds, or a date.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseFloat(strings.TrimSpace(header), 64); err == nil && seconds >= 0 && seconds < 1e6 {
		return time.Duration(seconds * float64(time.Second))
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
