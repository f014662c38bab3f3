package receipt

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
)

// BundleVersion is the version of the bundle format.
const BundleVersion = 1

// KindExport is the kind of the receipt whose body holds a [Manifest]: handing
// evidence out is an event like any other.
const KindExport = "export"

// kindKeyEvent is the kind of a receipt that adds, retires or revokes a key.
const kindKeyEvent = "key_event"

// The files of a bundle, in the order in which they stand in a tar. The proofs
// stand between checkpoint and leaves.
const (
	FileManifest   = "manifest.json"   // the export receipt, without a line end
	FileReadme     = "README"          // for people
	FileKeys       = "keys.json"       // public keys, believed only where nothing is pinned
	FileCheckpoint = "checkpoint"      // the signed note over the log at the manifest's size
	FileLeaves     = "leaves"          // 32 bytes for each leaf from the manifest's tree to its size
	FileReceipts   = "receipts.ndjson" // lines {"log_index":…,"receipt":…} in log order

	proofDirectory = "proofs"
	proofSuffix    = ".tlog-proof"
)

// ProofFile is the name of the proof that a receipt stands in the log.
func ProofFile(eventID string) string { return proofDirectory + "/" + eventID + proofSuffix }

// Bounds of a bundle. A file of a tar can have no more than maxFile bytes.
const (
	maxFiles = 4096
	maxFile  = 1<<33 - 1
)

// limitOf is the most bytes that a file may have; ok is false for a name that
// no file of a bundle has.
func limitOf(name string) (limit int64, ok bool) {
	switch name {
	case FileManifest, FileKeys:
		return MaxBytes, true
	case FileReadme, FileCheckpoint:
		return maxProofText, true
	case FileLeaves, FileReceipts:
		return maxFile, true
	}
	id, ok := strings.CutPrefix(name, proofDirectory+"/")
	id, ok2 := strings.CutSuffix(id, proofSuffix)
	return maxProofText, ok && ok2 && validEventID(id)
}

// Scope says what a bundle is about: one receipt, one rollout, or the log
// indexes [From, To). Exactly one of the three is set.
type Scope struct {
	Receipt string `json:"receipt,omitzero"` // an event id
	Rollout string `json:"rollout,omitzero"` // a rollout's id, which is that of its stream
	From    *int64 `json:"from,omitzero"`
	To      *int64 `json:"to,omitzero"` // exclusive
}

// Check reports whether exactly one thing is named.
func (s Scope) Check() error {
	named := 0
	for _, set := range []bool{s.Receipt != "", s.Rollout != "", s.From != nil || s.To != nil} {
		if set {
			named++
		}
	}
	switch {
	case named != 1:
		return errors.New("a scope is one receipt, one rollout, or from and to")
	case s.Receipt != "" && !validEventID(s.Receipt):
		return fmt.Errorf("%s is no event id", quote(s.Receipt))
	case len(s.Rollout) > 128:
		return fmt.Errorf("%s is no rollout id", quote(s.Rollout))
	case (s.From == nil) != (s.To == nil):
		return errors.New("a range has both from and to")
	case s.From != nil && (*s.From < 0 || *s.From >= *s.To):
		return fmt.Errorf("the range from %d to %d is empty", *s.From, *s.To)
	}
	return nil
}

// Claim is what a bundle of this scope claims to be complete in.
func (s Scope) Claim() string {
	switch {
	case s.Receipt != "":
		return ClaimReceipt
	case s.Rollout != "":
		return ClaimRollout
	}
	return ClaimRange
}

func (s Scope) String() string {
	switch {
	case s.Receipt != "":
		return "receipt " + s.Receipt
	case s.Rollout != "":
		return "rollout " + s.Rollout
	case s.From != nil && s.To != nil:
		return fmt.Sprintf("log indexes %d to %d", *s.From, *s.To-1)
	}
	return "nothing"
}

// BundleFile describes a file of a bundle.
type BundleFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // lower-case hex
}

// Completeness is what a bundle claims to leave nothing out of. The verifier
// finds it out by itself and compares.
type Completeness struct {
	// Claim is "receipt": nothing is said about others; "rollout": every
	// receipt of the rollout below the manifest's size; or "range": every
	// receipt of the log from From to To.
	Claim string `json:"claim"`
	// LastSeq is the number of the rollout's last receipt in its stream, and
	// Ended says that one of them ended it.
	LastSeq *int64 `json:"last_seq,omitzero"`
	Ended   *bool  `json:"ended,omitzero"`
}

// The claims.
const (
	ClaimReceipt = "receipt"
	ClaimRollout = "rollout"
	ClaimRange   = "range"
)

// Redaction names a payload field of a receipt in the bundle whose value and
// salt were erased. The commitment stays in the receipt, so nothing is missing.
type Redaction struct {
	EventID string `json:"event_id"`
	Field   string `json:"field"`
}

// Manifest says what a bundle holds. It is the member "manifest" of the body
// of the export receipt, which is the file [FileManifest]: the signature of
// that receipt covers every other file by its digest.
//
// The export receipt is itself appended to the log, behind Size: it names the
// checkpoint by digest, so that no checkpoint of the bundle can cover it. That
// it was logged shows in every later export of the log.
type Manifest struct {
	Version int    `json:"version"`
	Scope   Scope  `json:"scope"`
	Origin  string `json:"origin"` // of the log
	Size    int64  `json:"size"`   // of the log at the checkpoint
	// Tree is the tree before the first leaf in [FileLeaves]; nil without that file.
	Tree *Tree `json:"tree,omitzero"`
	// Files are all files but the manifest, in the order in which they stand in a tar.
	Files        []BundleFile     `json:"files"`
	Counts       map[string]int64 `json:"counts"` // receipts by kind
	Completeness Completeness     `json:"completeness"`
	Redactions   []Redaction      `json:"redactions"`
}

// Check looks at what can be known of a manifest without the files.
func (m Manifest) Check() error {
	switch {
	case m.Version != BundleVersion:
		return fmt.Errorf("bundle version %d; only %d is known", m.Version, BundleVersion)
	case m.Scope.Check() != nil:
		return m.Scope.Check()
	case !validOrigin(m.Origin):
		return fmt.Errorf("origin %s", quote(m.Origin))
	case m.Size < 1 || m.Size > maxProofSize:
		return fmt.Errorf("size %d", m.Size)
	case m.Scope.To != nil && *m.Scope.To > m.Size:
		return fmt.Errorf("the range ends at %d and the log at %d", *m.Scope.To, m.Size)
	case m.Scope.Receipt != "" && m.Tree != nil:
		return errors.New("a bundle of one receipt has proofs and no leaves")
	case m.Scope.Receipt == "" && m.Tree == nil:
		return errors.New("the tree before the leaves is missing")
	case m.Tree != nil && m.Tree.Size() >= m.Size:
		return fmt.Errorf("the leaves begin at %d and the log ends at %d", m.Tree.Size(), m.Size)
	case m.Scope.From != nil && m.Tree.Size() != *m.Scope.From:
		return fmt.Errorf("the leaves begin at %d and the range at %d", m.Tree.Size(), *m.Scope.From)
	}
	if err := m.Completeness.check(m.Scope); err != nil {
		return err
	}
	return m.checkFiles()
}

func (c Completeness) check(s Scope) error {
	want := s.Claim()
	if c.Claim != want || (c.LastSeq != nil) != (want == ClaimRollout) || (c.Ended != nil) != (want == ClaimRollout) {
		return fmt.Errorf("the claim of completeness is not one about a %s", want)
	}
	return nil
}

// checkFiles holds the list of files to its one order. Whether each proof is
// of a receipt in the bundle is known only when the receipts were read.
func (m Manifest) checkFiles() error {
	next := []string{FileReadme, FileKeys, FileCheckpoint}
	tail := []string{FileReceipts}
	if m.Tree != nil {
		tail = []string{FileLeaves, FileReceipts}
	}
	proofs := len(m.Files) - len(next) - len(tail)
	if proofs < 0 || len(m.Files) >= maxFiles {
		return fmt.Errorf("%d files", len(m.Files))
	}
	seen := map[string]bool{}
	for i, f := range m.Files {
		want := f.Name
		switch {
		case i < len(next):
			want = next[i]
		case i >= len(next)+proofs:
			want = tail[i-len(next)-proofs]
		case !strings.HasPrefix(f.Name, proofDirectory+"/"):
			want = "a proof"
		}
		limit, ok := limitOf(f.Name)
		switch {
		case f.Name != want:
			return fmt.Errorf("file %d is %s and should be %s", i, quote(f.Name), want)
		case !ok || seen[f.Name]:
			return fmt.Errorf("file %s is listed twice or is no file of a bundle", quote(f.Name))
		case f.Size < 0 || f.Size > limit:
			return fmt.Errorf("file %s of %d bytes, over the limit of %d", f.Name, f.Size, limit)
		case len(f.SHA256) != 64 || !all(f.SHA256, isHexDigit):
			return fmt.Errorf("file %s: sha256 %s", f.Name, quote(f.SHA256))
		case f.Name == FileLeaves && f.Size != (m.Size-m.Tree.Size())*hashSize:
			return fmt.Errorf("file %s has %d bytes; %d leaves have %d each", f.Name, f.Size, m.Size-m.Tree.Size(), hashSize)
		}
		seen[f.Name] = true
	}
	return nil
}

// hashSize is the number of bytes of a leaf hash.
const hashSize = 32

// ParseManifest reads the file [FileManifest]. It believes nothing: the
// signature is not checked, see [Bundle.Verify].
func ParseManifest(raw []byte) (Manifest, Receipt, error) {
	m, r, _, err := parseManifest(raw)
	return m, r, err
}

func parseManifest(raw []byte) (m Manifest, r Receipt, pae []byte, err error) {
	if r, pae, err = parse(raw); err != nil {
		return m, r, nil, err
	}
	if r.Kind != KindExport {
		return m, r, nil, &VerifyError{Check: CheckManifest, Expected: KindExport, Found: quote(r.Kind), Detail: "the manifest is a receipt of another kind"}
	}
	members, _ := Limits{}.scanMembers(nil, r.Body) // parse took it already
	err = errors.New("the receipt holds no manifest")
	for _, member := range members {
		if string(member.name) == `"manifest"` {
			err = json.Unmarshal(member.value, &m, json.RejectUnknownMembers(true))
		}
	}
	if err == nil {
		err = m.Check()
	}
	if err != nil {
		return m, r, nil, &VerifyError{Check: CheckManifest, Detail: err.Error(), cause: err}
	}
	return m, r, pae, nil
}

// BundleKeys is the content of the file [FileKeys].
func BundleKeys(keys []PublicKey) ([]byte, error) {
	data, err := json.Marshal(struct {
		Keys []PublicKey `json:"keys"`
	}{keys})
	return append(data, '\n'), err
}

// BundleReadme is the content of the file [FileReadme].
func BundleReadme() []byte {
	return []byte(`This is evidence from Prova: signed receipts, and what shows that they stand in an append-only log.

Verify it, offline, with the tar or with the directory that it was unpacked into:

  prova-verify --key KEYS BUNDLE

KEYS are the public keys of the server. Get them from somebody you trust: those in keys.json only
show that this bundle agrees with itself. With --head FILE give checkpoints that you saved earlier:
they show that the log was not rewritten since.

  manifest.json    what this is, with the SHA-256 of every other file; itself a signed receipt
  keys.json        public keys, for convenience
  checkpoint       the signed head of the log (C2SP tlog-checkpoint)
  proofs/          proofs that single receipts stand in the log (C2SP tlog-proof)
  leaves           the hashes of all receipts of the log from some index on, 32 bytes each
  receipts.ndjson  the receipts, in log order
`)
}

// AppendLine appends the line of a receipt as it stands in [FileReceipts] and
// in an export: the index, and the envelope as it was signed.
func AppendLine(dst []byte, index int64, raw []byte) []byte {
	dst = append(dst, lineIndex...)
	dst = strconv.AppendInt(dst, index, 10)
	dst = append(append(dst, lineReceipt...), raw...)
	return append(dst, '}', '\n')
}
