package stats

import (
	"fmt"
	"math"
)

// PermutationPlan is what a permutation test is told before its first look, and
// what its guarantee is about.
type PermutationPlan struct {
	Budget       float64 // greatest probability of ever crossing without harm, in (0, 1)
	Information  float64 // the sum of n_c n_b / (n_c + n_b) over the strata when the plan is done, > 0
	FirstLook    int64   // candidate units before the first decision, at least 0
	Seed         Seed    // of all replicates
	LowerIsWorse bool    // a lower mean is the harm, as of a score; else a higher one
	Margin       MeanMargin
	// History is a finished baseline, for blocks that have no baseline of their
	// own; empty if there is none.
	History Summary
	// HistoryInformation is the information of a plan whose blocks are all
	// compared with History; it counts as planned as long as they are. 0 stands for Information.
	HistoryInformation float64
}

// MeanMargin is how much worse the candidate's mean may be and still count as
// harmless: up to m times the baseline's magnitude and d on top of that. The
// zero value allows nothing. Where a higher mean is worse, candidate values x
// stand for (x-d)/(1+m); where a lower one is, for (x+d)/(1-m). Negative
// values, for which a step towards harm is one towards or away from 0 the other
// way round, are divided by 1-m and 1+m instead (1-m at least 1/1024).
type MeanMargin struct {
	Absolute float64 // d, in units of the metric, in [0, 10^15]
	Relative float64 // m, in [0, 1000], below 1 where lower is worse
}

// MeanBlock is the values of one look: all that arrived in one stratum since its
// last block. A block without a baseline is compared with the plan's history. A
// block of Differences, candidate minus baseline of each pair, has nothing else;
// its units are the pairs, of which each counts half a unit of information; a
// relative margin has to be in the differences already, see Discounted.
type MeanBlock struct {
	Stratum             int64
	Candidate, Baseline Values
	Differences         Values
}

// MeanLook is one look of a permutation test. Information, Allowed and Used are
// totals up to and including this look; the units are those of its block that
// were used. All numbers are finite.
type MeanLook struct {
	Number, Stratum               int64 // Number counts from 1
	CandidateUnits, BaselineUnits int64
	Information                   float64
	Allowed, Used                 float64 // error that may be, and is, spent; Used is a share of the replicates
	Statistic                     float64 // of the data, positive where the candidate is worse than the margin
	Critical                      float64 // boundary in units of the statistic, if Tested
	Tested, Reachable, Regressed  bool    // enough units to decide; some outcome so far could have regressed; Statistic > Critical
}

// PermutationTest is the seeded sequential permutation test of "the candidate's
// values have the baseline's distribution". Within a block the labels are then
// exchangeable, so the path of the statistic is compared with the paths of 999
// replicates (1,999 at a budget below 2 %) whose labels are drawn anew in each
// block: at each look the highest paths are taken out, as many as AlphaStar
// allows in all, and the candidate is worse if the data's path is among them.
// The probability that it ever is, for equal distributions, is at most the
// budget, on either side, whatever the skew, however many looks there are. A
// change of the spread alone is no harm but may be taken for one: see Spread.
// As no error below one replicate can be spent, a budget below about 1/1900
// never decides.
//
// The statistic is Welch's, over strata: the sum of w d over the root of the sum
// of w² V, where w = n_c n_b/(n_c + n_b), d is the difference of means and V =
// s_c²/n_c + s_b²/n_b in a stratum; an arm with one unit has the other's
// variance. Pairs add half the sum of their differences, whose signs are
// exchangeable, and a quarter of the sum of squares. The statistic is kept
// within ±10^6 and is 0 where both sums are 0: where nothing varies, no path is
// above another, so values that are all the same are never worse, while a shift
// from one constant to another is as far out as can be.
//
// The stratum with the highest number so far is open: its blocks are put
// together, and it is closed by a block with a higher one. A block with a lower
// number came late; it is a stratum of its own. Blocks compared with history are
// one stratum, always open.
//
// Sources: Fisher 1935, Janssen 1997 for the studentized statistic, Hwang, Shih
// & DeCani 1990 for the spending.
//
// It is a value: Look leaves the receiver as it was.
type PermutationTest struct {
	plan      PermutationPlan // without its history
	history   population
	looks     int64
	units     int64 // of the candidate
	critical  float64
	tested    bool
	reachable bool
	regressed bool // at the last look
	started   bool // a stratum is open
	stratum   int64
	open      arms
	past      arms // against history
	closed    figures
	paths     paths
}

// arms is what the data and all replicates have in common in a stratum.
type arms struct {
	candidates, baselines int64
	centre                Fixed   // sums are of distances from it
	p1, p2                float64 // sums of both arms' values and squares, under the margin
	raw                   float64 // sum of the candidate's values without the margin
}

const (
	replicates     = 999
	fineReplicates = 1999
	fineBudget     = 0.02
	statisticLimit = 1e6
	absoluteLimit  = 1e15
	relativeLimit  = 1000
)

// NewPermutationTest returns the test before its first look. It fails where a
// number of the plan is out of its range.
func NewPermutationTest(plan PermutationPlan) (PermutationTest, error) {
	history, err := populationOf(plan.History)
	if err != nil {
		return PermutationTest{}, err
	}
	plan.History = Summary{}
	if err := plan.check(); err != nil {
		return PermutationTest{}, err
	}
	return PermutationTest{plan: plan, history: history, paths: newPaths(plan.paths(), history.size() > 0)}, nil
}

func (p PermutationPlan) check() error {
	switch m := p.Margin; {
	case !(p.Budget > 0 && p.Budget < 1):
		return fmt.Errorf("stats: budget %v is not between 0 and 1", p.Budget)
	case !(p.Information > 0 && p.Information <= math.MaxFloat64):
		return fmt.Errorf("stats: planned information %v is not positive", p.Information)
	case !(p.HistoryInformation >= 0 && p.HistoryInformation <= math.MaxFloat64):
		return fmt.Errorf("stats: planned information %v against history is negative", p.HistoryInformation)
	case p.FirstLook < 0:
		return fmt.Errorf("stats: first look after %d units", p.FirstLook)
	case !(m.Absolute >= 0 && m.Absolute <= absoluteLimit):
		return fmt.Errorf("stats: margin %v is out of range", m.Absolute)
	case !(m.Relative >= 0 && m.Relative <= relativeLimit) || p.LowerIsWorse && m.Relative >= 1:
		return fmt.Errorf("stats: relative margin %v is out of range", m.Relative)
	}
	return nil
}

// paths is the number of paths, the data's included.
func (p PermutationPlan) paths() int {
	if p.Budget < fineBudget {
		return fineReplicates + 1
	}
	return replicates + 1
}

// side is the sign of harm.
func (p PermutationPlan) side() float64 {
	if p.LowerIsWorse {
		return -1
	}
	return 1
}

// Look closes a block and returns the test after it and what it showed. It
// fails, changing nothing, with ErrEmptyArm where there is nothing to compare,
// and where a block of differences has anything else. Looking on after the
// boundary was crossed is allowed; whether a crossing is final is up to the
// caller.
func (t PermutationTest) Look(b MeanBlock) (PermutationTest, MeanLook, error) {
	if err := t.check(b); err != nil {
		return t, MeanLook{}, err
	}
	t.paths = t.paths.clone()
	t.looks++
	look := MeanLook{Number: t.looks, Stratum: b.Stratum}
	stream := NewSource(t.plan.Seed, uint64(t.looks))
	seed := Seed(stream.Uint64())
	switch {
	case b.Differences.Runs() > 0:
		look.CandidateUnits = t.addPairs(b.Differences, seed)
		look.BaselineUnits = look.CandidateUnits
	case b.Baseline.Runs() == 0:
		look.CandidateUnits = t.addAgainstHistory(b.Candidate, seed)
		look.BaselineUnits = t.history.size()
	default:
		look.CandidateUnits, look.BaselineUnits = t.addBlock(b, seed)
	}
	t.units += look.CandidateUnits
	look.Information = t.figures().information
	look.Allowed = AlphaStar(t.plan.Budget, t.Planned(), look.Information)
	t.decide(&look)
	return t, look, nil
}

// Planned returns the information that the budget is spread over: that of the
// plan, or of a plan against history while every block was.
func (t PermutationTest) Planned() float64 {
	historical := t.past.candidates > 0 && t.units == t.past.candidates
	return planned(t.plan.Information, t.plan.HistoryInformation, historical)
}

func (t PermutationTest) check(b MeanBlock) error {
	if t.paths.in == nil {
		return fmt.Errorf("stats: a test starts with NewPermutationTest")
	}
	if b.Differences.Runs() > 0 {
		if b.Candidate.Runs() > 0 || b.Baseline.Runs() > 0 {
			return fmt.Errorf("stats: a block of differences has no arms")
		}
		return nil
	}
	if b.Candidate.Runs() == 0 || b.Baseline.Runs() == 0 && t.history.size() == 0 {
		return ErrEmptyArm
	}
	return nil
}

// addBlock adds the values of two arms to their stratum and returns their units.
func (t *PermutationTest) addBlock(b MeanBlock, seed Seed) (candidates, baselines int64) {
	if t.started && b.Stratum < t.stratum {
		late := arms{centre: centreOf(b)}
		p := t.poolOf(b, late.centre)
		scratch := newPaths(len(t.paths.in), false)
		p.draw(seed, t.paths.in, scratch.s1, scratch.s2)
		late.add(p)
		t.close(late, scratch.s1, scratch.s2)
		return p.candidates, p.baselines
	}
	if t.started && b.Stratum > t.stratum {
		t.close(t.open, t.paths.s1, t.paths.s2)
		t.open = arms{}
	}
	if t.open.candidates == 0 {
		t.started, t.stratum, t.open.centre = true, b.Stratum, centreOf(b)
	}
	p := t.poolOf(b, t.open.centre)
	p.draw(seed, t.paths.in, t.paths.s1, t.paths.s2)
	t.open.add(p)
	return p.candidates, p.baselines
}

func (a *arms) add(p pool) {
	a.candidates += p.candidates
	a.baselines += p.baselines
	a.p1 += p.p1
	a.p2 += p.p2
	a.raw += p.raw
}

// close adds a stratum's share to all paths, and sets its sums to 0.
func (t *PermutationTest) close(a arms, s1, s2 []float64) {
	t.closed = t.closed.plus(a.figures(s1[0], s2[0]))
	split := splitOf(a.candidates, a.baselines)
	for i, in := range t.paths.in {
		if in || i == 0 {
			shift, variance := split.parts(s1[i], s2[i], a.p1-s1[i], a.p2-s2[i])
			t.paths.a[i] += shift
			t.paths.q[i] += variance
		}
		s1[i], s2[i] = 0, 0
	}
}

// decide takes out the highest paths, as many as the error allows: replicates
// as well as the data, or those that are left would say too little of it.
func (t *PermutationTest) decide(look *MeanLook) {
	total := float64(len(t.paths.in))
	look.Statistic = t.statistics(1)[0]
	t.regressed = false
	if t.units >= t.plan.FirstLook {
		out := t.paths.out()
		slots := max(0, min(int(float64(look.Allowed*total)), len(t.paths.in)-1)-out)
		statistics := t.statistics(len(t.paths.in))
		top := highest(statistics, t.paths.in, slots+1)
		// The data is above the one of rank slots among the replicates exactly when
		// it is above the next one of all.
		t.critical = top[max(0, slots-1)]
		if t.paths.in[0] && look.Statistic > top[slots] {
			t.critical = top[slots]
		}
		for i, in := range t.paths.in {
			if in && statistics[i] > top[slots] {
				t.paths.take(i)
			}
		}
		look.Tested, t.tested = true, true
		t.reachable = t.reachable || slots >= 1
		look.Critical = t.critical
		t.regressed = look.Statistic > look.Critical
	}
	look.Reachable, look.Regressed = t.reachable, t.regressed
	look.Used = float64(t.paths.out()) / total
}

// highest returns the n highest statistics of the paths that are in, which are
// at least as many, in descending order.
func highest(statistics []float64, in []bool, n int) []float64 {
	top := make([]float64, 0, n)
	for i, v := range statistics {
		if !in[i] || len(top) == n && v <= top[n-1] {
			continue
		}
		if len(top) < n {
			top = append(top, v)
		}
		j := len(top) - 1
		for ; j > 0 && top[j-1] < v; j-- {
			top[j] = top[j-1]
		}
		top[j] = v
	}
	return top
}
