package compare_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
)

func gate(t interface{ Fatal(...any) }, text string) api.Gate {
	g, err := api.ParseGate(text)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// cohort makes n runs of which failing lack success, and missing lack the metric.
func cohort(t interface{ Fatal(...any) }, n, failing, missing int) compare.Cohort {
	var c compare.Cohort
	for i := range n {
		m := map[string]api.Metric{}
		if i >= missing {
			m["success"] = api.Bool(i-missing >= failing)
		}
		if err := c.Add(m, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func question(gates []api.Gate, strata ...compare.Stratum) compare.Question {
	return compare.Question{Gates: gates, Confidence: 0.95, MinRuns: 30, Guarantee: api.GuaranteeLook, Strata: strata, Seed: "test", Attempt: 1}
}

func TestGateOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		gate                string
		candidate, baseline compare.Cohort
		outcome             api.Outcome
		code                string
	}{
		"clean":                     {"success", cohort(t, 100, 10, 0), cohort(t, 100, 10, 0), api.Clean, compare.ReasonClean},
		"regressed":                 {"success", cohort(t, 100, 40, 0), cohort(t, 100, 10, 0), api.Regressed, compare.ReasonRegressed},
		"better":                    {"success", cohort(t, 100, 10, 0), cohort(t, 100, 40, 0), api.Clean, compare.ReasonClean},
		"within an absolute margin": {"success:margin=0.5", cohort(t, 100, 40, 0), cohort(t, 100, 10, 0), api.Clean, compare.ReasonClean},
		"within a relative margin":  {"success:margin=60%", cohort(t, 100, 40, 0), cohort(t, 100, 10, 0), api.Clean, compare.ReasonClean},
		"beyond a relative margin":  {"success:margin=5%", cohort(t, 100, 40, 0), cohort(t, 100, 10, 0), api.Regressed, compare.ReasonRegressed},
		"few candidate runs":        {"success", cohort(t, 29, 29, 0), cohort(t, 100, 10, 0), api.Insufficient, compare.ReasonTooFewRuns},
		"few baseline runs":         {"success", cohort(t, 100, 90, 0), cohort(t, 29, 0, 0), api.Insufficient, compare.ReasonTooFewRuns},
		"no runs":                   {"success", compare.Cohort{}, compare.Cohort{}, api.Insufficient, compare.ReasonTooFewRuns},
		"candidate lacks it":        {"success", cohort(t, 50, 0, 50), cohort(t, 100, 10, 0), api.Insufficient, compare.ReasonMetricMissing},
		"baseline lacks it":         {"success", cohort(t, 50, 0, 0), cohort(t, 50, 0, 50), api.Insufficient, compare.ReasonMetricMissing},
		"candidate leaves it out":   {"success", cohort(t, 100, 0, 30), cohort(t, 100, 10, 0), api.Insufficient, compare.ReasonMissingMoreOften},
		"both leave it out":         {"success", cohort(t, 100, 5, 30), cohort(t, 100, 5, 30), api.Clean, compare.ReasonClean},
		"nothing could be worse":    {"success", cohort(t, 30, 30, 0), cohort(t, 30, 30, 0), api.Insufficient, compare.ReasonCannotRegress},
		"lower is better":           {"success:better=lower", cohort(t, 100, 10, 0), cohort(t, 100, 40, 0), api.Regressed, compare.ReasonRegressed},
	} {
		v := compare.Releases(question([]api.Gate{gate(t, c.gate)}, compare.Stratum{Epoch: 1, Candidate: c.candidate, Baseline: c.baseline}))
		if v.Verdict != c.outcome || v.Gates[0].Reason.Code != c.code || v.Reason.Text == "" {
			t.Errorf("%s: %s %s, want %s %s: %s", name, v.Verdict, v.Gates[0].Reason.Code, c.outcome, c.code, v.Reason.Text)
		}
	}
}

func TestNumbersAreNotARate(t *testing.T) {
	c := cohort(t, 40, 0, 0)
	if err := c.Add(map[string]api.Metric{"success": api.Number(0.5)}, 99); err != nil {
		t.Fatal(err)
	}
	v := compare.Releases(question([]api.Gate{gate(t, "success")}, compare.Stratum{Candidate: c, Baseline: cohort(t, 40, 0, 0)}))
	if v.Verdict != api.Insufficient || v.Gates[0].Reason.Code != compare.ReasonNotBoolean {
		t.Errorf("%s: %s", v.Verdict, v.Reason.Text)
	}
}

// TestOverall: rollback and hold gates decide, warn gates never do.
func TestOverall(t *testing.T) {
	s := compare.Stratum{Candidate: cohort(t, 100, 40, 0), Baseline: cohort(t, 100, 10, 0)}
	for text, want := range map[string]api.Outcome{"success:on=warn": api.Insufficient, "success:on=hold": api.Regressed, "success": api.Regressed} {
		v := compare.Releases(question([]api.Gate{gate(t, text)}, s))
		if v.Verdict != want {
			t.Errorf("%s: %s, want %s", text, v.Verdict, want)
		}
		if warn := strings.HasSuffix(text, "warn"); warn != (len(v.Signals) == 1) || warn == (len(v.Gates) == 1) {
			t.Errorf("%s: %d gates and %d signals", text, len(v.Gates), len(v.Signals))
		}
	}
}

// TestStrataAreNotPooled: the candidate is as good as the baseline in each
// stratum, but ran mostly in the one where everything fails.
func TestStrataAreNotPooled(t *testing.T) {
	strata := []compare.Stratum{
		{Epoch: 1, Candidate: cohort(t, 50, 5, 0), Baseline: cohort(t, 1000, 100, 0)},
		{Epoch: 2, Candidate: cohort(t, 1000, 500, 0), Baseline: cohort(t, 50, 25, 0)},
	}
	v := compare.Releases(question([]api.Gate{gate(t, "success")}, strata...))
	if v.Verdict != api.Clean || math.Abs(v.Gates[0].Difference.Estimate) > 1e-12 || v.Gates[0].Difference.Strata != 2 {
		t.Errorf("%s %+v", v.Verdict, v.Gates[0].Difference)
	}
}

func TestLooksThatTheLedgerDecides(t *testing.T) {
	s := compare.Stratum{Candidate: cohort(t, 30, 10, 0), Baseline: cohort(t, 570, 57, 0)}
	for name, c := range map[string]struct {
		tested  compare.Tested
		outcome api.Outcome
		code    string
	}{
		"no look yet":     {compare.Tested{CandidateRuns: 25, FirstLook: 30}, api.Insufficient, compare.ReasonNoLook},
		"not reachable":   {compare.Tested{Tested: true, FirstLook: 30}, api.Insufficient, compare.ReasonCannotRegress},
		"clean":           {compare.Tested{Tested: true, Reachable: true, Difference: &api.Difference{Estimate: -0.2, Lo: -0.4, Hi: 0.01}}, api.Clean, compare.ReasonClean},
		"regressed":       {compare.Tested{Tested: true, Reachable: true, Regressed: true, Difference: &api.Difference{Estimate: -0.2, Lo: -0.4, Hi: -0.01}}, api.Regressed, compare.ReasonRegressed},
		"without a width": {compare.Tested{Tested: true, Reachable: true, Regressed: true}, api.Regressed, compare.ReasonRegressed},
	} {
		q := question([]api.Gate{gate(t, "success")}, s)
		q.Guarantee, q.Tests = api.GuaranteeRollout, []compare.Tested{c.tested}
		v := compare.Releases(q)
		g := v.Gates[0]
		if v.Verdict != c.outcome || g.Reason.Code != c.code || g.Null != compare.NullSameRate || g.OneLook == nil {
			t.Errorf("%s: %s %s: %+v", name, v.Verdict, g.Reason.Code, g)
		}
		// The ordinary interval excludes zero here: the reason says that this is not enough.
		if name == "clean" && (!strings.Contains(g.Reason.Text, "looking again and again") || *g.Hides < 0.35) {
			t.Errorf("%s, hides %v", g.Reason.Text, *g.Hides)
		}
	}
}

// draw is an arbitrary stratum of two metrics.
func draw(t *rapid.T, label string) compare.Stratum {
	side := func(label string) compare.Cohort {
		var c compare.Cohort
		for range rapid.IntRange(0, 60).Draw(t, label) {
			m := map[string]api.Metric{}
			if rapid.IntRange(0, 9).Draw(t, "missing") > 0 {
				m["success"] = api.Bool(rapid.Bool().Draw(t, "success"))
			}
			m["latency_ms"] = api.Number(rapid.Float64Range(1, 1e6).Draw(t, "latency"))
			if err := c.Add(m, rapid.Uint64().Draw(t, "unit")); err != nil {
				t.Fatal(err)
			}
		}
		return c
	}
	return compare.Stratum{Candidate: side(label + " candidates"), Baseline: side(label + " baselines")}
}

// TestSwapFlipsTheSign: exchanging the cohorts negates every rate difference exactly.
func TestSwapFlipsTheSign(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "one"), draw(t, "two")
		gates := []api.Gate{gate(t, "success"), gate(t, "latency_ms:p50:on=hold")}
		one := compare.Releases(question(gates, a, b))
		two := compare.Releases(question(gates, swap(a), swap(b)))
		for i, g := range one.Gates {
			d, e := g.Difference, two.Gates[i].Difference
			if d == nil || e == nil {
				if d != e {
					t.Fatal("one way there is a difference and the other way there is none")
				}
				continue
			}
			if !near(d.Estimate, -e.Estimate) || !near(d.Lo, -e.Hi) || !near(d.Hi, -e.Lo) {
				t.Fatalf("%s: %+v and %+v", g.ID(), d, e)
			}
		}
	})
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(1, math.Abs(a)) }

func swap(s compare.Stratum) compare.Stratum {
	return compare.Stratum{Epoch: s.Epoch, Candidate: s.Baseline, Baseline: s.Candidate}
}

// TestMoreCleanRunsNeverRegress: a candidate run that succeeds cannot make a clean rate regress.
func TestMoreCleanRunsNeverRegress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(30, 200).Draw(t, "n")
		failing := rapid.IntRange(0, n).Draw(t, "failing")
		baseline := cohort(t, rapid.IntRange(30, 200).Draw(t, "baseline"), rapid.IntRange(0, 30).Draw(t, "baseline failing"), 0)
		more := rapid.IntRange(1, 50).Draw(t, "more")
		gates := []api.Gate{gate(t, "success")}
		before := compare.Releases(question(gates, compare.Stratum{Candidate: cohort(t, n, failing, 0), Baseline: baseline}))
		after := compare.Releases(question(gates, compare.Stratum{Candidate: cohort(t, n+more, failing, 0), Baseline: baseline}))
		if before.Verdict == api.Clean && after.Verdict == api.Regressed {
			t.Fatalf("%d failures of %d clean, of %d regressed", failing, n, n+more)
		}
	})
}

// TestSameBytes: the verdict does not depend on the order in which runs were folded or merged.
func TestSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type run struct {
			v    float64
			ok   bool
			unit uint64
		}
		runs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) run {
			return run{rapid.Float64Range(0, 1e5).Draw(t, "v"), rapid.Bool().Draw(t, "ok"), rapid.Uint64Range(0, 50).Draw(t, "unit")}
		}), 30, 120).Draw(t, "runs")
		fold := func(order []run, split int) compare.Cohort {
			var parts [2]compare.Cohort
			for i, r := range order {
				if err := parts[min(i/split, 1)].Add(map[string]api.Metric{"success": api.Bool(r.ok), "latency_ms": api.Number(r.v)}, r.unit); err != nil {
					t.Fatal(err)
				}
			}
			for name, m := range parts[1].Metrics {
				merged := parts[0].Metrics[name]
				merged.Summary.Merge(m.Summary)
				parts[0].Metrics[name] = merged
			}
			parts[0].Runs += parts[1].Runs
			return parts[0]
		}
		permuted := rapid.Permutation(runs).Draw(t, "order")
		baseline := fold(runs[:30], 30)
		verdict := func(candidate compare.Cohort) string {
			data, err := json.Marshal(compare.Releases(question([]api.Gate{gate(t, "success"), gate(t, "latency_ms:p95:on=hold"), gate(t, "latency_ms:mean:on=warn")},
				compare.Stratum{Candidate: candidate, Baseline: baseline})))
			if err != nil {
				t.Fatal(err)
			}
			return string(data)
		}
		if a, b := verdict(fold(runs, len(runs))), verdict(fold(permuted, rapid.IntRange(1, len(runs)).Draw(t, "split"))); a != b {
			t.Fatalf("%s\n%s", a, b)
		}
	})
}

func TestDefaultGates(t *testing.T) {
	all, err := compare.DefaultGates(nil)
	if err != nil || len(all) != len(api.KnownMetrics()) || all[0].Metric != "success" || all[0].On != api.OnRollback {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := compare.DefaultGates([]string{"zeal", "stars"}); err == nil || !strings.Contains(err.Error(), "such as stars:rate") || !strings.HasSuffix(err.Error(), "it reports: stars, zeal") {
		t.Errorf("%v", err)
	}
}

func TestFormats(t *testing.T) {
	rate, latency, cost := gate(t, "success"), gate(t, "latency_ms"), gate(t, "cost_usd")
	for got, want := range map[string]string{
		compare.FormatDifference(rate, api.Difference{Estimate: -0.137, Lo: -0.31, Hi: 0.012}): "−13.7 points (−31.0 … +1.2)",
		compare.FormatChange(latency, 812.4):                                                   "+812 ms",
		compare.FormatChange(rate, 0.0001):                                                     "0.0 points",
		compare.FormatValue(rate, 0.904):                                                       "90.4 %",
		compare.FormatChange(cost, 0.0000724):                                                  "+0.0000724 USD",
		compare.FormatChange(cost, 0.724):                                                      "+0.724 USD",
		compare.FormatValue(cost, 0.01382):                                                     "0.0138 USD",
		compare.FormatValue(latency, 12.3456):                                                  "12.3 ms",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
