package prova

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// pen writes JSON. It is used again: what the background leaves behind the
// agent helps to collect.
type pen struct {
	buffer  bytes.Buffer
	encoder *json.Encoder
	// head is an event without its metrics, payload and attributes.
	head api.Event
}

// largeBuffer is the size from which a buffer is not kept, in bytes.
const largeBuffer = 64 << 10

func (r *Recorder) takePen() *pen {
	if p, ok := r.pens.Get().(*pen); ok {
		return p
	}
	p := &pen{}
	p.encoder = json.NewEncoder(&p.buffer)
	p.encoder.SetEscapeHTML(false)
	return p
}

func (r *Recorder) putPen(p *pen) {
	if p.buffer.Cap() <= largeBuffer {
		r.pens.Put(p)
	}
}

// json writes a value; what it returns is good until the next call. A method
// of the value that panics is an error like any other.
func (p *pen) json(given any) (data []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("writing it as JSON panicked: %v", p)
		}
	}()
	p.buffer.Reset()
	if err := p.encoder.Encode(given); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(p.buffer.Bytes(), []byte("\n")), nil
}

// text appends a text as JSON.
func (p *pen) text(line []byte, text string) ([]byte, error) {
	if plain(text) {
		return append(append(append(line, '"'), text...), '"'), nil
	}
	data, err := p.json(text)
	return append(line, data...), err
}

// plain says whether a text stands in JSON as it is, between quotes. Nearly all that agents
// record is text.
func plain[T string | []byte](text T) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c > '~' {
			return false
		}
	}
	return true
}

// write writes the event's line, the first time. What the server would refuse
// the whole event for is left out. It is done in the background.
func (r *Recorder) write(it *item) error {
	if it.line != nil {
		return nil
	}
	p := r.takePen()
	defer r.putPen(p)
	d := &it.draft
	d.key = cmp.Or(d.key, newID()) // once: however often the event is sent, it counts once
	r.checkValues(p, &d.payload, "payload")
	r.checkValues(p, &d.attributes, "attributes")
	for {
		line, err := r.line(p, d)
		if err != nil {
			return err
		}
		if len(line) <= api.MaxEvent {
			it.line = line
			d.forget()
			return nil
		}
		group, values := "payload", &d.payload
		if len(*values) == 0 {
			group, values = "attributes", &d.attributes
		}
		if len(*values) == 0 {
			return fmt.Errorf("the event has %d bytes, the most is %d", len(line), api.MaxEvent)
		}
		name := removeLargest(values)
		r.refuseValue(group+"."+name, fmt.Errorf("with it the run has %d bytes, and the most is %d", len(line), api.MaxEvent))
	}
}

// line writes a draft as it is sent. What holds little is written by
// [encoding/json]; what may hold much is appended, each value as it was kept.
func (r *Recorder) line(p *pen, d *draft) ([]byte, error) {
	s := &r.settings
	p.head = api.Event{
		Kind: d.kind, OccurredAt: d.occurred.UTC().Format(time.RFC3339Nano), IdempotencyKey: d.key,
		Source: api.EventSource{AppID: s.AppID, Environment: s.Environment, Release: d.release, Framework: s.Framework},
		Model:  d.model, RunID: d.runID.get(), ProbeID: d.probeID, UnitID: d.unitID,
	}
	head, err := p.json(&p.head)
	if err != nil {
		return nil, err
	}
	line := append(make([]byte, 0, d.size()), head[:len(head)-len("}")]...)
	// A run has metrics even if it has none.
	if line, err = appendObject(p, line, "metrics", d.metrics, (*pen).metric); err != nil {
		return nil, err
	}
	if len(d.payload) > 0 {
		if line, err = appendObject(p, line, "payload", d.payload, (*pen).value); err != nil {
			return nil, err
		}
	}
	if len(d.attributes) > 0 {
		if line, err = appendObject(p, line, "attributes", d.attributes, (*pen).value); err != nil {
			return nil, err
		}
	}
	return append(line, '}'), nil
}

// appendObject appends a member of the event that is an object.
func appendObject[V any](p *pen, line []byte, member string, values fields[V], write func(*pen, []byte, V) ([]byte, error)) (_ []byte, err error) {
	line = append(append(append(line, `,"`...), member...), `":`...)
	start := byte('{')
	for _, f := range values {
		line = append(line, start)
		if line, err = p.text(line, f.name); err != nil {
			return nil, err
		}
		if line, err = write(p, append(line, ':'), f.value); err != nil {
			return nil, err
		}
		start = ','
	}
	if len(values) == 0 {
		line = append(line, start)
	}
	return append(line, '}'), nil
}

func (p *pen) metric(line []byte, m api.Metric) ([]byte, error) {
	data, err := m.MarshalJSON()
	return append(line, data...), err
}

func (p *pen) value(line []byte, v value) ([]byte, error) {
	if v.text {
		return p.text(line, v.data)
	}
	return append(line, v.data...), nil
}

// checkValues leaves out what has no canonical form, which is what is signed.
func (r *Recorder) checkValues(p *pen, values *fields[value], group string) {
	kept := (*values)[:0]
	for _, f := range *values {
		var err error
		if f.value, err = p.canonical(f.value); err != nil {
			r.refuseValue(group+"."+f.name, err)
			continue
		}
		kept = append(kept, f)
	}
	*values = kept
}

func (p *pen) canonical(v value) (value, error) {
	data := []byte(nil)
	switch {
	case v.text && plain(v.data): // it is its canonical form
		return v, nil
	case v.text:
		var err error
		if data, err = p.json(v.data); err != nil {
			return value{}, err
		}
	default:
		data = []byte(v.data)
	}
	// The value stands two levels deep in the event.
	limits := receipt.Limits{Bytes: api.MaxEvent, Depth: api.MaxDepth - 2}
	data, err := limits.Canonical(data)
	return value{data: string(data)}, err
}
