package authority

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/receipt"
)

// past gives the fold what a transaction reads. It lives within one that holds the head's lock.
type past struct{ Tx }

func newFold(tx Tx) *evidence.Fold { return evidence.NewFold(past{tx}) }

// EventsOf reads a run and its outcomes back from their receipts.
func (p past) EventsOf(appID, environment, runID string) ([]evidence.Event, error) {
	entries, err := p.RunEntries(appID, environment, runID)
	if err != nil {
		return nil, err
	}
	events := make([]evidence.Event, len(entries))
	for i, e := range entries {
		if events[i], err = eventOf(e); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// FirstRun finds the first run of a release on a probe.
func (p past) FirstRun(appID, environment, release, probeID string, from int64) (evidence.Event, bool, error) {
	found, err := p.Entries(EntryFilter{
		Kind: api.KindAgentRun, AppID: appID, Environment: environment, Release: release, ProbeID: probeID, From: from,
	}, 1)
	if err != nil || len(found) == 0 {
		return evidence.Event{}, false, err
	}
	e, err := eventOf(found[0])
	return e, err == nil, err
}

// Fillings lists the unfinished rollouts with the blocks that they are filling.
func (p past) Fillings(appID, environment string) ([]evidence.Filling, error) {
	records, err := p.Rollouts(RolloutFilter{AppID: appID, Environment: environment, States: unfinished()}, maxUnfinished)
	if err != nil {
		return nil, err
	}
	fillings := make([]evidence.Filling, len(records))
	for i, r := range records {
		if fillings[i], err = fillingOf(p.Tx, r); err != nil {
			return nil, err
		}
	}
	return fillings, nil
}

func fillingOf(tx Tx, r RolloutRecord) (evidence.Filling, error) {
	f := evidence.Filling{RolloutID: r.ID, Baseline: r.BaselineRelease, Candidate: r.CandidateRelease}
	b, err := tx.OpenBlock(r.ID)
	if err != nil {
		return f, fmt.Errorf("open block of %s: %w", r.ID, err)
	}
	if err := json.Unmarshal(b.Doc, &f.Block); err != nil {
		return f, fmt.Errorf("block %d of %s: %w", b.Number, r.ID, err)
	}
	return f, nil
}

// maxUnfinished bounds the rollouts of one app and environment that are watched at once.
const maxUnfinished = 100

func unfinished() []api.State { return []api.State{api.StateActive, api.StatePaused} }

// eventOf reads an event back from its receipt.
func eventOf(e Entry) (evidence.Event, error) {
	r, err := receipt.Parse(e.Raw)
	if err != nil {
		return evidence.Event{}, fmt.Errorf("receipt %s: %w", e.EventID, err)
	}
	event, err := evidence.EventOf(r)
	if err != nil {
		return evidence.Event{}, fmt.Errorf("receipt %s: %w", e.EventID, err)
	}
	event.Index, event.Epoch = e.Index, e.Epoch
	return event, nil
}

// saveChanges writes what a fold leaves.
func saveChanges(tx Tx, c evidence.Changes) error {
	for _, e := range c.Epochs {
		if err := tx.SaveEpoch(e); err != nil {
			return err
		}
	}
	for _, cohort := range c.Cohorts {
		if err := tx.SaveCohort(cohort); err != nil {
			return err
		}
	}
	for _, f := range c.Fillings {
		if err := saveBlocks(tx, f); err != nil {
			return err
		}
	}
	return nil
}

// saveBlocks writes the blocks that a rollout closed, and the open one.
func saveBlocks(tx Tx, f evidence.Filling) error {
	for i, b := range append(slices.Clone(f.Closed), f.Block) {
		if i < len(f.Closed) {
			b.Seen = nil
		}
		doc, err := json.Marshal(b)
		if err != nil {
			return err
		}
		if err := tx.SaveBlock(BlockRecord{RolloutID: f.RolloutID, Number: b.Number, Closed: i < len(f.Closed), Doc: doc}); err != nil {
			return err
		}
	}
	return nil
}
