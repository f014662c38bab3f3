package receipt

import (
	"crypto/ed25519"
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

// maxKeys bounds the keys that the events of one log may add.
const maxKeys = 4096

// keySpans knows, in log order, which key is trusted and where it may sign.
//
// The keys that the auditor gave are the roots. An addition that is signed by a
// trusted key that holds there makes the added key trusted too. What is
// remembered is one entry for each root and each added key, whatever the length
// of the log.
type keySpans struct {
	roots KeySet
	// whole: every key event below the last index is at hand, so that a key that none adds may not sign.
	whole  bool
	events int64
	keys   map[string]*keySpan
}

type keySpan struct {
	pub     ed25519.PublicKey
	purpose string
	root    bool
	added   bool
	by      string // the key that signed the addition
	at      int64  // its log index
	// from and until are the span [from, until) in which the key holds.
	from, until int64
	used        bool
	first, last int64 // log indexes at which it signed what the evidence is about
	reported    bool
}

func newKeySpans(roots KeySet, whole bool) keySpans {
	s := keySpans{roots: roots, whole: whole, keys: map[string]*keySpan{}}
	for id, pub := range roots {
		s.keys[id] = &keySpan{pub: pub, root: true, until: math.MaxInt64}
	}
	return s
}

// trusts reports whether the key may sign anything at all: the auditor gave it, or a trusted key added it.
func (s *keySpans) trusts(id string) bool {
	k := s.keys[id]
	return k != nil && (k.root || k.added && k.purpose == PurposeReceipt)
}

// set are the keys that are trusted by now.
func (s *keySpans) set() KeySet {
	out := KeySet{}
	for id, k := range s.keys {
		if s.trusts(id) {
			out[id] = k.pub
		}
	}
	return out
}

var errUnknownKeyEvent = errors.New("unknown key event")

// next adds the receipt at an index, whose signature by a trusted key was
// verified. Once there is a key event, keys that none adds may not sign. about
// is false for a key event that only stands beside what the evidence is about:
// a later revocation of its key takes its effect away, and is no fault of the rest.
func (s *keySpans) next(r Receipt, index int64, about bool) []error {
	var errs []error
	if r.Kind == kindKeyEvent {
		errs = s.event(r, index)
	}
	k := s.keys[r.KeyID]
	if about {
		if !k.used {
			k.used, k.first = true, index
		}
		k.last = index
	}
	if err := s.fault(r.KeyID, index); err != nil && !k.reported {
		// Of keys that were not added only the first use is reported.
		k.reported = !k.added
		errs = append(errs, err)
	}
	return errs
}

func spanError(detail, expected, found string) error {
	return &VerifyError{Check: CheckKeySpan, Detail: detail, Expected: expected, Found: found}
}

// fault says why a trusted key may not sign at index, or nil. In a log without
// any key event, and where not all of them are at hand, a root needs no addition.
func (s *keySpans) fault(id string, index int64) error {
	k := s.keys[id]
	found := fmt.Sprintf("a signature of key %s at index %d", id, index)
	switch {
	case index >= k.until:
		return spanError("the key was retired or revoked", fmt.Sprintf("below index %d", k.until), found)
	case !k.added && (!s.whole || s.events == 0):
		return nil
	case !k.added:
		return spanError("no key event before adds the key", "", found)
	case k.purpose != PurposeReceipt:
		return spanError("the key is for "+k.purpose+"s", "a key for receipts", found)
	case index < k.from:
		return spanError("the key does not hold yet", fmt.Sprintf("from index %d on", k.from), found)
	}
	return nil
}

// parseKeyEvent reads what a key event says and admits its key.
func parseKeyEvent(body []byte) (e keyEvent, pub ed25519.PublicKey, err error) {
	if err = json.Unmarshal(body, &e); err != nil {
		return e, nil, err
	}
	described := Trust{Receipt: KeySet{}}
	if err = described.add(e.Key); err != nil {
		return e, nil, err
	}
	if e.FromIndex != nil && *e.FromIndex < 0 {
		return e, nil, fmt.Errorf("from_index %d", *e.FromIndex)
	}
	hash, _ := parseHash(e.Key.PublicKey) // described took it
	pub = hash[:]
	e.Key.KeyID = KeyID(pub)
	return e, pub, nil
}

func (s *keySpans) event(r Receipt, index int64) []error {
	e, pub, err := parseKeyEvent(r.Body)
	if err != nil {
		return []error{&VerifyError{Check: CheckKeySpan, Detail: "a key event that cannot be read: " + err.Error(), cause: err}}
	}
	s.events++
	switch e.Event {
	case "add":
		return s.add(e, pub, r.KeyID, index)
	case "retire", "revoke":
		return s.end(e, r.KeyID, index)
	}
	return []error{&VerifyError{Check: CheckKeySpan, Detail: "event " + quote(e.Event) + "; known are add, retire and revoke", cause: errUnknownKeyEvent}}
}

// add takes the addition of a key. A key adds itself only as the first event of
// a log, or as one that the auditor gave; nobody becomes trusted by that.
func (s *keySpans) add(e keyEvent, pub ed25519.PublicKey, signer string, index int64) []error {
	id := e.Key.KeyID
	k := s.keys[id]
	switch {
	case k != nil && k.added:
		return []error{spanError("the key "+id+" is added twice", "", "")}
	case signer != id && s.fault(signer, index) != nil:
		return nil // which is reported of its signer; it adds nothing
	case k == nil && len(s.keys) >= maxKeys:
		return []error{spanError(fmt.Sprintf("the log adds more than %d keys", maxKeys), "", "")}
	case k == nil:
		k = &keySpan{pub: pub, until: math.MaxInt64}
		s.keys[id] = k
	}
	k.added, k.purpose, k.by, k.at = true, e.Key.Purpose, signer, index
	k.from = index
	if e.FromIndex != nil {
		k.from = max(index, *e.FromIndex) // nothing is added for the past
	}
	if k.used && k.first < k.from && !k.reported {
		k.reported = true
		return []error{spanError("the key "+id+" signed before it held", fmt.Sprintf("from index %d on", k.from), fmt.Sprintf("a signature at index %d", k.first))}
	}
	return nil
}

// end takes a retirement, which is planned, or a revocation, which may reach
// back. The earliest end of a key counts.
func (s *keySpans) end(e keyEvent, signer string, index int64) []error {
	id := e.Key.KeyID
	from := index + 1
	if e.FromIndex != nil {
		from = *e.FromIndex
	}
	if s.fault(signer, index) != nil {
		return nil // which is reported of its signer; it ends nothing
	}
	k := s.keys[id]
	switch {
	case k == nil || !k.added && s.whole:
		return []error{spanError("the key "+id+" is ended and was never added", "", "")}
	case e.Event == "revoke" && signer == id:
		return []error{spanError("the key "+id+" revokes itself", "a signature of another key that holds", "")}
	case e.Event == "retire" && from < index:
		return []error{spanError("the retirement of the key "+id+" reaches back, as only a revocation may", fmt.Sprintf("from index %d or later", index), fmt.Sprint(from))}
	}
	k.until = min(k.until, from)
	var errs []error
	// It may end a key for receipts that were seen already.
	if k.used && k.last >= k.until {
		errs = append(errs, spanError("the key "+id+" was ended for indexes at which it signed", fmt.Sprintf("no signature from index %d on", k.until), fmt.Sprintf("one at index %d", k.last)))
	}
	errs = append(errs, s.fall(id, k.until)...)
	if k.purpose != PurposeCheckpoint && !s.anyLeft(max(from, index+1)) {
		errs = append(errs, spanError("the end of the key "+id+" leaves no key that could sign receipts", "a successor", "none"))
	}
	return errs
}

// fall takes back the additions that a key made from an index on, and those that the added keys made.
func (s *keySpans) fall(by string, from int64) []error {
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(s.keys)) {
		k := s.keys[id]
		if !k.added || k.by != by || id == by || k.at < from {
			continue
		}
		if k.added = false; k.used {
			errs = append(errs, spanError("the key "+id+" was added by the key "+by+", which did not hold any more", "no signature", fmt.Sprintf("one at index %d", k.last)))
		}
		errs = append(errs, s.fall(id, 0)...)
	}
	return errs
}

// anyLeft reports whether some key can sign receipts at an index or behind it.
func (s *keySpans) anyLeft(index int64) bool {
	for id, k := range s.keys {
		if s.trusts(id) && k.until > index && (k.added && k.purpose == PurposeReceipt || !k.added && !s.whole) {
			return true
		}
	}
	return false
}

// unlisted are the faults of keys that signed and that no key event adds.
func (s *keySpans) unlisted() []error {
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(s.keys)) {
		if k := s.keys[id]; k.used && !k.added && !k.reported {
			k.reported = true
			if err := s.fault(id, k.first); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errs
}
