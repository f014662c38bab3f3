package prova

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Complaint is what a recorder complains about. It stands in the log record as
// the attribute "kind" and never changes.
type Complaint string

// The kinds of complaints. Each is logged at once when it comes up, and then at
// most once a minute with the number of times since.
const (
	ComplaintDisabled       Complaint = "disabled"        // nothing is recorded: a setting is missing or wrong; said once
	ComplaintClosed         Complaint = "closed"          // a run came after Close; said once
	ComplaintNoRelease      Complaint = "no_release"      // a run carries no release and will not be counted; said once
	ComplaintValueRefused   Complaint = "value_refused"   // a metric, a payload field or a name was left out of its run
	ComplaintEventRefused   Complaint = "event_refused"   // a whole run or outcome was refused
	ComplaintDropped        Complaint = "dropped"         // the queue is full
	ComplaintKey            Complaint = "key"             // the server does not accept the API key
	ComplaintUnreachable    Complaint = "unreachable"     // no answer from the server
	ComplaintUnavailable    Complaint = "unavailable"     // the server answers that it cannot now: 408, 429, 5xx
	ComplaintForeignAnswer  Complaint = "foreign_answer"  // an answer that is not Prova's
	ComplaintTooLarge       Complaint = "too_large"       // a request was too large for the server, or for what stands before it
	ComplaintRequestRefused Complaint = "request_refused" // the server refuses the request for another reason
	ComplaintSpool          Complaint = "spool"           // the spool cannot be used, is full, or was damaged
)

// complaintPause is how long the same complaint is only counted.
const complaintPause = time.Minute

// maxComplaints bounds what is remembered of complaints: there are a few kinds,
// and as many names of metrics as an agent makes up.
const maxComplaints = 256

// complaints writes to the log without flooding it.
type complaints struct {
	log *slog.Logger

	mu   sync.Mutex
	made map[complaintKey]*complaintState
}

// complaintKey tells complaints apart: of some kinds each name is one of its own.
type complaintKey struct {
	kind Complaint
	name string
}

type complaintState struct {
	at    time.Time
	since int
}

func newComplaints(log *slog.Logger) *complaints {
	return &complaints{log: log, made: map[complaintKey]*complaintState{}}
}

// once complains the first time and never again.
func (c *complaints) once(kind Complaint, message string, args ...any) {
	key := complaintKey{kind: kind}
	c.mu.Lock()
	_, made := c.made[key]
	c.made[key] = &complaintState{}
	c.mu.Unlock()
	if !made {
		c.write(key, message, args...)
	}
}

// say complains, unless the same was said within the last minute.
func (c *complaints) say(kind Complaint, name, message string, args ...any) {
	now := time.Now()
	c.mu.Lock()
	key := complaintKey{kind, name}
	if _, known := c.made[key]; !known && len(c.made) >= maxComplaints {
		key.name = "" // too many names: they share one
	}
	state, known := c.made[key]
	if !known {
		state = &complaintState{}
		c.made[key] = state
	}
	quiet := known && now.Sub(state.at) < complaintPause
	if quiet {
		state.since++
	} else {
		if state.since > 0 {
			args = append(args, slog.Int("since", state.since))
		}
		state.at, state.since = now, 0
	}
	c.mu.Unlock()
	if !quiet {
		c.write(complaintKey{kind, name}, message, args...)
	}
}

// finish says how often was complained that nothing was logged of.
func (c *complaints) finish() {
	c.mu.Lock()
	rest := map[complaintKey]int{}
	for key, state := range c.made {
		if state.since > 0 {
			rest[key] = state.since
			state.since = 0
		}
	}
	c.mu.Unlock()
	for key, n := range rest {
		c.write(key, "the same again since it was last said", slog.Int("since", n))
	}
}

// write hands a record to a logger that is the program's: its failure is not to end the agent.
func (c *complaints) write(key complaintKey, message string, args ...any) {
	defer func() { _ = recover() }()
	attributes := append([]any{slog.String("kind", string(key.kind))}, args...)
	if key.name != "" {
		attributes = append(attributes, slog.String("name", key.name))
	}
	c.log.WarnContext(context.Background(), "prova: "+message, attributes...)
}
