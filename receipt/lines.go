package receipt

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
)

// A batch is what is read before it is verified on all processors.
const (
	batchLines = 512
	batchBytes = 4 << 20
)

// exportLine is a receipt's line and what verifying it alone shows.
type exportLine struct {
	start, end int // in the batch

	ok        bool // of the right form
	index     int64
	receipt   Receipt
	parseErr  error
	verifyErr error
}

// lineReader reads lines of bounded length.
type lineReader struct {
	in   *bufio.Reader
	long []byte // a line that does not fit into in's buffer
}

func newLineReader(r io.Reader) *lineReader { return &lineReader{in: bufio.NewReaderSize(r, 64<<10)} }

var errLongLine = fmt.Errorf("a line is longer than %d bytes", maxLine)

// next returns the next line without its end, valid until the next call. The
// error is io.EOF at the end, errLongLine, or that of the reader.
func (r *lineReader) next() ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		r.long = append(r.long[:0], line...)
		for errors.Is(err, bufio.ErrBufferFull) && len(r.long) <= maxLine {
			line, err = r.in.ReadSlice('\n')
			r.long = append(r.long, line...)
		}
		line = r.long
	}
	switch {
	case len(line) > maxLine:
		return nil, errLongLine
	case err == nil:
		return line[:len(line)-1], nil
	case errors.Is(err, io.EOF) && len(line) > 0:
		// A whole last line without its end is a whole line; a cut one will not parse.
		return line, nil
	}
	return nil, err
}

// splitLine takes the line of a receipt apart.
func splitLine(line []byte) (index int64, raw []byte, ok bool) {
	rest, ok1 := bytes.CutPrefix(line, []byte(lineIndex))
	rest, ok2 := bytes.CutSuffix(rest, []byte("}"))
	number, raw, ok3 := bytes.Cut(rest, []byte(lineReceipt))
	index, ok4 := parseSize(string(number))
	return index, raw, ok1 && ok2 && ok3 && ok4
}

// readReceipts reads and verifies the receipts and hands each to take, in
// order. It stops before a line that is none, which it keeps in v.last.
func (v *logVerifier) readReceipts(take func(*exportLine), progress func(done int64)) {
	var text []byte
	lines := make([]exportLine, 0, batchLines)
	for more := true; more; {
		text, lines = text[:0], lines[:0]
		for more && len(lines) < batchLines && len(text) < batchBytes {
			var line []byte
			if line, more = v.readLine(); !more {
				break
			}
			if !bytes.HasPrefix(line, []byte(lineIndex)) {
				v.last, more = bytes.Clone(line), false
				break
			}
			start := len(text)
			text = append(text, line...)
			lines = append(lines, exportLine{start: start, end: len(text)})
		}
		verifyLines(text, lines, candidates(text, lines, v.spans.set()))
		for i := range lines {
			take(&lines[i])
		}
		if progress != nil && len(lines) > 0 {
			progress(v.Receipts)
		}
	}
}

// candidates are the trusted keys and those that a key event among the lines
// describes: a line behind the event may be signed by its key. Whether such a
// key is trusted shows when the lines are taken in order.
func candidates(text []byte, lines []exportLine, trusted KeySet) KeySet {
	for _, l := range lines {
		line := text[l.start:l.end]
		if !bytes.Contains(line, []byte(`"kind":"`+kindKeyEvent+`"`)) {
			continue
		}
		_, raw, ok := splitLine(line)
		if !ok {
			continue
		}
		r, _, err := parse(raw)
		if err != nil || r.Kind != kindKeyEvent {
			continue
		}
		if e, pub, err := parseKeyEvent(r.Body); err == nil && e.Key.Purpose == PurposeReceipt {
			trusted[e.Key.KeyID] = pub
		}
	}
	return trusted
}

// verifyLines fills in lines. Each is verified alone, so in any order.
func verifyLines(text []byte, lines []exportLine, keys Keys) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(lines)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(lines)); i = next.Add(1) - 1 {
				lines[i].verify(text[lines[i].start:lines[i].end], keys)
			}
		})
	}
	workers.Wait()
}

func (l *exportLine) verify(line []byte, keys Keys) {
	var raw []byte
	if l.index, raw, l.ok = splitLine(line); !l.ok {
		return
	}
	var pae []byte
	if l.receipt, pae, l.parseErr = parse(raw); l.parseErr == nil {
		l.verifyErr = verify(l.receipt, pae, keys)
	}
}

// recentWindow is how many event ids in a row are surely compared with one
// another. All of a long log would not fit in memory; a repetition farther
// apart shows only to who keeps an index by event id.
const recentWindow = 1 << 20

// recentIDs remembers the last recentWindow event ids and up to as many before
// them, by a 64-bit fingerprint: it raises a false alarm in fewer than one of
// ten million exports of a million receipts.
type recentIDs struct {
	young, old map[uint64]struct{}
}

func (s *recentIDs) again(eventID string) bool {
	sum := sha256.Sum256([]byte(eventID))
	id := binary.BigEndian.Uint64(sum[:])
	_, young := s.young[id]
	_, old := s.old[id]
	if s.young == nil || len(s.young) >= recentWindow {
		s.young, s.old = map[uint64]struct{}{}, s.young
	}
	s.young[id] = struct{}{}
	return young || old
}
