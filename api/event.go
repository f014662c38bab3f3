package api

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
)

// The limits of ingest.
const (
	MaxBody      = 16 << 20  // bytes of a request, also after decompression
	MaxEvent     = 256 << 10 // bytes of one event
	MaxDepth     = 32        // nesting of one event
	MaxEvents    = 10_000    // events of one request
	MaxMetrics   = 64        // metrics of one run
	MaxMagnitude = 1e18      // of a metric: sums stay exact below it
)

// The kinds of receipts that the product itself gives a meaning to. Other
// kinds of events are recorded and signed too.
const (
	KindAgentRun        = "agent_run"
	KindOutcome         = "outcome"
	KindRolloutCreated  = "rollout_created"
	KindRolloutDecision = "rollout_decision"
	KindRolloutAction   = "rollout_action"
	KindKeyEvent        = "key_event"
	KindOperatorAction  = "operator_action"
)

// DefaultEnvironment is where a run or a rollout belongs that does not say.
const DefaultEnvironment = "production"

// Event is one event as it is sent: a run of an agent, or anything else that
// should be signed.
type Event struct {
	Kind           string                     `json:"kind"`
	OccurredAt     string                     `json:"occurred_at,omitempty"`
	IdempotencyKey string                     `json:"idempotency_key,omitempty"`
	Source         EventSource                `json:"source"`
	Model          *EventModel                `json:"model,omitempty"`
	RunID          string                     `json:"run_id,omitempty"`
	ProbeID        string                     `json:"probe_id,omitempty"`
	UnitID         string                     `json:"unit_id,omitempty"`
	Metrics        map[string]Metric          `json:"metrics,omitempty"`
	Payload        map[string]json.RawMessage `json:"payload,omitempty"`
	Attributes     map[string]json.RawMessage `json:"attributes,omitempty"`
}

// EventSource says which agent an event comes from.
type EventSource struct {
	AppID       string `json:"app_id"`
	Environment string `json:"environment,omitempty"`
	Release     string `json:"release,omitempty"`
	Framework   string `json:"framework,omitempty"`
}

// EventModel names the model that a run used.
type EventModel struct {
	Provider string `json:"provider,omitempty"`
	Name     string `json:"name,omitempty"`
	Version  string `json:"version,omitempty"`
}

// Metric is a finite number or a boolean. As a number, true is 1 and false 0.
type Metric struct {
	Value   float64
	Boolean bool
}

// Number returns a numeric metric.
func Number(v float64) Metric { return Metric{Value: v} }

// Bool returns a boolean metric.
func Bool(v bool) Metric {
	if v {
		return Metric{Value: 1, Boolean: true}
	}
	return Metric{Boolean: true}
}

// ErrMetric says what a metric may be.
var ErrMetric = errors.New("a metric is true, false or a finite number of magnitude up to 1e18; leave out what was not measured")

// MarshalJSON writes true, false or the shortest number.
func (m Metric) MarshalJSON() ([]byte, error) {
	if m.Boolean {
		return strconv.AppendBool(nil, m.Value != 0), nil
	}
	if math.IsNaN(m.Value) || math.IsInf(m.Value, 0) || math.Abs(m.Value) > MaxMagnitude {
		return nil, ErrMetric
	}
	return json.Marshal(m.Value)
}

// UnmarshalJSON reads true, false or a number; anything else is ErrMetric.
func (m *Metric) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case "true":
		*m = Bool(true)
		return nil
	case "false":
		*m = Bool(false)
		return nil
	}
	v, err := strconv.ParseFloat(string(data), 64)
	if err != nil || math.IsNaN(v) || math.Abs(v) > MaxMagnitude {
		return ErrMetric
	}
	*m = Metric{Value: v}
	return nil
}

// IngestStatus says what became of an event.
type IngestStatus string

// An event is created, the duplicate of one that was created before, or refused.
const (
	IngestCreated   IngestStatus = "created"
	IngestDuplicate IngestStatus = "duplicate"
	IngestRefused   IngestStatus = "refused"
)

// IngestResult is what became of one event of a request.
type IngestResult struct {
	// Index is the event's place in the request, from 0.
	Index  int          `json:"index"`
	Status IngestStatus `json:"status"`
	// LogIndex is the receipt's place in the org's log.
	LogIndex *int64          `json:"log_index,omitempty"`
	Receipt  json.RawMessage `json:"receipt,omitempty"`
	Problem  *Problem        `json:"problem,omitempty"`
	// Note says what is worth knowing, such as a run without a release, which is kept and not counted.
	Note string `json:"note,omitempty"`
}

// IngestAnswer is the answer to a well-formed batch, in the order it was sent.
type IngestAnswer struct {
	Results []IngestResult `json:"results"`
}

// ReleaseHeader is where a client says the release of events that do not carry one.
const ReleaseHeader = "X-Prova-Release"
