package webhook

import (
	"errors"
	"io"
	"log"
)

// quiet is for servers whose clients are meant to fail.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func asErr[E error](err error, to *E) bool {
	found, ok := errors.AsType[E](err)
	*to = found
	return ok
}
