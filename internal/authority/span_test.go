package authority_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/internal/stats"
	"github.com/cobound/prova/receipt"
)

// runs records n runs of a release, the first of which fail.
func (h *house) runs(release string, n, failures int) {
	h.t.Helper()
	var events []api.Event
	for i := range n {
		events = append(events, event(release, i >= failures))
	}
	for _, r := range h.record(events...) {
		if r.Status != api.IngestCreated {
			h.t.Fatalf("%+v", r.Problem)
		}
	}
}

func (h *house) cohorts(releases ...string) (all []authority.Cohort) {
	h.t.Helper()
	err := h.Store.View(h.ctx, h.owner.Org, func(s authority.Snapshot) (err error) {
		all, err = s.Cohorts(authority.CohortFilter{AppID: "claims-agent", Environment: api.DefaultEnvironment, Releases: releases})
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

func (h *house) openEpoch() (e authority.Epoch) {
	h.t.Helper()
	err := h.Store.View(h.ctx, h.owner.Org, func(s authority.Snapshot) (err error) {
		e, err = s.OpenEpoch("claims-agent", api.DefaultEnvironment)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return e
}

// setEpoch makes the open epoch look as a longer past would have left it.
func (h *house) setEpoch(e authority.Epoch) {
	h.t.Helper()
	err := h.Store.Update(h.ctx, h.owner.Org, func(tx authority.Tx) error {
		if _, err := tx.LockHead(); err != nil {
			return err
		}
		return tx.SaveEpoch(e)
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// TestSpan: epochs that are cut by time share one row for each release, and a
// base rate that drifts from one to the next is not pooled.
func TestSpan(t *testing.T) {
	h := newHouse(t)
	h.runs("v36", 3, 0)
	r := h.create(canary("v36", "v37"))
	span := h.openEpoch().Number
	h.runs("v36", 190, 19) // 10 % fail
	h.runs("v37", 10, 1)
	h.clock.pass(evidence.EpochTime)
	h.runs("v36", 10, 5) // 50 % fail
	h.runs("v37", 190, 95)

	if open := h.openEpoch(); open.Number != span+1 || open.Span != span || open.Runs != 200 {
		t.Errorf("open epoch %+v, want the second of span %d", open, span)
	}
	all := h.cohorts("v36", "v37")
	if len(all) != 3 || all[1].Span != span || all[2].Span != span || all[1].Runs != 200 || all[2].Runs != 200 {
		t.Fatalf("%d cohorts: %+v", len(all), all)
	}
	if got, want := all[1].MetricEpochs["success"], (stats.EpochCounts{{Epoch: span, Count: 190, Ones: 171}, {Epoch: span + 1, Count: 10, Ones: 5}}); !slices.Equal(got, want) {
		t.Errorf("baseline %v, want %v", got, want)
	}
	if got, want := all[2].Epochs, (stats.EpochCounts{{Epoch: span, Count: 10}, {Epoch: span + 1, Count: 190}}); !slices.Equal(got, want) {
		t.Errorf("candidate's runs %v, want %v", got, want)
	}

	tick := h.tick(r.ID)
	success := tick.Verdict.Gates[0]
	if d := success.OneLook; d.Strata != 2 || d.Estimate != 0 {
		t.Errorf("one look %+v, want no difference in each of 2 epochs", d)
	}
	if *success.Candidate.Value != 94.0/200+10.0/200 {
		t.Errorf("candidate %v", *success.Candidate.Value)
	}
	var strata []struct{ Span int64 }
	h.evidence(tick.Decision.EventID, &strata)
	if len(strata) != 1 || strata[0].Span != span {
		t.Errorf("the receipt names %v, want span %d", strata, span)
	}
	h.verifies()
}

// evidence reads the strata that a decision's receipt names.
func (h *house) evidence(eventID string, strata any) {
	h.t.Helper()
	err := h.Store.View(h.ctx, h.owner.Org, func(s authority.Snapshot) error {
		e, err := s.Entry(eventID)
		if err != nil {
			return err
		}
		r, err := receipt.Parse(e.Raw)
		if err != nil {
			return err
		}
		var body struct {
			Evidence struct {
				Strata json.RawMessage `json:"strata"`
			} `json:"evidence"`
		}
		if err := json.Unmarshal(r.Body, &body); err != nil {
			return err
		}
		return json.Unmarshal(body.Evidence.Strata, strata)
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// TestSpanBegins: with a canary, a shadow and a transition, and where nothing else does, when it is full.
func TestSpanBegins(t *testing.T) {
	h := newHouse(t)
	begins := func(what string, do func()) {
		t.Helper()
		before := h.openEpoch()
		do()
		if after := h.openEpoch(); after.Number <= before.Number || after.Span != after.Number {
			t.Errorf("%s: %+v after %+v", what, after, before)
		}
	}
	h.runs("v36", 1, 0)
	if first := h.openEpoch(); first.Number != 1 || first.Span != 1 {
		t.Errorf("first epoch %+v", first)
	}
	var r api.Rollout
	begins("canary", func() { r = h.create(canary("v36", "v37")) })
	begins("shadow", func() {
		shadow := canary("v36", "v38")
		shadow.Mode = api.ModeShadow
		h.create(shadow)
	})
	h.traffic("v36", "v37", 30, 19, 3, 57)
	begins("transition", func() {
		if tick := h.tick(r.ID); tick.Decision.Decision != api.Promote {
			t.Errorf("%+v", tick.Decision)
		}
	})
	for _, c := range []struct {
		number int64
		age    time.Duration // of the span when the next run comes
		ends   bool
	}{
		{2, evidence.EpochTime, false},
		{evidence.SpanEpochs - 1, evidence.EpochTime, false},
		{evidence.SpanEpochs, evidence.EpochTime, true},
		{1, evidence.SpanTime - time.Millisecond, false},
		{1, evidence.SpanTime, true},
		{3, evidence.SpanTime - time.Millisecond, false},
		{3, evidence.SpanTime, true},
	} {
		h := newHouse(t)
		first := authority.Epoch{AppID: "claims-agent", Environment: api.DefaultEnvironment, Number: 1, Span: 1, StartedAt: h.clock.now(), Runs: 1}
		h.setEpoch(first)
		h.clock.pass(c.age - evidence.EpochTime)
		if c.number > 1 {
			last := first
			last.Number, last.StartedAt = c.number, h.clock.now()
			h.setEpoch(last)
		}
		h.clock.pass(evidence.EpochTime)
		h.runs("v36", 1, 0)
		if got := h.openEpoch(); got.Number != c.number+1 || (got.Span == got.Number) != c.ends || !c.ends && got.Span != 1 {
			t.Errorf("after epoch %d of a span of %s: %+v", c.number, c.age, got)
		}
	}
}

// TestEpochIsCutBySize: within a batch, and both epochs keep their number of runs.
func TestEpochIsCutBySize(t *testing.T) {
	h := newHouse(t)
	h.runs("v36", 3, 0)
	e := h.openEpoch()
	e.Runs = evidence.EpochRuns - 2
	h.setEpoch(e)
	h.runs("v36", 5, 1)
	if open := h.openEpoch(); open.Number != 2 || open.Span != 1 || open.Runs != 3 || open.FirstIndex != e.FirstIndex+5 {
		t.Errorf("open epoch %+v", open)
	}
	err := h.Store.View(h.ctx, h.owner.Org, func(s authority.Snapshot) error {
		ended, err := s.Epoch("claims-agent", api.DefaultEnvironment, 1)
		if ended.Runs != evidence.EpochRuns {
			t.Errorf("ended epoch %+v", ended)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	want := stats.EpochCounts{{Epoch: 1, Count: 5, Ones: 4}, {Epoch: 2, Count: 3, Ones: 3}}
	if all := h.cohorts("v36"); len(all) != 1 || !slices.Equal(all[0].MetricEpochs["success"], want) {
		t.Errorf("%+v", all)
	}
}

// TestOutcomeOfAnOldRun counts in the epoch and the span of its run.
func TestOutcomeOfAnOldRun(t *testing.T) {
	h := newHouse(t)
	run := func(id string) api.Event {
		e := event("v36", true)
		e.RunID = id
		return e
	}
	outcome := func(id string) api.Event {
		return api.Event{
			Kind: api.KindOutcome, RunID: id, Source: api.EventSource{AppID: "claims-agent"},
			Metrics: map[string]api.Metric{"reopened": api.Bool(true)},
		}
	}
	h.record(run("first"), run("other"))
	h.clock.pass(evidence.EpochTime)
	h.record(run("second"))
	h.create(canary("v36", "v37")) // a span of its own
	h.record(run("third"))
	h.clock.pass(25 * time.Hour)
	for _, r := range h.record(run("fourth"), outcome("fourth"), outcome("first"), outcome("third"), outcome("second"), outcome("other")) {
		if r.Status != api.IngestCreated || r.Note != "" {
			t.Errorf("%+v", r)
		}
	}
	all := h.cohorts("v36")
	if len(all) != 2 {
		t.Fatalf("%+v", all)
	}
	for i, want := range []stats.EpochCounts{
		{{Epoch: 1, Count: 2, Ones: 2}, {Epoch: 2, Count: 1, Ones: 1}},
		{{Epoch: 3, Count: 1, Ones: 1}, {Epoch: 4, Count: 1, Ones: 1}},
	} {
		if all[i].Span != want[0].Epoch || !slices.Equal(all[i].MetricEpochs["reopened"], want) {
			t.Errorf("span %d: %v, want %v", all[i].Span, all[i].MetricEpochs["reopened"], want)
		}
	}
}
