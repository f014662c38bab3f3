package simulate

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
)

// Everything that knows how evidence reaches a rollout is in this file.

// playable reports what no rollout can be fed.
func (s Scenario) playable() error {
	for _, g := range s.Policy.Gates {
		if g.Pair != "" && s.History > 0 {
			return fmt.Errorf("simulate: gate %s: a finished baseline has no runs to pair with", g.ID())
		}
	}
	return nil
}

// rule is when a block closes: as in a real rollout, but after BlockRuns candidate runs.
func (s Scenario) rule() rollout.Rule {
	r := rollout.RuleOf(s.Policy, s.History)
	r.Candidate, r.Baseline = s.BlockRuns, min(r.Baseline, s.BlockRuns)
	if s.History > 0 {
		r.History = s.BlockRuns
	}
	return r
}

// history draws what a finished baseline reported before the rollout.
func (s Scenario) history(source *stats.Source) (rollout.History, error) {
	h := rollout.History{Runs: s.History, LastIndex: s.History - 1}
	if s.History == 0 {
		return rollout.History{}, nil
	}
	h.Metrics = make(map[string]stats.Summary, len(s.Truth))
	for i, t := range s.Truth {
		g := s.Policy.Gates[i]
		var all stats.Summary
		ones := int64(0)
		for n := range s.History {
			v := t.draw(unit(source.Uint64()), g, at(t.Baseline, 1))
			if t.Shape == Bernoulli { // a rate is two counts: no need to fold each run in
				ones += int64(v)
				continue
			}
			if err := all.Add(v, spread(n)); err != nil {
				return h, err
			}
		}
		if t.Shape == Bernoulli {
			all.Merge(repeated(1, ones))
			all.Merge(repeated(0, s.History-ones))
		}
		h.Metrics[g.Metric] = all
	}
	return h, nil
}

// repeated is the summary of n runs with the same value, by doubling.
func repeated(v float64, n int64) stats.Summary {
	var sum, power stats.Summary
	_ = power.Add(v, spread(int64(v))) // 0 and 1 are in range
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			sum.Merge(power)
		}
		power.Merge(power)
	}
	return sum
}

// spread is a hash of a log index, as that of a unit.
func spread(index int64) uint64 {
	each := stats.NewSource(stats.Seed(index), 0)
	return each.Uint64()
}

// play is one rollout with the log that it is fed from: what ingest and the
// authority do around the pure core, and nothing else.
type play struct {
	s       Scenario
	source  stats.Source
	order   order
	history rollout.History
	rollout rollout.Rollout
	block   rollout.Block
	closed  []rollout.Block
	// figures: the strata of cohorts are kept. The exact tests live on blocks
	// alone, so only the ordinary intervals need them to decide.
	figures bool
	// quiet leaves out what is only shown.
	quiet  bool
	strata []compare.Stratum
	// aims: quantiles are held against what the baseline reported so far, which is baseline.
	aims     bool
	baseline map[string]stats.Summary
	index    int64
	epoch    int64
	// run and partner are the last run of each release; their maps are used again.
	run, partner last
	// overdue counts candidate runs since the plan was done; negative before.
	overdue int64
	outcome outcome
}

// last is the last run of a release: what was drawn, and what is recorded of it.
type last struct {
	draws  []float64
	values map[string]api.Metric
	// free: no run of the other release was paired with it.
	free bool
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
	p := play{s: s, source: stats.NewSource(seed, number), order: order{arrivals: s.Arrivals}, epoch: 1, quiet: true, overdue: -1}
	p.figures = s.Policy.Guarantee == api.GuaranteeLook
	var err error
	if p.history, err = s.history(&p.source); err != nil {
		return p, err
	}
	p.block = rollout.FirstBlock(s.Policy, p.history, s.rule(), 1, 0)
	if p.aims = len(p.block.Aims()) > 0; p.aims {
		p.baseline = map[string]stats.Summary{}
	}
	for _, l := range []*last{&p.run, &p.partner} {
		l.draws, l.values = make([]float64, len(s.Truth)), make(map[string]api.Metric, len(s.Truth))
	}
	policy := s.Policy
	if policy.SRM == api.SRMWarn {
		policy.SRM = api.SRMOff // what only warns decides nothing
	}
	p.rollout, err = rollout.New("simulated-"+strconv.FormatUint(number, 10), policy, p.history)
	return p, err
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
		if err := p.arrive(side); err != nil {
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

// arrive records one run, and ticks if it closes a block.
func (p *play) arrive(side rollout.Side) error {
	run := &p.partner
	if side == rollout.Candidate {
		run = &p.run
		p.outcome.runs++
		if p.overdue >= 0 {
			p.overdue++
		}
	}
	p.draw(side, run)
	if err := p.pair(side); err != nil {
		return err
	}
	if err := p.show(side, run.values); err != nil {
		return err
	}
	if err := p.block.AddRun(side, rollout.Run{Index: p.index, Unit: spread(p.index), Metrics: run.values}); err != nil {
		return err
	}
	p.index++
	if !p.block.Full() {
		return nil
	}
	p.closed = append(p.closed, p.block)
	p.next(true)
	return p.tick()
}

// draw makes a run of one release. The candidate's run on the probe of a
// baseline run shares, half of the time, what makes that probe hard.
func (p *play) draw(side rollout.Side, run *last) {
	run.free = true
	for i, t := range p.s.Truth {
		g, levels := p.s.Policy.Gates[i], t.Baseline
		u := unit(p.source.Uint64())
		if side == rollout.Candidate {
			levels = t.Candidate
			if g.Pair != "" && p.partner.free && p.source.Uint64()>>63 == 0 {
				u = p.partner.draws[i]
			}
		}
		run.draws[i] = u
		run.values[g.Metric] = api.Number(t.draw(u, g, at(levels, p.rollout.Step)))
	}
}

// pair makes the candidate's run and the baseline's last one a pair.
func (p *play) pair(side rollout.Side) error {
	if side != rollout.Candidate || !p.partner.free || !slices.ContainsFunc(p.s.Policy.Gates, func(g api.Gate) bool { return g.Pair != "" }) {
		return nil
	}
	p.partner.free = false
	return p.block.AddPair(rollout.Pair{
		Index: p.index, Probe: strconv.FormatInt(p.index, 10), Fresh: true, Candidate: p.run.values, Baseline: p.partner.values,
	})
}

// show keeps the figures of a cohort where the ordinary intervals decide, and
// what the baseline reported where quantiles are held against it.
func (p *play) show(side rollout.Side, values map[string]api.Metric) error {
	if p.aims && side == rollout.Baseline {
		for metric, v := range values { // each metric has a summary of its own, so the order does not matter
			s := p.baseline[metric]
			if err := s.Add(v.Value, spread(p.index)); err != nil {
				return err
			}
			p.baseline[metric] = s
		}
	}
	if !p.figures {
		return nil
	}
	stratum := &p.strata[len(p.strata)-1]
	cohort := &stratum.Baseline
	if side == rollout.Candidate {
		cohort = &stratum.Candidate
	}
	return cohort.Add(values, spread(p.index))
}

// next begins the next block.
func (p *play) next(closed bool) {
	p.block = p.block.Next(closed, p.epoch, p.index)
	if p.aims {
		p.block.Aim(func(metric string) stats.Summary { return p.baseline[metric] })
	}
}

func (p *play) tick() error {
	e := rollout.Evidence{Blocks: p.closed, Strata: p.strata, Open: p.block, Quiet: p.quiet}
	if p.figures && p.s.History > 0 {
		e.Strata = p.history.Beside(p.strata)
	}
	next, d, err := p.rollout.Tick(e)
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
	p.next(comparable)
	if p.rollout.State.Finished() {
		return nil
	}
	p.block.BeginStep(p.rollout.Weight(), p.index)
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
