package authority

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"
)

// What the authority asks of strangers over a network: witnesses, and receivers of webhooks.

// Printable makes text from outside fit for a terminal, a page and a database:
// valid UTF-8 without control characters, invisible ones or line breaks, its
// beginning of at most so many bytes.
func Printable(p []byte, most int) string {
	var b strings.Builder
	for _, r := range string(p) { // an invalid byte ranges as U+FFFD
		switch {
		case unicode.IsSpace(r):
			r = ' '
		case !unicode.IsPrint(r):
			r = utf8.RuneError
		}
		if b.Len()+utf8.RuneLen(r) > most {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// WitnessClient asks witnesses.
type WitnessClient interface {
	// AddCheckpoint makes one request of C2SP tlog-witness to a witness's URL. It
	// never follows a redirect and returns within its own time limit.
	AddCheckpoint(ctx context.Context, url string, r WitnessRequest) WitnessAnswer
}

// WitnessRequest asks for a cosignature.
type WitnessRequest struct {
	// Old is the size that the witness last saw, as far as the log knows.
	Old int64
	// Proof is the consistency proof from Old to the checkpoint; empty where Old is 0 or the checkpoint's size.
	Proof      []tlog.Hash
	Checkpoint string // the signed note
}

// WitnessAnswer is what came of a request.
type WitnessAnswer struct {
	// StatusCode is that of HTTP, or 0 with Err.
	StatusCode int
	// Lines is the body of a 200 as it came, Reason that of another answer, fit to be shown.
	Lines  string
	Reason string
	// Size is what a 409 names as the size that the witness saw last; -1 if it names none.
	Size int64
	// Err is why there is no answer that could be read.
	Err error
}

// Deliverer sends one webhook request.
type Deliverer interface {
	// CheckURL refuses what must not be sent to, before anything is stored.
	CheckURL(url string) error
	// Deliver makes one attempt. It never follows a redirect and returns within its own time limit.
	Deliver(ctx context.Context, s Shipment) Sent
}

// Shipment is one request to a receiver.
type Shipment struct {
	URL string
	// ID is the webhook-id: the same on every retry.
	ID      string
	Body    []byte
	Secrets []string
	At      time.Time // the time of sending that is signed
	// Checkpoint is the signed note of the log's head, or empty.
	Checkpoint string
}

// Sent is what came of a shipment. Only a 2xx without Err is success.
type Sent struct {
	StatusCode int
	Answer     string
	Duration   time.Duration
	// RetryAfter is what the receiver asked for; 0 if nothing.
	RetryAfter time.Duration
	Err        error
}

// OK reports whether the receiver took it.
func (s Sent) OK() bool { return s.Err == nil && s.StatusCode >= 200 && s.StatusCode < 300 }
