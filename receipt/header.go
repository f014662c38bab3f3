package receipt

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Schema is the value of a body's member schema.
const Schema = "prova.receipt/1"

// ClockSkew is how far occurred_at, which comes from the sender's clock, may
// lie after recorded_at, which comes from the server's.
const ClockSkew = 5 * time.Minute

// Source says which agent a receipt is about. All fields are optional here.
type Source struct {
	AppID       string `json:"app_id"`
	Environment string `json:"environment"`
	Release     string `json:"release"`
	Framework   string `json:"framework"`
}

// Header holds the members that bodies of all kinds share. Required are
// schema, event_id, org, kind, recorded_at, actor and key_id; the others are
// empty where the body lacks them. A body may hold more: what its kind adds.
type Header struct {
	Schema         string `json:"schema"`
	EventID        string `json:"event_id"`        // "evt_" and 1 to 60 of [0-9a-z]
	Org            string `json:"org"`             // 1 to 128 bytes
	Kind           string `json:"kind"`            // [a-z][a-z0-9_]*, at most 64 bytes
	OccurredAt     string `json:"occurred_at"`     // RFC 3339, UTC, "Z", at most nanoseconds
	RecordedAt     string `json:"recorded_at"`     // as OccurredAt
	Actor          string `json:"actor"`           // 1 to 128 bytes: an API key's id, or "system"
	KeyID          string `json:"key_id"`          // see KeyID
	IdempotencyKey string `json:"idempotency_key"` // optional
	Source         Source `json:"source"`          // optional
	RunID          string `json:"run_id"`          // optional
	ProbeID        string `json:"probe_id"`        // optional
	Stream         Stream `json:"stream"`          // of a rollout's receipts; zero for others
	Terminal       bool   `json:"terminal"`        // this decision ended its rollout
	Advisory       bool   `json:"advisory"`        // the rollout takes no action, and may go on after its end
}

// Stream chains the receipts of one rollout, so that leaving one out shows.
type Stream struct {
	ID   string `json:"id"`   // the rollout's; 1 to 128 bytes
	Seq  int64  `json:"seq"`  // from 0
	Prev string `json:"prev"` // the integrity hash of the receipt before; empty in the first
}

func (s Stream) check() error {
	first := s.Seq == 0 && s.Prev == ""
	later := s.Seq > 0 && s.Seq <= maxSafe && len(s.Prev) == 64 && all(s.Prev, isHexDigit)
	if s.ID == "" || len(s.ID) > 128 || !first && !later {
		return &VerifyError{Check: CheckSchema, Detail: "member stream", Expected: "id, seq, and prev as 64 hex digits unless seq is 0", Found: quote(fmt.Sprint(s))}
	}
	return nil
}

// parseHeader reads the common members of a body, of which members are all,
// and checks their form. The error is a *VerifyError.
func parseHeader(members []member) (Header, error) {
	var h Header
	if err := readMembers(members, h.field); err != nil {
		return Header{}, err
	}
	if h.Schema != Schema {
		return Header{}, &VerifyError{Check: CheckSchema, Expected: Schema, Found: quote(h.Schema)}
	}
	if !validEventID(h.EventID) {
		return Header{}, &VerifyError{Check: CheckEventID, Expected: `"evt_" and 1 to 60 of 0-9 and a-z`, Found: quote(h.EventID)}
	}
	if len(h.Kind) > 64 || !all(h.Kind, isKindByte) || h.Kind[0] < 'a' {
		return Header{}, &VerifyError{Check: CheckKind, Expected: "a lower-case letter, then at most 63 of a-z, 0-9 and _", Found: quote(h.Kind)}
	}
	for _, m := range []struct{ name, value string }{{"org", h.Org}, {"actor", h.Actor}} {
		if m.value == "" || len(m.value) > 128 {
			return Header{}, &VerifyError{Check: CheckSchema, Expected: "1 to 128 bytes", Found: quote(m.value), Detail: "member " + m.name}
		}
	}
	if len(h.KeyID) != 64 || !all(h.KeyID, isHexDigit) {
		return Header{}, &VerifyError{Check: CheckKeyID, Expected: "64 lower-case hex digits", Found: quote(h.KeyID)}
	}
	if h.Stream != (Stream{}) {
		if err := h.Stream.check(); err != nil {
			return Header{}, err
		}
	}
	return h, checkTimes(h)
}

func validEventID(s string) bool {
	id, ok := strings.CutPrefix(s, "evt_")
	return ok && len(id) <= 60 && all(id, isLowerOrDigit)
}

// field returns where the member name of a body goes, or nil.
func (h *Header) field(name string) any {
	switch name {
	case "schema":
		return &h.Schema
	case "event_id":
		return &h.EventID
	case "org":
		return &h.Org
	case "kind":
		return &h.Kind
	case "occurred_at":
		return &h.OccurredAt
	case "recorded_at":
		return &h.RecordedAt
	case "actor":
		return &h.Actor
	case "key_id":
		return &h.KeyID
	case "idempotency_key":
		return &h.IdempotencyKey
	case "source":
		return &h.Source
	case "run_id":
		return &h.RunID
	case "probe_id":
		return &h.ProbeID
	case "stream":
		return &h.Stream
	case "terminal":
		return &h.Terminal
	case "advisory":
		return &h.Advisory
	}
	return nil
}

func (s *Stream) field(name string) any {
	switch name {
	case "id":
		return &s.ID
	case "seq":
		return &s.Seq
	case "prev":
		return &s.Prev
	}
	return nil
}

func (s *Source) field(name string) any {
	switch name {
	case "app_id":
		return &s.AppID
	case "environment":
		return &s.Environment
	case "release":
		return &s.Release
	case "framework":
		return &s.Framework
	}
	return nil
}

// readMembers puts each member where field says. Names are compared exactly,
// and nothing is coerced, null neither.
func readMembers(members []member, field func(name string) any) error {
	for _, m := range members {
		ok := true
		switch to := field(string(unquoted(m.name))).(type) {
		case *string:
			if ok = m.value[0] == '"'; ok {
				*to = string(unquoted(m.value))
			}
		case *int64:
			*to, ok = parseSize(string(m.value))
		case *bool:
			*to = m.value[0] == 't'
			ok = *to || m.value[0] == 'f'
		case interface{ field(name string) any }:
			var inner []member
			if inner, ok = (Limits{}).scanMembers(nil, m.value); ok {
				if err := readMembers(inner, to.field); err != nil {
					return err
				}
			}
		}
		if !ok {
			return &VerifyError{Check: CheckSchema, Detail: "member " + string(unquoted(m.name)) + " has the wrong type"}
		}
	}
	return nil
}

func checkTimes(h Header) error {
	recorded, ok := parseTime(h.RecordedAt)
	if !ok {
		return &VerifyError{Check: CheckTimes, Expected: "RFC 3339 in UTC, ending in Z", Found: quote(h.RecordedAt), Detail: "member recorded_at"}
	}
	if h.OccurredAt == "" {
		return nil
	}
	occurred, ok := parseTime(h.OccurredAt)
	if !ok {
		return &VerifyError{Check: CheckTimes, Expected: "RFC 3339 in UTC, ending in Z", Found: quote(h.OccurredAt), Detail: "member occurred_at"}
	}
	if occurred.Sub(recorded) > ClockSkew {
		return &VerifyError{
			Check: CheckTimes, Expected: "at most " + ClockSkew.String() + " after recorded_at " + h.RecordedAt, Found: h.OccurredAt,
			Detail: "occurred_at is after recorded_at",
		}
	}
	return nil
}

// parseTime takes YYYY-MM-DDThh:mm:ss[.f]Z only. time.Parse alone would also
// take a comma for the point and fractions of any length.
func parseTime(s string) (time.Time, bool) {
	const shape = "2006-01-02T15:04:05"
	if len(s) < len(shape)+1 || len(s) > len(shape)+11 || s[len(s)-1] != 'Z' {
		return time.Time{}, false
	}
	if fraction := s[len(shape) : len(s)-1]; fraction != "" && (fraction[0] != '.' || !all(fraction[1:], isDigit)) {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil
}

func duplicateName(err error) bool { return errors.Is(err, jsontext.ErrDuplicateName) }

// all reports whether s is not empty and every byte of it is ok.
func all(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return s != ""
}

func isDigit(c byte) bool        { return '0' <= c && c <= '9' }
func isHexDigit(c byte) bool     { return isDigit(c) || 'a' <= c && c <= 'f' }
func isLowerOrDigit(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'z' }
func isKindByte(c byte) bool     { return isLowerOrDigit(c) || c == '_' }

// quote shows a value of unknown length and content in a message.
func quote(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return fmt.Sprintf("%+q", s)
}
