package prova

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/cobound/prova/api"
)

// maxRetryAfter bounds what a server may ask for.
const maxRetryAfter = time.Hour

// minGzip is the least body, in bytes, that is worth compressing.
const minGzip = 1 << 10

// batch is what is sent together.
type batch struct {
	items []*item
	// segment is where the items were read from; nil if they come from memory.
	segment *spoolFile
}

// settle counts what became of items of the batch.
func (r *Recorder) settle(b *batch, items []*item, update func(*Stats, int64)) {
	memory := items
	if b.segment != nil {
		memory = nil
	}
	r.queue.change(func(s *Stats) {
		n := int64(len(items))
		update(s, n)
		if b.segment != nil {
			s.Spooled -= n
		}
	}, memory)
	r.forget(items)
}

// forget lets go of the lines of items that need nothing more.
func (r *Recorder) forget(items []*item) {
	for _, it := range items {
		r.paper.release(it.line)
		it.line = note{}
	}
}

func countSent(s *Stats, n int64)    { s.Sent += n }
func countRefused(s *Stats, n int64) { s.Refused += n }

// send is the sender: one batch after another, the oldest first, until the recorder gives up.
func (r *Recorder) send() {
	r.recover()
	close(r.ready)
	for {
		b := r.next()
		if b == nil {
			return
		}
		left := r.deliver(b)
		switch {
		case b.segment == nil:
			r.left = left
		case len(left) == 0:
			r.removeSegment(b.segment)
		}
	}
}

// next waits for a batch; nil is the end.
func (r *Recorder) next() *batch {
	for r.ctx.Err() == nil {
		b, wait := r.oldest()
		if b != nil {
			return b
		}
		due := time.NewTimer(wait)
		select {
		case <-due.C:
		case <-r.queue.more:
		case <-r.kick:
		case <-r.ctx.Done():
		}
		due.Stop()
	}
	return nil
}

// oldest is the batch to send now, or how long to wait for one.
func (r *Recorder) oldest() (*batch, time.Duration) {
	r.taking.Lock()
	defer r.taking.Unlock()
	if b := r.fromSpool(); b != nil {
		return b, 0
	}
	wait := r.queue.due(r.settings.FlushInterval)
	if wait > 0 {
		return nil, wait
	}
	return &batch{items: r.queue.take(r.settings.BatchEvents, r.batchBytes)}, 0
}

// deliver sends a batch until every event of it is settled, and returns what is
// left when the recorder gives up. A part that is too large is split; nothing
// is ever sent under another idempotency key.
func (r *Recorder) deliver(b *batch) (left []*item) {
	items := slices.DeleteFunc(b.items, func(it *item) bool { return !r.written(b, it) })
	parts := r.parts(items)
	failures := 0
	for len(parts) > 0 {
		part := parts[0]
		answer, err := r.post(part)
		if err != nil && r.ctx.Err() != nil {
			return slices.Concat(parts...)
		}
		next := r.judge(b, part, answer, err)
		r.queue.setFailure(next.err)
		switch {
		case next.split:
			half := len(part) / 2
			parts = append([][]*item{part[:half], part[half:]}, parts[1:]...)
		case len(next.again) > 0:
			parts[0] = next.again
			if next.err != nil {
				r.pause(failures, next)
				failures++
			}
		default:
			parts, failures = parts[1:], 0
		}
	}
	return nil
}

// parts keeps what is sent together within the limits: texts grow as they are
// written, and what comes from the spool was put together by others.
func (r *Recorder) parts(items []*item) (parts [][]*item) {
	for len(items) > 0 {
		n, size := 1, items[0].weight()
		for n < min(len(items), r.settings.BatchEvents) && size+items[n].weight() <= r.batchBytes {
			size += items[n].weight()
			n++
		}
		parts, items = append(parts, items[:n]), items[n:]
	}
	return parts
}

// weight is what an item takes in a request, in bytes: what the queue counts for it, or its line if that grew.
func (it *item) weight() int64 { return max(it.size, int64(len(it.line.data))) }

// written writes an event's line, or refuses the event.
func (r *Recorder) written(b *batch, it *item) bool {
	err := r.write(it)
	if err != nil {
		r.refuseEvent(b, it, err.Error())
	}
	return err == nil
}

// refuseEvent says it first: who waits for a flush is to find it in the log.
func (r *Recorder) refuseEvent(b *batch, it *item, why string) {
	e := api.Event{Kind: it.draft.kind, RunID: it.draft.runID.get()}
	if it.written() {
		_ = json.Unmarshal(it.line.data, &e) // it was written here
	}
	r.talk.say(ComplaintEventRefused, "", "a run or an outcome was refused: "+why, slog.String("run_id", e.RunID), slog.String("event", e.Kind))
	r.settle(b, []*item{it}, countRefused)
}

// post sends items in one request.
func (r *Recorder) post(items []*item) (answer api.IngestAnswer, err error) {
	defer func() {
		if p := recover(); p != nil { // of the program's own HTTP client: it is not to end the agent
			err = &UnreachableError{BaseURL: r.client.BaseURL(), Err: fmt.Errorf("the HTTP client panicked: %v", p)}
		}
	}()
	header := http.Header{"Content-Type": {"application/x-ndjson"}}
	body := r.body(items, header)
	answer, _, err = do[api.IngestAnswer](r.ctx, r.client, call{method: http.MethodPost, path: "/api/v1/audit/ingest", header: header, body: encodedBody(body)})
	return answer, err
}

// body is the items as NDJSON, compressed if that is worth it.
func (r *Recorder) body(items []*item, header http.Header) []byte {
	size := len(items)
	for _, it := range items {
		size += len(it.line.data)
	}
	if !r.noGzip && size >= minGzip {
		if packed, err := r.pack(items); err == nil { // a buffer takes everything
			header.Set("Content-Encoding", "gzip")
			return packed
		}
	}
	plain := bytes.NewBuffer(make([]byte, 0, size))
	_ = writeLines(plain, items)
	return plain.Bytes()
}

func writeLines(to io.Writer, items []*item) error {
	for _, it := range items {
		if _, err := to.Write(it.line.data); err != nil {
			return err
		}
		if _, err := to.Write([]byte{'\n'}); err != nil {
			return err
		}
	}
	return nil
}

// pack compresses. The writer is used again: it takes most of a megabyte, and
// what the sender leaves behind the agent helps to collect.
func (r *Recorder) pack(items []*item) ([]byte, error) {
	var packed bytes.Buffer
	if r.gzip == nil {
		var err error
		if r.gzip, err = gzip.NewWriterLevel(&packed, gzip.BestSpeed); err != nil {
			return nil, err
		}
	}
	r.gzip.Reset(&packed)
	err := writeLines(r.gzip, items)
	err = errors.Join(err, r.gzip.Close()) // before the bytes are looked at
	return packed.Bytes(), err
}

// verdict is what follows from an answer.
type verdict struct {
	// again are the items to send again, in order.
	again []*item
	// split says to send them in two halves, at once.
	split bool
	// err is why; nil sends again without a wait.
	err error
	// after is what the server asks to wait, and slow that only a person can help.
	after time.Duration
	slow  bool
}

// judge settles what an answer settles, and says what to do with the rest.
func (r *Recorder) judge(b *batch, part []*item, answer api.IngestAnswer, err error) verdict {
	if err == nil {
		return r.judgeEach(b, part, answer)
	}
	v := verdict{again: part, err: err}
	refusal, ok := errors.AsType[*AnswerError](err)
	if !ok {
		if _, ok := errors.AsType[*UnreachableError](err); ok {
			r.talk.say(ComplaintUnreachable, "", "the server cannot be reached; what is recorded is kept and sent later: "+err.Error())
			return v
		}
		r.talk.say(ComplaintForeignAnswer, "", err.Error())
		return v
	}
	v.after = min(refusal.RetryAfter, maxRetryAfter)
	status, foreign := refusal.Problem.Status, refusal.Problem.Code() == codeForeign
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return r.tooLarge(b, part, v)
	case status == http.StatusUnsupportedMediaType && !r.noGzip:
		r.noGzip, v.err = true, nil
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		v.slow = true
		r.talk.say(ComplaintKey, "", "the server does not accept the API key; what is recorded is kept and tried again: "+err.Error())
	case status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500:
		r.talk.say(ComplaintUnavailable, "", fmt.Sprintf("the server answers with status %d; what is recorded is kept and sent later: %v", status, err))
	case foreign:
		r.talk.say(ComplaintForeignAnswer, "", err.Error())
	case status == http.StatusBadRequest && len(part) > 1:
		v.split, v.err = true, nil
	case status == http.StatusBadRequest:
		r.refuseEvent(b, part[0], err.Error())
		return verdict{}
	default:
		v.slow = true
		r.talk.say(ComplaintRequestRefused, "", fmt.Sprintf("the server refuses the request with status %d; what is recorded is kept and tried again: %v", status, err))
	}
	return v
}

// tooLarge splits a part, and sends less at a time from now on. An event that is too large alone is refused.
func (r *Recorder) tooLarge(b *batch, part []*item, v verdict) verdict {
	if len(part) == 1 {
		r.refuseEvent(b, part[0], "the server, or what stands before it, finds it too large: "+v.err.Error())
		return verdict{}
	}
	size := int64(0)
	for _, it := range part {
		size += it.size // as the queue counts it, which forms the next batches
	}
	r.batchBytes = max(1, min(r.batchBytes, size/2))
	r.talk.say(ComplaintTooLarge, "", "a request was too large and is sent in two", slog.Int("events", len(part)))
	return verdict{again: part, split: true}
}

// judgeEach settles the events of an answer one by one.
func (r *Recorder) judgeEach(b *batch, part []*item, answer api.IngestAnswer) verdict {
	if !answers(answer, len(part)) {
		err := fmt.Errorf("%s answered with something that is no answer to %d events", r.client.BaseURL(), len(part))
		r.talk.say(ComplaintForeignAnswer, "", err.Error())
		return verdict{again: part, err: err}
	}
	var v verdict
	var sent []*item
	for i, result := range answer.Results {
		it := part[i]
		switch p := result.Problem; {
		case result.Status != api.IngestRefused:
			sent = append(sent, it)
		case p.Status >= 500 || p.Status == http.StatusTooManyRequests:
			v.again, v.err = append(v.again, it), *p
			r.talk.say(ComplaintUnavailable, "", "the server could not take some events and gets them again: "+p.Error())
		case r.withoutTime(it, p):
			v.again = append(v.again, it)
		default:
			r.refuseEvent(b, it, p.Error())
		}
	}
	r.settle(b, sent, countSent)
	return v
}

// answers says whether an answer has one result for each of n events.
func answers(a api.IngestAnswer, n int) bool {
	if len(a.Results) != n {
		return false
	}
	for i, result := range a.Results {
		switch result.Status {
		case api.IngestCreated, api.IngestDuplicate:
		case api.IngestRefused:
			if result.Problem == nil {
				return false
			}
		default:
			return false
		}
		if result.Index != i {
			return false
		}
	}
	return true
}

// withoutTime leaves occurred_at out of an event that was refused for it: a
// clock that goes wrong is to cost the time, not the run.
func (r *Recorder) withoutTime(it *item, p *api.Problem) bool {
	if !slices.ContainsFunc(p.Errors, func(e api.FieldError) bool { return e.Pointer == "/occurred_at" }) {
		return false
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(it.line.data, &members) != nil || members["occurred_at"] == nil {
		return false
	}
	delete(members, "occurred_at")
	line, err := r.marshal(members)
	if err != nil {
		return false
	}
	r.refuseValue("occurred_at", errors.New(p.Error()))
	it.line = note{data: line}
	return true
}

// pause waits before a request is repeated: each time twice as long, and half
// of it at random so that agents that lost their server do not come back
// together. A flush ends a wait, unless the server asked for it.
func (r *Recorder) pause(failures int, v verdict) {
	s := &r.settings
	wait := s.RetryMax
	if !v.slow && failures < 20 {
		wait = min(s.RetryMin<<failures, s.RetryMax)
	}
	wait -= time.Duration(rand.Int64N(int64(wait)/2 + 1))
	kick := r.kick
	if v.after > 0 {
		wait, kick = max(wait, v.after), nil
	}
	ctx, cancel := context.WithTimeout(r.ctx, wait)
	defer cancel()
	select {
	case <-kick:
	case <-ctx.Done():
	}
}
