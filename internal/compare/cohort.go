package compare

import (
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// Cohort is what the runs of one release in one stratum add up to.
type Cohort struct {
	// Runs counts all runs, whatever metrics they carry.
	Runs    int64
	Metrics map[string]Metric
	// Mixes are empty where nothing is known of them; the check is left out then.
	Mixes Mixes
	// Epochs counts Runs by epoch; empty while all are of the first one.
	Epochs stats.EpochCounts
}

// Metric is the summary of one metric of a cohort.
type Metric struct {
	Summary stats.Summary
	// Values are the single values where they are at hand (a file): quantiles
	// are then exact instead of within a bin.
	Values []float64
	// Epochs are the counts by epoch; empty while all are of the first one.
	Epochs stats.EpochCounts
}

// Stratum holds the two cohorts of one span of epochs. They are compared
// within it, and their rates within each of its epochs.
type Stratum struct {
	// Epoch is the number of the first one.
	Epoch               int64
	Candidate, Baseline Cohort
	// Pairs are the runs of both cohorts paired by probe, by metric, for the gates that ask for it.
	Pairs map[string]Pairs
}

// Add folds one run in. unit identifies what was sampled independently: a
// user, a probe, or the run itself.
func (c *Cohort) Add(metrics map[string]api.Metric, unit uint64) error {
	c.Runs++
	return c.AddMetrics(metrics, unit)
}

// AddMetrics folds in metrics of a run that was counted before.
func (c *Cohort) AddMetrics(metrics map[string]api.Metric, unit uint64) error {
	if c.Metrics == nil {
		c.Metrics = make(map[string]Metric, len(metrics))
	}
	for name, value := range metrics { // each metric has a summary of its own, so the order does not matter
		m := c.Metrics[name]
		if err := m.Summary.Add(value.Value, unit); err != nil {
			return err
		}
		c.Metrics[name] = m
	}
	return nil
}

// KeepValues adds single values for exact quantiles; the slice is copied and sorted.
func (c *Cohort) KeepValues(metric string, values []float64) {
	if c.Metrics == nil {
		c.Metrics = map[string]Metric{}
	}
	m := c.Metrics[metric]
	m.Values = slices.Sorted(slices.Values(values))
	c.Metrics[metric] = m
}

// pool adds up one side of all strata, for the figures that are shown of a
// cohort. Differences are never taken from it. Only a mean needs the units.
func pool(strata []Stratum, side func(Stratum) Cohort, g api.Gate) (runs int64, pooled Metric) {
	exact := true
	for _, s := range strata {
		c := side(s)
		runs += c.Runs
		m := c.Metrics[g.Metric]
		if g.Statistic == api.StatisticMean {
			pooled.Summary.Merge(m.Summary)
		} else {
			pooled.Summary.MergeValues(m.Summary)
		}
		exact = exact && int64(len(m.Values)) == m.Summary.Count()
		pooled.Values = append(pooled.Values, m.Values...)
	}
	if !exact {
		pooled.Values = nil
	} else if len(strata) > 1 {
		slices.Sort(pooled.Values)
	}
	return runs, pooled
}

func candidateOf(s Stratum) Cohort { return s.Candidate }
func baselineOf(s Stratum) Cohort  { return s.Baseline }

// Merge adds runs and summaries of another stratum of the same release.
func (c *Cohort) Merge(runs int64, metrics map[string]stats.Summary) {
	c.Runs += runs
	if c.Metrics == nil {
		c.Metrics = make(map[string]Metric, len(metrics))
	}
	for name, summary := range metrics { // each metric has a summary of its own, so the order does not matter
		m := c.Metrics[name]
		m.Summary.Merge(summary)
		c.Metrics[name] = m
	}
}
