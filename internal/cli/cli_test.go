package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
)

type gone struct{ error }

func (gone) Unreachable() bool { return true }

// No error may look like a verdict: 1 and 2 come from a verdict only.
func TestCode(t *testing.T) {
	problem := func(status int, code string) error {
		return fmt.Errorf("wrapped: %w", &api.Problem{Status: status, Type: api.ProblemBase + code})
	}
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, cli.Done},
		{cli.Exit(cli.Done), cli.Done},
		{cli.Exit(cli.Regressed), cli.Regressed},
		{fmt.Errorf("wrapped: %w", cli.Exit(cli.Undecided)), cli.Undecided},
		{cli.Usagef("no"), cli.Usage},
		{cli.Configf("no"), cli.BadConfig},
		{context.Canceled, cli.Interrupted},
		{fmt.Errorf("wrapped: %w", gone{errors.New("refused")}), cli.Unreachable},
		{problem(400, "invalid"), cli.Usage},
		{problem(401, "unauthenticated"), cli.NotAllowed},
		{problem(403, "forbidden"), cli.NotAllowed},
		{problem(404, "not_found"), cli.Usage},
		{problem(404, "foreign_answer"), cli.Unreachable},
		{problem(200, "foreign_answer"), cli.Unreachable},
		{problem(301, "foreign_answer"), cli.BadConfig},
		{problem(403, "foreign_answer"), cli.NotAllowed},
		{problem(408, "timeout"), cli.TryLater},
		{problem(409, "conflict"), cli.Usage},
		{problem(422, "invalid"), cli.Usage},
		{problem(429, "rate_limited"), cli.TryLater},
		{problem(500, "internal"), cli.TryLater},
		{problem(502, "foreign_answer"), cli.Unreachable},
		{problem(503, "unavailable"), cli.TryLater},
		{problem(504, "foreign_answer"), cli.Unreachable},
		{fs.ErrNotExist, cli.Usage},
		{errors.New("anything"), cli.Usage},
	} {
		if got := cli.Code(c.err); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.want)
		}
	}
	for status := range 600 {
		if got := cli.Code(problem(status, "x")); got == cli.Regressed || got == cli.TimedOut || got == cli.Done {
			t.Errorf("status %d ends with %d", status, got)
		}
	}
}

func TestSeconds(t *testing.T) {
	for text, want := range map[string]time.Duration{"30": 30 * time.Second, "0.5": 500 * time.Millisecond, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "0": 0} {
		var s cli.Seconds
		if err := s.UnmarshalText([]byte(text)); err != nil || s.Duration() != want {
			t.Errorf("%q: %v (%v), want %v", text, s.Duration(), err, want)
		}
	}
	for _, text := range []string{"", "-1", "-5s", "soon", "NaN", "1e300", "Inf"} {
		var s cli.Seconds
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %v", text, s.Duration())
		}
	}
}

func TestText(t *testing.T) {
	red := cli.Style{Colour: true}.Red
	for _, c := range []struct{ got, want string }{
		{cli.Cut("abcdef", 4), "abc…"},
		{cli.Cut("abcd", 4), "abcd"},
		{cli.Cut(red("abcdef"), 4), "\x1b[31mabc…\x1b[0m"},
		{cli.Pad("–", 3) + "|", "–  |"},
		{cli.PadLeft(red("x"), 3), "  " + red("x")},
		{strings.Join(cli.Wrap("one two three", 7), "|"), "one two|three"},
		{strings.Join(cli.Wrap("", 7), "|"), ""},
		{strings.Join(cli.Wrap("averylongword x", 5), "|"), "averylongword|x"},
		{cli.Plain("a\x1b[31mb\nc\u202ed"), "a\ufffd[31mb c\ufffdd"},
		{cli.Bar(0.5, 4), "██░░"},
		{cli.Bar(-1, 2), "░░"},
		{cli.Bar(7, 2), "██"},
		{cli.About(45 * time.Second), "45 s"},
		{cli.About(20 * time.Minute), "20 min"},
		{cli.About(5 * time.Hour), "5.0 h"},
		{cli.About(72 * time.Hour), "3.0 days"},
		{cli.Style{}.Bold("x"), "x"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	if got := cli.Width(red("–x")); got != 2 {
		t.Errorf("width %d, want 2", got)
	}
}

func TestTable(t *testing.T) {
	table := cli.Table{Head: []string{"name", "runs", "state"}, Right: map[int]bool{1: true}}
	table.Add("a", "5", cli.Style{Colour: true}.Green("on"))
	table.Add("longer", "1000", "off")
	want := "name    runs  state\na          5  \x1b[32mon\x1b[0m\nlonger  1000  off\n"
	if got := table.Text(cli.Style{}); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

// The frames of a live view replace one another and the last one stays.
func TestLive(t *testing.T) {
	var b bytes.Buffer
	live := cli.NewLive(&b)
	live.Draw("one\ntwo\n")
	live.Draw("three\n")
	live.Finish("four\nfive\n")
	if got := screen(b.String()); got != "four\nfive\n" {
		t.Errorf("the screen shows %q", got)
	}
	if strings.Count(b.String(), "\x1b[?25l") == 0 || !strings.HasSuffix(b.String(), "\x1b[?25h") {
		t.Error("the cursor does not come back")
	}
	b.Reset()
	cli.NewLive(&b).Draw(strings.Repeat("line\n", 50) + "last\n")
	if got := strings.Count(screen(b.String()), "\n"); got != 23 || !strings.HasSuffix(screen(b.String()), "…\nlast\n") {
		t.Errorf("a tall frame takes %d lines of 24", got)
	}
}

// screen plays the few sequences that a live view uses.
func screen(out string) string {
	var lines []string
	row := 0
	for len(out) > 0 {
		if rest, ok := strings.CutPrefix(out, "\x1b["); ok {
			i := strings.IndexFunc(rest, func(r rune) bool { return r >= '@' && r <= '~' })
			argument, final := rest[:i], rest[i]
			out = rest[i+1:]
			switch final {
			case 'A':
				n := 0
				_, _ = fmt.Sscan(argument, &n)
				row -= n
			case 'J':
				lines = lines[:row]
			case 'K', 'h', 'l':
			}
			continue
		}
		if rest, ok := strings.CutPrefix(out, "\r"); ok {
			out = rest
			continue
		}
		line, rest, _ := strings.Cut(out, "\x1b[K\n")
		for len(lines) <= row {
			lines = append(lines, "")
		}
		lines[row] = line
		row++
		out = rest
	}
	return strings.Join(lines, "\n") + "\n"
}
