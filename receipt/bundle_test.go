package receipt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"
)

func scopes() map[string]Scope {
	return map[string]Scope{
		"rollout": rolloutScope, "receipt": {Receipt: "evt_0008"}, "key event": {Receipt: "evt_0001"},
		"range": rangeScope(3, 9), "tail": rangeScope(5, 12), "all": rangeScope(0, 12), "one": rangeScope(11, 12),
	}
}

func TestBundle(t *testing.T) {
	for name, scope := range scopes() {
		t.Run(name, func(t *testing.T) {
			l := storyLog(t)
			b := bundleOf(t, l, scope)
			r := b.both(t, l.trust(t))
			wantReport(t, r, Verified)
			if !r.KeysPinned || r.Size != 12 || r.Org != "default" || r.Scope != scope.String() || r.Receipts != int64(len(b.receipts)) {
				t.Errorf("%+v", r)
			}
			for _, c := range r.Checks {
				if c.Status != OK || c.Detail == "" {
					t.Errorf("%+v", c)
				}
			}
			for _, want := range []CheckName{CheckFiles, CheckManifest, CheckDigest, CheckCheckpoint, CheckInclusion, CheckRoot, CheckScope, CheckCounts, CheckKeySpan, CheckCompleteness} {
				if statusOf(r, want) != OK {
					t.Errorf("%s was not made", want)
				}
			}
			unpinned := b.both(t, Trust{})
			wantReport(t, unpinned, Verified)
			if unpinned.KeysPinned {
				t.Error("passes for pinned")
			}
		})
	}
}

// What the bundle is complete in is said in words.
func TestBundleCompleteness(t *testing.T) {
	open := storyLog(t)
	open.lines = open.lines[:8]
	open.tree = Tree{}.Append(open.leafHashes(t)...)
	for want, b := range map[string]*testBundle{
		"all 3 receipts of rollout rol_01 among the first 12 of the log: the last one ended it": bundleOf(t, storyLog(t), rolloutScope),
		"all 2 receipts of rollout rol_01 among the first 8 of the log: it was open then":       bundleOf(t, open, rolloutScope),
		"the whole index range: every receipt of the log from index 3 to 8; 3 more were logged": bundleOf(t, storyLog(t), rangeScope(3, 9)),
		"from index 0 to 11; which was the end of the log":                                      bundleOf(t, storyLog(t), rangeScope(0, 12)),
		"nothing is shown about other receipts":                                                 bundleOf(t, storyLog(t), Scope{Receipt: "evt_0005"}),
	} {
		r := b.both(t, b.log.trust(t))
		wantReport(t, r, Verified)
		if !slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Check == CheckCompleteness && strings.Contains(c.Detail, want) }) {
			t.Errorf("does not say %q: %+v", want, r.Checks)
		}
	}
}

// A redacted field leaves a bundle as good as it was, and the report says so.
func TestBundleRedaction(t *testing.T) {
	b := bundleOf(t, storyLog(t), rolloutScope)
	b.manifest.Redactions = []Redaction{{"evt_0007", "input"}}
	b.seal(t)
	r := b.both(t, b.log.trust(t))
	wantReport(t, r, Verified)
	if statusOf(r, CheckRedactions) != OK {
		t.Errorf("%+v", r.Checks)
	}
}

func TestBundleHeads(t *testing.T) {
	l := storyLog(t)
	trust := l.trust(t)
	at := func(n int) Checkpoint {
		return Checkpoint{testOrigin, int64(n), Tree{}.Append(l.leafHashes(t)[:n]...).Root()}
	}
	for n, want := range map[int]string{12: Verified, 7: Verified, 2: Verified, 1: Undetermined} {
		trust.Heads = []Checkpoint{at(n)}
		r := bundleOf(t, l, rolloutScope).both(t, trust)
		wantReport(t, r, want)
		if got := statusOf(r, CheckConsistency); got != map[string]string{Verified: OK, Undetermined: Undetermined}[want] {
			t.Errorf("head of size %d: consistency %s", n, got)
		}
	}
	for n, want := range map[int]string{12: Verified, 7: Undetermined} {
		trust.Heads = []Checkpoint{at(n)}
		wantReport(t, bundleOf(t, l, Scope{Receipt: "evt_0003"}).both(t, trust), want)
	}
}

func TestBundleUndetermined(t *testing.T) {
	b := bundleOf(t, storyLog(t), rolloutScope)
	onlyReceipts, onlyCheckpoint := b.log.trust(t), b.log.trust(t)
	onlyReceipts.Checkpoint, onlyCheckpoint.Receipt = nil, nil
	wantReport(t, b.both(t, onlyReceipts), Undetermined, CheckCheckpoint)
	wantReport(t, b.both(t, onlyCheckpoint), Undetermined, CheckKnownKey, CheckManifest)

	bare := newLog(t, 4)
	r := bundleOf(t, bare, rangeScope(0, 4)).both(t, bare.trust(t))
	wantReport(t, r, Undetermined, CheckKeySpan)

	for _, name := range append(b.names(), FileManifest) {
		r = OpenBundleDir(failing{b.dir(), name, 0}).Verify(b.log.trust(t), nil)
		wantReport(t, r, Undetermined, CheckLine)
		r = OpenBundleDir(failing{b.dir(), name, 40}).Verify(b.log.trust(t), nil)
		wantReport(t, r, Undetermined, CheckLine)
	}
}

// failing is a directory of which one file cannot be read beyond some bytes.
type failing struct {
	fstest.MapFS
	name string
	at   int64
}

func (f failing) Open(name string) (fs.File, error) {
	file, err := f.MapFS.Open(name)
	if name == f.name && f.at == 0 {
		return nil, errors.New("disk")
	}
	if name == f.name {
		return failingFile{file, io.MultiReader(io.LimitReader(file, f.at), iotest.ErrReader(errors.New("disk")))}, err
	}
	return file, err
}

type failingFile struct {
	fs.File
	r io.Reader
}

func (f failingFile) Read(p []byte) (int, error) { return f.r.Read(p) }

func TestBundleWriter(t *testing.T) {
	b := bundleOf(t, storyLog(t), rolloutScope)
	write := func(w *BundleWriter) error {
		for _, name := range b.names() {
			if err := w.Write(name, b.files[name]); err != nil {
				return err
			}
		}
		return w.Close()
	}
	var out bytes.Buffer
	w, err := NewBundleWriter(&out, b.raw)
	if err == nil {
		err = write(w)
	}
	if err != nil || !bytes.Equal(out.Bytes(), b.tar(t)) {
		t.Errorf("%v: %d bytes, want %d", err, out.Len(), len(b.tar(t)))
	}
	for _, spoil := range []func(){
		func() { b.files[FileReadme] = append(clone(BundleReadme()), '!') },
		func() { b.files[FileReadme] = bytes.ToUpper(BundleReadme()) },
		func() { b.files[FileReadme] = BundleReadme()[1:] },
		func() { delete(b.files, FileReceipts) },
		func() { b.files["proofs/evt_0000"+proofSuffix] = nil },
	} {
		b = bundleOf(t, storyLog(t), rolloutScope)
		spoil()
		w, err := NewBundleWriter(io.Discard, b.raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := write(w); err == nil || w.Close() == nil || w.Write(FileReceipts, nil) == nil {
			t.Errorf("%v", err)
		}
	}
	if _, err := NewBundleWriter(io.Discard, b.log.lines[2].raw); err == nil {
		t.Error("a run passes for a manifest")
	}
}

func TestBundleReceipts(t *testing.T) {
	b := bundleOf(t, storyLog(t), rolloutScope)
	in := OpenBundleDir(b.dir())
	var got []int64
	err := in.Receipts(func(index int64, r Receipt) error {
		got = append(got, index)
		if want := fmt.Sprintf("evt_%04d", index); r.EventID != want {
			t.Errorf("%s at %d", r.EventID, index)
		}
		return nil
	})
	if err != nil || !slices.Equal(got, []int64{0, 1, 2, 3, 5, 6, 7, 8}) {
		t.Errorf("%v %v", got, err)
	}
	stop := errors.New("stop")
	if err := in.Receipts(func(int64, Receipt) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	if m, err := in.Manifest(); err != nil || m.Scope.Rollout != testRollout {
		t.Errorf("%+v %v", m, err)
	}
}

func TestScope(t *testing.T) {
	for _, s := range []Scope{
		{},
		{Receipt: "x"},
		{Receipt: "evt_1", Rollout: "r"},
		{From: ptr(int64(1))},
		rangeScope(3, 3), rangeScope(-1, 3),
		{Rollout: strings.Repeat("r", 200)},
		{Rollout: "r", To: ptr(int64(1))},
	} {
		if s.Check() == nil {
			t.Errorf("%+v", s)
		}
	}
}
