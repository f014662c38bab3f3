package webhook

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// maxAnswer is how many bytes of an answer are read and kept.
	maxAnswer = 512
	// maxRetryAfter bounds what a receiver may ask for: a rollback must not wait
	// for days because of one header.
	maxRetryAfter = time.Hour
)

// readAnswer reads the first bytes of a body, as far as they come before the
// request's time limit, which ends the read with an error.
func readAnswer(body io.Reader) string {
	buf := make([]byte, maxAnswer)
	n, _ := io.ReadFull(body, buf)
	return printable(trimPartialRune(buf[:n]))
}

// trimPartialRune drops a rune that the cut went through.
func trimPartialRune(p []byte) []byte {
	for i := len(p) - 1; i >= 0 && i >= len(p)-utf8.UTFMax; i-- {
		if utf8.RuneStart(p[i]) {
			if !utf8.FullRune(p[i:]) {
				return p[:i]
			}
			break
		}
	}
	return p
}

// printable makes text from outside fit for a terminal, a page and a database:
// valid UTF-8 without control characters, invisible ones or line breaks, at
// most maxAnswer bytes.
func printable(p []byte) string {
	var b strings.Builder
	for _, r := range string(p) { // an invalid byte ranges as U+FFFD
		switch {
		case unicode.IsSpace(r):
			r = ' '
		case !unicode.IsPrint(r):
			r = utf8.RuneError
		}
		if b.Len()+utf8.RuneLen(r) > maxAnswer {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// retryAfter reads the header in both of its forms, seconds and an HTTP date;
// 0 if it says nothing, nothing that can be read, or a time that has passed.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	seconds, err := strconv.ParseUint(value, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		// Compared in seconds: a Duration would overflow.
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
