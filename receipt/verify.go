package receipt

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// VerifyExport reads an export to its end and verifies it: each receipt, that
// their indexes are contiguous and all of one org, that the rebuilt root and
// size are those of the checkpoint, and the checkpoint's signature. Memory is
// bounded whatever the length of r; receipts are verified on all processors.
//
// With no key in pinned the keys in the export's head are used, which the check
// "trust" and KeysPinned say. Once any key is pinned, only pinned keys count,
// for receipts and for checkpoints. The heads in pinned must be found again in
// the log; that alone catches a log rewritten or cut by its operator.
//
// progress, if not nil, is called now and then from the calling goroutine with
// the number of receipts done.
func VerifyExport(r io.Reader, pinned Trust, progress func(done int64)) Report {
	v := &exportVerifier{
		Report: newReport(pinned.Pinned()),
		in:     bufio.NewReaderSize(r, 64<<10),
		pinned: pinned,
		heads:  map[int64]tlog.Hash{},
	}
	if v.readHead() {
		v.readReceipts(progress)
		v.settleReceipts()
		v.readCheckpoint()
	}
	return v.finish(CheckHead, CheckTrust, CheckCanonicalForm, CheckSignature, CheckOrg, CheckLogIndex, CheckUniqueEvents,
		CheckReceipts, CheckCompleteness, CheckCheckpoint, CheckSize, CheckRoot)
}

type exportVerifier struct {
	*Report
	in        *bufio.Reader
	long      []byte // a line that does not fit into in's buffer
	pinned    Trust
	keys      KeySet
	verifiers note.Verifiers
	anyNote   bool // a checkpoint key is known
	tree      Tree
	unread    bool // a receipt could not be read, so that the tree lacks its leaf
	next      int64
	seen      recentIDs
	last      []byte              // the line behind the receipts, nil if there is none
	heads     map[int64]tlog.Hash // roots at the sizes of saved heads
}

// readLine returns the next line without its end, valid until the next call.
// ok is false at the end of the input.
func (v *exportVerifier) readLine() (line []byte, ok bool) {
	line, err := v.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		v.long = append(v.long[:0], line...)
		for errors.Is(err, bufio.ErrBufferFull) && len(v.long) <= maxLine {
			line, err = v.in.ReadSlice('\n')
			v.long = append(v.long, line...)
		}
		line = v.long
	}
	switch {
	case len(line) > maxLine:
		v.broken(CheckLine, nil, "a line is longer than %d bytes", maxLine)
		return nil, false
	case err == nil:
		return line[:len(line)-1], true
	case errors.Is(err, io.EOF):
		// A whole last line without its end is a whole line; a cut one will not parse.
		return line, len(line) > 0
	}
	v.add(Check{Check: CheckLine, Status: Undetermined, Detail: "reading stopped: " + err.Error()})
	return nil, false
}

// decodeLine reads a line that holds exactly one JSON object and no member
// that out does not know.
func decodeLine(line []byte, out any) error {
	if !bytes.HasPrefix(line, []byte("{")) || !bytes.HasSuffix(line, []byte("}")) {
		return errors.New("not a JSON object")
	}
	return json.Unmarshal(line, out, json.RejectUnknownMembers(true))
}

func (v *exportVerifier) readHead() bool {
	line, ok := v.readLine()
	if !ok {
		v.broken(CheckHead, nil, "the export is empty")
		return false
	}
	var head headLine
	err := decodeLine(line, &head)
	if err == nil {
		err = head.Export.check()
	}
	if err != nil {
		v.broken(CheckHead, nil, "the first line is not the head of an export: %v", err)
		return false
	}
	v.Org, v.From = head.Export.Org, head.Export.From
	v.next, v.tree = head.Export.From, head.Export.Tree
	v.noteHead()
	inFile := Trust{Receipt: KeySet{}}
	for i, k := range head.Export.Keys {
		if err := inFile.add(k); err != nil {
			v.add(Check{Check: CheckHead, Status: Failed, Detail: fmt.Sprintf("key %d: %v", i, err)})
		}
	}
	v.settle(CheckHead, "org %s, from index %d", v.Org, v.From)
	v.chooseKeys(inFile)
	return true
}

func (v *exportVerifier) chooseKeys(inFile Trust) {
	trust, detail := v.pinned, "keys given by the caller; those in the export were not used"
	if !v.KeysPinned {
		trust, detail = inFile, "no key was given, so the keys in the export were used: this shows that it agrees with itself, not who made it"
	}
	verifiers, err := trust.verifiers()
	if err != nil {
		v.add(Check{Check: CheckTrust, Status: Failed, Detail: err.Error()})
		verifiers = note.VerifierList()
	}
	v.keys, v.verifiers, v.anyNote = trust.Receipt, verifiers, trust.checkpoints()
	v.settle(CheckTrust, "%s", detail)
}

// noteHead keeps the root at a size at which a head was saved earlier.
func (v *exportVerifier) noteHead() {
	for _, h := range v.pinned.Heads {
		if h.Size == v.tree.Size() {
			v.heads[h.Size] = v.tree.Root()
		}
	}
}

// take folds a receipt's line into the report, in log order.
func (v *exportVerifier) take(l *exportLine) {
	v.Receipts++
	place := v.next
	if !l.ok {
		v.broken(CheckLine, &place, "not a line of the form %s…%s…}", lineIndex, lineReceipt)
		v.next++
		v.unread = true
		return
	}
	place = l.index
	if l.index != v.next {
		v.add(Check{
			Check: CheckLogIndex, Status: Failed, Expected: fmt.Sprint(v.next), Found: fmt.Sprint(l.index),
			Detail: "a receipt is missing, moved or repeated here", LogIndex: &place, EventID: l.receipt.EventID,
		})
	}
	v.next = l.index + 1
	if l.parseErr != nil {
		v.fail(l.parseErr, Failed, &place, "")
		v.unread = true
		return
	}
	if l.verifyErr != nil {
		v.fail(l.verifyErr, v.statusOf(l.verifyErr), &place, l.receipt.EventID)
	}
	if l.receipt.Org != v.Org {
		v.add(Check{Check: CheckOrg, Status: Failed, Expected: quote(v.Org), Found: quote(l.receipt.Org), LogIndex: &place, EventID: l.receipt.EventID})
	}
	if v.seen.again(l.receipt.EventID) {
		v.add(Check{Check: CheckUniqueEvents, Status: Failed, Detail: "the event is logged twice", LogIndex: &place, EventID: l.receipt.EventID})
	}
	v.tree = v.tree.Append(l.receipt.LeafHash)
	v.noteHead()
}

// statusOf tells a key that the auditor does not trust from one that nobody
// handed over.
func (v *exportVerifier) statusOf(err error) string {
	if errors.Is(err, ErrUnknownKey) && len(v.keys) == 0 {
		return Undetermined
	}
	return Failed
}

func (v *exportVerifier) settleReceipts() {
	if v.Receipts == 0 {
		v.add(Check{Check: CheckReceipts, Status: Undetermined, Detail: "the export holds no receipt, so nothing was verified"})
		return
	}
	n := v.Receipts
	v.settle(CheckReceipts, "%d receipts, indexes %d to %d", n, v.From, v.next-1)
	for _, name := range []CheckName{CheckLine, CheckEnvelope, CheckSchema, CheckEventID, CheckKind, CheckTimes, CheckKeyID} {
		v.settleIfRead(name, "%d receipts", n)
	}
	v.settleIfRead(CheckCanonicalForm, "%d receipts are byte for byte in canonical form", n)
	v.settleIfRead(CheckKnownKey, "%d receipts", n)
	if v.status[CheckKnownKey] == OK {
		v.settleIfRead(CheckSignature, "%d signatures", n)
	}
	v.settleIfRead(CheckOrg, "%d receipts of org %s", n, v.Org)
	v.settleIfRead(CheckLogIndex, "%d indexes without a gap", n)
	v.settleIfRead(CheckUniqueEvents, "no event twice among any %d in a row", min(n, recentWindow))
}

// settleIfRead claims a success for all receipts only if all could be read.
func (v *exportVerifier) settleIfRead(name CheckName, format string, args ...any) {
	if !v.unread {
		v.settle(name, format, args...)
	}
}

func (v *exportVerifier) readCheckpoint() {
	if v.last == nil {
		v.add(Check{
			Check: CheckCompleteness, Status: Undetermined,
			Detail: "the export ends without its checkpoint: it was cut off, and what followed is unknown",
		})
		return
	}
	var line checkpointLine
	if err := decodeLine(v.last, &line); err != nil {
		v.broken(CheckLine, &v.next, "neither a receipt nor a checkpoint: %v", err)
		return
	}
	if _, more := v.readLine(); more {
		v.broken(CheckLine, nil, "data behind the checkpoint")
	}
	v.settle(CheckCompleteness, "the export ends with its checkpoint")
	c, err := ParseCheckpoint(line.Checkpoint)
	if err != nil {
		v.add(Check{Check: CheckCheckpoint, Status: Failed, Detail: err.Error()})
		return
	}
	v.Size = c.Size
	v.checkSignatures(line.Checkpoint)
	v.checkHead(c, line.Size)
	v.checkSaved(c)
}

func (v *exportVerifier) checkSignatures(text string) {
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

func (v *exportVerifier) checkHead(c Checkpoint, stated int64) {
	if stated != c.Size || v.next != c.Size {
		v.add(Check{
			Check: CheckSize, Status: Failed, Expected: fmt.Sprint(c.Size), Found: fmt.Sprint(v.next),
			Detail: fmt.Sprintf("the checkpoint, the last line (%d) and the receipts do not agree on the size of the log", stated),
		})
	}
	v.settle(CheckSize, "%d", c.Size)
	root := v.tree.Root()
	switch {
	case v.unread:
		v.add(Check{Check: CheckRoot, Status: Undetermined, Detail: "not every receipt could be read, so the root could not be rebuilt"})
	case root != c.Root:
		v.add(Check{
			Check: CheckRoot, Status: Failed, Expected: c.Root.String(), Found: root.String(),
			Detail: "the receipts are not those that the checkpoint signs for, or not in that order",
		})
	}
	v.settle(CheckRoot, "%s, rebuilt from every leaf", root)
}

// checkSaved compares the log with the heads that the auditor saved earlier.
func (v *exportVerifier) checkSaved(c Checkpoint) {
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
			v.add(Check{Check: CheckConsistency, Status: Undetermined, Detail: fmt.Sprintf("a head saved earlier, of size %d, lies before the export", h.Size)})
		case root != h.Root:
			v.add(Check{
				Check: CheckConsistency, Status: Failed, Expected: h.Root.String(), Found: root.String(),
				Detail: fmt.Sprintf("a head saved earlier, of size %d, has another root: the log was rewritten", h.Size),
			})
		}
	}
	if n > 0 {
		v.settle(CheckConsistency, "%d heads saved earlier are found again", n)
	}
}
