// Package keyfile keeps the server's private keys in files of the data
// directory: for receipts and for checkpoints, never the same.
//
// A key is the PKCS #8 form of an Ed25519 seed in PEM, or that form encrypted
// under a passphrase. A file that others may read is refused. A key file is
// made once and never overwritten but by its encrypted form: losing one means
// that the log needs a new key, replacing one silently would look like a
// forgery. A rotation makes one more file beside the old ones.
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
	"slices"

	"github.com/cobound/prova/receipt"
)

// The names of the files. Further receipt keys are called receipt-<16 hex digits of the key id>.key.
const (
	ReceiptKey    = "receipt.key"
	CheckpointKey = "checkpoint.key"
	WitnessKey    = "witness.key"

	furtherKeys = "receipt-*.key"
)

// Keys are the private keys of one server that its first start made.
type Keys struct {
	Receipt    ed25519.PrivateKey
	Checkpoint ed25519.PrivateKey
}

// Dir are the keys of a data directory.
type Dir struct {
	Path string
	// Passphrase decrypts the files, and encrypts those that are made; empty for files that are not encrypted.
	Passphrase []byte
}

// Load reads the keys of the first start, and makes the ones that are missing.
func (d Dir) Load() (Keys, error) {
	r, err := d.load(ReceiptKey)
	if err != nil {
		return Keys{}, err
	}
	c, err := d.load(CheckpointKey)
	if err != nil {
		return Keys{}, err
	}
	if r.Equal(c) {
		return Keys{}, fmt.Errorf("%s and %s in %s hold the same key: a signature for one could be offered for the other; restore the right files", ReceiptKey, CheckpointKey, d.Path)
	}
	return Keys{Receipt: r, Checkpoint: c}, nil
}

// LoadWitness reads the key of a witness, and makes it if it is missing. A
// directory that holds keys of a server is refused: a log that is its own
// witness protects nobody.
func (d Dir) LoadWitness() (ed25519.PrivateKey, error) {
	for _, name := range []string{ReceiptKey, CheckpointKey} {
		if _, err := os.Lstat(filepath.Join(d.Path, name)); err == nil {
			return nil, fmt.Errorf("%s holds %s, the key of a server: give the witness a directory of its own, on another machine that other people keep", d.Path, name)
		}
	}
	return d.load(WitnessKey)
}

// Signers are all receipt keys of the directory.
func (d Dir) Signers() ([]receipt.Signer, error) {
	names, err := d.receiptKeys()
	if err != nil {
		return nil, err
	}
	var out []receipt.Signer
	for _, name := range names {
		key, err := d.read(filepath.Join(d.Path, name))
		if err != nil {
			return nil, err
		}
		signer, err := receipt.NewSigner(key)
		if err != nil {
			return nil, fmt.Errorf("signing key %s: %w", name, err)
		}
		out = append(out, signer)
	}
	return out, nil
}

func (d Dir) receiptKeys() ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(globSafe(d.Path), furtherKeys))
	if err != nil {
		return nil, fmt.Errorf("signing keys: %w", err)
	}
	names := []string{ReceiptKey}
	for _, p := range paths {
		names = append(names, filepath.Base(p))
	}
	slices.Sort(names[1:])
	return names, nil
}

// Create makes one more receipt key. When it returns, the file survives a power cut.
func (d Dir) Create() (receipt.Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return receipt.Signer{}, fmt.Errorf("signing key: %w", err)
	}
	signer, err := receipt.NewSigner(key)
	if err != nil {
		return receipt.Signer{}, fmt.Errorf("signing key: %w", err)
	}
	return signer, d.write(filepath.Join(d.Path, "receipt-"+signer.KeyID()[:16]+".key"), key)
}

// ReplaceCheckpoint puts a new checkpoint key in the place of the present one,
// whose file it keeps under the returned name. A crash in between leaves none,
// and the next start makes one.
func (d Dir) ReplaceCheckpoint() (next ed25519.PublicKey, kept string, err error) {
	path := filepath.Join(d.Path, CheckpointKey)
	old, err := d.read(path)
	if err != nil {
		return nil, "", err
	}
	kept = "checkpoint-" + receipt.KeyID(old.Public().(ed25519.PublicKey))[:16] + ".old"
	if err := os.Rename(path, filepath.Join(d.Path, kept)); err != nil {
		return nil, "", fmt.Errorf("signing key: %w", err)
	}
	key, err := d.load(CheckpointKey) // it syncs the directory, and with it the new name of the old one
	if err != nil {
		return nil, kept, err
	}
	return key.Public().(ed25519.PublicKey), kept, nil
}

const pemType = "PRIVATE KEY"

func (d Dir) load(name string) (ed25519.PrivateKey, error) {
	path := filepath.Join(d.Path, name)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return d.read(path)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return key, d.write(path, key)
}

func (d Dir) read(path string) (ed25519.PrivateKey, error) {
	block, err := readBlock(path)
	if err != nil {
		return nil, err
	}
	der := block.Bytes
	switch {
	case block.Type == encryptedType && len(d.Passphrase) == 0:
		return nil, fmt.Errorf("signing key %s is encrypted: set PROVA_KEY_PASSPHRASE, or PROVA_KEY_PASSPHRASE_FILE to a file that holds the passphrase", path)
	case block.Type == encryptedType:
		if der, err = decrypt(block.Bytes, d.Passphrase); err != nil {
			return nil, fmt.Errorf("signing key %s: %w", path, err)
		}
	case len(d.Passphrase) > 0:
		return nil, fmt.Errorf("signing key %s is not encrypted although a passphrase is set: run prova keys encrypt with the same data directory", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", path, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("signing key %s is a %T; receipts are signed with Ed25519", path, parsed)
	}
	return key, nil
}

// readBlock reads a key file that nobody else may read.
func readBlock(path string) (*pem.Block, error) {
	info, err := os.Stat(path)
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
	if block == nil || block.Type != pemType && block.Type != encryptedType || len(rest) != 0 {
		return nil, fmt.Errorf("signing key %s is not one PEM block %q or %q: restore it from a backup", path, pemType, encryptedType)
	}
	return block, nil
}

// write writes a new key so that after a crash there is a whole file or none.
func (d Dir) write(path string, key ed25519.PrivateKey) error {
	text, err := d.encode(key)
	if err == nil {
		err = WriteSecret(path, text)
	}
	if err != nil {
		return fmt.Errorf("signing key: %w", err)
	}
	return nil
}

func (d Dir) encode(key ed25519.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil || len(d.Passphrase) == 0 {
		return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), err
	}
	sealed, err := encrypt(der, d.Passphrase)
	return pem.EncodeToMemory(&pem.Block{Type: encryptedType, Bytes: sealed}), err
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
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
