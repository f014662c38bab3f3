package compare_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/stats"
)

// TestRatesAreComparedWithinEpochs: a rate, and the share of runs without it,
// are compared the same whether epochs are strata or share a span.
func TestRatesAreComparedWithinEpochs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := compare.Stratum{Epoch: 7}
		var apart []compare.Stratum
		for epoch := span.Epoch; epoch < span.Epoch+int64(rapid.IntRange(1, 4).Draw(t, "epochs")); epoch++ {
			one := compare.Stratum{Epoch: epoch}
			for _, c := range [][2]*compare.Cohort{{&one.Candidate, &span.Candidate}, {&one.Baseline, &span.Baseline}} {
				side, whole := c[0], c[1]
				n := rapid.IntRange(0, 60).Draw(t, "runs")
				missing := rapid.IntRange(0, n).Draw(t, "missing") / 4
				*side = cohort(t, n, rapid.IntRange(0, n-missing).Draw(t, "failing"), missing)
				whole.Merge(side.Runs, map[string]stats.Summary{"success": side.Metrics["success"].Summary})
				whole.Epochs = whole.Epochs.Add(epoch, side.Runs, 0)
				m := whole.Metrics["success"]
				if s := side.Metrics["success"].Summary; s.Count() > 0 {
					m.Epochs = m.Epochs.Add(epoch, s.Count(), s.Ones())
				}
				whole.Metrics["success"] = m
			}
			apart = append(apart, one)
		}
		gate := gate(t, "success")
		// The gates alone: a check may find a unit of two epochs repeated within the span.
		want := compare.Releases(question([]api.Gate{gate}, apart...)).Gates
		got := compare.Releases(question([]api.Gate{gate}, span)).Gates
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("one span (-strata +span):\n%s", diff)
		}
	})
}

// TestDriftIsNotPooled: within a span the base rate falls from 90 % to 50 %
// while the candidate's share rises from 5 % to 95 %.
func TestDriftIsNotPooled(t *testing.T) {
	before := compare.Stratum{Candidate: cohort(t, 50, 5, 0), Baseline: cohort(t, 950, 95, 0)}
	after := compare.Stratum{Candidate: cohort(t, 950, 475, 0), Baseline: cohort(t, 50, 25, 0)}
	span := compare.Stratum{Epoch: 1}
	for i, s := range []compare.Stratum{before, after} {
		epoch := int64(i) + 1
		for _, c := range [][2]*compare.Cohort{{&s.Candidate, &span.Candidate}, {&s.Baseline, &span.Baseline}} {
			side, whole := c[0], c[1]
			whole.Merge(side.Runs, map[string]stats.Summary{"success": side.Metrics["success"].Summary})
			whole.Epochs = whole.Epochs.Add(epoch, side.Runs, 0)
			m := whole.Metrics["success"]
			m.Epochs = m.Epochs.Add(epoch, side.Metrics["success"].Summary.Count(), side.Metrics["success"].Summary.Ones())
			whole.Metrics["success"] = m
		}
	}
	v := compare.Releases(question([]api.Gate{gate(t, "success")}, span))
	if v.Verdict != api.Clean || v.Gates[0].Difference.Estimate != 0 {
		t.Errorf("%s: %+v", v.Verdict, v.Gates[0].Difference)
	}
	pooled := span
	for _, c := range []*compare.Cohort{&pooled.Candidate, &pooled.Baseline} {
		c.Epochs = nil
		c.Metrics = map[string]compare.Metric{"success": {Summary: c.Metrics["success"].Summary}}
	}
	if v := compare.Releases(question([]api.Gate{gate(t, "success")}, pooled)); v.Verdict != api.Regressed {
		t.Errorf("pooled: %s, so this test shows nothing", v.Verdict)
	}
}
