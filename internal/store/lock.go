package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/cobound/prova/internal/durable"
)

// lockFile takes the lock that keeps a second server away from a SQLite file
// and keeps it until the file it returns is closed. The file stays: to remove
// it could let two servers lock two different files of one name.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	held, err := durable.Hold(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if !held {
		holder, _ := io.ReadAll(io.LimitReader(f, 32))
		_ = f.Close() // it was only read
		who := ""
		if pid, err := strconv.Atoi(strings.TrimSpace(string(holder))); err == nil {
			who = fmt.Sprintf(" (process %d)", pid)
		}
		return nil, fmt.Errorf("%w%s: stop it, give this one another data path, or use PostgreSQL, which several servers can share", ErrLocked, who)
	}
	// Only a help for whoever meets the lock; the lock holds without it.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}
