package authority_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/compare"
)

// probed is a run of a probe.
func probed(release, probe, runID string, metrics map[string]api.Metric) api.Event {
	return api.Event{
		Kind: api.KindAgentRun, Source: api.EventSource{AppID: "claims-agent", Release: release},
		ProbeID: probe, RunID: runID, Metrics: metrics, Model: &api.EventModel{Name: "m", Version: release},
	}
}

func success(v bool) map[string]api.Metric { return map[string]api.Metric{"success": api.Bool(v)} }

func (h *house) compare(r api.CompareRequest) api.Verdict {
	h.t.Helper()
	r.AppID, r.Baseline, r.Candidate = "claims-agent", "v36", "v37"
	answer, err := h.Compare(h.ctx, h.owner, r)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer.Verdict
}

func check(v api.Verdict, name string) api.Check {
	for _, c := range v.Checks {
		if c.Check == name {
			return c
		}
	}
	return api.Check{}
}

// TestComparePairs: the log's runs are paired as those of a file are, over many
// pages, with outcomes at the probe of their run.
func TestComparePairs(t *testing.T) {
	h := newHouse(t)
	// 1,300 probes a side: the candidate fails on every tenth where the baseline does not, and the other way on every fiftieth.
	var events []api.Event
	for i := range 1300 {
		probe := strconv.Itoa(i)
		events = append(events,
			probed("v36", probe, "b"+probe, success(i%50 != 1)),
			probed("v37", probe, "c"+probe, success(i%10 != 2)))
	}
	events = append(events, probed("v37", "", "", success(true)), probed("v36", "alone", "", success(true)))
	for _, side := range []string{"b", "c"} {
		for i := range 40 {
			events = append(events, api.Event{
				Kind: api.KindOutcome, RunID: side + strconv.Itoa(i), Source: api.EventSource{AppID: "claims-agent"},
				Metrics: map[string]api.Metric{"solved": api.Bool(side == "b" || i%4 > 0)},
			})
		}
	}
	for at := 0; at < len(events); at += 500 {
		for _, r := range h.record(events[at:min(at+500, len(events))]...) {
			if r.Status != api.IngestCreated {
				t.Fatalf("%+v", r.Problem)
			}
		}
	}
	gates := []api.Gate{gateOf(t, "success"), gateOf(t, "solved:rate:better=higher:on=hold")}
	for _, how := range []string{api.PairProbe, api.PairAuto} {
		v := h.compare(api.CompareRequest{Gates: gates, Pair: how})
		s, o := v.Gates[0], v.Gates[1]
		if p := s.Pairs; p == nil || p.PairTable == nil || p.N != 1300 || p.UnpairedCandidate != 1 || p.UnpairedBaseline != 1 ||
			*p.PairTable != (api.PairTable{Both: 1144, CandidateOnly: 26, BaselineOnly: 130, Neither: 0}) {
			t.Errorf("%s: %+v", how, p)
		}
		if s.Verdict != api.Regressed || s.Difference.Method != compare.MethodNewcombePaired || s.Baseline.N != 1300 {
			t.Errorf("%s: %s %+v", how, s.Verdict, s.Difference)
		}
		if o.Pairs == nil || o.Pairs.PairTable == nil || *o.Pairs.PairTable != (api.PairTable{Both: 30, BaselineOnly: 10}) {
			t.Errorf("%s: outcomes %+v", how, o.Pairs)
		}
		if c := check(v, compare.CheckPairing); c.Status != api.CheckOK || !strings.HasPrefix(c.Detail, "paired by probe") {
			t.Errorf("%s: %+v", how, c)
		}
		if c := check(v, compare.CheckMix); c.Status != api.CheckWarn || !strings.Contains(c.Detail, "models differ") || strings.Contains(c.Detail, "probes") {
			t.Errorf("%s: %+v", how, c)
		}
	}
	for name, r := range map[string]api.CompareRequest{
		"nobody asked": {Gates: gates},
		"none":         {Gates: gates, Pair: api.PairNone},
	} {
		v := h.compare(r)
		if v.Gates[0].Pairs != nil || v.Gates[0].Baseline.N != 1301 || check(v, compare.CheckPairing).Status != "" {
			t.Errorf("%s: %+v %+v", name, v.Gates[0], v.Checks)
		}
		if c := check(v, compare.CheckMix); c.Status != api.CheckWarn || !strings.Contains(c.Detail, "most of all m v36: 100.0 % of the baseline, 0.0 % of the candidate") {
			t.Errorf("%s: without reading runs: %+v", name, c)
		}
	}
	one := h.compare(api.CompareRequest{Gates: []api.Gate{gateOf(t, "success:pair=probe"), gates[1]}})
	if one.Gates[0].Pairs == nil || one.Gates[1].Pairs != nil {
		t.Errorf("a gate that asks for pairs itself: %+v", one.Gates)
	}
}

// TestCompareWithoutProbes: auto reads one page of each release and finds nothing to pair.
func TestCompareWithoutProbes(t *testing.T) {
	h := newHouse(t)
	h.traffic("v36", "v37", 40, 2, 4, 4)
	v := h.compare(api.CompareRequest{Pair: api.PairAuto})
	if c := check(v, compare.CheckPairing); v.Gates[0].Pairs != nil || c.Detail != "not paired: the releases have run no probe in common" {
		t.Errorf("%+v %+v", v.Gates[0], c)
	}
	v = h.compare(api.CompareRequest{Pair: api.PairProbe})
	if v.Verdict != api.Insufficient || v.Gates[0].Reason.Code != compare.ReasonNoPairs {
		t.Errorf("%s %+v", v.Verdict, v.Gates[0].Reason)
	}
	r := api.CompareRequest{AppID: "claims-agent", Baseline: "v36", Candidate: "v37", Pair: "unit"}
	_, err := h.Compare(h.ctx, h.owner, r)
	code(t, err, authority.CodeInvalid)
}

func gateOf(t testing.TB, text string) api.Gate {
	t.Helper()
	g, err := api.ParseGate(text)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// BenchmarkComparePaired reads the runs of both releases back and pairs them.
func BenchmarkComparePaired(b *testing.B) {
	const runs = 20_000
	h := newHouse(b)
	batch := make([]authority.Submission, 0, 1000)
	for i := range runs {
		release := []string{"v36", "v37"}[i%2]
		batch = append(batch, submission(b, probed(release, fmt.Sprint(i/2%3000), "", map[string]api.Metric{
			"success": api.Bool(i%9 > 0), "latency_ms": api.Number(float64(i)), "cost_usd": api.Number(0.01),
		})))
		if len(batch) == cap(batch) {
			if _, err := h.Record(h.ctx, h.owner, batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	for b.Loop() {
		if _, err := h.Compare(h.ctx, h.owner, api.CompareRequest{AppID: "claims-agent", Baseline: "v36", Candidate: "v37", Pair: api.PairProbe}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*runs)/b.Elapsed().Seconds(), "runs/s")
}
