package rollout

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// Rule says when a block closes. It counts runs, never their outcomes.
type Rule struct {
	// Candidate and Baseline are the fewest runs of each release in a block.
	Candidate int64 `json:"candidate"`
	Baseline  int64 `json:"baseline"`
	// Pairs is how many pairs close a block instead, where every gate that decides is on pairs; else 0.
	Pairs int64 `json:"pairs,omitempty"`
	// History is how many candidate runs close a block that has fewer baseline
	// runs than that, against the baseline's history; 0 if there is none.
	History int64 `json:"history,omitempty"`
	// HistoryRuns is how many runs that history has.
	HistoryRuns int64 `json:"history_runs,omitempty"`
	// Planned is the information of the declared ramp; beyond it a block closes
	// only once the information has grown by the factor Growth.
	Planned float64 `json:"planned"`
	Growth  float64 `json:"growth"`
}

// The rule's defaults.
const (
	MinCandidate = 5
	MinBaseline  = 5
	MinPairs     = 5
	// PastPlanGrowth keeps the number of looks logarithmic beyond the plan.
	PastPlanGrowth = 1.01
)

// RuleOf is the rule of a policy and of a history of so many baseline runs.
func RuleOf(p api.Policy, historyRuns int64) Rule {
	r := Rule{Candidate: MinCandidate, Baseline: MinBaseline, Planned: Planned(p), Growth: PastPlanGrowth}
	switch {
	case OnlyPairs(p): // a probe may be run on the candidate long after the baseline, or before
		r.Pairs, r.Planned = MinPairs, plannedPairs(p)
	case historyRuns > 0:
		r.History, r.HistoryRuns = p.FirstLook, historyRuns
	}
	return r
}

// Block is a range of log indexes of a rollout within an epoch. It is filled
// at ingest, in log order, and closed by counts of runs alone: never by an
// outcome, and never because somebody ticked. A copy shares its tallies with
// the original: only one of the two is added to.
type Block struct {
	Number int64 `json:"number"`
	// Epoch is the stratum.
	Epoch      int64 `json:"epoch"`
	FirstIndex int64 `json:"first_index"`
	LastIndex  int64 `json:"last_index"`
	// Candidate and Baseline count runs of each release.
	Candidate int64 `json:"candidate"`
	Baseline  int64 `json:"baseline"`
	// Paired counts the pairs of runs that were completed.
	Paired int64 `json:"paired,omitempty"`
	// Tallies are what the runs say about each gate that decides, in the order of the policy.
	Tallies []Tally `json:"tallies"`
	// Late holds, by their epoch, metrics that became known in this block of runs of earlier epochs: each is a stratum of its own.
	Late map[int64][]Tally `json:"late,omitempty"`
	// StepFrom is the first log index of the step that the block belongs to.
	StepFrom int64 `json:"step_from"`
	// Since is the first log index of the rollout's evidence: earlier runs are none of it, whenever their outcome comes.
	Since int64 `json:"since"`
	// SinceEpoch is the first epoch of the rollout's evidence.
	SinceEpoch int64 `json:"since_epoch"`
	// RunsDigest chains the runs: SHA-256 of the digest before and each run's log index and side.
	RunsDigest string `json:"runs_digest"`
	// Before are the totals of the blocks that came before in this epoch, and in the epochs before it.
	Before Totals `json:"before"`
	Rule   Rule   `json:"rule"`
	// Arrivals count all runs since the rollout began, by step.
	Arrivals []Arrival `json:"arrivals"`
	// Seen are the units that were counted since the rollout began, where units are; only the open block has them.
	Seen seen `json:"seen,omitempty"`
}

// Totals is what closed blocks add up to.
type Totals struct {
	// Candidate and Baseline count the runs of the present epoch, or the pairs where these close blocks.
	Candidate int64 `json:"candidate"`
	Baseline  int64 `json:"baseline"`
	// Earlier is the information of the epochs before.
	Earlier float64 `json:"earlier"`
	// AgainstHistory counts candidate runs that were compared with the baseline's history.
	AgainstHistory int64 `json:"against_history,omitempty"`
}

// Arrival counts the runs of each release in one step.
type Arrival struct {
	Weight    int   `json:"weight"`
	Candidate int64 `json:"candidate"`
	Baseline  int64 `json:"baseline"`
}

// Information is the sum over the strata of n_c·n_b/(n_c+n_b), in runs.
func (t Totals) Information(historyRuns int64) float64 {
	return t.Earlier + information(t.Candidate, t.Baseline) + information(t.AgainstHistory, historyRuns)
}

func information(candidate, baseline int64) float64 {
	if candidate == 0 || baseline == 0 {
		return 0
	}
	c, b := float64(candidate), float64(baseline)
	return c * b / (c + b)
}

// Side is the release that a run belongs to.
type Side byte

// The sides of a comparison.
const (
	Candidate Side = 'c'
	Baseline  Side = 'b'
)

// Run is a run of one of the two releases as a block sees it.
type Run struct {
	// Index is the log index of the run, or of the outcome that adds to it.
	Index int64
	// Unit is a hash of what was sampled independently: a user, a probe or the run itself.
	Unit    uint64
	Metrics map[string]api.Metric
}

// AddRun folds in a run of one of the two releases. It fails, leaving the block
// as it was, where a metric is out of range. Where units are counted, a run of a
// unit that was seen before has arrived and counts no more.
func (b *Block) AddRun(side Side, run Run) error {
	if err := b.fold(b.Tallies, side, run, true); err != nil {
		return err
	}
	step := &b.Arrivals[len(b.Arrivals)-1]
	counted := b.Seen.first(run.Unit, 0)
	if side == Candidate {
		step.Candidate++
	} else {
		step.Baseline++
	}
	switch {
	case !counted:
	case side == Candidate:
		b.Candidate++
	default:
		b.Baseline++
	}
	b.chain(side, run.Index)
	return nil
}

// BeginStep makes later runs those of a step with the given weight in percent.
func (b *Block) BeginStep(weight int, index int64) {
	b.StepFrom = index
	b.Arrivals = append(b.Arrivals, Arrival{Weight: weight})
}

// Counted is a run that was counted before: its log index and its epoch.
type Counted struct{ Index, Epoch int64 }

// AddOutcome folds in metrics that became known of a run that was counted
// before. They count in the run's stratum; a run from before the rollout is no
// evidence of it, and then nothing changes.
func (b *Block) AddOutcome(side Side, counted Counted, outcome Run) error {
	if counted.Index < b.Since {
		return nil
	}
	into := b.Tallies
	if counted.Epoch != b.Epoch {
		if b.Late == nil {
			b.Late = map[int64][]Tally{}
		}
		if b.Late[counted.Epoch] == nil {
			b.Late[counted.Epoch] = emptied(b.Tallies)
		}
		into = b.Late[counted.Epoch]
	}
	if err := b.fold(into, side, outcome, counted.Index >= b.StepFrom); err != nil {
		return err
	}
	b.chain(side, outcome.Index)
	return nil
}

// Pair is the runs of both releases on one probe: of each its first one since
// the rollout's evidence began.
type Pair struct {
	// Index is the log index of the later run, which completes the pair.
	Index int64
	Probe string
	// Fresh: the candidate's run belongs to the block's step.
	Fresh               bool
	Candidate, Baseline map[string]api.Metric
}

// AddPair folds in a pair that one of the block's runs completed. It fails where a metric is out of range.
func (b *Block) AddPair(p Pair) error {
	for i := range b.Tallies {
		if err := b.Tallies[i].pair(p); err != nil {
			return err
		}
	}
	b.Paired++
	return nil
}

// Pairs reports whether a gate wants pairs.
func (b Block) Pairs() bool {
	return slices.ContainsFunc(b.Tallies, func(t Tally) bool { return t.Gate.Pair != "" })
}

// fold adds a run to tallies; where units are counted, of each gate's metric a unit's first value.
func (b *Block) fold(tallies []Tally, side Side, run Run, fresh bool) error {
	for _, m := range run.Metrics {
		if _, err := stats.FixedOf(m.Value); err != nil {
			return err
		}
	}
	for i := range tallies {
		if _, carries := run.Metrics[tallies[i].Gate.Metric]; !carries || !b.Seen.first(run.Unit, i+1) {
			continue
		}
		if err := tallies[i].add(side, run, fresh); err != nil {
			return err
		}
	}
	return nil
}

// strata lists what the block holds of a gate, by epoch in rising order.
func (b Block) strata(g api.Gate) []stratum {
	var out []stratum
	add := func(epoch int64, tallies []Tally) {
		for i := range tallies {
			if t := &tallies[i]; t.of(g) && !t.empty() {
				out = append(out, stratum{epoch, b.historical(epoch, *t), *t})
			}
		}
	}
	if len(b.Late) == 0 {
		add(b.Epoch, b.Tallies)
		return out
	}
	for _, epoch := range slices.Sorted(maps.Keys(b.Late)) {
		add(epoch, b.Late[epoch])
	}
	add(b.Epoch, b.Tallies)
	slices.SortStableFunc(out, func(a, b stratum) int { return cmp.Compare(a.epoch, b.epoch) })
	return out
}

// historical reports whether a tally is compared with the baseline's history:
// that of the block if the block is, and that of an earlier epoch if the
// baseline has no value in it.
func (b Block) historical(epoch int64, t Tally) bool {
	if t.Gate.Pair != "" {
		return false
	}
	if epoch == b.Epoch {
		return b.Historical()
	}
	return b.Rule.History > 0 && t.Baseline.N == 0
}

// stratum is what a block holds of a gate in one epoch.
type stratum struct {
	epoch int64
	// historical: there were too few baseline runs, and the candidate's are compared with the baseline's history.
	historical bool
	Tally
}

// chain adds a run or an outcome to the digest.
func (b *Block) chain(side Side, index int64) {
	b.LastIndex = index
	var message [sha256.Size + 9]byte // the digest before (empty for the first run), the index, the side
	previous, _ := hex.Decode(message[:sha256.Size], []byte(b.RunsDigest))
	binary.BigEndian.PutUint64(message[previous:], uint64(index))
	message[previous+8] = byte(side)
	sum := sha256.Sum256(message[:previous+9])
	b.RunsDigest = hex.EncodeToString(sum[:])
}

// Historical reports whether the block, closed as it stands, is compared with
// the baseline's history: there is one, and too few baseline runs beside it.
func (b Block) Historical() bool {
	return b.Rule.History > 0 && b.Baseline < b.Rule.Baseline && (b.Baseline == 0 || b.Candidate >= b.Rule.History)
}

// Full reports whether the block closes now.
func (b Block) Full() bool {
	alone := b.Rule.History > 0 && b.Candidate >= b.Rule.History
	enough := b.Candidate >= b.Rule.Candidate && (b.Baseline >= b.Rule.Baseline || alone)
	if b.Rule.Pairs > 0 {
		enough = b.Paired >= b.Rule.Pairs
	}
	if !enough {
		return false
	}
	before := b.Before.Information(b.Rule.HistoryRuns)
	return before < b.Rule.Planned || b.after().Information(b.Rule.HistoryRuns) >= float64(b.Rule.Growth*before)
}

// Comparable reports whether a block that ends early, because its epoch or
// step did, can be compared: it holds runs of both releases, or the candidate's
// can be compared with the baseline's history, or pairs. One that cannot is dropped.
func (b Block) Comparable() bool {
	if b.Rule.Pairs > 0 {
		return b.Paired > 0
	}
	return b.Candidate > 0 && (b.Baseline > 0 || b.Rule.History > 0)
}

func (b Block) after() Totals {
	t := b.Before
	if b.Rule.Pairs > 0 {
		t.Candidate += b.Paired
		t.Baseline += b.Paired
		return t
	}
	if b.Historical() {
		t.AgainstHistory += b.Candidate
		return t
	}
	t.Candidate += b.Candidate
	t.Baseline += b.Baseline
	return t
}

// FirstBlock is the empty block that a rollout begins with.
func FirstBlock(p api.Policy, h History, rule Rule, epoch, firstIndex int64) Block {
	b := Block{
		Rule: rule, Number: 1, Epoch: epoch, FirstIndex: firstIndex, LastIndex: firstIndex - 1, StepFrom: firstIndex, Since: firstIndex, SinceEpoch: epoch,
		Tallies: tallies(p, h), Arrivals: []Arrival{{Weight: p.Steps[0]}},
	}
	if p.Unit == api.UnitUnit {
		b.Seen = newSeen()
	}
	return b
}

// Next is the empty block after b, closed or dropped, in the given epoch.
func (b Block) Next(closed bool, epoch, firstIndex int64) Block {
	next := Block{
		Rule: b.Rule, Number: b.Number, Epoch: epoch, FirstIndex: firstIndex, LastIndex: firstIndex - 1, Before: b.Before,
		StepFrom: b.StepFrom, Since: b.Since, SinceEpoch: b.SinceEpoch, Arrivals: slices.Clone(b.Arrivals), Tallies: emptied(b.Tallies), Seen: b.Seen,
	}
	if closed {
		next.Number++
		next.Before = b.after()
	}
	if epoch != b.Epoch {
		t := next.Before
		next.Before = Totals{Earlier: t.Earlier + information(t.Candidate, t.Baseline), AgainstHistory: t.AgainstHistory}
	}
	return next
}
