package receipt

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ExportVersion is the version of the export format.
const ExportVersion = 1

// maxLine bounds a line of an export, in bytes.
const maxLine = 2 << 20

// ExportHead is the first line of an export, {"export":{…}}.
type ExportHead struct {
	Version int    `json:"version"` // ExportVersion; 0 is taken for it when writing
	Org     string `json:"org"`
	From    int64  `json:"from"` // log index of the first receipt
	// Tree is the tree of the From receipts before the first: an export that
	// does not begin at 0 can still be checked up to the root.
	Tree Tree        `json:"tree"`
	Keys []PublicKey `json:"keys"` // a convenience, believed only where nothing is pinned
}

type headLine struct {
	Export ExportHead `json:"export"`
}

type checkpointLine struct {
	Checkpoint string `json:"checkpoint"` // the signed note
	Size       int64  `json:"size"`       // of the log with the last receipt of the export
}

// ExportWriter writes an export:
//
//	{"export":{"version":1,"org":"…","from":0,"tree":"0","keys":[…]}}
//	{"log_index":0,"receipt":{…}}
//	…
//	{"checkpoint":"…","size":…}
//
// Each line is one Write. It refuses what would not verify for its form: an
// index out of order, a checkpoint of another size. It does not look into the
// receipts. After an error every call returns the same error.
type ExportWriter struct {
	w    io.Writer
	head ExportHead
	next int64
	buf  []byte
	err  error
	// stage is 0 before the head is written, 1 after it, 2 when closed.
	stage int
}

// NewExportWriter returns a writer of an export. The head is written with the
// first receipt, or on Close.
func NewExportWriter(w io.Writer, head ExportHead) *ExportWriter {
	if head.Version == 0 {
		head.Version = ExportVersion
	}
	e := &ExportWriter{w: w, head: head, next: head.From}
	e.err = head.check()
	return e
}

func (h ExportHead) check() error {
	switch {
	case h.Version != ExportVersion:
		return fmt.Errorf("export version %d; only %d is known", h.Version, ExportVersion)
	case h.Org == "":
		return errors.New("the export names no org")
	case h.From != h.Tree.Size():
		return fmt.Errorf("the export begins at %d and its tree has size %d", h.From, h.Tree.Size())
	}
	return nil
}

func (e *ExportWriter) begin() error {
	if e.err == nil && e.stage == 2 {
		e.err = errors.New("the export is closed")
	}
	if e.err == nil && e.stage == 0 {
		e.writeJSON(headLine{e.head})
		e.stage = 1
	}
	return e.err
}

// Receipt writes the envelope raw as the receipt at index.
func (e *ExportWriter) Receipt(index int64, raw []byte) error {
	if err := e.begin(); err != nil {
		return err
	}
	if index != e.next {
		e.err = fmt.Errorf("export: receipt %d offered where %d is next", index, e.next)
		return e.err
	}
	e.next++
	e.buf = AppendLine(e.buf[:0], index, raw)
	_, e.err = e.w.Write(e.buf)
	return e.err
}

// The texts around index and envelope of a receipt's line.
const (
	lineIndex   = `{"log_index":`
	lineReceipt = `,"receipt":`
)

// Close ends the export with the signed checkpoint of the log at exactly the
// size that the export reaches. Without it an export counts as cut off. Close
// does not close the underlying writer.
func (e *ExportWriter) Close(checkpoint string) error {
	if err := e.begin(); err != nil {
		return err
	}
	c, err := ParseCheckpoint(checkpoint)
	if err == nil && c.Size != e.next {
		err = fmt.Errorf("export: the checkpoint is of size %d and the export reaches %d", c.Size, e.next)
	}
	if e.err = err; err != nil {
		return err
	}
	e.writeJSON(checkpointLine{checkpoint, c.Size})
	e.stage = 2
	return e.err
}

func (e *ExportWriter) writeJSON(v any) {
	b, err := json.Marshal(v, jsontext.EscapeForHTML(false))
	if err != nil {
		e.err = err
		return
	}
	_, e.err = e.w.Write(append(b, '\n'))
}
