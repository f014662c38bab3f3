// Package keyfile keeps the server's private keys in files of the data
// directory: one for receipts and one for checkpoints, never the same.
//
// A key is the PKCS #8 form of an Ed25519 seed in PEM. A file that others may
// read is refused. A key file is made once and never overwritten: losing one
// means that the log needs a new key, replacing one silently would look like a
// forgery.
package keyfile

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The names of the files.
const (
	ReceiptKey    = "receipt.key"
	CheckpointKey = "checkpoint.key"
)

// Keys are the private keys of one server.
type Keys struct {
	Receipt    ed25519.PrivateKey
	Checkpoint ed25519.PrivateKey
}

// Load reads the keys of a data directory and makes the ones that are missing.
func Load(dir string) (Keys, error) {
	r, err := load(filepath.Join(dir, ReceiptKey))
	if err != nil {
		return Keys{}, err
	}
	c, err := load(filepath.Join(dir, CheckpointKey))
	if err != nil {
		return Keys{}, err
	}
	if r.Equal(c) {
		return Keys{}, fmt.Errorf("%s and %s in %s hold the same key: a signature for one could be offered for the other; restore the right files", ReceiptKey, CheckpointKey, dir)
	}
	return Keys{Receipt: r, Checkpoint: c}, nil
}

const pemType = "PRIVATE KEY"

func load(path string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(path)
	}
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	if loose := info.Mode().Perm() & 0o077; loose != 0 {
		return nil, fmt.Errorf("signing key %s may be read by others (mode %04o): run chmod 600 %s, and think about who could have copied it", path, info.Mode().Perm(), path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != pemType || len(rest) != 0 {
		return nil, fmt.Errorf("signing key %s is not one PEM block %q: restore it from a backup", path, pemType)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", path, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("signing key %s is a %T; receipts are signed with Ed25519", path, parsed)
	}
	return key, nil
}

// create writes a new key so that after a crash there is a whole file or none.
func create(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	if err := WriteSecret(path, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})); err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return key, nil
}

// WriteSecret writes a file of mode 0600 durably and atomically. A file that is there is an error.
func WriteSecret(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // the name that stays is the link
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil { // unlike a rename, never overwrites
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
