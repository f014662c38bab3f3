package replay

import (
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/internal/stats"
)

// memory is the past of one app and environment, kept in memory: what a
// server's database holds of it.
type memory struct {
	open    evidence.Epoch
	epochs  map[int64]evidence.Epoch
	cohorts map[cohortKey]evidence.Cohort
	events  map[string][]evidence.Event    // by run id
	probes  map[[2]string][]evidence.Event // runs by release and probe
	// judgments are those of the app and environment, and calibrations those of its judges, in log order.
	judgments    []evidence.Judgment
	calibrations []evidence.Calibration
	// filling are the unfinished rollouts' blocks, newest first.
	filling []evidence.Filling
}

type cohortKey struct {
	span    int64
	release string
}

func newMemory() *memory {
	return &memory{
		epochs: map[int64]evidence.Epoch{}, cohorts: map[cohortKey]evidence.Cohort{},
		events: map[string][]evidence.Event{}, probes: map[[2]string][]evidence.Event{},
	}
}

func (m *memory) OpenEpoch(string, string) (evidence.Epoch, error) {
	if m.open.Number == 0 {
		return evidence.Epoch{}, evidence.ErrNotFound
	}
	return m.open, nil
}

func (m *memory) Epoch(_, _ string, number int64) (evidence.Epoch, error) {
	e, ok := m.epochs[number]
	if !ok {
		return e, evidence.ErrNotFound
	}
	return e, nil
}

func (m *memory) Cohort(_, _ string, span int64, release string) (evidence.Cohort, error) {
	c, ok := m.cohorts[cohortKey{span, release}]
	if !ok {
		return c, evidence.ErrNotFound
	}
	return c, nil
}

func (m *memory) Cohorts(f evidence.CohortFilter) ([]evidence.Cohort, error) {
	var out []evidence.Cohort
	for key, c := range m.cohorts {
		if key.span < f.FromSpan || !slices.Contains(f.Releases, key.release) {
			continue
		}
		if f.Metrics != nil {
			kept := map[string]stats.Summary{}
			for _, name := range f.Metrics {
				if s, ok := c.Metrics[name]; ok {
					kept[name] = s
				}
			}
			c.Metrics = kept
		}
		out = append(out, c)
	}
	slices.SortFunc(out, evidence.Cohort.Compare)
	return out, nil
}

func (m *memory) EventsOf(_, _, runID string) ([]evidence.Event, error) {
	return slices.Clone(m.events[runID]), nil
}

func (m *memory) FirstRun(_, _, release, probeID string, from int64) (evidence.Event, bool, error) {
	for _, e := range m.probes[[2]string{release, probeID}] {
		if e.Index >= from {
			return e, true, nil
		}
	}
	return evidence.Event{}, false, nil
}

func (m *memory) Fillings(string, string) ([]evidence.Filling, error) {
	out := slices.Clone(m.filling)
	for i := range out {
		out[i].Closed = nil
	}
	return out, nil
}

// remember keeps an event that was folded.
func (m *memory) remember(e evidence.Event) {
	if e.RunID != "" && (e.Kind == api.KindAgentRun || e.Kind == api.KindOutcome) {
		m.events[e.RunID] = append(m.events[e.RunID], e)
	}
	if e.Kind == api.KindAgentRun && e.ProbeID != "" {
		key := [2]string{e.Release, e.ProbeID}
		m.probes[key] = append(m.probes[key], e)
	}
}

// apply keeps what a fold leaves.
func (m *memory) apply(c evidence.Changes) {
	for _, e := range c.Epochs {
		m.epochs[e.Number] = e
		m.open = e
	}
	for _, cohort := range c.Cohorts {
		m.cohorts[cohortKey{cohort.Span, cohort.Release}] = cohort
	}
	for _, f := range c.Fillings {
		i := slices.IndexFunc(m.filling, func(old evidence.Filling) bool { return old.RolloutID == f.RolloutID })
		f.Closed = append(m.filling[i].Closed, f.Closed...)
		m.filling[i] = f
	}
}

// fills finds the block that a rollout is filling.
func (m *memory) fills(id string) *evidence.Filling {
	i := slices.IndexFunc(m.filling, func(f evidence.Filling) bool { return f.RolloutID == id })
	if i < 0 {
		return nil
	}
	return &m.filling[i]
}

// forget drops the block of a rollout that has ended.
func (m *memory) forget(id string) {
	m.filling = slices.DeleteFunc(m.filling, func(f evidence.Filling) bool { return f.RolloutID == id })
}
