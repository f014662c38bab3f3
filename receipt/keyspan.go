package receipt

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/go-json-experiment/json"
)

// keyEvent is what the body of a receipt of the kind key_event adds. A key
// holds from an index of the log on and up to another: a log has an order and
// no clock.
type keyEvent struct {
	Event string    `json:"event"` // add, retire or revoke
	Key   PublicKey `json:"key"`
	// FromIndex is the log index from which the event holds. Without it an
	// addition holds from its own index on, and an end behind its own.
	FromIndex *int64 `json:"from_index"`
}

// keySpans knows, in log order, which key may sign at which index.
type keySpans struct {
	events int64
	keys   map[string]*keySpan
}

type keySpan struct {
	purpose     string
	added       bool
	from, until int64 // [from, until)
	used        bool
	first, last int64 // log indexes at which it signed
	reported    bool
}

func newKeySpans() keySpans { return keySpans{keys: map[string]*keySpan{}} }

func (s *keySpans) key(id string) *keySpan {
	k, ok := s.keys[id]
	if !ok {
		k = &keySpan{until: math.MaxInt64}
		s.keys[id] = k
	}
	return k
}

var errUnknownKeyEvent = errors.New("unknown key event")

// next adds the receipt at an index. Once there is a key event, keys that none
// adds may not sign.
func (s *keySpans) next(r Receipt, index int64) []error {
	var errs []error
	if r.Kind == kindKeyEvent {
		if err := s.event(r, index); err != nil {
			errs = append(errs, err)
		}
	}
	k := s.key(r.KeyID)
	if !k.used {
		k.used, k.first = true, index
	}
	k.last = index
	if s.events > 0 {
		if err := k.may(r.KeyID, index); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// may reports whether the key may sign at index. Of keys that were not added
// only the first use is reported.
func (k *keySpan) may(id string, index int64) error {
	fault := func(detail, expected string) error {
		return &VerifyError{Check: CheckKeySpan, Detail: detail, Expected: expected, Found: fmt.Sprintf("a signature of key %s at index %d", id, index)}
	}
	switch {
	case !k.added && k.reported:
		return nil
	case !k.added:
		k.reported = true
		return fault("no key event before adds the key", "")
	case k.purpose != PurposeReceipt:
		return fault("the key is for "+k.purpose+"s", "a key for receipts")
	case index < k.from:
		return fault("the key does not hold yet", fmt.Sprintf("from index %d on", k.from))
	case index >= k.until:
		return fault("the key was retired or revoked", fmt.Sprintf("below index %d", k.until))
	}
	return nil
}

func (s *keySpans) event(r Receipt, index int64) error {
	var e keyEvent
	err := json.Unmarshal(r.Body, &e)
	described := Trust{Receipt: KeySet{}}
	if err == nil {
		err = described.add(e.Key)
	}
	if err == nil && e.FromIndex != nil && *e.FromIndex < 0 {
		err = fmt.Errorf("from_index %d", *e.FromIndex)
	}
	if err != nil {
		return &VerifyError{Check: CheckKeySpan, Detail: "a key event that cannot be read: " + err.Error(), cause: err}
	}
	s.events++
	k := s.key(e.Key.KeyID)
	from := index
	if e.FromIndex != nil {
		from = *e.FromIndex
	} else if e.Event != "add" {
		from = index + 1
	}
	switch e.Event {
	case "add":
		if k.added {
			return &VerifyError{Check: CheckKeySpan, Detail: "the key " + e.Key.KeyID + " is added twice"}
		}
		k.added, k.purpose, k.from = true, e.Key.Purpose, from
		if k.used && k.first < from && !k.reported {
			k.reported = true
			return &VerifyError{Check: CheckKeySpan, Expected: fmt.Sprintf("from index %d on", from), Found: fmt.Sprintf("a signature at index %d", k.first), Detail: "the key " + e.Key.KeyID + " signed before it held"}
		}
	case "retire", "revoke":
		k.until = min(k.until, from)
		// It may end a key for receipts that were seen already.
		if k.used && k.last >= k.until {
			return &VerifyError{Check: CheckKeySpan, Expected: fmt.Sprintf("no signature from index %d on", k.until), Found: fmt.Sprintf("one at index %d", k.last), Detail: "the key " + e.Key.KeyID + " was ended for indexes at which it signed"}
		}
	default:
		return &VerifyError{Check: CheckKeySpan, Detail: "event " + quote(e.Event) + "; known are add, retire and revoke", cause: errUnknownKeyEvent}
	}
	return nil
}

// unlisted are the faults of keys that signed and that no key event adds.
func (s *keySpans) unlisted() []error {
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(s.keys)) {
		if k := s.keys[id]; k.used && !k.added {
			if err := k.may(id, k.first); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errs
}
