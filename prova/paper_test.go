package prova

import (
	"fmt"
	"strings"
	"testing"
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
