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

// The fewest runs of each release in a block.
const (
	MinCandidate = 5
	MinBaseline  = 5
)

// PastPlanGrowth is how much the information must have grown, as a factor,
// before a block closes beyond the plan: the number of looks stays logarithmic.
const PastPlanGrowth = 1.01

// Block is a range of log indexes of a rollout within an epoch. It is filled
// at ingest, in log order, and closed by counts of runs alone: never by an
// outcome, and never because somebody ticked.
type Block struct {
	Number int64 `json:"number"`
	// Epoch is the stratum.
	Epoch      int64 `json:"epoch"`
	FirstIndex int64 `json:"first_index"`
	LastIndex  int64 `json:"last_index"`
	// Candidate and Baseline count runs of each release.
	Candidate int64                  `json:"candidate"`
	Baseline  int64                  `json:"baseline"`
	Metrics   map[string]BlockMetric `json:"metrics"`
	// Late holds, by their epoch, metrics that became known in this block of runs of earlier epochs: each is a stratum of its own.
	Late map[int64]map[string]BlockMetric `json:"late,omitempty"`
	// StepFrom is the first log index of the step that the block belongs to.
	StepFrom int64 `json:"step_from"`
	// Since is the first log index of the rollout's evidence: earlier runs are none of it, whenever their outcome comes.
	Since int64 `json:"since"`
	// RunsDigest chains the runs: SHA-256 of the digest before and each run's log index and side.
	RunsDigest string `json:"runs_digest"`
	// Before are the totals of the blocks that came before in this epoch, and in the epochs before it.
	Before Totals `json:"before"`
	// Planned is the information of the rollout's declared ramp.
	Planned float64 `json:"planned"`
}

// Totals is what closed blocks add up to.
type Totals struct {
	// Candidate and Baseline count the runs of the present epoch.
	Candidate int64 `json:"candidate"`
	Baseline  int64 `json:"baseline"`
	// Earlier is the information of the epochs before.
	Earlier float64 `json:"earlier"`
}

// Information is the sum over the strata of n_c·n_b/(n_c+n_b), in runs.
func (t Totals) Information() float64 { return t.Earlier + information(t.Candidate, t.Baseline) }

func information(candidate, baseline int64) float64 {
	if candidate == 0 || baseline == 0 {
		return 0
	}
	c, b := float64(candidate), float64(baseline)
	return c * b / (c + b)
}

// BlockMetric counts a metric of a block's runs. A value other than 0 and 1
// counts as neither one nor zero.
type BlockMetric struct {
	Candidate Counts `json:"candidate"`
	Baseline  Counts `json:"baseline"`
	// Fresh counts the values of candidate runs that were received in the block's step.
	Fresh int64 `json:"fresh"`
}

// comparable reports whether the block says anything about a rate: values of
// both releases, and none other than 0 and 1.
func (m BlockMetric) comparable() bool {
	return m.Candidate.N > 0 && m.Baseline.N > 0 &&
		m.Candidate.Zeros+m.Candidate.Ones == m.Candidate.N && m.Baseline.Zeros+m.Baseline.Ones == m.Baseline.N
}

// Counts are the values of a metric, and the zeros and ones among them.
type Counts struct {
	N     int64 `json:"n"`
	Zeros int64 `json:"zeros"`
	Ones  int64 `json:"ones"`
}

func (c Counts) with(v float64) Counts {
	c.N++
	switch v {
	case 0:
		c.Zeros++
	case 1:
		c.Ones++
	}
	return c
}

// failures are the runs on the harmful side of a rate.
func (c Counts) failures(better api.Better) stats.Proportion {
	if better == api.BetterHigher {
		return stats.Proportion{X: c.Zeros, N: c.N}
	}
	return stats.Proportion{X: c.Ones, N: c.N}
}

// Side is the release that a run belongs to.
type Side byte

// The sides of a comparison.
const (
	Candidate Side = 'c'
	Baseline  Side = 'b'
)

// AddRun folds in a run of one of the two releases.
func (b *Block) AddRun(side Side, index int64, metrics map[string]api.Metric) {
	if side == Candidate {
		b.Candidate++
	} else {
		b.Baseline++
	}
	b.Metrics = fold(b.Metrics, side, metrics, true)
	b.chain(side, index)
}

// Counted is a run that was counted before: its log index and its epoch.
type Counted struct{ Index, Epoch int64 }

// AddOutcome folds in metrics that became known at index of a run that was
// counted before. They count in the run's stratum; a run from before the
// rollout is no evidence of it, and then nothing changes.
func (b *Block) AddOutcome(side Side, index int64, run Counted, metrics map[string]api.Metric) {
	if run.Index < b.Since {
		return
	}
	fresh := run.Index >= b.StepFrom
	if run.Epoch == b.Epoch {
		b.Metrics = fold(b.Metrics, side, metrics, fresh)
	} else {
		if b.Late == nil {
			b.Late = map[int64]map[string]BlockMetric{}
		}
		b.Late[run.Epoch] = fold(b.Late[run.Epoch], side, metrics, fresh)
	}
	b.chain(side, index)
}

func fold(into map[string]BlockMetric, side Side, metrics map[string]api.Metric, fresh bool) map[string]BlockMetric {
	if into == nil {
		into = make(map[string]BlockMetric, len(metrics))
	}
	for name, value := range metrics { // each metric has counts of its own, so the order does not matter
		m := into[name]
		if side == Baseline {
			m.Baseline = m.Baseline.with(value.Value)
		} else {
			m.Candidate = m.Candidate.with(value.Value)
			if fresh {
				m.Fresh++
			}
		}
		into[name] = m
	}
	return into
}

// strata lists what the block holds of a metric, by epoch in rising order.
func (b Block) strata(metric string) []stratum {
	var out []stratum
	for _, epoch := range slices.Sorted(maps.Keys(b.Late)) {
		if m, ok := b.Late[epoch][metric]; ok {
			out = append(out, stratum{epoch, m})
		}
	}
	if m, ok := b.Metrics[metric]; ok {
		out = append(out, stratum{b.Epoch, m})
	}
	slices.SortStableFunc(out, func(a, b stratum) int { return cmp.Compare(a.epoch, b.epoch) })
	return out
}

type stratum struct {
	epoch int64
	BlockMetric
}

// chain adds a run or an outcome to the digest.
func (b *Block) chain(side Side, index int64) {
	b.LastIndex = index
	previous, _ := hex.DecodeString(b.RunsDigest) // empty for the first run
	sum := sha256.Sum256(append(binary.BigEndian.AppendUint64(previous, uint64(index)), byte(side)))
	b.RunsDigest = hex.EncodeToString(sum[:])
}

// Full reports whether the block closes now.
func (b Block) Full() bool {
	if b.Candidate < MinCandidate || b.Baseline < MinBaseline {
		return false
	}
	before := b.Before.Information()
	return before < b.Planned || b.after().Information() >= float64(PastPlanGrowth*before)
}

// Comparable reports whether a block that ends early, because its epoch or
// step did, holds runs of both releases. One that does not is dropped.
func (b Block) Comparable() bool { return b.Candidate > 0 && b.Baseline > 0 }

func (b Block) after() Totals {
	return Totals{Candidate: b.Before.Candidate + b.Candidate, Baseline: b.Before.Baseline + b.Baseline, Earlier: b.Before.Earlier}
}

// FirstBlock is the empty block that a rollout begins with.
func FirstBlock(p api.Policy, epoch, firstIndex int64) Block {
	return Block{Planned: Planned(p), Number: 1, Epoch: epoch, FirstIndex: firstIndex, LastIndex: firstIndex - 1, StepFrom: firstIndex, Since: firstIndex}
}

// Next is the empty block after b, closed or dropped, in the given epoch.
func (b Block) Next(closed bool, epoch, firstIndex int64) Block {
	next := Block{Planned: b.Planned, Number: b.Number, Epoch: epoch, FirstIndex: firstIndex, LastIndex: firstIndex - 1, Before: b.Before, StepFrom: b.StepFrom, Since: b.Since}
	if closed {
		next.Number++
		next.Before = b.after()
	}
	if epoch != b.Epoch {
		next.Before = Totals{Earlier: next.Before.Information()}
	}
	return next
}
