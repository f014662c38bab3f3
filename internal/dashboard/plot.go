package dashboard

import (
	"math"
	"slices"
	"strconv"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
)

// The size of a drawing of an interval, in its own units, and the room that it
// leaves on both sides.
const (
	plotWidth  = 260
	plotHeight = 40
	plotEdge   = 14
)

// differencePlot is the interval of a difference as it is drawn. Harm is always
// on the left and zero always in the middle, so that the rows of a page share
// an axis whatever their units are and whichever way is better.
type differencePlot struct {
	Width, Height int
	// Colour is the verdict of a gate, and of a signal signal or warn.
	Colour string
	drawnInterval
	// OneLook is the ordinary interval, where another one decides.
	OneLook *drawnInterval
	Zero    float64
	// Margin is where the tolerated harm ends; nil without a margin.
	Margin *float64
	// Left and Right are what the ends of the axis stand for, empty where nothing differs; Text says all of it in words.
	Left, Right, Text string
}

// drawnInterval is an interval as places on the axis, Lo being the harmful end.
type drawnInterval struct {
	Lo, At, Hi float64
	// OpenLo and OpenHi mark limits that so few runs do not have.
	OpenLo, OpenHi bool
}

// reach is how far the figures of a gate go from zero, in units of the metric:
// what the axis must hold on either side. It is 0 before there is a difference.
func reach(g api.GateResult) float64 {
	far := 0.0
	for _, d := range []*api.Difference{g.Difference, g.OneLook} {
		if d != nil {
			far = max(far, math.Abs(d.Lo), math.Abs(d.Hi), math.Abs(d.Estimate), math.Abs(tolerated(g)))
		}
	}
	return far
}

// plotDifference draws on an axis that reaches so far on both sides of zero.
// The gate has a difference.
func plotDifference(g api.GateResult, far float64) *differencePlot {
	const air = 1.05 // so that no end touches the edge
	far *= air
	ends := far > 0 && !math.IsInf(far, 0)
	if !ends {
		far = 1
	}
	goodness := 1.0
	if g.Better == api.BetterLower {
		goodness = -1
	}
	at := func(v float64) float64 { return onAxis((goodness*v/far + 1) / 2) }
	p := &differencePlot{
		Width: plotWidth, Height: plotHeight, Colour: plotColour(g), Zero: at(0), drawnInterval: intervalOf(g.Better, *differenceOf(g), at), Text: plotText(g),
	}
	if one := oneLookOf(g); one != nil {
		s := intervalOf(g.Better, *one, at)
		p.OneLook = &s
	}
	if ends {
		p.Left, p.Right = compare.FormatChange(g.Gate, -goodness*far), compare.FormatChange(g.Gate, goodness*far)
	}
	if harmLine(g) != 0 {
		m := at(harmLine(g))
		p.Margin = &m
	}
	return p
}

func intervalOf(better api.Better, d api.Difference, at func(float64) float64) drawnInterval {
	openLo, openHi := d.Open == api.OpenLo || d.Open == api.OpenBoth, d.Open == api.OpenHi || d.Open == api.OpenBoth
	if better == api.BetterLower {
		return drawnInterval{Lo: at(d.Hi), At: at(d.Estimate), Hi: at(d.Lo), OpenLo: openHi, OpenHi: openLo}
	}
	return drawnInterval{Lo: at(d.Lo), At: at(d.Estimate), Hi: at(d.Hi), OpenLo: openLo, OpenHi: openHi}
}

// plotText says what the drawing shows.
func plotText(g api.GateResult) string {
	text := nameOf(g.Gate) + ": difference " + compare.FormatDifference(g.Gate, *differenceOf(g))
	if m := tolerated(g); m != 0 {
		text += ", margin " + unsigned(compare.FormatChange(g.Gate, m))
	}
	if one := oneLookOf(g); one != nil {
		_, interval := differenceText(g.Gate, *one)
		text += ", one look " + interval
	}
	if g.On != api.OnWarn {
		text += ", " + string(g.Verdict)
	}
	return text + "; worse to the left"
}

func plotColour(g api.GateResult) string {
	switch {
	case g.On != api.OnWarn:
		return string(g.Verdict)
	case g.Verdict == api.Regressed:
		return "warn"
	}
	return "signal"
}

// ratePlot is a rate with its interval on the axis from 0 to 100 %, or a part
// of it.
type ratePlot struct {
	Width, Height int
	Lo, Hi, At    float64
	// CutLo and CutHi mark ends that lie beyond the axis, Outside a rate that does.
	CutLo, CutHi, Outside bool
	Text                  string
}

// rateAxis is the part of the axis that some rates need.
type rateAxis struct{ From, To float64 }

// enoughToScale is how many runs a release needs to choose the axis, where
// others have so many: the interval of a few runs would hide all the others.
const enoughToScale = 30

// ratesAxis holds the figures of enough runs, or all where none has enough, and ends on whole tenths.
func ratesAxis(figures []api.CohortFigure) rateAxis {
	few := func(f api.CohortFigure) bool { return f.N < enoughToScale }
	if enough := slices.DeleteFunc(slices.Clone(figures), few); len(enough) > 0 {
		figures = enough
	}
	a := rateAxis{1, 0}
	for _, f := range figures {
		if f.Value == nil || f.Lo == nil || f.Hi == nil {
			continue
		}
		a.From, a.To = min(a.From, *f.Lo), max(a.To, *f.Hi)
	}
	if a.From > a.To {
		return rateAxis{0, 1}
	}
	const tenths = 10
	a.From, a.To = math.Floor(a.From*tenths)/tenths, math.Ceil(a.To*tenths)/tenths
	if a.From == a.To { // only where all is 0 or 1
		a.From, a.To = max(a.From-1/float64(tenths), 0), min(a.To+1/float64(tenths), 1)
	}
	return a
}

// Left and Right are the ends in words.
func (a rateAxis) Left() string { return strconv.FormatFloat(a.From*100, 'f', 0, 64) + " %" }

// Right is the other end.
func (a rateAxis) Right() string { return strconv.FormatFloat(a.To*100, 'f', 0, 64) + " %" }

// plot is nil for a figure without an interval.
func (a rateAxis) plot(name string, f api.CohortFigure) *ratePlot {
	if f.Value == nil || f.Lo == nil || f.Hi == nil {
		return nil
	}
	at := func(v float64) float64 { return onAxis((v - a.From) / (a.To - a.From)) }
	return &ratePlot{
		Width: plotWidth, Height: plotHeight / 2, Lo: at(*f.Lo), Hi: at(*f.Hi), At: at(*f.Value),
		CutLo: *f.Lo < a.From, CutHi: *f.Hi > a.To, Outside: *f.Value < a.From || *f.Value > a.To,
		Text: name + " " + cohortText(api.Gate{Statistic: api.StatisticRate}, f),
	}
}

// onAxis is where a share of the axis lies in a drawing; what is no number lies in the middle.
func onAxis(share float64) float64 {
	if math.IsNaN(share) {
		share = 0.5
	}
	return round(plotEdge + min(max(share, 0), 1)*(plotWidth-2*plotEdge))
}

// round keeps a tenth of a unit: more cannot be seen.
func round(v float64) float64 { return math.Round(v*10) / 10 }
