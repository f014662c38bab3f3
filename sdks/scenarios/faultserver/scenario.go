// Package faultserver is a server that misbehaves as it is told, and judges how
// an SDK coped. It serves the tests of all SDKs: they run the same scenarios
// against it and have the same judge. The README beside the scenarios explains
// the format; the program that tests of other languages start is in
// sdks/scenarios/cmd/faultserver.
//
// With an upstream it passes on what no fault concerns, so that a real server
// has the last word on what it gets; without one it signs for everything.
package faultserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Scenario is what a program does with a recorder, what the server does to it,
// and what comes of both.
type Scenario struct {
	// Name is that of the file, without its end.
	Name  string `json:"-"`
	About string `json:"about"`
	// Environment are variables to set; null unsets one that the runner sets.
	Environment map[string]*string `json:"environment,omitempty"`
	Options     Options            `json:"options"`
	Faults      []Fault            `json:"faults,omitempty"`
	Calls       []Call             `json:"calls"`
	Expect      Expect             `json:"expect"`
}

// Options are a recorder's. Times are in milliseconds; 0 is the recorder's own.
type Options struct {
	AppID           string `json:"app_id,omitempty"`
	QueueEvents     int    `json:"queue_events,omitempty"`
	BatchEvents     int    `json:"batch_events,omitempty"`
	FlushIntervalMS int    `json:"flush_interval_ms,omitempty"`
	TimeoutMS       int    `json:"timeout_ms,omitempty"`
	RetryMinMS      int    `json:"retry_min_ms,omitempty"`
	RetryMaxMS      int    `json:"retry_max_ms,omitempty"`
	// Spool gives the recorder a directory that is empty at first.
	Spool bool `json:"spool,omitempty"`
}

// Call is one thing that the program does.
type Call struct {
	// Do is run, record, outcome, flush, close, restart or faults.
	Do string `json:"do"`
	// Repeat does it so many times; 0 is once.
	Repeat     int                        `json:"repeat,omitempty"`
	RunID      string                     `json:"run_id,omitempty"`
	Release    string                     `json:"release,omitempty"`
	ProbeID    string                     `json:"probe_id,omitempty"`
	UnitID     string                     `json:"unit_id,omitempty"`
	Metrics    map[string]json.RawMessage `json:"metrics,omitempty"`
	Payload    map[string]json.RawMessage `json:"payload,omitempty"`
	Attributes map[string]json.RawMessage `json:"attributes,omitempty"`
	// End is how the function of a run ends: return, error or panic.
	End string `json:"end,omitempty"`
	// TimeoutMS bounds a flush or a close, in milliseconds.
	TimeoutMS int `json:"timeout_ms,omitempty"`
	// Left is how many events a flush or a close says it did not send.
	Left int64 `json:"left,omitempty"`
	// Faults replace those that the server still has.
	Faults []Fault `json:"faults,omitempty"`
}

// Expect is what must have come of a scenario. What is not given is not judged.
type Expect struct {
	// Events are those that were signed, in order, and no others.
	Events []Event `json:"events,omitempty"`
	// Counts are some of the last recorder's counts.
	Counts map[string]int64 `json:"counts,omitempty"`
	// Warnings are the kinds of all that the recorders complained about.
	Warnings []string `json:"warnings"`
	// Refused are the names of values that warnings must name.
	Refused []string `json:"refused,omitempty"`
	// MinRequests and MaxRequests bound the requests that came.
	MinRequests int `json:"min_requests,omitempty"`
	MaxRequests int `json:"max_requests,omitempty"`
}

// Event is one that must have been signed. Its metrics, payload and attributes
// are exactly those named; a metric that is null may have any value.
type Event struct {
	Repeat      int                        `json:"repeat,omitempty"`
	Kind        string                     `json:"kind"`
	AppID       string                     `json:"app_id,omitempty"`
	Environment string                     `json:"environment,omitempty"`
	Release     string                     `json:"release"`
	RunID       string                     `json:"run_id,omitempty"`
	ProbeID     string                     `json:"probe_id"`
	UnitID      string                     `json:"unit_id"`
	Metrics     map[string]json.RawMessage `json:"metrics"`
	Payload     []string                   `json:"payload,omitempty"`
	Attributes  []string                   `json:"attributes,omitempty"`
	// Timeless is an event that was sent without its time.
	Timeless bool `json:"timeless,omitempty"`
}

// Load reads a scenario. A member that is not known is an error.
func Load(path string) (Scenario, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Scenario{}, err
	}
	s := Scenario{Name: strings.TrimSuffix(filepath.Base(path), ".json")}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return Scenario{}, fmt.Errorf("%s: %w", path, err)
	}
	for _, faults := range append([][]Fault{s.Faults}, later(s.Calls)...) {
		for _, f := range faults {
			if err := f.check(); err != nil {
				return Scenario{}, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	return s, nil
}

func later(calls []Call) [][]Fault {
	var all [][]Fault
	for _, c := range calls {
		all = append(all, c.Faults)
	}
	return all
}
