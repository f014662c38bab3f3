package evidence

import (
	"time"

	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
)

// What a history is made of.
const (
	HistoryAge  = 30 * 24 * time.Hour
	HistoryRuns = 1000
)

// History freezes what a baseline reported before a rollout: of its cohorts, by
// span, those whose last run is at most 30 days old, newest first, until they
// have 1,000 runs; of their metrics the given ones. recordedAt is when the run
// at a log index was recorded.
func History(cohorts []Cohort, metrics []string, now time.Time, recordedAt func(index int64) (time.Time, error)) (rollout.History, error) {
	var h rollout.History
	var all compare.Cohort
	for i := len(cohorts) - 1; i >= 0 && h.Runs < HistoryRuns; i-- {
		c := cohorts[i]
		at, err := recordedAt(c.LastIndex)
		if err != nil {
			return rollout.History{}, err
		}
		if now.Sub(at) > HistoryAge {
			break
		}
		if h.Runs == 0 {
			h.LastIndex = c.LastIndex
		}
		h.Runs, h.FirstIndex = h.Runs+c.Runs, c.FirstIndex
		all.Merge(c.Runs, c.Metrics)
	}
	h.Metrics = map[string]stats.Summary{}
	for _, name := range metrics {
		if m, ok := all.Metrics[name]; ok {
			h.Metrics[name] = m.Summary
		}
	}
	if h.Runs == 0 {
		return rollout.History{}, nil
	}
	return h, nil
}
