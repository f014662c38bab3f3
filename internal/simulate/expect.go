package simulate

import (
	"strconv"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
)

// Expectation is what a policy does to one candidate.
type Expectation struct {
	// Candidate says in words how it compares with the baseline.
	Candidate string `json:"candidate"`
	// Harmless: the candidate is not worse, so a rollback is false; otherwise a promotion is wrong.
	Harmless bool    `json:"harmless"`
	Truth    []Truth `json:"truth"`
	Result
}

// MostExplained is the number of candidate runs up to which a plan is simulated in seconds.
const MostExplained = 3000

// Expect plays a policy against a candidate that is as good as the baseline
// and against a few that are worse on the first gate that rolls back: 1.5, 2
// and 3 times its failures, 10 % if these are rare, and an outage, or a level up to twice. truth
// is the baseline's, one for each of the policy's gates; its Candidate members
// are not read. Gates that only warn decide nothing and are left out.
//
// The longer the plan the fewer rollouts are played, 100 to 1,000 for each
// candidate; the intervals say what that leaves open. It fails where Play does,
// and with ErrTooLong where the plan has more than MostExplained candidate runs.
func Expect(p api.Policy, truth []Truth, seed stats.Seed, workers int, progress func(share float64) bool) ([]Expectation, error) {
	return expect(p, truth, seed, MostRollouts, workers, progress)
}

// MostRollouts is how many rollouts of each candidate are played at most.
const MostRollouts = 1000

func expect(p api.Policy, truth []Truth, seed stats.Seed, most, workers int, progress func(share float64) bool) ([]Expectation, error) {
	p = rollout.WithoutJudge(p)
	s := Scenario{Policy: p, Arrivals: Proportional, BlockRuns: rollout.MinCandidate}
	s.Policy.Gates = nil
	for i, g := range p.Gates {
		if g.On != api.OnWarn && i < len(truth) {
			t := truth[i]
			t.Candidate = t.Baseline
			s.Policy.Gates, s.Truth = append(s.Policy.Gates, g), append(s.Truth, t)
		}
	}
	planned := rollout.PlanOf(p, rollout.Traffic{}).Runs
	if planned > MostExplained {
		return nil, ErrTooLong
	}
	rollouts := int(min(max(100_000/(planned*int64(max(len(s.Truth), 1))), 100), MostRollouts, int64(most)))
	list := s.candidates()
	for i := range list {
		s.Truth = list[i].Truth
		var err error
		list[i].Harmless = s.Harmless()
		list[i].Result, err = s.Play(Run{Rollouts: rollouts, Seed: seed, Workers: workers, Progress: func(done int) bool {
			return progress((float64(i) + float64(done)/float64(rollouts)) / float64(len(list)))
		}})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// candidates are those to be played: the scenario's own truth first.
func (s Scenario) candidates() []Expectation {
	list := []Expectation{{Candidate: "as good as the baseline", Truth: s.Truth}}
	at := 0
	for i, g := range s.Policy.Gates {
		if g.On == api.OnRollback {
			at = i
			break
		}
	}
	if len(s.Truth) == 0 {
		return list
	}
	g, base := s.Policy.Gates[at], s.Truth[at]
	for _, h := range harms(g, base) {
		worse := base
		worse.Candidate = []float64{h.level}
		truth := append([]Truth{}, s.Truth...)
		truth[at] = worse
		list = append(list, Expectation{Candidate: h.text, Truth: truth})
	}
	return list
}

type harm struct {
	text  string
	level float64
}

// noticed is a failure rate that people notice, and outage that of a release
// that is broken for most.
const (
	noticed = 0.1
	outage  = 0.6
)

// harms to the metric of a gate, growing.
func harms(g api.Gate, base Truth) []harm {
	level := base.Baseline[0]
	var list []harm
	if base.Shape == Bernoulli {
		for _, times := range []float64{1.5, 2, 3} {
			if rate := level * times; rate < outage && level > 0 {
				list = append(list, harm{rateText(g, rate, times), rate})
			}
		}
		if 3*level < noticed {
			list = append(list, harm{rateText(g, noticed, 0), noticed})
		}
		if level < outage {
			list = append(list, harm{rateText(g, outage, 0) + ": an outage", outage})
		}
		return list
	}
	for _, change := range []float64{0.1, 0.2, 0.5, 1} {
		factor, sign := 1+change, "+"
		if g.Better == api.BetterHigher {
			factor, sign = 1/factor, "−"
			change = 1 - factor
		}
		list = append(list, harm{g.Metric + " " + sign + number(change*100) + " %", level * factor})
	}
	return list
}

func rateText(g api.Gate, failures, times float64) string {
	text := g.Metric + " fails in " + number(failures*100) + " %"
	if g.Better == api.BetterLower {
		text = g.Metric + " in " + number(failures*100) + " %"
	}
	if times > 0 {
		text += ", " + strconv.FormatFloat(times, 'g', 2, 64) + " times"
	}
	return text
}
