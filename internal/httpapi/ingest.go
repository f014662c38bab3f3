package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

// batch is the events of one ingest.
type batch struct {
	submissions []authority.Submission
	// lone is an event that was sent by itself, not in an array or as NDJSON: if it is refused, so is the request.
	lone bool
}

func (s *service) ingest(ctx context.Context, who authority.Principal, in batch) (reply, error) {
	results, err := s.cases.Record(ctx, who, in.submissions)
	return answerEach(results, in.lone, err)
}

// answerEach answers a batch item by item, and a lone item that was refused with its problem.
func answerEach(results []api.IngestResult, lone bool, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	if lone && len(results) == 1 && results[0].Problem != nil {
		return reply{}, results[0].Problem
	}
	return reply{status: 200, value: api.IngestAnswer{Results: results}}, nil
}

// readBatch reads events and decodes each by itself.
func readBatch(r *request) batch {
	release := r.release()
	var in batch
	in.lone = r.each("an event", func(event []byte) {
		in.submissions = append(in.submissions, submission(event, release))
	})
	return in
}

// each splits a body into items, such as "an event", and calls do for each: a
// bad item can be refused alone, a body that cannot be split is refused whole.
// lone says that the item was sent by itself.
func (r *request) each(item string, do func([]byte)) (lone bool) {
	raw, ok := r.bytes(api.MaxBody, typeJSON, typeNDJSON)
	if !ok {
		return false
	}
	n := 0
	counted := func(raw []byte) error {
		if n++; n > api.MaxEvents {
			return errEvents
		}
		do(raw)
		return nil
	}
	if got, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); got == typeNDJSON {
		r.noteSplit(eachLine(raw, counted))
		return false
	}
	raw = bytes.Trim(raw, " \t\r\n")
	send := "; send " + item + ", an array of them, or NDJSON as " + typeNDJSON
	switch {
	case len(raw) == 0:
		r.note(invalid("", "the body is empty"+send))
	case raw[0] == '[':
		r.noteSplit(eachElement(raw, counted))
	case raw[0] == '{':
		r.noteSplit(counted(raw))
		return true
	case bytes.HasPrefix(raw, []byte("\xEF\xBB\xBF")):
		r.note(invalid("", "the JSON begins with a byte order mark; leave it out"))
	default:
		r.note(invalid("", "the body is not JSON as it is expected here"+send))
	}
	return false
}

// release is what the client says about events that carry no release themselves.
func (r *request) release() string {
	value := r.Header.Get(api.ReleaseHeader)
	if value != "" {
		if err := api.CheckName("the header "+api.ReleaseHeader, value); err != nil {
			r.note(refuse(authority.CodeInvalid, err.Error()))
		}
	}
	return value
}

var errEvents = errors.New("too many events")

func (r *request) noteSplit(err error) {
	switch {
	case err == nil:
	case errors.Is(err, errEvents):
		r.note(refuse(codeTooLarge, fmt.Sprintf("the request holds more than %d items; send them in several requests", api.MaxEvents)))
	default:
		if se, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
			r.note(invalid(string(se.JSONPointer), fmt.Sprintf("the body is not JSON: %v, at byte %d", se.Err, se.ByteOffset)))
			return
		}
		r.note(invalid("", "the body is not JSON: "+err.Error()))
	}
}

// eachLine calls do for every line of NDJSON that is not blank.
func eachLine(raw []byte, do func([]byte) error) error {
	for line := range bytes.Lines(raw) {
		if line = bytes.Trim(line, " \t\r\n"); len(line) == 0 {
			continue
		}
		if err := do(line); err != nil {
			return err
		}
	}
	return nil
}

// eachElement calls do for every element of a JSON array. It is lenient about
// what is inside of an element, which is judged by itself later.
func eachElement(raw []byte, do func([]byte) error) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != ']' {
		element, err := d.ReadValue()
		if err != nil {
			return err
		}
		if err := do(element); err != nil {
			return err
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the array; to send several values use " + typeNDJSON)
	}
	return nil
}

// submission decodes one event. It shares no memory with raw.
func submission(raw []byte, release string) authority.Submission {
	s := authority.Submission{Release: release}
	err := refuse(codeTooLarge, fmt.Sprintf("the event has %d bytes, the most is %d", len(raw), api.MaxEvent))
	if len(raw) <= api.MaxEvent {
		s.Canonical, err = decode(raw, receipt.Limits{Bytes: api.MaxEvent, Depth: api.MaxDepth}, &s.Event)
	}
	if err != nil {
		p := problemOf(err)
		s.Refused = &p
	}
	return s
}
