package figures

import (
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/compare"
)

// Verdict draws all gates of a verdict, its signals in a line each, and the
// checks that are not ok.
func Verdict(v api.Verdict, style cli.Style, columns int) []string {
	var lines []string
	for _, g := range v.Gates {
		lines = append(lines, Gate(g, style, columns)...)
		if g.Verdict == api.Insufficient && len(v.Gates) > 1 { // of a single gate the verdict's own reason says it
			lines = append(lines, why(g, style, columns)...)
		}
		lines = append(lines, "")
	}
	if len(v.Signals) > 0 {
		lines = append(lines, signals(v.Signals, style)...)
		lines = append(lines, "")
	}
	if v.Pairwise != nil {
		lines = append(lines, style.Bold("pairwise judge")+"  "+Word(v.Pairwise.Verdict, style), "  "+cli.Plain(v.Pairwise.Reason.Text), "")
	}
	for _, c := range v.Checks {
		if c.Status != "ok" {
			lines = append(lines, check(c, style, columns)...)
		}
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// check writes a check that is not ok.
func check(c api.Check, style cli.Style, columns int) []string {
	head := cli.Plain(c.Check + " " + c.Status)
	lines := cli.Wrap(cli.Plain(c.Detail), max(columns-cli.Width(head)-2, 20))
	if len(lines) == 0 {
		return []string{style.Yellow(head)}
	}
	for i, line := range lines {
		if i == 0 {
			lines[i] = style.Yellow(head) + "  " + line
			continue
		}
		lines[i] = cli.Pad("", cli.Width(head)+2) + line
	}
	return lines
}

// signals lists what is watched and never decides.
func signals(list []api.GateResult, style cli.Style) []string {
	t := cli.Table{Head: []string{"signal", "baseline", "candidate", "difference", ""}, Right: map[int]bool{1: true, 2: true}}
	for _, s := range list {
		difference := "–"
		if s.Difference != nil {
			difference = compare.FormatDifference(s.Gate, *s.Difference)
		}
		word := ""
		if s.Verdict == api.Regressed {
			word = style.Yellow("worse")
		}
		t.Add(Title(s.Gate), value(s.Gate, s.Baseline), value(s.Gate, s.Candidate), difference, word)
	}
	return strings.Split(strings.TrimRight(t.Text(style), "\n"), "\n")
}

func value(g api.Gate, c api.CohortFigure) string {
	if c.Value == nil {
		return "–"
	}
	return compare.FormatValue(g, *c.Value)
}
