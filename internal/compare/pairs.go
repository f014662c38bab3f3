package compare

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// Side is one of the two cohorts.
type Side int

// The sides of a comparison.
const (
	BaselineSide Side = iota
	CandidateSide
)

// Pairs is what the probes that both cohorts ran say about one metric. Runs of
// one probe and side are averaged first, so a pair is a probe, whatever the
// number of its runs. It has integers only and does not depend on the order of
// the runs.
type Pairs struct {
	// Both, CandidateOnly, BaselineOnly and Neither count the pairs by which of
	// its two averages is 1, the other being 0. They add up to Count if and only
	// if every average is 0 or 1: one boolean run a side, or several that agree.
	Both          int64 `json:"both"`
	CandidateOnly int64 `json:"candidate_only"`
	BaselineOnly  int64 `json:"baseline_only"`
	Neither       int64 `json:"neither"`
	// Differences has one value for each pair, candidate minus baseline, in
	// units of the metric; its unit is the probe.
	Differences stats.Summary `json:"differences"`
	// Candidate and Baseline have the averages of the paired runs of each side.
	Candidate stats.Summary `json:"candidate"`
	Baseline  stats.Summary `json:"baseline"`
	// UnpairedCandidate and UnpairedBaseline count the runs with the metric that
	// carry no probe, or one that the other side has no such run of.
	UnpairedCandidate int64 `json:"unpaired_candidate"`
	UnpairedBaseline  int64 `json:"unpaired_baseline"`
	// Beyond is set if a difference was too large for a summary: nothing can be said then.
	Beyond bool `json:"beyond,omitempty"`
}

// Count returns the number of pairs.
func (p Pairs) Count() int64 { return p.Differences.Count() }

// Table reports whether the four counts describe all pairs. A probe that was
// paired in two strata is not independent of itself, so they do not then.
func (p Pairs) Table() bool {
	return p.Both+p.CandidateOnly+p.BaselineOnly+p.Neither == p.Count() && !p.Differences.Clustered()
}

// Merge adds the pairs of another stratum. A pair was compared within its
// stratum, so adding pairs is weighting the strata's differences by their
// numbers of pairs.
func (p *Pairs) Merge(o Pairs) {
	p.Both += o.Both
	p.CandidateOnly += o.CandidateOnly
	p.BaselineOnly += o.BaselineOnly
	p.Neither += o.Neither
	p.Differences.Merge(o.Differences)
	p.Candidate.Merge(o.Candidate)
	p.Baseline.Merge(o.Baseline)
	p.UnpairedCandidate += o.UnpairedCandidate
	p.UnpairedBaseline += o.UnpairedBaseline
	p.Beyond = p.Beyond || o.Beyond
}

// PairUp takes the runs of both cohorts of one stratum and pairs them by probe.
// What cannot be paired is counted. The zero value is empty; its memory grows
// with the number of probes and metrics, not of runs.
type PairUp struct {
	runs    map[string]*[2]int64
	metrics map[string]map[string]*[2]stats.Unit
}

// Add takes one run; an empty probe can have no partner.
func (p *PairUp) Add(probe string, side Side, metrics map[string]api.Metric) error {
	if p.runs == nil {
		p.runs = map[string]*[2]int64{}
	}
	n := p.runs[probe]
	if n == nil {
		n = new([2]int64)
		p.runs[probe] = n
	}
	n[side]++
	return p.AddMetrics(probe, side, metrics)
}

// AddMetrics takes metrics of a run that was added before. It fails where a
// value is not finite or beyond 10^18 on either side.
func (p *PairUp) AddMetrics(probe string, side Side, metrics map[string]api.Metric) error {
	if p.metrics == nil {
		p.metrics = map[string]map[string]*[2]stats.Unit{}
	}
	for name, value := range metrics { // exact sums, so the order does not matter
		sum, err := stats.FixedOf(value.Value)
		if err != nil {
			return fmt.Errorf("metric %s: %w", name, err)
		}
		probes := p.metrics[name]
		if probes == nil {
			probes = map[string]*[2]stats.Unit{}
			p.metrics[name] = probes
		}
		sides := probes[probe]
		if sides == nil {
			sides = new([2]stats.Unit)
			probes[probe] = sides
		}
		u := &sides[side]
		u.Count, u.Sum = u.Count+1, u.Sum.Add(sum)
	}
	return nil
}

// Partners returns how many runs of each cohort, of all that it has, carry a
// probe that the other cohort ran too.
func (p *PairUp) Partners() (candidate, baseline stats.Proportion) {
	for probe, n := range p.runs {
		candidate.N += n[CandidateSide]
		baseline.N += n[BaselineSide]
		if probe != "" && n[CandidateSide] > 0 && n[BaselineSide] > 0 {
			candidate.X += n[CandidateSide]
			baseline.X += n[BaselineSide]
		}
	}
	return candidate, baseline
}

// Pairs returns the pairs of each metric that a run carried.
func (p *PairUp) Pairs() map[string]Pairs {
	out := make(map[string]Pairs, len(p.metrics))
	for metric, probes := range p.metrics {
		var pairs Pairs
		for _, probe := range slices.Sorted(maps.Keys(probes)) {
			pairs.add(probe, *probes[probe])
		}
		out[metric] = pairs
	}
	return out
}

func (p *Pairs) add(probe string, sides [2]stats.Unit) {
	c, b := sides[CandidateSide], sides[BaselineSide]
	if probe == "" || c.Count == 0 || b.Count == 0 {
		p.UnpairedCandidate += c.Count
		p.UnpairedBaseline += b.Count
		return
	}
	candidate, baseline := c.Sum.Float64()/float64(c.Count), b.Sum.Float64()/float64(b.Count)
	unit := uint64(stats.SeedOf("probe", probe))
	for _, v := range []struct {
		into  *stats.Summary
		value float64
	}{{&p.Differences, candidate - baseline}, {&p.Candidate, candidate}, {&p.Baseline, baseline}} {
		if err := v.into.Add(v.value, unit); err != nil {
			p.Beyond = true
		}
	}
	one := func(v float64) bool { return v == 1 }
	if binary := (one(candidate) || candidate == 0) && (one(baseline) || baseline == 0); !binary {
		return
	}
	switch {
	case one(candidate) && one(baseline):
		p.Both++
	case one(candidate):
		p.CandidateOnly++
	case one(baseline):
		p.BaselineOnly++
	default:
		p.Neither++
	}
}

// CheckPairing is the check that says whether gates were compared on pairs, and why.
const CheckPairing = "pairing"

// PairGates settles which gates are compared on pairs. How is api.PairAuto,
// which pairs if four fifths of both cohorts' runs have a partner; PairProbe;
// or PairNone, also when it is empty. Gates that ask for pairs themselves keep
// them, and quantiles have none: the quantile of a difference is not the
// difference of the quantiles. The check says what was chosen and why.
func PairGates(how string, gates []api.Gate, candidate, baseline stats.Proportion) ([]api.Gate, api.Check) {
	shares := fmt.Sprintf("%s of the candidate's and %s of the baseline's runs have a partner with the same probe", percent(candidate), percent(baseline))
	pair, detail := how == api.PairProbe, "compared without pairs: "+shares
	switch {
	case how == api.PairProbe:
		detail = "paired by probe as asked: " + shares
	case how == api.PairAuto && candidate.X == 0:
		detail = "not paired: the releases have run no probe in common"
	case how == api.PairAuto && enoughPartners(candidate) && enoughPartners(baseline):
		pair, detail = true, "paired by probe: "+shares
	case how != api.PairAuto && NeedsPairs(gates):
		detail = "only gates that ask for it are compared on pairs: " + shares
	case how == api.PairAuto:
		detail = "not paired: " + shares + ", and 80 % of both are needed; pairing by probe must be asked for"
	}
	out := slices.Clone(gates)
	for i := range out {
		if _, quantile := out[i].Statistic.Quantile(); pair && !quantile {
			out[i].Pair = api.PairProbe
		}
	}
	return out, api.Check{Check: CheckPairing, Status: api.CheckOK, Detail: detail}
}

func enoughPartners(p stats.Proportion) bool { return p.N > 0 && 5*p.X >= 4*p.N }

func percent(p stats.Proportion) string {
	if p.N == 0 {
		return "none"
	}
	return FormatValue(api.Gate{Statistic: api.StatisticRate}, p.Value())
}

// NeedsPairs reports whether some gate is compared on pairs.
func NeedsPairs(gates []api.Gate) bool {
	return slices.ContainsFunc(gates, func(g api.Gate) bool { return g.Pair != "" })
}
