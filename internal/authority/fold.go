package authority

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
	"github.com/cobound/prova/receipt"
)

// An epoch is cut after so many runs or so much time, so that a base rate that
// drifts does not pool. A span ends after so many epochs, which bounds what is
// kept of it.
const (
	EpochRuns  = 100_000
	EpochTime  = 24 * time.Hour
	SpanEpochs = 1000
)

// fold gathers what a batch of events adds to epochs, cohorts and blocks, and
// writes each once at the end. It lives within one transaction that holds the
// head's lock.
type fold struct {
	tx      Tx
	targets map[[2]string]*target // by app and environment
	runs    map[[3]string][]Entry
	units   map[string]uint64 // of runs of this batch, by event id
	// probes are the first runs of this batch, by app, environment, probe and release.
	probes map[[4]string]probed
}

// target is the open epoch of an app and environment with all that is folded into it.
type target struct {
	epoch    Epoch
	ended    []Epoch         // those before it that ended meanwhile
	spans    map[int64]int64 // of earlier epochs, by number
	cohorts  map[cohortKey]*Cohort
	rollouts []*filling
}

type cohortKey struct {
	span    int64
	release string
}

// filling is an unfinished rollout and the block that it is filling.
type filling struct {
	record RolloutRecord
	block  rollout.Block
	closed []rollout.Block
	dirty  bool
}

func newFold(tx Tx) *fold {
	return &fold{tx: tx, targets: map[[2]string]*target{}, runs: map[[3]string][]Entry{}, units: map[string]uint64{}, probes: map[[4]string]probed{}}
}

// add folds one event in. An *Error refuses the event; any other ends the transaction.
func (f *fold) add(w *pending) error {
	switch w.entry.Kind {
	case api.KindAgentRun:
		return f.addRun(w)
	case api.KindOutcome:
		return f.addOutcome(w)
	}
	return nil
}

func (f *fold) addRun(w *pending) error {
	e := &w.entry
	s, err := f.target(e.AppID, e.Environment, e.Index, e.RecordedAt)
	if err != nil {
		return err
	}
	if err := f.cutLong(s, e.Index, e.RecordedAt); err != nil {
		return err
	}
	s.epoch.Runs++
	e.Epoch = s.epoch.Number
	if e.RunID != "" {
		if err := f.remember(*e); err != nil {
			return err
		}
	}
	if e.Release == "" {
		w.result.Note = "the run carries no release: it is kept and not counted; set source.release or the header " + api.ReleaseHeader
	}
	unit := unitOf(w.event.UnitID, w.event.ProbeID, e.EventID)
	f.units[e.EventID] = unit
	c, err := f.cohort(s, e.AppID, e.Environment, e.Epoch, e.Release, e.Index)
	if err != nil {
		return err
	}
	c.addRun(*e, w.event.Model)
	if err := c.addMetrics(e.Epoch, w.event.Metrics, unit); err != nil {
		return err
	}
	for _, r := range s.rollouts {
		if side, ok := r.side(e.Release); ok {
			if err := r.block.AddRun(side, rollout.Run{Index: e.Index, Unit: unit, Metrics: w.event.Metrics}); err != nil {
				return err
			}
			if err := f.pair(r, side, *e, w.event.Metrics); err != nil {
				return err
			}
			if r.dirty = true; r.block.Full() {
				if err := f.end(s, r, e.Index+1); err != nil {
					return err
				}
			}
		}
	}
	f.probe(*e, w.event.Metrics)
	return nil
}

// remember keeps a run of this batch for the outcomes of the same batch. A
// second run with the id of an earlier one is a run of its own: outcomes go to
// the first.
func (f *fold) remember(e Entry) error {
	key := [3]string{e.AppID, e.Environment, e.RunID}
	known, err := f.known(key)
	if err != nil {
		return err
	}
	f.runs[key] = append(known, e)
	return nil
}

func (f *fold) known(key [3]string) ([]Entry, error) {
	if entries, ok := f.runs[key]; ok {
		return entries, nil
	}
	entries, err := f.tx.RunEntries(key[0], key[1], key[2])
	if err != nil {
		return nil, err
	}
	f.runs[key] = entries
	return entries, nil
}

// addOutcome adds metrics that became known later to the stratum of their run.
func (f *fold) addOutcome(w *pending) error {
	e := &w.entry
	known, err := f.known([3]string{e.AppID, e.Environment, e.RunID})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(known, func(k Entry) bool { return k.Kind == api.KindAgentRun })
	if i < 0 {
		w.result.Note = "no run with this run_id has been seen: the outcome is kept and not counted"
		return nil
	}
	run := known[i]
	for j, k := range known {
		if j != i && (k.Kind != api.KindOutcome || k.Epoch == 0) { // another run of this id, or an outcome that came before the run and was not counted
			continue
		}
		for _, name := range e.Metrics {
			if slices.Contains(k.Metrics, name) {
				return &Error{
					Code: CodeConflict, Detail: fmt.Sprintf("the run %q has the metric %s already (receipt %s); an outcome only adds", e.RunID, name, k.EventID),
					Fields: []api.FieldError{{Pointer: "/metrics/" + name, Detail: "the run has this metric already"}},
				}
			}
		}
	}
	e.Epoch, e.Release = run.Epoch, run.Release
	if err := f.remember(*e); err != nil {
		return err
	}
	s, err := f.target(e.AppID, e.Environment, e.Index, e.RecordedAt)
	if err != nil {
		return err
	}
	unit, err := f.unit(run)
	if err != nil {
		return err
	}
	c, err := f.cohort(s, e.AppID, e.Environment, run.Epoch, run.Release, e.Index)
	if err != nil {
		return err
	}
	if err := c.addMetrics(run.Epoch, w.event.Metrics, unit); err != nil {
		return err
	}
	for _, r := range s.rollouts {
		if side, ok := r.side(run.Release); ok {
			r.dirty = true
			if err := r.block.AddOutcome(side, rollout.Counted{Index: run.Index, Epoch: run.Epoch}, rollout.Run{Index: e.Index, Unit: unit, Metrics: w.event.Metrics}); err != nil {
				return err
			}
		}
	}
	return nil
}

// unit of a run: of this batch, or read back from its receipt.
func (f *fold) unit(run Entry) (uint64, error) {
	if u, ok := f.units[run.EventID]; ok {
		return u, nil
	}
	r, err := receipt.Parse(run.Raw)
	if err != nil {
		return 0, fmt.Errorf("receipt %s: %w", run.EventID, err)
	}
	var body struct {
		UnitID string `json:"unit_id"`
	}
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return 0, fmt.Errorf("receipt %s: %w", run.EventID, err)
	}
	return unitOf(body.UnitID, r.ProbeID, run.EventID), nil
}

// target loads the open epoch of an app and environment, or begins its first one.
func (f *fold) target(app, environment string, index int64, now time.Time) (*target, error) {
	key := [2]string{app, environment}
	if s, ok := f.targets[key]; ok {
		return s, nil
	}
	e, err := f.tx.OpenEpoch(app, environment)
	if errors.Is(err, ErrNotFound) {
		e, err = Epoch{AppID: app, Environment: environment, Number: 1, Span: 1, FirstIndex: index, StartedAt: now}, nil
	}
	if err != nil {
		return nil, err
	}
	s := &target{epoch: e, spans: map[int64]int64{}, cohorts: map[cohortKey]*Cohort{}}
	records, err := f.tx.Rollouts(RolloutFilter{AppID: app, Environment: environment, States: unfinished()}, maxUnfinished)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		b, err := f.tx.OpenBlock(r.ID)
		if err != nil {
			return nil, fmt.Errorf("open block of %s: %w", r.ID, err)
		}
		fl := &filling{record: r}
		if err := json.Unmarshal(b.Doc, &fl.block); err != nil {
			return nil, fmt.Errorf("block %d of %s: %w", b.Number, r.ID, err)
		}
		s.rollouts = append(s.rollouts, fl)
	}
	f.targets[key] = s
	return s, nil
}

// maxUnfinished bounds the rollouts of one app and environment that are watched at once.
const maxUnfinished = 100

func unfinished() []api.State { return []api.State{api.StateActive, api.StatePaused} }

func (f *fold) cohort(s *target, app, environment string, epoch int64, release string, index int64) (*Cohort, error) {
	span, err := f.span(s, epoch)
	if err != nil {
		return nil, err
	}
	key := cohortKey{span, release}
	if c, ok := s.cohorts[key]; ok {
		return c, nil
	}
	c, err := f.tx.Cohort(app, environment, span, release)
	if errors.Is(err, ErrNotFound) {
		c, err = Cohort{AppID: app, Environment: environment, Span: span, Release: release, FirstIndex: index, LastIndex: index}, nil
	}
	if err != nil {
		return nil, err
	}
	if c.Metrics == nil {
		c.Metrics = map[string]stats.Summary{}
	}
	s.cohorts[key] = &c
	return &c, nil
}

// begin ends the open epoch before index and begins a span. Blocks that are being filled go on:
// for what changes no weight, such as a shadow that begins.
func (s *target) begin(index int64, now time.Time) {
	s.ended = append(s.ended, s.epoch)
	s.spans[s.epoch.Number] = s.epoch.Span
	s.epoch.Number++
	s.epoch.Span = s.epoch.Number
	s.epoch.FirstIndex, s.epoch.StartedAt, s.epoch.Runs = index, now, 0
}

// cut ends the open epoch before index, and every block being filled with it, and begins a span.
func (f *fold) cut(s *target, index int64, now time.Time) error {
	s.begin(index, now)
	for _, r := range s.rollouts {
		if err := f.end(s, r, index); err != nil {
			return err
		}
	}
	return nil
}

// end closes the block that a rollout is filling, or drops it if it cannot be
// compared, and begins the next one at index.
func (f *fold) end(s *target, r *filling, index int64) error {
	comparable := r.block.Comparable()
	if comparable {
		r.closed = append(r.closed, r.block)
	}
	r.block = r.block.Next(comparable, s.epoch.Number, index)
	r.dirty = true
	return f.aim(s, r)
}

// aim fixes what the next block's quantiles are held against, from all that the
// baseline has reported since the rollout's evidence began, up to here.
func (f *fold) aim(s *target, r *filling) error {
	metrics := r.block.Aims()
	if len(metrics) == 0 {
		return nil
	}
	baseline := r.record.BaselineRelease
	cohorts, err := f.tx.Cohorts(CohortFilter{
		AppID: s.epoch.AppID, Environment: s.epoch.Environment, FromSpan: r.block.SinceEpoch, Releases: []string{baseline}, Metrics: metrics,
	})
	if err != nil {
		return err
	}
	so := map[string]stats.Summary{}
	merge := func(c Cohort) {
		for _, name := range metrics {
			sum := so[name]
			sum.Merge(c.Metrics[name])
			so[name] = sum
		}
	}
	for _, c := range cohorts {
		if _, changed := s.cohorts[cohortKey{c.Span, baseline}]; !changed {
			merge(c)
		}
	}
	for key, c := range s.cohorts {
		if key.release == baseline && key.span >= r.block.SinceEpoch {
			merge(*c)
		}
	}
	r.block.Aim(func(metric string) stats.Summary { return so[metric] })
	return nil
}

// side says which release of the rollout a run belongs to.
func (r *filling) side(release string) (rollout.Side, bool) {
	switch release {
	case "":
		return 0, false
	case r.record.CandidateRelease:
		return rollout.Candidate, true
	case r.record.BaselineRelease:
		return rollout.Baseline, true
	}
	return 0, false
}

func (r *filling) save(tx Tx) error {
	for i, b := range append(slices.Clone(r.closed), r.block) {
		if i < len(r.closed) {
			b.Seen = nil
		}
		doc, err := json.Marshal(b)
		if err != nil {
			return err
		}
		if err := tx.SaveBlock(BlockRecord{RolloutID: r.record.ID, Number: b.Number, Closed: i < len(r.closed), Doc: doc}); err != nil {
			return err
		}
	}
	return nil
}

// save writes what changed.
func (f *fold) save() error {
	for _, s := range f.targets {
		for _, e := range append(s.ended, s.epoch) {
			if err := f.tx.SaveEpoch(e); err != nil {
				return err
			}
		}
		for _, c := range s.cohorts {
			if err := f.tx.SaveCohort(*c); err != nil {
				return err
			}
		}
		for _, r := range s.rollouts {
			if !r.dirty {
				continue
			}
			if err := r.save(f.tx); err != nil {
				return err
			}
		}
	}
	return nil
}
