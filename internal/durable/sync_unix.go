//go:build !windows

package durable

import (
	"errors"
	"os"
)

// SyncDir makes a rename durable.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
