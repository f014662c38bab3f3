package rollout_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/rollout"
)

func ptr[T any](v T) *T { return &v }

func gates(t *testing.T, texts ...string) []api.Gate {
	t.Helper()
	var out []api.Gate
	for _, text := range texts {
		g, err := api.ParseGate(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, g)
	}
	return out
}

func TestPolicyFillsIn(t *testing.T) {
	p, errs := rollout.NewPolicy(api.CreateRollout{}, []string{"latency_ms", "success", "stars"})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if p.Mode != api.ModeShadow || !slices.Equal(p.Steps, []int{5, 25, 50, 100}) || p.MinRuns != 30 || p.FirstLook != 30 || p.Confidence != 0.95 ||
		p.ErrorBudget != 0.05 || p.Guarantee != api.GuaranteeRollout {
		t.Errorf("%+v", p)
	}
	if len(p.Gates) != 2 || p.Gates[0].String() != "success:rate:better=higher:on=rollback" || p.Gates[1].String() != "latency_ms:p95:better=lower:on=warn" {
		t.Errorf("gates %v", p.Gates)
	}
	if v := rollout.Planned(p); v != 66 {
		t.Errorf("planned information %v, want 30·(0.95+0.75+0.5) = 66", v)
	}
	if p, _ := rollout.NewPolicy(api.CreateRollout{MinRuns: ptr(int64(200))}, nil); p.FirstLook != 30 {
		t.Errorf("first look %d", p.FirstLook)
	}
	if p, _ := rollout.NewPolicy(api.CreateRollout{}, []string{"error", "flagged"}); p.Gates[0].Metric != "error" || p.Gates[1].On != api.OnWarn {
		t.Errorf("the first known rate that is reported rolls back: %v", p.Gates)
	}
}

func TestPolicyRefuses(t *testing.T) {
	for pointer, requests := range map[string][]api.CreateRollout{
		"/steps": {
			{Steps: []int{5}},
			{Steps: []int{5, 50}},
			{Steps: []int{0, 100}},
			{Steps: []int{50, 25, 100}},
			{Steps: []int{50, 50, 100}},
			{Steps: []int{-5, 100}},
			{Steps: []int{100}},
			{Steps: []int{5, 101}},
		},
		"/min_runs":     {{MinRuns: ptr(int64(0))}, {MinRuns: ptr(int64(-1))}, {MinRuns: ptr(int64(1_000_001))}},
		"/first_look":   {{FirstLook: ptr(int64(0))}, {FirstLook: ptr(int64(31))}},
		"/confidence":   {{Confidence: ptr(0.0)}, {Confidence: ptr(1.0)}, {Confidence: ptr(95.0)}},
		"/error_budget": {{ErrorBudget: ptr(0.0)}, {ErrorBudget: ptr(0.6)}, {ErrorBudget: ptr(-1.0)}},
		"/gates":        {{Gates: gates(t, "success:on=warn")}},
		"/gates/1":      {{Gates: gates(t, "success", "success:on=hold")}},
		"/gates/0/pair": {{Gates: gates(t, "success:pair=probe:on=warn", "error")}},
		"/mode":         {{Mode: "live"}},
		"/guarantee":    {{Guarantee: "none"}},
		"/promote_on": {
			{PromoteOn: "better"},
			{PromoteOn: "non_inferior", PromoteMargin: ptr(0.05), Guarantee: api.GuaranteeLook},
			{PromoteOn: "non_inferior", PromoteMargin: ptr(0.05), Gates: gates(t, "cost_usd:mean")},
			{PromoteOn: "non_inferior", PromoteMargin: ptr(0.05), Gates: gates(t, "cost_usd:mean", "success:on=warn")},
			{PromoteOn: "non_inferior", PromoteMargin: ptr(0.05), Gates: gates(t, "success:pair=probe")},
		},
		"/promote_margin": {{PromoteMargin: ptr(0.05)}, {PromoteOn: "non_inferior"}, {PromoteOn: "non_inferior", PromoteMargin: ptr(0.0)}, {PromoteOn: "non_inferior", PromoteMargin: ptr(1.0)}},
		"/baseline":       {{Baseline: "yesterday"}},
		"/unit":           {{Unit: "user"}},
		"/srm":            {{SRM: "sometimes"}},
		"/pairwise":       {{Pairwise: &api.CreatePairwise{MinPairs: ptr(int64(5))}}},
		"/pairwise/min_pairs": {
			{RequirePairwise: true, Pairwise: &api.CreatePairwise{MinPairs: ptr(int64(0))}}, {RequirePairwise: true, Pairwise: &api.CreatePairwise{MinPairs: ptr(int64(1_000_001))}},
		},
		"/pairwise/max_age":        {{RequirePairwise: true, Pairwise: &api.CreatePairwise{MaxAge: ptr(int64(-1))}}, {RequirePairwise: true, Pairwise: &api.CreatePairwise{MaxAge: ptr(int64(1 << 40))}}},
		"/pairwise/on":             {{RequirePairwise: true, Pairwise: &api.CreatePairwise{On: api.OnWarn}}},
		"/pairwise/judge":          {{RequirePairwise: true, Pairwise: &api.CreatePairwise{Judge: &api.Judge{}}}},
		"/pairwise/judge/template": {{RequirePairwise: true, Pairwise: &api.CreatePairwise{Judge: &api.Judge{Template: "\n"}}}},
		"/gates/0/margin":          {{Gates: gates(t, "success:pair=probe:margin=5%")}, {Gates: gates(t, "score:margin=100%")}, {Gates: gates(t, "cost_usd:margin=2e15")}},
	} {
		for _, r := range requests {
			_, errs := rollout.NewPolicy(r, []string{"success"})
			if !slices.ContainsFunc(errs, func(e api.FieldError) bool { return e.Pointer == pointer && e.Detail != "" }) {
				t.Errorf("%s: %+v gave %v", pointer, r, errs)
			}
		}
	}
	if _, errs := rollout.NewPolicy(api.CreateRollout{}, []string{"stars", "mood"}); len(errs) != 2 || !strings.Contains(errs[0].Detail, "mood, stars") {
		t.Errorf("no known rate: %v", errs)
	}
	if _, errs := rollout.NewPolicy(api.CreateRollout{Guarantee: api.GuaranteeLook, Gates: gates(t, "latency_ms:p95:margin=10%", "cost_usd")}, nil); len(errs) > 0 {
		t.Errorf("guarantee look takes every statistic: %v", errs)
	}
}

func TestPlan(t *testing.T) {
	p, _ := rollout.NewPolicy(api.CreateRollout{}, []string{"success"})
	plan := rollout.PlanOf(p, rollout.Traffic{RunsPerHour: 600, FailureRate: 0.1, Runs: 1000})
	if plan.Runs != 90 || len(plan.Step) != 4 || plan.Step[0].BaselineRuns != 570 || *plan.Step[0].ExpectedSeconds != 3600 || plan.Step[3].MinRuns != 0 {
		t.Errorf("%+v", plan)
	}
	// 9 failures of 30 against 57 of 570 is the smallest that is rolled back: boundary 129, scores 16·8 = 128 and 16·9 = 144.
	if !strings.Contains(plan.Text, "9 or more failures in the first 30 candidate runs") {
		t.Error(plan.Text)
	}
	never := rollout.PlanOf(p, rollout.Traffic{FailureRate: 1, Runs: 1000})
	if !strings.Contains(never.Text, "no count of failures in the first 30") || never.Step[0].ExpectedSeconds != nil {
		t.Error(never.Text)
	}
}

func add(t *testing.T, b *rollout.Block, side rollout.Side, index int64) {
	t.Helper()
	if err := b.AddRun(side, rollout.Run{Index: index}); err != nil {
		t.Fatal(err)
	}
}

func TestBlocks(t *testing.T) {
	p, _ := rollout.NewPolicy(api.CreateRollout{MinRuns: ptr(int64(5)), Steps: []int{50, 100}}, []string{"success"})
	b := rollout.FirstBlock(p, rollout.History{}, rollout.RuleOf(p, 0), 1, 10)
	for i := range int64(5) {
		if add(t, &b, rollout.Candidate, 10+2*i); b.Full() {
			t.Fatal("full without baseline runs")
		}
		add(t, &b, rollout.Baseline, 11+2*i)
	}
	if !b.Full() || b.LastIndex != 19 {
		t.Fatalf("5 and 5 runs fill a block: %+v", b)
	}
	// The plan's information is 5·0.5 = 2.5, reached: from here on a block needs 1 % more of it.
	next := b.Next(true, 1, 20)
	if next.Number != 2 || next.Before.Candidate != 5 || next.Before.Baseline != 5 {
		t.Fatalf("%+v", next)
	}
	next.Before = rollout.Totals{Candidate: 5000, Baseline: 5000}
	for i := range int64(49) {
		add(t, &next, rollout.Candidate, i)
		add(t, &next, rollout.Baseline, i)
	}
	if next.Full() {
		t.Error("49 pairs are less than 1 % of 5,000")
	}
	add(t, &next, rollout.Candidate, 99)
	add(t, &next, rollout.Baseline, 99)
	if !next.Full() {
		t.Error("50 pairs are 1 % of 5,000")
	}
	// A new epoch keeps the information and counts its own runs.
	if e := next.Next(true, 2, 100); e.Before.Candidate != 0 || e.Before.Earlier != 2525 || e.Number != 3 {
		t.Errorf("%+v", e)
	}
	if e := next.Next(false, 2, 100); e.Before.Earlier != 2500 || e.Number != 2 || e.Candidate != 0 {
		t.Errorf("a dropped block adds nothing: %+v", e)
	}
}

func TestMarginsAndDirections(t *testing.T) {
	// error: lower is better, so failures are the ones.
	for gate, want := range map[string]api.Action{
		"error":               api.Rollback,
		"error:margin=0.30":   api.Promote,
		"error:margin=0.05":   api.Rollback,
		"error:margin=500%":   api.Promote,
		"error:margin=5%":     api.Rollback,
		"error:better=higher": api.Hold, // against 90 % failures even 30 of 30 would not be a regression
	} {
		p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Gates: gates(t, gate)})
		for i := range 30 {
			for j := range 19 {
				p.metric(rollout.Baseline, "error", boolean((19*i+j)%10 == 0))
			}
			p.metric(rollout.Candidate, "error", boolean(i%2 == 0))
		}
		if d := p.tick(); d.Decision != want {
			t.Errorf("%s: %s, want %s: %s", gate, d.Decision, want, d.Reason.Text)
		}
	}
}

func boolean(v bool) float64 {
	if v {
		return 1
	}
	return 0
}

// TestOutcomes: metrics that become known later count in the block of their
// own log index, in the stratum of their run, and as fresh if the run is.
func TestOutcomes(t *testing.T) {
	policy, _ := rollout.NewPolicy(api.CreateRollout{MinRuns: ptr(int64(5)), Steps: []int{50, 100}}, []string{"success"})
	b := rollout.FirstBlock(policy, rollout.History{}, rollout.RuleOf(policy, 0), 7, 100).Next(false, 8, 200)
	b.StepFrom = 150
	for index, run := range map[int64]rollout.Counted{
		300: {Index: 99, Epoch: 6},  // before the rollout: no evidence
		301: {Index: 120, Epoch: 7}, // of the step before
		302: {Index: 160, Epoch: 7}, // of this step
		303: {Index: 210, Epoch: 8}, // of this epoch
	} {
		if err := b.AddOutcome(rollout.Candidate, run, rollout.Run{Index: index, Metrics: map[string]api.Metric{"success": api.Number(1)}}); err != nil {
			t.Fatal(err)
		}
	}
	if m := b.Tallies[0]; m.Candidate.N != 1 || m.Fresh != 1 {
		t.Errorf("of this epoch: %+v", m)
	}
	if m := b.Late[7][0]; m.Candidate.N != 2 || m.Fresh != 1 || len(b.Late) != 1 || b.Candidate != 0 {
		t.Errorf("of the epoch before: %+v", b.Late)
	}
}

// TestLateOutcomesAreTested: labels that always come an epoch late are looked at all the same.
func TestLateOutcomesAreTested(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary})
	label := func(failing int) {
		for i := range 40 {
			for j := range 4 {
				side := rollout.Baseline
				if j == 0 {
					side = rollout.Candidate
				}
				p.record(side, nil)
				cohort := &p.strata[0].Baseline
				if side == rollout.Candidate {
					cohort = &p.strata[0].Candidate
				}
				metrics := map[string]api.Metric{"success": api.Bool(j > 0 && i%10 > 0 || j == 0 && i >= failing)}
				if err := cohort.AddMetrics(metrics, uint64(p.index)); err != nil {
					t.Fatal(err)
				}
				if err := p.block.AddOutcome(side, rollout.Counted{Index: 1, Epoch: 1}, rollout.Run{Index: p.index, Metrics: metrics}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	p.epoch = 2
	p.block = p.block.Next(false, 2, 0)
	p.block.Since, p.block.StepFrom = 0, 0
	label(20)
	if d := p.tick(); d.Decision != api.Rollback || d.Looks[0].Stratum != 1 {
		t.Errorf("%s: %s", d.Decision, d.Reason.Text)
	}
}

// TestBaselineGoesSilent: candidate runs without any of the baseline beside them are no evidence.
func TestBaselineGoesSilent(t *testing.T) {
	for _, guarantee := range []api.Guarantee{api.GuaranteeRollout, api.GuaranteeLook} {
		p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Guarantee: guarantee})
		p.script(`
			runs 30 19 failing 3 57
			tick -> promote 25`)
		for range 30 {
			for range 3 {
				p.run(rollout.Baseline, "-")
			}
			p.run(rollout.Candidate, "1")
		}
		if d := p.tick(); d.Decision != api.Hold || p.r.FreshRuns() != 0 {
			t.Errorf("%s: %s with %d fresh runs: %s", guarantee, d.Decision, p.r.FreshRuns(), d.Reason.Text)
		}
	}
}

// TestPerfectReleases: two releases that never fail advance; their runs could have failed.
func TestPerfectReleases(t *testing.T) {
	for _, guarantee := range []api.Guarantee{api.GuaranteeRollout, api.GuaranteeLook} {
		newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Guarantee: guarantee}).script(`
			runs 30 19 failing 0 0
			tick -> promote 25
			runs 30 3 failing 0 0
			tick -> promote 50
			runs 30 1 failing 0 0
			tick -> promote 100`)
	}
}

// TestACrossingStands: a value that is no boolean does not take back a regression.
func TestACrossingStands(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary})
	p.traffic(30, 19, 20, 57)
	p.run(rollout.Baseline, "0.5")
	if d := p.tick(); d.Decision != api.Rollback {
		t.Errorf("%s: %s", d.Decision, d.Reason.Text)
	}
	p = newPlay(t, api.CreateRollout{Mode: api.ModeCanary})
	p.traffic(30, 19, 3, 57)
	p.run(rollout.Candidate, "0.5")
	if d := p.tick(); d.Decision != api.Hold || d.Reason.Code != compare.ReasonNotBoolean {
		t.Errorf("%s: %s", d.Decision, d.Reason.Text)
	}
}

func TestGatesThatCannotBeTested(t *testing.T) {
	for _, text := range []string{"error:margin=0.995", "error:margin=20000%", "latency_ms:margin=20000%"} {
		if _, err := api.ParseGate(text); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

// TestBudgetIsShared: rollback gates share the error budget; hold gates share another among themselves.
func TestBudgetIsShared(t *testing.T) {
	policy, errs := rollout.NewPolicy(api.CreateRollout{Gates: gates(t, "success", "error", "flagged:on=hold", "latency_ms:on=warn")}, nil)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	ledger, err := rollout.NewLedger("rol_test", policy, rollout.History{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0.025, 0.025, 0.05, 0} {
		if got := ledger.Gates[i].Budget; got != want || ledger.Gates[i].State.IsZero() != (want == 0) {
			t.Errorf("%s: budget %v, want %v", ledger.Gates[i].Gate, got, want)
		}
	}
}
