package receipt

import (
	"errors"
	"strings"
)

// CheckName names one thing that verification looks at.
type CheckName string

// The checks, in the order in which they are made.
const (
	CheckEnvelope      CheckName = "envelope"       // the three members, in their one spelling
	CheckCanonicalForm CheckName = "canonical_form" // the body equals its RFC 8785 form
	CheckSchema        CheckName = "schema"         // schema, and members present with their types
	CheckEventID       CheckName = "event_id"       // form of the event id
	CheckKind          CheckName = "kind"           // form of the kind
	CheckTimes         CheckName = "times"          // form and order of the times
	CheckKeyID         CheckName = "key_id"         // envelope, body and key agree on the key
	CheckKnownKey      CheckName = "known_key"      // the key is among those given
	CheckSignature     CheckName = "signature"      // the strict Ed25519 profile

	CheckTrust        CheckName = "trust"         // which keys are trusted, and why
	CheckHead         CheckName = "head"          // an export's first line
	CheckLine         CheckName = "line"          // a line of an export
	CheckOrg          CheckName = "org"           // each receipt is of the export's org
	CheckLogIndex     CheckName = "log_index"     // indexes are contiguous
	CheckUniqueEvents CheckName = "unique_events" // no event is logged twice
	CheckReceipts     CheckName = "receipts"      // there is something to verify
	CheckCompleteness CheckName = "completeness"  // the export ends with its checkpoint
	CheckCheckpoint   CheckName = "checkpoint"    // the signed note
	CheckWitnesses    CheckName = "witnesses"     // as many known witnesses cosigned the note as the policy asks for
	CheckSize         CheckName = "size"          // lines and checkpoint agree on the size
	CheckRoot         CheckName = "root"          // the rebuilt root is the signed one
	CheckConsistency  CheckName = "consistency"   // the log continues heads saved earlier

	CheckFiles      CheckName = "files"      // a bundle's files: form of the tar, names, sizes, none extra, none missing
	CheckManifest   CheckName = "manifest"   // form and signature of a bundle's manifest
	CheckDigest     CheckName = "digest"     // each file is the one that the manifest names
	CheckInclusion  CheckName = "inclusion"  // each receipt stands in the log, at its index
	CheckScope      CheckName = "scope"      // the receipts are those that the bundle is about
	CheckCounts     CheckName = "counts"     // as many receipts of each kind as the manifest says
	CheckKeySpan    CheckName = "key_span"   // key events of the log let the key sign at this index
	CheckStream     CheckName = "stream"     // the receipts of a rollout follow each other without a gap
	CheckRedactions CheckName = "redactions" // what was erased left its commitment
)

// ErrUnknownKey is matched, through errors.Is, by a [*VerifyError] that says
// that the signing key is not among the keys given: the receipt may be good,
// and nothing was proved.
var ErrUnknownKey = errors.New("unknown receipt key")

// VerifyError says which check a receipt fails. Expected and Found are short
// texts for people, empty where they would say nothing.
type VerifyError struct {
	Check                   CheckName
	Expected, Found, Detail string

	malformed bool // not a receipt at all, as opposed to a bad one
	cause     error
}

func (e *VerifyError) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Check))
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if e.Expected != "" {
		b.WriteString("; expected " + e.Expected)
	}
	if e.Found != "" {
		b.WriteString("; found " + e.Found)
	}
	return b.String()
}

// Is makes errors.Is(err, [ErrUnknownKey]) work.
func (e *VerifyError) Is(target error) bool {
	return target == ErrUnknownKey && e.Check == CheckKnownKey
}

// Unwrap returns the [*CanonicalError] or the reason of [VerifySignature]
// behind the failure, or nil.
func (e *VerifyError) Unwrap() error { return e.cause }

// Malformed reports whether the input is not a receipt at all, as opposed to a
// receipt that fails.
func (e *VerifyError) Malformed() bool { return e.malformed }
