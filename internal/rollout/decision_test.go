package rollout_test

import (
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/rollout"
)

// TestReasonsOfDecisions: each says what was decided and why, in words and parameters.
func TestReasonsOfDecisions(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Steps: []int{25, 50, 100}})
	expect := func(d rollout.Decision, decision api.Action, code string, fresh int64, words ...string) {
		t.Helper()
		if d.Decision != decision || d.Reason.Code != code || d.FreshRuns != fresh || p.r.Reason != code || d.Verdict.Reason.Text != d.Reason.Text {
			t.Errorf("%s %s, %d fresh runs, state says %s: %+v", d.Decision, d.Reason.Code, d.FreshRuns, p.r.Reason, d.Reason)
		}
		for _, w := range words {
			if !strings.Contains(d.Reason.Text, w) {
				t.Errorf("%q does not say %q", d.Reason.Text, w)
			}
		}
	}
	p.traffic(10, 3, 1, 3)
	d := p.tick()
	expect(d, api.Hold, compare.ReasonNoLook, 10, "Holding at 25%: not enough data yet, 10 of 30 fresh runs; success has not been tested: 10 of 30 candidate runs")
	if d.Verdict.Gates[0].Difference != nil {
		t.Errorf("an interval before the first look: %+v", d.Verdict.Gates[0].Difference)
	}
	if d.Reason.Params["fresh_runs"] != int64(10) || d.Reason.Params["min_runs"] != int64(30) || d.Reason.Params["have"] != int64(10) {
		t.Errorf("%v", d.Reason.Params)
	}
	p.traffic(20, 3, 2, 6)
	d = p.tick()
	expect(d, api.Promote, rollout.ReasonCleanVerdict, 30, "clean verdict at 25%, advancing canary to 50%")
	if d.Reason.Params["next_weight"] != 50 || d.Reason.Params["weight"] != 25 {
		t.Errorf("%v", d.Reason.Params)
	}
	p.traffic(10, 1, 1, 1)
	expect(p.tick(), api.Hold, rollout.ReasonFreshRuns, 10, "10 of 30 fresh runs; success ", "not regressed")
	p.traffic(20, 1, 2, 2)
	expect(p.tick(), api.Promote, rollout.ReasonFullPromote, 30, "clean verdict at 50%, fully promoting the candidate to 100%")
	if p.r.State != api.StatePromoted || p.r.Weight() != 100 {
		t.Errorf("%s at %d", p.r.State, p.r.Weight())
	}
}

// TestEnoughFreshRunsButNoTest: what is missing is then not fresh runs.
func TestEnoughFreshRunsButNoTest(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Steps: []int{50, 100}, Gates: gates(t, "success", "error")})
	for range 30 {
		p.record(rollout.Baseline, map[string]api.Metric{"success": api.Bool(false), "error": api.Bool(true)})
		p.record(rollout.Candidate, map[string]api.Metric{"success": api.Bool(false), "error": api.Bool(true)})
	}
	d := p.tick()
	if d.Reason.Code != compare.ReasonCannotRegress || strings.Contains(d.Reason.Text, "fresh runs") {
		t.Errorf("%+v", d.Reason)
	}
	for name, c := range map[string]struct {
		request api.CreateRollout
		says    bool
	}{
		"no look yet":            {api.CreateRollout{}, true},
		"too few runs":           {api.CreateRollout{Guarantee: api.GuaranteeLook}, true},
		"nothing could be worse": {api.CreateRollout{FirstLook: minRuns(5)}, false},
	} {
		c.request.Mode, c.request.Steps = api.ModeCanary, []int{50, 100}
		early := newPlay(t, c.request)
		early.traffic(10, 1, 10, 10)
		if d := early.tick(); d.Decision != api.Hold || strings.Contains(d.Reason.Text, "not enough data yet") != c.says {
			t.Errorf("%s: %+v", name, d.Reason)
		}
	}
}

// TestBaselineIsThin: with all fresh runs there it is the baseline that has too few.
func TestBaselineIsThin(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Steps: []int{50, 100}, Guarantee: api.GuaranteeLook})
	for i := range 30 {
		p.run(rollout.Candidate, "1")
		if i%3 == 2 {
			p.run(rollout.Baseline, "1")
		}
	}
	d := p.tick()
	if d.FreshRuns != 30 || d.Reason.Code != compare.ReasonTooFewRuns || strings.Contains(d.Reason.Text, "fresh runs") || !strings.Contains(d.Reason.Text, "the baseline has 10 of 30") {
		t.Errorf("%d fresh runs: %s", d.FreshRuns, d.Reason.Text)
	}
}

// TestCatchingUp: while closed blocks wait, nothing promotes; a regression is acted on at once.
func TestCatchingUp(t *testing.T) {
	for failing, want := range map[int]api.Action{3: api.Hold, 20: api.Rollback} {
		p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary})
		p.traffic(30, 19, failing, 57)
		next, d, err := p.r.Tick(rollout.Evidence{Blocks: p.closed, More: true, Strata: p.strata})
		if err != nil || d.Decision != want || want == api.Hold && d.Reason.Code != rollout.ReasonCatchingUp || next.Step != 1 {
			t.Errorf("%d failures: %s %s, %v", failing, d.Decision, d.Reason.Code, err)
		}
		if p.r.Ledger.Block != 0 || p.r.FreshRuns() != 0 {
			t.Error("the state before was changed")
		}
	}
}

// TestACrossingEndsTheLooks: the blocks after it are left alone.
func TestACrossingEndsTheLooks(t *testing.T) {
	for text, looked := range map[string]int{"success": 6, "success:on=hold": 12} {
		p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Gates: gates(t, text)})
		p.traffic(30, 19, 30, 57)
		p.traffic(30, 19, 0, 570)
		d := p.tick()
		if len(d.Blocks) != looked || len(d.Looks) != 6 || p.r.Ledger.Block != int64(looked) || !p.r.Ledger.Gates[0].Regressed {
			t.Errorf("%s: %d blocks, %d looks", text, len(d.Blocks), len(d.Looks))
		}
	}
}

// TestFreshRunsOfTheGateThatHasFewest: a warn gate does not count.
func TestFreshRunsOfTheGateThatHasFewest(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Gates: gates(t, "flagged:on=warn", "success", "error", "score:mean:on=warn")})
	if p.r.FreshRuns() != 0 {
		t.Errorf("%d before any run", p.r.FreshRuns())
	}
	for _, fresh := range []struct {
		counts []int64
		want   int64
	}{{[]int64{0, 7, 5, 9}, 5}, {[]int64{9, 5, 7, 1}, 5}, {[]int64{1, 0, 7, 1}, 0}, {[]int64{1, 1, 0, 1}, 0}} {
		if p.r.Fresh = fresh.counts; p.r.FreshRuns() != fresh.want {
			t.Errorf("%v: %d", fresh.counts, p.r.FreshRuns())
		}
	}
}

// TestFreshRunsOfNumbers: a gate on a number counts runs that carry it, beside
// runs of the baseline that do, whatever their values.
func TestFreshRunsOfNumbers(t *testing.T) {
	for name, c := range map[string]struct {
		gate                string
		candidate, baseline float64
		reports             bool
		want                int64
	}{
		"both report":             {"latency_ms", 100, 90, true, 40},
		"zeros and ones":          {"latency_ms", 1, 0, true, 40},
		"the baseline is silent":  {"latency_ms", 100, 90, false, 0},
		"a rate that is a number": {"success", 0.5, 1, true, 0},
	} {
		g := gates(t, c.gate)
		p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Steps: []int{50, 100}, MinRuns: minRuns(50), Guarantee: api.GuaranteeLook, Gates: g})
		for range 40 {
			p.metric(rollout.Candidate, g[0].Metric, c.candidate)
			if c.reports {
				p.metric(rollout.Baseline, g[0].Metric, c.baseline)
			} else {
				p.run(rollout.Baseline, "-")
			}
		}
		if d := p.tick(); d.FreshRuns != c.want {
			t.Errorf("%s: %d fresh runs, want %d", name, d.FreshRuns, c.want)
		}
	}
}

// TestOperator: what each action does, what it says, and where it is refused.
func TestOperator(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary})
	for _, step := range []struct {
		action   string
		refused  string
		decision api.Action
		state    api.State
		weight   int
		says     string
	}{
		{"resume", "is not paused", "", api.StateActive, 5, ""},
		{"pause", "", api.Hold, api.StatePaused, 5, "paused at 5%: because"},
		{"pause", "is paused already", "", api.StatePaused, 5, ""},
		{"resume", "", api.Hold, api.StateActive, 5, "resumed at 5%: because"},
		{"promote", "", api.Promote, api.StateActive, 25, "promoted by an operator, overriding the verdict, from 5% to 25%: because"},
		{"stop", `no action "stop"`, "", api.StateActive, 25, ""},
		{"abort", "", api.Rollback, api.StateAborted, 0, "aborted at 25%: because"},
		{"promote", "nothing can be done", "", api.StateAborted, 0, ""},
	} {
		before := p.r.Reason
		err := p.operate(step.action)
		if (err == nil) != (step.refused == "") || err != nil && !strings.Contains(err.Error(), step.refused) {
			t.Errorf("%s: %v", step.action, err)
		}
		if p.r.State != step.state || p.r.Weight() != step.weight {
			t.Errorf("%s: %s at %d", step.action, p.r.State, p.r.Weight())
		}
		if err != nil {
			if p.r.Reason != before {
				t.Errorf("%s was refused and left the reason %s", step.action, p.r.Reason)
			}
			continue
		}
		if p.last.Decision != step.decision || p.last.Action != step.action || p.last.Reason.Text != step.says || p.r.Reason != rollout.ReasonOperator || p.last.Reason.Params["operator_reason"] != "because" {
			t.Errorf("%s: %+v", step.action, p.last)
		}
	}
}

// TestAnAbortedShadowIsOver, one with a paper ending goes on.
func TestAnAbortedShadowIsOver(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeShadow})
	p.script("promote\npromote\npromote")
	if p.r.Ended() {
		t.Error("a shadow ends with its paper ending")
	}
	if d := p.tick(); p.r.Reason != rollout.ReasonPaperEnded || d.Reason.Code != rollout.ReasonPaperEnded {
		t.Errorf("%s", p.r.Reason)
	}
	p = newPlay(t, api.CreateRollout{Mode: api.ModeShadow})
	p.script("abort")
	if !p.r.Ended() {
		t.Error("an aborted shadow goes on")
	}
}
