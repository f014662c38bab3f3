package receipt

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// FileSum describes what is written to it. Make it with [NewFileSum].
type FileSum struct {
	name string
	size int64
	hash hash.Hash
}

// NewFileSum returns a FileSum for a file of a bundle.
func NewFileSum(name string) *FileSum { return &FileSum{name: name, hash: sha256.New()} }

// Write adds to the file; it never fails.
func (s *FileSum) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	return s.hash.Write(p)
}

// File describes what was written so far.
func (s *FileSum) File() BundleFile {
	return BundleFile{Name: s.name, Size: s.size, SHA256: hex.EncodeToString(s.hash.Sum(nil))}
}
