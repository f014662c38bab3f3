package compare

import (
	"math"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// A limit that contradicts the decision is put on the margin, or just short of it.
func TestOnSide(t *testing.T) {
	below := func(v float64) float64 { return math.Nextafter(v, math.Inf(-1)) }
	above := func(v float64) float64 { return math.Nextafter(v, math.Inf(1)) }
	for _, c := range []struct {
		limit, margin float64
		regressed     bool
		side, want    float64
	}{
		{5, 3, true, 1, 5},
		{3, 3, true, 1, 3},
		{2, 3, true, 1, 3},
		{-2, 0, true, 1, 0},
		{0.5, 0.25, true, 1, 0.5},
		{2, 3, false, 1, 2},
		{3, 3, false, 1, below(3)},
		{5, 3, false, 1, below(3)},
		{0, 0, false, 1, below(0)},
		{0.5, 0.25, false, 1, below(0.25)},
		{0.25, 0.5, false, 1, 0.25},
		{-5, -3, true, -1, -5},
		{-2, -3, true, -1, -3},
		{-2, -3, false, -1, -2},
		{-5, -3, false, -1, above(-3)},
		{-3, -3, false, -1, above(-3)},
	} {
		if got := onSide(c.limit, c.margin, c.regressed, c.side); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// The limit towards harm is at the level of the look, the other one at 2.5 %.
func TestQuantileLimitsOfALook(t *testing.T) {
	values, shifted := make([]float64, 200), make([]float64, 200)
	for i := range values { // wider apart above than below
		values[i] = float64(i * i)
		shifted[i] = values[i] + 1e4
	}
	base := runs(t, values...)
	for _, text := range []string{"x:p50:better=lower", "x:p50:better=higher"} {
		g := parsed(t, text)
		q := Question{Confidence: 0.95, Strata: []Stratum{{Candidate: runs(t, shifted...), Baseline: base}}}
		if g.Better == api.BetterHigher {
			q.Strata[0] = Stratum{Candidate: base, Baseline: runs(t, shifted...)}
		}
		for _, level := range []float64{0.001, 0.01, 0.2, 0.6} {
			z := max(-stats.NormalQuantile(level), 0)
			near, far := q.quantileDifference(g, z, max(1-2*level, 0.5)), q.quantileDifference(g, stats.Critical(0.95), 0.95)
			want := [2]float64{near.Lo, far.Hi}
			if g.Better == api.BetterHigher {
				want = [2]float64{far.Lo, near.Hi}
			}
			got := q.quantileAtLook(g, &Tested{Tested: true, Level: level, Regressed: true}, 0)
			if math.Abs(got.Lo-want[0]) > 1e-9 || math.Abs(got.Hi-want[1]) > 1e-9 || got.Estimate != near.Estimate || got.Open != "" {
				t.Errorf("%s at level %v: %+v, want %v", text, level, *got, want)
			}
		}
	}
	q := Question{Confidence: 0.95, Strata: []Stratum{{Candidate: base, Baseline: base}}}
	for _, tested := range []Tested{{Level: 0.01}, {Tested: true}, {Tested: true, Level: 1}, {Tested: true, Level: math.NaN()}} {
		if got := q.quantileAtLook(parsed(t, "x:p50:better=lower"), &tested, 0); got != nil {
			t.Errorf("%+v: %+v", tested, *got)
		}
	}
	if got := (Question{}).quantileDifference(parsed(t, "x:p50:better=lower"), 2, 0.95); got != nil {
		t.Errorf("of no stratum: %+v", *got)
	}
	// Six values have no limit below their median at 1.2 % (2^-6 is 1.6 %), and one at 1.8 %.
	q.Strata[0] = Stratum{Candidate: runs(t, upTo(6)...), Baseline: base}
	for level, want := range map[float64]string{0.012: api.OpenLo, 0.018: ""} {
		got := q.quantileAtLook(parsed(t, "x:p50:better=lower"), &Tested{Tested: true, Level: level}, 0)
		if lo := got.Open == api.OpenLo || got.Open == api.OpenBoth; lo != (want == api.OpenLo) {
			t.Errorf("level %v: open %q", level, got.Open)
		}
	}
}

// The cohort that is too small is named, with what it needs.
func TestFewForQuantile(t *testing.T) {
	open := func(g api.Gate) figures {
		d := api.Difference{Open: api.OpenLo}
		if g.Better == api.BetterHigher {
			d.Open = api.OpenHi
		}
		return figures{oneLook: &d}
	}
	for _, c := range []struct {
		gate                string
		candidate, baseline int64
		cohort              string
		need                int64
	}{
		{"x:p95:better=lower", 1000, 50, "baseline", 72}, // 0.95^72 is below 2.5 %, 0.95^71 is not
		{"x:p95:better=lower", 0, 1000, "candidate", 1},
		{"x:p50:better=lower", 5, 100, "candidate", 6},
		{"x:p50:better=lower", 6, 5, "baseline", 6},
		{"x:p50:better=lower", 5, 6, "candidate", 6},
		{"x:p95:better=higher", 50, 1000, "candidate", 72},
		{"x:p50:better=higher", 100, 5, "baseline", 6},
		{"x:p50:better=higher", 100, 100, "", 0},
	} {
		g := parsed(t, c.gate)
		f := open(g)
		f.reports = [2]int64{BaselineSide: c.baseline, CandidateSide: c.candidate}
		why, few := Question{Confidence: 0.95}.fewForQuantile(g, f)
		if c.cohort == "" {
			if !few || why.Code != ReasonCannotRegress {
				t.Errorf("%+v: %+v %t", c, why, few)
			}
			continue
		}
		if !few || why.Code != ReasonTooFewRuns || why.Params["cohort"] != c.cohort || c.need > 1 && why.Params["need"] != c.need {
			t.Errorf("%+v: %+v %t", c, why, few)
		}
	}
	g := parsed(t, "x:p50:better=lower")
	for _, f := range []figures{{}, {oneLook: &api.Difference{Open: api.OpenHi}}} {
		if _, few := (Question{Confidence: 0.95}).fewForQuantile(g, f); few {
			t.Error("the limit that decides is there")
		}
	}
}

// A relative margin is a share of the baseline that was compared.
func TestRelativeMargin(t *testing.T) {
	v := func(x float64) *float64 { return &x }
	look := figures{oneLook: &api.Difference{}}
	paired := figures{oneLook: &api.Difference{}}
	paired.baseline.Value = v(-4)
	two := Stratum{Candidate: runs(t, 1, 1), Baseline: runs(t, 10, 10)} // of weight 1
	alone := Stratum{Baseline: runs(t, 1000, 1000)}
	absent := Stratum{Candidate: runs(t, 1000, 1000)}
	for name, c := range map[string]struct {
		gate   string
		f      figures
		strata []Stratum
		want   float64
	}{
		"absolute":               {"x:mean:better=lower:margin=3", figures{}, nil, 3},
		"no difference":          {"x:mean:better=lower:margin=10%", figures{}, []Stratum{two}, 0},
		"a mean":                 {"x:mean:better=lower:margin=10%", look, []Stratum{two}, 1},
		"a quantile":             {"x:p50:better=lower:margin=10%", look, []Stratum{two}, 1},
		"one without candidates": {"x:p50:better=lower:margin=10%", look, []Stratum{alone, two}, 1},
		"one without a baseline": {"x:p50:better=lower:margin=10%", look, []Stratum{absent, two}, 1},
		"an empty one":           {"x:mean:better=lower:margin=10%", look, []Stratum{{}, two}, 1},
		"nothing compared":       {"x:mean:better=lower:margin=10%", look, []Stratum{alone}, 0},
	} {
		got := Question{Strata: c.strata}.margin(parsed(t, c.gate), c.f)
		if math.Abs(got-c.want) > 0.002 { // a quantile of bins
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	g := parsed(t, "x:mean:better=lower:margin=10%")
	g.Pair = api.PairProbe
	if got := (Question{}).margin(g, paired); got != 0.4 {
		t.Errorf("of pairs: %v", got)
	}
	if got := (Question{}).margin(g, look); got != 0 {
		t.Errorf("of pairs without a baseline: %v", got)
	}
	if got := stratumWeight(Metric{}, Metric{}); got != 0 {
		t.Errorf("the weight of nothing: %v", got)
	}
}
