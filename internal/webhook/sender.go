package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// DefaultTimeout is how long one attempt may take.
const DefaultTimeout = 10 * time.Second

// Options are what a Sender needs; the zero value is a server that faces the internet.
type Options struct {
	// AllowCIDRs opens ranges that are closed otherwise, and allows plain http to
	// literal addresses in them. 0.0.0.0/0 opens all of IPv4 and ::/0 all of IPv6.
	AllowCIDRs []netip.Prefix
	// AllowLoopback opens 127.0.0.0/8 and ::1; for a server that itself listens on loopback.
	AllowLoopback bool
	// Timeout bounds one attempt from the look-up of the name to the last byte
	// that is read; 0 is DefaultTimeout.
	Timeout time.Duration
	// UserAgent is sent with each delivery; empty is "prova-webhook".
	UserAgent string
	// Transport makes the exchange; nil is one that checks every address at the
	// dial. Whoever sets it gives up that check.
	Transport http.RoundTripper
}

// Sender delivers webhooks. It is safe for concurrent use and keeps no
// connection between attempts.
type Sender struct {
	guard     guard
	timeout   time.Duration
	userAgent string
	transport http.RoundTripper
}

var _ authority.Deliverer = (*Sender)(nil)

// New makes a Sender.
func New(o Options) *Sender {
	s := &Sender{
		guard:     newGuard(o.AllowCIDRs, o.AllowLoopback),
		timeout:   o.Timeout,
		userAgent: o.UserAgent,
		transport: o.Transport,
	}
	if s.timeout <= 0 {
		s.timeout = DefaultTimeout
	}
	if s.userAgent == "" {
		s.userAgent = "prova-webhook"
	}
	if s.transport == nil {
		s.transport = s.guard.transport()
	}
	return s
}

// transport connects through the guarded dialer and through nothing else.
func (g guard) transport() *http.Transport {
	return &http.Transport{
		// A proxy would resolve and connect out of the guard's sight.
		Proxy:       nil,
		DialContext: g.dialer().DialContext,
		// Deliveries are rare. A new connection for each means that the address
		// is checked each time and that no stale connection eats an attempt.
		DisableKeepAlives:      true,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// Deliver makes one attempt. The status line is the receiver's word: a 2xx
// whose body drips or breaks off is a success, because a second delivery could
// not make the receiver any surer.
func (s *Sender) Deliver(ctx context.Context, sh authority.Shipment) authority.Sent {
	start := time.Now()
	sent := s.attempt(ctx, sh)
	sent.Duration = time.Since(start)
	return sent
}

func (s *Sender) attempt(parent context.Context, sh authority.Shipment) authority.Sent {
	// What was accepted when it was registered may have been closed since.
	if err := s.CheckURL(sh.URL); err != nil {
		return authority.Sent{Err: err}
	}
	ctx, cancel := context.WithTimeout(parent, s.timeout)
	defer cancel()
	req, err := s.request(ctx, sh)
	if err != nil {
		return authority.Sent{Err: err}
	}
	// A RoundTripper, unlike a Client, knows no redirects and no cookies, and
	// its errors do not repeat the URL.
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		return authority.Sent{Err: s.explain(parent, err)}
	}
	defer resp.Body.Close()
	sent := authority.Sent{StatusCode: resp.StatusCode, Answer: readAnswer(resp.Body)}
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		sent.Err = fmt.Errorf("the receiver answered with a redirect (%d); redirects are not followed, register the final URL", resp.StatusCode)
	case resp.StatusCode >= 400:
		sent.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	return sent
}

func (s *Sender) request(ctx context.Context, sh authority.Shipment) (*http.Request, error) {
	if len(sh.Secrets) == 0 {
		return nil, errors.New("the webhook has no secret to sign with")
	}
	standard, err := api.StandardSignature(sh.ID, sh.At, sh.Body, sh.Secrets...)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, sh.URL, bytes.NewReader(sh.Body))
	if err != nil {
		return nil, errors.New("no request can be made from the URL")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", s.userAgent)
	req.Header.Set(api.SignatureHeader, api.Signature(sh.At, sh.Body, sh.Secrets...))
	req.Header.Set(api.WebhookIDHeader, sh.ID)
	req.Header.Set(api.WebhookTimestampHeader, strconv.FormatInt(sh.At.Unix(), 10))
	req.Header.Set(api.WebhookSignatureHeader, standard)
	if sh.Checkpoint != "" {
		req.Header.Set(api.CheckpointHeader, base64.StdEncoding.EncodeToString([]byte(sh.Checkpoint)))
	}
	return req, nil
}

// failure is why there is no answer, in a text that is fit to be kept and shown.
type failure struct {
	text  string
	cause error
}

// Error is the text.
func (f *failure) Error() string { return f.text }

// Unwrap gives what the transport said.
func (f *failure) Unwrap() error { return f.cause }

// explain says what went wrong. The transport's own words may quote the
// receiver: its certificate, its malformed answer.
func (s *Sender) explain(parent context.Context, err error) error {
	if c, ok := errors.AsType[*closedError](err); ok {
		return c // without the address around it
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && !dns.IsTimeout {
		// The whole of it names the resolver, which is the operator's business.
		return &failure{authority.Printable([]byte("the host cannot be resolved: "+dns.Err), maxAnswer), err}
	}
	if parent.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return &failure{fmt.Sprintf("the receiver did not answer within %s", s.timeout), err}
	}
	return &failure{authority.Printable([]byte(err.Error()), maxAnswer), err}
}
