package authority

import (
	"fmt"
	"time"
)

// span is that of an epoch.
func (f *fold) span(s *target, epoch int64) (int64, error) {
	if epoch >= s.epoch.Span {
		return s.epoch.Span, nil
	}
	if span, ok := s.spans[epoch]; ok {
		return span, nil
	}
	e, err := f.tx.Epoch(s.epoch.AppID, s.epoch.Environment, epoch)
	if err != nil {
		return 0, fmt.Errorf("epoch %d of %s in %s: %w", epoch, s.epoch.AppID, s.epoch.Environment, err)
	}
	s.spans[epoch] = e.Span
	return e.Span, nil
}

// cutLong cuts the open epoch if it is long enough. Nothing else began, so the
// next one stays in its span unless that is full.
func (f *fold) cutLong(s *target, index int64, now time.Time) error {
	if s.epoch.Runs < EpochRuns && now.Sub(s.epoch.StartedAt) < EpochTime {
		return nil
	}
	span := s.epoch.Span
	if err := f.cut(s, index, now); err != nil {
		return err
	}
	if s.epoch.Number-span < SpanEpochs {
		s.epoch.Span = span
	}
	return nil
}
