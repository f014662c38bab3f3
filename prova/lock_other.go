//go:build !windows && (!unix || solaris || aix)

package prova

import (
	"errors"
	"os"
)

// errLockHeld says that another recorder holds a lock.
var errLockHeld = errors.New("another recorder holds the lock")

// lockFile fails: without a lock that ends with the process there is no spool.
func lockFile(string, int) (*os.File, error) {
	return nil, errors.New("there is no spool on this system: " + errors.ErrUnsupported.Error())
}

func unlockAndRemove(f *os.File) { _ = f.Close() }
