package rollout

import (
	"encoding"
	"encoding/json"
	"fmt"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/stats"
)

// Test is the sequential test of one gate. Gates that only warn have none.
type Test struct {
	Gate string `json:"gate"`
	// State is the test after the last look; zero where no budget is kept.
	State state `json:"state,omitzero"`
	// Last is the last look.
	Last api.Look `json:"last"`
	// Newest is the highest number of a stratum that was looked at; Past says that the history was, which is one too.
	Newest int64 `json:"newest"`
	Past   bool  `json:"past,omitempty"`
	// Budget is this gate's share of the error budget, and Planned the information that it is spread over.
	Budget  float64 `json:"budget"`
	Planned float64 `json:"planned"`
	// Regressed stays true: a crossing ends the test.
	Regressed bool `json:"regressed"`
	// Reachable: some outcome of a look so far could have regressed.
	Reachable bool `json:"reachable"`
}

// sequential is a test of package stats, as a gate of its kind uses it. It is a value: look leaves it as it was.
type sequential interface {
	encoding.BinaryMarshaler
	// look tests one stratum of a closed block, and says whether some outcome of it could have regressed.
	look(g api.Gate, s stratum) (next sequential, look api.Look, reachable bool, err error)
	// candidates counts the candidate runs, pairs or units that were tested.
	candidates() int64
	// Planned is the information that the budget is spread over.
	Planned() float64
	// interval is the one that belongs to the last look, candidate minus baseline; false if there is none.
	interval(g api.Gate) (stats.Difference, bool)
	// method names how the interval is made.
	method() string
}

// state is a test, read from its binary form when it is first needed and
// written to it when it is kept.
type state struct {
	data []byte
	test sequential
}

// IsZero reports whether there is no test.
func (s state) IsZero() bool { return s.data == nil && s.test == nil }

func (s state) bytes() ([]byte, error) {
	if s.test == nil {
		return s.data, nil
	}
	return s.test.MarshalBinary()
}

// MarshalJSON writes the binary form in base 64.
func (s state) MarshalJSON() ([]byte, error) {
	data, err := s.bytes()
	if err != nil {
		return nil, err
	}
	return json.Marshal(data)
}

// UnmarshalJSON reads what MarshalJSON writes; the test itself is checked when it is needed.
func (s *state) UnmarshalJSON(text []byte) error {
	s.test = nil
	return json.Unmarshal(text, &s.data)
}

// of returns the test of a gate.
func (s state) of(g api.Gate) (sequential, error) {
	if s.test != nil {
		return s.test, nil
	}
	var err error
	var test sequential
	if g.Statistic == api.StatisticMean {
		var t stats.PermutationTest
		err = t.UnmarshalBinary(s.data)
		test = means{t}
	} else {
		var t stats.SequentialTest
		err = t.UnmarshalBinary(s.data)
		test = counts{t}
	}
	if err != nil {
		return nil, fmt.Errorf("state of gate %s: %w", g.ID(), err)
	}
	return test, nil
}

// newTest opens the test of a gate, with its share of the error budget. A seed names the rollout.
func newTest(seed string, g api.Gate, p api.Policy, h History, budget float64) (sequential, error) {
	planned := Planned(p)
	runs := p.MinRuns * int64(len(p.Steps)-1)
	if g.Pair != "" {
		planned = plannedPairs(p)
	}
	against := information(runs, h.counts(g).N)
	if g.Statistic == api.StatisticMean {
		plan := stats.PermutationPlan{
			Budget: budget, Information: planned, FirstLook: p.FirstLook, Seed: stats.SeedOf(seed, g.ID()),
			LowerIsWorse: g.Better == api.BetterHigher, Margin: meanMargin(g), History: h.Metrics[g.Metric], HistoryInformation: against,
		}
		if g.Pair != "" {
			plan.History, plan.HistoryInformation = stats.Summary{}, 0
		}
		t, err := stats.NewPermutationTest(plan)
		if err != nil {
			return nil, fmt.Errorf("gate %s: %w", g.ID(), err)
		}
		return means{t}, nil
	}
	plan := stats.TestPlan{Budget: budget, Information: planned, FirstLook: p.FirstLook}
	if g.Pair == "" {
		plan.History, plan.HistoryInformation = Tally{Gate: g}.failures(h.counts(g)), against
	}
	t, err := stats.NewSequentialTest(plan)
	if err != nil {
		return nil, fmt.Errorf("gate %s: %w", g.ID(), err)
	}
	return counts{t}, nil
}

// counts is the exact conditional test of counts of failures: of a rate, or of
// values beyond a quantile of the baseline.
type counts struct{ stats.SequentialTest }

func (t counts) look(g api.Gate, s stratum) (sequential, api.Look, bool, error) {
	b := stats.Block{Stratum: s.epoch, Candidate: s.failures(s.Candidate), Baseline: s.failures(s.Baseline)}
	switch {
	case g.Pair != "":
		b.Design, b.Stratum = stats.Paired, 0 // a pair may reach over epochs
	case s.historical:
		b = stats.Block{Design: stats.Historical, Candidate: b.Candidate} // one stratum: the history is shared
	}
	margin := marginOf(g, s.against())
	next, look, err := t.Look(b, margin)
	if err != nil {
		return t, api.Look{}, false, err
	}
	reachable := look.Tested && (look.Reachable || couldCross(t.SequentialTest, b, margin))
	return counts{next}, entry(look), reachable, nil
}

func (t counts) candidates() int64 {
	_, _, _, candidate, _ := t.Totals()
	return candidate.N
}

func (t counts) interval(g api.Gate) (stats.Difference, bool) {
	if g.Statistic != api.StatisticRate { // the test of a quantile is about a share beyond it, not about its units
		return stats.Difference{}, false
	}
	d, err := t.Interval(displayUpper)
	if err != nil {
		return stats.Difference{}, false
	}
	if g.Better == api.BetterHigher {
		d = stats.Difference{Estimate: -d.Estimate, Lo: -d.Hi, Hi: -d.Lo}
	}
	return d, true
}

func (counts) method() string { return "exact-conditional" }

// means is the sequential permutation test of a mean, or of the mean of
// differences on pairs.
type means struct{ stats.PermutationTest }

func (t means) look(g api.Gate, s stratum) (sequential, api.Look, bool, error) {
	b := stats.MeanBlock{Stratum: s.epoch, Candidate: s.CandidateValues, Baseline: s.BaselineValues}
	switch {
	case g.Pair != "":
		b = stats.MeanBlock{Differences: s.Differences}
	case s.historical:
		b = stats.MeanBlock{Candidate: s.CandidateValues}
	}
	next, l, err := t.Look(b)
	if err != nil {
		return t, api.Look{}, false, err
	}
	look := api.Look{
		Number: l.Number, Stratum: l.Stratum, Historical: s.historical,
		Candidate: api.Failures{Runs: l.CandidateUnits}, Baseline: api.Failures{Runs: l.BaselineUnits},
		Information: l.Information, Allowed: l.Allowed, Used: l.Used, Statistic: l.Statistic, Critical: l.Critical,
		Tested: l.Tested, Regressed: l.Tested && l.Regressed,
	}
	return means{next}, look, l.Tested && l.Reachable, nil
}

func (t means) candidates() int64 {
	_, _, _, units := t.Totals()
	return units
}

func (t means) interval(api.Gate) (stats.Difference, bool) {
	d, err := t.Interval(displayUpper)
	return d, err == nil
}

func (means) method() string { return "sequential-permutation" }

// meanMargin is the gate's margin on a mean.
func meanMargin(g api.Gate) stats.MeanMargin {
	if g.Margin.Relative {
		return stats.MeanMargin{Relative: g.Margin.Value}
	}
	return stats.MeanMargin{Absolute: g.Margin.Value}
}

// couldCross asks whether the test would have crossed had every candidate run
// of the block failed. Two releases that never fail are tested by runs that
// could have failed, though their totals, as they came out, left no room.
func couldCross(before stats.SequentialTest, b stats.Block, m stats.Margin) bool {
	b.Candidate.X = b.Candidate.N
	_, look, err := before.Look(b, m)
	return err == nil && look.Tested && look.Regressed
}

// marginOf turns a gate's margin into that of the exact test. A relative
// margin on a failure rate is an odds ratio, which is exact and slightly
// strict; one on a success rate is a share of the baseline's successes. That of a
// quantile was taken off the candidate's values.
func marginOf(g api.Gate, baseline Counts) stats.Margin {
	switch {
	case g.Margin.Value == 0 || g.Statistic != api.StatisticRate:
		return stats.Margin{}
	case !g.Margin.Relative:
		return stats.Margin{Absolute: g.Margin.Value}
	case g.Better == api.BetterLower:
		return stats.Margin{OddsRatio: 1 + g.Margin.Value}
	}
	return stats.Margin{Absolute: min(g.Margin.Value*stats.Proportion{X: baseline.Ones, N: baseline.N}.Value(), 0.999)}
}

func entry(l stats.Look) api.Look {
	e := api.Look{
		Number: l.Number, Stratum: l.Stratum, Historical: l.Design == stats.Historical,
		Candidate: api.Failures{Runs: l.Candidate.N, Failures: l.Candidate.X}, Baseline: api.Failures{Runs: l.Baseline.N, Failures: l.Baseline.X},
		Information: l.Information, Allowed: l.Allowed, Used: l.Used, Score: l.Score, Tested: l.Tested, Regressed: l.Tested && l.Regressed,
	}
	if l.Tested {
		e.Boundary, e.Level = l.Boundary, l.Level
	}
	return e
}

// look tests one stratum of a block.
func (t Test) look(g api.Gate, block int64, s stratum) (Test, error) {
	test, err := t.State.of(g)
	if err != nil {
		return t, err
	}
	next, look, reachable, err := test.look(g, s)
	if err != nil {
		return t, err
	}
	look.Gate, look.Block, look.Strata = t.Gate, block, t.Last.Strata
	if t.Last.Number == 0 || look.Stratum > t.Newest || look.Historical && !t.Past { // a late one was counted when it was new
		look.Strata++
	}
	t.Newest, t.Past = max(t.Newest, look.Stratum), t.Past || look.Historical
	t.State, t.Last, t.Planned = state{test: next}, look, next.Planned()
	t.Regressed = look.Regressed
	t.Reachable = t.Reachable || reachable
	return t, nil
}

// tested is what the comparison needs of the test.
func (t Test) tested(g api.Gate, p api.Policy, quiet bool) (compare.Tested, error) {
	test, err := t.State.of(g)
	if err != nil {
		return compare.Tested{}, err
	}
	out := compare.Tested{
		Tested: t.Last.Tested, Reachable: t.Reachable, Regressed: t.Regressed,
		CandidateRuns: test.candidates(), FirstLook: p.FirstLook, Level: t.Last.Level, Ledger: t.ledger(),
	}
	if quiet {
		return out, nil
	}
	if d, ok := test.interval(g); ok {
		out.Difference = &api.Difference{Estimate: d.Estimate, Lo: d.Lo, Hi: d.Hi, Method: test.method(), Strata: int(t.Last.Strata)}
	}
	return out, nil
}

// ledger is how a gate's budget is shown.
func (t Test) ledger() api.GateLedger {
	return api.GateLedger{
		Budget: t.Budget, Allowed: t.Last.Allowed, Used: t.Last.Used, Information: t.Last.Information,
		Planned: t.Planned, Score: t.Last.Score, Boundary: t.Last.Boundary, Statistic: t.Last.Statistic, Critical: t.Last.Critical, Looks: t.Last.Number,
	}
}
