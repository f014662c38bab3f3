package rollout

import (
	"math"
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/stats"
)

// Tally is what the runs of a block say about one gate.
type Tally struct {
	Gate api.Gate `json:"gate"`
	// Candidate and Baseline count the values. Of a rate they are zeros, ones
	// and others; of a quantile the ones are those beyond Threshold.
	Candidate Counts `json:"candidate"`
	Baseline  Counts `json:"baseline"`
	// Fresh counts the values of candidate runs that were received in the block's step.
	Fresh int64 `json:"fresh"`
	// Threshold is the histogram bin that a quantile's values are held against; it was
	// fixed before the block began, and is absent while nothing is known of the baseline.
	Threshold *stats.Bin `json:"threshold,omitempty"`
	// CandidateValues and BaselineValues are those of a mean, Differences those of a mean on pairs, candidate minus baseline.
	CandidateValues stats.Values `json:"candidate_values,omitzero"`
	BaselineValues  stats.Values `json:"baseline_values,omitzero"`
	Differences     stats.Values `json:"differences,omitzero"`
	// Paired are all pairs since the rollout began, of a gate on pairs, for the figures shown.
	Paired compare.Pairs `json:"paired,omitzero"`
	// History counts the values that the baseline reported before the rollout.
	History Counts `json:"history,omitzero"`
}

// Counts are the values of a metric, and the zeros and ones among them.
type Counts struct {
	N     int64 `json:"n"`
	Zeros int64 `json:"zeros"`
	Ones  int64 `json:"ones"`
}

func (c *Counts) add(v float64) {
	c.N++
	switch v {
	case 0:
		c.Zeros++
	case 1:
		c.Ones++
	}
}

// tallies are the empty ones of the gates that decide.
func tallies(p api.Policy, h History) []Tally {
	out := []Tally{}
	for _, g := range p.Gates {
		if g.On != api.OnWarn {
			out = append(out, Tally{Gate: g, Threshold: h.threshold(g), History: h.counts(g)})
		}
	}
	return out
}

// emptied are tallies of the same gates and thresholds without a run.
func emptied(tallies []Tally) []Tally {
	out := make([]Tally, len(tallies))
	for i, t := range tallies {
		out[i] = Tally{Gate: t.Gate, Threshold: t.Threshold, History: t.History, Paired: t.Paired}
	}
	return out
}

// of reports whether the tally is of a gate: no two of a policy share these three.
func (t *Tally) of(g api.Gate) bool {
	return t.Gate.Metric == g.Metric && t.Gate.Statistic == g.Statistic && t.Gate.Pair == g.Pair
}

func (t *Tally) empty() bool { return t.Candidate.N == 0 && t.Baseline.N == 0 }

// add folds in a run's value of the gate's metric, if it has one.
func (t *Tally) add(side Side, run Run, fresh bool) error {
	metric, ok := run.Metrics[t.Gate.Metric]
	if !ok || t.Gate.Pair != "" {
		return nil
	}
	v := metric.Value
	if t.quantile() {
		v = t.beyond(side, v)
	}
	counts, values := &t.Candidate, &t.CandidateValues
	if side == Baseline {
		counts, values = &t.Baseline, &t.BaselineValues
	}
	counts.add(v)
	if side == Candidate && fresh {
		t.Fresh++
	}
	if t.Gate.Statistic == api.StatisticMean {
		return values.Add(v, run.Unit)
	}
	return nil
}

// pair folds in a pair of runs of one probe, of a gate on pairs whose metric both carry.
func (t *Tally) pair(p Pair) error {
	c, inCandidate := p.Candidate[t.Gate.Metric]
	b, inBaseline := p.Baseline[t.Gate.Metric]
	if t.Gate.Pair == "" || !inCandidate || !inBaseline {
		return nil
	}
	t.Candidate.N++
	t.Baseline.N++
	if p.Fresh {
		t.Fresh++
	}
	var up compare.PairUp
	for side, m := range map[compare.Side]api.Metric{compare.CandidateSide: c, compare.BaselineSide: b} { // sums, so the order does not matter
		if err := up.Add(p.Probe, side, map[string]api.Metric{t.Gate.Metric: m}); err != nil {
			return err
		}
	}
	t.Paired.Merge(up.Pairs()[t.Gate.Metric])
	if t.Gate.Statistic == api.StatisticMean {
		return t.Differences.Add(c.Value-b.Value, uint64(stats.SeedOf("probe", p.Probe)))
	}
	t.discordant(c.Value, b.Value)
	return nil
}

// discordant counts a pair of rates: a one stands for a pair in which only this
// release failed. A pair with a value other than 0 and 1 counts as neither.
func (t *Tally) discordant(candidate, baseline float64) {
	if candidate != 0 && candidate != 1 || baseline != 0 && baseline != 1 {
		return
	}
	failure := 0.0
	if t.Gate.Better == api.BetterLower {
		failure = 1
	}
	only := func(mine, other float64, c *Counts) {
		if mine == failure && other != failure {
			c.Ones++
		} else {
			c.Zeros++
		}
	}
	only(candidate, baseline, &t.Candidate)
	only(baseline, candidate, &t.Baseline)
}

func (t *Tally) quantile() bool {
	_, ok := t.Gate.Statistic.Quantile()
	return ok
}

// beyond is 1 if a value lies on the harmful side of the threshold, else 0. A
// candidate's value is first relieved of the margin: "no slower than the
// baseline by more than 10 %" says that its values, divided by 1.1, lie beyond
// the threshold no more often than the baseline's do.
func (t *Tally) beyond(side Side, v float64) float64 {
	if t.Threshold == nil {
		return 0
	}
	if side == Candidate {
		v = relieved(t.Gate, v)
	}
	bin := stats.BinOf(v)
	if t.Gate.Better == api.BetterHigher && bin < *t.Threshold || t.Gate.Better == api.BetterLower && bin > *t.Threshold {
		return 1
	}
	return 0
}

// relieved takes the gate's margin off a candidate's value.
func relieved(g api.Gate, v float64) float64 {
	sign := 1.0 // a higher value is worse
	if g.Better == api.BetterHigher {
		sign = -1
	}
	if !g.Margin.Relative {
		return v - float64(sign*g.Margin.Value)
	}
	if scale := 1 + float64(sign*g.Margin.Value); scale > 0 {
		return v / scale
	}
	return math.MaxFloat64 // a margin of all of it: nothing is worse
}

// answered reports whether there are values to compare: of both releases, or of
// the candidate and of the history that they are compared with.
func (s stratum) answered() bool { return s.Candidate.N > 0 && s.against().N > 0 }

// against are the baseline's values.
func (s stratum) against() Counts {
	if s.historical {
		return s.History
	}
	return s.Baseline
}

// comparable reports whether the gate can be tested: there are values to
// compare, those of a rate are 0 and 1, and a quantile has its threshold.
func (s stratum) comparable() bool {
	return s.answered() && s.boolean() && (!s.quantile() || s.Threshold != nil)
}

// boolean reports whether every value of a rate is 0 or 1.
func (s stratum) boolean() bool {
	return s.Gate.Statistic != api.StatisticRate || s.Candidate.boolean() && s.against().boolean()
}

func (c Counts) boolean() bool { return c.Zeros+c.Ones == c.N }

// failures are the runs on the harmful side of a gate.
func (t Tally) failures(c Counts) stats.Proportion {
	if t.Gate.Statistic == api.StatisticRate && t.Gate.Better == api.BetterHigher && t.Gate.Pair == "" {
		return stats.Proportion{X: c.Zeros, N: c.N}
	}
	return stats.Proportion{X: c.Ones, N: c.N}
}

// Aim fixes, before a block begins, what its quantiles are held against: the
// baseline's quantile so far, as a bin of its histogram. With a history it is
// that of the history, for the whole rollout. baseline is what is known of a
// metric of the baseline; nothing changes while it has not reported it.
func (b *Block) Aim(baseline func(metric string) stats.Summary) {
	for i, t := range b.Tallies {
		q, ok := t.Gate.Statistic.Quantile()
		if !ok || t.History.N > 0 {
			continue
		}
		if s := baseline(t.Gate.Metric); s.Count() > 0 {
			bin := s.QuantileBin(q)
			b.Tallies[i].Threshold = &bin
		}
	}
}

// Aims are the metrics that Aim asks for, each once.
func (b Block) Aims() []string {
	var metrics []string
	for _, t := range b.Tallies {
		if t.quantile() && t.History.N == 0 && !slices.Contains(metrics, t.Gate.Metric) {
			metrics = append(metrics, t.Gate.Metric)
		}
	}
	return metrics
}
