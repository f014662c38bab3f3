package cli

import (
	"errors"
	"strconv"
	"time"
)

// Seconds is a span of time on a command line: a number of seconds, or a
// number with a unit such as 90s, 15m or 1h30m.
type Seconds time.Duration

// UnmarshalText reads 30, 30s or 1h.
func (s *Seconds) UnmarshalText(text []byte) error {
	if v, err := strconv.ParseFloat(string(text), 64); err == nil && v >= 0 && v <= 1e8 {
		*s = Seconds(v * float64(time.Second))
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return errors.New("want seconds, such as 30, or a time with a unit, such as 90s, 15m or 1h")
	}
	*s = Seconds(d)
	return nil
}

// Duration returns the span.
func (s Seconds) Duration() time.Duration { return time.Duration(s) }

// About writes a span of time the way people say it: 45 s, 12 min, 3.5 h, 2 days.
func About(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return strconv.FormatInt(int64(d.Round(time.Second)/time.Second), 10) + " s"
	case d < 90*time.Minute:
		return strconv.FormatInt(int64(d.Round(time.Minute)/time.Minute), 10) + " min"
	case d < 48*time.Hour:
		return strconv.FormatFloat(d.Hours(), 'f', 1, 64) + " h"
	}
	return strconv.FormatFloat(d.Hours()/24, 'f', 1, 64) + " days"
}
