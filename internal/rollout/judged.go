package rollout

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// PairwiseGate names the judge's gate in a ledger. No metric's gate has this name: theirs have two parts.
const PairwiseGate = "pairwise"

// What the judge's gate looks at.
const (
	// judgedBlock is how many pairs with a verdict close a block of judgments.
	judgedBlock = 5
	// judgedGrowth keeps the number of looks logarithmic beyond the plan: judgments come in heaps.
	judgedGrowth = 1.05
	// judgedLooks bounds the looks at judgments of one tick, whose receipt prints each.
	judgedLooks = 20
	// MostJudgments is how many judgments a tick reads.
	MostJudgments = 1000
)

// Judgment is a recorded judgment of the rollout's two releases, as a tick sees it.
type Judgment struct {
	// Index is its place in the log.
	Index      int64
	RecordedAt time.Time
	Judge      api.Judge
	Verdict    api.Preference
	Answers    []api.JudgeAnswer
	// BaselineChars and CandidateChars are the lengths of the two answers; nil if they are not known.
	BaselineChars, CandidateChars *int64
	// Repeat: since the rollout's evidence began this judge had given a verdict on the pair before.
	Repeat bool
}

// Judged is what the judge's gate has seen so far. Judgments are taken in log
// order, each pair once, and tested in blocks that close by counts of pairs: it
// depends on the log alone, never on when somebody ticked.
type Judged struct {
	// Since is the first log index of the rollout's evidence: an earlier judgment is none of it.
	Since int64 `json:"since"`
	// Next is the first log index that was not read yet.
	Next int64 `json:"next"`
	// Judge is that of the first judgment that counted; the others must be of the same.
	Judge   *api.Judge        `json:"judge,omitempty"`
	Figures api.JudgedFigures `json:"figures"`
	// Other counts judgments of other judges.
	Other int64 `json:"other"`
	// Newest is when the newest verdict was recorded.
	Newest time.Time `json:"newest,omitzero"`
	// Digest chains the judgments that were read: SHA-256, in hex, of the digest before, the log index and the verdict.
	Digest string `json:"digest"`
	// Block counts closed blocks, and Closed the decided pairs in them; the others are of the block being filled.
	Block  int64 `json:"block"`
	Closed int64 `json:"closed"`
	Pairs  int64 `json:"pairs"`
	Wins   int64 `json:"wins"`
	Losses int64 `json:"losses"`
	Test   Test  `json:"test"`
}

// newJudged opens the judge's test with its share of the error budget.
func newJudged(p api.Policy, budget float64) (*Judged, error) {
	j := &Judged{Test: Test{Gate: PairwiseGate}}
	if p.Guarantee != api.GuaranteeRollout {
		return j, nil
	}
	pairs := p.Pairwise.MinPairs
	t, err := stats.NewSequentialTest(stats.TestPlan{Budget: budget, Information: float64(pairs) / 2, FirstLook: min(pairs, MostFirstLook)})
	if err != nil {
		return nil, fmt.Errorf("gate %s: %w", PairwiseGate, err)
	}
	j.Test.Budget, j.Test.State, j.Test.Planned = budget, state{test: counts{t}}, t.Planned()
	return j, nil
}

// counts reports whether a judgment is of the judge that the policy asks for, and of the one that was counted so far.
func (j *Judged) counts(p api.PairwisePolicy, judge api.Judge) bool {
	if j.Judge != nil {
		return judge == *j.Judge
	}
	w := p.Judge
	return w == nil || (w.Model == "" || w.Model == judge.Model) && (w.Version == "" || w.Version == judge.Version) && (w.Template == "" || w.Template == judge.Template)
}

// Whose is the judge that counts once these judgments are read; false if there is none yet.
func (j *Judged) Whose(p api.Policy, judgments []Judgment) (api.Judge, bool) {
	if j.Judge != nil {
		return *j.Judge, true
	}
	for _, judgment := range judgments {
		if j.counts(*p.Pairwise, judgment.Judge) {
			return judgment.Judge, true
		}
	}
	return api.Judge{}, false
}

// take reads judgments in order, until so many looks were taken. more says that some were left.
func (j *Judged) take(p api.Policy, judgments []Judgment) (looks []api.Look, more bool, err error) {
	for i, judgment := range judgments {
		if len(looks) == judgedLooks {
			return looks, true, nil
		}
		if judgment.Index < j.Next {
			return looks, false, fmt.Errorf("the judgment at log index %d was read before", judgment.Index)
		}
		j.add(*p.Pairwise, judgment)
		look, taken, err := j.close(p)
		if err != nil {
			return looks, false, fmt.Errorf("judgment %d of %d: %w", i+1, len(judgments), err)
		}
		if taken {
			looks = append(looks, look)
		}
	}
	return looks, false, nil
}

// add counts one judgment.
func (j *Judged) add(p api.PairwisePolicy, judgment Judgment) {
	j.Next = judgment.Index + 1
	j.chain(judgment)
	if !j.counts(p, judgment.Judge) {
		j.Other++
		return
	}
	if j.Judge == nil {
		judge := judgment.Judge
		j.Judge = &judge
	}
	Count(&j.Figures, judgment)
	if judgment.Verdict == api.PreferNone {
		return
	}
	j.Newest = judgment.RecordedAt // of a repeat too: the judge still judges
	if judgment.Repeat {
		return
	}
	j.Pairs++
	switch judgment.Verdict {
	case api.PreferCandidate:
		j.Wins++
	case api.PreferBaseline:
		j.Losses++
	case api.PreferTie, api.PreferNone:
	}
}

// Count adds a judgment to figures. A pair counts once, by its first verdict.
func Count(f *api.JudgedFigures, j Judgment) {
	if j.Repeat {
		f.Repeats++
		return
	}
	f.Count(api.Judgment{Verdict: j.Verdict, Answers: j.Answers, BaselineChars: j.BaselineChars, CandidateChars: j.CandidateChars})
}

// chain adds a judgment to the digest.
func (j *Judged) chain(judgment Judgment) {
	previous, _ := hex.DecodeString(j.Digest) // empty before the first
	message := binary.BigEndian.AppendUint64(previous, uint64(judgment.Index))
	sum := sha256.Sum256(append(message, judgment.Verdict...))
	j.Digest = hex.EncodeToString(sum[:])
}

// full reports whether the block being filled closes: by its pairs, ties too,
// and past the plan only once there are enough more of them.
func (j *Judged) full(p api.PairwisePolicy) bool {
	before, after := float64(j.Closed), float64(j.Closed+j.Wins+j.Losses)
	return j.Pairs >= judgedBlock && (j.Closed < p.MinPairs || after >= float64(judgedGrowth*before))
}

// close closes the block being filled if it is full, and tests it unless it
// holds ties alone, which say nothing.
func (j *Judged) close(p api.Policy) (look api.Look, taken bool, err error) {
	if !j.full(*p.Pairwise) {
		return api.Look{}, false, nil
	}
	wins, losses := j.Wins, j.Losses
	j.Block++
	j.Closed += wins + losses
	j.Pairs, j.Wins, j.Losses = 0, 0, 0
	if wins+losses == 0 || j.Test.State.IsZero() || j.Test.Regressed {
		return api.Look{}, false, nil
	}
	look, err = j.look(wins, losses)
	return look, err == nil, err
}

// look tests a closed block: given that one side won a pair, each is as likely
// to be it, unless the candidate is worse.
func (j *Judged) look(wins, losses int64) (api.Look, error) {
	t := &j.Test
	test, err := t.State.of(pairwiseGate())
	if err != nil {
		return api.Look{}, err
	}
	next, look, err := test.(counts).Look(stats.DecidedPairs(0, wins, losses), stats.Margin{})
	if err != nil {
		return api.Look{}, err
	}
	entry := entry(look)
	entry.Gate, entry.Block, entry.Strata = PairwiseGate, j.Block, 1
	t.State, t.Last, t.Planned = state{test: counts{next}}, entry, next.Planned()
	t.Regressed = entry.Regressed
	t.Reachable = t.Reachable || look.Tested && look.Reachable
	return entry, nil
}

// pairwiseGate stands for the judge where a test asks what it is about.
func pairwiseGate() api.Gate {
	return api.Gate{Metric: PairwiseGate, Statistic: api.StatisticRate, Better: api.BetterHigher, Pair: api.PairProbe}
}
