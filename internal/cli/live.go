package cli

import (
	"fmt"
	"io"
	"strings"
)

// Live redraws a frame in place on a terminal and leaves the last one behind.
type Live struct {
	w     io.Writer
	lines int
	// hidden: the cursor was hidden and has to come back.
	hidden bool
}

// NewLive returns a live view on a terminal.
func NewLive(w io.Writer) *Live { return &Live{w: w} }

// Draw replaces the frame that was drawn before. What does not fit on the
// screen is cut before the last line, because the cursor cannot go back above
// the top.
func (l *Live) Draw(frame string) {
	_, height := Size(l.w)
	lines := strings.Split(strings.TrimRight(frame, "\n"), "\n")
	if most := height - 1; len(lines) > most && most > 2 {
		lines = append(lines[:most-2], "…", lines[len(lines)-1])
	}
	l.write(lines)
}

// Finish draws the last frame whole and gives the cursor back.
func (l *Live) Finish(frame string) {
	if frame != "" {
		l.write(strings.Split(strings.TrimRight(frame, "\n"), "\n"))
	}
	if l.hidden {
		_, _ = io.WriteString(l.w, "\x1b[?25h")
		l.hidden = false
	}
	l.lines = 0
}

func (l *Live) write(lines []string) {
	columns, _ := Size(l.w)
	var b strings.Builder
	b.WriteString("\x1b[?2026h\x1b[?25l") // one update, no cursor in it
	l.hidden = true
	if l.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", l.lines)
	}
	b.WriteString("\r")
	for _, line := range lines {
		b.WriteString(Cut(line, columns-1) + "\x1b[K\n")
	}
	b.WriteString("\x1b[J\x1b[?2026l")
	l.lines = len(lines)
	_, _ = io.WriteString(l.w, b.String())
}
