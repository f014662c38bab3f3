// Package importer reads runs from files: simple lines, events as the API takes
// them, and receipts, single or exported.
//
// A file is read line by line in bounded memory. A line that cannot be read is
// an error of that line alone, with its number; nothing is guessed and nothing
// is dropped without a word.
//
//	r := importer.NewReader(file)
//	for {
//		run, err := r.Next()
//		if bad, ok := errors.AsType[*importer.LineError](err); ok {
//			report(bad.Number, bad.Err) // and go on
//			continue
//		}
//		if err == io.EOF {
//			break
//		}
//		…
//	}
package importer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/cobound/prova/api"
)

// MaxLine bounds one line, in bytes: a receipt with all that a body may hold.
const MaxLine = 2 << 20

// Run is one event of a file: a run, or an outcome that belongs to a run.
type Run struct {
	// Number is the number of its line, from 1.
	Number int
	// Event is what the line says, as it would be sent to a server.
	Event api.Event
	// EventID is the id of a receipt; empty for other lines.
	EventID string
}

// LineError is a line that cannot be read. Reading goes on behind it.
type LineError struct {
	Number int
	Err    error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Number, e.Err) }

// Unwrap returns the reason.
func (e *LineError) Unwrap() error { return e.Err }

// ErrLong is the reason of a line that is too long.
var ErrLong = fmt.Errorf("the line has more than %d bytes; is this a file with one JSON object on each line?", MaxLine)

// Reader reads runs from a file.
type Reader struct {
	in     *bufio.Reader
	number int
	read   int64
	line   []byte
	// others counts receipts of other kinds and the frame of an export.
	others int64
}

// NewReader reads from r.
func NewReader(r io.Reader) *Reader { return &Reader{in: bufio.NewReaderSize(r, 64<<10)} }

// Offset is the number of bytes that were read so far.
func (r *Reader) Offset() int64 { return r.read }

// Others is the number of lines so far that are well and hold no run: receipts
// of other kinds, first and last line of an export.
func (r *Reader) Others() int64 { return r.others }

// Next returns the next run. The error is io.EOF at the end, a *LineError for a
// line that cannot be read, or what the file's reader says.
func (r *Reader) Next() (Run, error) {
	for {
		line, err := r.next()
		if err != nil {
			return Run{}, err
		}
		if len(line) == 0 {
			continue
		}
		run, err := parse(line)
		switch {
		case errors.Is(err, errOther):
			r.others++
			continue
		case err != nil:
			return Run{}, &LineError{r.number, err}
		}
		run.Number = r.number
		return run, nil
	}
}

// next returns the next line without its end and the space around it, valid
// until the next call.
func (r *Reader) next() ([]byte, error) {
	r.line = r.line[:0]
	r.number++
	long := false
	for {
		part, err := r.in.ReadSlice('\n')
		r.read += int64(len(part))
		if len(r.line)+len(part) > MaxLine {
			long = true // and skip the rest of it
		} else {
			r.line = append(r.line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(part) == 0 && len(r.line) == 0 && !long:
			return nil, io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return nil, fmt.Errorf("line %d: %w", r.number, err)
		case long:
			return nil, &LineError{r.number, ErrLong}
		}
		break
	}
	line := r.line
	if r.number == 1 {
		line = bytes.TrimPrefix(line, []byte("\xEF\xBB\xBF"))
	}
	return bytes.Trim(line, " \t\r\n"), nil
}
