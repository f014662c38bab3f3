package receipt

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestExport(t *testing.T) {
	l := newLog(t, 6)
	var b strings.Builder
	w := NewExportWriter(&b, l.head)
	for _, line := range l.lines {
		if err := w.Receipt(line.index, line.raw); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(l.checkpoint(t)); err != nil {
		t.Fatal(err)
	}
	if b.String() != l.export(t, l.checkpoint(t)) {
		t.Errorf("%s", b.String())
	}
	var seen []int64
	r := VerifyExport(strings.NewReader(b.String()), l.trust(t), func(n int64) { seen = append(seen, n) })
	wantReport(t, r, Verified)
	if r.Receipts != 6 || r.Size != 6 || r.From != 0 || r.Org != "default" || !r.KeysPinned || !slices.Equal(seen, []int64{6}) {
		t.Errorf("%+v, progress %v", r, seen)
	}
	for _, c := range r.Checks {
		if c.Status != OK || c.Detail == "" {
			t.Errorf("%+v", c)
		}
	}
	// One byte at a time, and without the last line end, it is the same export.
	again := verifyExport(iotest.OneByteReader(strings.NewReader(strings.TrimSuffix(b.String(), "\n"))), l.trust(t))
	wantReport(t, again, Verified)

	unpinned := verifyExport(strings.NewReader(b.String()), Trust{})
	wantReport(t, unpinned, Verified)
	if unpinned.KeysPinned || !slices.ContainsFunc(unpinned.Checks, func(c Check) bool {
		return c.Check == CheckTrust && strings.Contains(c.Detail, "agrees with itself")
	}) {
		t.Errorf("does not say that its keys come from the file: %+v", unpinned)
	}
}

// A receipt that fills more than the reader's buffer is read like any other.
func TestExportLongLine(t *testing.T) {
	l := newLog(t, 2)
	l.append(t, fields{"note": strings.Repeat("x", 300<<10)})
	l.append(t, nil)
	wantReport(t, verifyExport(strings.NewReader(l.export(t, l.checkpoint(t))), l.trust(t)), Verified)
}

func TestExportFromTheMiddle(t *testing.T) {
	l := newLog(t, 5)
	l.head.From, l.head.Tree = 5, l.tree
	l.lines = nil
	for range 6 {
		l.append(t, nil)
	}
	wantReport(t, verifyExport(strings.NewReader(l.export(t, l.checkpoint(t))), l.trust(t)), Verified)
	l.head.Tree.roots = slices.Clone(l.head.Tree.roots)
	l.head.Tree.roots[1][3] ^= 1
	wantReport(t, verifyExport(strings.NewReader(l.export(t, l.checkpoint(t))), l.trust(t)), Failed, CheckRoot)
}

func TestExportUndetermined(t *testing.T) {
	l := newLog(t, 3)
	good := l.export(t, l.checkpoint(t))
	lines := strings.SplitAfter(good, "\n")
	empty := newLog(t, 3)
	empty.lines, empty.head.From, empty.head.Tree = nil, 3, l.tree
	onlyReceipts, onlyCheckpoint := l.trust(t), l.trust(t)
	onlyReceipts.Checkpoint, onlyCheckpoint.Receipt = nil, nil
	noKeys := *l
	noKeys.head.Keys = nil
	for _, c := range []struct {
		name  string
		in    io.Reader
		trust Trust
		want  string
		check CheckName
	}{
		{"no checkpoint", strings.NewReader(strings.Join(lines[:4], "")), l.trust(t), Undetermined, CheckCompleteness},
		{"only the head", strings.NewReader(lines[0]), l.trust(t), Undetermined, CheckReceipts},
		{"no receipt", strings.NewReader(empty.export(t, l.checkpoint(t))), l.trust(t), Undetermined, CheckReceipts},
		{"no checkpoint key", strings.NewReader(good), onlyReceipts, Undetermined, CheckCheckpoint},
		{"no receipt key", strings.NewReader(good), onlyCheckpoint, Undetermined, CheckKnownKey},
		{"no keys at all", strings.NewReader(noKeys.export(t, l.checkpoint(t))), Trust{}, Undetermined, CheckKnownKey},
		{"reading fails", io.MultiReader(strings.NewReader(lines[0]), iotest.ErrReader(errors.New("disk"))), l.trust(t), Undetermined, CheckLine},
		{"nothing", strings.NewReader(""), l.trust(t), Malformed, CheckHead},
		{"not an export", strings.NewReader("{}\n"), l.trust(t), Malformed, CheckHead},
		{"HTML", strings.NewReader("<html>\n"), l.trust(t), Malformed, CheckHead},
		{"cut within a receipt", strings.NewReader(good[:len(lines[0])+40]), l.trust(t), Malformed, CheckLine},
		{"cut within the checkpoint", strings.NewReader(good[:len(good)-20]), l.trust(t), Malformed, CheckLine},
		{"data behind", strings.NewReader(good + "{}\n"), l.trust(t), Malformed, CheckLine},
		{"empty line", strings.NewReader(lines[0] + "\n" + lines[1]), l.trust(t), Malformed, CheckLine},
		{"long line", strings.NewReader(lines[0] + strings.Repeat("x", maxLine+1)), l.trust(t), Malformed, CheckLine},
		{"CRLF", strings.NewReader(strings.ReplaceAll(good, "\n", "\r\n")), l.trust(t), Malformed, CheckHead},
		{"unknown member in the head", strings.NewReader(strings.Replace(good, `{"export":{`, `{"export":{"x":1,`, 1)), l.trust(t), Malformed, CheckHead},
		{"other version", strings.NewReader(strings.Replace(good, `"version":1`, `"version":2`, 1)), l.trust(t), Malformed, CheckHead},
		{"receipt without its head", strings.NewReader(strings.Join(lines[1:], "")), l.trust(t), Malformed, CheckHead},
	} {
		t.Run(c.name, func(t *testing.T) { wantReport(t, verifyExport(c.in, c.trust), c.want, c.check) })
	}
}

// Every change of every byte of an export is found.
func TestEveryByteOfAnExport(t *testing.T) {
	l := newLog(t, 2)
	good := []byte(l.export(t, l.checkpoint(t)))
	trust := l.trust(t)
	for i, old := range good {
		for _, c := range []byte{old ^ 1, old ^ 0x20, '\n'} {
			if c == old {
				continue
			}
			good[i] = c
			if r := VerifyExport(strings.NewReader(string(good)), trust, nil); r.Result != Failed && r.Result != Malformed && r.Result != Undetermined {
				t.Fatalf("byte %d changed from %q to %q: %s", i, old, c, r.Result)
			}
		}
		good[i] = old
	}
}

// More receipts than a batch, all bad: the report stays small and says how much
// it left out, and what follows is still looked at.
func TestExportManyFailures(t *testing.T) {
	l := newLog(t, 0)
	one := seal(t, l.signer, fields{"org": "other"})
	for i := range int64(2 * batchLines) {
		l.lines = append(l.lines, testLine{i, one.Raw})
		l.tree = l.tree.Append(one.LeafHash)
	}
	r := verifyExport(strings.NewReader(l.export(t, l.checkpoint(t))), l.trust(t))
	wantReport(t, r, Failed, CheckOrg, CheckUniqueEvents)
	if len(r.Checks) > maxFailures+20 || r.Omitted == 0 || r.Receipts != 2*batchLines || statusOf(r, CheckRoot) != OK {
		t.Errorf("%d checks, %d omitted, %d receipts", len(r.Checks), r.Omitted, r.Receipts)
	}
}

func TestRecentIDs(t *testing.T) {
	var s recentIDs
	for i := range 2*recentWindow + 10 {
		if s.again(fmt.Sprintf("evt_%d", i)) {
			t.Fatalf("%d is new", i)
		}
	}
	if !s.again(fmt.Sprintf("evt_%d", recentWindow+10)) {
		t.Error("a repetition within the window is missed")
	}
}

func TestExportWriterRefuses(t *testing.T) {
	l := newLog(t, 2)
	for _, head := range []ExportHead{{}, {Org: "a", From: 1}, {Org: "a", Version: 2}, {Org: "a", Tree: l.tree}} {
		if NewExportWriter(io.Discard, head).Close(l.checkpoint(t)) == nil {
			t.Errorf("%+v", head)
		}
	}
	w := NewExportWriter(io.Discard, l.head)
	if w.Receipt(1, l.lines[1].raw) == nil || w.Receipt(0, l.lines[0].raw) == nil {
		t.Error("index out of order")
	}
	w = NewExportWriter(io.Discard, l.head)
	if err := w.Receipt(0, l.lines[0].raw); err != nil {
		t.Fatal(err)
	}
	if w.Close(l.checkpoint(t)) == nil {
		t.Error("checkpoint of another size")
	}
	l = newLog(t, 1)
	w = NewExportWriter(io.Discard, l.head)
	if err := errors.Join(w.Receipt(0, l.lines[0].raw), w.Close(l.checkpoint(t))); err != nil {
		t.Fatal(err)
	}
	if w.Close(l.checkpoint(t)) == nil || w.Receipt(1, nil) == nil {
		t.Error("written to after Close")
	}
}

func TestVerifyReceipt(t *testing.T) {
	l := newLog(t, 1)
	raw := l.lines[0].raw
	r := verifyReceipt(append(clone(raw), '\n'), l.trust(t))
	wantReport(t, r, Verified)
	b, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(b), `"result":"verified"`) {
		t.Errorf("%s %v", b, err)
	}
	wantReport(t, verifyReceipt(raw, Trust{}), Undetermined, CheckTrust)
	wantReport(t, verifyReceipt([]byte("hello"), l.trust(t)), Malformed, CheckEnvelope)
	wantReport(t, verifyReceipt([]byte("{}"), Trust{}), Malformed, CheckEnvelope)
	other, err := NewKeySet(newSigner(t, "other").Public())
	if err != nil {
		t.Fatal(err)
	}
	wantReport(t, verifyReceipt(raw, Trust{Receipt: other}), Failed, CheckKnownKey)
}

// Memory does not grow with the export.
func TestExportMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a few seconds")
	}
	l := newLog(t, 1)
	const n = 20000
	pr, pw := io.Pipe()
	go func() {
		w := NewExportWriter(pw, l.head)
		for i := range int64(n) {
			if w.Receipt(i, l.lines[0].raw) != nil {
				return
			}
		}
		pw.Close()
	}()
	var most uint64
	r := VerifyExport(pr, l.trust(t), func(int64) {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc)
	})
	if r.Receipts != n || most > 24<<20 {
		t.Errorf("%d receipts of %d bytes took %d bytes of memory", r.Receipts, len(l.lines[0].raw), most)
	}
}

// That nothing failed is not enough: what was required must have been done.
func TestReportOfNothing(t *testing.T) {
	if r := newReport(true).finish(CheckSignature); r.Result != Undetermined {
		t.Error(r.Result)
	}
}
