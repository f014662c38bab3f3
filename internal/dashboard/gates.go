package dashboard

import (
	"math"
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/compare"
)

// gateRow is a gate with both cohorts and its interval.
type gateRow struct {
	api.GateResult
	// Title names what is compared, Terms what is tolerated and what a breach does.
	Title, Terms        string
	Baseline, Candidate cohortCell
	// Difference is written out, Kind says which interval it is.
	Difference, Kind string
	// OneLookText is the ordinary interval, where another one decides.
	OneLookText string
	Hides       string
	Axis        *axis
}

type cohortCell struct{ Value, Interval, Counts string }

// axis is an interval on a line with zero and the margin, in units of the drawing.
type axis struct {
	Lo, Hi, At, Zero, Margin float64
	// HasMargin is false where the margin is zero itself.
	HasMargin bool
	// OpenLo and OpenHi mark a limit that so few runs do not have.
	OpenLo, OpenHi bool
	// One is the ordinary interval, drawn thin; nil where there is no other.
	One         *[2]float64
	Left, Right string
	Verdict     api.Outcome
	Text        string
	// From and To are the ends of the axis in words.
	From, To string
}

// ZeroFits reports whether the word for zero has room beside those at the ends.
func (a axis) ZeroFits() bool { return a.Zero > 60 && a.Zero < axisWidth-60 }

// The drawing of an axis is axisWidth wide, and axisEdge is left free at both ends.
const (
	axisWidth = 300.0
	axisEdge  = 12.0
)

// scale maps values to the drawing.
type scale struct{ from, to float64 }

func (s *scale) hold(values ...float64) {
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			s.from, s.to = min(s.from, v), max(s.to, v)
		}
	}
}

func (s scale) at(v float64) float64 {
	if !(s.to > s.from) {
		return axisWidth / 2
	}
	share := (v - s.from) / (s.to - s.from)
	if math.IsNaN(share) {
		share = 0.5
	}
	return round(axisEdge + min(max(share, 0), 1)*(axisWidth-2*axisEdge))
}

// round keeps a tenth of a unit: more cannot be seen.
func round(v float64) float64 { return math.Round(v*10) / 10 }

// unitOf says which gates share an axis: all rates, and each other metric with itself.
func unitOf(g api.Gate) string {
	if g.Statistic == api.StatisticRate {
		return "rate"
	}
	return "metric " + g.Metric
}

// gateRows writes out gates, with one scale for all that share a unit.
func gateRows(results []api.GateResult) []gateRow {
	scales := map[string]*scale{}
	for _, g := range results {
		s := scales[unitOf(g.Gate)]
		if s == nil {
			s = &scale{}
			scales[unitOf(g.Gate)] = s
		}
		s.hold(0, harmLine(g))
		for _, d := range []*api.Difference{g.Difference, g.OneLook} {
			if d != nil {
				s.hold(d.Lo, d.Hi, d.Estimate)
			}
		}
	}
	rows := make([]gateRow, 0, len(results))
	for _, g := range results {
		rows = append(rows, rowOf(g, *scales[unitOf(g.Gate)]))
	}
	return rows
}

func rowOf(g api.GateResult, s scale) gateRow {
	row := gateRow{GateResult: g, Title: titleOf(g.Gate), Terms: termsOf(g.Gate), Baseline: cellOf(g.Gate, g.Baseline), Candidate: cellOf(g.Gate, g.Candidate), Difference: "none yet"}
	d := g.Difference
	if d == nil {
		d = g.OneLook
	}
	if d == nil {
		return row
	}
	row.Difference, row.Kind = compare.FormatDifference(g.Gate, *d), d.Method
	if g.Difference == nil {
		row.Kind += ", of a single look"
	} else if g.OneLook != nil && *g.OneLook != *g.Difference {
		row.OneLookText = compare.FormatDifference(g.Gate, *g.OneLook)
	}
	if g.Hides != nil && g.Verdict != api.Regressed {
		row.Hides = strings.TrimPrefix(compare.FormatChange(g.Gate, *g.Hides), "+")
	}
	row.Axis = axisOf(g, *d, s)
	return row
}

func axisOf(g api.GateResult, d api.Difference, s scale) *axis {
	a := &axis{
		Lo: s.at(d.Lo), Hi: s.at(d.Hi), At: s.at(d.Estimate), Zero: s.at(0), Margin: s.at(harmLine(g)), HasMargin: harmLine(g) != 0,
		OpenLo: d.Open == api.OpenLo || d.Open == api.OpenBoth, OpenHi: d.Open == api.OpenHi || d.Open == api.OpenBoth,
		Left: "worse", Right: "better", Verdict: g.Verdict, From: compare.FormatChange(g.Gate, s.from), To: compare.FormatChange(g.Gate, s.to),
	}
	if g.Better == api.BetterLower {
		a.Left, a.Right = a.Right, a.Left
	}
	if g.OneLook != nil && g.Difference != nil && *g.OneLook != *g.Difference {
		a.One = &[2]float64{s.at(g.OneLook.Lo), s.at(g.OneLook.Hi)}
	}
	a.Text = titleOf(g.Gate) + ": " + compare.FormatDifference(g.Gate, d) + ", " + string(g.Verdict)
	return a
}

// harmLine is where harm begins, signed: −0.02 tolerates a loss of 0.02.
func harmLine(g api.GateResult) float64 {
	margin := g.Margin.Value
	if g.Margin.Relative {
		switch {
		case g.Tolerated != nil:
			margin = *g.Tolerated
		case g.Baseline.Value != nil:
			margin *= math.Abs(*g.Baseline.Value)
		default:
			margin = 0
		}
	}
	if g.Better == api.BetterHigher {
		return -margin
	}
	return margin
}

func titleOf(g api.Gate) string {
	title := g.Metric + " " + string(g.Statistic)
	if g.Pair != "" {
		title += " of pairs"
	}
	return title
}

func termsOf(g api.Gate) string {
	parts := []string{string(g.Better) + " is better"}
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
	return strings.Join(parts, ", ")
}

func cellOf(g api.Gate, c api.CohortFigure) cohortCell {
	cell := cohortCell{Value: "–", Counts: plural(c.N, "run")}
	if g.Pair != "" {
		cell.Counts = plural(c.N, "probe")
	}
	if c.Missing > 0 {
		cell.Counts += ", " + strconv.FormatInt(c.Missing, 10) + " without it"
	}
	if c.Value == nil {
		return cell
	}
	cell.Value = compare.FormatValue(g, *c.Value)
	if c.Lo != nil || c.Hi != nil {
		cell.Interval = limit(g, c.Lo) + " … " + limit(g, c.Hi)
	}
	return cell
}

// limit is one end of an interval, without its unit; too few runs may not have it.
func limit(g api.Gate, v *float64) string {
	if v == nil {
		return "?"
	}
	text, _, _ := strings.Cut(compare.FormatValue(g, *v), " ")
	return text
}

// inputsTable is what became of the inputs that both releases ran.
type inputsTable struct {
	*authority.Inputs
	Title string
	Rows  []inputRow
}

type inputRow struct {
	Probe, Baseline, Candidate, Change string
	Worse                              bool
	Runs                               int64
}

func inputsOf(in *authority.Inputs) *inputsTable {
	if in == nil {
		return nil
	}
	t := &inputsTable{Inputs: in, Title: titleOf(in.Gate)}
	for _, c := range in.Changed {
		t.Rows = append(t.Rows, inputRow{
			Probe: c.Probe, Baseline: compare.FormatValue(in.Gate, c.Baseline), Candidate: compare.FormatValue(in.Gate, c.Candidate),
			Change: compare.FormatChange(in.Gate, c.Candidate-c.Baseline), Worse: c.Harm(in.Gate.Better) > 0, Runs: c.CandidateRuns + c.BaselineRuns,
		})
	}
	return t
}
