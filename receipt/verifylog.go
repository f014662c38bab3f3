package receipt

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// logVerifier is what verifying an export and a bundle have in common.
type logVerifier struct {
	*Report
	what      string // "export" or "bundle"
	lines     *lineReader
	pinned    Trust
	verifiers note.Verifiers
	anyNote   bool // a checkpoint key is known
	tree      Tree
	unread    bool // a receipt could not be read, so that the tree lacks its leaf
	stopped   bool // the input could not be read on
	next      int64
	seen      recentIDs
	last      []byte              // the line behind the receipts, nil if there is none
	heads     map[int64]tlog.Hash // roots at the sizes of saved heads
	// fromStart: every stream must begin with its first receipt.
	fromStart bool
	// allKeyEvents: every key event below the last index is among the receipts.
	allKeyEvents bool
	streams      streams
	spans        keySpans
	erased       int64 // payload fields that erasure receipts name
}

func newLogVerifier(what string, pinned Trust) *logVerifier {
	report := newReport(pinned.Pinned())
	report.witnessed = pinned.Policy.Given()
	return &logVerifier{Report: report, what: what, pinned: pinned, heads: map[int64]tlog.Hash{}, streams: streams{}}
}

// readLine returns the next line without its end, valid until the next call.
// ok is false at the end of the input.
func (v *logVerifier) readLine() (line []byte, ok bool) {
	line, err := v.lines.next()
	switch {
	case err == nil:
		return line, true
	case errors.Is(err, errLongLine):
		v.broken(CheckLine, nil, "%v", err)
	case !errors.Is(err, io.EOF):
		v.stop(err)
	}
	return nil, false
}

func (v *logVerifier) chooseKeys(inFile Trust) {
	trust, detail := v.pinned, "keys given by the caller; those in the "+v.what+" were not used"
	if !v.KeysPinned {
		trust, detail = inFile, "no key was given, so the keys in the "+v.what+" were used: this shows that it agrees with itself, not who made it"
	}
	trust.Policy = v.pinned.Policy // always the auditor's
	verifiers, err := trust.verifiers()
	if err != nil {
		v.add(Check{Check: CheckTrust, Status: Failed, Detail: err.Error()})
		verifiers = note.VerifierList()
	}
	v.verifiers, v.anyNote = verifiers, trust.checkpoints()
	v.spans = newKeySpans(trust.Receipt, v.allKeyEvents)
	v.settle(CheckTrust, "%s", detail)
}

// noteHead keeps the root at a size at which a head was saved earlier.
func (v *logVerifier) noteHead() {
	for _, h := range v.pinned.Heads {
		if h.Size == v.tree.Size() {
			v.heads[h.Size] = v.tree.Root()
		}
	}
}

// stop says that the input could not be read on: no fault of the evidence.
func (v *logVerifier) stop(err error) {
	v.stopped = true
	v.add(Check{Check: CheckLine, Status: Undetermined, Detail: "reading stopped: " + err.Error()})
}

func (v *logVerifier) notALine(place *int64) {
	v.broken(CheckLine, place, "not a line of the form %s…%s…}", lineIndex, lineReceipt)
	v.unread = true
}

// look folds in what a receipt says by itself, and about its org, its event,
// its key and its stream. It is false for a receipt that could not be read.
// about is false for a key event that only stands beside what the evidence is about.
func (v *logVerifier) look(l *exportLine, place *int64, about bool) bool {
	if l.parseErr != nil {
		v.fail(l.parseErr, Failed, place, "")
		v.unread = true
		return false
	}
	r := l.receipt
	err := l.verifyErr
	if !v.spans.trusts(r.KeyID) { // the key may be one that an untrusted event describes
		err = unknownKey(r.KeyID)
	}
	if err != nil {
		v.fail(err, v.statusOf(err), place, r.EventID)
	}
	if r.Org != v.Org {
		v.add(Check{Check: CheckOrg, Status: Failed, Expected: quote(v.Org), Found: quote(r.Org), LogIndex: place, EventID: r.EventID})
	}
	if v.seen.again(r.EventID) {
		v.add(Check{Check: CheckUniqueEvents, Status: Failed, Detail: "the event is logged twice", LogIndex: place, EventID: r.EventID})
	}
	if fault := v.streams.next(r, v.fromStart); fault != nil {
		v.fail(fault, Failed, place, r.EventID)
	}
	if err == nil {
		for _, fault := range v.spans.next(r, *place, about) {
			status := Failed
			if errors.Is(fault, errUnknownKeyEvent) {
				status = Undetermined
			}
			v.fail(fault, status, place, r.EventID)
		}
	}
	return true
}

// statusOf tells a key that the auditor does not trust from one that nobody
// handed over.
func (v *logVerifier) statusOf(err error) string {
	if errors.Is(err, ErrUnknownKey) && len(v.spans.roots) == 0 {
		return Undetermined
	}
	return Failed
}

// settleEach says of the checks of each receipt that they hold.
func (v *logVerifier) settleEach() {
	n := v.Receipts
	for _, name := range []CheckName{CheckLine, CheckEnvelope, CheckSchema, CheckEventID, CheckKind, CheckTimes, CheckKeyID} {
		v.settleIfRead(name, "%d receipts", n)
	}
	v.settleIfRead(CheckCanonicalForm, "%d receipts are byte for byte in canonical form", n)
	v.settleIfRead(CheckKnownKey, "%d receipts", n)
	if v.status[CheckKnownKey] == OK {
		v.settleIfRead(CheckSignature, "%d signatures", n)
	}
	v.settleIfRead(CheckOrg, "%d receipts of org %s", n, v.Org)
	v.settleIfRead(CheckUniqueEvents, "no event twice among any %d in a row", min(n, recentWindow))
	if len(v.streams) > 0 {
		v.settleIfRead(CheckStream, "%s", v.streams)
	}
	if v.spans.events > 0 {
		for _, err := range v.spans.unlisted() {
			v.fail(err, Failed, nil, "")
		}
		chained := ""
		if n := len(v.spans.set()) - len(v.spans.roots); n > 0 {
			chained = fmt.Sprintf("; %d keys are trusted because a trusted key added them", n)
		}
		v.settleIfRead(CheckKeySpan, "%d key events let each key sign where it did%s", v.spans.events, chained)
	}
}

// settleIfRead claims a success for all receipts only if all could be read.
func (v *logVerifier) settleIfRead(name CheckName, format string, args ...any) {
	if !v.unread {
		v.settle(name, format, args...)
	}
}

func (v *logVerifier) checkSignatures(text string) {
	v.checkWitnesses(text)
	if !v.anyNote {
		v.add(Check{Check: CheckCheckpoint, Status: Undetermined, Detail: "no checkpoint key is known to verify it with"})
		return
	}
	c, err := OpenCheckpoint(text, v.verifiers)
	if err != nil {
		v.add(Check{Check: CheckCheckpoint, Status: Failed, Detail: err.Error()})
		return
	}
	v.settle(CheckCheckpoint, "signed by the key of %s", c.Origin)
}

// checkWitnesses holds the checkpoint to the policy of the auditor. Too few
// cosignatures prove nothing against the log: a witness may have been away.
func (v *logVerifier) checkWitnesses(text string) {
	p := v.pinned.Policy
	if !p.Given() {
		return
	}
	cosigned := make([]bool, len(p.Witnesses))
	var seen, missing []string
	for i, w := range p.Witnesses {
		at, _, err := w.Cosigned(text)
		switch {
		case errors.Is(err, ErrNotCosigned):
			missing = append(missing, w.Name)
		case err != nil:
			v.add(Check{Check: CheckWitnesses, Status: Failed, Detail: err.Error()})
		default:
			cosigned[i] = true
			c := Cosignature{Witness: w.Name, CosignedAt: at.Format(time.RFC3339)}
			v.Witnesses = append(v.Witnesses, c)
			seen = append(seen, c.Witness+" at "+c.CosignedAt)
		}
	}
	detail := fmt.Sprintf("cosigned by %s; want %s", listOr(seen, "no known witness"), p)
	if !p.Met(cosigned) {
		v.add(Check{Check: CheckWitnesses, Status: Undetermined, Expected: p.String(), Found: listOr(seen, "none"), Detail: "the quorum of witnesses is not there; missing: " + listOr(missing, "none")})
	}
	v.settle(CheckWitnesses, "%s", detail)
}

func listOr(list []string, none string) string {
	if len(list) == 0 {
		return none
	}
	return strings.Join(list, ", ")
}

// checkSaved compares the log with the heads that the auditor saved earlier.
func (v *logVerifier) checkSaved(c Checkpoint) {
	n := 0
	for _, h := range v.pinned.Heads {
		if h.Origin != c.Origin {
			continue
		}
		n++
		root, passed := v.heads[h.Size]
		switch {
		case h.Size > c.Size:
			v.add(Check{
				Check: CheckConsistency, Status: Failed, Expected: fmt.Sprintf("size %d or more", h.Size), Found: fmt.Sprint(c.Size),
				Detail: "a head saved earlier is of a larger log: receipts were removed",
			})
		case !passed:
			v.add(Check{Check: CheckConsistency, Status: Undetermined, Detail: fmt.Sprintf("a head saved earlier, of size %d, lies before the %s", h.Size, v.what)})
		case root != h.Root:
			v.add(Check{
				Check: CheckConsistency, Status: Failed, Expected: h.Root.String(), Found: root.String(),
				Detail: fmt.Sprintf("a head saved earlier, of size %d, has another root: the log was rewritten", h.Size),
			})
		}
	}
	switch {
	case n > 0:
		v.settle(CheckConsistency, "%d heads saved earlier are found again", n)
	case len(v.pinned.Heads) > 0:
		v.add(Check{
			Check: CheckConsistency, Status: Undetermined, Expected: quote(c.Origin), Found: quote(v.pinned.Heads[0].Origin),
			Detail: "none of the heads saved earlier is of this log, so nothing shows that it continues one that was seen",
		})
	}
}
