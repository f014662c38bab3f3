package faultserver

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/cobound/prova/api"
)

// IngestPath is where events are sent to.
const IngestPath = "/api/v1/audit/ingest"

// maxControl bounds a request that steers the server, in bytes.
const maxControl = 1 << 20

// Server misbehaves as it is told. Besides the ingest of the API it has paths
// that steer it:
//
//	POST /_reset   forgets everything; the body is a list of faults
//	POST /_faults  replaces the faults that are left; the body is a list
//	GET  /_seen    what came so far
//	POST /_judge   a [Report], answered with {"failures": […]}
//
// It is safe for concurrent use.
type Server struct {
	upstream string

	mu     sync.Mutex
	faults []Fault
	seen   Seen
	first  map[string]string // what was sent first under an idempotency key
	signed map[string]bool   // by the same
	keys   map[string]string // the key that a run first came with
}

// Seen is what came to the server.
type Seen struct {
	Requests []Request `json:"requests"`
	// Signed are the events that were signed, in order.
	Signed []api.Event `json:"signed"`
	// Faulty is what no SDK may do, whatever the scenario.
	Faulty []string `json:"faulty"`
}

// Request is one request with events.
type Request struct {
	At       time.Time `json:"at"`
	Events   int       `json:"events"`
	Encoding string    `json:"encoding"`
	// Fault is what was done to it; empty is nothing.
	Fault string `json:"fault"`
	// NotBefore is when the server asked for the next one, if it did.
	NotBefore time.Time `json:"not_before,omitzero"`
}

// New makes a server without faults. upstream is the address of a real server
// that gets what no fault concerns; empty signs here.
func New(upstream string) *Server {
	s := &Server{upstream: upstream}
	s.reset(nil)
	return s
}

func (s *Server) reset(faults []Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.first, s.signed, s.keys = faults, map[string]string{}, map[string]bool{}, map[string]string{}
	s.seen = Seen{Requests: []Request{}, Signed: []api.Event{}, Faulty: []string{}}
}

// Program replaces the faults that are left.
func (s *Server) Program(faults []Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append([]Fault(nil), faults...)
}

// ServeHTTP takes events and what steers the server.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "POST " + IngestPath:
		s.ingest(w, r)
	case "POST /_reset", "POST /_faults":
		var faults []Fault
		if !control(w, r, &faults) {
			return
		}
		for _, f := range faults {
			if err := f.check(); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		if r.URL.Path == "/_reset" {
			s.reset(faults)
		} else {
			s.Program(faults)
		}
		w.WriteHeader(http.StatusNoContent)
	case "GET /_seen":
		answer(w, http.StatusOK, s.Seen())
	case "POST /_judge":
		var report Report
		if control(w, r, &report) {
			answer(w, http.StatusOK, map[string][]string{"failures": s.Judge(report)})
		}
	default:
		http.NotFound(w, r)
	}
}

// Seen returns what came so far.
func (s *Server) Seen() Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Seen{
		Requests: append([]Request{}, s.seen.Requests...), Signed: append([]api.Event{}, s.seen.Signed...),
		Faulty: append([]string{}, s.seen.Faulty...),
	}
}

func control(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControl))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

// ingest applies the next fault to a request, or signs it.
func (s *Server) ingest(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, api.MaxBody))
	if err != nil {
		return // who sends half a request wants no answer
	}
	lines, err := events(raw, r.Header)
	fault := s.arrived(r.Header, lines, err)
	if fault.Kind == kindSlow {
		select {
		case <-time.After(time.Duration(fault.MS) * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
	if fault.before() {
		fault.answer(w)
		return
	}
	results, status, body := s.sign(r, raw, lines, fault)
	if results != nil {
		s.remember(lines, results)
	}
	if fault.Kind == kindLost {
		cut(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // JSON, and to a test
}

// events takes a body apart: NDJSON, an array, or one event.
func events(raw []byte, h http.Header) ([]json.RawMessage, error) {
	if h.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return nil, err
		}
		if raw, err = io.ReadAll(io.LimitReader(z, api.MaxBody)); err != nil {
			return nil, err
		}
	}
	var list []json.RawMessage
	for dec := json.NewDecoder(bytes.NewReader(raw)); ; {
		var value json.RawMessage
		switch err := dec.Decode(&value); {
		case err == io.EOF: //nolint:errorlint // Decode returns it bare
			return list, nil
		case err != nil:
			return nil, err
		case value[0] == '[':
			var inner []json.RawMessage
			if err := json.Unmarshal(value, &inner); err != nil {
				return nil, err
			}
			list = append(list, inner...)
		default:
			list = append(list, value)
		}
	}
}

// arrived notes a request, what is wrong with it whatever the scenario, and
// which fault it meets.
func (s *Server) arrived(h http.Header, lines []json.RawMessage, err error) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	complain := func(format string, args ...any) {
		s.seen.Faulty = append(s.seen.Faulty, fmt.Sprintf("request %d: ", len(s.seen.Requests))+fmt.Sprintf(format, args...))
	}
	if err != nil || len(lines) == 0 {
		complain("a body of no events (%v)", err)
	}
	if h.Get("Authorization") == "" {
		complain("no API key")
	}
	if n := len(s.seen.Requests); n > 0 && now.Before(s.seen.Requests[n-1].NotBefore) {
		complain("it came %v before the time that Retry-After asked to wait for", s.seen.Requests[n-1].NotBefore.Sub(now))
	}
	for _, line := range lines {
		var e api.Event
		if err := json.Unmarshal(line, &e); err != nil || e.IdempotencyKey == "" {
			complain("an event without an idempotency key (%v): %s", err, line)
			continue
		}
		if s.signed[e.IdempotencyKey] && s.first[e.IdempotencyKey] != string(line) {
			complain("another body under the idempotency key of run %s", e.RunID)
		}
		s.first[e.IdempotencyKey] = string(line)
		if key, ok := s.keys[e.RunID]; e.Kind == api.KindAgentRun && ok && key != e.IdempotencyKey {
			complain("run %s came under two idempotency keys", e.RunID)
		} else if e.Kind == api.KindAgentRun {
			s.keys[e.RunID] = e.IdempotencyKey
		}
	}
	fault := s.next(lines)
	request := Request{At: now, Events: len(lines), Encoding: h.Get("Content-Encoding"), Fault: fault.Kind}
	if seconds, err := strconv.Atoi(fault.RetryAfter); err == nil {
		request.NotBefore = now.Add(time.Duration(seconds) * time.Second)
	}
	s.seen.Requests = append(s.seen.Requests, request)
	return fault
}

// next is the first fault that is left, if it concerns the request.
func (s *Server) next(lines []json.RawMessage) Fault {
	if len(s.faults) == 0 || !s.faults[0].concerns(lines) {
		return Fault{}
	}
	f := s.faults[0]
	if !f.Forever {
		if s.faults[0].Times--; s.faults[0].Times <= 0 {
			s.faults = s.faults[1:]
		}
	}
	return f
}

// sign lets the upstream answer, or signs here. What a fault refuses goes nowhere.
func (s *Server) sign(r *http.Request, raw []byte, lines []json.RawMessage, fault Fault) (results []api.IngestResult, status int, body []byte) {
	if s.upstream != "" && fault.Kind != kindRefuse {
		return s.passOn(r, raw)
	}
	s.mu.Lock()
	results = make([]api.IngestResult, len(lines))
	for i, line := range lines {
		var e api.Event
		_ = json.Unmarshal(line, &e) // arrived has looked at it
		results[i] = api.IngestResult{Index: i, Status: api.IngestCreated}
		if s.signed[e.IdempotencyKey] {
			results[i].Status = api.IngestDuplicate
		}
		if fault.Kind == kindRefuse && fault.matches(line) {
			results[i].Status, results[i].Problem = api.IngestRefused, fault.problem()
		}
	}
	s.mu.Unlock()
	body, err := json.Marshal(api.IngestAnswer{Results: results})
	if err != nil {
		return nil, http.StatusInternalServerError, []byte(err.Error())
	}
	return results, http.StatusOK, body
}

// passOn asks the upstream. If it cannot, nothing was signed.
func (s *Server) passOn(r *http.Request, raw []byte) (results []api.IngestResult, status int, body []byte) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, s.upstream+IngestPath, bytes.NewReader(raw))
	if err != nil {
		return nil, http.StatusBadGateway, []byte(err.Error())
	}
	maps.Copy(req.Header, r.Header)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, http.StatusBadGateway, []byte(err.Error())
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(resp.Body)
	var a api.IngestAnswer
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(body, &a) != nil {
		return nil, resp.StatusCode, body
	}
	return a.Results, resp.StatusCode, body
}

func (s *Server) remember(lines []json.RawMessage, results []api.IngestResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, result := range results {
		var e api.Event
		if i >= len(lines) || json.Unmarshal(lines[i], &e) != nil || result.Status != api.IngestCreated || s.signed[e.IdempotencyKey] {
			continue
		}
		s.signed[e.IdempotencyKey] = true
		s.first[e.IdempotencyKey] = string(lines[i])
		s.seen.Signed = append(s.seen.Signed, e)
	}
}

// cut resets the connection, as a server that is killed does.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
