package simulate

import (
	"fmt"
	"strconv"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
)

// Everything that knows how evidence reaches a rollout is in this file.

// playable reports what the rollout package cannot be fed yet.
func (s Scenario) playable() error {
	switch {
	case s.BlockRuns != rollout.MinCandidate:
		return fmt.Errorf("%w: blocks of %d candidate runs; blocks have %d", ErrNotYet, s.BlockRuns, rollout.MinCandidate)
	case s.History > 0:
		return fmt.Errorf("%w: a finished baseline", ErrNotYet)
	}
	return nil
}

// play is one rollout with the log that it is fed from: what ingest and the
// authority do around the pure core, and nothing else.
type play struct {
	s       Scenario
	source  stats.Source
	order   order
	rollout rollout.Rollout
	block   rollout.Block
	closed  []rollout.Block
	// figures: the strata of cohorts are kept. The exact tests live on blocks
	// alone, so only the ordinary intervals need them to decide.
	figures bool
	strata  []compare.Stratum
	index   int64
	epoch   int64
	// values is the run being recorded; its map is used again for the next.
	values map[string]api.Metric
	// overdue counts candidate runs since the plan was done; negative before.
	overdue int64
	outcome outcome
}

// outcome is how one rollout ended.
type outcome struct {
	state api.State
	// crossed tells of each gate whether it had regressed at the end.
	crossed []bool
	// runs are the candidate's.
	runs, looks int64
}

// playOne plays the rollout of one number to its end.
func playOne(s Scenario, seed stats.Seed, number uint64) (outcome, error) {
	p, err := newPlay(s, seed, number)
	if err != nil {
		return outcome{}, err
	}
	return p.toEnd()
}

func newPlay(s Scenario, seed stats.Seed, number uint64) (play, error) {
	r, err := rollout.New("simulated-"+strconv.FormatUint(number, 10), s.Policy)
	return play{
		s: s, source: stats.NewSource(seed, number), order: order{arrivals: s.Arrivals}, rollout: r, epoch: 1,
		figures: s.Policy.Guarantee == api.GuaranteeLook,
		block:   rollout.FirstBlock(s.Policy, 1, 0), values: make(map[string]api.Metric, len(s.Truth)), overdue: -1,
	}, err
}

// toEnd plays on until the rollout is over.
func (p *play) toEnd() (outcome, error) {
	p.outcome.crossed = make([]bool, len(p.s.Truth))
	if err := p.begin(); err != nil {
		return outcome{}, err
	}
	for !p.over() {
		side := rollout.Baseline
		if p.s.History > 0 || p.order.candidate(&p.source, p.rollout.Weight()) {
			side = rollout.Candidate
		}
		if err := p.run(side); err != nil {
			return outcome{}, err
		}
	}
	p.outcome.state = p.rollout.State
	return p.outcome, nil
}

// over: the rollout ended; or it held although its plan, and the ticks beyond
// it, are done; or it has had twice the runs of its plan and still lacks evidence.
func (p *play) over() bool {
	beyond := p.s.Beyond * p.s.BlockRuns
	planned := p.s.Policy.MinRuns * int64(len(p.s.Policy.Steps)-1)
	return p.rollout.State.Finished() || p.overdue >= 0 && p.overdue >= beyond || p.outcome.runs >= 2*planned+beyond
}

// run records one run, and ticks if it closes a block.
func (p *play) run(side rollout.Side) error {
	for i, t := range p.s.Truth {
		g, levels := p.s.Policy.Gates[i], t.Baseline
		if side == rollout.Candidate {
			levels = t.Candidate
		}
		p.values[g.Metric] = api.Number(t.draw(&p.source, g, at(levels, p.rollout.Step)))
	}
	if side == rollout.Candidate {
		p.outcome.runs++
		if p.overdue >= 0 {
			p.overdue++
		}
	}
	if err := p.show(side); err != nil {
		return err
	}
	p.block.AddRun(side, p.index, p.values)
	p.index++
	if !p.block.Full() {
		return nil
	}
	p.closed = append(p.closed, p.block)
	p.block = p.block.Next(true, p.epoch, p.index)
	return p.tick()
}

// show keeps the figures of a cohort where the ordinary intervals decide.
func (p *play) show(side rollout.Side) error {
	if !p.figures {
		return nil
	}
	stratum := &p.strata[len(p.strata)-1]
	cohort := &stratum.Baseline
	if side == rollout.Candidate {
		cohort = &stratum.Candidate
	}
	each := stats.NewSource(stats.Seed(p.index), 0)
	return cohort.Add(p.values, each.Uint64())
}

func (p *play) tick() error {
	next, d, err := p.rollout.Tick(rollout.Evidence{Blocks: p.closed, Strata: p.strata})
	if err != nil {
		return err
	}
	p.rollout, p.closed = next, p.closed[len(d.Blocks):]
	p.outcome.looks += int64(len(d.Blocks))
	for i := range d.Verdict.Gates {
		p.outcome.crossed[i] = d.Verdict.Gates[i].Verdict == api.Regressed
	}
	if d.Decision != api.Hold {
		return p.transition()
	}
	if p.overdue < 0 && next.FreshRuns() >= p.s.Policy.MinRuns && d.Verdict.Verdict == api.Clean {
		p.overdue = 0 // it is not for want of evidence that it holds
	}
	return nil
}

// transition does what the authority does when the weight changes: the epoch ends, and with it the block.
func (p *play) transition() error {
	p.rollout.StepFrom = p.index
	p.epoch++
	comparable := p.block.Comparable()
	if comparable {
		p.closed = append(p.closed, p.block)
	}
	p.block = p.block.Next(comparable, p.epoch, p.index)
	if p.rollout.State.Finished() {
		return nil
	}
	return p.begin()
}

// begin begins a step.
func (p *play) begin() error {
	p.order.begin(p.rollout.Weight())
	p.overdue = -1
	if p.figures {
		p.strata = append(p.strata, compare.Stratum{Epoch: p.epoch})
	}
	if p.s.Beyond == 0 || p.rollout.Step+1 < len(p.s.Policy.Steps) {
		return nil
	}
	held, _, err := p.rollout.Operate(rollout.ActionPause, "held at the last step")
	p.rollout = held
	return err
}
