package receipt

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// Verify verifies the bundle, in this order: its form and bounds; the manifest
// and that the other files are those that it names; the keys; the checkpoint;
// of each receipt the canonical bytes, the key and whether it held at that
// index, the signature, and that the receipt stands in the log at its index;
// the root; then the streams of rollouts, the scope and what the bundle claims
// to be complete in. Who signed the manifest shows when the key events were
// read. Memory is bounded whatever the number of receipts.
//
// Keys, heads and progress are as in [VerifyExport]. A head saved earlier that
// is smaller than where the leaves begin leaves the result undetermined.
func (b *Bundle) Verify(pinned Trust, progress func(done int64)) Report {
	v := &bundleVerifier{
		logVerifier: newLogVerifier("bundle", pinned), in: b,
		digests: map[string]BundleFile{}, counts: map[string]int64{}, redacted: map[string][]string{}, proofs: map[string]bool{},
	}
	required := []CheckName{
		CheckFiles, CheckManifest, CheckDigest, CheckTrust, CheckCheckpoint, CheckSize, CheckCanonicalForm, CheckKnownKey, CheckSignature,
		CheckOrg, CheckLogIndex, CheckUniqueEvents, CheckKeySpan, CheckReceipts, CheckInclusion, CheckRoot, CheckScope, CheckCounts, CheckCompleteness,
	}
	if v.readManifest() && v.readSmall() {
		v.readLog(progress)
		v.checkManifest()
		v.settleBundle()
	}
	return v.finish(required...)
}

type bundleVerifier struct {
	*logVerifier
	in       *Bundle
	m        Manifest
	manifest Receipt
	pae      []byte
	note     string // the text of the checkpoint
	head     Checkpoint
	headRead bool
	digests  map[string]BundleFile
	leaves   *bufio.Reader // nil if there are none
	counts   map[string]int64
	redacted map[string][]string // fields by event id, of receipts not met yet
	proofs   map[string]bool     // those that a receipt was shown with
	agent    *Source             // app and environment that a rollout's receipts are of
	found    bool                // the receipt that the bundle is about
	within   int64               // receipts of the range
}

// readManifest looks at the form of everything, and compares the files that
// are there with those that the manifest names.
func (v *bundleVerifier) readManifest() bool {
	if v.in.err != nil {
		v.broken(CheckFiles, nil, "%v", v.in.err)
		return false
	}
	if _, ok := v.in.files[FileManifest]; !ok {
		v.broken(CheckFiles, nil, "there is no %s", FileManifest)
		return false
	}
	raw, err := v.in.read(FileManifest)
	if err != nil {
		v.stop(err)
		return false
	}
	if v.m, v.manifest, v.pae, err = parseManifest(raw); err != nil {
		v.fail(err, Failed, nil, v.manifest.EventID)
		unread := Check{Check: CheckManifest, Status: Failed, Detail: "the manifest cannot be read, so nothing else was looked at"}
		if v.malformed {
			v.list(unread)
		} else {
			v.add(unread)
		}
		return false
	}
	v.Org, v.Scope = v.manifest.Org, v.m.Scope.String()
	for _, f := range v.m.Files {
		v.digests[f.Name] = f
	}
	for _, r := range v.m.Redactions {
		v.redacted[r.EventID] = append(v.redacted[r.EventID], r.Field)
	}
	return v.compareFiles()
}

func (v *bundleVerifier) compareFiles() bool {
	want := []string{FileManifest}
	whole := true
	for _, f := range v.m.Files {
		want = append(want, f.Name)
		have, ok := v.in.files[f.Name]
		switch {
		case !ok:
			v.add(Check{Check: CheckFiles, Status: Failed, Detail: "the file " + f.Name + " is missing"})
			whole = false
		case have.size != f.Size:
			v.add(Check{Check: CheckFiles, Status: Failed, Expected: fmt.Sprintf("%d bytes", f.Size), Found: fmt.Sprintf("%d bytes", have.size), Detail: "the file " + f.Name})
		}
	}
	for _, name := range v.in.names {
		if _, ok := v.digests[name]; !ok && name != FileManifest {
			v.add(Check{Check: CheckFiles, Status: Failed, Detail: "the file " + name + " is one that the manifest does not name"})
		}
	}
	if v.in.tar && v.status[CheckFiles] == "" && !slices.Equal(want, v.in.names) {
		v.broken(CheckFiles, nil, "the files do not stand in the order of the manifest")
	}
	v.settle(CheckFiles, "%d files, none missing and none extra", len(want))
	return whole
}

// compare holds what was read of a file to the manifest.
func (v *bundleVerifier) compare(got BundleFile) {
	if want := v.digests[got.Name]; got != want {
		v.add(Check{
			Check: CheckDigest, Status: Failed, Expected: fmt.Sprintf("%d bytes, sha256 %s", want.Size, want.SHA256),
			Found: fmt.Sprintf("%d bytes, sha256 %s", got.Size, got.SHA256), Detail: "the file " + got.Name + " is not the one that the manifest names",
		})
	}
}

func (v *bundleVerifier) small(name string) ([]byte, bool) {
	data, err := v.in.read(name)
	if err != nil {
		v.stop(err)
		return nil, false
	}
	sum := NewFileSum(name)
	_, _ = sum.Write(data)
	v.compare(sum.File())
	return data, true
}

// readSmall reads the files around the log, and verifies the checkpoint with
// the keys.
func (v *bundleVerifier) readSmall() bool {
	_, ok := v.small(FileReadme)
	keys, ok2 := v.small(FileKeys)
	text, ok3 := v.small(FileCheckpoint)
	if !ok || !ok2 || !ok3 {
		return false
	}
	v.allKeyEvents = true
	v.chooseKeys(v.readKeys(keys))
	v.note = string(text)
	v.readHead()
	return true
}

// checkManifest verifies who signed the manifest: a key that holds behind the
// log, which the key events say.
func (v *bundleVerifier) checkManifest() {
	if v.stopped { // a key event may not have been read
		return
	}
	err := verify(v.manifest, v.pae, v.spans.set())
	if err == nil {
		err = v.spans.fault(v.manifest.KeyID, v.m.Size)
	}
	if err != nil {
		v.fail(err, v.statusOf(err), nil, v.manifest.EventID)
		v.add(Check{Check: CheckManifest, Status: v.statusOf(err), Detail: "its signature does not show who made the bundle", EventID: v.manifest.EventID})
	}
	v.settle(CheckManifest, "%s, made for %s at %s, signed by key %s", v.Scope, v.manifest.Actor, v.manifest.RecordedAt, v.manifest.KeyID)
}

func (v *bundleVerifier) readKeys(data []byte) Trust {
	inFile := Trust{Receipt: KeySet{}}
	var list struct {
		Keys []PublicKey `json:"keys"`
	}
	if err := json.Unmarshal(data, &list, json.RejectUnknownMembers(true)); err != nil {
		v.broken(CheckHead, nil, "%s: %v", FileKeys, err)
		return inFile // what was read before the fault is not a list that anyone wrote
	}
	for i, k := range list.Keys {
		if err := inFile.add(k); err != nil {
			v.add(Check{Check: CheckHead, Status: Failed, Detail: fmt.Sprintf("%s, key %d: %v", FileKeys, i, err)})
		}
	}
	return inFile
}

func (v *bundleVerifier) readHead() {
	c, err := ParseCheckpoint(v.note)
	if err != nil {
		v.add(Check{Check: CheckCheckpoint, Status: Failed, Detail: err.Error()})
		return
	}
	v.head, v.headRead, v.Size = c, true, c.Size
	if c.Origin != v.m.Origin {
		v.add(Check{Check: CheckCheckpoint, Status: Failed, Expected: quote(v.m.Origin), Found: quote(c.Origin), Detail: "the checkpoint is of another log than the manifest"})
	}
	if c.Size != v.m.Size {
		v.add(Check{Check: CheckSize, Status: Failed, Expected: fmt.Sprint(v.m.Size), Found: fmt.Sprint(c.Size), Detail: "the checkpoint is of another size than the manifest"})
	}
	v.settle(CheckSize, "%d", c.Size)
	v.checkSignatures(v.note)
}

// summed reads a file and sums it up on the way.
type summed struct {
	io.Reader
	io.Closer
	sum *FileSum
}

func (v *bundleVerifier) openSummed(name string) (*summed, error) {
	f, err := v.in.Open(name)
	if err != nil {
		return nil, err
	}
	sum := NewFileSum(name)
	// One byte more than it should have shows that a file grew.
	return &summed{io.TeeReader(io.LimitReader(f, v.digests[name].Size+1), sum), f, sum}, nil
}

// end reads what is left of a file and compares it.
func (v *bundleVerifier) end(s *summed) {
	if _, err := io.Copy(io.Discard, s); err != nil {
		v.stop(err)
	} else {
		v.compare(s.sum.File())
	}
	_ = s.Close()
}

// readLog reads receipts and leaves side by side, once.
func (v *bundleVerifier) readLog(progress func(done int64)) {
	receipts, err := v.openSummed(FileReceipts)
	if err != nil {
		v.stop(err)
		return
	}
	defer v.end(receipts)
	if v.m.Tree != nil {
		leaves, err := v.openSummed(FileLeaves)
		if err != nil {
			v.stop(err)
			return
		}
		defer v.end(leaves)
		v.leaves, v.tree = bufio.NewReaderSize(leaves, 64<<10), *v.m.Tree
		v.fromStart = v.m.Scope.From != nil && *v.m.Scope.From == 0
		v.noteHead()
	}
	v.lines = newLineReader(receipts)
	v.readReceipts(v.take, progress)
	if v.last != nil {
		v.broken(CheckLine, nil, "%s holds a line that is no receipt", FileReceipts)
	}
	if v.leaves != nil {
		v.advance(v.m.Size)
	}
}

// take folds a receipt's line into the report, in log order.
func (v *bundleVerifier) take(l *exportLine) {
	if v.Receipts++; !l.ok {
		v.notALine(nil)
		return
	}
	place := l.index
	if v.Receipts == 1 {
		v.From = place
	}
	v.checkIndex(l, &place)
	if !v.look(l, &place, v.isAbout(l.receipt, place)) {
		return
	}
	v.counts[l.receipt.Kind]++
	v.include(l.receipt, place)
	v.checkScope(l.receipt, place)
	v.checkRedaction(l.receipt, place)
}

// isAbout reports whether the receipt is one that the bundle is about: key
// events stand beside it, too.
func (v *bundleVerifier) isAbout(r Receipt, place int64) bool {
	s := v.m.Scope
	return r.Kind != kindKeyEvent || r.EventID == s.Receipt || s.From != nil && place >= *s.From && place < *s.To
}

// checkIndex wants indexes to rise, and within a range to leave none out.
func (v *bundleVerifier) checkIndex(l *exportLine, place *int64) {
	fault := func(expected, detail string) {
		v.add(Check{Check: CheckLogIndex, Status: Failed, Expected: expected, Found: fmt.Sprint(*place), Detail: detail, LogIndex: place, EventID: l.receipt.EventID})
	}
	within := v.m.Scope.From != nil && *place >= *v.m.Scope.From && *place < *v.m.Scope.To
	switch {
	case *place >= v.m.Size:
		fault(fmt.Sprintf("below %d", v.m.Size), "the index is beyond the log")
	case *place < v.next:
		fault(fmt.Sprintf("%d or more", v.next), "a receipt is moved or repeated here")
	case within && *place != max(v.next, *v.m.Scope.From):
		fault(fmt.Sprint(max(v.next, *v.m.Scope.From)), "a receipt of the range is missing here")
	}
	if within {
		v.within++
	}
	v.next = *place + 1
}

// checkScope wants no receipt that is not about what the bundle is about.
func (v *bundleVerifier) checkScope(r Receipt, place int64) {
	fault := func(expected, found, detail string) {
		v.add(Check{Check: CheckScope, Status: Failed, Expected: expected, Found: found, Detail: detail, LogIndex: &place, EventID: r.EventID})
	}
	switch s := v.m.Scope; {
	case s.Receipt != "" && r.EventID == s.Receipt:
		v.found = true
	case r.Kind == kindKeyEvent:
	case s.Receipt != "":
		fault(s.Receipt, r.EventID, "the bundle is about another receipt")
	case s.From != nil && (place < *s.From || place >= *s.To):
		fault(kindKeyEvent, r.Kind, "only key events may stand beside the range")
	case s.Rollout != "":
		agent := Source{AppID: r.Source.AppID, Environment: r.Source.Environment}
		if v.agent == nil {
			v.agent = &agent
		}
		if agent != *v.agent {
			fault(fmt.Sprintf("%s in %s", quote(v.agent.AppID), quote(v.agent.Environment)), fmt.Sprintf("%s in %s", quote(agent.AppID), quote(agent.Environment)),
				"the receipt is of another agent or environment")
		}
	}
}

// checkRedaction wants the commitment of each field that is said to be erased.
func (v *bundleVerifier) checkRedaction(r Receipt, place int64) {
	fields, ok := v.redacted[r.EventID]
	if !ok {
		return
	}
	delete(v.redacted, r.EventID)
	var body struct {
		Commitments map[string]string `json:"payload_commitments"`
	}
	err := json.Unmarshal(r.Body, &body)
	for _, field := range fields {
		if err != nil || !isCommitment(body.Commitments[field]) {
			v.add(Check{Check: CheckRedactions, Status: Failed, Detail: "the field " + quote(field) + " is said to be erased, and the receipt holds no commitment to it", LogIndex: &place, EventID: r.EventID})
		}
	}
}

func (v *bundleVerifier) settleBundle() {
	if v.stopped { // what was not read is not missing
		return
	}
	v.settle(CheckDigest, "%d files have the size and the SHA-256 that the manifest names", len(v.m.Files))
	if v.Receipts == 0 {
		v.add(Check{Check: CheckReceipts, Status: Failed, Detail: "the bundle holds no receipt"})
		return
	}
	v.settleEach()
	if v.spans.events == 0 {
		v.add(Check{Check: CheckKeySpan, Status: Undetermined, Detail: "no key event is among the receipts, so nothing shows when which key held"})
	}
	v.settle(CheckReceipts, "%d receipts, indexes %d to %d", v.Receipts, v.From, v.next-1)
	v.settleIfRead(CheckLogIndex, "%d indexes in rising order", v.Receipts)
	for _, f := range v.m.Files {
		if strings.HasPrefix(f.Name, proofDirectory+"/") && !v.proofs[f.Name] {
			v.add(Check{Check: CheckFiles, Status: Failed, Detail: f.Name + " is of no receipt in the bundle that needs one"})
		}
	}
	if v.headRead {
		v.settleRoot()
		v.checkSaved(v.head)
	}
	v.settleScope()
	if !maps.Equal(v.counts, v.m.Counts) {
		v.add(Check{Check: CheckCounts, Status: Failed, Expected: fmt.Sprint(v.m.Counts), Found: fmt.Sprint(v.counts), Detail: "the manifest counts other receipts"})
	}
	v.settle(CheckCounts, "%s", countsText(v.counts))
	v.settleRedactions()
}

func countsText(counts map[string]int64) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[kind], kind))
	}
	return strings.Join(parts, ", ")
}

func (v *bundleVerifier) settleRedactions() {
	for _, id := range slices.Sorted(maps.Keys(v.redacted)) {
		v.add(Check{Check: CheckRedactions, Status: Failed, Detail: "a field of a receipt that is not in the bundle is said to be erased", EventID: id})
	}
	if n := len(v.m.Redactions); n > 0 {
		v.settleIfRead(CheckRedactions, "%d payload fields are redacted: value erased, commitment intact. Nothing that this bundle shows rests on them", n)
	}
}
