package prova

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cobound/prova/api"
)

// The metrics that a recorder measures itself.
const (
	metricSuccess = "success"
	metricLatency = "latency_ms"
)

// Run is one execution of the agent that is under way. It is safe for
// concurrent use, and a nil Run takes everything and does nothing.
type Run struct {
	recorder *Recorder

	mu    sync.Mutex
	ended bool
	// item is what the recorder keeps of the run. When it ended, only the id is still the run's to read.
	item item
}

// Run runs fn as one execution of the agent and records it: latency_ms is how
// long fn took, and success whether it returned nil. Metrics of these names
// that fn sets itself count instead. A run whose fn panics or ends its
// goroutine is recorded as a failure, and the panic goes on. The error is fn's.
//
// fn finds the run in its second argument and, deeper in the agent, with
// [RunFrom].
func (r *Recorder) Run(ctx context.Context, fn func(context.Context, *Run) error) error {
	run := r.Start()
	returned := false
	// Nothing is recovered: the panic keeps its stack.
	defer func() {
		if !returned {
			run.fail()
		}
	}()
	err := fn(context.WithValue(ctx, runKey{}, run), run)
	returned = true
	run.End(err)
	return err
}

// Start begins a run that does not fit into one function. [Run.End] records it.
func (r *Recorder) Start() *Run {
	run := &Run{recorder: r}
	if r.err == nil {
		run.item.draft.begin(api.KindAgentRun, time.Now(), r.settings.Release)
	}
	return run
}

// runKey is where a context holds its run.
type runKey struct{}

// RunFrom returns the run that ctx belongs to, or nil, which takes everything and does nothing.
func RunFrom(ctx context.Context) *Run {
	run, _ := ctx.Value(runKey{}).(*Run)
	return run
}

func newID() string { return rand.Text() }

// ID returns the run's id, for outcomes that become known later.
func (run *Run) ID() string {
	if run == nil {
		return ""
	}
	return run.item.draft.runID.get()
}

// change calls do unless nothing is recorded or the run was recorded already.
func (run *Run) change(do func(r *Recorder, d *draft)) {
	if run == nil || run.recorder.err != nil {
		return
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	if run.ended {
		run.recorder.refuseValue("after the end", errors.New("the run was recorded already; send what becomes known later with Outcome"))
		return
	}
	do(run.recorder, &run.item.draft)
}

// Metric sets a metric: a boolean, or a finite number of any of Go's types up
// to 2^53-1. Anything else is left out, said and counted.
func (run *Run) Metric(name string, value any) {
	room := api.MaxMetrics
	if name != metricSuccess && name != metricLatency {
		room -= 2 // what the recorder measures always finds room
	}
	run.change(func(r *Recorder, d *draft) { r.setMetric(d, name, value, room) })
}

// Input sets what the agent was given, as anything that encoding/json writes. It is written at once.
func (run *Run) Input(value any) { run.Payload("input", value) }

// Output sets what the agent answered, as anything that encoding/json writes. It is written at once.
func (run *Run) Output(value any) { run.Payload("output", value) }

// Payload sets a payload field. Payloads can be erased later; the receipt holds a commitment to them.
func (run *Run) Payload(name string, value any) {
	run.change(func(r *Recorder, d *draft) { r.setValue(&d.payload, "payload", name, value) })
}

// Attribute sets what stands in the signed receipt for good: no personal data.
func (run *Run) Attribute(name string, value any) {
	run.change(func(r *Recorder, d *draft) { r.setValue(&d.attributes, "attributes", name, value) })
}

// Probe says that the run replays the fixed input of this name, so that
// releases are compared on the same inputs.
func (run *Run) Probe(id string) {
	run.change(func(r *Recorder, d *draft) { r.setName(&d.probeID, "probe_id", id) })
}

// Unit names what runs share that are not independent, such as a user or a session.
func (run *Run) Unit(id string) {
	run.change(func(r *Recorder, d *draft) { r.setName(&d.unitID, "unit_id", id) })
}

// SetID replaces the run's random id, such as by the id of a trace.
func (run *Run) SetID(id string) {
	run.change(func(r *Recorder, d *draft) { r.setRunID(d, id) })
}

// Release says which release ran, in a program that runs several.
func (run *Run) Release(release string) {
	run.change(func(r *Recorder, d *draft) { r.setName(&d.release, "release", release) })
}

// Model names the model that ran. Each part may be empty.
func (run *Run) Model(provider, name, version string) {
	run.change(func(r *Recorder, d *draft) {
		d.model = r.model(&api.EventModel{Provider: provider, Name: name, Version: version})
	})
}

func (r *Recorder) model(given *api.EventModel) *api.EventModel {
	if given == nil {
		return nil
	}
	var m api.EventModel
	r.setName(&m.Provider, "model.provider", given.Provider)
	r.setName(&m.Name, "model.name", given.Name)
	r.setName(&m.Version, "model.version", given.Version)
	return &m
}

// End records the run, with success if err is nil. Only the first call counts.
func (run *Run) End(err error) {
	run.finish(func(metrics *fields[api.Metric]) {
		if !metrics.has(metricSuccess) {
			metrics.set(metricSuccess, api.Bool(err == nil))
		}
	})
}

// fail records a run that did not return.
func (run *Run) fail() {
	run.finish(func(metrics *fields[api.Metric]) { metrics.set(metricSuccess, api.Bool(false)) })
}

func (run *Run) finish(judge func(*fields[api.Metric])) {
	if run == nil || run.recorder.err != nil {
		return
	}
	now := time.Now()
	run.mu.Lock()
	defer run.mu.Unlock()
	if run.ended {
		return
	}
	run.ended = true
	d := &run.item.draft
	judge(&d.metrics)
	if !d.metrics.has(metricLatency) {
		d.metrics.set(metricLatency, api.Number(float64(now.Sub(d.occurred).Microseconds())/1000))
	}
	run.recorder.add(&run.item, now)
}

// RunRecord is a run that was measured elsewhere.
type RunRecord struct {
	// Metrics are what the run is judged by: booleans and finite numbers. Name
	// them as the policy does: success, latency_ms, cost_usd, tokens, score.
	Metrics map[string]any
	// RunID is for outcomes; empty is a random one.
	RunID string
	// IdempotencyKey tells the server that it has the run already; empty is a random one.
	IdempotencyKey string
	// Release is the release that ran; empty is the recorder's.
	Release string
	// ProbeID names the fixed input that the run replays, if it does.
	ProbeID string
	// UnitID names what runs share that are not independent, such as a user or a session.
	UnitID string
	// OccurredAt is when the run began; zero is now.
	OccurredAt time.Time
	// Model names the model that ran.
	Model *api.EventModel
	// Payload holds what can be erased later, such as input and output, and
	// Attributes what stands in the signed receipt for good.
	Payload, Attributes map[string]any
}

// Record records a run that was measured elsewhere and returns its id. It never
// waits. What of it cannot be sent is left out, said and counted.
func (r *Recorder) Record(run RunRecord) (runID string) {
	if r.err != nil {
		return cmp.Or(run.RunID, newID())
	}
	now := time.Now()
	began := run.OccurredAt
	if began.IsZero() {
		began = now
	}
	it := &item{}
	d := &it.draft
	d.begin(api.KindAgentRun, began, r.settings.Release)
	r.setRunID(d, run.RunID)
	r.setName(&d.key, "idempotency_key", run.IdempotencyKey)
	r.setName(&d.release, "release", run.Release)
	r.setName(&d.probeID, "probe_id", run.ProbeID)
	r.setName(&d.unitID, "unit_id", run.UnitID)
	d.model = r.model(run.Model)
	r.setMetrics(d, run.Metrics)
	r.setValues(&d.payload, "payload", run.Payload)
	r.setValues(&d.attributes, "attributes", run.Attributes)
	id := d.runID.get() // from here on it is the queue's
	r.add(it, now)
	return id
}

func (r *Recorder) setMetrics(d *draft, given map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		r.setMetric(d, name, given[name], api.MaxMetrics)
	}
}

func (r *Recorder) setValues(values *fields[value], group string, given map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		r.setValue(values, group, name, given[name])
	}
}

// Outcome adds metrics that became known after the run was recorded, such as a
// person's label. A metric that the run has already is refused by the server.
func (r *Recorder) Outcome(runID string, metrics map[string]any) {
	if r.err != nil {
		return
	}
	now := time.Now()
	it := &item{}
	d := &it.draft
	d.begin(api.KindOutcome, now, "") // the release is the run's
	r.setMetrics(d, metrics)
	err := api.CheckName("the run id", runID)
	if err == nil && len(d.metrics) == 0 {
		err = errors.New("it has no metric")
	}
	if err != nil {
		r.queue.change(func(s *Stats) { s.Recorded++; s.Refused++ }, nil)
		r.talk.say(ComplaintEventRefused, "", "an outcome was refused: "+err.Error(), slog.String("run_id", runID))
		return
	}
	d.runID.set(runID)
	r.add(it, now)
}
