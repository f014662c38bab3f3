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
		lines = append(append(lines, pairwise(*v.Pairwise, style, columns)...), "")
	}
	lines = append(lines, Checks(v.Checks, style, columns)...)
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// pairwise draws the judge's gate: why it is as it is, then what the judge's judgments add up to.
func pairwise(p api.PairwiseResult, style cli.Style, columns int) []string {
	lines := []string{style.Bold("pairwise judge") + "  " + Word(p.Verdict, style)}
	for _, line := range cli.Wrap(cli.Plain(p.Reason.Text), max(columns-4, 20)) {
		lines = append(lines, "  "+line)
	}
	if p.Judge == nil {
		return lines
	}
	for _, line := range Judged(api.JudgeSummary{Judge: *p.Judge, Figures: p.Figures, WinRate: p.WinRate, HalfTies: p.HalfTies, Calibration: p.Calibration}, style) {
		lines = append(lines, "  "+line)
	}
	return lines
}

// Checks writes the checks that are not ok.
func Checks(list []api.Check, style cli.Style, columns int) []string {
	var lines []string
	for _, c := range list {
		if c.Status != api.CheckOK {
			lines = append(lines, check(c, style, columns)...)
		}
	}
	return lines
}

// Decided writes the gates of a decision, a line each. What a gate tolerates
// stands in the policy; where that is not at hand, it is left out.
func Decided(list []api.DecisionGate, policy []api.Gate, style cli.Style) []string {
	if len(list) == 0 {
		return nil
	}
	t := cli.Table{Head: []string{"gate", "", "difference", ""}}
	for _, d := range list {
		g := gateOf(d.Gate)
		agreed := ""
		for _, p := range policy {
			if p.ID() == d.Gate {
				g, agreed = p, style.Dim(strings.Join(terms(p), ", "))
			}
		}
		difference := "none yet"
		if d.Difference != nil {
			difference = compare.FormatDifference(g, *d.Difference)
		}
		t.Add(Title(g), Word(d.Verdict, style), difference, agreed)
	}
	return strings.Split(strings.TrimRight(t.Text(style), "\n"), "\n")
}

// gateOf reads what formatting needs of a gate's id: METRIC:STATISTIC, and :probe on pairs.
func gateOf(id string) api.Gate {
	parts := strings.SplitN(id, ":", 3)
	g := api.Gate{Metric: parts[0]}
	if len(parts) > 1 {
		g.Statistic = api.Statistic(parts[1])
	}
	if len(parts) > 2 {
		g.Pair = parts[2]
	}
	return g
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
