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
// others have an axis of their own. Harm is on the left of each, zero in the middle.
func TestCommonAxis(t *testing.T) {
	rows := gateRows([]api.GateResult{
		result("success:margin=0.02", -0.1, -0.2, 0.0, api.Regressed),
		result("flagged:margin=0.05", 0.1, 0.0, 0.2, api.Clean),
		result("latency_ms:mean", 30, -10, 70, api.Clean),
	})
	a, b, c := rows[0].Plot, rows[1].Plot, rows[2].Plot
	if a.Zero != plotWidth/2 || b.Zero != a.Zero || c.Zero != a.Zero || a.Hi != a.Zero || b.Hi != b.Zero || a.Lo != b.Lo || a.At != b.At {
		t.Errorf("%+v\n%+v\n%+v", a, b, c)
	}
	// The axis of 232 reaches 0.21 to both sides, so that a margin of 0.02 lies at (1 − 2/21) / 2 of it.
	if *a.Margin != round(plotEdge+116*19./21) || *b.Margin != round(plotEdge+116*16./21) || c.Margin != nil {
		t.Errorf("margins at %v and %v", *a.Margin, *b.Margin)
	}
	if a.Lo != round(plotEdge+116*1./21) || c.Lo != a.Lo || a.Left != "−21.0 points" || b.Left != "+21.0 points" || c.Left != "+73.5 ms" {
		t.Errorf("%+v", c)
	}
	for i, want := range []string{
		"success rate: difference −10.0 points (−20.0 … 0.0), margin 2.0 points, regressed; worse to the left",
		"flagged rate: difference +10.0 points (0.0 … +20.0), margin 5.0 points, clean; worse to the left",
		"latency_ms mean: difference +30.0 ms (−10.0 … +70.0), clean; worse to the left",
	} {
		if got := rows[i].Plot.Text; got != want {
			t.Error(got)
		}
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
	none.Difference, none.Reason.Text = nil, "too few"
	if row := gateRows([]api.GateResult{none})[0]; row.Plot != nil || row.Difference != "" || row.Baseline.Value != "–" || row.Reason != "too few" {
		t.Errorf("%+v", row)
	}
	none.OneLook = &api.Difference{Estimate: 0.1, Lo: 0, Hi: 0.2, Method: "newcombe", Open: api.OpenHi}
	none.Baseline = api.CohortFigure{N: 3, Missing: 2}
	if row := gateRows([]api.GateResult{none})[0]; row.Plot == nil || !row.Plot.OpenHi || row.Plot.OpenLo || row.Plot.OneLook != nil || row.Kind != "newcombe, of a single look" ||
		row.Difference != "+10.0 points" || row.Interval != "0.0 … >+20.0" || row.Baseline.Runs != "3 runs, 2 without it" {
		t.Errorf("%+v %+v", row, row.Plot)
	}
	both := result("success", 0.1, 0, 0.2, api.Clean)
	both.Reason.Text = "it is clean"
	both.OneLook = &api.Difference{Estimate: 0.1, Lo: 0.05, Hi: 0.15}
	row := gateRows([]api.GateResult{both})[0]
	if one := row.Plot.OneLook; one == nil || one.Lo <= row.Plot.Lo || one.Hi >= row.Plot.Hi || row.OneLook != "+5.0 … +15.0" || row.Reason != "" || !strings.Contains(row.Plot.Text, ", one look +5.0 … +15.0, clean") {
		t.Errorf("%+v %+v", row, row.Plot)
	}
	both.Better = api.BetterLower // and mirrored with the interval that decides
	if p := gateRows([]api.GateResult{both})[0].Plot; !(p.Lo < p.OneLook.Lo && p.OneLook.Lo < p.At && p.At < p.OneLook.Hi && p.OneLook.Hi < p.Hi && p.Hi == p.Zero) {
		t.Errorf("%+v", p)
	}
	hidden := 0.3
	both.Hides = &hidden
	if row := gateRows([]api.GateResult{both})[0]; row.Hides != "30.0 points" {
		t.Errorf("hides %s", row.Hides)
	}
	both.Verdict, both.On = api.Regressed, api.OnWarn
	if row := gateRows([]api.GateResult{both})[0]; !row.Signal || row.Reason != "" || row.Hides != "" || row.Plot.Colour != "warn" || strings.Contains(row.Plot.Text, "regressed") {
		t.Errorf("a signal: %+v", row)
	}
}

// Whatever the figures are, the drawing stays within its width.
func FuzzPlot(f *testing.F) {
	f.Add(-0.1, -0.3, 0.1, 0.02)
	f.Add(math.Inf(-1), math.NaN(), math.MaxFloat64, 0.0)
	f.Add(-math.MaxFloat64, math.MaxFloat64, math.MaxFloat64, 1e300)
	f.Fuzz(func(t *testing.T, estimate, lo, hi, margin float64) {
		g := result("score", estimate, lo, hi, api.Clean)
		g.Margin.Value = margin
		p := gateRows([]api.GateResult{g})[0].Plot
		places := []float64{p.Lo, p.Hi, p.At, p.Zero}
		if p.Margin != nil {
			places = append(places, *p.Margin)
		}
		for _, x := range places {
			if !(x >= 0 && x <= plotWidth) {
				t.Errorf("%v in %+v", x, p)
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
