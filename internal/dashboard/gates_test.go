package dashboard

import (
	"math"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
)

func result(gate string, estimate, lo, hi float64, verdict api.Outcome) api.GateResult {
	g := must(api.ParseGate(gate))
	return api.GateResult{Gate: g, Difference: &api.Difference{Estimate: estimate, Lo: lo, Hi: hi, Method: "m"}, Verdict: verdict}
}

// Gates of one unit share an axis, so that one can be compared with the other;
// others have an axis of their own.
func TestCommonAxis(t *testing.T) {
	rows := gateRows([]api.GateResult{
		result("success:margin=0.02", -0.1, -0.2, 0.0, api.Regressed),
		result("flagged:margin=0.05", 0.1, 0.0, 0.2, api.Clean),
		result("latency_ms:mean", 30, -10, 70, api.Clean),
	})
	a, b, c := rows[0].Axis, rows[1].Axis, rows[2].Axis
	if a.Zero != axisWidth/2 || b.Zero != a.Zero || a.Lo != axisEdge || b.Hi != axisWidth-axisEdge || a.Hi != a.Zero || b.Lo != b.Zero {
		t.Errorf("%+v\n%+v", a, b)
	}
	// From −0.2 to 0.2 the margins of 0.02 and 0.05 lie at 45 and 62.5 % of 276.
	if a.Margin != round(axisEdge+0.45*276) || b.Margin != round(axisEdge+0.625*276) || !a.HasMargin {
		t.Errorf("margins at %v and %v", a.Margin, b.Margin)
	}
	if c.Lo != axisEdge || c.Hi != axisWidth-axisEdge || c.Zero != round(axisEdge+0.125*276) || c.HasMargin {
		t.Errorf("%+v", c)
	}
	if a.Left != "worse" || a.Right != "better" || b.Left != "better" || b.Right != "worse" {
		t.Errorf("%s %s, %s %s", a.Left, a.Right, b.Left, b.Right)
	}
	if !strings.Contains(a.Text, "success rate: −10.0 points (−20.0 … 0.0), regressed") {
		t.Error(a.Text)
	}
}

// A margin that is relative to the baseline is drawn where the verdict says it is.
func TestRelativeMargin(t *testing.T) {
	g := result("latency_ms:mean:margin=10%", 0, -10, 10, api.Clean)
	if got := harmLine(g); got != 0 {
		t.Errorf("of an unknown baseline: %v", got)
	}
	value, tolerated := 800.0, 75.0
	g.Baseline.Value = &value
	if got := harmLine(g); got != 80 {
		t.Errorf("10 %% of 800: %v", got)
	}
	g.Tolerated = &tolerated
	if got := harmLine(g); got != 75 {
		t.Errorf("as decided: %v", got)
	}
	g.Better = api.BetterHigher
	if got := harmLine(g); got != -75 {
		t.Errorf("of a metric that should be high: %v", got)
	}
}

// What the figures are missing, or are beyond, the row says in words.
func TestGateRow(t *testing.T) {
	none := result("success", 0, 0, 0, api.Insufficient)
	none.Difference = nil
	if row := gateRows([]api.GateResult{none})[0]; row.Axis != nil || row.Difference != "none yet" || row.Baseline.Value != "–" {
		t.Errorf("%+v", row)
	}
	none.OneLook = &api.Difference{Estimate: 0.1, Lo: 0, Hi: 0.2, Method: "newcombe", Open: api.OpenHi}
	none.Baseline = api.CohortFigure{N: 3, Missing: 2}
	if row := gateRows([]api.GateResult{none})[0]; row.Axis == nil || !row.Axis.OpenHi || row.Axis.OpenLo || row.Axis.One != nil || row.Kind != "newcombe, of a single look" ||
		row.Difference != "+10.0 points (0.0 … >+20.0)" || row.Baseline.Counts != "3 runs, 2 without it" {
		t.Errorf("%+v %+v", row, row.Axis)
	}
	both := result("success", 0.1, 0, 0.2, api.Clean)
	both.OneLook = &api.Difference{Estimate: 0.1, Lo: 0.05, Hi: 0.15}
	if row := gateRows([]api.GateResult{both})[0]; row.Axis.One == nil || row.Axis.One[0] <= row.Axis.Lo || row.Axis.One[1] >= row.Axis.Hi || row.OneLookText == "" {
		t.Errorf("%+v", row.Axis)
	}
}

// Whatever the figures are, the drawing stays within its width.
func FuzzAxis(f *testing.F) {
	f.Add(-0.1, -0.3, 0.1, 0.02)
	f.Add(math.Inf(-1), math.NaN(), math.MaxFloat64, 0.0)
	f.Add(-math.MaxFloat64, math.MaxFloat64, math.MaxFloat64, 1e300)
	f.Fuzz(func(t *testing.T, estimate, lo, hi, margin float64) {
		g := result("score", estimate, lo, hi, api.Clean)
		g.Margin.Value = margin
		a := gateRows([]api.GateResult{g})[0].Axis
		for _, x := range []float64{a.Lo, a.Hi, a.At, a.Zero, a.Margin} {
			if !(x >= 0 && x <= axisWidth) {
				t.Errorf("%v in %+v", x, a)
			}
		}
	})
}

func TestFunnel(t *testing.T) {
	ro := api.Rollout{Policy: api.Policy{Gates: []api.Gate{must(api.ParseGate("success:margin=0.1")), must(api.ParseGate("flagged:on=warn"))}}}
	at := func(sequence int64, estimate, lo, hi float64) api.Decision {
		return api.Decision{Sequence: sequence, Gates: []api.DecisionGate{
			{Gate: "success:rate", Verdict: api.Clean, Difference: &api.Difference{Estimate: estimate, Lo: lo, Hi: hi}},
			{Gate: "flagged:rate", Verdict: api.Clean, Difference: &api.Difference{Estimate: estimate, Lo: lo, Hi: hi}},
		}}
	}
	decisions := []api.Decision{at(1, 0, -0.4, 0.4), {Sequence: 2}, at(3, 0, -0.4, 0.4), at(4, 0.1, -0.1, 0.3)}
	if got := funnels(ro, decisions[:3], nil); got != nil {
		t.Errorf("of one look: %+v", got)
	}
	got := funnels(ro, decisions, nil)
	if len(got) != 1 || len(got[0].Points) != 2 {
		t.Fatalf("%+v", got)
	}
	f := got[0]
	// 0.4 is the top, −0.4 the bottom, in 10 … 130.
	if f.Zero != 70 || f.Margin != 85 || f.Area != "10,10 630,25 630,85 10,130" || f.Line != "10,70 630,55" || !f.WorseBelow || f.Top != "+40.0 points" {
		t.Errorf("%+v", f)
	}
	if !strings.HasPrefix(f.Points[1].Title, "decision 4: +10.0 points") {
		t.Error(f.Points[1].Title)
	}
	// A margin that is relative to the baseline is where the newest verdict has it.
	ro.Policy.Gates[0].Margin = api.Margin{Value: 0.1, Relative: true}
	tolerated := 0.2
	newest := &api.Verdict{Gates: []api.GateResult{{Gate: ro.Policy.Gates[0], Tolerated: &tolerated}}}
	if f := funnels(ro, decisions, newest)[0]; f.Margin != 100 || !f.HasMargin {
		t.Errorf("%+v", f)
	}
	var many []api.Decision
	for i := range int64(300) {
		many = append(many, at(i, float64(i)/1000, -1, 1))
	}
	if n := len(funnels(ro, many, nil)[0].Points); n != mostPoints {
		t.Errorf("%d points", n)
	}
}
