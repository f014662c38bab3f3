package compare_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/stats"
)

// values makes a cohort with one run of its own unit for each value of x, single values kept.
func values(t interface{ Fatal(...any) }, list ...float64) compare.Cohort {
	var c compare.Cohort
	for i, v := range list {
		if err := c.Add(map[string]api.Metric{"x": api.Number(v)}, uint64(stats.SeedOf(strconv.Itoa(i)))); err != nil {
			t.Fatal(err)
		}
	}
	c.KeepValues("x", list)
	return c
}

// binned is the same cohort as a server has it, without single values.
func binned(c compare.Cohort) compare.Cohort {
	out := compare.Cohort{Runs: c.Runs, Metrics: map[string]compare.Metric{}}
	for name, m := range c.Metrics {
		out.Metrics[name] = compare.Metric{Summary: m.Summary}
	}
	return out
}

// series is n values that f makes.
func series(n int, f func(i int) float64) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = f(i)
	}
	return list
}

func constant(n int, v float64) []float64 { return series(n, func(int) float64 { return v }) }

// spikes is latencies of about a second of which every tenth takes 2.2 hours.
func spikes(n int) []float64 {
	return series(n, func(i int) float64 {
		if i%10 == 9 {
			return 7_920_000
		}
		return 900 + float64(i%20)
	})
}

// TestOddSamples: whatever the values, every statistic, direction and margin
// gives figures that are numbers, an outcome and a reason.
func TestOddSamples(t *testing.T) {
	samples := map[string][]float64{
		"none": nil, "one": {5}, "two": {5, 6}, "ties": {1, 1, 1, 1, 2, 2, 2, 2, 3, 3}, "constant": constant(40, 5), "zero": constant(40, 0),
		"ones": constant(40, 1), "negative": constant(40, -3), "spikes": spikes(100), "largest": constant(40, 1e18), "smallest": constant(40, -1e18),
		"both ends": {-1e18, 1e18, -1e18, 1e18, -1e18, 1e18}, "tenth": constant(40, 0.1), "more tenths": constant(47, 0.1), "tiny": constant(40, 1e-9), "below nine decimals": constant(40, 1e-12),
	}
	var gates []api.Gate
	for _, statistic := range []string{"rate", "mean", "p50", "p90", "p95", "p99"} {
		for _, better := range []string{"higher", "lower"} {
			for _, margin := range []string{"0", "0.5", "5%"} {
				if statistic == "mean" && margin != map[string]string{"higher": "0", "lower": "5%"}[better] {
					continue // the bootstrap is the same, and takes longer than all the rest
				}
				g := gate(t, "x:"+statistic+":better="+better+":margin="+margin)
				gates = append(gates, g)
				if statistic == "rate" || statistic == "mean" {
					g.Pair = api.PairProbe
					gates = append(gates, g)
				}
			}
		}
	}
	for nameC, c := range samples {
		for nameB, b := range samples {
			s := compare.Stratum{Candidate: values(t, c...), Baseline: values(t, b...)}
			var p compare.PairUp
			for side, list := range map[compare.Side][]float64{compare.CandidateSide: c, compare.BaselineSide: b} {
				for i, v := range list {
					if err := p.Add(strconv.Itoa(i), side, map[string]api.Metric{"x": api.Number(v)}); err != nil {
						t.Fatal(err)
					}
				}
			}
			s.Pairs = p.Pairs()
			for _, strata := range [][]compare.Stratum{{s}, {s, {Candidate: binned(s.Candidate), Baseline: binned(s.Baseline)}}} {
				q := question(gates, strata...)
				q.MinRuns = 1
				v := compare.Releases(q)
				if _, err := json.Marshal(v); err != nil { // NaN and infinities cannot be written
					t.Fatalf("%s against %s: %v", nameC, nameB, err)
				}
				for _, g := range v.Gates {
					what := fmt.Sprintf("%s against %s, %s", nameC, nameB, g)
					if g.Verdict == "" || g.Reason.Text == "" {
						t.Errorf("%s: %+v", what, g)
					}
					if d := g.Difference; d != nil && !(d.Lo <= d.Estimate && d.Estimate <= d.Hi) {
						t.Errorf("%s: %+v", what, *d)
					}
					if len(strata) == 1 && min(len(c), len(b)) < 2 && g.Verdict == api.Regressed {
						t.Errorf("%s: regressed on a single value: %s", what, g.Reason.Text)
					}
					same := nameC == nameB || nameC == "tenth" && nameB == "more tenths" || nameC == "more tenths" && nameB == "tenth"
					if same && g.Verdict == api.Regressed {
						t.Errorf("%s: regressed against itself: %s", what, g.Reason.Text)
					}
				}
			}
		}
	}
}

// TestDecisionsOnOddSamples settles the cases that have a right answer.
func TestDecisionsOnOddSamples(t *testing.T) {
	slow := series(100, func(i int) float64 { return 2000 + float64(i) })
	fast := series(100, func(i int) float64 { return 1000 + float64(i) })
	oneUnit := compare.Cohort{}
	for range 100 {
		if err := oneUnit.Add(map[string]api.Metric{"x": api.Number(9)}, 1); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		gate                string
		candidate, baseline compare.Cohort
		outcome             api.Outcome
		code                string
		hides               bool
	}{
		"slower p95":                        {"x:p95:better=lower", values(t, slow...), values(t, fast...), api.Regressed, compare.ReasonRegressed, true},
		"slower p95, from a histogram":      {"x:p95:better=lower", binned(values(t, slow...)), binned(values(t, fast...)), api.Regressed, compare.ReasonRegressed, true},
		"p95 of too few baseline runs":      {"x:p95:better=lower", values(t, slow...), values(t, fast[:71]...), api.Insufficient, compare.ReasonTooFewRuns, true},
		"p95 of just enough":                {"x:p95:better=lower", values(t, slow...), values(t, fast[:72]...), api.Regressed, compare.ReasonRegressed, true},
		"p95 of few candidate runs":         {"x:p95:better=lower", values(t, slow[:30]...), values(t, fast...), api.Regressed, compare.ReasonRegressed, false},
		"higher p95, few candidate runs":    {"x:p95:better=higher", values(t, fast[:30]...), values(t, slow...), api.Insufficient, compare.ReasonTooFewRuns, true},
		"p99 is out of reach":               {"x:p99:better=lower", values(t, slow...), values(t, fast...), api.Insufficient, compare.ReasonTooFewRuns, false},
		"median needs six":                  {"x:p50:better=lower", values(t, slow[:30]...), values(t, fast[:30]...), api.Regressed, compare.ReasonRegressed, true},
		"within a relative margin":          {"x:p50:better=lower:margin=150%", values(t, slow...), values(t, fast...), api.Clean, compare.ReasonClean, true},
		"beyond a relative margin":          {"x:p50:better=lower:margin=50%", values(t, slow...), values(t, fast...), api.Regressed, compare.ReasonRegressed, true},
		"mean within an absolute margin":    {"x:mean:better=lower:margin=1100", values(t, slow...), values(t, fast...), api.Clean, compare.ReasonClean, true},
		"mean beyond an absolute margin":    {"x:mean:better=lower:margin=900", values(t, slow...), values(t, fast...), api.Regressed, compare.ReasonRegressed, true},
		"outliers of 2.2 hours in both":     {"x:mean:better=lower", values(t, spikes(100)...), values(t, spikes(120)...), api.Clean, compare.ReasonClean, true},
		"outliers of 2.2 hours, the median": {"x:p50:better=lower", values(t, spikes(100)...), values(t, constant(100, 900)...), api.Regressed, compare.ReasonRegressed, true},
		"constant and equal":                {"x:mean:better=lower", values(t, constant(40, 5)...), values(t, constant(40, 5)...), api.Clean, compare.ReasonClean, false},
		"constant and equal but for digits": {"x:mean:better=lower", values(t, constant(47, 0.1)...), values(t, constant(40, 0.1)...), api.Clean, compare.ReasonClean, false},
		"constant and worse":                {"x:mean:better=lower", values(t, constant(40, 6)...), values(t, constant(40, 5)...), api.Regressed, compare.ReasonRegressed, false},
		"a hundred runs of one unit":        {"x:mean:better=lower", oneUnit, values(t, fast...), api.Insufficient, compare.ReasonTooFewUnits, true},
		"relative margin of a zero":         {"x:mean:better=lower:margin=10%", values(t, constant(40, 1)...), values(t, constant(40, 0)...), api.Regressed, compare.ReasonRegressed, false},
		"relative margin below zero":        {"x:mean:better=higher:margin=50%", values(t, constant(40, -4)...), values(t, constant(40, -3)...), api.Clean, compare.ReasonClean, false},
		"only the baseline has it":          {"x:mean:better=lower", cohort(t, 40, 0, 0), values(t, fast...), api.Insufficient, compare.ReasonMetricMissing, false},
		"only the candidate has it":         {"x:p95:better=lower", values(t, fast...), cohort(t, 40, 0, 0), api.Insufficient, compare.ReasonMetricMissing, false},
	} {
		v := compare.Releases(question([]api.Gate{gate(t, c.gate)}, compare.Stratum{Candidate: c.candidate, Baseline: c.baseline}))
		g := v.Gates[0]
		if g.Verdict != c.outcome || g.Reason.Code != c.code {
			t.Errorf("%s: %s %s, want %s %s: %s", name, g.Verdict, g.Reason.Code, c.outcome, c.code, g.Reason.Text)
		}
		if (g.Hides != nil) != c.hides {
			t.Errorf("%s: hides %v: %+v", name, g.Hides, g.Difference)
		}
	}
}

// TestHides is the far end of the interval on the harmful side, for every statistic.
func TestHidesOfEachStatistic(t *testing.T) {
	s := compare.Stratum{
		Candidate: values(t, series(100, func(i int) float64 { return float64(i % 2) })...),
		Baseline:  values(t, series(100, func(i int) float64 { return float64(i*7%10) / 9 })...),
	}
	rate := compare.Stratum{Candidate: s.Candidate, Baseline: values(t, series(100, func(i int) float64 { return float64(min(i%3, 1)) })...)}
	for _, statistic := range []string{"rate", "mean", "p50", "p90"} {
		strata := s
		if statistic == "rate" {
			strata = rate
		}
		for better, harm := range map[string]func(api.Difference) float64{
			"higher": func(d api.Difference) float64 { return -d.Lo }, "lower": func(d api.Difference) float64 { return d.Hi },
		} {
			g := compare.Releases(question([]api.Gate{gate(t, "x:"+statistic+":better="+better)}, strata)).Gates[0]
			if want := math.Max(harm(*g.Difference), 0); g.Hides == nil || *g.Hides != want {
				t.Errorf("%s better %s: hides %v, want %v of %+v", statistic, better, g.Hides, want, g.Difference)
			}
		}
	}
}

// TestExactFromValues: quantiles of single values are of type 7, and those of a histogram say that they are not.
func TestExactFromValues(t *testing.T) {
	list := series(200, func(i int) float64 { return 100 + float64(i*i%997)/7 })
	s := compare.Stratum{Candidate: values(t, list...), Baseline: values(t, list[:150]...)}
	gates := []api.Gate{gate(t, "x:p90:better=lower")}
	exact := compare.Releases(question(gates, s)).Gates[0]
	rough := compare.Releases(question(gates, compare.Stratum{Candidate: binned(s.Candidate), Baseline: s.Baseline})).Gates[0]
	want := stats.QuantileType7(s.Candidate.Metrics["x"].Values, 0.9)
	if *exact.Candidate.Value != want || exact.Difference.Method != compare.MethodQuantiles {
		t.Errorf("%v %s, want %v", *exact.Candidate.Value, exact.Difference.Method, want)
	}
	if d := math.Abs(*rough.Candidate.Value - want); d == 0 || d > 0.002*want || rough.Difference.Method != compare.MethodQuantilesBinned {
		t.Errorf("%v %s, want about %v", *rough.Candidate.Value, rough.Difference.Method, want)
	}
}

// TestRelativeMarginOfStrata: the share is of the baseline that the difference
// is taken from, not of runs in strata where the candidate hardly ran.
func TestRelativeMarginOfStrata(t *testing.T) {
	strata := []compare.Stratum{
		{Epoch: 1, Candidate: values(t, constant(5, 1000)...), Baseline: values(t, constant(5000, 1000)...)},
		{Epoch: 2, Candidate: values(t, constant(500, 100)...), Baseline: values(t, constant(500, 100)...)},
	}
	for _, statistic := range []string{"mean", "p50"} {
		g := compare.Releases(question([]api.Gate{gate(t, "x:"+statistic+":better=lower:margin=10%")}, strata...)).Gates[0]
		w1, w2 := 5.0*5000/5005, 500.0*500/1000
		if want := 0.1 * (w1*1000 + w2*100) / (w1 + w2); g.Tolerated == nil || math.Abs(*g.Tolerated-want) > 0.01*want {
			t.Errorf("%s: tolerated %v, want %v", statistic, g.Tolerated, want)
		}
	}
	for text, want := range map[string]bool{"x:mean:better=lower:margin=10": false, "x:mean:better=lower:margin=10%": true} {
		if g := compare.Releases(question([]api.Gate{gate(t, text)}, strata...)).Gates[0]; (g.Tolerated != nil) != want {
			t.Errorf("%s: tolerated %v", text, g.Tolerated)
		}
	}
}

// TestAnOpenLimitExcludesNothing: beside a sequential test too, an ordinary
// interval whose limit is only the largest value seen is not said to exclude the margin.
func TestAnOpenLimitExcludesNothing(t *testing.T) {
	slow := series(100, func(i int) float64 { return 2000 + float64(i) })
	fast := series(100, func(i int) float64 { return 1000 + float64(i) })
	for baseline, excludes := range map[int]bool{71: false, 72: true} {
		for _, level := range []float64{0, 0.01} { // 0: the look has no interval of its own, and only the ordinary one is shown
			q := question([]api.Gate{gate(t, "x:p95:better=lower")}, compare.Stratum{Candidate: values(t, slow...), Baseline: values(t, fast[:baseline]...)})
			q.Tests = []compare.Tested{{Tested: true, Reachable: true, Level: level}}
			if g := compare.Releases(q).Gates[0]; g.Reason.Params["one_look_excludes"] == true != excludes || (g.Difference == nil) != (level == 0) {
				t.Errorf("%d baseline runs, level %v: %s, %+v", baseline, level, g.Reason.Text, g.Difference)
			}
		}
	}
}

// TestQuantilesAtALook: the interval of a look is on the side of the margin that
// the test decided for, and a limit that so few runs do not have is open there too.
func TestQuantilesAtALook(t *testing.T) {
	low := func(n int) compare.Cohort {
		return values(t, series(n, func(i int) float64 { return 1000 + float64(i) })...)
	}
	high := func(n int) compare.Cohort {
		return values(t, series(n, func(i int) float64 { return 2000 + float64(i) })...)
	}
	for name, c := range map[string]struct {
		candidate, baseline compare.Cohort
		better, margin      string
		regressed           bool
		open                string
		at                  float64 // the harmful limit, if it is the margin
	}{
		"enough, slower":                         {high(100), low(100), "lower", "0", true, "", 0},
		"enough, slower, not decided yet":        {high(100), low(100), "lower", "0", false, "", math.Nextafter(0, -1)},
		"enough, slower by the margin":           {high(100), low(100), "lower", "5000", true, "", 5000},
		"the candidate has no upper limit":       {high(30), low(100), "lower", "0", true, api.OpenHi, 0},
		"the baseline has no upper limit":        {high(100), low(60), "lower", "0", false, api.OpenLo, math.Nextafter(0, -1)},
		"no upper limit, and regressed":          {high(100), low(60), "lower", "0", true, "", 0},
		"neither has one":                        {high(30), low(30), "lower", "0", false, api.OpenBoth, math.Nextafter(0, -1)},
		"higher: enough":                         {low(100), high(100), "higher", "0", true, "", 0},
		"higher: the candidate has none":         {low(60), high(100), "higher", "0", false, api.OpenHi, math.Nextafter(0, 1)},
		"higher: the candidate has none, margin": {low(60), high(100), "higher", "50", true, "", -50},
		"higher: the baseline has none":          {low(100), high(30), "higher", "0", true, api.OpenLo, 0},
	} {
		q := question([]api.Gate{gate(t, "x:p95:better="+c.better+":margin="+c.margin)}, compare.Stratum{Candidate: c.candidate, Baseline: c.baseline})
		q.Guarantee = api.GuaranteeRollout
		q.Tests = []compare.Tested{{Tested: true, Reachable: true, Regressed: c.regressed, Level: 0.02}}
		g := compare.Releases(q).Gates[0]
		d := g.Difference
		if d == nil {
			t.Errorf("%s: no interval", name)
			continue
		}
		limit, beyond, away := d.Lo, d.Lo >= g.Margin.Value, api.OpenHi
		if c.better == "higher" {
			limit, beyond, away = d.Hi, d.Hi <= -g.Margin.Value, api.OpenLo
		}
		if d.Open != c.open || beyond != c.regressed || c.at != 0 && limit != c.at {
			t.Errorf("%s: %+v", name, *d)
		}
		if hidden := c.open == away || c.open == api.OpenBoth; (g.Hides == nil) != hidden {
			t.Errorf("%s: hides %v of %+v", name, g.Hides, *d)
		}
	}
}
