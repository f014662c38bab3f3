package evidence_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
)

// nothing is a past without anything in it but one rollout that is filling a block.
type nothing struct{ fills []evidence.Filling }

func (nothing) OpenEpoch(string, string) (evidence.Epoch, error) {
	return evidence.Epoch{}, evidence.ErrNotFound
}

func (nothing) Epoch(string, string, int64) (evidence.Epoch, error) {
	return evidence.Epoch{}, evidence.ErrNotFound
}

func (nothing) Cohort(string, string, int64, string) (evidence.Cohort, error) {
	return evidence.Cohort{}, evidence.ErrNotFound
}
func (nothing) Cohorts(evidence.CohortFilter) ([]evidence.Cohort, error)  { return nil, nil }
func (nothing) EventsOf(string, string, string) ([]evidence.Event, error) { return nil, nil }
func (n nothing) Fillings(string, string) ([]evidence.Filling, error)     { return n.fills, nil }
func (nothing) FirstRun(_, _, _, _ string, _ int64) (evidence.Event, bool, error) {
	return evidence.Event{}, false, nil
}

func filling(t *testing.T, gates ...string) nothing {
	t.Helper()
	var request api.CreateRollout
	for _, text := range gates {
		g, err := api.ParseGate(text)
		if err != nil {
			t.Fatal(err)
		}
		request.Gates = append(request.Gates, g)
	}
	policy, errs := rollout.NewPolicy(request, nil)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	block := rollout.FirstBlock(policy, rollout.History{}, rollout.RuleOf(policy, 0), 1, 0)
	return nothing{[]evidence.Filling{{RolloutID: "rol_1", Baseline: "v1", Candidate: "v2", Block: block}}}
}

var start = time.Date(2026, 5, 15, 18, 42, 0, 0, time.UTC)

func run(index int64, release string, success bool) evidence.Event {
	return evidence.Event{
		Index: index, EventID: fmt.Sprintf("evt_%d", index), Kind: api.KindAgentRun, AppID: "a", Environment: "production", Release: release,
		RunID: fmt.Sprintf("run-%d", index), ProbeID: fmt.Sprintf("probe-%d", index%7), RecordedAt: start,
		Metrics: map[string]api.Metric{"success": api.Bool(success), "latency_ms": api.Number(float64(100 + index%50))},
	}
}

func add(t *testing.T, f *evidence.Fold, e evidence.Event) evidence.Note {
	t.Helper()
	note, err := f.Add(&e)
	if err != nil {
		t.Fatal(err)
	}
	return note
}

// TestEpochsAreCut by counts and by time, stay in their span, and end every block that is being filled.
func TestEpochsAreCut(t *testing.T) {
	f := evidence.NewFold(filling(t, "success"))
	add(t, f, run(0, "v1", true))
	add(t, f, run(1, "v2", true))
	late := run(2, "v1", true)
	late.RecordedAt = start.Add(evidence.EpochTime)
	add(t, f, late)
	c := f.Changes()
	if len(c.Epochs) != 2 || c.Epochs[1].Number != 2 || c.Epochs[1].Span != 1 || c.Epochs[1].FirstIndex != 2 || c.Epochs[0].Runs != 2 {
		t.Errorf("%+v", c.Epochs)
	}
	if len(c.Fillings) != 1 || len(c.Fillings[0].Closed) != 1 || c.Fillings[0].Block.Epoch != 2 || c.Fillings[0].Block.Baseline != 1 {
		t.Errorf("%+v", c.Fillings)
	}
	if len(c.Cohorts) != 2 || c.Cohorts[0].Release != "v1" || c.Cohorts[0].Runs != 2 || c.Cohorts[0].LastIndex != 2 || len(c.Cohorts[0].Epochs) != 2 {
		t.Errorf("%+v", c.Cohorts)
	}
}

// TestSteps: a canary's transition ends the epoch and everybody's block, a shadow's only its own block.
func TestSteps(t *testing.T) {
	for mode, want := range map[api.Mode]int64{api.ModeCanary: 2, api.ModeShadow: 1} {
		f := evidence.NewFold(filling(t, "success"))
		add(t, f, run(0, "v1", true))
		add(t, f, run(1, "v2", true))
		target, err := f.Target("a", "production", 3, start)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.EndStep(target, "rol_1", mode, 25, 3, start); err != nil {
			t.Fatal(err)
		}
		if err := f.EndStep(target, "rol_other", api.ModeShadow, 25, 3, start); err != nil {
			t.Fatal(err)
		}
		got := f.Changes().Fillings[0]
		if target.Epoch.Number != want || target.Epoch.Span != want || len(got.Closed) != 1 || got.Block.StepFrom != 3 || got.Block.Arrivals[1].Weight != 25 {
			t.Errorf("%s: epoch %+v, %d closed, block %+v", mode, target.Epoch, len(got.Closed), got.Block)
		}
	}
}

// TestOutcomes count for their run, once for each metric, or are told apart.
func TestOutcomes(t *testing.T) {
	f := evidence.NewFold(filling(t, "success", "reopened:rate:better=lower"))
	add(t, f, run(0, "v2", true))
	outcome := evidence.Event{
		Index: 1, EventID: "evt_o", Kind: api.KindOutcome, AppID: "a", Environment: "production", RunID: "run-0", RecordedAt: start,
		Metrics: map[string]api.Metric{"reopened": api.Bool(true)},
	}
	if note := add(t, f, outcome); note != evidence.Counted {
		t.Errorf("note %d", note)
	}
	var known *evidence.KnownMetric
	if _, err := f.Add(&outcome); !errors.As(err, &known) || known.Metric != "reopened" || known.EventID != "evt_o" {
		t.Errorf("a metric that is known: %v", err)
	}
	outcome.RunID = "run-9"
	if note := add(t, f, outcome); note != evidence.UnknownRun {
		t.Errorf("of an unknown run: note %d", note)
	}
	nobody := run(3, "", true)
	if note := add(t, f, nobody); note != evidence.NoRelease {
		t.Errorf("without a release: note %d", note)
	}
	b := f.Changes().Fillings[0].Block
	if b.Candidate != 1 || b.Tallies[1].Candidate.N != 1 || b.Tallies[1].Candidate.Ones != 1 {
		t.Errorf("%+v", b.Tallies)
	}
}

// TestPairs: the first run of each release on a probe, whichever comes first.
func TestPairs(t *testing.T) {
	f := evidence.NewFold(filling(t, "success:pair=probe"))
	for i, e := range []struct {
		release string
		probe   int64
		success bool
	}{{"v2", 1, false}, {"v1", 1, true}, {"v1", 1, false}, {"v2", 1, true}, {"v1", 2, true}, {"", 2, false}, {"v2", 2, true}} {
		r := run(int64(i), e.release, e.success)
		r.ProbeID = fmt.Sprintf("p%d", e.probe)
		add(t, f, r)
	}
	got := f.Changes().Fillings[0].Block.Tallies[0]
	if got.Candidate.N != 2 || got.Candidate.Ones != 1 || got.Baseline.Ones != 0 || got.Paired.Both != 1 || got.Paired.BaselineOnly != 1 {
		t.Errorf("%+v", got)
	}
}

// TestHistory: whole cohorts, newest first, until there are enough runs, and none that is old.
func TestHistory(t *testing.T) {
	cohort := func(span, runs int64) evidence.Cohort {
		c := evidence.Cohort{Span: span, Runs: runs, FirstIndex: span * 10_000, LastIndex: span*10_000 + runs, Metrics: map[string]stats.Summary{}}
		var s stats.Summary
		for i := range runs {
			if err := s.Add(float64(i%2), rand.NewPCG(uint64(span), uint64(i)).Uint64()); err != nil {
				t.Fatal(err)
			}
		}
		c.Metrics["success"] = s
		return c
	}
	cohorts := []evidence.Cohort{cohort(1, 600), cohort(2, 600), cohort(3, 600)}
	at := func(age time.Duration) func(int64) (time.Time, error) {
		return func(index int64) (time.Time, error) { return start.Add(-age * time.Duration(4-index/10_000)), nil }
	}
	for name, c := range map[string]struct {
		age   time.Duration
		runs  int64
		first int64
	}{"fresh": {time.Hour, 1200, 20_000}, "the newest only": {20 * 24 * time.Hour, 600, 30_000}, "old": {31 * 24 * time.Hour, 0, 0}} {
		h, err := evidence.History(cohorts, []string{"success", "other"}, start, at(c.age))
		if err != nil || h.Runs != c.runs || h.FirstIndex != c.first || h.Runs > 0 && (len(h.Metrics) != 1 || h.LastIndex != 30_600) {
			t.Errorf("%s: %d runs from %d to %d, %v", name, h.Runs, h.FirstIndex, h.LastIndex, err)
		}
	}
}

// A decision's receipt names the epochs, cohorts and blocks that it rests on.
func Example() {
	policy, _ := rollout.NewPolicy(api.CreateRollout{}, []string{"success"})
	r, err := rollout.New("rol_1", policy, rollout.History{})
	if err != nil {
		panic(err)
	}
	next, d, err := r.Tick(rollout.Evidence{})
	if err != nil {
		panic(err)
	}
	decided, err := evidence.Decide(r, next, d, evidence.Seen{LogSize: 7, Candidate: "v2"})
	if err != nil {
		panic(err)
	}
	text, err := json.Marshal(decided.Evidence)
	if err != nil {
		panic(err)
	}
	fmt.Println(decided.Decision, string(text[:58]))
	// Output: hold {"log_size":7,"step_seconds":0,"strata":[],"blocks":[],"lo
}
