package authority_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

func (h *house) findings(id string, most int) authority.Findings {
	h.t.Helper()
	f, err := h.Findings(h.ctx, h.owner, id, most)
	if err != nil {
		h.t.Fatal(err)
	}
	return f
}

func TestFindings(t *testing.T) {
	h := newHouse(t)
	id := h.create(canary("v36", "v37")).ID
	f := h.findings(id, 10)
	if f.Rollout.ID != id || f.Verdict != nil || f.Of != nil || f.Decisions != nil || f.Older || f.Waiting || f.Observed == nil || *f.Observed != (authority.Observed{}) {
		t.Errorf("a new one: %+v", f)
	}
	h.traffic("v36", "v37", 40, 19, 3, 76)
	size := h.verifies().Size
	f = h.findings(id, 10)
	if !f.Waiting || *f.Observed != (authority.Observed{Candidate: 40, Baseline: 760}) || f.Verdict != nil {
		t.Errorf("before the tick: %+v", f)
	}
	if h.verifies().Size != size {
		t.Error("reading wrote to the log")
	}
	tick := h.tick(id)
	f = h.findings(id, 10)
	if f.Waiting || f.Verdict == nil || f.Verdict.Reason.Text != tick.Verdict.Reason.Text || len(f.Verdict.Gates) != 1 || f.Verdict.Gates[0].Candidate.N != 40 ||
		f.Of == nil || f.Of.Sequence != tick.Decision.Sequence || *f.Observed != (authority.Observed{}) {
		t.Errorf("after the tick: %+v", f)
	}
	// An operator's action has no verdict: the one before it is shown.
	if _, err := h.Pause(h.ctx, h.owner, id, "because"); err != nil {
		t.Fatal(err)
	}
	f = h.findings(id, 10)
	if len(f.Decisions) != 3 || f.Of == nil || f.Of.Sequence != 2 || f.Verdict == nil || f.Older {
		t.Errorf("after a pause: %+v", f)
	}
	if f = h.findings(id, 1); len(f.Decisions) != 1 || f.Decisions[0].Sequence != 3 || !f.Older || f.Verdict != nil {
		t.Errorf("the newest one: %+v", f)
	}
	if _, err := h.Abort(h.ctx, h.owner, id, "because"); err != nil {
		t.Fatal(err)
	}
	if f = h.findings(id, 10); f.Observed != nil || f.Waiting || f.Verdict == nil {
		t.Errorf("after its end: %+v", f)
	}
	_, err := h.Findings(h.ctx, authority.Principal{Org: "default", Permissions: []api.Permission{api.AuditRead}}, id, 1)
	code(t, err, authority.CodeForbidden)
	_, err = h.Findings(h.ctx, authority.Principal{Org: "default", Permissions: api.Permissions(), Environment: "staging"}, id, 1)
	code(t, err, authority.CodeNotFound)
	_, err = h.Findings(h.ctx, h.owner, "rol_nobody", 1)
	code(t, err, authority.CodeNotFound)
}

func replayed(release, probe string, success bool) api.Event {
	e := event(release, success)
	e.ProbeID = probe
	return e
}

func TestInputs(t *testing.T) {
	h := newHouse(t)
	h.record(replayed("v37", "before", false), replayed("v36", "before", true))
	h.clock.pass(time.Minute)
	id := h.create(canary("v36", "v37")).ID
	inputs := func() *authority.Inputs {
		t.Helper()
		in, err := h.Inputs(h.ctx, h.owner, id, 2)
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	if in := inputs(); in != nil {
		t.Errorf("without runs: %+v", in)
	}
	h.record(event("v36", true), event("v37", false))
	if in := inputs(); in != nil {
		t.Errorf("without probes: %+v", in)
	}
	for i := range 10 {
		name := "claim-" + strconv.Itoa(i)
		h.record(replayed("v36", name, i != 0), replayed("v37", name, i < 7))
	}
	in := inputs()
	if in == nil || in.Worse != 3 || in.Better != 1 || len(in.Changed) != 2 || in.Changed[0].Probe != "claim-7" || in.Changed[1].Probe != "claim-8" || in.Gate.Metric != "success" {
		t.Fatalf("%+v", in)
	}
	if p := in.Pairs; p.N != 10 || p.PairTable == nil || *p.PairTable != (api.PairTable{Both: 6, CandidateOnly: 1, BaselineOnly: 3}) || p.UnpairedCandidate != 1 || p.UnpairedBaseline != 1 {
		t.Errorf("%+v %+v", p, p.PairTable)
	}
	_, err := h.Inputs(h.ctx, authority.Principal{Org: "default", Permissions: api.Permissions(), Environment: "staging"}, id, 1)
	code(t, err, authority.CodeNotFound)
}
