package keyfile

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/argon2"
)

// encryptedType is the PEM type of an encrypted key. Its bytes are a header,
// which the cipher authenticates, and the AES-256-GCM ciphertext of the PKCS #8
// form. The header: version 1, passes (4 bytes, big endian), memory in KiB (4
// bytes), lanes (1 byte) of Argon2id, 16 bytes of salt, 12 bytes of nonce.
const encryptedType = "PROVA ENCRYPTED PRIVATE KEY"

const (
	headerVersion = 1
	saltAt        = 10
	nonceAt       = saltAt + 16
	headerSize    = nonceAt + 12

	passes    = 3
	memoryKiB = 64 << 10
	lanes     = 4

	// What a file may ask of the reader at most.
	maxPasses    = 64
	maxMemoryKiB = 1 << 20
)

// ErrPassphrase is matched by the error for a passphrase that does not open a key file.
var ErrPassphrase = errors.New("the passphrase is wrong, or the file is damaged: set PROVA_KEY_PASSPHRASE or PROVA_KEY_PASSPHRASE_FILE to the right one")

func encrypt(plain, passphrase []byte) ([]byte, error) {
	header := make([]byte, headerSize)
	header[0] = headerVersion
	binary.BigEndian.PutUint32(header[1:], passes)
	binary.BigEndian.PutUint32(header[5:], memoryKiB)
	header[9] = lanes
	if _, err := rand.Read(header[saltAt:]); err != nil {
		return nil, err
	}
	aead, err := cipherOf(header, passphrase)
	if err != nil {
		return nil, err
	}
	return aead.Seal(header, header[nonceAt:headerSize], plain, header), nil
}

func decrypt(sealed, passphrase []byte) ([]byte, error) {
	if len(sealed) < headerSize || sealed[0] != headerVersion {
		return nil, errors.New("it is encrypted in a form that this program does not know: start a newer one, or restore the file from a backup")
	}
	header := sealed[:headerSize:headerSize]
	aead, err := cipherOf(header, passphrase)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, header[nonceAt:], sealed[headerSize:], header)
	if err != nil {
		return nil, ErrPassphrase
	}
	return plain, nil
}

func cipherOf(header, passphrase []byte) (cipher.AEAD, error) {
	time, memory, threads := binary.BigEndian.Uint32(header[1:]), binary.BigEndian.Uint32(header[5:]), header[9]
	if time < 1 || time > maxPasses || memory > maxMemoryKiB || threads < 1 {
		return nil, fmt.Errorf("it asks for Argon2id with %d passes, %d KiB and %d lanes: restore the file from a backup", time, memory, threads)
	}
	block, err := aes.NewCipher(argon2.IDKey(passphrase, header[saltAt:nonceAt], time, memory, threads, 32))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// Encrypt encrypts every key file of the directory that is not encrypted yet,
// under the passphrase, and returns their names. Each is replaced at once, so
// that a crash leaves whole files; running it again does the rest. It first
// opens those that are encrypted, so that there is one passphrase for all.
func (d Dir) Encrypt() ([]string, error) {
	if len(d.Passphrase) == 0 {
		return nil, errors.New("there is no passphrase: set PROVA_KEY_PASSPHRASE or PROVA_KEY_PASSPHRASE_FILE")
	}
	names, err := d.receiptKeys()
	if err != nil {
		return nil, err
	}
	names = append(names, CheckpointKey)
	var plain []string
	for _, name := range names {
		path := filepath.Join(d.Path, name)
		block, err := readBlock(path)
		if err != nil {
			return nil, err
		}
		if block.Type == pemType {
			plain = append(plain, name)
		} else if _, err := d.read(path); err != nil {
			return nil, err
		}
	}
	for i, name := range plain {
		if err := d.replace(name); err != nil {
			return plain[:i], fmt.Errorf("signing key %s: %w", name, err)
		}
	}
	return plain, nil
}

func (d Dir) replace(name string) error {
	path := filepath.Join(d.Path, name)
	key, err := Dir{Path: d.Path}.read(path)
	if err != nil {
		return err
	}
	text, err := d.encode(key)
	if err != nil {
		return err
	}
	next := path + ".encrypted"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) { // of a run that broke off
		return err
	}
	if err := WriteSecret(next, text); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncDir(d.Path)
}

// Passphrase reads the passphrase from the environment: empty if none is set.
func Passphrase(getenv func(string) string) ([]byte, error) {
	direct, file := getenv("PROVA_KEY_PASSPHRASE"), getenv("PROVA_KEY_PASSPHRASE_FILE")
	switch {
	case direct != "" && file != "":
		return nil, errors.New("both PROVA_KEY_PASSPHRASE and PROVA_KEY_PASSPHRASE_FILE are set: set one")
	case file == "":
		return []byte(direct), nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("PROVA_KEY_PASSPHRASE_FILE: %w", err)
	}
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" {
		return nil, fmt.Errorf("PROVA_KEY_PASSPHRASE_FILE: %s is empty", file)
	}
	return []byte(text), nil
}

// globSafe escapes what filepath.Glob takes for a pattern.
func globSafe(path string) string {
	return strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(path)
}
