package judge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/cobound/prova/internal/authority"
)

const (
	completionsPath = "/chat/completions"
	// maxReply bounds what is read of an answer, in bytes; a verdict has some hundred.
	maxReply = 1 << 20
	// shownReply is how much of a refusal is shown.
	shownReply = 300
)

// endpoint speaks POST {base}/chat/completions. It is safe for concurrent use.
type endpoint struct {
	config Config
	url    string
	client *http.Client

	mu      sync.Mutex
	dialect dialect
	// proven: a call in the dialect was answered.
	proven bool
}

func newEndpoint(c Config) *endpoint {
	client := http.Client{}
	if c.HTTPClient != nil {
		client = *c.HTTPClient
	} else if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		transport = transport.Clone()
		transport.MaxIdleConnsPerHost = c.Concurrency
		client.Transport = transport
	}
	// A redirect could carry texts and key to another host, and turns a POST into a GET.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &endpoint{config: c, url: strings.TrimSuffix(c.URL, "/") + completionsPath, client: &client, dialect: fullDialect()}
}

// spoken is the dialect as far as it is known, and whether it is proven.
func (e *endpoint) spoken() (dialect, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dialect, e.proven
}

// learn keeps a dialect in which a call was answered.
func (e *endpoint) learn(d dialect) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dialect, e.proven = e.dialect.weaker(d), true
}

// doubt begins a run: what stands behind the address may be another program
// than in the run before, and what it refuses is again about the request.
func (e *endpoint) doubt() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.proven = false
}

// reply is a well-formed answer of the endpoint, whatever the judge said in it.
type reply struct {
	content, refusal, finish string
	// cost in USD; nil where neither the endpoint nor the prices say it.
	cost *float64
	// dialect is how the endpoint was asked.
	dialect dialect
}

// statusError is an answer that is no success.
type statusError struct {
	status int
	// code and text are the endpoint's own words, fit to be shown.
	code, text string
	retryAfter time.Duration
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("the judge's endpoint answers %d %s", e.status, http.StatusText(e.status))
	if e.text != "" {
		text += ": " + e.text
	}
	return text
}

// foreignError is an answer with 200 that is not of the protocol.
type foreignError struct{ err error }

func (e *foreignError) Error() string {
	return fmt.Sprintf("what answers for the judge is no chat completion: %v", e.err)
}

// once makes one request.
func (e *endpoint) once(ctx context.Context, d dialect, messages []message) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, e.config.Timeout)
	defer cancel()
	body, err := json.Marshal(d.request(e.config.Model, e.config.MaxTokens, messages))
	if err != nil {
		return reply{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return reply{}, badConfig("PROVA_JUDGE_URL: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "prova-judge")
	if e.config.APIKey != "" {
		req.Header.Set("Authorization", "Bearer "+e.config.APIKey)
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return reply{}, e.transport(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	switch {
	case err != nil:
		return reply{}, e.transport(err)
	case resp.StatusCode != http.StatusOK:
		return reply{}, e.refused(resp, data)
	case len(data) > maxReply:
		return reply{}, &foreignError{fmt.Errorf("it has more than %d bytes", maxReply)}
	}
	return e.read(data)
}

// transport leaves out what an error of the transport repeats.
func (e *endpoint) transport(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %s: %w", e.config.Timeout, err)
	}
	return fmt.Errorf("cannot reach the judge at %s: %w", shownURL(e.config.URL), err)
}

// refused reads an answer that is no success.
func (e *endpoint) refused(resp *http.Response, data []byte) error {
	found := &statusError{status: resp.StatusCode, retryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		found.text = "it redirects to " + e.shown([]byte(shownURL(resp.Header.Get("Location"))))
		return found
	}
	found.code, found.text = e.complaint(data)
	if found.text == "" {
		found.text = e.shown(data)
	}
	return found
}

// complaint is the error in an answer: an object with a message, as OpenAI
// writes it, or a text, as others do.
func (e *endpoint) complaint(data []byte) (code, text string) {
	var body struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Code    any             `json:"code"`
	}
	if json.Unmarshal(data, &body) != nil {
		return "", ""
	}
	inner := struct {
		Message string `json:"message"`
		Code    any    `json:"code"`
	}{body.Message, body.Code}
	if json.Unmarshal(body.Error, &inner) != nil {
		_ = json.Unmarshal(body.Error, &inner.Message) // if it is not one either, there is no message
	}
	if s, ok := inner.Code.(string); ok {
		code = e.shown([]byte(s))
	}
	return code, e.shown([]byte(inner.Message))
}

// shown makes an endpoint's words fit to be shown; some repeat the key.
func (e *endpoint) shown(text []byte) string {
	if key := e.config.APIKey; key != "" {
		text = bytes.ReplaceAll(text, []byte(key), []byte("…"))
	}
	return authority.Printable(text, shownReply)
}

// read reads the few members of a chat completion that matter here.
func (e *endpoint) read(data []byte) (reply, error) {
	var body struct {
		Choices []struct {
			FinishReason string `json:"finish_reason"`
			Message      struct {
				Content json.RawMessage `json:"content"`
				Refusal string          `json:"refusal"`
			} `json:"message"`
		} `json:"choices"`
		Usage *struct {
			PromptTokens     int64    `json:"prompt_tokens"`
			CompletionTokens int64    `json:"completion_tokens"`
			Cost             *float64 `json:"cost"`
		} `json:"usage"`
	}
	if err := json.Unmarshal(data, &body); err != nil {
		return reply{}, &foreignError{errors.New("it is not the JSON of one")}
	}
	if len(body.Choices) == 0 {
		if _, text := e.complaint(data); text != "" { // as OpenRouter says it
			return reply{}, &foreignError{errors.New(text)}
		}
		return reply{}, &foreignError{errors.New("it has no choices")}
	}
	choice := body.Choices[0]
	r := reply{finish: choice.FinishReason, refusal: choice.Message.Refusal}
	// Content that is no text is left empty, which is no answer of a judge either.
	_ = json.Unmarshal(choice.Message.Content, &r.content)
	if u := body.Usage; u != nil {
		if p := e.config.Prices; p != nil {
			cost := (float64(max(u.PromptTokens, 0))*p.In + float64(max(u.CompletionTokens, 0))*p.Out) / 1e6
			r.cost = &cost
		}
		if u.Cost != nil && *u.Cost >= 0 {
			r.cost = u.Cost
		}
	}
	return r, nil
}

// mostCost is the most that a call can cost, in USD: a token is at least a byte.
func (e *endpoint) mostCost(messages []message) float64 {
	p := e.config.Prices
	if p == nil {
		return 0
	}
	const around = 200 // tokens that a chat template and a schema take
	n := around
	for _, m := range messages {
		n += len(m.Content)
	}
	return (float64(n)*p.In + float64(e.config.MaxTokens)*p.Out) / 1e6
}
