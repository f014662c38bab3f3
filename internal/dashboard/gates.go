package dashboard

import (
	"math"
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
)

// gateRow is a gate as every page shows it: both cohorts, their difference, the verdict.
type gateRow struct {
	// Name says what is compared, such as "success rate".
	Name string
	// Terms are which way is better, what is tolerated and what a breach does.
	Terms               string
	Baseline, Candidate cohortCell
	// Difference and its Interval are in words, Kind says which interval it
	// is, and Plot draws it; all are empty before there is one.
	Difference, Interval, Kind string
	Plot                       *differencePlot
	// OneLook is the ordinary interval, where another one decides.
	OneLook string
	Verdict api.Outcome
	// Signal is whether it is only watched.
	Signal bool
	// Reason says why the verdict is not clean; empty where it is, and of a signal.
	Reason string
	// Hides is the smallest harm that so few runs could still hide; empty where nothing limits it, or where there is harm.
	Hides string
	Pairs *comparedPairs
}

// cohortCell is the figure of one release in words.
type cohortCell struct{ Value, Interval, Runs string }

// gateRows writes out a list of gates. All rates share one axis; any other
// metric has its own, with zero in the same place.
func gateRows(results []api.GateResult) []gateRow {
	far := 0.0
	for _, g := range results {
		if g.Statistic == api.StatisticRate {
			far = max(far, reach(g))
		}
	}
	rows := make([]gateRow, 0, len(results))
	for _, g := range results {
		if g.Statistic == api.StatisticRate {
			rows = append(rows, gateRowOf(g, far))
		} else {
			rows = append(rows, gateRowOf(g, reach(g)))
		}
	}
	return rows
}

// gateRowOf draws on an axis that reaches so far on both sides of zero.
func gateRowOf(g api.GateResult, far float64) gateRow {
	row := gateRow{
		Name: nameOf(g.Gate), Terms: termsOf(g.Gate), Baseline: cellOf(g.Gate, g.Baseline), Candidate: cellOf(g.Gate, g.Candidate),
		Verdict: g.Verdict, Signal: g.On == api.OnWarn, Pairs: pairsOf(g.Pairs),
	}
	if g.Verdict != api.Clean && !row.Signal {
		row.Reason = g.Reason.Text
	}
	if g.Hides != nil && g.Verdict != api.Regressed && !row.Signal {
		row.Hides = unsigned(compare.FormatChange(g.Gate, math.Abs(*g.Hides)))
	}
	d := differenceOf(g)
	if d == nil {
		return row
	}
	row.Difference, row.Interval = differenceText(g.Gate, *d)
	row.Kind = d.Method
	if g.Difference == nil {
		row.Kind += ", of a single look"
	}
	if one := oneLookOf(g); one != nil {
		_, row.OneLook = differenceText(g.Gate, *one)
	}
	row.Plot = plotDifference(g, far)
	return row
}

// differenceOf is that which decides, or else the ordinary one; nil before there is any.
func differenceOf(g api.GateResult) *api.Difference {
	if g.Difference != nil {
		return g.Difference
	}
	return g.OneLook
}

// oneLookOf is the ordinary difference where another one decides, else nil.
func oneLookOf(g api.GateResult) *api.Difference {
	if g.Difference == nil || g.OneLook == nil || *g.OneLook == *g.Difference {
		return nil
	}
	return g.OneLook
}

// differenceText is the estimate with its unit, and the interval without.
func differenceText(g api.Gate, d api.Difference) (estimate, interval string) {
	estimate = compare.FormatChange(g, d.Estimate)
	return estimate, strings.TrimSuffix(strings.TrimPrefix(compare.FormatDifference(g, d), estimate+" ("), ")")
}

// unsigned takes the sign from a size that is always a harm.
func unsigned(change string) string { return strings.TrimPrefix(change, "+") }

// tolerated is the margin in units of the metric, at least 0; a relative one of an unknown baseline is 0.
func tolerated(g api.GateResult) float64 {
	switch {
	case !g.Margin.Relative:
		return g.Margin.Value
	case g.Tolerated != nil:
		return *g.Tolerated
	case g.Baseline.Value == nil:
		return 0
	}
	return g.Margin.Value * math.Abs(*g.Baseline.Value)
}

// harmLine is where harm begins, signed: −0.02 tolerates a loss of 0.02.
func harmLine(g api.GateResult) float64 {
	if g.Better == api.BetterHigher {
		return -tolerated(g)
	}
	return tolerated(g)
}

func nameOf(g api.Gate) string {
	name := g.Metric + " " + string(g.Statistic)
	if g.Pair != "" {
		name += " of pairs"
	}
	return name
}

func termsOf(g api.Gate) string {
	terms := string(g.Better) + " is better"
	if g.Margin.Value != 0 {
		margin := g.Margin.String()
		if !g.Margin.Relative {
			margin = unsigned(compare.FormatChange(g, g.Margin.Value))
		}
		terms += ", margin " + margin
	}
	if g.On == api.OnHold {
		terms += ", holds only"
	}
	return terms
}

func cellOf(g api.Gate, c api.CohortFigure) cohortCell {
	cell := cohortCell{Value: "–", Runs: plural(c.N, "run")}
	if g.Pair != "" {
		cell.Runs = plural(c.N, "probe")
	}
	if c.Missing > 0 {
		cell.Runs += ", " + strconv.FormatInt(c.Missing, 10) + " without it"
	}
	if c.Value == nil {
		return cell
	}
	cell.Value = compare.FormatValue(g, *c.Value)
	if c.Lo != nil || c.Hi != nil {
		cell.Interval = limitText(g, c.Lo) + " … " + limitText(g, c.Hi)
	}
	return cell
}

// cohortText is the figure of a release in one line.
func cohortText(g api.Gate, c api.CohortFigure) string {
	cell := cellOf(g, c)
	if cell.Interval == "" {
		return cell.Value
	}
	return cell.Value + " (" + cell.Interval + ")"
}

// limitText is one end of an interval without its unit; so few runs may not have it.
func limitText(g api.Gate, v *float64) string {
	if v == nil {
		return "?"
	}
	text, _, _ := strings.Cut(compare.FormatValue(g, *v), " ")
	return text
}
