package prova

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cobound/prova/api"
)

// draft is an event as the program says it. The agent waits for what is done
// here, so nothing is made that can be made in the background, when [pen]
// writes the event's line: no map, no random key, no JSON of a text.
type draft struct {
	kind string
	// occurred is when it began.
	occurred time.Time
	// runID is random if none was given, and so is key, the idempotency key.
	runID            lazyID
	key              string
	release          string
	probeID, unitID  string
	model            *api.EventModel
	metrics          fields[api.Metric]
	payload          fields[value]
	attributes       fields[value]
	metricsWithinRun [6]field[api.Metric]
	payloadWithinRun [2]field[value]
}

// begin begins a draft where it lies: it is not copied.
func (d *draft) begin(kind string, occurred time.Time, release string) {
	d.kind, d.occurred, d.release = kind, occurred, release
	// Most runs hold no more than this, and need no memory besides their own.
	d.metrics, d.payload = d.metricsWithinRun[:0], d.payloadWithinRun[:0]
}

// forget lets go of everything but the id, which the program may still ask for.
func (d *draft) forget(p *paper) {
	for _, values := range []fields[value]{d.payload, d.attributes} {
		for _, f := range values {
			p.release(f.value.note)
		}
	}
	d.model, d.metrics, d.payload, d.attributes = nil, nil, nil, nil
	clear(d.metricsWithinRun[:])
	clear(d.payloadWithinRun[:])
}

// draftSize is what a draft without its values takes, in bytes, roughly.
const draftSize = 512

// size is what the queue counts for the draft, in bytes.
func (d *draft) size() int64 {
	n := int64(draftSize)
	for _, f := range d.metrics {
		n += int64(len(f.name)) + 24
	}
	for _, values := range []fields[value]{d.payload, d.attributes} {
		for _, f := range values {
			n += int64(len(f.name) + f.value.size())
		}
	}
	return n
}

// value is a payload field or an attribute: a text, or else the JSON of what it was when it was set.
type value struct {
	note
	text bool
}

// size is the length of its JSON in bytes, if a text needs no escapes.
func (v value) size() int {
	if v.text {
		return len(v.data) + len(`""`)
	}
	return len(v.data)
}

// safeText is the length in bytes up to which a text is not too large as JSON,
// whatever it holds: a byte becomes at most six.
const safeText = (api.MaxEvent - len(`""`)) / len(`\u0000`)

// valueOf keeps a value as it is now. A text cannot change and is made JSON
// later; it is copied all the same, because it may be a piece of something
// large, which is not to stay in memory with it.
func (r *Recorder) valueOf(given any) (value, error) {
	if text, ok := given.(string); ok && (len(text) <= safeText || plain(text)) {
		return value{note: keep(&r.paper, text), text: true}, nil
	}
	p := r.takePen()
	defer r.putPen(p)
	data, err := p.json(given)
	if err != nil {
		return value{}, err
	}
	return value{note: keep(&r.paper, data)}, nil
}

// fields are what an event holds by name, sorted by it. There are few, mostly.
type fields[V any] []field[V]

type field[V any] struct {
	name  string
	value V
}

// find says where a name is or belongs.
func (f fields[V]) find(name string) (at int, found bool) {
	return slices.BinarySearchFunc(f, name, func(f field[V], name string) int { return strings.Compare(f.name, name) })
}

func (f fields[V]) has(name string) bool {
	_, found := f.find(name)
	return found
}

// set returns what stood there before.
func (f *fields[V]) set(name string, v V) (before V) {
	at, found := f.find(name)
	if found {
		before, (*f)[at].value = (*f)[at].value, v
		return before
	}
	*f = slices.Insert(*f, at, field[V]{name, v})
	return before
}

// largest says where the largest value is, of equal ones the first.
func largest(values fields[value]) (at int) {
	for i, f := range values {
		if f.value.size() > values[at].value.size() {
			at = i
		}
	}
	return at
}

// lazyID is an id that is made when it is asked for first.
type lazyID struct {
	mu   sync.Mutex
	text string
}

func (id *lazyID) get() string {
	id.mu.Lock()
	defer id.mu.Unlock()
	if id.text == "" {
		id.text = newID()
	}
	return id.text
}

func (id *lazyID) set(text string) {
	id.mu.Lock()
	defer id.mu.Unlock()
	id.text = text
}

// setMetric adds a metric; room is how many there may be with it.
func (r *Recorder) setMetric(d *draft, name string, given any, room int) {
	m, err := metricOf(given)
	if err == nil {
		err = api.CheckName("the metric's name", name)
	}
	if err == nil && len(d.metrics) >= room && !d.metrics.has(name) {
		err = fmt.Errorf("a run holds at most %d metrics", api.MaxMetrics)
	}
	if err != nil {
		r.refuseValue("metrics."+name, err)
		return
	}
	d.metrics.set(name, m)
}

// setValue adds a payload field or an attribute; group is the member of the event that holds it.
func (r *Recorder) setValue(values *fields[value], group, name string, given any) {
	v, err := r.valueOf(given)
	switch {
	case err != nil:
	case v.size() > api.MaxEvent:
		err = fmt.Errorf("it has %d bytes, and a run at most %d", v.size(), api.MaxEvent)
	default:
		err = api.CheckName("the name", name)
	}
	if err != nil {
		r.paper.release(v.note)
		r.refuseValue(group+"."+name, err)
		return
	}
	r.paper.release(values.set(name, v).note)
}

// setRunID gives a draft another id than a random one.
func (r *Recorder) setRunID(d *draft, id string) {
	if r.named("run_id", id) {
		d.runID.set(id)
	}
}

// setName sets a name of an event unless it can be none.
func (r *Recorder) setName(field *string, what, name string) {
	if r.named(what, name) {
		*field = name
	}
}

// named says whether a name is given and can be one.
func (r *Recorder) named(what, name string) bool {
	if name == "" {
		return false
	}
	err := api.CheckName(what, name)
	if err != nil {
		r.refuseValue(what, err)
	}
	return err == nil
}
