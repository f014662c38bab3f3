package main

import (
	"errors"
	"fmt"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
)

// story is a rollout to be played.
type story struct {
	// perStep is min_runs.
	perStep int64
	// failures are the true rates of the baseline and of the candidate at each step below 100 %.
	failures [][2]float64
	seed     stats.Seed
	number   uint64
	// hold counts candidate runs that the last step below 100 % is held for, beyond those it needs.
	hold int64
	// intervals: the interval of each look is wanted, not only what it decided.
	intervals bool
}

// moment is a rollout after a tick.
type moment struct {
	runs   int64           // of the candidate
	counts []stats.Stratum // failures, by step
	usual  stats.Difference
	// prova is the interval that belongs to the look; nil before the first look.
	prova *stats.Difference
	look  api.Look
}

// worse: the usual interval leaves out 0 on the side of harm.
func (m moment) worse() bool { return m.usual.Lo > 0 }

// told is what came of a story.
type told struct {
	moments []moment
	state   api.State
}

// ramp is a rollout that is being played.
type ramp struct {
	story
	source  stats.Source
	rollout rollout.Rollout
	block   rollout.Block
	strata  []compare.Stratum
	counts  []stats.Stratum
	closed  []rollout.Block
	index   int64
	runs    int64
	told
}

func (s story) tell() (told, error) {
	policy, errs := rollout.NewPolicy(api.CreateRollout{Mode: api.ModeCanary, MinRuns: &s.perStep, SRM: api.SRMOff}, nil)
	if len(errs) > 0 {
		return told{}, errors.New(errs[0].Detail)
	}
	policy.Gates = policy.Gates[:1]
	core, err := rollout.New(fmt.Sprintf("picture-%d-%d", s.seed, s.number), policy, rollout.History{})
	if err != nil {
		return told{}, err
	}
	r := ramp{story: s, source: stats.NewSource(s.seed, s.number), rollout: core}
	r.block = rollout.FirstBlock(policy, rollout.History{}, rollout.RuleOf(policy, 0), 1, 0)
	r.begin()
	for r.rollout.State == api.StateActive || r.hold > 0 {
		if err := r.candidateRun(); err != nil {
			return told{}, err
		}
	}
	r.state = r.rollout.State
	return r.told, nil
}

// begin begins a step, with strata of its own.
func (r *ramp) begin() {
	r.counts = append(append([]stats.Stratum{}, r.counts...), stats.Stratum{})
	r.strata = append(r.strata, compare.Stratum{Epoch: int64(len(r.counts))})
	if r.hold > 0 && r.rollout.Step+1 == len(r.rollout.Policy.Steps) {
		r.rollout.State = api.StatePaused
	}
}

// candidateRun records a run of the candidate after the baseline's in proportion.
func (r *ramp) candidateRun() error {
	weight := r.rollout.Weight()
	for range (100 - weight) / weight {
		if err := r.record(rollout.Baseline); err != nil {
			return err
		}
	}
	if err := r.record(rollout.Candidate); err != nil {
		return err
	}
	r.runs++
	if r.rollout.State == api.StatePaused {
		r.hold--
	}
	if !r.block.Full() {
		return nil
	}
	r.closed = append(r.closed, r.block)
	r.block = r.block.Next(true, r.block.Epoch, r.index)
	return r.tick()
}

// draw says whether the next run fails.
func (story) draw(source *stats.Source, rate float64) bool {
	return (float64(source.Uint64()>>11)+0.5)*0x1p-53 < rate
}

// outline tells the same story by the test alone, without a log: what many
// rollouts are counted with. It has no intervals but the usual one.
func (s story) outline() ([]moment, error) {
	plan := stats.TestPlan{Budget: rollout.DefaultErrorBudget, FirstLook: rollout.MostFirstLook}
	steps := []int64{5, 25, 50}
	for _, w := range steps {
		plan.Information += float64(s.perStep*(100-w)) / 100
	}
	test, err := stats.NewSequentialTest(plan)
	if err != nil {
		return nil, err
	}
	source := stats.NewSource(s.seed, s.number)
	var moments []moment
	counts := []stats.Stratum{}
	for step, w := range steps {
		counts = append(counts, stats.Stratum{})
		var b stats.Block
		for n := int64(1); n <= s.perStep; n++ {
			for range (100 - w) / w {
				b.Baseline = s.count(b.Baseline, &source, s.failures[min(step, len(s.failures)-1)][0])
			}
			b.Candidate = s.count(b.Candidate, &source, s.failures[min(step, len(s.failures)-1)][1])
			if n%rollout.MinCandidate != 0 {
				continue
			}
			b.Stratum = int64(step)
			next, look, err := test.Look(b, stats.Margin{})
			if err != nil {
				return nil, err
			}
			test, counts = next, with(counts, b)
			moments = append(moments, moment{
				runs: int64(step)*s.perStep + n, counts: counts, usual: stats.StratifiedNewcombe(counts, stats.Critical(0.95)), look: api.Look{Regressed: look.Regressed},
			})
			if look.Regressed {
				return moments, nil
			}
			b = stats.Block{}
		}
	}
	return moments, nil
}

func (s story) count(p stats.Proportion, source *stats.Source, rate float64) stats.Proportion {
	p.N++
	if s.draw(source, rate) {
		p.X++
	}
	return p
}

// with returns a copy of counts with a block added to the last step.
func with(counts []stats.Stratum, b stats.Block) []stats.Stratum {
	all := append([]stats.Stratum{}, counts...)
	last := &all[len(all)-1]
	last.Candidate = stats.Proportion{X: last.Candidate.X + b.Candidate.X, N: last.Candidate.N + b.Candidate.N}
	last.Baseline = stats.Proportion{X: last.Baseline.X + b.Baseline.X, N: last.Baseline.N + b.Baseline.N}
	return all
}

func (r *ramp) record(side rollout.Side) error {
	step := len(r.counts) - 1
	rate, count, cohort := r.failures[min(step, len(r.failures)-1)][0], &r.counts[step].Baseline, &r.strata[step].Baseline
	if side == rollout.Candidate {
		rate, count, cohort = r.failures[min(step, len(r.failures)-1)][1], &r.counts[step].Candidate, &r.strata[step].Candidate
	}
	failed := r.draw(&r.source, rate)
	count.N++
	if failed {
		count.X++
	}
	unit := stats.NewSource(stats.Seed(r.index), 0)
	hash := unit.Uint64()
	metrics := map[string]api.Metric{"success": api.Bool(!failed)}
	r.index++
	if r.intervals {
		if err := cohort.Add(metrics, hash); err != nil {
			return err
		}
	}
	return r.block.AddRun(side, rollout.Run{Index: r.index - 1, Unit: hash, Metrics: metrics})
}

func (r *ramp) tick() error {
	next, d, err := r.rollout.Tick(rollout.Evidence{Blocks: r.closed, Strata: r.strata, Open: r.block, Quiet: !r.intervals})
	if err != nil {
		return err
	}
	r.rollout, r.closed = next, nil
	m := moment{
		runs: r.runs, counts: append([]stats.Stratum{}, r.counts...),
		usual: stats.StratifiedNewcombe(r.counts, stats.Critical(0.95)), look: d.Looks[len(d.Looks)-1],
	}
	if v := d.Verdict.Gates[0].Difference; v != nil { // of successes
		m.prova = &stats.Difference{Estimate: -v.Estimate, Lo: -v.Hi, Hi: -v.Lo}
	}
	r.moments = append(r.moments, m)
	if d.Decision == api.Rollback {
		r.hold = 0
	}
	if d.Decision != api.Promote || next.State.Finished() {
		return nil
	}
	r.rollout.StepFrom = r.index
	r.block = r.block.Next(false, r.block.Epoch+1, r.index)
	r.block.BeginStep(r.rollout.Weight(), r.index)
	r.begin()
	return nil
}
