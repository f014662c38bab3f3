package compare

import "github.com/cobound/prova/internal/stats"

// ones are the shares of values that are 1, one stratum for each epoch that
// has any: pooled over a span, a base rate that drifts while the releases come
// in changing proportions would look like a difference between them.
func (s Stratum) ones(metric string) []stats.Stratum {
	return s.byEpoch(func(c Cohort) stats.EpochCounts { return c.Metrics[metric].counts(s.Epoch) })
}

// missing are the shares of runs that lack the metric, one stratum for each epoch.
func (s Stratum) missing(metric string) []stats.Stratum {
	return s.byEpoch(func(c Cohort) stats.EpochCounts {
		have := c.Metrics[metric].counts(s.Epoch)
		runs := c.Epochs.Of(s.Epoch, c.Runs, 0)
		shares := make(stats.EpochCounts, 0, len(runs))
		for _, r := range runs {
			for len(have) > 0 && have[0].Epoch < r.Epoch {
				have = have[1:]
			}
			lack := r.Count
			if len(have) > 0 && have[0].Epoch == r.Epoch {
				// In evidence that was gathered by hand a metric may be counted more often than the runs.
				lack = max(lack-have[0].Count, 0)
			}
			shares = append(shares, stats.EpochCount{Epoch: r.Epoch, Count: r.Count, Ones: lack})
		}
		return shares
	})
}

func (m Metric) counts(first int64) stats.EpochCounts {
	return m.Epochs.Of(first, m.Summary.Count(), m.Summary.Ones())
}

// byEpoch joins a rate's counts of both cohorts, in rising order of the epochs.
func (s Stratum) byEpoch(rate func(Cohort) stats.EpochCounts) []stats.Stratum {
	c, b := rate(s.Candidate), rate(s.Baseline)
	out := make([]stats.Stratum, 0, max(len(c), len(b)))
	for len(c) > 0 || len(b) > 0 {
		var joint stats.Stratum
		candidate := len(c) > 0 && (len(b) == 0 || c[0].Epoch <= b[0].Epoch)
		baseline := len(b) > 0 && (len(c) == 0 || b[0].Epoch <= c[0].Epoch)
		if candidate {
			joint.Candidate, c = stats.Proportion{X: c[0].Ones, N: c[0].Count}, c[1:]
		}
		if baseline {
			joint.Baseline, b = stats.Proportion{X: b[0].Ones, N: b[0].Count}, b[1:]
		}
		out = append(out, joint)
	}
	return out
}
