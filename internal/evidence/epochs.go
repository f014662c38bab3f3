package evidence

import (
	"fmt"
	"slices"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// span is that of an epoch.
func (f *Fold) span(t *Target, epoch int64) (int64, error) {
	if epoch >= t.Epoch.Span {
		return t.Epoch.Span, nil
	}
	if span, ok := t.spans[epoch]; ok {
		return span, nil
	}
	e, err := f.past.Epoch(t.Epoch.AppID, t.Epoch.Environment, epoch)
	if err != nil {
		return 0, fmt.Errorf("epoch %d of %s in %s: %w", epoch, t.Epoch.AppID, t.Epoch.Environment, err)
	}
	t.spans[epoch] = e.Span
	return e.Span, nil
}

// cutLong cuts the open epoch if it is long enough. Nothing else began, so the
// next one stays in its span unless that is full, or old.
func (f *Fold) cutLong(t *Target, index int64, now time.Time) error {
	if t.Epoch.Runs < EpochRuns && now.Sub(t.Epoch.StartedAt) < EpochTime {
		return nil
	}
	span := t.Epoch.Span
	began, err := f.spanBegan(t)
	if err != nil {
		return err
	}
	if err := f.Cut(t, index, now); err != nil {
		return err
	}
	if t.Epoch.Number-span < SpanEpochs && now.Sub(began) < SpanTime {
		t.Epoch.Span = span
	}
	return nil
}

// spanBegan is when the first epoch of the open span began.
func (f *Fold) spanBegan(t *Target) (time.Time, error) {
	first := t.Epoch
	if first.Number != first.Span {
		if i := slices.IndexFunc(t.ended, func(e Epoch) bool { return e.Number == first.Span }); i >= 0 {
			return t.ended[i].StartedAt, nil
		}
		var err error
		if first, err = f.past.Epoch(first.AppID, first.Environment, first.Span); err != nil {
			return time.Time{}, fmt.Errorf("epoch %d of %s in %s: %w", t.Epoch.Span, t.Epoch.AppID, t.Epoch.Environment, err)
		}
	}
	return first.StartedAt, nil
}

// Begin ends the open epoch before index and begins a span. Blocks that are
// being filled go on: for what changes no weight, such as a shadow that begins.
func (t *Target) Begin(index int64, now time.Time) {
	t.ended = append(t.ended, t.Epoch)
	t.spans[t.Epoch.Number] = t.Epoch.Span
	t.Epoch.Number++
	t.Epoch.Span = t.Epoch.Number
	t.Epoch.FirstIndex, t.Epoch.StartedAt, t.Epoch.Runs = index, now, 0
}

// Cut ends the open epoch before index, and every block being filled with it, and begins a span.
func (f *Fold) Cut(t *Target, index int64, now time.Time) error {
	t.Begin(index, now)
	for _, r := range t.Rollouts {
		if err := f.End(t, r, index); err != nil {
			return err
		}
	}
	return nil
}

// End closes the block that a rollout is filling, or drops it if it cannot be
// compared, and begins the next one at index.
func (f *Fold) End(t *Target, r *Filling, index int64) error {
	comparable := r.Block.Comparable()
	if comparable {
		r.Closed = append(r.Closed, r.Block)
	}
	r.Block = r.Block.Next(comparable, t.Epoch.Number, index)
	r.dirty = true
	return f.aim(t, r)
}

// EndStep ends what a transition of a rollout ends before index: of a canary,
// whose weight changes, the epoch with every block that is being filled; of a
// shadow only its own block, because nothing changed for anybody else.
func (f *Fold) EndStep(t *Target, rolloutID string, mode api.Mode, weight int, index int64, now time.Time) error {
	if mode != api.ModeShadow {
		if err := f.Cut(t, index, now); err != nil {
			return err
		}
	}
	for _, r := range t.Rollouts {
		if r.RolloutID != rolloutID {
			continue
		}
		if mode == api.ModeShadow {
			if err := f.End(t, r, index); err != nil {
				return err
			}
		}
		r.Block.BeginStep(weight, index)
		r.dirty = true
	}
	return nil
}

// aim fixes what the next block's quantiles are held against, from all that the
// baseline has reported since the rollout's evidence began, up to here.
func (f *Fold) aim(t *Target, r *Filling) error {
	metrics := r.Block.Aims()
	if len(metrics) == 0 {
		return nil
	}
	cohorts, err := f.past.Cohorts(CohortFilter{
		AppID: t.Epoch.AppID, Environment: t.Epoch.Environment, FromSpan: r.Block.SinceEpoch, Releases: []string{r.Baseline}, Metrics: metrics,
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
		if _, changed := t.cohorts[cohortKey{c.Span, r.Baseline}]; !changed {
			merge(c)
		}
	}
	for key, c := range t.cohorts { // summaries do not depend on the order
		if key.release == r.Baseline && key.span >= r.Block.SinceEpoch {
			merge(*c)
		}
	}
	r.Block.Aim(func(metric string) stats.Summary { return so[metric] })
	return nil
}
