package prova

import (
	"errors"
	"os"
	"syscall"
)

// errLockHeld says that another recorder holds a lock.
var errLockHeld = errors.New("another recorder holds the lock")

// errSharing is ERROR_SHARING_VIOLATION.
const errSharing syscall.Errno = 32

// lockFile opens a file that nobody else can open until it is closed or the
// process ends, however it ends.
func lockFile(path string, flag int) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	mode := uint32(syscall.OPEN_EXISTING)
	if flag&os.O_CREATE != 0 {
		mode = syscall.OPEN_ALWAYS
	}
	handle, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, mode, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, errSharing) {
		return nil, errLockHeld
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(handle), path), nil
}

// unlockAndRemove removes the file, which has to be closed for that here.
func unlockAndRemove(f *os.File) {
	_ = f.Close()
	_ = os.Remove(f.Name())
}
