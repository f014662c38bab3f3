package rollout_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
)

// TestPropertiesOfAnySequence plays arbitrary sequences of runs, ticks,
// pauses, aborts and missing metrics, and holds what must be true of each.
func TestPropertiesOfAnySequence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 12).Draw(t, "min_runs")
		request := api.CreateRollout{
			MinRuns:         &n,
			Mode:            rapid.SampledFrom([]api.Mode{api.ModeCanary, api.ModeShadow}).Draw(t, "mode"),
			Guarantee:       rapid.SampledFrom([]api.Guarantee{api.GuaranteeRollout, api.GuaranteeLook}).Draw(t, "guarantee"),
			Steps:           rapid.SampledFrom([][]int{{5, 25, 50, 100}, {50, 100}, {10, 20, 30, 40, 100}}).Draw(t, "steps"),
			RequirePairwise: rapid.Bool().Draw(t, "pairwise"),
		}
		if request.RequirePairwise {
			pairs, age := rapid.Int64Range(1, 40).Draw(t, "min_pairs"), rapid.SampledFrom([]int64{0, 3600, 86400}).Draw(t, "max_age")
			request.Pairwise = &api.CreatePairwise{MinPairs: &pairs, MaxAge: &age, On: rapid.SampledFrom([]api.On{"", api.OnHold, api.OnRollback}).Draw(t, "on")}
			if rapid.Bool().Draw(t, "named") {
				judge := theJudge()
				request.Pairwise.Judge = &judge
			}
		}
		w := &watched{play: newPlay(t, request)}
		t.Repeat(map[string]func(*rapid.T){
			"runs":   w.runs,
			"judge":  w.judged,
			"time":   func(t *rapid.T) { w.now = w.now.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "hours")) * time.Hour) },
			"tick":   func(*rapid.T) { w.decide() },
			"pause":  func(*rapid.T) { _ = w.operate(rollout.ActionPause) },
			"resume": func(*rapid.T) { _ = w.operate(rollout.ActionResume) },
			"abort": func(t *rapid.T) {
				if rapid.IntRange(0, 19).Draw(t, "abort") == 0 && w.operate(rollout.ActionAbort) == nil {
					w.ended = true
				}
			},
			"": func(*rapid.T) { w.check() },
		})
	})
}

// watched counts, beside the rollout, the evidence that its decisions may rest on.
type watched struct {
	*play
	// reported and failed count candidate runs with the metric, in all and at this step.
	reported, failed, fresh int64
	// baselineReported counts baseline runs with the metric at this step, everReported all of them.
	baselineReported, everReported int64
	ended                          bool
	rolledBack                     bool
	// counts are the verdicts of the judge that counts, and newest when the newest was recorded.
	counts map[api.Preference]int64
	newest time.Time
	whose  *api.Judge
	// lead is the most by which losses were ever ahead of wins.
	lead int64
}

// judged records verdicts: of a judge that is fair, that always finds for one
// side, that gives none, or of another one altogether.
func (w *watched) judged(t *rapid.T) {
	if w.r.Policy.Pairwise == nil {
		return
	}
	judge := rapid.SampledFrom([]api.Judge{theJudge(), theJudge(), {Model: "judge-2"}, {Model: "judge-1", Template: "t2"}}).Draw(t, "judge")
	from := rapid.SampledFrom([][]api.Preference{
		{api.PreferCandidate}, {api.PreferBaseline}, {api.PreferTie}, {api.PreferNone}, {api.PreferCandidate, api.PreferBaseline, api.PreferTie, api.PreferNone},
	}).Draw(t, "verdicts")
	for range rapid.IntRange(1, 40).Draw(t, "judgments") {
		verdict := rapid.SampledFrom(from).Draw(t, "verdict")
		w.judge(judge, verdict, 1)
		if w.whose == nil && (w.r.Policy.Pairwise.Judge == nil || judge == *w.r.Policy.Pairwise.Judge) {
			w.whose = &judge
		}
		if w.whose == nil || *w.whose != judge || w.r.State.Finished() {
			continue
		}
		if w.counts == nil {
			w.counts = map[api.Preference]int64{}
		}
		if w.counts[verdict]++; verdict != api.PreferNone {
			w.newest = w.now
		}
		w.lead = max(w.lead, w.counts[api.PreferBaseline]-w.counts[api.PreferCandidate])
	}
}

// judgeAgrees: the judge that is required has decided enough pairs, lately, and did not find for the baseline in all of them.
func (w *watched) judgeAgrees() bool {
	p := w.r.Policy.Pairwise
	wins, losses := w.counts[api.PreferCandidate], w.counts[api.PreferBaseline]
	return wins > 0 && wins+losses >= p.MinPairs && (p.MaxAge == 0 || w.now.Sub(w.newest) <= time.Duration(p.MaxAge)*time.Second)
}

func (w *watched) runs(t *rapid.T) {
	reporting := rapid.SampledFrom([]string{"-", "0", "1", "01", "01-", "0.5", "0111111111"}).Draw(t, "reporting")
	baseline := rapid.SampledFrom([]string{"-", "0", "1", "0111111111"}).Draw(t, "baseline")
	per := rapid.IntRange(0, 8).Draw(t, "baseline runs for each")
	for range rapid.IntRange(1, 40).Draw(t, "candidates") {
		w.one(t, rollout.Candidate, reporting)
		for range per {
			w.one(t, rollout.Baseline, baseline)
		}
	}
}

func (w *watched) one(t *rapid.T, side rollout.Side, from string) {
	value := from
	if from != "0.5" {
		value = string(from[rapid.IntRange(0, len(from)-1).Draw(t, "run")])
	}
	w.run(side, value)
	if value == "-" {
		return
	}
	if side == rollout.Baseline {
		w.baselineReported++
		w.everReported++
		return
	}
	w.reported++
	w.fresh++
	if value != "1" {
		w.failed++
	}
}

// decide ticks, and holds what one decision must never be.
func (w *watched) decide() {
	if w.r.Ended() {
		if _, _, err := w.r.Tick(rollout.Evidence{}); err == nil {
			w.t.Fatal("an ended rollout was ticked")
		}
		return
	}
	before := w.r
	d := w.tick()
	policy := w.r.Policy
	switch d.Decision {
	case api.Promote:
		if w.fresh < policy.MinRuns || w.baselineReported == 0 {
			w.t.Fatalf("promoted on %d fresh runs of %d, %d of the baseline: %s", w.fresh, policy.MinRuns, w.baselineReported, d.Reason.Text)
		}
		if w.failed == w.reported {
			w.t.Fatalf("promoted a candidate that failed all of its %d runs: %s", w.reported, d.Reason.Text)
		}
		if before.State == api.StatePaused || w.rolledBack {
			w.t.Fatalf("promoted from %s, rolled back before %t", before.State, w.rolledBack)
		}
		if policy.RequirePairwise && !w.judgeAgrees() {
			w.t.Fatalf("promoted on the judge's %v, newest %s of %s: %s", w.counts, w.newest, w.now, d.Reason.Text)
		}
		if d.Verdict.Verdict != api.Clean {
			w.t.Fatalf("promoted on the verdict %s", d.Verdict.Verdict)
		}
		w.fresh, w.baselineReported = 0, 0
	case api.Rollback:
		byJudge := policy.RequirePairwise && policy.Pairwise.On == api.OnRollback && w.lead > 1
		if !byJudge && (w.reported == 0 || w.everReported == 0 || w.failed == 0) {
			w.t.Fatalf("rolled back on %d candidate runs, %d failures, %d baseline runs: %s", w.reported, w.failed, w.everReported, d.Reason.Text)
		}
		w.rolledBack = true
	case api.Hold:
		if w.r.Step != before.Step || w.r.State != before.State {
			w.t.Fatalf("a hold moved step %d %s to %d %s", before.Step, before.State, w.r.Step, w.r.State)
		}
		if d.Reason.Text == "" || d.Reason.Code == "" {
			w.t.Fatal("a hold without a reason")
		}
	}
	for _, g := range d.Verdict.Gates {
		if g.Verdict == api.Clean && g.Candidate.N > 0 && w.failed == w.reported && w.reported >= 5 {
			w.t.Fatalf("%d failures of %d are called clean: %s", w.failed, w.reported, g.Reason.Text)
		}
	}
}

func (w *watched) check() {
	for _, g := range w.r.Ledger.Gates {
		if g.Last.Used > g.Last.Allowed || g.Last.Allowed > g.Budget {
			w.t.Fatalf("gate %s used %v of %v allowed, budget %v", g.Gate, g.Last.Used, g.Last.Allowed, g.Budget)
		}
	}
	if w.rolledBack && w.r.State != api.StateRolledBack && w.r.State != api.StateAborted {
		w.t.Fatalf("after a rollback the state is %s", w.r.State)
	}
}
