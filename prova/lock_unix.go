//go:build unix && !solaris && !aix

package prova

import (
	"errors"
	"os"
	"syscall"
)

// errLockHeld says that another recorder holds a lock.
var errLockHeld = errors.New("another recorder holds the lock")

// lockFile opens a file and locks it until it is closed or the process ends, however it ends.
func lockFile(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|flag, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errLockHeld
	}
	if err == nil && !still(f, path) { // its owner removed it in between
		err = os.ErrNotExist
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// still says whether path is the open file.
func still(f *os.File, path string) bool {
	a, errA := f.Stat()
	b, errB := os.Stat(path)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// unlockAndRemove removes the file while it is locked, so that nobody locks a name that goes away.
func unlockAndRemove(f *os.File) {
	_ = os.Remove(f.Name())
	_ = f.Close()
}
