package authority

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// Findings is what is known of a rollout at one moment, without a tick.
type Findings struct {
	Rollout api.Rollout
	// Decisions is the newest part of the time line, oldest first; Older says that there is more before it.
	Decisions []api.Decision
	Older     bool
	// Verdict is that of the decision Of, the newest that has one; both are nil before the first.
	Verdict *api.Verdict
	Of      *api.Decision
	// Observed counts the runs since the weight last changed; it is nil once the rollout has ended.
	Observed *Observed
	// Waiting: a closed block waits for a tick to look at it.
	Waiting bool
}

// Observed is how many runs of both releases came.
type Observed struct{ Candidate, Baseline int64 }

// Findings reads a rollout with up to most of its newest decisions. It never ticks.
func (a *Authority) Findings(ctx context.Context, p Principal, id string, most int) (Findings, error) {
	var f Findings
	if err := p.need(api.ReleaseRead); err != nil {
		return f, err
	}
	err := a.Store.View(ctx, p.Org, func(s Snapshot) error {
		f = Findings{}
		record, err := s.Rollout(id)
		if err != nil {
			return err
		}
		if !p.sees(record.Environment) {
			return ErrNotFound
		}
		kept, err := open(record)
		if err != nil {
			return err
		}
		f.Rollout = kept.view()
		before := max(kept.Sequence-int64(most), 0)
		f.Older = before > 0
		if f.Decisions, err = s.Decisions(id, before, most); err != nil {
			return err
		}
		if err := f.readVerdict(s); err != nil || kept.Core.State.Finished() {
			return err
		}
		waiting, err := s.ClosedBlocks(id, kept.Core.Ledger.Block, 1)
		if err != nil {
			return err
		}
		f.Waiting = len(waiting) > 0
		f.Observed, err = observed(s, kept)
		return err
	})
	return f, storeError("rollout", err)
}

// readVerdict finds the newest decision with a verdict and reads that from its receipt.
func (f *Findings) readVerdict(s Snapshot) error {
	for i := len(f.Decisions) - 1; i >= 0 && f.Of == nil; i-- {
		if f.Decisions[i].Verdict != "" {
			f.Of = &f.Decisions[i]
		}
	}
	if f.Of == nil {
		return nil
	}
	var err error
	f.Verdict, err = verdictOf(s, f.Of.EventID)
	return err
}

// verdictOf is the verdict in the receipt of a decision; nil if it has none.
func verdictOf(s Snapshot, eventID string) (*api.Verdict, error) {
	e, err := s.Entry(eventID)
	if err != nil {
		return nil, err
	}
	r, err := receipt.Parse(e.Raw)
	if err != nil {
		return nil, fmt.Errorf("receipt %s: %w", eventID, err)
	}
	var body struct {
		Verdict *api.Verdict `json:"verdict"`
	}
	err = json.Unmarshal(r.Body, &body)
	return body.Verdict, err
}

// observed counts the runs of both releases in the span that is open: no weight changed in it.
func observed(s Snapshot, r stored) (*Observed, error) {
	epoch, err := s.OpenEpoch(r.AppID, r.Environment)
	if errors.Is(err, ErrNotFound) {
		return &Observed{}, nil
	}
	if err != nil {
		return nil, err
	}
	cohorts, err := s.Cohorts(CohortFilter{
		AppID: r.AppID, Environment: r.Environment, FromSpan: epoch.Span,
		Releases: []string{r.BaselineRelease, r.CandidateRelease}, Metrics: noMetrics(),
	})
	o := &Observed{}
	for _, c := range cohorts {
		if c.Release == r.CandidateRelease {
			o.Candidate += c.Runs
		} else {
			o.Baseline += c.Runs
		}
	}
	return o, err
}

// noMetrics reads cohorts without summaries: no metric has an empty name.
func noMetrics() []string { return []string{""} }

// Total is the number of runs of both.
func (o Observed) Total() int64 { return o.Candidate + o.Baseline }

// Share is the candidate's share of the runs, 0 where there is none.
func (o Observed) Share() float64 {
	if o.Total() == 0 {
		return 0
	}
	return float64(o.Candidate) / float64(o.Total())
}
