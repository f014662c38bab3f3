package compare_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
)

// Figure says of a cohort alone what a comparison says of it.
func TestFigure(t *testing.T) {
	var c, other compare.Cohort
	for i := range 200 {
		for _, cohort := range []*compare.Cohort{&c, &other} {
			metrics := map[string]api.Metric{"success": api.Bool(i%10 != 0), "latency_ms": api.Number(float64(100 + i)), "cost_usd": api.Number(float64(i) / 100)}
			if i%4 == 0 {
				delete(metrics, "cost_usd")
			}
			if err := cohort.Add(metrics, uint64(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	const confidence = 0.95
	q := compare.Question{Confidence: confidence, MinRuns: 30, Guarantee: api.GuaranteeLook, Attempt: 1, Strata: []compare.Stratum{{Baseline: c, Candidate: other}}}
	for _, text := range []string{"success", "latency_ms", "latency_ms:p50", "cost_usd"} {
		q.Gates = append(q.Gates, gate(t, text))
	}
	for _, want := range compare.Releases(q).Gates {
		got := c.Figure(want.Gate, confidence)
		if want.Statistic == api.StatisticMean { // a comparison resamples it
			want.Baseline.Lo, want.Baseline.Hi = nil, nil
		}
		if diff := cmp.Diff(want.Baseline, got); diff != "" {
			t.Errorf("%s: %s", want.ID(), diff)
		}
	}
	if f := c.Figure(gate(t, "cost_usd"), confidence); f.N != 150 || f.Missing != 50 || math.Abs(*f.Value-1.0) > 0.01 {
		t.Errorf("a mean: %+v", f)
	}
}

// What cannot be said is left out.
func TestFigureWithoutValue(t *testing.T) {
	var c compare.Cohort
	if err := c.Add(map[string]api.Metric{"success": api.Number(0.5), "latency_ms": api.Number(3)}, 1); err != nil {
		t.Fatal(err)
	}
	if f := c.Figure(gate(t, "success"), 0.95); f.N != 1 || f.Value != nil || f.Lo != nil {
		t.Errorf("a rate of halves: %+v", f)
	}
	if f := c.Figure(gate(t, "error"), 0.95); f.N != 0 || f.Missing != 1 || f.Value != nil {
		t.Errorf("a metric that nobody reports: %+v", f)
	}
	if f := c.Figure(gate(t, "latency_ms"), 0.95); f.Value == nil || f.Hi != nil {
		t.Errorf("a quantile of one run: %+v", f)
	}
}
