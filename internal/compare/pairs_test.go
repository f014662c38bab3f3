package compare_test

import (
	"math"
	"strconv"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/stats"
)

// replay is a stratum whose probes have the given values a side, in order: "1/0" is a candidate of 1 and a baseline of 0.
type replay struct {
	pairs      compare.PairUp
	candidates compare.Cohort
	baselines  compare.Cohort
}

func (r *replay) add(t interface{ Fatal(...any) }, probe string, side compare.Side, metrics map[string]api.Metric) {
	cohort := &r.baselines
	if side == compare.CandidateSide {
		cohort = &r.candidates
	}
	if err := cohort.Add(metrics, uint64(stats.SeedOf("probe", probe))); err != nil {
		t.Fatal(err)
	}
	if err := r.pairs.Add(probe, side, metrics); err != nil {
		t.Fatal(err)
	}
}

func (r *replay) stratum() compare.Stratum {
	return compare.Stratum{Candidate: r.candidates, Baseline: r.baselines, Pairs: r.pairs.Pairs()}
}

// table replays probes until the four counts are reached.
func table(t interface{ Fatal(...any) }, both, candidateOnly, baselineOnly, neither int) compare.Stratum {
	var r replay
	n := 0
	for _, c := range []struct {
		times               int
		candidate, baseline bool
	}{{both, true, true}, {candidateOnly, true, false}, {baselineOnly, false, true}, {neither, false, false}} {
		for range c.times {
			n++
			r.add(t, strconv.Itoa(n), compare.CandidateSide, map[string]api.Metric{"success": api.Bool(c.candidate)})
			r.add(t, strconv.Itoa(n), compare.BaselineSide, map[string]api.Metric{"success": api.Bool(c.baseline)})
		}
	}
	return r.stratum()
}

// TestPairedOutcomes: discordant pairs decide, and what cannot be paired is insufficient.
func TestPairedOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		gate    string
		stratum compare.Stratum
		outcome api.Outcome
		code    string
	}{
		"clean":                   {"success:pair=probe", table(t, 40, 5, 5, 10), api.Clean, compare.ReasonClean},
		"regressed":               {"success:pair=probe", table(t, 60, 1, 12, 27), api.Regressed, compare.ReasonRegressed},
		"the same, not paired":    {"success", table(t, 60, 1, 12, 27), api.Clean, compare.ReasonClean},
		"better":                  {"success:pair=probe", table(t, 80, 12, 1, 7), api.Clean, compare.ReasonClean},
		"lower is better":         {"success:better=lower:pair=probe", table(t, 80, 12, 1, 7), api.Regressed, compare.ReasonRegressed},
		"within a margin":         {"success:margin=0.2:pair=probe", table(t, 60, 1, 12, 27), api.Clean, compare.ReasonClean},
		"beyond a margin":         {"success:margin=1%:pair=probe", table(t, 80, 1, 15, 4), api.Regressed, compare.ReasonRegressed},
		"all succeed":             {"success:pair=probe", table(t, 60, 0, 0, 0), api.Clean, compare.ReasonClean},
		"all fail":                {"success:pair=probe", table(t, 0, 0, 0, 60), api.Insufficient, compare.ReasonCannotRegress},
		"all succeed, lower":      {"success:better=lower:pair=probe", table(t, 60, 0, 0, 0), api.Insufficient, compare.ReasonCannotRegress},
		"few pairs":               {"success:pair=probe", table(t, 20, 0, 9, 0), api.Insufficient, compare.ReasonTooFewPairs},
		"no pair":                 {"success:pair=probe", compare.Stratum{Candidate: cohort(t, 50, 0, 0), Baseline: cohort(t, 50, 0, 0)}, api.Insufficient, compare.ReasonNoPairs},
		"nothing":                 {"success:pair=probe", compare.Stratum{}, api.Insufficient, compare.ReasonNoPairs},
		"the candidate lacks it":  {"success:pair=probe", compare.Stratum{Candidate: cohort(t, 50, 0, 50), Baseline: cohort(t, 50, 0, 0)}, api.Insufficient, compare.ReasonMetricMissing},
		"mean":                    {"success:mean:pair=probe", table(t, 80, 1, 12, 7), api.Regressed, compare.ReasonRegressed},
		"mean, all of it is even": {"success:mean:pair=probe", table(t, 60, 0, 0, 0), api.Clean, compare.ReasonClean},
	} {
		v := compare.Releases(question([]api.Gate{gate(t, c.gate)}, c.stratum))
		if v.Verdict != c.outcome || v.Gates[0].Reason.Code != c.code {
			t.Errorf("%s: %s %s, want %s %s: %s", name, v.Verdict, v.Gates[0].Reason.Code, c.outcome, c.code, v.Reason.Text)
		}
	}
}

// TestPairedFigures: the interval is Newcombe's for pairs, also over strata, and the counts stand beside it.
func TestPairedFigures(t *testing.T) {
	want := stats.NewcombePaired(80, 1, 12, 7, stats.Critical(0.95))
	one := compare.Releases(question([]api.Gate{gate(t, "success:pair=probe")}, table(t, 80, 1, 12, 7))).Gates[0]
	if *one.Difference != (api.Difference{Estimate: want.Estimate, Lo: want.Lo, Hi: want.Hi, Method: compare.MethodNewcombePaired, Confidence: 0.95, Strata: 1}) {
		t.Errorf("%+v, want %+v", *one.Difference, want)
	}
	if p := one.Pairs; p == nil || p.N != 100 || p.PairTable == nil || *p.PairTable != (api.PairTable{Both: 80, CandidateOnly: 1, BaselineOnly: 12, Neither: 7}) {
		t.Errorf("%+v", one.Pairs)
	}
	if one.Null != compare.NullSameRate || *one.Candidate.Value != 0.81 || *one.Baseline.Value != 0.92 || *one.Hides != -want.Lo {
		t.Errorf("%+v", one)
	}
}

// TestPairedStrata: strata count by their pairs, and a probe of two strata is not two independent pairs.
func TestPairedStrata(t *testing.T) {
	gates := []api.Gate{gate(t, "success:pair=probe")}
	var a, b replay
	for i := range 60 {
		r, probe := &a, strconv.Itoa(i)
		if i >= 20 {
			r = &b
		}
		r.add(t, probe, compare.CandidateSide, map[string]api.Metric{"success": api.Bool(i%4 > 0)})
		r.add(t, probe, compare.BaselineSide, map[string]api.Metric{"success": api.Bool(i%3 > 0)})
	}
	two := compare.Releases(question(gates, a.stratum(), b.stratum())).Gates[0]
	if d := two.Difference; d.Strata != 2 || d.Method != compare.MethodNewcombePaired || !near(d.Estimate, 45.0/60-40.0/60) {
		t.Errorf("%+v", d)
	}
	again := compare.Releases(question(gates, a.stratum(), b.stratum(), a.stratum())).Gates[0]
	if d := again.Difference; d.Strata != 3 || d.Method != compare.MethodBootstrapPaired {
		t.Errorf("%+v", d)
	}
}

// TestRepeatsAreAveraged: a probe weighs the same whatever the number of its runs.
func TestRepeatsAreAveraged(t *testing.T) {
	var r replay
	for i := range 40 {
		probe := strconv.Itoa(i)
		r.add(t, probe, compare.BaselineSide, map[string]api.Metric{"success": api.Bool(i%2 == 0)})
		for run := range 1 + 9*(i%2) { // ten runs of the probes that fail, half of which now succeed
			r.add(t, probe, compare.CandidateSide, map[string]api.Metric{"success": api.Bool(i%2 == 0 || run%2 == 0)})
		}
	}
	for range 5 {
		r.add(t, "", compare.CandidateSide, map[string]api.Metric{"success": api.Bool(true)})
	}
	r.add(t, "", compare.BaselineSide, map[string]api.Metric{"success": api.Bool(true)}) // two runs without a probe are no pair
	r.add(t, "alone", compare.BaselineSide, map[string]api.Metric{"success": api.Bool(true)})
	v := compare.Releases(question([]api.Gate{gate(t, "success:pair=probe")}, r.stratum()))
	g := v.Gates[0]
	if d := g.Difference; d.Method != compare.MethodBootstrapPaired || !near(d.Estimate, 0.25) || !(d.Lo > 0 && d.Lo < 0.25 && d.Hi > 0.25) {
		t.Errorf("%+v", d)
	}
	if p := g.Pairs; p.N != 40 || p.PairTable != nil || p.UnpairedCandidate != 5 || p.UnpairedBaseline != 2 {
		t.Errorf("%+v", p)
	}
	candidate, baseline := r.pairs.Partners()
	if candidate != (stats.Proportion{X: 220, N: 225}) || baseline != (stats.Proportion{X: 40, N: 42}) {
		t.Errorf("%v %v", candidate, baseline)
	}
}

// TestDifferencesBeyondASummary end as not finite, not as an error.
func TestDifferencesBeyondASummary(t *testing.T) {
	var r replay
	for i := range 40 {
		r.add(t, strconv.Itoa(i), compare.CandidateSide, map[string]api.Metric{"loss": api.Number(1e18)})
		r.add(t, strconv.Itoa(i), compare.BaselineSide, map[string]api.Metric{"loss": api.Number(-1e18)})
	}
	g := compare.Releases(question([]api.Gate{gate(t, "loss:mean:better=lower:pair=probe")}, r.stratum())).Gates[0]
	if g.Verdict != api.Insufficient {
		t.Errorf("%+v", g)
	}
	var p compare.PairUp
	if err := p.Add("a", compare.BaselineSide, map[string]api.Metric{"loss": api.Number(math.NaN())}); err == nil {
		t.Error("NaN was taken")
	}
}

func TestPairGates(t *testing.T) {
	gates := []api.Gate{gate(t, "success"), gate(t, "latency_ms"), gate(t, "cost_usd"), gate(t, "score:pair=probe")}
	shares := func(candidate, baseline string) string {
		return candidate + " of the candidate's and " + baseline + " of the baseline's runs have a partner with the same probe"
	}
	for _, c := range []struct {
		how                 string
		candidate, baseline stats.Proportion
		paired              bool
		detail              string
	}{
		{api.PairAuto, stats.Proportion{X: 8, N: 10}, stats.Proportion{X: 80, N: 100}, true, "paired by probe: " + shares("80.0 %", "80.0 %")},
		{api.PairAuto, stats.Proportion{X: 7, N: 10}, stats.Proportion{X: 100, N: 100}, false, "not paired: " + shares("70.0 %", "100.0 %") + ", and 80 % of both are needed; pairing by probe must be asked for"},
		{api.PairAuto, stats.Proportion{X: 10, N: 10}, stats.Proportion{X: 79, N: 100}, false, "not paired: " + shares("100.0 %", "79.0 %") + ", and 80 % of both are needed; pairing by probe must be asked for"},
		{api.PairAuto, stats.Proportion{X: 1, N: 1}, stats.Proportion{X: 1, N: 1}, true, "paired by probe: " + shares("100.0 %", "100.0 %")},
		{api.PairAuto, stats.Proportion{X: 1, N: 10}, stats.Proportion{X: 1, N: 1}, false, "not paired: " + shares("10.0 %", "100.0 %") + ", and 80 % of both are needed; pairing by probe must be asked for"},
		{api.PairAuto, stats.Proportion{N: 10}, stats.Proportion{N: 10}, false, "not paired: the releases have run no probe in common"},
		{api.PairAuto, stats.Proportion{}, stats.Proportion{}, false, "not paired: the releases have run no probe in common"},
		{api.PairProbe, stats.Proportion{X: 1, N: 10}, stats.Proportion{}, true, "paired by probe as asked: " + shares("10.0 %", "none")},
		{api.PairNone, stats.Proportion{X: 10, N: 10}, stats.Proportion{X: 10, N: 10}, false, "only gates that ask for it are compared on pairs: " + shares("100.0 %", "100.0 %")},
		{"", stats.Proportion{X: 10, N: 10}, stats.Proportion{X: 10, N: 10}, false, "only gates that ask for it are compared on pairs: " + shares("100.0 %", "100.0 %")},
	} {
		got, check := compare.PairGates(c.how, gates, c.candidate, c.baseline)
		if (got[0].Pair != "") != c.paired || got[1].Pair != "" || (got[2].Pair != "") != c.paired || got[3].Pair == "" || check.Detail != c.detail {
			t.Errorf("%+v: %v, %s", c, got, check.Detail)
		}
	}
	if _, check := compare.PairGates(api.PairNone, gates[:3], stats.Proportion{X: 1, N: 2}, stats.Proportion{X: 1, N: 2}); check.Detail != "compared without pairs: "+shares("50.0 %", "50.0 %") {
		t.Errorf("%q", check.Detail)
	}
	if gates[0].Pair != "" {
		t.Error("the caller's gates were changed")
	}
}
