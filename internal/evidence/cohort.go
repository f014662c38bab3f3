package evidence

import (
	"cmp"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/stats"
)

func (k cohortKey) compare(o cohortKey) int {
	return cmp.Or(cmp.Compare(k.span, o.span), cmp.Compare(k.release, o.release))
}

// addRun counts a run of an epoch of the cohort's span.
func (c *Cohort) addRun(e Event) {
	c.Epochs = addEpoch(c.Epochs, c.Span, stats.EpochCount{Count: c.Runs}, stats.EpochCount{Epoch: e.Epoch, Count: 1})
	c.Runs++
	c.Mixes.Probes.Add(e.ProbeID)
	c.Mixes.Models.Add(e.Model)
	c.LastIndex = e.Index
}

// addMetrics folds in metrics of a run of an epoch of the cohort's span.
func (c *Cohort) addMetrics(epoch int64, metrics map[string]api.Metric, unit uint64) error {
	for name, value := range metrics { // each metric has a summary of its own, so the order does not matter
		s := c.Metrics[name]
		before := stats.EpochCount{Count: s.Count(), Ones: s.Ones()}
		if err := s.Add(value.Value, unit); err != nil {
			return err
		}
		c.Metrics[name] = s
		counts := addEpoch(c.MetricEpochs[name], c.Span, before, stats.EpochCount{Epoch: epoch, Count: 1, Ones: s.Ones() - before.Ones})
		if counts != nil && c.MetricEpochs == nil {
			c.MetricEpochs = map[string]stats.EpochCounts{}
		}
		if counts != nil {
			c.MetricEpochs[name] = counts
		}
	}
	return nil
}

// addEpoch adds to the counts of the epochs of a span. They stay empty until
// something comes of an epoch other than the first: what was there before is
// then all of the first one.
func addEpoch(counts stats.EpochCounts, span int64, before, add stats.EpochCount) stats.EpochCounts {
	if len(counts) == 0 && add.Epoch == span {
		return nil
	}
	return counts.Of(span, before.Count, before.Ones).Add(add.Epoch, add.Count, add.Ones)
}

// ModelName names a model with its version, if it says, in at most as many bytes as a name has.
func ModelName(m *api.EventModel) string {
	if m == nil {
		return ""
	}
	name := strings.TrimSpace(m.Name + " " + m.Version)
	if len(name) > api.MaxName { // a mix keeps it, and is of bounded size
		name = strings.ToValidUTF8(name[:api.MaxName], "")
	}
	return name
}

// Strata turns cohorts, by span, into what is compared: one stratum for each span.
func Strata(cohorts []Cohort, baseline, candidate string) []compare.Stratum {
	var out []compare.Stratum
	for _, c := range cohorts {
		if len(out) == 0 || out[len(out)-1].Epoch != c.Span {
			out = append(out, compare.Stratum{Epoch: c.Span})
		}
		side := &out[len(out)-1].Baseline
		switch c.Release {
		case candidate:
			side = &out[len(out)-1].Candidate
		case baseline:
		default:
			continue
		}
		side.Runs, side.Mixes, side.Epochs = c.Runs, c.Mixes, c.Epochs
		side.Metrics = make(map[string]compare.Metric, len(c.Metrics))
		for name, summary := range c.Metrics {
			side.Metrics[name] = compare.Metric{Summary: summary, Epochs: c.MetricEpochs[name]}
		}
	}
	return out
}

// Compare orders cohorts by span, then release.
func (c Cohort) Compare(o Cohort) int {
	return cohortKey{c.Span, c.Release}.compare(cohortKey{o.Span, o.Release})
}
