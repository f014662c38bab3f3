package compare_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
)

// Changed lists what both sides ran and what came out otherwise, and nothing else.
func TestChanged(t *testing.T) {
	var r replay
	add := func(probe string, side compare.Side, latency float64) {
		r.add(t, probe, side, map[string]api.Metric{"latency_ms": api.Number(latency)})
	}
	for _, probe := range []string{"same", "slower", "faster", ""} {
		add(probe, compare.BaselineSide, 100)
	}
	add("same", compare.CandidateSide, 90)
	add("same", compare.CandidateSide, 110)
	add("slower", compare.CandidateSide, 130)
	add("faster", compare.CandidateSide, 50)
	add("", compare.CandidateSide, 7)
	add("only here", compare.CandidateSide, 7)
	got := r.pairs.Changed("latency_ms")
	want := []compare.ChangedPair{
		{Probe: "faster", Candidate: 50, Baseline: 100, CandidateRuns: 1, BaselineRuns: 1},
		{Probe: "slower", Candidate: 130, Baseline: 100, CandidateRuns: 1, BaselineRuns: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got[0].Harm(api.BetterLower) != -50 || got[1].Harm(api.BetterLower) != 30 || got[1].Harm(api.BetterHigher) != -30 {
		t.Errorf("harms: %v %v", got[0].Harm(api.BetterLower), got[1].Harm(api.BetterLower))
	}
	if r.pairs.Changed("success") != nil || new(compare.PairUp).Changed("x") != nil {
		t.Error("a metric that nobody carried")
	}
}
