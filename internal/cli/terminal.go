package cli

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// defaultWidth is taken where nobody says how wide a terminal is.
const (
	defaultWidth  = 80
	defaultHeight = 24
)

// IsTerminal reports whether a stream is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Size returns the columns and lines of a terminal.
func Size(w io.Writer) (columns, lines int) {
	if f, ok := w.(*os.File); ok {
		if columns, lines, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 && lines > 0 {
			return columns, lines
		}
	}
	return defaultWidth, defaultHeight
}

// Style writes in colour, or not at all.
type Style struct{ Colour bool }

// styleOf follows https://no-color.org: colour on a terminal, unless NO_COLOR
// is set; FORCE_COLOR is for the CI systems that show it without a terminal.
func styleOf(w io.Writer, getenv func(string) string) Style {
	switch {
	case getenv("NO_COLOR") != "" || getenv("TERM") == "dumb":
		return Style{}
	case getenv("FORCE_COLOR") != "":
		return Style{Colour: true}
	}
	return Style{Colour: IsTerminal(w)}
}

func (s Style) paint(code, text string) string {
	if !s.Colour || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Bold is for what is read first. The colours below are those of the terminal's theme.
func (s Style) Bold(text string) string { return s.paint("1", text) }

// Dim is for what is read second.
func (s Style) Dim(text string) string { return s.paint("2", text) }

// Red is for harm.
func (s Style) Red(text string) string { return s.paint("31", text) }

// Green is for what is well.
func (s Style) Green(text string) string { return s.paint("32", text) }

// Yellow is for what is not settled.
func (s Style) Yellow(text string) string { return s.paint("33", text) }

// Cyan is for names.
func (s Style) Cyan(text string) string { return s.paint("36", text) }

// Width counts the columns that a text takes: its characters without the
// escape sequences that this package writes. Wide scripts take more, which
// only costs alignment.
func Width(text string) int {
	n := 0
	for len(text) > 0 {
		if skip := escape(text); skip > 0 {
			text = text[skip:]
			continue
		}
		_, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		n++
	}
	return n
}

// escape returns the length of the escape sequence that text begins with, or 0.
func escape(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 0
	}
	for i := 2; i < len(text); i++ {
		if text[i] >= '@' && text[i] <= '~' {
			return i + 1
		}
	}
	return len(text)
}

// Cut shortens a text to a number of columns and keeps its escape sequences, so
// that no colour leaks into what follows.
func Cut(text string, columns int) string {
	if Width(text) <= columns {
		return text
	}
	var b strings.Builder
	for n := 0; len(text) > 0; {
		if skip := escape(text); skip > 0 {
			b.WriteString(text[:skip])
			text = text[skip:]
			continue
		}
		r, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		switch n++; {
		case n < columns:
			b.WriteRune(r)
		case n == columns:
			b.WriteRune('…')
		}
	}
	return b.String()
}

// Pad fills a text with spaces up to a number of columns, on the right.
func Pad(text string, columns int) string {
	return text + strings.Repeat(" ", max(columns-Width(text), 0))
}

// PadLeft fills a text with spaces up to a number of columns, on the left.
func PadLeft(text string, columns int) string {
	return strings.Repeat(" ", max(columns-Width(text), 0)) + text
}

// Wrap breaks a text into lines of at most columns at its spaces.
func Wrap(text string, columns int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case Width(line)+1+Width(word) <= columns:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// Plain makes foreign text safe to show: a control character in a name or a
// reason could move the cursor or rewrite what stands above.
func Plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return '\ufffd'
		}
		return r
	}, text)
}
