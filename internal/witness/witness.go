// Package witness is a witness of transparency logs, and the client that asks
// one: the C2SP tlog-witness protocol, with Ed25519 cosignatures.
//
// A witness remembers of each log that it follows the largest head that it
// cosigned, and cosigns another one only if the log proves that it continues
// that. So whoever sees the cosignatures of two heads of one log knows that one
// is a prefix of the other, whatever the log's operator wishes.
//
// Invariants: a head is on disk before its cosignature leaves the witness; the
// check against the last head and the writing of the new one are one step for
// each log; a witness that lost what it remembered does not start again under
// the same key.
package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/cobound/prova/internal/durable"
	"github.com/cobound/prova/receipt"
)

// Options are what a witness is opened with. Nothing is optional.
type Options struct {
	// Dir was prepared with [Prepare], and belongs to this witness alone.
	Dir      string
	Cosigner receipt.Cosigner
	// Logs are the verifier keys of the logs that it follows; several of one origin are keys of the same log.
	Logs []string
	Now  func() time.Time
	Log  *slog.Logger
}

// Witness follows logs. It is safe for concurrent use.
type Witness struct {
	Options
	heads map[string]*head // by origin
	lock  *os.File
}

// head is the largest head of a log that was cosigned.
type head struct {
	mu        sync.Mutex
	path      string
	verifiers note.Verifiers
	seen      receipt.Checkpoint // of size 0 and without an origin before the first
}

const (
	headsDir = "heads"
	lockName = "witness.lock"
)

// Prepare makes the directory of a witness whose key is in the file keyName, or
// refuses one that has the key and not the heads: it could then be made to
// cosign a second history.
func Prepare(dir, keyName string) error {
	heads := filepath.Join(dir, headsDir)
	_, err := os.Stat(heads)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Lstat(filepath.Join(dir, keyName)); err == nil {
		return fmt.Errorf("%s holds the key of a witness, and %s, where it keeps what it has seen, is gone: it could be made to cosign a second history. "+
			"Bring back the directory as it was last; if it is lost, retire this witness and begin another in an empty directory, with another key", dir, heads)
	}
	if err := os.MkdirAll(heads, 0o700); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

// Open reads what the witness has seen and keeps other processes away until Close.
func Open(o Options) (*Witness, error) {
	w := &Witness{Options: o, heads: map[string]*head{}}
	keys := map[string][]note.Verifier{}
	for _, vkey := range o.Logs {
		v, err := receipt.NewNoteVerifier(vkey)
		if err != nil {
			return nil, fmt.Errorf("log %q: %w", vkey, err)
		}
		if slices.ContainsFunc(keys[v.Name()], func(k note.Verifier) bool { return k.KeyHash() == v.KeyHash() }) {
			return nil, fmt.Errorf("log %q is given twice", vkey)
		}
		keys[v.Name()] = append(keys[v.Name()], v)
	}
	if len(keys) == 0 {
		return nil, errors.New("a witness follows at least one log: give it the log's verifier key")
	}
	var err error
	if w.lock, err = os.OpenFile(filepath.Join(o.Dir, lockName), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	held, err := durable.Hold(w.lock)
	if err == nil && !held {
		err = fmt.Errorf("another witness uses %s: stop it, or give this one another directory and key", o.Dir)
	}
	for origin, list := range keys {
		if err == nil {
			w.heads[origin], err = w.load(origin, note.VerifierList(list...))
		}
	}
	if err != nil {
		return nil, errors.Join(err, w.lock.Close())
	}
	return w, nil
}

// Close lets another process use the directory.
func (w *Witness) Close() error { return w.lock.Close() }

// Origins are the logs that it follows, sorted.
func (w *Witness) Origins() []string { return slices.Sorted(maps.Keys(w.heads)) }

// load reads the head of a log. It is a note that the witness itself cosigned,
// so that a damaged or exchanged file is noticed.
func (w *Witness) load(origin string, verifiers note.Verifiers) (*head, error) {
	name := sha256.Sum256([]byte(origin))
	h := &head{path: filepath.Join(w.Dir, headsDir, hex.EncodeToString(name[:])), verifiers: verifiers}
	text, err := os.ReadFile(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := receipt.ParseCheckpoint(string(text))
	if err == nil && c.Origin != origin {
		err = fmt.Errorf("it is of the log %q", c.Origin)
	}
	if err == nil {
		_, _, err = w.Cosigner.Cosigned(string(text))
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not the head of %s that this witness, with this key and name, cosigned: %w. Bring back the file as it was last; if it is lost, retire the witness", h.path, origin, err)
	}
	h.seen = c
	return h, nil
}

// refusal is why a checkpoint was not cosigned. Status is that of HTTP.
type refusal struct {
	status int
	size   int64 // with a conflict: the size of the largest head that was cosigned
	reason string
	// grave: the log signed a head that is not shown to continue what it signed before.
	grave bool
}

func (r *refusal) Error() string { return r.reason }

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status: status, reason: fmt.Sprintf(format, args...)}
}

// add cosigns a checkpoint and returns the signature line. An error that is no
// *refusal is an outage, after which nothing was cosigned.
func (w *Witness) add(r request) (line string, c receipt.Checkpoint, err error) {
	if c, err = receipt.ParseCheckpoint(r.checkpoint); err != nil {
		return "", c, refuse(http.StatusBadRequest, "%v", err)
	}
	h := w.heads[c.Origin]
	if h == nil {
		return "", c, refuse(http.StatusNotFound, "this witness does not follow the log %q", c.Origin)
	}
	if _, err := receipt.OpenCheckpoint(r.checkpoint, h.verifiers); err != nil {
		return "", c, refuse(http.StatusForbidden, "%v", err)
	}
	if r.old > c.Size {
		return "", c, refuse(http.StatusBadRequest, "the old size is %d and the checkpoint's only %d", r.old, c.Size)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.continues(r, c); err != nil {
		return "", c, err
	}
	if line, err = w.Cosigner.Cosign(r.checkpoint, w.Now()); err != nil {
		return "", c, err
	}
	n, err := note.Open([]byte(r.checkpoint), h.verifiers)
	if err != nil {
		return "", c, err
	}
	n.UnverifiedSigs = nil // what strangers wrote below it is not kept
	text, err := note.Sign(n)
	if err == nil {
		err = durable.Replace(h.path, append(text, line...))
	}
	if err != nil {
		return "", c, err
	}
	h.seen = c
	return line, c, nil
}

// continues checks a head, which its log signed, against the last one.
func (h *head) continues(r request, c receipt.Checkpoint) error {
	switch {
	case r.old != h.seen.Size:
		return &refusal{status: http.StatusConflict, size: h.seen.Size, reason: fmt.Sprintf("the old size is %d and the last head has the size %d", r.old, h.seen.Size)}
	case r.old == c.Size && h.seen.Origin != "" && c.Root != h.seen.Root:
		return &refusal{
			status: http.StatusConflict, size: h.seen.Size, grave: true,
			reason: fmt.Sprintf("the log signed two roots for the size %d: %s, and now %s", c.Size, h.seen.Root, c.Root),
		}
	case r.old == 0 || r.old == c.Size:
		if len(r.proof) > 0 {
			return refuse(http.StatusUnprocessableEntity, "from size %d to %d the proof is empty, and here it has %d hashes", r.old, c.Size, len(r.proof))
		}
		return nil
	}
	if err := receipt.VerifyConsistency(r.proof, r.old, h.seen.Root, c.Size, c.Root); err != nil {
		return &refusal{status: http.StatusUnprocessableEntity, grave: true, reason: fmt.Sprintf("nothing shows that this head continues the one of size %d and root %s: %v", h.seen.Size, h.seen.Root, err)}
	}
	return nil
}

// ReadLogs reads the verifier keys of logs: one in each line, behind the word
// log as in a policy or alone, with blank lines and lines that begin with #.
func ReadLogs(text string) ([]string, error) {
	var keys []string
	number := 0
	for line := range strings.Lines(text) {
		number++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if fields[0] == "log" {
			fields = fields[1:min(len(fields), 2)]
		}
		if len(fields) != 1 {
			return nil, fmt.Errorf("line %d: want the verifier key of a log, as checkpoints are answered with it", number)
		}
		if _, err := receipt.NewNoteVerifier(fields[0]); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		keys = append(keys, fields[0])
	}
	return keys, nil
}
