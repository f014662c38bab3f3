package rollout_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
)

// fataler is a test, or one run of a property.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// play is a rollout with the log that it is fed from: what ingest and the
// authority do around the pure core, and nothing else.
type play struct {
	t      fataler
	r      rollout.Rollout
	before rollout.History
	index  int64
	epoch  int64
	block  rollout.Block
	closed []rollout.Block
	strata []compare.Stratum
	last   rollout.Decision
	// judgments are those that were recorded, and now is the time of the next tick.
	judgments []rollout.Judgment
	now       time.Time
}

// theJudge is who judges in a script.
func theJudge() api.Judge { return api.Judge{Model: "judge-1", Template: "t1"} }

// judge records judgments: of the judge, n of a verdict.
func (p *play) judge(judge api.Judge, verdict api.Preference, n int) {
	for range n {
		p.judgments = append(p.judgments, rollout.Judgment{Index: p.index, RecordedAt: p.now, Judge: judge, Verdict: verdict})
		p.index++
	}
}

func newPlay(t fataler, request api.CreateRollout, seen ...string) *play {
	t.Helper()
	return newPlayAfter(t, rollout.History{}, request, seen...)
}

// newPlayAfter begins a rollout whose baseline has a history.
func newPlayAfter(t fataler, h rollout.History, request api.CreateRollout, seen ...string) *play {
	t.Helper()
	if len(request.Gates) == 0 && len(seen) == 0 {
		seen = []string{"success"}
	}
	p, errs := rollout.NewPolicy(request, seen)
	if len(errs) > 0 {
		t.Fatalf("policy: %v", errs)
	}
	r, err := rollout.New("rol_test", p, h)
	if err != nil {
		t.Fatal(err)
	}
	return &play{t: t, r: r.From(0), before: h, epoch: 1, now: time.Date(2026, 5, 15, 12, 0, 0, 0, time.UTC), block: rollout.FirstBlock(p, h, rollout.RuleOf(p, h.Runs), 1, 0), strata: []compare.Stratum{{Epoch: 1}}}
}

// run records one run. success is "1", "0" or "-" for a run that lacks the metric.
func (p *play) run(side rollout.Side, success string) {
	if success == "-" {
		p.record(side, map[string]api.Metric{})
		return
	}
	v, err := strconv.ParseFloat(success, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	p.metric(side, "success", v)
}

func (p *play) metric(side rollout.Side, name string, v float64) {
	p.record(side, map[string]api.Metric{name: api.Number(v)})
}

func (p *play) record(side rollout.Side, metrics map[string]api.Metric) {
	s := &p.strata[len(p.strata)-1]
	cohort := &s.Baseline
	if side == rollout.Candidate {
		cohort = &s.Candidate
	}
	if err := cohort.Add(metrics, unitOf(p.index)); err != nil {
		p.t.Fatal(err)
	}
	if err := p.block.AddRun(side, rollout.Run{Index: p.index, Unit: unitOf(p.index), Metrics: metrics}); err != nil {
		p.t.Fatal(err)
	}
	p.index++
	if p.block.Full() {
		p.closed = append(p.closed, p.block)
		p.next(true)
	}
}

// unitOf is the hash of a unit that is named by a number.
func unitOf(number int64) uint64 {
	each := stats.NewSource(stats.Seed(number), 0)
	return each.Uint64()
}

// next begins the next block, with thresholds from what the baseline has reported so far.
func (p *play) next(closed bool) {
	p.block = p.block.Next(closed, p.epoch, p.index)
	p.block.Aim(func(metric string) stats.Summary {
		var all stats.Summary
		for _, s := range p.strata {
			all.Merge(s.Baseline.Metrics[metric].Summary)
		}
		return all
	})
}

// traffic records n candidate runs and per baseline runs for each, with failures spread evenly.
func (p *play) traffic(n, per, candidateFailures, baselineFailures int) {
	spread := func(i, n, failures int) string {
		if (i+1)*failures/n > i*failures/n {
			return "0"
		}
		return "1"
	}
	for i := range n {
		for j := range per {
			p.run(rollout.Baseline, spread(i*per+j, n*per, baselineFailures))
		}
		p.run(rollout.Candidate, spread(i, n, candidateFailures))
	}
}

func (p *play) tick() rollout.Decision {
	strata := p.strata
	if p.before.Runs > 0 {
		strata = p.before.Beside(strata)
	}
	next, d, err := p.r.Tick(rollout.Evidence{Blocks: p.closed, Strata: strata, Open: p.block, Judgments: p.unread(), Now: p.now})
	if err != nil {
		p.t.Fatal(err)
	}
	p.settle(next, d)
	return d
}

// unread are the judgments that no tick has read.
func (p *play) unread() []rollout.Judgment {
	if p.r.Ledger.Judged == nil {
		return nil
	}
	i := slices.IndexFunc(p.judgments, func(j rollout.Judgment) bool { return j.Index >= p.r.Ledger.Judged.Next })
	if i < 0 {
		return nil
	}
	return p.judgments[i:]
}

func (p *play) operate(action string) error {
	next, d, err := p.r.Operate(action, "because")
	if err == nil {
		p.settle(next, d)
	}
	return err
}

// settle does what the authority does after a decision: a transition ends the epoch.
func (p *play) settle(next rollout.Rollout, d rollout.Decision) {
	p.closed = p.closed[len(d.Blocks):]
	p.r, p.last = next, d
	if d.Decision == api.Hold {
		return
	}
	p.index++ // the receipt of the decision
	p.r.StepFrom = p.index
	p.epoch++
	comparable := p.block.Comparable()
	if comparable {
		p.closed = append(p.closed, p.block)
	}
	p.next(comparable)
	p.block.BeginStep(next.Weight(), p.index)
	p.strata = append(p.strata, compare.Stratum{Epoch: p.epoch})
}

// script runs lines such as "runs 30 19 failing 3 57" or "tick -> promote 25".
func (p *play) script(text string) {
	p.t.Helper()
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		line = strings.TrimSpace(line)
		f := strings.Fields(line)
		number := func(i int) int {
			n, err := strconv.Atoi(f[i])
			if err != nil {
				p.t.Fatalf("%q: %v", line, err)
			}
			return n
		}
		switch {
		case f[0] == "runs":
			p.traffic(number(1), number(2), number(4), number(5))
		case f[0] == "judged": // wins, losses, ties, none
			for i, verdict := range []api.Preference{api.PreferCandidate, api.PreferBaseline, api.PreferTie, api.PreferNone} {
				p.judge(theJudge(), verdict, number(i+1))
			}
		case f[0] == "otherwise": // another judge's wins
			p.judge(api.Judge{Model: "judge-2"}, api.PreferCandidate, number(1))
		case f[0] == "repeated": // losses of pairs that the judge had judged before
			from := len(p.judgments)
			p.judge(theJudge(), api.PreferBaseline, number(1))
			for i := range p.judgments[from:] {
				p.judgments[from+i].Repeat = true
			}
		case f[0] == "days":
			p.now = p.now.AddDate(0, 0, number(1))
		case f[0] == "tick":
			d := p.tick()
			got := fmt.Sprintf("%s %d", d.Decision, p.r.Weight())
			if d.Decision == api.Hold {
				got += " " + d.Reason.Code
			}
			if want := strings.Join(f[2:], " "); got != want {
				p.t.Fatalf("%q: got %q (%s)", line, got, d.Reason.Text)
			}
		default:
			if err := p.operate(f[0]); err != nil {
				p.t.Fatalf("%q: %v", line, err)
			}
		}
	}
}

func minRuns(n int64) *int64 { return &n }

func TestScripts(t *testing.T) {
	canary := api.CreateRollout{Mode: api.ModeCanary}
	judged := api.CreateRollout{Mode: api.ModeCanary, RequirePairwise: true, Pairwise: &api.CreatePairwise{MinPairs: minRuns(10)}}
	small := api.CreateRollout{Mode: api.ModeCanary, Steps: []int{50, 100}, MinRuns: minRuns(5)}
	for name, c := range map[string]struct {
		request api.CreateRollout
		script  string
	}{
		"a healthy candidate ramps to the end": {canary, `
			tick -> hold 5 no_look
			runs 29 19 failing 2 55
			tick -> hold 5 no_look
			runs 1 19 failing 0 1
			tick -> promote 25
			tick -> hold 25 fresh_runs
			runs 30 3 failing 3 9
			tick -> promote 50
			runs 30 1 failing 3 3
			tick -> promote 100`},
		"a bad candidate is rolled back at the first look": {canary, `
			runs 30 19 failing 12 57
			tick -> rollback 0`},
		"a candidate that turns bad later is rolled back at any weight": {canary, `
			runs 30 19 failing 3 57
			tick -> promote 25
			runs 30 3 failing 14 9
			tick -> rollback 0`},
		"paused rollouts roll back and never promote": {canary, `
			pause
			runs 30 19 failing 3 57
			tick -> hold 5 paused
			runs 30 19 failing 20 57
			tick -> rollback 0`},
		"resume lets it advance": {canary, `
			pause
			runs 30 19 failing 3 57
			tick -> hold 5 paused
			resume
			tick -> promote 25`},
		"an operator's promote is one step": {canary, `
			promote
			tick -> hold 25 no_look
			promote
			promote`},
		"five failures of five against a baseline that never fails": {small, `
			runs 5 1 failing 5 0
			tick -> rollback 0`},
		"five failures of five against a baseline that always fails": {small, `
			runs 5 1 failing 5 5
			tick -> hold 50 cannot_regress
			runs 60 1 failing 60 60
			tick -> hold 50 cannot_regress`},
		"the judge is required and there is none": {api.CreateRollout{Mode: api.ModeCanary, RequirePairwise: true}, `
			runs 60 19 failing 5 114
			tick -> hold 5 pairwise_unavailable`},
		"a judge that finds nothing worse lets the numbers decide": {judged, `
			runs 30 19 failing 3 57
			judged 0 0 0 0
			tick -> hold 5 pairwise_unavailable
			judged 5 4 60 3
			tick -> hold 5 pairwise_too_few
			judged 1 0 0 0
			tick -> promote 25`},
		"a judge alone never promotes": {judged, `
			judged 200 0 0 0
			tick -> hold 5 catching_up
			tick -> hold 5 no_look
			runs 29 19 failing 2 55
			tick -> hold 5 no_look`},
		"a judge that prefers the baseline rolls back": {judged, `
			runs 30 19 failing 3 57
			judged 0 10 0 0
			tick -> rollback 0`},
		"on hold it stops": {api.CreateRollout{Mode: api.ModeCanary, RequirePairwise: true, Pairwise: &api.CreatePairwise{MinPairs: minRuns(10), On: api.OnHold}}, `
			runs 30 19 failing 3 57
			judged 0 10 0 0
			tick -> hold 5 pairwise_regressed
			judged 100 0 0 0
			tick -> hold 5 pairwise_regressed`},
		"a judge is no help to a candidate that fails": {judged, `
			runs 30 19 failing 12 57
			judged 100 0 0 0
			tick -> rollback 0`},
		"verdicts grow stale": {judged, `
			runs 30 19 failing 3 57
			judged 10 5 0 0
			days 8
			tick -> hold 5 pairwise_stale
			judged 1 0 0 0
			tick -> promote 25`},
		"a pair counts once, and judging it again keeps it fresh": {judged, `
			runs 30 19 failing 3 57
			judged 6 6 0 0
			repeated 60
			days 8
			tick -> hold 5 pairwise_stale
			repeated 5
			tick -> promote 25`},
		"without a limit no verdict is stale": {api.CreateRollout{Mode: api.ModeCanary, RequirePairwise: true, Pairwise: &api.CreatePairwise{MinPairs: minRuns(10), MaxAge: minRuns(0)}}, `
			runs 30 19 failing 3 57
			judged 10 5 0 0
			days 900
			tick -> promote 25`},
		"pairs that could not have regressed say nothing": {api.CreateRollout{Mode: api.ModeCanary, RequirePairwise: true, ErrorBudget: ptr(0.0002), MinRuns: minRuns(100), Pairwise: &api.CreatePairwise{MinPairs: minRuns(5)}}, `
			runs 100 19 failing 3 57
			judged 6 0 0 0
			tick -> hold 5 pairwise_too_few
			judged 60 0 0 0
			tick -> promote 25`},
		"what came without a verdict keeps nothing fresh": {judged, `
			runs 30 19 failing 3 57
			judged 10 5 0 0
			days 8
			judged 0 0 0 50
			otherwise 50
			tick -> hold 5 pairwise_stale`},
		"another judge is not the policy's": {api.CreateRollout{Mode: api.ModeCanary, RequirePairwise: true, Pairwise: &api.CreatePairwise{MinPairs: minRuns(10), Judge: &api.Judge{Model: "judge-1"}}}, `
			runs 30 19 failing 3 57
			otherwise 50
			tick -> hold 5 pairwise_other_judge
			judged 10 0 0 0
			tick -> promote 25`},
		"the first judge is the judge": {judged, `
			runs 30 19 failing 3 57
			otherwise 1
			judged 50 0 0 0
			tick -> hold 5 pairwise_too_few`},
		"a paused rollout is rolled back by the judge, and never promoted": {judged, `
			pause
			runs 30 19 failing 3 57
			judged 10 0 0 0
			tick -> hold 5 paused
			judged 0 40 0 0
			tick -> rollback 0`},
		"the judge under the seed's rule": {api.CreateRollout{Mode: api.ModeCanary, RequirePairwise: true, Guarantee: api.GuaranteeLook, Pairwise: &api.CreatePairwise{MinPairs: minRuns(10)}}, `
			runs 30 19 failing 3 57
			judged 2 7 0 0
			tick -> hold 5 pairwise_too_few
			judged 2 7 0 0
			tick -> rollback 0`},
		"the seed's rule: the usual interval at each tick": {api.CreateRollout{Mode: api.ModeCanary, Guarantee: api.GuaranteeLook}, `
			runs 29 19 failing 3 57
			tick -> hold 5 too_few_runs
			runs 1 19 failing 0 1
			tick -> promote 25
			runs 30 3 failing 20 9
			tick -> rollback 0`},
		"five of five under the seed's rule": {api.CreateRollout{Mode: api.ModeCanary, Guarantee: api.GuaranteeLook, MinRuns: minRuns(5), Steps: []int{50, 100}}, `
			runs 5 1 failing 5 5
			tick -> hold 50 cannot_regress`},
	} {
		t.Run(name, func(t *testing.T) { newPlay(t, c.request).script(c.script) })
	}
}

func TestHoldGateStops(t *testing.T) {
	gate, err := api.ParseGate("success:on=hold")
	if err != nil {
		t.Fatal(err)
	}
	newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Gates: []api.Gate{gate}}).script(`
		runs 30 19 failing 20 57
		tick -> hold 5 hold_gate_regressed
		runs 300 19 failing 0 570
		tick -> hold 5 hold_gate_regressed`)
}

// TestMissingMetricHolds: a release that stops reporting must not look better.
func TestMissingMetricHolds(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary})
	for i := range 40 {
		for range 19 {
			p.run(rollout.Baseline, "1")
		}
		if i%2 == 0 {
			p.run(rollout.Candidate, "1")
		} else {
			p.run(rollout.Candidate, "-")
		}
	}
	if d := p.tick(); d.Decision != api.Hold || d.Reason.Code != compare.ReasonMissingMoreOften {
		t.Errorf("%s %s: %s", d.Decision, d.Reason.Code, d.Reason.Text)
	}
}

func TestShadowGoesOnSigning(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeShadow})
	p.script(`
		runs 30 19 failing 15 57
		tick -> rollback 0
		tick -> hold 0 paper_ended
		runs 30 19 failing 3 57
		tick -> hold 0 paper_ended`)
}

func TestContinueKeepsTheLedger(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary})
	p.script(`
		runs 30 19 failing 3 57
		tick -> promote 25
		abort`)
	next := rollout.Continue("rol_again", p.r)
	if next.Ledger.Block != p.r.Ledger.Block || next.Ledger.Digest != p.r.Ledger.Digest || next.Step != 1 || next.State != api.StateActive || next.FreshRuns() != 0 {
		t.Errorf("continued as %+v", next)
	}
}

func digest(t *testing.T, r rollout.Rollout) string {
	t.Helper()
	d, err := r.Ledger.StateDigest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTickIsRepeatable(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary})
	p.traffic(47, 19, 5, 80)
	e := rollout.Evidence{Blocks: p.closed, Strata: p.strata, Open: p.block}
	one, first, err := p.r.Tick(e)
	if err != nil {
		t.Fatal(err)
	}
	two, second, err := p.r.Tick(e)
	if err != nil {
		t.Fatal(err)
	}
	if one.Ledger.Digest != two.Ledger.Digest || digest(t, one) != digest(t, two) || first.Reason.Text != second.Reason.Text {
		t.Error("the same evidence gave two answers")
	}
}
