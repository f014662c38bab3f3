package compare

import (
	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// Figure is the statistic of a gate over one cohort by itself: a rate with its
// Wilson interval, a quantile with that of order statistics, both at a
// two-sided confidence in (0,1), a mean without an interval. It has no value
// without a run that carries the metric, and where a rate is asked for of what
// is not all 0 and 1.
func (c Cohort) Figure(g api.Gate, confidence float64) api.CohortFigure {
	m := c.Metrics[g.Metric]
	f := api.CohortFigure{N: m.Summary.Count(), Missing: max(c.Runs-m.Summary.Count(), 0)}
	if f.N == 0 {
		return f
	}
	z := stats.Critical(confidence)
	p, quantile := g.Statistic.Quantile()
	switch {
	case quantile:
		Question{Confidence: confidence}.quantileFigure(&f, m, p, z)
	case g.Statistic == api.StatisticRate && m.Summary.Boolean():
		rate := stats.Proportion{X: m.Summary.Ones(), N: m.Summary.Count()}
		set(&f, rate.Value(), stats.Wilson(rate, z))
	case g.Statistic == api.StatisticMean:
		if mean := m.Summary.Mean(); finite(mean) {
			f.Value = &mean
		}
	}
	return f
}
