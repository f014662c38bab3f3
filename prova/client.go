package prova

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultBaseURL is where a server listens that was started without options.
const DefaultBaseURL = "http://127.0.0.1:7788"

// maxAnswer bounds what is read of an answer, in bytes: four times the largest
// request, because an ingest answers with signed receipts.
const maxAnswer = 64 << 20

// maxProblem bounds what is read of an answer that refuses.
const maxProblem = 1 << 20

// Options configures a Client. The zero value speaks to a server on this
// machine without a key, which is enough for its public keys.
type Options struct {
	// BaseURL is the server's address, with http or https; empty is DefaultBaseURL.
	BaseURL string
	// APIKey is sent with each request.
	APIKey string
	// HTTPClient sends the requests; nil is a client that follows no redirect,
	// because a redirected POST silently turns into a GET.
	HTTPClient *http.Client
	// UserAgent names the program; empty is "prova-go".
	UserAgent string
	// Timeout bounds one call, besides what a call asks the server to wait; 0 is one minute.
	// Streams are not bounded by it.
	Timeout time.Duration
}

// Client speaks to one server. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	key     string
	http    *http.Client
	agent   string
	timeout time.Duration
}

// New checks the options and makes a client. It does not reach the server.
func New(o Options) (*Client, error) {
	address := o.BaseURL
	if address == "" {
		address = DefaultBaseURL
	}
	base, err := url.Parse(address)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, fmt.Errorf("base URL %q: want an address such as https://prova.example.com or %s", address, DefaultBaseURL)
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("base URL of %s: want no user, query or fragment; the API key is given on its own", base.Host)
	}
	if strings.ContainsFunc(o.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the API key holds a space, a line end or another character that no key has; was it copied whole?")
	}
	c := &Client{base: base, key: o.APIKey, http: o.HTTPClient, agent: o.UserAgent, timeout: o.Timeout}
	if c.http == nil {
		c.http = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if c.agent == "" {
		c.agent = "prova-go"
	}
	if c.timeout == 0 {
		c.timeout = time.Minute
	}
	return c, nil
}

// BaseURL returns the address that the client speaks to.
func (c *Client) BaseURL() string { return c.base.String() }

// call is one request.
type call struct {
	method, path string
	query        url.Values
	header       http.Header
	body         any
	// wait is how long the server was asked to hold its answer.
	wait time.Duration
	// also is a further status whose body is the answer, not a problem.
	also int
}

// encodedBody is a body that is sent as it is; the call's header says what it is.
type encodedBody []byte

func get(path string, query url.Values) call {
	return call{method: http.MethodGet, path: path, query: query}
}

func post(path string, body any) call { return call{method: http.MethodPost, path: path, body: body} }

// do sends a request and decodes its answer.
func do[Answer any](ctx context.Context, c *Client, r call) (answer Answer, status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout+r.wait)
	defer cancel()
	resp, err := c.send(ctx, r)
	if err != nil {
		return answer, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return answer, 0, c.unreachable(ctx, fmt.Errorf("the answer broke off: %w", err))
	case len(data) > maxAnswer:
		return answer, 0, fmt.Errorf("%s %s: the answer has more than %d bytes; ask for fewer items", r.method, r.path, maxAnswer)
	case resp.StatusCode == http.StatusNoContent || len(data) == 0 && resp.StatusCode < 300:
		return answer, resp.StatusCode, nil
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return answer, 0, c.foreign(resp, data, err)
	}
	return answer, resp.StatusCode, nil
}

// send sends a request and returns the response if it is an answer; everything
// else is an error and leaves nothing open.
func (c *Client) send(ctx context.Context, r call) (*http.Response, error) {
	req, err := c.request(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 || r.also != 0 && resp.StatusCode == r.also && !isProblem(resp) {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err != nil && len(data) == 0 {
		return nil, c.unreachable(ctx, err)
	}
	return nil, c.refusal(resp, data)
}

func (c *Client) request(ctx context.Context, r call) (*http.Request, error) {
	target := c.base.JoinPath(r.path)
	target.RawQuery = r.query.Encode()
	var body io.Reader
	if encoded, ok := r.body.(encodedBody); ok {
		body = bytes.NewReader(encoded)
	} else if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.method, r.path, err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target.String(), body)
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, r.header)
	if r.body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	req.Header.Set("User-Agent", c.agent)
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	return req, nil
}

// segment makes an id or a name safe as one part of a path.
func segment(id string) string {
	if id == "." || id == ".." || id == "" {
		// JoinPath would clean it away and reach another route.
		return "%00"
	}
	return url.PathEscape(id)
}
