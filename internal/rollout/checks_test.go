package rollout_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
)

func check(d rollout.Decision, name string) api.Check {
	for _, c := range d.Verdict.Checks {
		if c.Check == name {
			return c
		}
	}
	return api.Check{}
}

// past is a history of n runs of which so many fail, with latencies from 100 ms up.
func past(t *testing.T, n, failing int) rollout.History {
	t.Helper()
	var success, latency stats.Summary
	for i := range n {
		if err := success.Add(boolean(i >= failing), uint64(i)*0x9e3779b97f4a7c15); err != nil {
			t.Fatal(err)
		}
		if err := latency.Add(float64(100+i), uint64(i)*0x9e3779b97f4a7c15); err != nil {
			t.Fatal(err)
		}
	}
	return rollout.History{Runs: int64(n), Metrics: map[string]stats.Summary{"success": success, "latency_ms": latency}}
}

// A baseline that has stopped running is compared with as it was.
func TestAgainstHistory(t *testing.T) {
	for name, c := range map[string]struct {
		gate  string
		value func(i int) float64
		want  api.State
	}{
		"as before":           {"success", func(i int) float64 { return boolean(i%10 > 0) }, api.StatePromoted},
		"fails half its runs": {"success", func(i int) float64 { return boolean(i%2 > 0) }, api.StateRolledBack},
		"as fast":             {"latency_ms:p50", func(i int) float64 { return float64(100 + 17*i%1000) }, api.StatePromoted},
		"slow":                {"latency_ms:p50", func(int) float64 { return 1090 }, api.StateRolledBack},
		"mean as before":      {"latency_ms:mean", func(i int) float64 { return float64(100 + (17*i)%1000) }, api.StatePromoted},
		"mean slow":           {"latency_ms:mean", func(i int) float64 { return float64(900 + (17*i)%1000) }, api.StateRolledBack},
	} {
		p := newPlayAfter(t, past(t, 1000, 100), api.CreateRollout{Mode: api.ModeCanary, Gates: gates(t, c.gate)})
		for i := range 150 {
			if p.metric(rollout.Candidate, p.r.Policy.Gates[0].Metric, c.value(i)); len(p.closed) > 0 {
				if n := len(p.closed[0].Tallies); n != 1 || !p.closed[0].Historical() || p.closed[0].Candidate != 30 {
					t.Fatalf("%s: block %+v", name, p.closed[0])
				}
				p.tick()
			}
			if p.r.State.Finished() {
				break
			}
		}
		if p.r.State != c.want {
			t.Errorf("%s: %s, want %s: %s", name, p.r.State, c.want, p.last.Reason.Text)
		}
		if got := check(p.last, rollout.CheckHistory); got.Status != api.CheckWarn || !strings.Contains(got.Detail, "1000") {
			t.Errorf("%s: nothing warns of the history: %+v", name, p.last.Verdict.Checks)
		}
	}
	// Without a history the same runs are no evidence at all.
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary})
	for range 150 {
		p.metric(rollout.Candidate, "success", 0)
	}
	if d := p.tick(); d.Decision != api.Hold || len(d.Blocks) != 0 {
		t.Errorf("%s on %d blocks: %s", d.Decision, len(d.Blocks), d.Reason.Text)
	}
}

// Baseline runs beside the candidate's are taken before history, and a rollout may mix both.
func TestMixedHistory(t *testing.T) {
	p := newPlayAfter(t, past(t, 1000, 100), api.CreateRollout{Mode: api.ModeCanary})
	p.traffic(30, 19, 3, 57)
	p.tick()
	if p.r.Step != 2 || check(p.last, rollout.CheckHistory).Check != "" {
		t.Fatalf("beside runs of the baseline: %s %+v", p.last.Reason.Text, p.last.Verdict.Checks)
	}
	for i := range 30 {
		p.metric(rollout.Candidate, "success", boolean(i%10 > 0))
	}
	d := p.tick()
	if p.r.Step != 3 || len(d.Looks) != 1 || !d.Looks[0].Historical || d.Looks[0].Strata != 2 {
		t.Errorf("%s: %+v", d.Reason.Text, d.Looks)
	}
	if v := d.Looks[0].Information; v < 28.5+29.1 || v > 28.5+29.2 {
		t.Errorf("information %v, want 28.5 beside the baseline and 30·1000/1030 against history", v)
	}
}

func TestSampleRatioCheck(t *testing.T) {
	for srm, want := range map[string]string{"": api.CheckWarn, api.SRMWarn: api.CheckWarn, api.SRMHold: api.CheckHold, api.SRMOff: ""} {
		p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, SRM: srm})
		p.traffic(60, 1, 6, 6) // half instead of 5 %
		d := p.tick()
		if got := check(d, rollout.CheckSampleRatio); got.Status != want || want != "" && !strings.Contains(got.Detail, "50.0 % of the 120 runs at 5%") {
			t.Errorf("srm %q: %+v, want %q", srm, got, want)
		}
		if held := d.Reason.Code == rollout.ReasonCheck; held != (want == api.CheckHold) {
			t.Errorf("srm %q: %s %s", srm, d.Decision, d.Reason.Text)
		}
	}
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary})
	p.traffic(30, 19, 3, 57)
	if got := check(p.tick(), rollout.CheckSampleRatio); got.Status != api.CheckOK {
		t.Errorf("a router that obeys: %+v", got)
	}
	p = newPlay(t, api.CreateRollout{Mode: api.ModeShadow})
	p.traffic(60, 1, 6, 6)
	if got := check(p.tick(), rollout.CheckSampleRatio); got.Check != "" {
		t.Errorf("a shadow declares no weight: %+v", got)
	}
}

func TestBaselineHealth(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary})
	p.traffic(30, 19, 3, 57)
	if p.tick(); p.r.Step != 2 {
		t.Fatal(p.last.Reason.Text)
	}
	for range 30 {
		p.run(rollout.Candidate, "1")
	}
	if got := check(p.tick(), rollout.CheckBaselineHealth); got.Status != api.CheckWarn || !strings.Contains(got.Detail, "no run beside the last 30") {
		t.Errorf("a silent baseline: %+v", got)
	}
	p = newPlay(t, api.CreateRollout{Mode: api.ModeCanary})
	p.traffic(30, 19, 3, 57)
	p.tick()
	p.traffic(30, 3, 12, 36)
	if got := check(p.tick(), rollout.CheckBaselineHealth); got.Status != api.CheckWarn || !strings.Contains(got.Detail, "moved from 90.0 % to 60.0 %") {
		t.Errorf("a baseline that moved: %+v", got)
	}
}

// The worked cases of promotion by the stratified upper limit at z = 1.6695925773.
func TestNonInferiority(t *testing.T) {
	for name, c := range map[string]struct {
		perStep                     int
		candidate, baseline         [3]int
		promoted                    bool
		upper                       string
		againAfter, failing, beside int
	}{
		"equal, 30 a step":  {perStep: 30, candidate: [3]int{3, 3, 3}, baseline: [3]int{57, 9, 3}, upper: "7.2 points"},
		"better, 30 a step": {perStep: 30, candidate: [3]int{1, 2, 2}, baseline: [3]int{57, 9, 3}, promoted: true, upper: "1.2 points"},
		"equal, 100 a step": {perStep: 100, candidate: [3]int{10, 10, 10}, baseline: [3]int{190, 30, 10}, promoted: true, upper: "3.7 points"},
	} {
		n := int64(c.perStep)
		margin := 0.05
		p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, MinRuns: &n, PromoteOn: api.PromoteNonInferior, PromoteMargin: &margin})
		for step, per := range []int{19, 3, 1} {
			p.traffic(c.perStep, per, c.candidate[step], c.baseline[step])
			p.tick()
		}
		got := check(p.last, rollout.CheckNonInferiority)
		if promoted := p.r.State == api.StatePromoted; promoted != c.promoted || !strings.Contains(got.Detail, c.upper) {
			t.Errorf("%s: %s, %s: %s", name, p.r.State, got.Detail, p.last.Reason.Text)
		}
		if c.promoted {
			continue
		}
		if p.last.Reason.Code != rollout.ReasonNotShown || got.Status != api.CheckHold {
			t.Errorf("%s: %s", name, p.last.Reason.Text)
		}
		spent := p.r.Promotion.Spent
		if p.tick(); p.r.Promotion.Spent != spent {
			t.Errorf("%s: a tick without a new block is no look", name)
		}
		if p.traffic(2000, 1, 200, 200); p.tick().Decision != api.Promote || p.r.Promotion.Spent <= spent || p.r.Promotion.Spent > 0.05 {
			t.Errorf("%s: after 2,000 more equal runs: %s, spent %v", name, p.last.Reason.Text, p.r.Promotion.Spent)
		}
	}
}

// What a quiet tick leaves out decides nothing.
func TestQuietTicksDecideTheSame(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	for range 60 {
		gate := []string{"success", "latency_ms:p95", "latency_ms:mean", "success:on=hold"}[rng.IntN(4)]
		p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Gates: gates(t, gate), SRM: api.SRMHold})
		metric := p.r.Policy.Gates[0].Metric
		value := func(worse float64) float64 {
			if metric == "success" {
				return boolean(rng.Float64() > 0.1*worse)
			}
			return latency(rng, 0.6, worse)
		}
		harm := 1 + 2*rng.Float64()
		for range 100 {
			for range (100 - p.r.Weight()) / p.r.Weight() {
				p.metric(rollout.Baseline, metric, value(1))
			}
			if p.metric(rollout.Candidate, metric, value(harm)); len(p.closed) == 0 {
				continue
			}
			_, quiet, err := p.r.Tick(rollout.Evidence{Blocks: p.closed, Strata: p.strata, Open: p.block, Quiet: true})
			if err != nil {
				t.Fatal(err)
			}
			if d := p.tick(); d.Decision != quiet.Decision || d.Verdict.Verdict != quiet.Verdict.Verdict || d.Reason.Code != quiet.Reason.Code {
				t.Fatalf("%s: %s (%s), quietly %s (%s)", gate, d.Decision, d.Reason.Code, quiet.Decision, quiet.Reason.Code)
			}
			if p.r.State.Finished() {
				break
			}
		}
	}
}
