package stats

import (
	"fmt"
	"math"
)

// TestPlan is what a sequential test is told before its first look, and what its
// guarantee is about.
type TestPlan struct {
	Budget      float64 // greatest probability of ever crossing without harm, in (0, 1)
	Information float64 // the sum of n_c n_b / (n_c + n_b) over the strata when the plan is done, > 0
	FirstLook   int64   // candidate runs before the first decision, at least 0
	// History is the finished baseline of Historical blocks, its failures and
	// runs before the test; without runs there is none.
	History Proportion
	// HistoryInformation is the information of a plan whose blocks are all
	// Historical; it counts as planned as long as they are. 0 stands for Information.
	HistoryInformation float64
}

// planned is the information that the budget is spread over.
func planned(information, history float64, historical bool) float64 {
	if historical && history > 0 {
		return history
	}
	return information
}

// Design is what the runs of a block are compared with.
type Design int8

const (
	// Concurrent compares with baseline runs that arrived together with them.
	Concurrent Design = iota
	// Historical compares with the finished baseline of the plan. It assumes that
	// the base rate has not moved since.
	Historical
	// Paired compares candidate and baseline on the same units, pair by pair.
	Paired
)

// Block is the runs of one look: all that arrived in one stratum since its last
// block. X counts failures. Blocks of one stratum number and different designs
// are of different strata.
//
// A Historical block has no Baseline of its own, and at most 2^20 runs. In a
// Paired block N is the number of pairs in both arms, and X counts the pairs in
// which only this arm failed.
type Block struct {
	Stratum             int64
	Design              Design
	Candidate, Baseline Proportion
}

// Look is one look of a sequential test. Information, Allowed and Used are
// totals up to and including this look; Candidate and Baseline are its block.
type Look struct {
	Number, Stratum     int64 // Number counts from 1
	Design              Design
	Candidate, Baseline Proportion
	Information         float64
	Allowed, Used       float64 // error that may be, and is, spent
	Score, Boundary     int64   // Boundary has a meaning only if Tested
	Level               float64 // P(score >= boundary) at this look alone, if Tested
	Tested              bool    // enough candidate runs to decide
	Reachable           bool    // some outcome with these totals reaches the boundary
	Regressed           bool    // Score >= Boundary
}

// Failure is why a test has no answer. Compare with errors.Is.
type Failure string

const (
	// ErrUntested says that no look was tested yet, so there is no interval.
	ErrUntested Failure = "stats: no look was tested yet"
	// ErrOneOutcome says that within each block every run had the same outcome, so the
	// totals leave nothing to chance and say nothing about a difference.
	ErrOneOutcome Failure = "stats: every run of each block had the same outcome"
	// ErrEmptyArm says that a block without runs of one release carries no information.
	ErrEmptyArm Failure = "stats: a block needs runs of both releases"
	// ErrNoHistory says that the plan names no finished baseline to compare with.
	ErrNoHistory Failure = "stats: the plan has no finished baseline"
)

func (f Failure) Error() string { return string(f) }

const (
	coarseLimit = 4096  // scores beyond which the lattice is made coarser
	scoreLimit  = 8192  // the same for all scores, which a finished baseline spreads widely
	widthLimit  = 65536 // scores that no single block may lead beyond
	runsLimit   = 1 << 31
	// historyLimit is the most runs of one Historical block: the law of each node
	// has a place of its own, and what lies between them is kept.
	historyLimit = 1 << 20
	// spreadLimit is more scores than the rows of a law can spread over. Between
	// two rows there is less than 32 times what they hold.
	spreadLimit = 1 << 21
)

// SequentialTest is the exact conditional group-sequential test of "the
// candidate fails no more often than the baseline". Given the failures of a
// block in all, those of the candidate are hypergeometric, whatever the base
// rate is and however it drifts from block to block; so the law of the score,
// the weighted sum of the candidate's failures, is known, and at each look the
// highest scores are cut off while the error of all looks stays within AlphaStar.
// Error that the lattice could not use at one look is carried over to the next.
// The probability that a harmless candidate ever crosses is at most the budget,
// however many looks there are.
//
// Sources: Fisher 1935 and Cochran 1954 for the law, Hwang, Shih & DeCani 1990
// for the spending, Jennison & Turnbull 2000 for the recursion. The weights 16,
// 15, 14, 13 break ties between looks, which would leave error unused.
//
// It is a value: Look leaves the receiver as it was.
type SequentialTest struct {
	plan      TestPlan
	looks     int64
	score     int64
	top       int64 // highest score that the blocks' totals allow
	halvings  int64 // how often the lattice was made coarser
	meanStep  float64
	used      float64
	level     float64 // of the last tested look
	threshold float64 // rate difference that the last look tested, NaN if only odds
	tested    bool
	reachable bool
	regressed bool // at the last look
	varied    bool // some block had both outcomes
	strata    []stratum
	paths     joint  // score of the paths that have not crossed
	scores    joint  // score of all paths
	nodes     []node // of the finished baseline, from its first block on
	margin    Margin // of the last block that was compared with it
	byNode    bool   // each row is a node
}

type stratum struct {
	id                  int64
	design              Design
	candidate, baseline Proportion
	odds                float64 // under the margin, at the last block
}

// NewSequentialTest returns the test before its first look. It fails where a
// number of the plan is out of its range.
func NewSequentialTest(plan TestPlan) (SequentialTest, error) {
	switch {
	case !(plan.Budget > 0 && plan.Budget < 1):
		return SequentialTest{}, fmt.Errorf("stats: budget %v is not between 0 and 1", plan.Budget)
	case !(plan.Information > 0 && plan.Information <= math.MaxFloat64):
		return SequentialTest{}, fmt.Errorf("stats: planned information %v is not positive", plan.Information)
	case !(plan.HistoryInformation >= 0 && plan.HistoryInformation <= math.MaxFloat64):
		return SequentialTest{}, fmt.Errorf("stats: planned information %v against history is negative", plan.HistoryInformation)
	case plan.FirstLook < 0:
		return SequentialTest{}, fmt.Errorf("stats: first look after %d runs", plan.FirstLook)
	case !plan.History.countable():
		return SequentialTest{}, fmt.Errorf("stats: a baseline cannot have %d failures in %d runs", plan.History.X, plan.History.N)
	}
	certain := joint{rows: []chances{{cells: []float64{1}}}}
	return SequentialTest{plan: plan, meanStep: meanWeight(0), paths: certain, scores: certain}, nil
}

// Look closes a block and returns the test after it and what it showed. It
// fails, with ErrEmptyArm where an arm has no runs and ErrNoHistory where the
// plan has no finished baseline, and where a count or the margin is out of
// range. Looking on after the boundary was crossed is allowed; whether a
// crossing is final is up to the caller.
func (t SequentialTest) Look(b Block, m Margin) (SequentialTest, Look, error) {
	if err := t.check(b, m); err != nil {
		return t, Look{}, err
	}
	before := t.information()
	at := t.addToStratum(b)
	t.strata[at].odds = m.odds(t.strata[at])
	if b.Design == Historical {
		t.addHistorical(b, m)
	} else {
		t.addConditional(b, t.strata[at].odds)
	}
	t.threshold = m.threshold()

	look := Look{
		Number: t.looks, Stratum: b.Stratum, Design: b.Design, Candidate: b.Candidate, Baseline: b.Baseline,
		Score: t.score, Information: t.information(),
	}
	if t.halvings > 0 {
		gain := weight(b.Candidate.N, b.Baseline.N)
		if b.Design == Historical {
			gain = look.Information - before
		}
		t.meanStep += float64(min(gain/look.Information, 1) * (meanWeight(t.halvings) - t.meanStep))
	}
	look.Allowed = AlphaStar(t.plan.Budget, t.Planned(), look.Information)
	t.decide(&look)
	return t, look, nil
}

// addConditional adds a block whose failures have, given their total, a law that
// no base rate changes.
func (t *SequentialTest) addConditional(b Block, odds float64) {
	failures := b.Candidate.X + b.Baseline.X
	most := min(failures, b.Candidate.N)
	var space [64]float64
	var law chances
	if b.Design == Paired {
		law = binomial(failures, odds)
		t.varied = t.varied || failures > 0
	} else {
		law = hypergeometric(b.Candidate.N, b.Baseline.N, failures, odds, space[:])
		t.varied = t.varied || failures > 0 && failures < b.Candidate.N+b.Baseline.N
	}
	t.splitIfLarge(t.historicalRuns(), int64(len(law.cells)), 0)
	step := t.step(law.hi(), b.Candidate.X, most)
	t.paths, t.scores = t.paths.convolved(law, step), t.scores.convolved(law, step)
	t.trim()
}

// step counts a look, with so many failures of the candidate of at most so many,
// makes the lattice coarse enough for it and returns the weight of a failure.
func (t *SequentialTest) step(hi, failures, most int64) int64 {
	for t.paths.hi() > coarseLimit || t.nodes != nil && t.scores.hi() > scoreLimit || lookWeight(t.looks, t.halvings) > 1 &&
		t.paths.hi()+lookWeight(t.looks, t.halvings)*hi > widthLimit {
		t.coarsen()
	}
	step := lookWeight(t.looks, t.halvings)
	t.looks++
	t.score += step * failures
	t.top += step * most
	return step
}

// decide cuts the law of undecided paths at this look's boundary.
func (t *SequentialTest) decide(look *Look) {
	runs := int64(0)
	for _, s := range t.strata {
		runs += s.candidate.N
	}
	t.regressed = false
	if runs >= t.plan.FirstLook {
		taken := 0.0
		t.paths, taken, look.Boundary = t.paths.cut(t.used, look.Allowed)
		look.Level = t.scores.tail(look.Boundary)
		if look.Level == 0 {
			look.Level = look.Allowed - t.used
		}
		t.used += taken
		t.level, t.tested, look.Tested = look.Level, true, true
		look.Reachable = look.Boundary <= t.top
		look.Regressed = t.score >= look.Boundary
		t.reachable = t.reachable || look.Reachable
		t.regressed = look.Regressed
	}
	look.Used = t.used
}

func (t SequentialTest) check(b Block, m Margin) error {
	if t.paths.rows == nil {
		return fmt.Errorf("stats: a test starts with NewSequentialTest")
	}
	for _, p := range [...]Proportion{b.Candidate, b.Baseline} {
		if !p.countable() {
			return fmt.Errorf("stats: a block cannot have %d failures in %d runs", p.X, p.N)
		}
	}
	if err := t.checkDesign(b); err != nil {
		return err
	}
	return m.check()
}

// checkDesign checks what each design asks of a block whose counts are possible.
func (t SequentialTest) checkDesign(b Block) error {
	switch {
	case b.Design < Concurrent || b.Design > Paired:
		return fmt.Errorf("stats: no design has number %d", b.Design)
	case b.Candidate.N == 0 || b.Baseline.N == 0 && b.Design != Historical:
		return ErrEmptyArm
	case b.Design == Historical && t.plan.History.N == 0:
		return ErrNoHistory
	case b.Design == Historical && (b.Baseline != Proportion{} || b.Candidate.N > historyLimit):
		return fmt.Errorf("stats: a historical block has %d baseline runs and %d of the candidate", b.Baseline.N, b.Candidate.N)
	case b.Design == Paired && (b.Candidate.N != b.Baseline.N || b.Candidate.X > b.Candidate.N-b.Baseline.X):
		return fmt.Errorf("stats: %d and %d pairs, of which %d and %d failed on one side only",
			b.Candidate.N, b.Baseline.N, b.Candidate.X, b.Baseline.X)
	}
	return nil
}

// countable reports whether the counts are possible and of a size to work with.
func (p Proportion) countable() bool { return p.X >= 0 && p.X <= p.N && p.N <= runsLimit }

// addToStratum adds the block to the counts, in a list of its own, and returns
// the place of its stratum.
func (t *SequentialTest) addToStratum(b Block) int {
	list := make([]stratum, 0, len(t.strata)+1)
	key := stratum{id: b.Stratum, design: b.Design}
	at := 0
	for at < len(t.strata) && t.strata[at].before(key) {
		at++
	}
	list = append(list, t.strata[:at]...)
	if at == len(t.strata) || key.before(t.strata[at]) {
		list = append(list, key)
	}
	t.strata = append(list, t.strata[at:]...)
	s := &t.strata[at]
	s.candidate = Proportion{X: s.candidate.X + b.Candidate.X, N: s.candidate.N + b.Candidate.N}
	s.baseline = Proportion{X: s.baseline.X + b.Baseline.X, N: s.baseline.N + b.Baseline.N}
	if b.Design == Historical { // all blocks of the stratum share it
		s.baseline = t.plan.History
	}
	return at
}

// before orders strata by their number, then by design.
func (s stratum) before(o stratum) bool {
	return s.id < o.id || s.id == o.id && s.design < o.design
}

// coarsen halves the lattice. The same map is applied to the score and to its
// law, so the test stays exact.
func (t *SequentialTest) coarsen() {
	t.paths, t.scores = t.paths.halved(), t.scores.halved()
	t.score, t.top = t.score>>1, t.top>>1
	t.meanStep /= 2
	t.halvings++
}

// lookWeight is the weight of a failure at the look after so many.
func lookWeight(looks, halvings int64) int64 {
	return max(1, (16-looks%4)>>min(halvings, 8))
}

// meanWeight is the mean of a cycle of weights.
func meanWeight(halvings int64) float64 {
	sum := int64(0)
	for i := range int64(4) {
		sum += lookWeight(i, halvings)
	}
	return float64(float64(sum) / 4)
}

// Totals returns the number of looks, the information and the error used so
// far, and the counts of both arms over all blocks; a finished baseline is
// counted once.
func (t SequentialTest) Totals() (looks int64, information, used float64, candidate, baseline Proportion) {
	return t.totals()
}

func (t SequentialTest) totals() (looks int64, information, used float64, candidate, baseline Proportion) {
	finished := false
	for _, s := range t.strata {
		information += weight(s.candidate.N, s.baseline.N)
		candidate = Proportion{X: candidate.X + s.candidate.X, N: candidate.N + s.candidate.N}
		if s.design == Historical && finished {
			continue
		}
		finished = finished || s.design == Historical
		baseline = Proportion{X: baseline.X + s.baseline.X, N: baseline.N + s.baseline.N}
	}
	return t.looks, information, t.used, candidate, baseline
}

func (t SequentialTest) information() float64 {
	sum := 0.0
	for _, s := range t.strata {
		sum += weight(s.candidate.N, s.baseline.N)
	}
	return sum
}

// Reachable reports whether at some look so far an outcome could have reached
// the boundary. Until then the test can neither accuse nor clear anybody.
func (t SequentialTest) Reachable() bool { return t.reachable }

// Planned returns the information that the budget is spread over: that of the
// plan, or of a plan against history while every block was.
func (t SequentialTest) Planned() float64 {
	historical := len(t.strata) > 0
	for _, s := range t.strata {
		historical = historical && s.design == Historical
	}
	return planned(t.plan.Information, t.plan.HistoryInformation, historical)
}

// Strata returns the counts of failures of each stratum, in the order of their
// numbers. The baseline of candidate runs that were compared with the finished
// baseline is that baseline.
func (t SequentialTest) Strata() []Stratum {
	out := make([]Stratum, len(t.strata))
	for i, s := range t.strata {
		out[i] = Stratum{Candidate: s.candidate, Baseline: s.baseline}
	}
	return out
}
