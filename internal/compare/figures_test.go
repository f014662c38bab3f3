package compare_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/stats"
)

func one(t *testing.T, text string, strata ...compare.Stratum) api.GateResult {
	t.Helper()
	q := question([]api.Gate{gate(t, text)}, strata...)
	q.MinRuns = 1
	return compare.Releases(q).Gates[0]
}

// figure holds a cohort's figure against a value and its interval.
func figure(t *testing.T, name string, got api.CohortFigure, n, missing int64, value float64, i stats.Interval) {
	t.Helper()
	if got.Value == nil || got.N != n || got.Missing != missing || *got.Value != value || *got.Lo != i.Lo || *got.Hi != i.Hi {
		t.Errorf("%s: %d runs, %d missing, %v", name, got.N, got.Missing, got.Value)
	}
}

func difference(t *testing.T, name string, got *api.Difference, want stats.Difference, method string, strata int) {
	t.Helper()
	if got == nil || got.Estimate != want.Estimate || got.Lo != want.Lo || got.Hi != want.Hi || got.Method != method || got.Strata != strata || got.Confidence != 0.95 {
		t.Errorf("%s: %+v, want %+v by %s", name, got, want, method)
	}
}

// TestRates: Wilson of each cohort over all strata, Newcombe within the strata
// that have both.
func TestRates(t *testing.T) {
	a := compare.Stratum{Epoch: 1, Candidate: cohort(t, 12, 3, 2), Baseline: cohort(t, 40, 4, 0)}
	b := compare.Stratum{Epoch: 2, Candidate: cohort(t, 20, 2, 0), Baseline: cohort(t, 21, 1, 1)}
	alone := compare.Stratum{Epoch: 3, Candidate: cohort(t, 1, 1, 0)}
	g := one(t, "success", a, b, alone)
	p := stats.Proportion{X: 7 + 18, N: 10 + 20 + 1}
	figure(t, "candidate", g.Candidate, 31, 2, p.Value(), stats.Wilson(p, stats.Critical(0.95)))
	p = stats.Proportion{X: 36 + 19, N: 40 + 20}
	figure(t, "baseline", g.Baseline, 60, 1, p.Value(), stats.Wilson(p, stats.Critical(0.95)))
	strata := []stats.Stratum{
		{Candidate: stats.Proportion{X: 7, N: 10}, Baseline: stats.Proportion{X: 36, N: 40}},
		{Candidate: stats.Proportion{X: 18, N: 20}, Baseline: stats.Proportion{X: 19, N: 20}},
	}
	difference(t, "two strata", g.Difference, stats.StratifiedNewcombe(strata, stats.Critical(0.95)), "newcombe-stratified", 2)
	difference(t, "one stratum", one(t, "success", a).Difference, stats.StratifiedNewcombe(strata[:1], stats.Critical(0.95)), "newcombe", 1)
	if g := one(t, "success", alone); g.Difference != nil || g.Reason.Code != compare.ReasonTooFewRuns || g.Candidate.Value == nil || g.Baseline.Value != nil {
		t.Errorf("one release alone: %+v", g)
	}
	apart := compare.Stratum{Epoch: 4, Baseline: cohort(t, 1, 1, 0)}
	if g := one(t, "success", alone, apart); g.Difference != nil || g.Reason.Code != compare.ReasonNotFinite {
		t.Errorf("no stratum with both: %+v", g)
	}
	difference(t, "beside a baseline alone", one(t, "success", a, apart).Difference, stats.StratifiedNewcombe(strata[:1], stats.Critical(0.95)), "newcombe", 1)
	single := compare.Stratum{Candidate: cohort(t, 1, 1, 0), Baseline: cohort(t, 1, 0, 0)}
	if g := one(t, "success", single); g.Difference == nil || g.Difference.Estimate != -1 {
		t.Errorf("one run each: %+v", g.Difference)
	}
}

func units(c compare.Cohort, metric string) []stats.Unit {
	s := c.Metrics[metric].Summary
	return s.Units()
}

// TestMeans: the seeded bootstrap of each cohort, and of the strata that have both.
func TestMeans(t *testing.T) {
	a := compare.Stratum{Epoch: 1, Candidate: numbers(t, "score", 1, 2, 4, 8), Baseline: numbers(t, "score", 3, 1, 1)}
	b := compare.Stratum{Epoch: 2, Candidate: numbers(t, "score", 5), Baseline: numbers(t, "score", 7)}
	alone := compare.Stratum{Epoch: 3, Candidate: numbers(t, "score", 100)}
	apart := compare.Stratum{Epoch: 4, Baseline: numbers(t, "score", -100)}
	how := stats.Resampling{Confidence: 0.95, Seed: stats.SeedOf("test", "score:mean", "0"), Resamples: compare.Resamples, MaxUnits: 1024}
	unitsOf := func(strata ...compare.Stratum) (out []stats.UnitStratum) {
		for _, s := range strata {
			out = append(out, stats.UnitStratum{Candidate: units(s.Candidate, "score"), Baseline: units(s.Baseline, "score")})
		}
		return out
	}
	g := one(t, "score:mean", a, b, alone, apart)
	difference(t, "two strata", g.Difference, stats.BootstrapMeans(unitsOf(a, b, alone, apart), how).Difference, "bootstrap-percentile", 2)
	g = one(t, "score:mean", a)
	want := stats.BootstrapMeans(unitsOf(a), how)
	figure(t, "candidate", g.Candidate, 4, 0, 3.75, want.Candidate)
	figure(t, "baseline", g.Baseline, 3, 0, 5.0/3, want.Baseline)
	if g := one(t, "score:mean", alone, apart); g.Difference != nil || g.Candidate.Value == nil || g.Baseline.Value == nil {
		t.Errorf("no stratum with both: %+v", g)
	}
	if g := one(t, "score:mean", alone); g.Baseline.Value != nil || g.Difference != nil || *g.Candidate.Value != 100 {
		t.Errorf("one release alone: %+v", g)
	}
	if g := one(t, "score:mean", apart); g.Candidate.Value != nil || g.Difference != nil || *g.Baseline.Value != -100 {
		t.Errorf("the baseline alone: %+v", g)
	}
}

// TestQuantiles: order statistics of each cohort; the strata's differences are
// combined with the weights n_c n_b/(n_c + n_b), their half widths in squares.
func TestQuantiles(t *testing.T) {
	values := [][]float64{{1, 2, 4, 8, 16, 32}, {3, 1, 1, 5, 2, 2}, {5, 6, 7, 3, 4, 9, 8}, {7, 9, 3, 5, 7, 1}}
	cohorts := make([]compare.Cohort, len(values))
	sides := make([]stats.Interval, len(values))
	medians := make([]float64, len(values))
	for i, v := range values {
		cohorts[i] = numbers(t, "latency_ms", v...)
		cohorts[i].KeepValues("latency_ms", v)
		sorted := slices.Sorted(slices.Values(v))
		sides[i], medians[i] = stats.QuantileValuesInterval(sorted, 0.5, stats.Critical(0.95)), stats.QuantileType7(sorted, 0.5)
	}
	a := compare.Stratum{Epoch: 1, Candidate: cohorts[0], Baseline: cohorts[1]}
	b := compare.Stratum{Epoch: 2, Candidate: cohorts[2], Baseline: cohorts[3]}
	alone := compare.Stratum{Epoch: 3, Candidate: cohorts[0]}
	apart := compare.Stratum{Epoch: 4, Baseline: cohorts[3]}
	g := one(t, "latency_ms:p50", a)
	figure(t, "candidate", g.Candidate, 6, 0, 6, sides[0])
	figure(t, "baseline", g.Baseline, 6, 0, 2, sides[1])
	first := stats.MOVER(medians[0], medians[1], sides[0], sides[1])
	second := stats.MOVER(medians[2], medians[3], sides[2], sides[3])
	if d := g.Difference; d == nil || d.Strata != 1 || math.Abs(d.Estimate-first.Estimate) > 1e-12 || math.Abs(d.Lo-first.Lo) > 1e-12 {
		t.Errorf("one stratum: %+v, want %+v", d, first)
	}
	wa, wb := 6*6/12.0, 7*6/13.0
	want := stats.Difference{Estimate: (wa*first.Estimate + wb*second.Estimate) / (wa + wb)}
	want.Lo = want.Estimate - math.Hypot(wa*(first.Estimate-first.Lo), wb*(second.Estimate-second.Lo))/(wa+wb)
	want.Hi = want.Estimate + math.Hypot(wa*(first.Hi-first.Estimate), wb*(second.Hi-second.Estimate))/(wa+wb)
	d := one(t, "latency_ms:p50", alone, a, apart, b).Difference
	if d == nil || d.Strata != 2 || d.Method != "order-statistics-mover" ||
		math.Abs(d.Estimate-want.Estimate) > 1e-12 || math.Abs(d.Lo-want.Lo) > 1e-12 || math.Abs(d.Hi-want.Hi) > 1e-12 {
		t.Errorf("%+v, want %+v", d, want)
	}
	if g := one(t, "latency_ms:p50", alone, apart); g.Difference != nil || g.Candidate.Value == nil || g.Baseline.Value == nil {
		t.Errorf("no stratum with both: %+v", g)
	}
	if g := one(t, "latency_ms:p50", apart); g.Difference != nil || g.Candidate.Value != nil || *g.Baseline.Value != 6 {
		t.Errorf("the baseline alone: %+v", g)
	}
	single := compare.Cohort{}
	if err := single.Add(map[string]api.Metric{"latency_ms": api.Number(1000.3)}, 1); err != nil {
		t.Fatal(err)
	}
	single.KeepValues("latency_ms", []float64{1000.3})
	if g := one(t, "latency_ms:p50", compare.Stratum{Baseline: single}); *g.Baseline.Value != 1000.3 {
		t.Errorf("one value of the baseline: %v", *g.Baseline.Value)
	}
	if g := one(t, "latency_ms:p50", compare.Stratum{Candidate: single}); *g.Candidate.Value != 1000.3 || g.Candidate.Lo != nil || g.Candidate.Hi != nil {
		t.Errorf("one value has no limits: %+v", g.Candidate)
	}
}

// TestRelativeMargins are shares of what the baseline has, whichever its sign.
func TestRelativeMargins(t *testing.T) {
	s := compare.Stratum{Candidate: numbers(t, "score", -24, -24, -24, -24, -24), Baseline: numbers(t, "score", -20, -20, -20, -20, -20)}
	for text, want := range map[string]api.Outcome{
		"score:mean:margin=19%": api.Regressed, "score:mean:margin=21%": api.Clean,
		"score:mean:margin=3.9": api.Regressed, "score:mean:margin=4": api.Clean, // at the margin is not beyond it
		"score:mean:better=lower":            api.Clean,
		"score:mean:better=lower:margin=21%": api.Clean,
	} {
		g := one(t, text, s)
		if g.Verdict != want {
			t.Errorf("%s: %s", text, g.Reason.Text)
		}
		if margin := g.Reason.Params["margin"].(float64); strings.HasSuffix(text, "21%") && margin != 4.2 {
			t.Errorf("%s: a margin of %v", text, margin)
		}
	}
	equal := compare.Stratum{Candidate: numbers(t, "score", 3, 3, 3, 3, 3), Baseline: numbers(t, "score", 2, 2, 2, 2, 2)}
	for text, want := range map[string]api.Outcome{"score:mean:better=lower:margin=1": api.Clean, "score:mean:better=lower:margin=50%": api.Clean, "score:mean:better=lower:margin=49%": api.Regressed} {
		if g := one(t, text, equal); g.Verdict != want {
			t.Errorf("%s: %s", text, g.Reason.Text)
		}
	}
}
