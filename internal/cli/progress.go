package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Progress says how far a long command has come: a bar redrawn in place on a
// terminal, otherwise a line now and then. It writes to stderr.
type Progress struct {
	w        io.Writer
	terminal bool
	// every is the least time between two writes.
	every time.Duration
	last  time.Time
	now   func() time.Time
	shown bool
}

// NewProgress starts a progress display.
func (e *Env) NewProgress() *Progress {
	p := &Progress{w: e.Stderr, terminal: IsTerminal(e.Stderr) && e.Getenv("TERM") != "dumb", every: 10 * time.Second, now: time.Now}
	if p.terminal {
		p.every = 100 * time.Millisecond
	}
	p.last = p.now()
	return p
}

// Show draws a share between 0 and 1 with a text beside it, if it is time to.
func (p *Progress) Show(share float64, text string) {
	now := p.now()
	if now.Sub(p.last) < p.every {
		return
	}
	p.last = now
	p.draw(share, text)
}

func (p *Progress) draw(share float64, text string) {
	if !p.terminal {
		_, _ = fmt.Fprintf(p.w, "%3.0f %%  %s\n", share*100, text)
		return
	}
	columns, _ := Size(p.w)
	bar := Bar(share, min(30, max(columns-50, 8)))
	_, _ = fmt.Fprintf(p.w, "\r\x1b[K%s", Cut(fmt.Sprintf("%s %3.0f %%  %s", bar, share*100, text), columns-1))
	p.shown = true
}

// Clear takes the bar away, so that lines can be written.
func (p *Progress) Clear() {
	if p.shown {
		_, _ = io.WriteString(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// Bar draws a share between 0 and 1 in a number of columns.
func Bar(share float64, columns int) string {
	share = min(max(share, 0), 1)
	if share != share {
		share = 0
	}
	full := int(share*float64(columns) + 1e-9)
	return strings.Repeat("█", full) + strings.Repeat("░", columns-full)
}
