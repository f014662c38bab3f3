package receipt

import (
	"bytes"
	"errors"
	"fmt"
)

// Results of a report, and how programs exit with them.
const (
	Verified     = "verified"     // 0: every check was made and holds
	Failed       = "failed"       // 1: the evidence is bad
	Malformed    = "malformed"    // 2: the input is not what it should be
	Undetermined = "undetermined" // 3: nothing failed, and something could not be checked
)

// OK is the status of a check that holds; Failed and Undetermined are the others.
const OK = "ok"

// maxFailures bounds the failures that a report lists.
const maxFailures = 100

// Check is what became of one check: a failure each time it happened, a
// success once with a count.
type Check struct {
	Check    CheckName `json:"check"`
	Status   string    `json:"status"` // OK, Failed or Undetermined
	Expected string    `json:"expected,omitzero"`
	Found    string    `json:"found,omitzero"`
	Detail   string    `json:"detail,omitzero"`
	LogIndex *int64    `json:"log_index,omitzero"`
	EventID  string    `json:"event_id,omitzero"`
}

// Cosignature says which witness saw a checkpoint, and when by its own clock.
type Cosignature struct {
	Witness    string `json:"witness"`     // the name that the policy gives it
	CosignedAt string `json:"cosigned_at"` // RFC 3339, to the second
}

// Report says what was verified, and what of it holds.
type Report struct {
	Result     string `json:"result"`      // Verified, Failed, Malformed or Undetermined
	KeysPinned bool   `json:"keys_pinned"` // false: at best the evidence agrees with itself
	Org        string `json:"org,omitzero"`
	Scope      string `json:"scope,omitzero"` // of a bundle: what it is about
	From       int64  `json:"from"`           // log index of the first receipt
	Receipts   int64  `json:"receipts"`       // receipts that were looked at
	Size       int64  `json:"size"`           // of the log at the checkpoint, 0 without one
	// Witnesses are those of the policy that cosigned the checkpoint.
	Witnesses []Cosignature `json:"witnesses,omitzero"`
	Checks    []Check       `json:"checks"`
	Omitted   int64         `json:"omitted,omitzero"` // failures beyond those listed

	failed    bool // some evidence is bad, as opposed to unreadable
	malformed bool
	witnessed bool                 // a policy asks for cosignatures
	status    map[CheckName]string // the worst status of each check
}

func newReport(pinned bool) *Report {
	return &Report{KeysPinned: pinned, Checks: []Check{}, status: map[CheckName]string{}}
}

func (r *Report) add(c Check) {
	r.failed = r.failed || c.Status == Failed
	r.list(c)
}

func (r *Report) list(c Check) {
	if old := r.status[c.Check]; old == "" || old == OK || old == Undetermined && c.Status == Failed {
		r.status[c.Check] = c.Status
	}
	if c.Status != OK && len(r.Checks) >= maxFailures {
		r.Omitted++
		return
	}
	r.Checks = append(r.Checks, c)
}

// settle adds a success for a check of which nothing else was said.
func (r *Report) settle(name CheckName, format string, args ...any) {
	if r.status[name] == "" {
		r.add(Check{Check: name, Status: OK, Detail: fmt.Sprintf(format, args...)})
	}
}

// fail adds the failure that err describes.
func (r *Report) fail(err error, status string, index *int64, eventID string) {
	c := Check{Check: CheckEnvelope, Status: status, Detail: err.Error(), LogIndex: index, EventID: eventID}
	if e, ok := errors.AsType[*VerifyError](err); ok {
		c.Check, c.Expected, c.Found, c.Detail = e.Check, e.Expected, e.Found, e.Detail
		if e.malformed {
			r.malformed = true
			r.list(c)
			return
		}
	}
	r.add(c)
}

// broken adds a failure of form, which makes the result malformed unless some
// evidence turns out bad.
func (r *Report) broken(name CheckName, index *int64, format string, args ...any) {
	r.malformed = true
	r.list(Check{Check: name, Status: Failed, Detail: fmt.Sprintf(format, args...), LogIndex: index})
}

// finish decides the result. Verified takes a success of every required check:
// that none failed is not enough.
func (r *Report) finish(required ...CheckName) Report {
	open := false
	for _, status := range r.status {
		open = open || status != OK
	}
	if r.witnessed {
		required = append(required, CheckWitnesses)
	}
	for _, name := range required {
		open = open || r.status[name] != OK
	}
	switch {
	case r.failed:
		r.Result = Failed
	case r.malformed:
		r.Result = Malformed
	case open:
		r.Result = Undetermined
	default:
		r.Result = Verified
	}
	return *r
}

// VerifyReceipt verifies one receipt, around which there may be white space,
// with the receipt keys of pinned. Without any the result is at best
// Undetermined. A receipt alone does not show that it stands in the log.
func VerifyReceipt(raw []byte, pinned Trust) Report {
	report := newReport(len(pinned.Receipt) > 0)
	report.Receipts = 1
	if report.witnessed = pinned.Policy.Given(); report.witnessed {
		report.add(Check{Check: CheckWitnesses, Status: Undetermined, Detail: "a receipt alone has no checkpoint that witnesses could have cosigned"})
	}
	if !report.KeysPinned {
		report.add(Check{Check: CheckTrust, Status: Undetermined, Detail: "no receipt key was given to verify with"})
	}
	r, pae, err := parse(bytes.Trim(raw, " \t\r\n"))
	if err != nil {
		report.fail(err, Failed, nil, "")
		return report.finish(CheckSignature)
	}
	report.Org = r.Org
	report.settle(CheckEnvelope, "three members in their one spelling")
	report.settle(CheckCanonicalForm, "the body is its own canonical form, %d bytes", len(r.Body))
	report.settle(CheckSchema, "%s, kind %s", r.Schema, r.Kind)
	if report.KeysPinned {
		report.settle(CheckTrust, "keys given by the caller")
		if err := verify(r, pae, pinned.Receipt); err != nil {
			report.fail(err, Failed, nil, r.EventID)
		}
		report.settle(CheckSignature, "signed by key %s", r.KeyID)
	}
	return report.finish(CheckEnvelope, CheckCanonicalForm, CheckSchema, CheckTrust, CheckSignature)
}
