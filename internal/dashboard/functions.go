package dashboard

import (
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cobound/prova/api"
)

// functions are what templates call. What stands in more than one page is a
// partial in parts.html and gets its words here.
func functions() template.FuncMap {
	return template.FuncMap{
		"rfc":     func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
		"utc":     utc,
		"words":   func(code any) string { return strings.ReplaceAll(text(code), "_", " ") },
		"mark":    mark,
		"short":   short,
		"percent": func(v float64) string { return strconv.FormatFloat(v*100, 'g', 4, 64) + " %" },
		"share":   shareText,
		"runs":    func(n int64) string { return plural(n, "run") },
		"args":    func(list ...any) []any { return list },
		"add":     func(a, b int) int { return a + b },
		"span":    func(seconds *int64) string { return span(time.Duration(*seconds) * time.Second) },
	}
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case api.State:
		return string(v)
	case api.Outcome:
		return string(v)
	case api.Action:
		return string(v)
	case api.Mode:
		return string(v)
	case api.DeliveryStatus:
		return string(v)
	}
	return ""
}

// utc writes a time for readers; with scripts on it becomes the reader's own zone.
func utc(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05") + " UTC" }

// mark is the shape beside a word, so that no state is told by its colour alone.
func mark(code any) string {
	switch text(code) {
	case string(api.Regressed), string(api.StateRolledBack), string(api.Rollback):
		return "▼"
	case string(api.Clean), string(api.StatePromoted), string(api.Promote), api.CheckOK, string(api.DeliveryDelivered):
		return "●"
	case string(api.StatePaused), "pause":
		return "‖"
	case string(api.StateAborted), "abort", string(api.DeliveryFailed):
		return "✕"
	case string(api.StateActive), "resume":
		return "▸"
	case string(api.Insufficient), string(api.Hold), string(api.DeliveryPending):
		return "■"
	case api.CheckWarn:
		return "▲"
	}
	return "–"
}

// short shows the beginning of a long name, such as a commit's SHA; its title has all of it.
func short(name string) string {
	const most = 24
	if utf8.RuneCountInString(name) <= most {
		return name
	}
	return string([]rune(name)[:most-1]) + "…"
}

func plural(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.FormatInt(n, 10) + " " + what
}

// span writes how long something takes, in one unit.
func span(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return strconv.Itoa(max(int(d.Seconds()), 1)) + " s"
	case d < 90*time.Minute:
		return strconv.Itoa(int(d.Minutes()+0.5)) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours()+0.5)) + " h"
	}
	return strconv.Itoa(int(d.Hours()/24+0.5)) + " days"
}

// moment is a time and how long ago it was.
type moment struct {
	At  time.Time
	Age string
}

func (h *Handler) moment(t time.Time) moment { return moment{t, ago(h.Now().Sub(t))} }

// ago writes an age in one unit. The module of the pages has the same words.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min ago"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h ago"
	}
	return strconv.Itoa(int(d.Hours()/24)) + " days ago"
}

// shareText writes a share: 12.5 %.
func shareText(v float64) string { return strconv.FormatFloat(v*100, 'f', 1, 64) + " %" }
