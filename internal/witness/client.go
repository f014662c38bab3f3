package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

// Client asks witnesses for cosignatures. It is safe for concurrent use.
type Client struct {
	timeout   time.Duration
	userAgent string
	transport http.RoundTripper
}

var _ authority.WitnessClient = (*Client)(nil)

// ClientOptions are what a client is made with; the zero value is good.
type ClientOptions struct {
	// Timeout bounds one request from the look-up of the name to the last byte of the answer; 0 is ten seconds.
	Timeout time.Duration
	// UserAgent is sent with each request; empty is "prova-witness-client".
	UserAgent string
}

const (
	clientTime = 10 * time.Second
	// maxAnswer bounds the body of an answer, in bytes: the lines of a hundred keys are less.
	maxAnswer = 16 << 10
	// maxReason bounds what is shown of a refusal, in bytes.
	maxReason = 200
	// sizeType is the content type of a 409 that names the size that the witness saw.
	sizeType = "text/x.tlog.size"
)

// NewClient makes a client. It uses the proxy of the environment.
func NewClient(o ClientOptions) *Client {
	c := &Client{timeout: o.Timeout, userAgent: o.UserAgent}
	if c.timeout <= 0 {
		c.timeout = clientTime
	}
	if c.userAgent == "" {
		c.userAgent = "prova-witness-client"
	}
	c.transport = &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableCompression: true, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxAnswer,
		MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute,
	}
	return c
}

// AddCheckpoint makes one request. A RoundTripper, unlike an [http.Client],
// follows no redirect and its errors do not repeat the URL.
func (c *Client) AddCheckpoint(parent context.Context, url string, r authority.WitnessRequest) authority.WitnessAnswer {
	ctx, cancel := context.WithTimeout(parent, c.timeout)
	defer cancel()
	body := request{r.Old, r.Proof, r.Checkpoint}.marshal()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(url, "/")+"/add-checkpoint", bytes.NewReader(body))
	if err != nil {
		return authority.WitnessAnswer{Size: -1, Err: errors.New("no request can be made from its URL")}
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	req.Header.Set("User-Agent", c.userAgent)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return authority.WitnessAnswer{Size: -1, Err: c.explain(parent, err)}
	}
	defer func() { _ = resp.Body.Close() }() // what was read counts
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return authority.WitnessAnswer{Size: -1, Err: c.explain(parent, err)}
	}
	if len(text) > maxAnswer {
		return authority.WitnessAnswer{Size: -1, Err: fmt.Errorf("its answer has more than %d bytes", maxAnswer)}
	}
	return read(resp, text)
}

func read(resp *http.Response, text []byte) authority.WitnessAnswer {
	answer := authority.WitnessAnswer{StatusCode: resp.StatusCode, Size: -1}
	switch {
	case resp.StatusCode == http.StatusOK:
		answer.Lines = string(text)
		return answer
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		answer.Reason = "a redirect, which is not followed: configure the final URL"
		return answer
	case resp.StatusCode == http.StatusConflict:
		answer.Size = conflictSize(resp.Header.Get("Content-Type"), text)
	}
	answer.Reason = authority.Printable(text, maxReason)
	return answer
}

// conflictSize reads a size in its one spelling, with or without a line end; -1 for anything else.
func conflictSize(contentType string, text []byte) int64 {
	kind, _, err := mime.ParseMediaType(contentType)
	digits := strings.TrimSuffix(string(text), "\n")
	size, errSize := strconv.ParseInt(digits, 10, 64)
	if err != nil || kind != sizeType || errSize != nil || size < 0 || strconv.FormatInt(size, 10) != digits {
		return -1
	}
	return size
}

// explain says in words that are fit to be kept and shown why there is no answer.
func (c *Client) explain(parent context.Context, err error) error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && !dns.IsTimeout {
		return errors.New(authority.Printable([]byte("its host cannot be resolved: "+dns.Err), maxReason))
	}
	if parent.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("it did not answer within %s", c.timeout)
	}
	return errors.New(authority.Printable([]byte(err.Error()), maxReason))
}

// Bounds of a list of witnesses: a checkpoint with all their lines still is one that every verifier reads.
const (
	maxWitnesses = 32
	maxName      = 255 // bytes
)

// ReadWitnesses reads the witnesses that a server asks: in each line a URL and
// a verifier key, with blank lines and lines that begin with #.
func ReadWitnesses(text string) ([]authority.Witness, error) {
	var all []authority.Witness
	seen := map[string]int{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		w, err := readWitness(fields)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		// Signature lines know a key by its name and 32 bits, as the verifier key begins.
		id := w.VKey()[:strings.LastIndex(w.VKey(), "+")]
		if first, ok := seen[id]; ok {
			return nil, fmt.Errorf("line %d: the key of line %d stands here again", number, first)
		}
		seen[id] = number
		if all = append(all, w); len(all) > maxWitnesses {
			return nil, fmt.Errorf("line %d: at most %d witnesses can be asked", number, maxWitnesses)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("it names no witness: want a URL and a verifier key in each line")
	}
	return all, nil
}

func readWitness(fields []string) (authority.Witness, error) {
	if len(fields) != 2 {
		return authority.Witness{}, errors.New("want the URL of a witness and its verifier key, as in: https://witness.example.org/ witness.example.org+1a2b3c4d+BA…")
	}
	u, err := url.Parse(fields[0])
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return authority.Witness{}, errors.New("the first field is not the URL of a witness: want one that begins with https:// or http://")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return authority.Witness{}, errors.New("the URL of a witness has no password, no query and no fragment: everybody with audit.read sees it")
	}
	w, err := receipt.ParseWitness(fields[1])
	if err != nil {
		return authority.Witness{}, fmt.Errorf("the verifier key of the witness: %w", err)
	}
	if len(w.Name()) > maxName {
		return authority.Witness{}, fmt.Errorf("the name of the witness has more than %d bytes", maxName)
	}
	return authority.Witness{Witness: w, URL: fields[0]}, nil
}
