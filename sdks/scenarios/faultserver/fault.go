package faultserver

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/cobound/prova/api"
)

// The kinds of faults.
const (
	kindSlow     = "slow"      // answers as it should, after MS
	kindStatus   = "status"    // answers with Status and a problem, or with a page if Page is set
	kindReset    = "reset"     // resets the connection, and nothing was signed
	kindLost     = "lost"      // signs, and resets the connection instead of answering
	kindGarbage  = "garbage"   // answers 200 with Body
	kindTooLarge = "too_large" // answers 413 to more than Events events
	kindRefuse   = "refuse"    // signs all but the event of RunID, which is refused with Status
)

// Fault is what the server does to a request. Faults are met in order: each by
// Times requests, or by all from then on.
type Fault struct {
	Kind string `json:"kind"`
	// Times is how many requests meet it; 0 is one.
	Times   int  `json:"times,omitempty"`
	Forever bool `json:"forever,omitempty"`

	MS     int `json:"ms,omitempty"`
	Status int `json:"status,omitempty"`
	// Code is that of the problem; empty is "unavailable".
	Code string `json:"code,omitempty"`
	// Page answers with a page as a proxy does, not with a problem.
	Page       bool   `json:"page,omitempty"`
	RetryAfter string `json:"retry_after,omitempty"`
	Body       string `json:"body,omitempty"`
	Events     int    `json:"events,omitempty"`
	RunID      string `json:"run_id,omitempty"`
	// Pointer says which member of the event was refused.
	Pointer string `json:"pointer,omitempty"`
}

func (f Fault) check() error {
	switch f.Kind {
	case kindSlow, kindReset, kindLost, kindGarbage, kindTooLarge:
		return nil
	case kindStatus, kindRefuse:
		if f.Status < 300 || f.Status > 599 {
			return fmt.Errorf("a fault of kind %s needs a status from 300 to 599, not %d", f.Kind, f.Status)
		}
		return nil
	}
	return fmt.Errorf("there is no fault of kind %q", f.Kind)
}

// concerns says whether a request meets the fault.
func (f Fault) concerns(lines []json.RawMessage) bool {
	switch f.Kind {
	case kindTooLarge:
		return len(lines) > f.Events
	case kindRefuse:
		for _, line := range lines {
			if f.matches(line) {
				return true
			}
		}
		return false
	}
	return true
}

func (f Fault) matches(line []byte) bool {
	var e api.Event
	return json.Unmarshal(line, &e) == nil && e.RunID == f.RunID
}

// before says whether the answer comes without anything having been signed.
func (f Fault) before() bool {
	switch f.Kind {
	case kindStatus, kindReset, kindGarbage, kindTooLarge:
		return true
	}
	return false
}

// problem is what the fault's status is explained with.
func (f Fault) problem() *api.Problem {
	code := f.Code
	if code == "" {
		code = "unavailable"
	}
	p := &api.Problem{Type: api.ProblemBase + code, Title: http.StatusText(f.Status), Status: f.Status, Detail: "a fault of the scenario"}
	if f.Pointer != "" {
		p.Errors = []api.FieldError{{Pointer: f.Pointer, Detail: p.Detail}}
	}
	return p
}

// answer does the fault instead of answering.
func (f Fault) answer(w http.ResponseWriter) {
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	switch {
	case f.Kind == kindReset:
		cut(w)
	case f.Kind == kindGarbage:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(f.Body))
	case f.Kind == kindTooLarge:
		http.Error(w, "<html>413", http.StatusRequestEntityTooLarge)
	case f.Page:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte("<html>a page"))
	default:
		data, err := json.Marshal(f.problem())
		if err != nil {
			panic(err) // it holds nothing that cannot be written
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(f.Status)
		_, _ = w.Write(data)
	}
}
