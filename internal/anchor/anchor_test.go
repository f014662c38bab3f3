package anchor_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cobound/prova/internal/anchor"
	"github.com/cobound/prova/internal/authority"
)

func TestFile(t *testing.T) {
	dir := t.TempDir()
	f := anchor.In(dir)
	if heads, err := f.Load(); err != nil || len(heads) != 0 {
		t.Fatalf("before the first: %v, %v", heads, err)
	}
	want := map[string]authority.LogHead{}
	for i, id := range []string{"a", "b", "c"} {
		want[id] = authority.LogHead{Size: int64(i) + 1, Root: [32]byte{byte(i)}}
		if err := f.Save(want); err != nil {
			t.Fatal(err)
		}
		got, err := anchor.In(dir).Load()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	hidden, err2 := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || err2 != nil || len(files) != 1 || len(hidden) != 0 {
		t.Errorf("left behind: %v %v", files, hidden)
	}
	if err := anchor.In(filepath.Join(dir, "absent")).Save(want); err == nil {
		t.Error("saved in a directory that is not there")
	}
}

// A file that says nothing must not pass for one that remembers nothing.
func TestDamagedFile(t *testing.T) {
	good := `{"logs":{"a":{"size":1,"root_hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}}`
	for name, text := range map[string]string{
		"empty": "", "cut": good[:len(good)-2], "no logs": "{}", "null": "null", "short root": strings.Replace(good, "AAAA", "", 1),
		"size 0": strings.Replace(good, `"size":1`, `"size":0`, 1), "negative": strings.Replace(good, `"size":1`, `"size":-1`, 1),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, anchor.Name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if heads, err := anchor.In(dir).Load(); err == nil {
			t.Errorf("%s: read as %v", name, heads)
		}
	}
}
