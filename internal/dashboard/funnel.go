package dashboard

import (
	"fmt"
	"math"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
)

// funnel is the interval of a gate over the decisions that looked: what it
// could be is cut down from look to look.
type funnel struct {
	Title string
	// Text says its first and last interval in words.
	Text string
	// Area is the path of the intervals, Line that of the estimates.
	Area, Line string
	Points     []funnelPoint
	Zero       float64
	Margin     float64
	HasMargin  bool
	// Top and Bottom name the ends of the vertical axis.
	Top, Bottom string
	// Worse says at which end harm is.
	WorseBelow bool
	Verdict    api.Outcome
}

type funnelPoint struct {
	X, Y  float64
	Title string
}

// The drawing of a funnel, and how many decisions it shows at most.
const (
	funnelWidth  = 640.0
	funnelHeight = 140.0
	funnelEdge   = 10.0
	mostPoints   = 80
)

// funnels draws one for each gate of the policy that decides and was looked at twice.
// verdict is the newest, for margins that are relative to the baseline; it may be nil.
func funnels(r api.Rollout, decisions []api.Decision, verdict *api.Verdict) []funnel {
	var out []funnel
	for _, g := range r.Policy.Gates {
		if g.On == api.OnWarn {
			continue
		}
		now := api.GateResult{Gate: g}
		if verdict != nil {
			for _, result := range verdict.Gates {
				if result.ID() == g.ID() {
					now = result
				}
			}
		}
		if f, ok := funnelOf(now, decisions); ok {
			out = append(out, f)
		}
	}
	return out
}

type funnelLook struct {
	d        api.Difference
	verdict  api.Outcome
	sequence int64
}

// looksAt are the intervals of a gate that differ from the one before.
func looksAt(g api.Gate, decisions []api.Decision) []funnelLook {
	var looks []funnelLook
	for _, d := range decisions {
		for _, x := range d.Gates {
			if x.Gate != g.ID() || x.Difference == nil {
				continue
			}
			if n := len(looks); n > 0 && looks[n-1].d == *x.Difference {
				continue
			}
			looks = append(looks, funnelLook{*x.Difference, x.Verdict, d.Sequence})
		}
	}
	return looks[max(0, len(looks)-mostPoints):]
}

// heights are the ends of the vertical axis; zero is always on it.
type heights struct{ from, to float64 }

func (s *heights) hold(values ...float64) {
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			s.from, s.to = min(s.from, v), max(s.to, v)
		}
	}
}

func funnelOf(now api.GateResult, decisions []api.Decision) (funnel, bool) {
	g := now.Gate
	looks := looksAt(g, decisions)
	if len(looks) < 2 {
		return funnel{}, false
	}
	last := looks[len(looks)-1]
	line := harmLine(now)
	s := heights{}
	s.hold(line)
	for _, l := range looks {
		s.hold(l.d.Lo, l.d.Hi, l.d.Estimate)
	}
	y := func(v float64) float64 {
		if !(s.to > s.from) {
			return funnelHeight / 2
		}
		share := (v - s.from) / (s.to - s.from)
		return round(funnelHeight - funnelEdge - min(max(share, 0), 1)*(funnelHeight-2*funnelEdge))
	}
	x := func(i int) float64 {
		return round(funnelEdge + float64(i)/float64(len(looks)-1)*(funnelWidth-2*funnelEdge))
	}
	f := funnel{
		Title: nameOf(g), Zero: y(0), Margin: y(line), HasMargin: line != 0, Verdict: last.verdict, WorseBelow: g.Better == api.BetterHigher,
		Top: compare.FormatChange(g, s.to), Bottom: compare.FormatChange(g, s.from),
		Text: fmt.Sprintf("%s over %d looks: from %s to %s", nameOf(g), len(looks), compare.FormatDifference(g, looks[0].d), compare.FormatDifference(g, last.d)),
	}
	var upper, lower, middle strings.Builder
	for i, l := range looks {
		fmt.Fprintf(&upper, "%g,%g ", x(i), y(l.d.Hi))
		fmt.Fprintf(&middle, "%g,%g ", x(i), y(l.d.Estimate))
		f.Points = append(f.Points, funnelPoint{x(i), y(l.d.Estimate), fmt.Sprintf("decision %d: %s", l.sequence, compare.FormatDifference(g, l.d))})
	}
	for i := len(looks) - 1; i >= 0; i-- {
		fmt.Fprintf(&lower, "%g,%g ", x(i), y(looks[i].d.Lo))
	}
	f.Area, f.Line = strings.TrimSpace(upper.String()+lower.String()), strings.TrimSpace(middle.String())
	return f, true
}

// ledgerRow is the error budget of a gate and what was spent of it.
type ledgerRow struct {
	api.LedgerGate
	// UsedWidth and AllowedWidth are shares of the budget, in percent.
	UsedWidth, AllowedWidth float64
	// Evidence is the share of the planned information that is in, in percent.
	Evidence float64
}

func ledgerRows(r api.Rollout) []ledgerRow {
	rows := make([]ledgerRow, 0, len(r.Ledger.Gates))
	part := func(of, all float64) float64 {
		if !(all > 0) {
			return 0
		}
		return round(min(100*of/all, 100))
	}
	for _, g := range r.Ledger.Gates {
		rows = append(rows, ledgerRow{g, part(g.Used, g.Budget), part(g.Allowed, g.Budget), part(g.Information, g.Planned)})
	}
	return rows
}
