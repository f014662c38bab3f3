package simulate

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// ErrNotYet says that this version of the engine has no such evidence. Compare with errors.Is.
var ErrNotYet = errors.New("not in this version")

// ErrStopped says that the caller ended the simulation.
var ErrStopped = errors.New("simulate: stopped")

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
	Rollouts                        int64
	RolledBack, Promoted, Undecided Share
	// Gates tells of each gate how often it had regressed when the rollout ended.
	Gates []Share
	// RunsToRollback counts candidate runs of the rollouts that were rolled back.
	RunsToRollback Runs
	// RunsToEnd counts candidate runs of all rollouts.
	RunsToEnd Runs
	// Looks is the mean number of blocks that a rollout looked at.
	Looks float64
}

// Share is a count of rollouts with the Wilson interval of its rate.
type Share struct {
	Count        int64
	Rate, Lo, Hi float64
}

// Runs are the median and the 90th percentile of a number of candidate runs,
// by the nearest rank; both 0 if there was no such rollout.
type Runs struct{ Median, P90 int64 }

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
	outcomes := make([]outcome, run.Rollouts)
	var (
		next, done int
		failed     error
		mutex      sync.Mutex
		stop       atomic.Bool
		workers    sync.WaitGroup
	)
	for range max(run.Workers, 1) {
		workers.Go(func() {
			for {
				mutex.Lock()
				from := next
				next += batch
				mutex.Unlock()
				for i := from; i < min(from+batch, run.Rollouts); i++ {
					if stop.Load() {
						return
					}
					var err error
					if outcomes[i], err = playOne(s, run.Seed, uint64(i)); err != nil {
						mutex.Lock()
						failed = errors.Join(failed, err)
						mutex.Unlock()
						stop.Store(true)
						return
					}
				}
				if from+batch >= run.Rollouts+batch {
					return
				}
				mutex.Lock()
				done = min(done+batch, run.Rollouts)
				if run.Progress != nil && !run.Progress(done) && failed == nil {
					failed = ErrStopped
					stop.Store(true)
				}
				mutex.Unlock()
			}
		})
	}
	workers.Wait()
	if failed != nil {
		return Result{}, failed
	}
	return summarise(outcomes), nil
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
	rank := func(percent int) int64 { return counts[(len(counts)*percent+99)/100-1] }
	return Runs{Median: rank(50), P90: rank(90)}
}
