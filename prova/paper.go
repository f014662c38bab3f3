package prova

import "sync"

// sheetSize is how much a sheet holds, in bytes. What takes more than a
// quarter has memory of its own.
const sheetSize = 16 << 10

// maxSpare is how many sheets are kept for later: a megabyte.
const maxSpare = 1 << 20 / sheetSize

// paper is memory that is used again and again for what waits a short while:
// an agent is not to wait until the system has found some, nor to collect it.
type paper struct {
	mu    sync.Mutex
	sheet *sheet   // the one that is written on, nil at first
	spare []*sheet // empty ones
}

// sheet is a piece of memory that is filled once and empty when nothing on it is needed any more.
type sheet struct {
	data  []byte
	notes int // that are needed
}

// note is something on a sheet; the zero note is empty. It does not change until it is released.
type note struct {
	data  []byte
	sheet *sheet // nil if it has memory of its own
}

// keep copies what is given.
func keep[T string | []byte](p *paper, given T) note {
	if len(given) > sheetSize/4 {
		return note{data: append([]byte(nil), given...)}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sheet == nil || len(given) > cap(p.sheet.data)-len(p.sheet.data) {
		p.turn()
	}
	s := p.sheet
	start := len(s.data)
	s.data = append(s.data, given...)
	s.notes++
	return note{data: s.data[start:len(s.data):len(s.data)], sheet: s}
}

// turn takes an empty sheet.
func (p *paper) turn() {
	if last := len(p.spare) - 1; last >= 0 {
		p.sheet, p.spare = p.spare[last], p.spare[:last]
	} else {
		p.sheet = &sheet{data: make([]byte, 0, sheetSize)}
	}
}

// release says that a note is not needed any more. A note that is never
// released costs no more than its sheet.
func (p *paper) release(n note) {
	s := n.sheet
	if s == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.notes--; s.notes > 0 {
		return
	}
	s.data = s.data[:0]
	if s != p.sheet && len(p.spare) < maxSpare {
		p.spare = append(p.spare, s)
	}
}
