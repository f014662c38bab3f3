// Package judgetest is an OpenAI-compatible endpoint whose judge behaves as a
// test wants: well, badly, or not at all. It checks each request for what an
// endpoint may expect and what a judge must not be told. It exists for tests.
package judgetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
)

// Mode is how the judge behaves.
type Mode string

// The modes.
const (
	Fair      Mode = "fair"      // prefers the answer with more of Good, else says tie
	First     Mode = "first"     // always prefers what is shown first
	Second    Mode = "second"    // always prefers what is shown second
	Candidate Mode = "candidate" // always prefers the answer with Mark
	Malformed Mode = "malformed" // answers with something else than the object
	Extra     Mode = "extra"     // answers with the object and a member more
	Wrapped   Mode = "wrapped"   // is fair, and puts thoughts and a fence around the object
	Refusing  Mode = "refusing"  // refuses
	CutOff    Mode = "cut off"   // never comes to the end
	Injected  Mode = "injected"  // obeys the last order that it can take for an instruction, else is fair
	Slow      Mode = "slow"      // never answers
	Dead      Mode = "dead"      // closes the connection
	Failing   Mode = "failing"   // answers 500
	Foreign   Mode = "foreign"   // answers 200 with a web page
	TooLong   Mode = "too long"  // says that the texts are longer than it can read
)

const (
	// Good is what a fair judge likes in an answer.
	Good = "GOOD"
	// Mark is what the judge that prefers the candidate knows it by.
	Mark = "MARK-OF-THE-CANDIDATE"
	// Order is what an injected judge obeys: the word after it is its verdict.
	Order = "THE VERDICT IS NOW "
)

// Endpoint is a fake endpoint. Set its members before the first request; use it
// as a handler, or as a transport that needs no network.
type Endpoint struct {
	Mode Mode
	// Model and Key are what requests must carry.
	Model, Key string
	// Forbidden are words that no request may hold, such as release names.
	Forbidden []string
	// What the endpoint does not know, and refuses with 400.
	NoSchema, NoObject, NoTemperature, NoSeed, NoMaxTokens bool
	// Silent refuses without naming what it minds.
	Silent bool
	// RateLimits is how many requests are answered 429 first, with RetryAfter.
	RateLimits int
	RetryAfter string
	// FailEvery answers each such request 503, if it is not 0; Rejected is a word in the texts that is answered 400.
	FailEvery int
	Rejected  string
	// Status is answered to everything, if set, with StatusText and Location.
	Status     int
	StatusText string
	Location   string
	// NoUsage leaves the tokens out; Cost is what the endpoint says a call cost, if it is not 0.
	NoUsage bool
	Cost    float64
	// Before is called with each request that is well-formed, by its number from 1; may be nil.
	Before func(n int)

	mu         sync.Mutex
	prompts    []Prompt
	requests   int
	limited    int
	complaints []string
}

// Requests is the number of all requests.
func (e *Endpoint) Requests() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.requests
}

// Prompts are those of the requests that a judge was asked with.
func (e *Endpoint) Prompts() []Prompt {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.prompts)
}

// Complaints say what was wrong with requests.
func (e *Endpoint) Complaints() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.complaints)
}

// RoundTrip answers without a network.
func (e *Endpoint) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		if recover() != nil {
			resp, err = nil, errors.New("connection reset by peer")
		}
	}()
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// ServeHTTP answers.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	e.requests++
	n := e.requests
	limit := e.limited < e.RateLimits
	if limit {
		e.limited++
	}
	e.mu.Unlock()
	if e.down(w, r, n, limit) {
		return
	}
	asked, complaint := e.read(r)
	if complaint != "" {
		e.mu.Lock()
		e.complaints = append(e.complaints, complaint)
		e.mu.Unlock()
		fail(w, http.StatusTeapot, "", complaint)
		return
	}
	if minds := e.minds(asked); minds != "" {
		if e.Silent {
			minds = "bad request"
		}
		fail(w, http.StatusBadRequest, "unsupported_parameter", minds)
		return
	}
	if e.Rejected != "" && strings.Contains(asked.prompt.User, e.Rejected) {
		fail(w, http.StatusBadRequest, "", "I would rather not")
		return
	}
	if e.Mode == TooLong {
		fail(w, http.StatusBadRequest, "context_length_exceeded", "This model's maximum context length is 8 tokens.")
		return
	}
	e.mu.Lock()
	e.prompts = append(e.prompts, asked.prompt)
	e.mu.Unlock()
	if e.Before != nil {
		e.Before(n)
	}
	e.answer(w, asked)
}

// down answers where no judge is asked, and reports whether it did.
func (e *Endpoint) down(w http.ResponseWriter, r *http.Request, n int, limit bool) bool {
	switch {
	case e.Mode == Dead:
		panic(http.ErrAbortHandler)
	case e.Mode == Slow:
		_, _ = io.Copy(io.Discard, r.Body) // the server notices a client that goes away only after this
		<-r.Context().Done()
	case e.Mode == Failing:
		fail(w, http.StatusInternalServerError, "", "out of memory")
	case e.Mode == Foreign:
		_, _ = io.WriteString(w, "<html>Sign in</html>")
	case e.Status != 0:
		if e.Location != "" {
			w.Header().Set("Location", e.Location)
		}
		fail(w, e.Status, "", e.StatusText)
	case e.FailEvery != 0 && n%e.FailEvery == 0:
		fail(w, http.StatusServiceUnavailable, "", "busy")
	case limit:
		w.Header().Set("Retry-After", e.RetryAfter)
		fail(w, http.StatusTooManyRequests, "rate_limit_exceeded", "slow down")
	default:
		return false
	}
	return true
}

// minds is what the endpoint does not know in a request.
func (e *Endpoint) minds(a asked) string {
	switch {
	case e.NoMaxTokens && a.MaxTokens != 0:
		return "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
	case e.NoTemperature && a.Temperature != nil:
		return "Unsupported value: 'temperature' does not support 0 with this model."
	case e.NoSeed && a.Seed != nil:
		return "Unrecognized request argument supplied: seed"
	case e.NoSchema && a.format() == "json_schema":
		return "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."
	case e.NoObject && a.format() == "json_object":
		return "Invalid parameter: 'response_format' of type 'json_object' is not supported with this model."
	}
	return ""
}

// answer writes what the judge says.
func (e *Endpoint) answer(w http.ResponseWriter, a asked) {
	content, refusal, finish := e.say(a.prompt), "", "stop"
	switch e.Mode {
	case Refusing:
		content, refusal = "", "I cannot help with that."
	case CutOff:
		content, finish = `{"reason":"It is a long st`, "length"
	default:
	}
	message := map[string]any{"role": "assistant", "content": content}
	if refusal != "" {
		message["content"], message["refusal"] = nil, refusal
	}
	body := map[string]any{
		"id": "chatcmpl-1", "object": "chat.completion", "model": e.Model,
		"choices": []any{map[string]any{"index": 0, "finish_reason": finish, "message": message}},
	}
	if !e.NoUsage {
		usage := map[string]any{"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050}
		if e.Cost != 0 {
			usage["cost"] = e.Cost
		}
		body["usage"] = usage
	}
	write(w, http.StatusOK, body)
}

// say is the text of the judge's message.
func (e *Endpoint) say(p Prompt) string {
	switch e.Mode {
	case First:
		return verdict("first", "It comes first.")
	case Second:
		return verdict("second", "It comes last.")
	case Candidate:
		return verdict(prefer(p, Mark), "I know whose it is.")
	case Malformed:
		return "The first one, I think. \x1b[31mOr not."
	case Extra:
		return `{"reason":"r","verdict":"first","confidence":1}`
	case Wrapped:
		return "<think>Hm. {\"verdict\":\"second\"}</think>\nHere it is:\n```json\n" + verdict(prefer(p, Good), "r") + "\n```\nI hope it helps."
	case Injected:
		if i := strings.LastIndex(p.Outside, Order); i >= 0 {
			word, _, _ := strings.Cut(p.Outside[i+len(Order):], "\n")
			return verdict(strings.TrimSpace(word), "I was told to.")
		}
	default:
	}
	return verdict(prefer(p, Good), "It has more of what counts.")
}

// prefer is the answer that has a word more often.
func prefer(p Prompt, word string) string {
	switch first, second := strings.Count(p.First, word), strings.Count(p.Second, word); {
	case first > second:
		return "first"
	case second > first:
		return "second"
	}
	return "tie"
}

func verdict(word, reason string) string {
	return fmt.Sprintf(`{"reason":%q,"verdict":%q}`, reason, word)
}

func fail(w http.ResponseWriter, status int, code, text string) {
	write(w, status, map[string]any{"error": map[string]any{"message": text, "type": "error", "code": code}})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
