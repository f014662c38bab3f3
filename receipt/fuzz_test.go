package receipt

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// addCorpus adds what earlier fuzzing found worth keeping: a line for each
// input, as the go command writes it.
func addCorpus(f *testing.F) {
	f.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "corpus", f.Name()+".txt"))
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		quoted := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "[]byte("), ")")
		input, err := strconv.Unquote(quoted)
		if err != nil {
			f.Fatalf("%s: %v", line, err)
		}
		f.Add([]byte(input))
	}
}

// No bytes that differ from the golden bundle verify with its keys.
func FuzzBundleTar(f *testing.F) {
	good, trust := readGolden(f)
	f.Add(good)
	f.Add(good[:2*tarBlock])
	f.Add(append(clone(good), good...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r := verifyTar(data, trust); r.Result == Verified && !bytes.Equal(data, good) {
			t.Errorf("verified: %d bytes", len(data))
		}
	})
}

// A manifest that is taken is within its bounds, whoever signed it, and what it
// describes can be asked for without a panic.
func FuzzManifest(f *testing.F) {
	s := newSigner(f, "receipts")
	for _, scope := range scopes() {
		m, err := json.Marshal(bundleOf(f, storyLog(f), scope).manifest)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, member []byte) {
		body := bodyOf(s, fields{"kind": KindExport, "manifest": 0})
		sealed, err := s.Seal(bytes.Replace(body, []byte(`"manifest":0`), append([]byte(`"manifest":`), member...), 1))
		if err != nil {
			return
		}
		m, _, err := ParseManifest(sealed.Raw)
		if err != nil {
			return
		}
		for _, file := range m.Files {
			if limit, ok := limitOf(file.Name); !ok || file.Size > limit || file.Size < 0 {
				t.Errorf("%+v", file)
			}
		}
		if m.Check() != nil || m.Scope.Check() != nil {
			t.Errorf("%+v", m)
		}
		b := &testBundle{log: &testLog{signer: s}, manifest: m, raw: sealed.Raw, files: map[string][]byte{}}
		for _, file := range m.Files {
			b.files[file.Name] = make([]byte, min(file.Size, 1<<10))
		}
		if r := OpenBundleDir(b.dir()).Verify(Trust{}, nil); r.Result == Verified {
			t.Errorf("verified: %+v", r)
		}
	})
}
