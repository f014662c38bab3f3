package rollout

import (
	"testing"
	"time"

	"github.com/cobound/prova/api"
)

// A span of time is written in the unit that a person would use, rounded.
func TestAbout(t *testing.T) {
	for seconds, want := range map[int64]string{
		0: "1 s", 1: "1 s", 89: "89 s", 90: "2 min", 149: "2 min", 150: "3 min", 90*60 - 1: "90 min",
		90 * 60: "2 h", 9000 - 1: "2 h", 9000: "3 h", 48*3600 - 1: "48 h", 48 * 3600: "2 days", 216000 - 1: "2 days", 216000: "3 days", 12 * 86400: "12 days",
	} {
		if got := about(seconds); got != want {
			t.Errorf("%d seconds: %q, want %q", seconds, got, want)
		}
	}
}

// The rest is expected at the pace of the last step; nothing is said where nothing can be known.
func TestExpected(t *testing.T) {
	r := Rollout{Policy: api.Policy{MinRuns: 30, Gates: []api.Gate{{On: api.OnRollback}}}}
	for _, c := range []struct {
		fresh    int64
		age      time.Duration
		arrivals []Arrival
		want     string
		seconds  any
	}{
		{10, 20 * time.Second, []Arrival{{Candidate: 1000}, {Candidate: 10}}, "; at this pace the rest is in after 40 s", int64(40)},
		{29, time.Second, []Arrival{{Candidate: 2}}, "; at this pace the rest is in after 1 s", int64(0)},
		{10, time.Minute, []Arrival{{Baseline: 7}}, "; no candidate run has come at this weight yet", nil},
		{10, time.Second - 1, []Arrival{{Candidate: 10}}, "", nil},
		{30, time.Minute, []Arrival{{Candidate: 30}}, "", nil},
		{31, time.Minute, []Arrival{{Candidate: 31}}, "", nil},
		{10, time.Minute, nil, "", nil},
	} {
		r.Fresh = []int64{c.fresh}
		params := map[string]any{}
		got := r.expected(Evidence{Open: Block{Arrivals: c.arrivals}, StepAge: c.age}, params)
		if got != c.want || params["expected_seconds"] != c.seconds {
			t.Errorf("%+v: %q %v", c, got, params)
		}
	}
}

// The order of the outcomes that are asked for counts before that of the gates.
func TestWorst(t *testing.T) {
	v := api.Verdict{Gates: []api.GateResult{
		{Gate: api.Gate{Metric: "a", On: api.OnHold}, Verdict: api.Insufficient},
		{Gate: api.Gate{Metric: "b", On: api.OnRollback}, Verdict: api.Insufficient},
		{Gate: api.Gate{Metric: "c", On: api.OnWarn}, Verdict: api.Regressed},
		{Gate: api.Gate{Metric: "d", On: api.OnRollback}, Verdict: api.Insufficient},
	}}
	if g, found := worst(v, api.Insufficient, api.OnRollback, api.OnHold); !found || g.Metric != "b" {
		t.Errorf("%+v", g)
	}
	if g, found := worst(v, api.Insufficient, api.OnHold); !found || g.Metric != "a" {
		t.Errorf("%+v", g)
	}
	if g, found := worst(v, api.Regressed, api.OnRollback, api.OnHold); found {
		t.Errorf("a warning decides: %+v", g)
	}
}

// What keeps a rollout from advancing is said in this order.
func TestHoldsInOrder(t *testing.T) {
	result := func(outcome api.Outcome, on api.On, code string) api.GateResult {
		return api.GateResult{Gate: api.Gate{On: on}, Verdict: outcome, Reason: api.Reason{Code: code}}
	}
	all := api.Verdict{
		Gates: []api.GateResult{
			result(api.Regressed, api.OnHold, "h"), result(api.Insufficient, api.OnHold, "i"), result(api.Regressed, api.OnWarn, "w"), result(api.Insufficient, api.OnWarn, "w"),
		},
		Checks: []api.Check{{Check: "warned", Status: api.CheckWarn}, {Check: "held", Status: api.CheckHold}},
	}
	all.Pairwise = &api.PairwiseResult{On: api.OnHold, Verdict: api.Insufficient, Reason: api.Reason{Code: ReasonPairwiseMissing}}
	r := Rollout{State: api.StatePaused, Step: 1, Fresh: []int64{29}, Policy: api.Policy{Steps: []int{5, 100}, MinRuns: 30, Gates: []api.Gate{{On: api.OnRollback}}}}
	e := Evidence{More: true}
	expect := func(want string) {
		t.Helper()
		if reason, held := r.holds(all, e); held != (want != "") || reason.Code != want {
			t.Errorf("%s, want %s", reason.Code, want)
		}
	}
	expect(ReasonCatchingUp)
	e.More = false
	expect(ReasonPaused)
	r.State = api.StateActive
	expect(ReasonHoldGate)
	all.Pairwise.Verdict, all.Pairwise.Reason.Code = api.Regressed, ReasonPairwiseRegressed
	expect(ReasonHoldGate)
	all.Gates = all.Gates[1:]
	expect(ReasonPairwiseRegressed)
	all.Pairwise.Verdict, all.Pairwise.Reason.Code = api.Insufficient, ReasonPairwiseMissing
	expect(ReasonCheck)
	all.Checks = all.Checks[:1]
	expect("i")
	all.Gates = all.Gates[1:]
	expect(ReasonPairwiseMissing)
	all.Pairwise = nil
	expect(ReasonFreshRuns)
	r.Fresh[0] = 30
	expect("")
}
