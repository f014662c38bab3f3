package authority_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/compare"
)

// probes are n runs of a release, every share-th of them of one hard probe and
// the others of five easy ones, all with the same model.
func probes(release string, n, share int) []api.Event {
	events := make([]api.Event, n)
	for i := range events {
		e := event(release, i%10 != 3)
		e.ProbeID, e.Model = fmt.Sprintf("easy-%d", i%5), &api.EventModel{Name: "gpt", Version: "4"}
		if i%share == 0 {
			e.ProbeID = "hard"
		}
		events[i] = e
	}
	return events
}

// TestMixOfATick: a candidate that runs other probes than the baseline beside it
// is warned of in the verdict of a tick and of a compare, within each span.
func TestMixOfATick(t *testing.T) {
	h := newHouse(t)
	h.record(probes("v36", 300, 2)...) // before the rollout, and not beside the candidate: no evidence of it
	ro := h.create(canary("v36", "v37"))
	h.record(probes("v36", 300, 10)...)
	h.record(probes("v37", 60, 10)...)
	same := check(*h.tick(ro.ID).Verdict, compare.CheckMix)
	if same.Status != api.CheckOK || same.Detail != "probes are in the same proportions" {
		t.Errorf("the same probes: %+v", same)
	}
	if ro, err := h.Rollout(h.ctx, h.owner, ro.ID); err != nil || ro.Step != 2 {
		t.Fatalf("step %d, %v: the next span did not begin", ro.Step, err)
	}
	h.record(probes("v36", 300, 10)...)
	for _, r := range h.record(probes("v37", 60, 2)...) {
		if r.Status != api.IngestCreated {
			t.Fatalf("%+v", r.Problem)
		}
	}
	tick := h.tick(ro.ID)
	shift := check(*tick.Verdict, compare.CheckMix)
	if shift.Status != api.CheckWarn || !strings.HasPrefix(shift.Detail, "probes differ in proportion between the releases (distance ") || strings.Contains(shift.Detail, "models") {
		t.Errorf("other probes in the second span: %+v", shift)
	}
	if tick.Rollout.State != api.StateActive {
		t.Errorf("a mix only warns; the rollout is %s", tick.Rollout.State)
	}
	on := check(h.compare(api.CompareRequest{}), compare.CheckMix) // 210 of 900 are hard, and 36 of 120
	if on.Status != api.CheckOK || on.Detail != "probes are in the same proportions" {
		t.Errorf("a compare of all spans: %+v", on)
	}
	if report := h.verifies(); report.Receipts == 0 {
		t.Error("nothing was verified")
	}
}

// TestMixCountsRuns: outcomes add nothing to a mix, and a model with a long name
// has one of bounded length.
func TestMixCountsRuns(t *testing.T) {
	h := newHouse(t)
	run := probed("v36", "p", "r1", success(true))
	run.Model = &api.EventModel{Name: strings.Repeat("ä", api.MaxName)}
	outcome := api.Event{
		Kind: api.KindOutcome, RunID: "r1", ProbeID: "q", Model: &api.EventModel{Name: "judge"},
		Source: api.EventSource{AppID: "claims-agent"}, Metrics: map[string]api.Metric{"solved": api.Bool(true)},
	}
	for _, r := range h.record(run, outcome, event("v36", true)) {
		if r.Status != api.IngestCreated {
			t.Fatalf("%+v", r.Problem)
		}
	}
	var want compare.Mixes
	want.Add("p", strings.Repeat("ä", api.MaxName/2), "")
	want.Add("", "", "")
	cohorts := h.cohorts("v36")
	if len(cohorts) != 1 {
		t.Fatalf("%d cohorts", len(cohorts))
	}
	for name, m := range map[string][2]interface{ MarshalBinary() ([]byte, error) }{
		"probes": {cohorts[0].Mixes.Probes, want.Probes},
		"models": {cohorts[0].Mixes.Models, want.Models},
	} {
		got, _ := m[0].MarshalBinary()
		expected, _ := m[1].MarshalBinary()
		if string(got) != string(expected) {
			t.Errorf("%s: %q, want %q", name, got, expected)
		}
	}
}

// BenchmarkIngestProbes is BenchmarkIngest with more probes than a mix keeps by name, and a model.
func BenchmarkIngestProbes(b *testing.B) {
	for _, kinds := range []int{60, 1000} {
		b.Run(fmt.Sprintf("probes=%d", kinds), func(b *testing.B) {
			h := newHouse(b)
			batch := make([]authority.Submission, 1000)
			for i := range batch {
				e := event("v36", i%10 != 0)
				e.ProbeID, e.Model = fmt.Sprintf("probe-%d", i%kinds), &api.EventModel{Name: "gpt", Version: "4"}
				batch[i] = submission(b, e)
			}
			before := cpuTime()
			for b.Loop() {
				if _, err := h.Record(h.ctx, h.owner, batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N*len(batch)), "CPU-µs/receipt")
		})
	}
}
