package figures

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/compare"
)

// nameWidth is the column of names in front of the figures.
const nameWidth = 11

// Word is an outcome in its colour.
func Word(o api.Outcome, style cli.Style) string {
	switch o {
	case api.Regressed:
		return style.Bold(style.Red(string(o)))
	case api.Clean:
		return style.Green(string(o))
	case api.Insufficient:
	}
	return style.Yellow(string(o))
}

// Title names what a gate compares: success rate, higher is better.
func Title(g api.Gate) string {
	title := cli.Plain(g.Metric) + " " + string(g.Statistic)
	if g.Pair != "" {
		title += " of pairs"
	}
	return title
}

// qualities says which way is better, what is tolerated and what a breach does.
func qualities(g api.Gate) string {
	return strings.Join(append([]string{string(g.Better) + " is better"}, terms(g)...), ", ")
}

// terms are what is tolerated, and what a breach does if it does not roll back.
func terms(g api.Gate) []string {
	var parts []string
	if g.Margin.Value != 0 {
		margin := strings.TrimPrefix(compare.FormatChange(g, g.Margin.Value), "+")
		if g.Margin.Relative {
			margin = g.Margin.String()
		}
		parts = append(parts, "margin "+margin)
	}
	if g.On != api.OnRollback {
		parts = append(parts, string(g.On)+" only")
	}
	return parts
}

// Gate draws one gate with both cohorts and the difference, in lines of at most
// columns:
//
//	success rate  clean  higher is better
//	  baseline    90.4 % (87.7 … 92.5)  570 runs
//	  candidate   76.7 % (59.1 … 88.2)  30 runs
//	  difference  −13.7 points (−31.0 … +1.2)
//	    worse  ├──────●────┼┤  better
func Gate(r api.GateResult, style cli.Style, columns int) []string {
	lines := []string{style.Bold(Title(r.Gate)) + "  " + Word(r.Verdict, style) + "  " + style.Dim(qualities(r.Gate))}
	baseline, candidate := cohort(r.Gate, r.Baseline), cohort(r.Gate, r.Candidate)
	wide := max(cli.Width(baseline), cli.Width(candidate))
	lines = append(lines,
		"  "+cli.Pad("baseline", nameWidth)+cli.Pad(baseline, wide)+style.Dim("  "+counts(r.Gate, r.Baseline)),
		"  "+cli.Pad("candidate", nameWidth)+cli.Pad(candidate, wide)+style.Dim("  "+counts(r.Gate, r.Candidate)))
	if r.Pairs != nil {
		name := "pairs"
		for _, line := range cli.Wrap(pairs(*r.Pairs), columns-2-nameWidth) {
			lines = append(lines, "  "+cli.Pad(name, nameWidth)+style.Dim(line))
			name = ""
		}
	}
	return append(lines, Interval(r, style, columns)...)
}

// why says what a gate lacks.
func why(r api.GateResult, style cli.Style, columns int) []string {
	var lines []string
	for _, line := range cli.Wrap(cli.Plain(r.Reason.Text), columns-2) {
		lines = append(lines, "  "+style.Yellow(line))
	}
	return lines
}

// Interval draws the difference of a gate in words and on an axis.
func Interval(r api.GateResult, style cli.Style, columns int) []string {
	d := r.Difference
	if d == nil {
		d = r.OneLook
	}
	if d == nil {
		return []string{"  " + cli.Pad("difference", nameWidth) + style.Dim("none yet")}
	}
	text := compare.FormatDifference(r.Gate, *d)
	if r.Verdict == api.Regressed {
		text = style.Red(text)
	}
	kind := d.Method
	if r.Difference == nil {
		kind += ", of a single look"
	}
	return []string{
		"  " + cli.Pad("difference", nameWidth) + text + style.Dim("  "+kind),
		"  " + cli.Pad("", nameWidth) + ends(r, *d, style, columns-2-nameWidth),
	}
}

// ends puts the axis between the words for its two directions.
func ends(r api.GateResult, d api.Difference, style cli.Style, columns int) string {
	left, right := "worse ", " better"
	margin := -Margin(r)
	if r.Better == api.BetterLower {
		left, right, margin = "better ", " worse", -margin
	}
	axis := Axis{Estimate: d.Estimate, Lo: d.Lo, Hi: d.Hi, Margin: margin}
	line := axis.Draw(min(columns-cli.Width(left+right), 46))
	switch r.Verdict {
	case api.Regressed:
		line = style.Red(line)
	case api.Clean:
		line = style.Green(line)
	case api.Insufficient:
		line = style.Yellow(line)
	}
	return style.Dim(left) + line + style.Dim(right)
}

// Margin is the margin of a gate in units of the metric.
func Margin(r api.GateResult) float64 {
	if !r.Margin.Relative {
		return r.Margin.Value
	}
	if r.Tolerated != nil {
		return *r.Tolerated
	}
	if r.Baseline.Value == nil {
		return 0
	}
	return r.Margin.Value * math.Abs(*r.Baseline.Value)
}

// cohort writes the figure of one cohort with its interval.
func cohort(g api.Gate, c api.CohortFigure) string {
	if c.Value == nil {
		return "–"
	}
	text := compare.FormatValue(g, *c.Value)
	if c.Lo != nil || c.Hi != nil {
		text += " (" + limit(g, c.Lo) + " … " + limit(g, c.Hi) + ")"
	}
	return text
}

// pairs says how the two values of the pairs fall out, and how many runs have no partner.
func pairs(p api.Pairs) string {
	text := plural(p.N, "probe") + " on both sides"
	if t := p.PairTable; t != nil {
		text = fmt.Sprintf("true for both %d, the candidate only %d, the baseline only %d, neither %d", t.Both, t.CandidateOnly, t.BaselineOnly, t.Neither)
	}
	if unpaired := p.UnpairedCandidate + p.UnpairedBaseline; unpaired > 0 {
		text += fmt.Sprintf("; without a partner %s of the candidate, %d of the baseline", Runs(p.UnpairedCandidate), p.UnpairedBaseline)
	}
	return text
}

// counts says how many runs or probes a figure is from, and how many runs lack the metric.
func counts(g api.Gate, c api.CohortFigure) string {
	text := Runs(c.N)
	if g.Pair != "" {
		text = plural(c.N, "probe")
	}
	if c.Missing > 0 {
		text += ", " + strconv.FormatInt(c.Missing, 10) + " without it"
	}
	return text
}

// limit is one end of an interval, which too few runs may not have.
func limit(g api.Gate, v *float64) string {
	if v == nil {
		return "?"
	}
	return bare(g, *v)
}

// bare is a value without its unit, for the limits behind it.
func bare(g api.Gate, v float64) string {
	text, _, _ := strings.Cut(compare.FormatValue(g, v), " ")
	return text
}

// Runs writes a number of runs.
func Runs(n int64) string { return plural(n, "run") }

func plural(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.FormatInt(n, 10) + " " + what
}
