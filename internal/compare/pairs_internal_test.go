package compare

import (
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// pairsOf makes pairs of "x" by probe: the values of the candidate's runs, then of the baseline's.
func pairsOf(t *testing.T, probes map[string][2][]float64) map[string]Pairs {
	t.Helper()
	var up PairUp
	for probe, sides := range probes {
		for i, side := range []Side{CandidateSide, BaselineSide} {
			for _, v := range sides[i] {
				if err := up.Add(probe, side, map[string]api.Metric{"x": api.Number(v)}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return up.Pairs()
}

// numbered are n probes with one run of each release.
func numbered(n int, values func(i int) (candidate, baseline float64)) map[string][2][]float64 {
	out := map[string][2][]float64{}
	for i := range n {
		c, b := values(i)
		out["p"+count(int64(i))] = [2][]float64{{c}, {b}}
	}
	return out
}

func TestPartners(t *testing.T) {
	var up PairUp
	for probe, n := range map[string][2]int{"both": {2, 3}, "candidate": {5, 0}, "baseline": {0, 7}, "": {11, 13}} {
		for i, side := range []Side{CandidateSide, BaselineSide} {
			for range n[i] {
				if err := up.Add(probe, side, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if c, b := up.Partners(); c != (stats.Proportion{X: 2, N: 18}) || b != (stats.Proportion{X: 3, N: 23}) {
		t.Errorf("%+v %+v", c, b)
	}
	for p, want := range map[stats.Proportion]bool{{}: false, {X: 4, N: 5}: true, {X: 3, N: 4}: false, {X: 1, N: 1}: true} {
		if enoughPartners(p) != want {
			t.Errorf("%+v: %t", p, !want)
		}
	}
}

// A difference that no summary holds is told, also after strata are added up, and nothing is computed of it.
func TestPairsBeyond(t *testing.T) {
	far := pairsOf(t, numbered(40, func(int) (float64, float64) { return 9e17, -9e17 }))
	near := pairsOf(t, numbered(40, func(i int) (float64, float64) { return float64(i), 0 }))
	if !far["x"].Beyond || near["x"].Beyond {
		t.Errorf("%t %t", far["x"].Beyond, near["x"].Beyond)
	}
	for _, order := range [][2]map[string]Pairs{{far, near}, {near, far}} {
		sum := order[0]["x"]
		if sum.Merge(order[1]["x"]); !sum.Beyond {
			t.Error("it is forgotten")
		}
		q := Question{Confidence: 0.95, Strata: []Stratum{{Pairs: order[0]}, {Pairs: order[1]}}}
		if f := q.figures(parsed(t, "x:mean:better=lower:pair=probe"), false); f.oneLook != nil || f.candidate.Value != nil {
			t.Errorf("%+v", f)
		}
	}
}

// Without pairs, and with values that are no rate, a gate on pairs has counts and no figures.
func TestPairedWithoutFigures(t *testing.T) {
	odd := runs(t, 0.5)
	for name, c := range map[string]struct {
		gate    string
		stratum Stratum
		n       int64
		figures bool
	}{
		"none":       {"x:mean:better=lower:pair=probe", Stratum{Candidate: runs(t, 1, 2), Baseline: runs(t, 1)}, 0, false},
		"no rate":    {"x:rate:better=higher:pair=probe", Stratum{Candidate: odd, Pairs: pairsOf(t, numbered(9, func(int) (float64, float64) { return 1, 1 }))}, 9, false},
		"mean of it": {"x:mean:better=higher:pair=probe", Stratum{Candidate: odd, Pairs: pairsOf(t, numbered(9, func(i int) (float64, float64) { return float64(i), 1 }))}, 9, true},
		"a rate":     {"x:rate:better=higher:pair=probe", Stratum{Candidate: runs(t, 1, 1), Pairs: pairsOf(t, numbered(9, func(int) (float64, float64) { return 1, 0 }))}, 9, true},
	} {
		f := Question{Confidence: 0.95, Strata: []Stratum{c.stratum}}.figures(parsed(t, c.gate), false)
		if f.candidate.N != c.n || f.baseline.N != c.n || (f.oneLook != nil) != c.figures || (f.candidate.Value != nil) != c.figures || (f.baseline.Value != nil) != c.figures {
			t.Errorf("%s: %+v", name, f)
		}
		if want := [2]int64{BaselineSide: c.stratum.Baseline.Runs, CandidateSide: c.stratum.Candidate.Runs}; f.reports != want {
			t.Errorf("%s: reports %v", name, f.reports)
		}
	}
}

// The averages of a rate that are all 0 or 1 have Wilson's interval; others, and means, are resampled.
func TestIntervalsOfPairedCohorts(t *testing.T) {
	half := numbered(20, func(i int) (float64, float64) { return float64(i % 2), float64(i % 4 / 2) })
	averaged := numbered(20, func(i int) (float64, float64) { return float64(i % 2), float64(i % 4 / 2) })
	averaged["p0"] = [2][]float64{{0, 1}, {0}}
	wilson := stats.Wilson(stats.Proportion{X: 10, N: 20}, stats.Critical(0.95))
	for name, c := range map[string]struct {
		gate                string
		probes              map[string][2][]float64
		candidate, baseline bool // Wilson's
		method              string
	}{
		"rate":     {"x:rate:better=higher:pair=probe", half, true, true, MethodNewcombePaired},
		"averages": {"x:rate:better=higher:pair=probe", averaged, false, true, MethodBootstrapPaired},
		"mean":     {"x:mean:better=higher:pair=probe", half, false, false, MethodBootstrapPaired},
	} {
		f := Question{Confidence: 0.95, Strata: []Stratum{{Pairs: pairsOf(t, c.probes)}}}.figures(parsed(t, c.gate), false)
		if f.oneLook.Method != c.method {
			t.Errorf("%s: %s", name, f.oneLook.Method)
		}
		if got := *f.candidate.Lo == wilson.Lo && *f.candidate.Hi == wilson.Hi; got != c.candidate {
			t.Errorf("%s: candidate %v … %v", name, *f.candidate.Lo, *f.candidate.Hi)
		}
		if got := *f.baseline.Lo == wilson.Lo && *f.baseline.Hi == wilson.Hi; got != c.baseline {
			t.Errorf("%s: baseline %v … %v", name, *f.baseline.Lo, *f.baseline.Hi)
		}
	}
	// A stratum of a single pair is one.
	one := pairsOf(t, numbered(1, func(int) (float64, float64) { return 1, 0 }))
	if _, n := (Question{Strata: []Stratum{{Pairs: one}, {}, {Pairs: one}}}).pairsOf("x"); n != 2 {
		t.Errorf("%d strata", n)
	}
}

// The worst candidate on the same pairs has all its averages at the bad end.
func TestCouldRegressPairedAverages(t *testing.T) {
	averaged := pairsOf(t, map[string][2][]float64{"a": {{0, 1}, {1}}, "b": {{1}, {1}}})["x"]
	v := func(x float64) *float64 { return &x }
	for _, c := range []struct {
		gate   string
		lo, hi *float64
		want   bool
	}{
		{"x:rate:better=lower:pair=probe", v(0.1), v(0.3), true},
		{"x:rate:better=lower:pair=probe", v(0.1), v(1), false},
		{"x:rate:better=lower:pair=probe:margin=0.6", v(0.1), v(0.3), true},
		{"x:rate:better=lower:pair=probe:margin=0.6", v(0.1), v(0.5), false},
		{"x:rate:better=higher:pair=probe", v(0.1), v(1), true},
		{"x:rate:better=higher:pair=probe", v(0), v(1), false},
		{"x:rate:better=higher:pair=probe:margin=0.3", v(0.4), v(1), true},
		{"x:rate:better=higher:pair=probe:margin=0.3", v(0.2), v(1), false},
		{"x:rate:better=higher:pair=probe", nil, v(1), false},
		{"x:rate:better=higher:pair=probe", v(1), nil, false},
	} {
		g := parsed(t, c.gate)
		f := figures{pairs: averaged, margin: g.Margin.Value}
		f.baseline.Lo, f.baseline.Hi = c.lo, c.hi
		if got := (Question{Confidence: 0.95}).couldRegress(g, f); got != c.want {
			t.Errorf("%+v: %t", c, got)
		}
	}
	// It is the pairs that count, not what else the cohorts ran.
	failing := pairsOf(t, numbered(40, func(int) (float64, float64) { return 0, 0 }))
	ones := make([]float64, 100)
	for i := range ones {
		ones[i] = 1
	}
	q := Question{Confidence: 0.95, Strata: []Stratum{{Candidate: runs(t, ones...), Baseline: runs(t, ones...), Pairs: failing}}}
	if q.couldRegress(parsed(t, "x:rate:better=higher:pair=probe"), figures{pairs: failing["x"]}) {
		t.Error("a baseline that fails on all pairs leaves nothing to lose")
	}
}

// What is resampled of a gate on pairs is its pairs, however many runs there are beside them.
func TestFewUnitsOfPairs(t *testing.T) {
	many := runs(t, upTo(40)...)
	for name, c := range map[string]struct {
		gate   string
		probes map[string][2][]float64
		have   int // of 5; 0 if they are enough
	}{
		"one pair":      {"x:mean:better=lower:pair=probe", numbered(1, func(int) (float64, float64) { return 1, 2 }), 1},
		"four pairs":    {"x:mean:better=lower:pair=probe", numbered(4, func(int) (float64, float64) { return 1, 2 }), 4},
		"five pairs":    {"x:mean:better=lower:pair=probe", numbered(5, func(i int) (float64, float64) { return float64(i), 2 }), 0},
		"a rate":        {"x:rate:better=lower:pair=probe", numbered(2, func(int) (float64, float64) { return 1, 1 }), 0},
		"few averages":  {"x:rate:better=lower:pair=probe", map[string][2][]float64{"a": {{0, 1}, {1}}, "b": {{1}, {1}}}, 2},
		"without pairs": {"x:rate:better=lower", nil, 0},
	} {
		pairs := pairsOf(t, c.probes)["x"]
		f := figures{pairs: pairs, cohorts: [2]stats.Summary{many.Metrics["x"].Summary, many.Metrics["x"].Summary}}
		why, few := fewUnits(parsed(t, c.gate), f)
		if few != (c.have > 0) || few && why.Params["have"] != c.have {
			t.Errorf("%s: %+v %t", name, why, few)
		}
	}
	// Without a minimum of runs there is still no pair.
	q := Question{Confidence: 0.95, Gates: []api.Gate{parsed(t, "x:mean:better=lower:pair=probe")}, Strata: []Stratum{{Candidate: many, Baseline: many}}}
	if v := Releases(q); v.Reason.Code != ReasonNoPairs {
		t.Errorf("%+v", v.Reason)
	}
}

// One run without a partner is more than a fifth of one.
func TestUnpairedShares(t *testing.T) {
	for _, c := range []struct {
		unpaired, runs int64
		warns          bool
	}{{0, 0, false}, {0, 1, false}, {1, 1, true}, {1, 5, false}, {2, 9, true}, {2, 10, false}} {
		for _, side := range []Side{CandidateSide, BaselineSide} {
			e := examined{gate: parsed(t, "x:mean:better=lower:pair=probe")}
			e.reports[side] = c.runs
			if e.pairs.UnpairedCandidate = c.unpaired; side == BaselineSide {
				e.pairs.UnpairedCandidate, e.pairs.UnpairedBaseline = 0, c.unpaired
			}
			if got := unpaired([]examined{e}); (got.Status == api.CheckWarn) != c.warns {
				t.Errorf("%+v: %+v", c, got)
			}
		}
	}
}

// The design effect is told where it is known, and a smaller one than 1 narrows nothing.
func TestClusteredEffects(t *testing.T) {
	clustered := func(values ...float64) Cohort { // two runs a unit
		var c Cohort
		for i, v := range values {
			if err := c.Add(map[string]api.Metric{"x": api.Number(v)}, uint64(i/2)*0x9e3779b97f4a7c15); err != nil {
				t.Fatal(err)
			}
		}
		return c
	}
	for name, c := range map[string]struct {
		cohort Cohort
		says   string
	}{
		"nothing varies":  {clustered(1, 1, 1, 1, 1, 1), "for x rate: compare"},
		"they agree":      {clustered(1, 1, 0, 0, 1, 1, 0, 0), "design effect 2."},
		"they differ":     {clustered(1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 1), "design effect 0.3: its interval should be about 1.0 times as wide"},
		"they differ all": {clustered(1, 0, 0, 1, 1, 0), "for x rate: compare"},
	} {
		q := Question{Strata: []Stratum{{Candidate: c.cohort, Baseline: runs(t, 1)}}}
		e := examined{gate: parsed(t, "x:rate:better=higher")}
		e.boolean = true
		if got := q.clustered([]examined{e}); got.Status != api.CheckWarn || !strings.Contains(got.Detail, c.says) {
			t.Errorf("%s: %s", name, got.Detail)
		}
	}
}

// What is advised depends on whether a gate could be paired at all.
func TestAdviceAndShift(t *testing.T) {
	of := func(texts ...string) (out []examined) {
		for _, text := range texts {
			out = append(out, examined{gate: parsed(t, text)})
		}
		return out
	}
	for want, gates := range map[string][]examined{
		adviceMean: of("latency_ms:p50", "success:pair=probe", "latency_ms:p95"), advicePair: of("success", "latency_ms:p95"),
	} {
		if names, got := unpairedGates(gates); got != want || len(names) != 2 {
			t.Errorf("%v: %s", names, got)
		}
	}
	for says, s := range map[bool]stats.MixShift{true: {Named: true, Category: "m-1"}, false: {Category: "m-1"}} {
		if got := shiftText(s); strings.Contains(got, "most of all m-1") != says {
			t.Error(got)
		}
	}
	if got := shiftText(stats.MixShift{Named: true}); strings.Contains(got, "most of all") {
		t.Error(got)
	}
	// A signal that nobody reports is not shown, and so not named in a check.
	cohort := func(probe string) Cohort {
		c := runs(t, upTo(60)...)
		for i := range 60 {
			c.Mixes.Add(probe+count(int64(i%3)), "", "")
		}
		return c
	}
	q := Question{
		Gates: []api.Gate{parsed(t, "x:mean:better=lower"), parsed(t, "y:mean:better=lower:on=warn")}, Confidence: 0.95,
		Strata: []Stratum{{Candidate: cohort("a"), Baseline: cohort("b")}},
	}
	if v := Releases(q); len(v.Signals) != 0 || len(v.Checks) == 0 || strings.Contains(v.Checks[0].Detail, "y mean") || !strings.Contains(v.Checks[0].Detail, "x mean") {
		t.Errorf("%+v", v.Checks)
	}
}

// With one metric seen, one gate is chosen.
func TestDefaultGatesOfOneMetric(t *testing.T) {
	if gates, err := DefaultGates([]string{"error"}); err != nil || len(gates) != 1 || gates[0].Metric != "error" || gates[0].On != api.OnRollback {
		t.Errorf("%v %v", gates, err)
	}
}
