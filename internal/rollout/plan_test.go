package rollout_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
)

func policy(t *testing.T, r api.CreateRollout) api.Policy {
	t.Helper()
	p, errs := rollout.NewPolicy(r, []string{"success"})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return p
}

// TestPlanOfEachStep: the runs, their baseline beside them, rounded, and the time it takes.
func TestPlanOfEachStep(t *testing.T) {
	plan := rollout.PlanOf(policy(t, api.CreateRollout{Steps: []int{3, 30, 100}, MinRuns: minRuns(10)}), rollout.Traffic{RunsPerHour: 1})
	seconds := []int64{10 * 3600 * 100 / 3, 10 * 3600 * 100 / 30}
	baseline := []int64{323, 23}
	for i := range 2 {
		s := plan.Step[i]
		if s.MinRuns != 10 || s.BaselineRuns != baseline[i] || s.ExpectedSeconds == nil || *s.ExpectedSeconds != seconds[i] {
			t.Errorf("%+v", s)
		}
	}
	if s := plan.Step[2]; s.MinRuns != 0 || s.BaselineRuns != 0 || s.ExpectedSeconds != nil || s.Weight != 100 || plan.Runs != 20 {
		t.Errorf("%+v", plan)
	}
	if !strings.HasPrefix(plan.Text, "The ramp needs at least 20 candidate runs: 10 at 3%, 10 at 30%. ") {
		t.Error(plan.Text)
	}
}

// TestPlanSaysWhatTheTestWillDo: the least number of failures that it names rolls back, one less does not.
func TestPlanSaysWhatTheTestWillDo(t *testing.T) {
	for _, c := range []struct {
		gates []string
		seen  rollout.Traffic
		says  string
		least int // failures of 30 beside 57 of 570; 0 if none
	}{
		{[]string{"success"}, rollout.Traffic{}, "If the baseline fails 10.0 % of its runs (for example), 9 or more failures in the first 30 candidate runs", 9},
		{[]string{"success"}, rollout.Traffic{Runs: 1, FailureRate: 0.1}, "fails 10.0 % of its runs (as seen so far), 9 or more", 9},
		{[]string{"error"}, rollout.Traffic{Runs: 570, FailureRate: 0.1}, "9 or more", 9},
		{[]string{"error:on=hold", "success"}, rollout.Traffic{}, "9 or more", 9},
		{[]string{"success:margin=10%"}, rollout.Traffic{}, "13 or more", 13},
		{[]string{"error:margin=50%"}, rollout.Traffic{}, "11 or more", 11},
		{[]string{"success"}, rollout.Traffic{Runs: 9, FailureRate: 1}, "If the baseline fails 100.0 % of its runs (as seen so far), no count of failures in the first 30 candidate runs would be a regression of success yet", 0},
	} {
		request := api.CreateRollout{Mode: api.ModeCanary, Gates: gates(t, c.gates...)}
		plan := rollout.PlanOf(policy(t, request), c.seen)
		if !strings.Contains(plan.Text, c.says) {
			t.Errorf("%v: %s", c.gates, plan.Text)
		}
		for _, failing := range []int{c.least - 1, c.least} {
			if c.least == 0 {
				continue
			}
			p := newPlay(t, request)
			one := func(side rollout.Side, failed bool) {
				p.record(side, map[string]api.Metric{"success": api.Bool(!failed), "error": api.Bool(failed)})
			}
			for i := range 570 {
				one(rollout.Baseline, i%10 == 0)
			}
			for i := range 30 {
				one(rollout.Candidate, i < failing)
			}
			// As the plan assumes: all of it in one look.
			b := p.block
			b.Tallies = merged(p.closed, b)
			b.Number = 1
			p.closed = []rollout.Block{b}
			if d := p.tick(); (d.Decision == api.Rollback) != (failing >= c.least) {
				t.Errorf("%v: %s at %d failures", c.gates, d.Decision, failing)
			}
		}
	}
	for name, c := range map[string]struct {
		request api.CreateRollout
		seen    rollout.Traffic
		says    string
	}{
		"all must fail":                {api.CreateRollout{Steps: []int{50, 100}, MinRuns: minRuns(5), ErrorBudget: ptr(0.01)}, rollout.Traffic{Runs: 50}, "5 or more failures in the first 5 candidate runs"},
		"the rate, not the first gate": {api.CreateRollout{Gates: gates(t, "latency_ms:p95", "success:pair=probe", "error")}, rollout.Traffic{Runs: 100, FailureRate: 0.1}, "If the baseline fails 10.0 % of its runs (as seen so far), 10 or more failures"},
		"a quantile":                   {api.CreateRollout{Gates: gates(t, "cost_usd:mean", "latency_ms:p95:margin=10%")}, rollout.Traffic{Runs: 50}, " or more of the first 30 candidate runs have a latency_ms beyond the baseline's p95 and the margin of 10%, it is rolled back"},
		"a quantile of few":            {api.CreateRollout{Gates: gates(t, "latency_ms:p95"), MinRuns: minRuns(1)}, rollout.Traffic{}, "However many of the first 1 candidate runs have a latency_ms beyond the baseline's p95"},
		"a quantile of scores":         {api.CreateRollout{Gates: gates(t, "score:p50")}, rollout.Traffic{}, " or more of the first 30 candidate runs have a score beyond the baseline's p50, it is rolled back"},
		"most scores are beyond":       {api.CreateRollout{Gates: gates(t, "score:p90")}, rollout.Traffic{}, "However many of the first 30 candidate runs have a score beyond the baseline's p90"},
		"two runs beside one":          {api.CreateRollout{Steps: []int{66, 100}, MinRuns: minRuns(2), ErrorBudget: ptr(0.5)}, rollout.Traffic{Runs: 50}, "2 or more failures in the first 2 candidate runs"},
		"a mean alone":                 {api.CreateRollout{Gates: gates(t, "cost_usd:mean")}, rollout.Traffic{}, "30 at 25%, 30 at 50%."},
		"no baseline beside it":        {api.CreateRollout{Steps: []int{99, 100}, MinRuns: minRuns(1)}, rollout.Traffic{Runs: 50}, "no count of failures in the first 1 "},
		"one run of each is few":       {api.CreateRollout{Steps: []int{50, 100}, MinRuns: minRuns(1)}, rollout.Traffic{Runs: 50}, "no count of failures in the first 1 "},
	} {
		if plan := rollout.PlanOf(policy(t, c.request), c.seen); !strings.Contains(plan.Text, c.says) {
			t.Errorf("%s: %s", name, plan.Text)
		}
	}
	if plan := rollout.PlanOf(policy(t, api.CreateRollout{Steps: []int{40, 100}, MinRuns: minRuns(1)}), rollout.Traffic{}); plan.Step[0].BaselineRuns != 2 {
		t.Errorf("1.5 runs are rounded to %d", plan.Step[0].BaselineRuns)
	}
	each := rollout.PlanOf(policy(t, api.CreateRollout{Guarantee: api.GuaranteeLook}), rollout.Traffic{})
	if !strings.Contains(each.Text, "Each tick reads the ordinary interval again") {
		t.Error(each.Text)
	}
	if plan := rollout.PlanOf(policy(t, api.CreateRollout{Gates: gates(t, "cost_usd:mean")}), rollout.Traffic{}); !strings.HasSuffix(plan.Text, "30 at 50%.") {
		t.Error(plan.Text)
	}
	held := rollout.PlanOf(policy(t, api.CreateRollout{Gates: gates(t, "success:on=hold")}), rollout.Traffic{})
	if strings.Contains(held.Text, "roll") {
		t.Error(held.Text)
	}
}

// merged adds up the counts of blocks.
func merged(blocks []rollout.Block, last rollout.Block) []rollout.Tally {
	add := func(a, b rollout.Counts) rollout.Counts {
		return rollout.Counts{N: a.N + b.N, Zeros: a.Zeros + b.Zeros, Ones: a.Ones + b.Ones}
	}
	sum := slices.Clone(last.Tallies)
	for _, b := range blocks {
		for i, m := range b.Tallies {
			sum[i].Candidate, sum[i].Baseline, sum[i].Fresh = add(sum[i].Candidate, m.Candidate), add(sum[i].Baseline, m.Baseline), sum[i].Fresh+m.Fresh
		}
	}
	return sum
}

// TestPolicyTakesTheLimits: what stands in a message as the limit is allowed, and what is beyond is not.
func TestPolicyTakesTheLimits(t *testing.T) {
	many := make([]string, rollout.MostGates)
	for i := range many {
		many[i] = "m" + strings.Repeat("x", i) + ":rate:better=lower"
	}
	for name, r := range map[string]api.CreateRollout{
		"two steps":         {Steps: []int{1, 100}},
		"most runs":         {MinRuns: minRuns(rollout.MostMinRuns)},
		"one run":           {MinRuns: minRuns(1), FirstLook: minRuns(1)},
		"confidence from":   {Confidence: ptr(0.5)},
		"confidence to":     {Confidence: ptr(0.9999)},
		"error budget from": {ErrorBudget: ptr(1e-6)},
		"error budget to":   {ErrorBudget: ptr(0.5)},
		"most gates":        {Gates: gates(t, many...)},
		"margins of a mean": {Gates: gates(t, "cost_usd:mean:margin=1e15", "score:mean:margin=99%")},
		"a small margin":    {Gates: gates(t, "score:mean:margin=0.5", "success:margin=5%", "latency_ms:p95:margin=2e15")},
		"non-inferiority":   {PromoteOn: api.PromoteNonInferior, PromoteMargin: ptr(0.999), Gates: gates(t, "cost_usd:mean", "success:on=hold")},
	} {
		if _, errs := rollout.NewPolicy(r, []string{"success"}); len(errs) > 0 {
			t.Errorf("%s: %v", name, errs)
		}
	}
	if _, errs := rollout.NewPolicy(api.CreateRollout{Gates: gates(t, append(many, "success")...)}, nil); len(errs) != 1 || errs[0].Pointer != "/gates" {
		t.Errorf("one gate too many: %v", errs)
	}
	if _, errs := rollout.NewPolicy(api.CreateRollout{MinRuns: minRuns(0), FirstLook: minRuns(1)}, []string{"success"}); len(errs) != 1 || errs[0].Pointer != "/min_runs" {
		t.Errorf("one mistake is told once: %v", errs)
	}
}
