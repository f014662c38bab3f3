package compare

import (
	"maps"
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// ChangedPair is a probe that both cohorts ran and that came out otherwise for
// the candidate: the averages of a metric over the runs of each side.
type ChangedPair struct {
	Probe                       string
	Candidate, Baseline         float64
	CandidateRuns, BaselineRuns int64
}

// Harm is how much worse the candidate came out, in units of the metric;
// negative where it came out better.
func (c ChangedPair) Harm(better api.Better) float64 {
	if better == api.BetterHigher {
		return c.Baseline - c.Candidate
	}
	return c.Candidate - c.Baseline
}

// Changed lists the probes whose averages of a metric differ, by name.
func (p *PairUp) Changed(metric string) []ChangedPair {
	var out []ChangedPair
	average := func(u stats.Unit) float64 { return u.Sum.Float64() / float64(u.Count) }
	probes := p.metrics[metric]
	for _, probe := range slices.Sorted(maps.Keys(probes)) {
		c, b := probes[probe][CandidateSide], probes[probe][BaselineSide]
		if probe == "" || c.Count == 0 || b.Count == 0 || average(c) == average(b) {
			continue
		}
		out = append(out, ChangedPair{Probe: probe, Candidate: average(c), Baseline: average(b), CandidateRuns: c.Count, BaselineRuns: b.Count})
	}
	return out
}
