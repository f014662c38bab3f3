package prova

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/cobound/prova/api"
)

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

// marshal writes a value as JSON as it is now.
func (r *Recorder) marshal(given any) ([]byte, error) {
	p := r.takePen()
	defer r.putPen(p)
	data, err := p.json(given)
	return bytes.Clone(data), err
}

// refuseValue leaves a value out of its run: it is said by name and counted.
func (r *Recorder) refuseValue(name string, why error) {
	r.queue.change(func(s *Stats) { s.RefusedValues++ }, nil)
	r.talk.say(ComplaintValueRefused, name, "left out of a run, which goes on without it: "+why.Error())
}

// add queues an event that comes in now.
func (r *Recorder) add(it *item, now time.Time) {
	if it.draft.kind == api.KindAgentRun && it.draft.release == "" {
		r.talk.once(ComplaintNoRelease, "a run carries no release, so no comparison will count it: set PROVA_RELEASE to a commit SHA or a version where you deploy")
	}
	it.at, it.size = now, it.draft.size()
	switch r.queue.push(it) {
	case accepted:
	case queueFull:
		r.talk.say(ComplaintDropped, "", "the queue is full, and what comes now is dropped",
			slog.Int("queue_events", r.settings.QueueEvents), slog.Int64("queue_bytes", r.settings.QueueBytes))
	case queueClosed:
		r.talk.once(ComplaintClosed, "a run was recorded after the recorder was closed, and is dropped")
	}
}
