package evidence

import (
	"errors"
	"slices"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
)

// Fold gathers what events add to epochs, cohorts and blocks.
type Fold struct {
	past    Past
	targets map[[2]string]*Target // by app and environment
	order   []*Target             // in the order in which they were first seen
	runs    map[[3]string][]Event // by app, environment and run id
	// probes are the first runs of this fold, by app, environment, probe and release.
	probes map[[4]string]Event
}

// Target is the open epoch of an app and environment with all that is folded into it.
type Target struct {
	Epoch    Epoch
	Rollouts []*Filling
	ended    []Epoch         // those before it that ended meanwhile
	spans    map[int64]int64 // of earlier epochs, by number
	cohorts  map[cohortKey]*Cohort
}

type cohortKey struct {
	span    int64
	release string
}

// NewFold begins with a past.
func NewFold(past Past) *Fold {
	return &Fold{past: past, targets: map[[2]string]*Target{}, runs: map[[3]string][]Event{}, probes: map[[4]string]Event{}}
}

// NewTarget is an open epoch into which nothing was folded yet.
func NewTarget(e Epoch, rollouts ...*Filling) *Target {
	return &Target{Epoch: e, Rollouts: rollouts, spans: map[int64]int64{}, cohorts: map[cohortKey]*Cohort{}}
}

// Target loads the open epoch of an app and environment, or begins its first
// one at index.
func (f *Fold) Target(app, environment string, index int64, now time.Time) (*Target, error) {
	key := [2]string{app, environment}
	if t, ok := f.targets[key]; ok {
		return t, nil
	}
	e, err := f.past.OpenEpoch(app, environment)
	if errors.Is(err, ErrNotFound) {
		e, err = Epoch{AppID: app, Environment: environment, Number: 1, Span: 1, FirstIndex: index, StartedAt: now}, nil
	}
	if err != nil {
		return nil, err
	}
	fillings, err := f.past.Fillings(app, environment)
	if err != nil {
		return nil, err
	}
	t := NewTarget(e)
	for i := range fillings {
		t.Rollouts = append(t.Rollouts, &fillings[i])
	}
	f.targets[key] = t
	f.order = append(f.order, t)
	return t, nil
}

// Add folds a run or an outcome in, and fills in its epoch, and an outcome's
// release. A *KnownMetric refuses an outcome; any other error ends the fold.
// Other kinds change nothing.
func (f *Fold) Add(e *Event) (Note, error) {
	switch e.Kind {
	case api.KindAgentRun:
		return f.addRun(e)
	case api.KindOutcome:
		return f.addOutcome(e)
	}
	return Counted, nil
}

func (f *Fold) addRun(e *Event) (Note, error) {
	t, err := f.Target(e.AppID, e.Environment, e.Index, e.RecordedAt)
	if err != nil {
		return Counted, err
	}
	if err := f.cutLong(t, e.Index, e.RecordedAt); err != nil {
		return Counted, err
	}
	t.Epoch.Runs++
	e.Epoch = t.Epoch.Number
	if err := f.remember(*e); err != nil {
		return Counted, err
	}
	c, err := f.cohort(t, e.Epoch, e.Release, e.Index)
	if err != nil {
		return Counted, err
	}
	unit := e.Unit()
	c.addRun(*e)
	if err := c.addMetrics(e.Epoch, e.Metrics, unit); err != nil {
		return Counted, err
	}
	for _, r := range t.Rollouts {
		if err := f.addToBlock(t, r, *e, unit); err != nil {
			return Counted, err
		}
	}
	f.probe(*e)
	if e.Release == "" {
		return NoRelease, nil
	}
	return Counted, nil
}

// addToBlock adds a run to the block that a rollout is filling, if it is of one of its releases.
func (f *Fold) addToBlock(t *Target, r *Filling, e Event, unit uint64) error {
	side, ok := r.side(e.Release)
	if !ok {
		return nil
	}
	if err := r.Block.AddRun(side, rollout.Run{Index: e.Index, Unit: unit, Metrics: e.Metrics}); err != nil {
		return err
	}
	if err := f.pair(r, side, e); err != nil {
		return err
	}
	if r.dirty = true; r.Block.Full() {
		return f.End(t, r, e.Index+1)
	}
	return nil
}

// remember keeps an event for the outcomes of this fold. A second run with the
// id of an earlier one is a run of its own: outcomes go to the first.
func (f *Fold) remember(e Event) error {
	if e.RunID == "" {
		return nil
	}
	known, err := f.known(e)
	if err != nil {
		return err
	}
	f.runs[[3]string{e.AppID, e.Environment, e.RunID}] = append(known, e)
	return nil
}

// known are the events that carry the run id of an event.
func (f *Fold) known(e Event) ([]Event, error) {
	key := [3]string{e.AppID, e.Environment, e.RunID}
	if events, ok := f.runs[key]; ok {
		return events, nil
	}
	events, err := f.past.EventsOf(key[0], key[1], key[2])
	if err != nil {
		return nil, err
	}
	f.runs[key] = events
	return events, nil
}

// addOutcome adds metrics that became known later to the stratum of their run.
func (f *Fold) addOutcome(e *Event) (Note, error) {
	known, err := f.known(*e)
	if err != nil {
		return Counted, err
	}
	i := slices.IndexFunc(known, func(k Event) bool { return k.Kind == api.KindAgentRun })
	if i < 0 {
		return UnknownRun, nil
	}
	run := known[i]
	if err := clash(known, i, *e); err != nil {
		return Counted, err
	}
	e.Epoch, e.Release = run.Epoch, run.Release
	if err := f.remember(*e); err != nil {
		return Counted, err
	}
	t, err := f.Target(e.AppID, e.Environment, e.Index, e.RecordedAt)
	if err != nil {
		return Counted, err
	}
	c, err := f.cohort(t, run.Epoch, run.Release, e.Index)
	if err != nil {
		return Counted, err
	}
	unit := run.Unit()
	if err := c.addMetrics(run.Epoch, e.Metrics, unit); err != nil {
		return Counted, err
	}
	for _, r := range t.Rollouts {
		if side, ok := r.side(run.Release); ok {
			r.dirty = true
			if err := r.Block.AddOutcome(side, rollout.Counted{Index: run.Index, Epoch: run.Epoch}, rollout.Run{Index: e.Index, Unit: unit, Metrics: e.Metrics}); err != nil {
				return Counted, err
			}
		}
	}
	return Counted, nil
}

// clash finds a metric of an outcome that its run, the i-th of the known events, has already.
func clash(known []Event, i int, e Event) error {
	for j, k := range known {
		if j != i && (k.Kind != api.KindOutcome || k.Epoch == 0) { // another run of this id, or an outcome that came before the run and was not counted
			continue
		}
		for name := range e.Metrics {
			if _, has := k.Metrics[name]; has {
				return &KnownMetric{RunID: e.RunID, Metric: least(e.Metrics, k.Metrics), EventID: k.EventID}
			}
		}
	}
	return nil
}

// least is the first name, in order, that both have.
func least(a, b map[string]api.Metric) string {
	first := ""
	for name := range a {
		if _, both := b[name]; both && (first == "" || name < first) {
			first = name
		}
	}
	return first
}

func (f *Fold) cohort(t *Target, epoch int64, release string, index int64) (*Cohort, error) {
	span, err := f.span(t, epoch)
	if err != nil {
		return nil, err
	}
	key := cohortKey{span, release}
	if c, ok := t.cohorts[key]; ok {
		return c, nil
	}
	app, environment := t.Epoch.AppID, t.Epoch.Environment
	c, err := f.past.Cohort(app, environment, span, release)
	if errors.Is(err, ErrNotFound) {
		c, err = Cohort{AppID: app, Environment: environment, Span: span, Release: release, FirstIndex: index, LastIndex: index}, nil
	}
	if err != nil {
		return nil, err
	}
	if c.Metrics == nil {
		c.Metrics = map[string]stats.Summary{}
	}
	t.cohorts[key] = &c
	return &c, nil
}

// side says which release of the rollout a run belongs to.
func (r *Filling) side(release string) (rollout.Side, bool) {
	switch release {
	case "":
		return 0, false
	case r.Candidate:
		return rollout.Candidate, true
	case r.Baseline:
		return rollout.Baseline, true
	}
	return 0, false
}

// Changes returns what is to be kept, in a fixed order.
func (f *Fold) Changes() Changes {
	var c Changes
	for _, t := range f.order {
		c.Epochs = append(append(c.Epochs, t.ended...), t.Epoch)
		keys := make([]cohortKey, 0, len(t.cohorts))
		for key := range t.cohorts {
			keys = append(keys, key)
		}
		slices.SortFunc(keys, cohortKey.compare)
		for _, key := range keys {
			c.Cohorts = append(c.Cohorts, *t.cohorts[key])
		}
		for _, r := range t.Rollouts {
			if r.dirty {
				c.Fillings = append(c.Fillings, *r)
			}
		}
	}
	return c
}
