package prova

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// What was kept stays as it was until it is released, whatever is kept and
// released meanwhile, and then its memory is used again.
func TestPaper(t *testing.T) {
	p := &paper{}
	type kept struct {
		note
		want string
	}
	var live []kept
	for i := range 5000 {
		text := strings.Repeat(fmt.Sprintf("%d,", i), 1+i*7%900) // some are too large for a sheet
		live = append(live, kept{keep(p, text), text})
		if i%3 > 0 { // some stay long
			at := i * 31 % len(live)
			p.release(live[at].note)
			live = append(live[:at], live[at+1:]...)
		}
	}
	notes := map[*sheet]int{}
	for _, k := range live {
		if string(k.data) != k.want {
			t.Fatalf("kept %.40q, and it became %.40q", k.want, k.data)
		}
		notes[k.sheet]++
	}
	for s, n := range notes {
		if s != nil && s.notes != n {
			t.Errorf("a sheet counts %d notes and has %d", s.notes, n)
		}
	}
	for _, k := range live {
		p.release(k.note)
	}
	spare := len(p.spare)
	if spare == 0 || spare > maxSpare {
		t.Fatalf("%d sheets are spare", spare)
	}
	for range spare * sheetSize / 1024 {
		keep(p, strings.Repeat("x", 1024))
	}
	if len(p.spare) > 1 {
		t.Errorf("%d of %d sheets are still spare", len(p.spare), spare)
	}
}

// A recorder needs no sheet any more when nothing waits in its memory.
func TestSheetsAreReleased(t *testing.T) {
	r := NewRecorder(RecorderOptions{
		APIKey: "prv_k_s", AppID: "agent", Release: "v1", BaseURL: "http://127.0.0.1:1", SpoolDir: t.TempDir(),
		FlushInterval: time.Hour, BatchBytes: 8 << 20, Logger: slog.New(slog.DiscardHandler),
	})
	text := strings.Repeat("x", 1000)
	for range 200 {
		run := r.Start()
		run.Input(text)
		run.Input(text)
		run.Attribute("escaped", text+"\n")
		run.Attribute("tab\t", text) // refused
		run.End(nil)
	}
	filled := 200 * 4 * len(text) / sheetSize
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Close(gone); err == nil || r.Stats().Spooled != 200 {
		t.Fatalf("closed with %v: %+v", err, r.Stats())
	}
	if n := len(r.paper.spare); n < filled*3/4 || r.paper.sheet.notes > 0 {
		t.Errorf("%d of some %d sheets are spare, and %d notes are on the last", n, filled, r.paper.sheet.notes)
	}
}
