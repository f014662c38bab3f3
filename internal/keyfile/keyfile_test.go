package keyfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cobound/prova/internal/keyfile"
)

func TestKeysStay(t *testing.T) {
	dir := t.TempDir()
	first, err := keyfile.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if first.Receipt.Equal(first.Checkpoint) {
		t.Error("one key for both purposes")
	}
	again, err := keyfile.Load(dir)
	if err != nil || !again.Receipt.Equal(first.Receipt) || !again.Checkpoint.Equal(first.Checkpoint) {
		t.Errorf("other keys at the second start: %v", err)
	}
	for _, name := range []string{keyfile.ReceiptKey, keyfile.CheckpointKey} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}

func TestRefusedKeys(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(path, other string) error
		says  string
	}{
		"may be read by others": {func(path, _ string) error { return os.Chmod(path, 0o640) }, "chmod 600"},
		"is not a key":          {func(path, _ string) error { return os.WriteFile(path, []byte("hello"), 0o600) }, "restore it"},
		"is empty":              {func(path, _ string) error { return os.WriteFile(path, nil, 0o600) }, "restore it"},
		"is the other key": {func(path, other string) error {
			data, err := os.ReadFile(other)
			if err != nil {
				return err
			}
			return os.WriteFile(path, data, 0o600)
		}, "the same key"},
	} {
		dir := t.TempDir()
		if _, err := keyfile.Load(dir); err != nil {
			t.Fatal(err)
		}
		if err := c.spoil(filepath.Join(dir, keyfile.ReceiptKey), filepath.Join(dir, keyfile.CheckpointKey)); err != nil {
			t.Fatal(err)
		}
		if _, err := keyfile.Load(dir); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("a file that %s: %v", name, err)
		}
	}
}

func TestSecretsAreNeverOverwritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "owner-key")
	if err := keyfile.WriteSecret(path, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := keyfile.WriteSecret(path, []byte("two")); err == nil {
		t.Error("overwritten")
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "one" {
		t.Errorf("%q, %v", data, err)
	}
}
