package compare_test

import (
	"math"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/stats"
)

func numbers(t *testing.T, metric string, values ...float64) compare.Cohort {
	t.Helper()
	var c compare.Cohort
	for i, v := range values {
		if err := c.Add(map[string]api.Metric{metric: api.Number(v)}, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestAddRefusesWhatIsNotFinite(t *testing.T) {
	var c compare.Cohort
	if err := c.Add(map[string]api.Metric{"score": api.Number(math.NaN())}, 1); err == nil {
		t.Error("NaN is added")
	}
}

// TestExactQuantiles: with every value at hand, in any order and over several
// strata, a cohort's quantile is that of its values; if one stratum lacks them,
// it is that of a bin.
func TestExactQuantiles(t *testing.T) {
	one, two := []float64{1900, 1003, 1001, 1017}, []float64{1005.3, 1000.5, 1008, 1002, 1006}
	a, b := numbers(t, "latency_ms", one...), numbers(t, "latency_ms", two...)
	a.KeepValues("latency_ms", one)
	b.KeepValues("latency_ms", two)
	if one[0] != 1900 {
		t.Error("the caller's values were sorted")
	}
	p50 := func(strata ...compare.Stratum) float64 {
		q := question([]api.Gate{gate(t, "latency_ms:p50")}, strata...)
		q.MinRuns = 1
		return *compare.Releases(q).Gates[0].Candidate.Value
	}
	if got := p50(compare.Stratum{Candidate: a}); got != 1010 {
		t.Errorf("of one stratum: %v, want 1010", got) // half way between 1003 and 1017
	}
	if got := p50(compare.Stratum{Candidate: a}, compare.Stratum{Epoch: 2, Candidate: b}); got != 1005.3 {
		t.Errorf("of two strata: %v, want 1005.3", got)
	}
	only := numbers(t, "latency_ms", two...)
	all := numbers(t, "latency_ms", append(append([]float64{}, one...), two...)...)
	want := p50(compare.Stratum{Candidate: all})
	for _, strata := range [][]compare.Stratum{{{Candidate: a}, {Epoch: 2, Candidate: only}}, {{Candidate: only}, {Epoch: 2, Candidate: a}}} {
		if got := p50(strata...); got != want || got == 1005.3 || got == 1010 {
			t.Errorf("of two strata, one without values: %v, want the bin's %v", got, want)
		}
	}
}

// TestMergeAddsUp: merging counts runs and sums, into an empty cohort too.
func TestMergeAddsUp(t *testing.T) {
	whole := numbers(t, "score", 1, 2, 3, 4)
	var merged compare.Cohort
	for _, part := range []compare.Cohort{numbers(t, "score", 1, 2), numbers(t, "score", 3, 4)} {
		merged.Merge(part.Runs+1, map[string]stats.Summary{"score": part.Metrics["score"].Summary})
	}
	m := merged.Metrics["score"].Summary
	if merged.Runs != whole.Runs+2 || m.Count() != 4 || m.Mean() != 2.5 {
		t.Errorf("%d runs, %d values with mean %v", merged.Runs, m.Count(), m.Mean())
	}
}

// TestPartlyExact: where single values of some strata are missing, the cohort's
// quantile is taken from the summaries of all of them, not from those values.
func TestPartlyExact(t *testing.T) {
	low := values(t, series(50, func(i int) float64 { return 100 + float64(i) })...)
	high := values(t, series(50, func(i int) float64 { return 900 + float64(i) })...)
	without := func(c compare.Cohort) compare.Cohort {
		m := c.Metrics["x"]
		m.Values = nil
		return compare.Cohort{Runs: c.Runs, Metrics: map[string]compare.Metric{"x": m}}
	}
	value := func(first, second compare.Cohort) float64 {
		q := question([]api.Gate{gate(t, "x:p95:better=lower")}, compare.Stratum{Candidate: first, Baseline: first}, compare.Stratum{Candidate: second, Baseline: second})
		return *compare.Releases(q).Gates[0].Candidate.Value
	}
	want := value(without(low), without(high))
	for name, got := range map[string]float64{"the first": value(low, without(high)), "the second": value(without(low), high)} {
		if got != want {
			t.Errorf("only %s has its values: %v, want %v", name, got, want)
		}
	}
	if exact := value(low, high); exact < 900 || exact == want {
		t.Errorf("all have their values: %v", exact)
	}
}
