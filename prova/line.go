package prova

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// pen writes JSON. It is used again: what the background leaves behind the
// agent helps to collect.
type pen struct {
	buffer  bytes.Buffer
	encoder *json.Encoder
	// head is an event without its metrics, payload and attributes, and line the whole.
	head api.Event
	line []byte
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
	if max(p.buffer.Cap(), cap(p.line)) <= largeBuffer {
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
	if it.written() {
		return nil
	}
	p := r.takePen()
	defer r.putPen(p)
	d := &it.draft
	d.key = cmp.Or(d.key, newID()) // once: however often the event is sent, it counts once
	r.checkValues(p, &d.payload, "payload")
	r.checkValues(p, &d.attributes, "attributes")
	for {
		if err := r.line(p, d); err != nil {
			return err
		}
		size := len(p.line)
		if size <= api.MaxEvent {
			it.line = keep(&r.paper, p.line)
			d.forget(&r.paper)
			return nil
		}
		group, values := "payload", &d.payload
		if len(*values) == 0 {
			group, values = "attributes", &d.attributes
		}
		if len(*values) == 0 {
			return fmt.Errorf("the event has %d bytes, the most is %d", size, api.MaxEvent)
		}
		at := largest(*values)
		r.refuseValue(group+"."+(*values)[at].name, fmt.Errorf("with it the run has %d bytes, and the most is %d", size, api.MaxEvent))
		r.paper.release((*values)[at].value.note)
		*values = slices.Delete(*values, at, at+1)
	}
}

// line writes a draft as it is sent. What holds little is written by
// [encoding/json]; what may hold much is appended, each value as it was kept.
func (r *Recorder) line(p *pen, d *draft) error {
	s := &r.settings
	p.head = api.Event{
		Kind: d.kind, OccurredAt: d.occurred.UTC().Format(time.RFC3339Nano), IdempotencyKey: d.key,
		Source: api.EventSource{AppID: s.AppID, Environment: s.Environment, Release: d.release, Framework: s.Framework},
		Model:  d.model, RunID: d.runID.get(), ProbeID: d.probeID, UnitID: d.unitID,
	}
	head, err := p.json(&p.head)
	if err != nil {
		return err
	}
	p.line = append(p.line[:0], head[:len(head)-len("}")]...)
	// A run has metrics even if it has none.
	if err := object(p, "metrics", d.metrics, p.metric); err != nil {
		return err
	}
	if len(d.payload) > 0 {
		if err := object(p, "payload", d.payload, p.value); err != nil {
			return err
		}
	}
	if len(d.attributes) > 0 {
		if err := object(p, "attributes", d.attributes, p.value); err != nil {
			return err
		}
	}
	p.line = append(p.line, '}')
	return nil
}

// object adds a member to the line that is an object.
func object[V any](p *pen, member string, values fields[V], write func(V) error) error {
	p.line = append(append(append(p.line, `,"`...), member...), `":{`...)
	for i, f := range values {
		if i > 0 {
			p.line = append(p.line, ',')
		}
		if err := p.text(f.name); err != nil {
			return err
		}
		p.line = append(p.line, ':')
		if err := write(f.value); err != nil {
			return err
		}
	}
	p.line = append(p.line, '}')
	return nil
}

// text adds a text to the line.
func (p *pen) text(text string) error {
	if plain(text) {
		p.line = append(append(append(p.line, '"'), text...), '"')
		return nil
	}
	data, err := p.json(text)
	p.line = append(p.line, data...)
	return err
}

func (p *pen) metric(m api.Metric) error {
	data, err := m.MarshalJSON()
	p.line = append(p.line, data...)
	return err
}

func (p *pen) value(v value) error {
	if v.text { // a plain one, as checkValues left it
		p.line = append(append(append(p.line, '"'), v.data...), '"')
	} else {
		p.line = append(p.line, v.data...)
	}
	return nil
}

// checkValues leaves out what has no canonical form, which is what is signed.
// The others have it from here on; of texts, plain ones are it already.
func (r *Recorder) checkValues(p *pen, values *fields[value], group string) {
	kept := (*values)[:0]
	for _, f := range *values {
		canonical, err := p.canonical(f.value)
		if canonical.sheet != f.value.sheet {
			r.paper.release(f.value.note)
		}
		if err != nil {
			r.refuseValue(group+"."+f.name, err)
			continue
		}
		kept = append(kept, field[value]{f.name, canonical})
	}
	*values = kept
}

func (p *pen) canonical(v value) (value, error) {
	if v.text && plain(v.data) {
		return v, nil
	}
	data := v.data
	if v.text {
		var err error
		if data, err = p.json(string(v.data)); err != nil {
			return value{}, err
		}
	}
	// The value stands two levels deep in the event.
	limits := receipt.Limits{Bytes: api.MaxEvent, Depth: api.MaxDepth - 2}
	data, err := limits.Canonical(data)
	return value{note: note{data: data}}, err
}
