package keyfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cobound/prova/internal/keyfile"
)

func TestKeysStay(t *testing.T) {
	dir := t.TempDir()
	first, err := keyfile.Dir{Path: dir}.Load()
	if err != nil {
		t.Fatal(err)
	}
	if first.Receipt.Equal(first.Checkpoint) {
		t.Error("one key for both purposes")
	}
	again, err := keyfile.Dir{Path: dir}.Load()
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
		if _, err := (keyfile.Dir{Path: dir}).Load(); err != nil {
			t.Fatal(err)
		}
		if err := c.spoil(filepath.Join(dir, keyfile.ReceiptKey), filepath.Join(dir, keyfile.CheckpointKey)); err != nil {
			t.Fatal(err)
		}
		if _, err := (keyfile.Dir{Path: dir}).Load(); err == nil || !strings.Contains(err.Error(), c.says) {
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

func TestEncryptedKeys(t *testing.T) {
	dir := t.TempDir()
	plain := keyfile.Dir{Path: dir}
	first, err := plain.Load()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Create(); err != nil {
		t.Fatal(err)
	}
	sealed := keyfile.Dir{Path: dir, Passphrase: []byte("correct horse")}
	if _, err := sealed.Load(); err == nil || !strings.Contains(err.Error(), "prova keys encrypt") {
		t.Errorf("a file that is not encrypted, with a passphrase: %v", err)
	}
	if names, err := sealed.Encrypt(); err != nil || len(names) != 3 {
		t.Fatalf("%v, %v", names, err)
	}
	if names, err := sealed.Encrypt(); err != nil || len(names) != 0 {
		t.Errorf("a second time: %v, %v", names, err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Errorf("%v, %v", files, err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil || !strings.HasPrefix(string(data), "-----BEGIN PROVA ENCRYPTED PRIVATE KEY-----") {
			t.Errorf("%s: %s, %v", f.Name(), data, err)
		}
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
	again, err := sealed.Load()
	if err != nil || !again.Receipt.Equal(first.Receipt) || !again.Checkpoint.Equal(first.Checkpoint) {
		t.Errorf("other keys: %v", err)
	}
	if _, err := sealed.Create(); err != nil { // encrypted, too
		t.Fatal(err)
	}
	if signers, err := sealed.Signers(); err != nil || len(signers) != 3 {
		t.Errorf("%d signers, %v", len(signers), err)
	}
	if _, err := plain.Load(); err == nil || !strings.Contains(err.Error(), "PROVA_KEY_PASSPHRASE") {
		t.Errorf("without a passphrase: %v", err)
	}
	if _, err := (keyfile.Dir{Path: dir, Passphrase: []byte("Correct horse")}).Load(); !errors.Is(err, keyfile.ErrPassphrase) {
		t.Errorf("a wrong passphrase: %v", err)
	}
}

func TestPassphrase(t *testing.T) {
	file := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ direct, file, want, says string }{
		{"", "", "", ""},
		{"direct", "", "direct", ""},
		{"", file, "from a file", ""},
		{"direct", file, "", "set one"},
		{"", file + "x", "", "PROVA_KEY_PASSPHRASE_FILE"},
	} {
		got, err := keyfile.Passphrase(func(name string) string {
			return map[string]string{"PROVA_KEY_PASSPHRASE": c.direct, "PROVA_KEY_PASSPHRASE_FILE": c.file}[name]
		})
		if string(got) != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}
