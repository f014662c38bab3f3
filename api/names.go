package api

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// MaxName is the length of the longest name in bytes: an app, a release, an
// environment, a metric, a probe, a run.
const MaxName = 200

// CheckName refuses what cannot name anything: an empty or over-long text, a
// control character or line separator, invalid UTF-8. what says which name it is.
func CheckName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%s is empty", what)
	case len(name) > MaxName:
		return fmt.Errorf("%s has %d bytes, the most is %d", what, len(name), MaxName)
	case !utf8.ValidString(name):
		return fmt.Errorf("%s is not valid UTF-8", what)
	}
	for _, r := range name {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return fmt.Errorf("%s %q holds a control character", what, name)
		}
	}
	return nil
}
