package prova

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// eventSize is what an event without its values takes, in bytes, roughly.
const eventSize = 512

// maxWhole is the largest whole number that every reader of JSON understands alike.
const maxWhole = 1<<53 - 1

// metricOf turns a value into a metric: a boolean, or a number of any of Go's types.
func metricOf(value any) (api.Metric, error) {
	switch v := value.(type) {
	case api.Metric:
		return checkMetric(v)
	case bool:
		return api.Bool(v), nil
	case time.Duration:
		return api.Metric{}, errors.New("a time.Duration has no unit of its own; give a number, such as milliseconds for latency_ms")
	case float32:
		// The shortest decimal: 0.1 is to stay 0.1.
		f, err := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
		if err != nil {
			return api.Metric{}, api.ErrMetric
		}
		return checkMetric(api.Number(f))
	}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Bool:
		return api.Bool(v.Bool()), nil
	case reflect.Float32, reflect.Float64:
		return checkMetric(api.Number(v.Float()))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return checkMetric(api.Number(float64(v.Int())))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return checkMetric(api.Number(float64(v.Uint())))
	default:
		return api.Metric{}, fmt.Errorf("it is a %T; %w", value, api.ErrMetric)
	}
}

func checkMetric(m api.Metric) (api.Metric, error) {
	switch {
	case math.IsNaN(m.Value) || math.IsInf(m.Value, 0):
		return api.Metric{}, fmt.Errorf("it is %v; %w", m.Value, api.ErrMetric)
	case math.Abs(m.Value) > maxWhole:
		return api.Metric{}, fmt.Errorf("it is %v, and beyond ±(2^53-1) numbers lose digits; choose another unit", m.Value)
	}
	return m, nil
}

// marshal writes a value as JSON as it is now. A method of the value that
// panics is an error like any other.
func (r *Recorder) marshal(value any) (data []byte, err error) {
	if text, ok := value.(string); ok && plain(text) {
		return append(append(append(make([]byte, 0, len(text)+2), '"'), text...), '"'), nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("writing it as JSON panicked: %v", p)
		}
	}()
	b, ok := r.buffers.Get().(*bytes.Buffer)
	if !ok {
		b = new(bytes.Buffer)
	}
	b.Reset()
	defer func() {
		if b.Cap() <= largeBuffer {
			r.buffers.Put(b)
		}
	}()
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, err
	}
	return bytes.Clone(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// largeBuffer is the size from which a buffer is not kept, in bytes.
const largeBuffer = 64 << 10

// plain says whether a text stands in JSON as it is. Nearly all that agents
// record is text, and the agent waits for this.
func plain[T string | json.RawMessage](text T) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c > '~' {
			return false
		}
	}
	return true
}

// refuseValue leaves a value out of its run: it is said by name and counted.
func (r *Recorder) refuseValue(name string, why error) {
	r.queue.change(func(s *Stats) { s.RefusedValues++ }, nil)
	r.talk.say(ComplaintValueRefused, name, "left out of a run, which goes on without it: "+why.Error())
}

// setMetric adds a metric; room is how many there may be with it.
func (r *Recorder) setMetric(metrics map[string]api.Metric, name string, value any, room int) {
	m, err := metricOf(value)
	if err == nil {
		err = api.CheckName("the metric's name", name)
	}
	if _, known := metrics[name]; err == nil && !known && len(metrics) >= room {
		err = fmt.Errorf("a run holds at most %d metrics", api.MaxMetrics)
	}
	if err != nil {
		r.refuseValue("metrics."+name, err)
		return
	}
	metrics[name] = m
}

// setValue adds a payload field or an attribute; group is the member of the event that holds it.
func (r *Recorder) setValue(values *map[string]json.RawMessage, group, name string, value any) {
	data, err := r.marshal(value)
	switch {
	case err != nil:
	case len(data) > api.MaxEvent:
		err = fmt.Errorf("it has %d bytes, and a run at most %d", len(data), api.MaxEvent)
	default:
		err = api.CheckName("the name", name)
	}
	if err != nil {
		r.refuseValue(group+"."+name, err)
		return
	}
	if *values == nil {
		*values = map[string]json.RawMessage{}
	}
	(*values)[name] = data
}

// setName sets a name of an event unless it can be none.
func (r *Recorder) setName(field *string, what, value string) {
	if value == "" {
		return
	}
	if err := api.CheckName(what, value); err != nil {
		r.refuseValue(what, err)
		return
	}
	*field = value
}

// add queues an event.
func (r *Recorder) add(event api.Event) {
	if event.Kind == api.KindAgentRun && event.Source.Release == "" {
		r.talk.once(ComplaintNoRelease, "a run carries no release, so no comparison will count it: set PROVA_RELEASE to a commit SHA or a version where you deploy")
	}
	it := &item{event: event, at: time.Now(), size: eventSize}
	for name := range event.Metrics {
		it.size += int64(len(name)) + 24
	}
	for _, values := range []map[string]json.RawMessage{event.Payload, event.Attributes} {
		for name, value := range values {
			it.size += int64(len(name) + len(value))
		}
	}
	switch r.queue.push(it) {
	case accepted:
	case queueFull:
		r.talk.say(ComplaintDropped, "", "the queue is full, and what comes now is dropped",
			slog.Int("queue_events", r.settings.QueueEvents), slog.Int64("queue_bytes", r.settings.QueueBytes))
	case queueClosed:
		r.talk.once(ComplaintClosed, "a run was recorded after the recorder was closed, and is dropped")
	}
}

// sentEvent is an event as it is sent: a run has metrics even if it has none.
type sentEvent struct {
	api.Event
	Metrics map[string]api.Metric `json:"metrics"`
}

// write writes the event's line, the first time. What the server would refuse
// the whole event for is left out. It is done in the background: to read large
// payloads again takes time.
func (r *Recorder) write(it *item) error {
	if it.line != nil {
		return nil
	}
	r.checkValues(it.event.Payload, "payload")
	r.checkValues(it.event.Attributes, "attributes")
	for {
		line, err := r.marshal(sentEvent{it.event, it.event.Metrics})
		if err != nil {
			return err
		}
		if len(line) <= api.MaxEvent {
			it.line, it.event = line, api.Event{}
			return nil
		}
		group, values := "payload", it.event.Payload
		if len(values) == 0 {
			group, values = "attributes", it.event.Attributes
		}
		name, ok := largest(values)
		if !ok {
			return fmt.Errorf("the event has %d bytes, the most is %d", len(line), api.MaxEvent)
		}
		r.refuseValue(group+"."+name, fmt.Errorf("with it the run has %d bytes, and the most is %d", len(line), api.MaxEvent))
		delete(values, name)
	}
}

// checkValues leaves out what has no canonical form, which is what is signed.
func (r *Recorder) checkValues(values map[string]json.RawMessage, group string) {
	// The value stands two levels deep in the event.
	limits := receipt.Limits{Bytes: api.MaxEvent, Depth: api.MaxDepth - 2}
	for name, value := range values {
		if n := len(value); n >= 2 && value[0] == '"' && plain(value[1:n-1]) { // a plain text is its canonical form
			continue
		}
		canonical, err := limits.Canonical(value)
		if err != nil {
			r.refuseValue(group+"."+name, err)
			delete(values, name)
			continue
		}
		values[name] = canonical
	}
}

func largest(values map[string]json.RawMessage) (name string, ok bool) {
	for n, v := range values {
		if !ok || len(v) > len(values[name]) || len(v) == len(values[name]) && n < name {
			name, ok = n, true
		}
	}
	return name, ok
}
