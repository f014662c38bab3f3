package simulate

import (
	"errors"
	"slices"
	"sync"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// ErrStopped says that the caller ended the simulation.
var ErrStopped = errors.New("simulate: stopped")

// ErrTooLong says that a plan has too many runs to be simulated while somebody waits.
var ErrTooLong = errors.New("simulate: the plan is too long")

// Confidence is the two-sided level of the intervals of all shares.
const Confidence = 0.95

// Run is how a scenario is played.
type Run struct {
	// Rollouts is how many are played, at least 1.
	Rollouts int
	Seed     stats.Seed
	// Workers is how many play at the same time; the result does not depend on it.
	Workers int
	// Progress, if not nil, is told how many rollouts are done, now and then and
	// by one goroutine at a time. Where it returns false the simulation stops.
	Progress func(done int) bool
}

// Result is what a policy did: its operating characteristics.
type Result struct {
	Rollouts   int64 `json:"rollouts"`
	RolledBack Share `json:"rolled_back"`
	Promoted   Share `json:"promoted"`
	// Undecided rollouts still held when the plan, and what was played beyond it,
	// was done; those that lacked evidence then were played on for a second plan's runs.
	Undecided Share `json:"undecided"`
	// RunsToRollback counts candidate runs of the rollouts that were rolled back.
	RunsToRollback Runs `json:"runs_to_rollback"`
	// RunsToEnd counts candidate runs of all rollouts.
	RunsToEnd Runs `json:"runs_to_end"`
	// Looks is the mean number of blocks that a rollout looked at.
	Looks float64 `json:"looks"`
	// Gates tells of each gate of the policy how often it had regressed when the rollout ended.
	Gates []Share `json:"gates"`
}

// Share is a count of rollouts, and its rate with the Wilson interval.
type Share struct {
	Count int64   `json:"-"`
	Rate  float64 `json:"rate"`
	Lo    float64 `json:"lo"`
	Hi    float64 `json:"hi"`
}

// Runs are the median and the 90th percentile of a number of candidate runs,
// by the nearest rank; nil if there was no such rollout.
type Runs struct {
	Median *int64 `json:"median"`
	P90    *int64 `json:"p90"`
}

// batch is how many rollouts a worker plays before it reports.
const batch = 50

// Play plays the scenario's rollouts and returns their operating
// characteristics. It fails where Check does, with ErrStopped, and on a broken
// engine.
func (s Scenario) Play(run Run) (Result, error) {
	if err := s.Check(); err != nil {
		return Result{}, err
	}
	if run.Rollouts < 1 {
		return Result{}, errors.New("simulate: at least one rollout is played")
	}
	c := crew{scenario: s, run: run, outcomes: make([]outcome, run.Rollouts)}
	var workers sync.WaitGroup
	for range max(run.Workers, 1) {
		workers.Go(c.work)
	}
	workers.Wait()
	if c.failed != nil {
		return Result{}, c.failed
	}
	return summarise(c.outcomes), nil
}

// crew is the workers of one simulation. Each outcome is written by the worker
// that took its batch; the rest is under the mutex.
type crew struct {
	scenario Scenario
	run      Run
	outcomes []outcome

	mutex       sync.Mutex
	taken, done int
	failed      error
}

// work plays batches until none is left.
func (c *crew) work() {
	for from, to := c.take(); from < to; from, to = c.take() {
		for i := from; i < to; i++ {
			var err error
			if c.outcomes[i], err = playOne(c.scenario, c.run.Seed, uint64(i)); err != nil {
				c.fail(err)
				return
			}
		}
		c.finish(to - from)
	}
}

// take hands out a batch, an empty one when all are taken or something failed.
func (c *crew) take() (from, to int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.failed != nil {
		return 0, 0
	}
	from = c.taken
	c.taken = min(from+batch, len(c.outcomes))
	return from, c.taken
}

func (c *crew) finish(rollouts int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.done += rollouts
	if c.failed == nil && c.run.Progress != nil && !c.run.Progress(c.done) {
		c.failed = ErrStopped
	}
}

// fail keeps the first failure.
func (c *crew) fail(err error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.failed == nil {
		c.failed = err
	}
}

// summarise adds the outcomes up, in the order of the rollouts.
func summarise(outcomes []outcome) Result {
	r := Result{Rollouts: int64(len(outcomes)), Gates: make([]Share, len(outcomes[0].crossed))}
	var toRollback, toEnd []int64
	looks := int64(0)
	for _, o := range outcomes {
		switch o.state {
		case api.StateRolledBack:
			r.RolledBack.Count++
			toRollback = append(toRollback, o.runs)
		case api.StatePromoted:
			r.Promoted.Count++
		default:
			r.Undecided.Count++
		}
		for i, crossed := range o.crossed {
			if crossed {
				r.Gates[i].Count++
			}
		}
		toEnd = append(toEnd, o.runs)
		looks += o.looks
	}
	for _, s := range []*Share{&r.RolledBack, &r.Promoted, &r.Undecided} {
		*s = share(s.Count, r.Rollouts)
	}
	for i := range r.Gates {
		r.Gates[i] = share(r.Gates[i].Count, r.Rollouts)
	}
	r.RunsToRollback, r.RunsToEnd = runs(toRollback), runs(toEnd)
	r.Looks = float64(looks) / float64(r.Rollouts)
	return r
}

func share(count, of int64) Share {
	p := stats.Proportion{X: count, N: of}
	i := stats.Wilson(p, stats.Critical(Confidence))
	return Share{Count: count, Rate: p.Value(), Lo: i.Lo, Hi: i.Hi}
}

func runs(counts []int64) Runs {
	if len(counts) == 0 {
		return Runs{}
	}
	slices.Sort(counts)
	rank := func(percent int) *int64 { return &counts[(len(counts)*percent+99)/100-1] }
	return Runs{Median: rank(50), P90: rank(90)}
}
