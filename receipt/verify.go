package receipt

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
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
	v := &exportVerifier{newLogVerifier("export", pinned)}
	v.lines = newLineReader(r)
	if v.readHead() {
		v.readReceipts(v.take, progress)
		v.settleReceipts()
		v.readCheckpoint()
	}
	return v.finish(CheckHead, CheckTrust, CheckCanonicalForm, CheckSignature, CheckOrg, CheckLogIndex, CheckUniqueEvents,
		CheckReceipts, CheckCompleteness, CheckCheckpoint, CheckSize, CheckRoot)
}

type exportVerifier struct{ *logVerifier }

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
	v.fromStart, v.allKeyEvents = v.From == 0, v.From == 0
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

// decodeLine reads a line that holds exactly one JSON object and no member
// that out does not know.
func decodeLine(line []byte, out any) error {
	if !bytes.HasPrefix(line, []byte("{")) || !bytes.HasSuffix(line, []byte("}")) {
		return errors.New("not a JSON object")
	}
	return json.Unmarshal(line, out, json.RejectUnknownMembers(true))
}

// take folds a receipt's line into the report, in log order.
func (v *exportVerifier) take(l *exportLine) {
	v.Receipts++
	place := v.next
	if !l.ok {
		v.notALine(&place)
		v.next++
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
	if !v.look(l, &place, true) {
		return
	}
	v.erasure(l.receipt, place)
	v.tree = v.tree.Append(l.receipt.LeafHash)
	v.noteHead()
}

func (v *exportVerifier) settleReceipts() {
	if v.Receipts == 0 {
		v.add(Check{Check: CheckReceipts, Status: Undetermined, Detail: "the export holds no receipt, so nothing was verified"})
		return
	}
	n := v.Receipts
	v.settle(CheckReceipts, "%d receipts, indexes %d to %d", n, v.From, v.next-1)
	v.settleEach()
	v.settleIfRead(CheckLogIndex, "%d indexes without a gap", n)
	if v.erased > 0 {
		v.settleIfRead(CheckRedactions, "%d payload fields are redacted: value erased, commitment intact. No decision rests on them", v.erased)
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
