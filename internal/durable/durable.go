// Package durable has what keeps small files whole: replacing one so that a
// crash leaves the old content or the new one, and a lock that keeps a second
// process away and that the system releases however the first one ends.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace writes a file of mode 0600 as a whole. When it returns nil the new
// content survives a power cut; after an error or a crash there is the new
// content or the old one, and nothing in between.
func Replace(path string, data []byte) error {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone unless something failed
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return SyncDir(dir)
}
