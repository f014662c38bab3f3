// Package simulate plays rollouts against synthetic truth and measures what a
// policy does: how often it rolls a harmless release back, how often it finds a
// harm, and after how many runs. It drives the packages rollout and compare
// themselves, not a model of them.
//
// Invariants: a result is a function of the scenario, the number of rollouts
// and the seed alone. Each rollout draws from a generator of its own, derived
// through a hash from the seed and its number, so neither the number of workers
// nor their order changes a digit. Every share comes with its Wilson interval.
package simulate

import (
	"fmt"
	"math"

	"github.com/cobound/prova/api"
)

// Scenario is a policy and the truth that it is played against.
type Scenario struct {
	// Policy is as rollout.NewPolicy returns it, without gates that only warn.
	Policy api.Policy
	// Truth has one element for each gate of the policy; the gates' metrics are independent.
	Truth    []Truth
	Arrivals Arrivals
	// BlockRuns is the number of candidate runs in a block, and between two ticks.
	BlockRuns int64
	// History is the number of baseline runs recorded before the rollout. If it
	// is not 0 the baseline is finished: no run of it arrives beside the candidate's.
	History int64
	// Beyond is how many ticks, BlockRuns candidate runs apart, a rollout is
	// played on for when its plan is done. If it is not 0 an operator holds the
	// rollout at the last step before full promotion.
	Beyond int64
}

// Arrivals is the order in which the runs of the two releases come.
type Arrivals string

// The orders of arrival.
const (
	// Proportional: exactly (100-w)/w baseline runs for each candidate run at a weight of w percent.
	Proportional Arrivals = "proportional"
	// Random: each run is the candidate's with a chance of w percent.
	Random Arrivals = "random"
)

// Shape is the distribution of a metric.
type Shape string

// The shapes. The level of a lognormal metric is its median and Sigma the
// standard deviation of its logarithm; the level of a normal one is its mean
// and Sigma its standard deviation as a share of the baseline's first level.
const (
	Bernoulli Shape = "bernoulli"
	Lognormal Shape = "lognormal"
	Normal    Shape = "normal"
)

// Truth is how one metric is really distributed.
type Truth struct {
	Shape Shape `json:"shape"`
	// Baseline and Candidate hold, for each step of the ramp, the failure rate
	// in [0,1] (Bernoulli) or the level, above 0. The last element goes on.
	Baseline  []float64 `json:"baseline"`
	Candidate []float64 `json:"candidate"`
	// Sigma is unused for rates.
	Sigma float64 `json:"sigma,omitempty"`
}

// at returns the element of a step, counted from 1.
func at(levels []float64, step int) float64 { return levels[min(step, len(levels))-1] }

// Check reports what keeps the scenario from being played: a truth that no
// metric can have, or evidence that no rollout can be fed.
func (s Scenario) Check() error {
	switch {
	case len(s.Truth) != len(s.Policy.Gates) || len(s.Truth) == 0:
		return fmt.Errorf("simulate: %d gates and %d truths", len(s.Policy.Gates), len(s.Truth))
	case s.Arrivals != Proportional && s.Arrivals != Random:
		return fmt.Errorf("simulate: arrivals are %s or %s; got %q", Proportional, Random, s.Arrivals)
	case s.BlockRuns < 1 || s.History < 0 || s.Beyond < 0:
		return fmt.Errorf("simulate: blocks of %d, %d runs before and %d ticks beyond the plan", s.BlockRuns, s.History, s.Beyond)
	}
	for i, t := range s.Truth {
		if err := t.check(); err != nil {
			return fmt.Errorf("simulate: gate %s: %w", s.Policy.Gates[i].ID(), err)
		}
		if rate := s.Policy.Gates[i].Statistic == api.StatisticRate; rate != (t.Shape == Bernoulli) {
			return fmt.Errorf("simulate: gate %s is played against a %s metric", s.Policy.Gates[i].ID(), t.Shape)
		}
	}
	return s.playable()
}

func (t Truth) check() error {
	if len(t.Baseline) == 0 || len(t.Candidate) == 0 {
		return fmt.Errorf("the truth has no level")
	}
	for _, levels := range [][]float64{t.Baseline, t.Candidate} {
		for _, v := range levels {
			if t.Shape == Bernoulli && !(v >= 0 && v <= 1) {
				return fmt.Errorf("a failure rate is a share from 0 to 1; got %v", v)
			}
			if t.Shape != Bernoulli && !(v > 0 && v <= 1e12) {
				return fmt.Errorf("a level is above 0 and at most 1e12; got %v", v)
			}
		}
	}
	switch t.Shape {
	case Bernoulli:
		return nil
	case Lognormal, Normal:
		if !(t.Sigma >= 0 && t.Sigma <= 5) || math.IsNaN(t.Sigma) {
			return fmt.Errorf("sigma is a number from 0 to 5; got %v", t.Sigma)
		}
		return nil
	}
	return fmt.Errorf("there is no distribution %q", t.Shape)
}

// Harmless reports whether at no step the candidate is worse than the baseline
// by more than a gate's margin: what the error budget is about.
func (s Scenario) Harmless() bool {
	for i, t := range s.Truth {
		for step := 1; step <= max(len(t.Baseline), len(t.Candidate)); step++ {
			if !t.within(s.Policy.Gates[i], at(t.Baseline, step), at(t.Candidate, step)) {
				return false
			}
		}
	}
	return true
}

// within: the candidate's level is no worse than the baseline's by more than the gate's margin.
func (t Truth) within(g api.Gate, baseline, candidate float64) bool {
	worse, of := candidate-baseline, baseline
	if t.Shape == Bernoulli && g.Better == api.BetterHigher {
		of = 1 - baseline // the levels are failures, the metric counts successes
	}
	if t.Shape != Bernoulli && g.Better == api.BetterHigher {
		worse = -worse
	}
	margin := g.Margin.Value
	if g.Margin.Relative {
		margin *= of
	}
	return worse <= margin+1e-12
}
