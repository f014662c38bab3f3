package evidence

import (
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
)

// looksPerTick bounds the looks of one tick: a receipt prints every one and is
// at most 64 KiB. What is left is taken by the next tick.
const looksPerTick = 60

// BlocksPerTick is how many closed blocks a tick looks at.
func BlocksPerTick(p api.Policy) int { return max(looksPerTick/len(p.Gates), 1) }

// Gather puts together what a tick looks at: the block that is being filled and
// the closed ones that follow the last one that was looked at (more than
// BlocksPerTick of them wait for the next tick), the cohorts of both releases by
// span, and how long the step has lasted. history is asked for only where the
// figures need it.
func Gather(p api.Policy, f Filling, cohorts []Cohort, age time.Duration, history func() (rollout.History, error)) (rollout.Evidence, error) {
	e := rollout.Evidence{Strata: Strata(cohorts, f.Baseline, f.Candidate), StepAge: age.Truncate(time.Second), Blocks: f.Closed, Open: f.Block}
	if limit := BlocksPerTick(p); len(f.Closed) > limit {
		e.Blocks, e.More = f.Closed[:limit], true
	}
	if f.Block.Before.AgainstHistory == 0 {
		return e, nil
	}
	h, err := history()
	e.Strata = h.Beside(e.Strata)
	return e, err
}
