package webhook

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cobound/prova/internal/authority"
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
	return authority.Printable(trimPartialRune(buf[:n]), maxAnswer)
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
