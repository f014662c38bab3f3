package importer

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/cobound/prova/api"
)

// errOther marks a line that is well and holds no run.
var errOther = errors.New("not a run")

// shape tells the forms of a line apart by the members that only one has.
type shape struct {
	AppID      jsontext.Value `json:"app_id"`
	Source     jsontext.Value `json:"source"`
	Body       jsontext.Value `json:"body"`
	Receipt    jsontext.Value `json:"receipt"`
	Export     jsontext.Value `json:"export"`
	Checkpoint jsontext.Value `json:"checkpoint"`
}

func parse(line []byte) (Run, error) {
	if line[0] == '[' {
		return Run{}, errors.New("an array; put each run on a line of its own, such as with jq -c '.[]'")
	}
	var s shape
	if err := json.Unmarshal(line, &s); err != nil {
		return Run{}, readable(err)
	}
	switch {
	case s.Export != nil || s.Checkpoint != nil:
		return Run{}, errOther
	case s.Receipt != nil:
		return parseReceipt(s.Receipt)
	case s.Body != nil:
		return parseReceipt(line)
	case s.Source != nil:
		return parseEvent(line)
	case s.AppID != nil:
		return parseSimple(line)
	}
	return Run{}, errors.New(`neither a run {"app_id", "release", "metrics"} nor a receipt {"body", "key_id", "signature"}`)
}

// simple is the flat form of a run.
type simple struct {
	AppID          string                    `json:"app_id"`
	Environment    string                    `json:"environment"`
	Release        string                    `json:"release"`
	ProbeID        string                    `json:"probe_id"`
	RunID          string                    `json:"run_id"`
	UnitID         string                    `json:"unit_id"`
	OccurredAt     string                    `json:"occurred_at"`
	IdempotencyKey string                    `json:"idempotency_key"`
	Metrics        map[string]api.Metric     `json:"metrics"`
	Attributes     map[string]jsontext.Value `json:"attributes"`
}

func parseSimple(line []byte) (Run, error) {
	var s simple
	if err := json.Unmarshal(line, &s, json.RejectUnknownMembers(true)); err != nil {
		return Run{}, readable(err)
	}
	e := api.Event{
		Kind: api.KindAgentRun, OccurredAt: s.OccurredAt, IdempotencyKey: s.IdempotencyKey,
		Source: api.EventSource{AppID: s.AppID, Environment: s.Environment, Release: s.Release},
		RunID:  s.RunID, ProbeID: s.ProbeID, UnitID: s.UnitID, Metrics: s.Metrics,
	}
	if len(s.Attributes) > 0 {
		e.Attributes = make(map[string]stdjson.RawMessage, len(s.Attributes))
		for name, value := range s.Attributes {
			e.Attributes[name] = stdjson.RawMessage(value)
		}
	}
	return Run{Event: e}, check(e)
}

func parseEvent(line []byte) (Run, error) {
	var e api.Event
	if err := json.Unmarshal(line, &e, json.RejectUnknownMembers(true)); err != nil {
		return Run{}, readable(err)
	}
	if e.Kind == "" {
		e.Kind = api.KindAgentRun
	}
	if e.Kind != api.KindAgentRun && e.Kind != api.KindOutcome {
		return Run{}, errOther
	}
	return Run{Event: e}, check(e)
}

// parseReceipt reads what a receipt says and believes it: prova-verify is for
// those who do not.
func parseReceipt(raw []byte) (Run, error) {
	var envelope struct {
		Body struct {
			EventID string `json:"event_id"`
			Kind    string `json:"kind"`
			api.Event
		} `json:"body"`
	}
	if err := json.Unmarshal(raw, &envelope); err != nil {
		return Run{}, readable(err)
	}
	e := envelope.Body.Event
	e.Kind = envelope.Body.Kind
	if e.Kind == "" || envelope.Body.EventID == "" {
		return Run{}, errors.New("a receipt without kind or event_id")
	}
	if e.Kind != api.KindAgentRun && e.Kind != api.KindOutcome {
		return Run{}, errOther
	}
	return Run{Event: e, EventID: envelope.Body.EventID}, check(e)
}

// check refuses what a server would refuse of a run, so that a file gives the
// same answer without one.
func check(e api.Event) error {
	if err := api.CheckName("app_id", e.Source.AppID); err != nil {
		return err
	}
	for _, n := range []struct{ what, value string }{
		{"environment", e.Source.Environment},
		{"release", e.Source.Release},
		{"run_id", e.RunID},
		{"probe_id", e.ProbeID},
		{"unit_id", e.UnitID},
		{"idempotency_key", e.IdempotencyKey},
	} {
		if n.value == "" {
			continue
		}
		if err := api.CheckName(n.what, n.value); err != nil {
			return err
		}
	}
	switch {
	case len(e.Metrics) == 0:
		return errors.New(`no metrics; a run needs at least one, such as {"success": true}`)
	case len(e.Metrics) > api.MaxMetrics:
		return fmt.Errorf("%d metrics, the most is %d", len(e.Metrics), api.MaxMetrics)
	case e.Kind == api.KindOutcome && e.RunID == "":
		return errors.New("an outcome without the run_id of its run")
	}
	for name := range e.Metrics {
		if err := api.CheckName("metric", name); err != nil {
			return err
		}
	}
	if e.OccurredAt != "" {
		if _, err := time.Parse(time.RFC3339Nano, e.OccurredAt); err != nil {
			return fmt.Errorf("occurred_at %q: want a time such as 2026-05-15T18:42:00Z", e.OccurredAt)
		}
	}
	return nil
}

// readable says what is wrong with a line in words of the file, not of Go.
func readable(err error) error {
	if errors.Is(err, json.ErrUnknownName) {
		if se, ok := errors.AsType[*json.SemanticError](err); ok {
			return fmt.Errorf("unknown member %s; what a run should carry besides goes into attributes", se.JSONPointer)
		}
	}
	if errors.Is(err, api.ErrMetric) {
		if se, ok := errors.AsType[*json.SemanticError](err); ok {
			return fmt.Errorf("%s: %w", strings.TrimPrefix(string(se.JSONPointer), "/"), api.ErrMetric)
		}
	}
	if se, ok := errors.AsType[*json.SemanticError](err); ok {
		if se.JSONPointer == "" {
			return fmt.Errorf("want one JSON object, got a %s", se.JSONKind)
		}
		return fmt.Errorf("member %s has the wrong type (%s)", se.JSONPointer, se.JSONKind)
	}
	if se, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(se.Err, jsontext.ErrDuplicateName) {
			return fmt.Errorf("member %s stands twice", se.JSONPointer)
		}
		return fmt.Errorf("not JSON at byte %d: %w", se.ByteOffset+1, se.Err)
	}
	return err
}
