package authority

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/rollout"
)

// ReleaseFigures is a release with what its runs add up to.
type ReleaseFigures struct {
	api.Release
	// FirstSeen and LastSeen are when its first and its last run, or outcome of one, were recorded.
	FirstSeen, LastSeen time.Time
	// Figures are those of the known metrics that it reports, rates first, at the confidence that is the default of a rollout.
	Figures []ReleaseFigure
}

// ReleaseFigure is one metric over all runs of a release.
type ReleaseFigure struct {
	Gate   api.Gate
	Figure api.CohortFigure
}

// ReleaseFigures lists the releases of an app in one environment, the newest
// first by their first run, with the figures of each by itself. Runs without a
// release stand under an empty name. ErrNotFound if no run of the app was seen
// anywhere that the key may see.
func (a *Authority) ReleaseFigures(ctx context.Context, p Principal, appID, environment, cursor string, limit int) (api.List[ReleaseFigures], error) {
	var none api.List[ReleaseFigures]
	if err := p.need(api.ReleaseRead); err != nil {
		return none, err
	}
	if !p.sees(environment) {
		return none, fail(CodeForbidden, "this key is limited to the environment %q", p.Environment)
	}
	before, err := cursorNumber(cursor)
	if err != nil {
		return none, err
	}
	var items []ReleaseFigures
	err = a.Store.View(ctx, p.Org, func(s Snapshot) error {
		items = nil
		seen, err := s.Releases(appID, p.Environment)
		if err != nil {
			return err
		}
		if len(seen) == 0 {
			return ErrNotFound
		}
		for _, r := range seen {
			if r.Environment == environment && (cursor == "" || r.FirstIndex < before) {
				items = append(items, ReleaseFigures{Release: r})
			}
		}
		slices.SortFunc(items, func(a, b ReleaseFigures) int { return cmp.Compare(b.FirstIndex, a.FirstIndex) })
		for i := range items[:min(limit, len(items))] {
			if err := items[i].fill(s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return none, storeError("app", err)
	}
	return page(items, limit, func(r ReleaseFigures) string { return strconv.FormatInt(r.FirstIndex, 10) }), nil
}

func (r *ReleaseFigures) fill(s Snapshot) error {
	for _, t := range []struct {
		index int64
		at    *time.Time
	}{{r.FirstIndex, &r.FirstSeen}, {r.LastIndex, &r.LastSeen}} {
		entries, err := s.Entries(EntryFilter{From: t.index}, 1)
		if err != nil {
			return err
		}
		for _, e := range entries {
			*t.at = e.RecordedAt
		}
	}
	gates := knownGates(r.Metrics)
	cohorts, err := s.Cohorts(CohortFilter{AppID: r.AppID, Environment: r.Environment, Releases: []string{r.Release.Release}, Metrics: metricsOf(gates)})
	if err != nil {
		return err
	}
	var all compare.Cohort
	for _, c := range cohorts {
		all.Merge(c.Runs, c.Metrics)
	}
	for _, g := range gates {
		r.Figures = append(r.Figures, ReleaseFigure{g, all.Figure(g, rollout.DefaultConfidence)})
	}
	return nil
}

// knownGates ask for each known metric of those that were seen as it is known.
func knownGates(seen []string) []api.Gate {
	var gates []api.Gate
	for _, k := range api.KnownMetrics() {
		if slices.Contains(seen, k.Metric) {
			gates = append(gates, api.Gate{Metric: k.Metric, Statistic: k.Statistic, Better: k.Better, On: api.OnWarn})
		}
	}
	return gates
}

// metricsOf are the metrics of gates; an empty name, which no metric has, where there is none.
func metricsOf(gates []api.Gate) []string {
	if len(gates) == 0 {
		return []string{""}
	}
	return gated(gates)
}
