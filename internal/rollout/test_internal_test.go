package rollout

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/stats"
)

func budgeted(gates ...api.Gate) api.Policy {
	return api.Policy{
		Mode: api.ModeCanary, Steps: []int{50, 100}, MinRuns: 30, FirstLook: 5, Gates: gates, Confidence: 0.95,
		Guarantee: api.GuaranteeRollout, ErrorBudget: 0.05, PromoteOn: api.PromoteNotRegressed,
	}
}

// values are n of a mean, from a value up by a step.
func values(t *testing.T, n int, from, step float64) stats.Values {
	t.Helper()
	var v stats.Values
	for i := range n {
		if err := v.Add(from+step*float64(i), uint64(i)*0x9e3779b97f4a7c15+uint64(from)); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// A ledger that was kept as JSON between looks tells nothing else than one that was not.
func TestKeptLedger(t *testing.T) {
	p := budgeted(gate(t, "success"), gate(t, "cost_usd:mean"), gate(t, "latency_ms:p95:on=hold"))
	live, err := NewLedger("rol_kept", p, History{})
	if err != nil {
		t.Fatal(err)
	}
	kept := live
	for number := range int64(3) {
		b := Block{Number: number + 1, Epoch: 1, Tallies: []Tally{
			{Gate: p.Gates[0], Candidate: Counts{N: 10, Ones: 8, Zeros: 2}, Baseline: Counts{N: 10, Ones: 9, Zeros: 1}},
			{Gate: p.Gates[1], Candidate: Counts{N: 8}, Baseline: Counts{N: 8}, CandidateValues: values(t, 8, 2, 1), BaselineValues: values(t, 8, 1, 1)},
			{Gate: p.Gates[2], Candidate: Counts{N: 10, Ones: 1, Zeros: 9}, Baseline: Counts{N: 10, Zeros: 10}, Threshold: bin(7)},
		}}
		doc, err := json.Marshal(kept)
		if err != nil {
			t.Fatal(err)
		}
		var read Ledger
		if err := json.Unmarshal(doc, &read); err != nil {
			t.Fatal(err)
		}
		var a, c []api.Look
		if live, a, err = live.look(p, b); err != nil {
			t.Fatal(err)
		}
		if kept, c, err = read.look(p, b); err != nil {
			t.Fatal(err)
		}
		one, _ := live.StateDigest()
		other, _ := kept.StateDigest()
		if len(a) != 3 || !reflect.DeepEqual(a, c) || one != other || one == "" || live.Digest != kept.Digest {
			t.Errorf("block %d: %+v and %+v", b.Number, a, c)
		}
	}
}

// The test of a mean on pairs has no history.
func TestPairsHaveNoHistory(t *testing.T) {
	h := History{Runs: 100, Metrics: map[string]stats.Summary{"success": rates(t, 100, 90)}}
	for text, same := range map[string]bool{"success:mean:pair=probe": true, "success:pair=probe": true, "success:mean": false, "success": false} {
		g := gate(t, text)
		p := budgeted(g)
		var state [2][]byte
		for i, past := range []History{{}, h} {
			test, err := newTest("seed", g, p, past, 0.05)
			if err != nil {
				t.Fatal(err)
			}
			if state[i], err = test.MarshalBinary(); err != nil {
				t.Fatal(err)
			}
		}
		if bytes.Equal(state[0], state[1]) != same {
			t.Errorf("%s: a history changes it: %t", text, same)
		}
	}
}

// A mean against history looks at the candidate's values alone, in no epoch.
func TestMeanAgainstHistory(t *testing.T) {
	g := gate(t, "success:mean")
	h := History{Runs: 100, Metrics: map[string]stats.Summary{"success": rates(t, 100, 90)}}
	test, err := newTest("seed", g, budgeted(g), h, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	s := stratum{epoch: 7, historical: true, Tally: Tally{Gate: g, CandidateValues: values(t, 10, 0, 0.1), BaselineValues: values(t, 3, 0, 0.1)}}
	next, look, _, err := test.look(g, s)
	if err != nil || !look.Historical || look.Stratum != 0 || look.Baseline.Runs != 100 || look.Candidate.Runs != 10 {
		t.Errorf("%+v %v", look, err)
	}
	s.epoch, s.BaselineValues = 0, stats.Values{}
	again, other, _, err := test.look(g, s)
	a, _ := next.MarshalBinary()
	b, _ := again.MarshalBinary()
	if err != nil || !bytes.Equal(a, b) || !reflect.DeepEqual(look, other) {
		t.Errorf("%+v %v", other, err)
	}
}

// Where the error that a look may spend is less than one of the dealings, no outcome of it is a regression.
func TestMeanThatCannotRegress(t *testing.T) {
	g := gate(t, "cost_usd:mean")
	for budget, want := range map[float64]bool{1e-6: false, 0.05: true} {
		test, err := newTest("seed", g, budgeted(g), History{}, budget)
		if err != nil {
			t.Fatal(err)
		}
		_, look, reachable, err := test.look(g, stratum{epoch: 1, Tally: Tally{Gate: g, CandidateValues: values(t, 20, 1, 1), BaselineValues: values(t, 20, 1, 1)}})
		if err != nil || !look.Tested || reachable != want {
			t.Errorf("budget %v: tested %t, reachable %t, %v", budget, look.Tested, reachable, err)
		}
	}
}

func TestMargins(t *testing.T) {
	base := Counts{N: 100, Ones: 80, Zeros: 20}
	for text, want := range map[string]stats.Margin{
		"success":                     {},
		"success:margin=0.05":         {Absolute: 0.05},
		"success:margin=10%":          {Absolute: 0.1 * 0.8},
		"success:margin=10000%":       {Absolute: 0.999},
		"error:margin=0.05":           {Absolute: 0.05},
		"error:margin=50%":            {OddsRatio: 1.5},
		"latency_ms:p95:margin=10%":   {},
		"latency_ms:p95:margin=20":    {},
		"success:margin=0.05:on=hold": {Absolute: 0.05},
	} {
		if got := marginOf(gate(t, text), base); math.Abs(got.Absolute-want.Absolute) > 1e-15 || got.OddsRatio != want.OddsRatio {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
	for text, want := range map[string]stats.MeanMargin{"cost_usd:mean": {}, "cost_usd:mean:margin=20%": {Relative: 0.2}, "cost_usd:mean:margin=20": {Absolute: 20}} {
		if got := meanMargin(gate(t, text)); got != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}

// Only the tests of rates and means have an interval of their own, and a quiet tick asks for none.
func TestIntervalsOfTests(t *testing.T) {
	for text, has := range map[string]bool{"success": true, "latency_ms:p95": false, "cost_usd:mean": true} {
		g := gate(t, text)
		p := budgeted(g)
		l, err := NewLedger("rol_interval", p, History{})
		if err != nil {
			t.Fatal(err)
		}
		tally := Tally{
			Gate: g, Candidate: Counts{N: 20, Ones: 10, Zeros: 10}, Baseline: Counts{N: 20, Ones: 12, Zeros: 8}, Threshold: bin(7),
			CandidateValues: values(t, 20, 2, 1), BaselineValues: values(t, 20, 1, 1),
		}
		if l, _, err = l.look(p, Block{Number: 1, Epoch: 1, Tallies: []Tally{tally}}); err != nil {
			t.Fatal(err)
		}
		test, err := l.Gates[0].State.of(g)
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := test.interval(g); ok != has || (d != stats.Difference{}) != has {
			t.Errorf("%s: %+v %t", text, d, ok)
		}
		for _, quiet := range []bool{false, true} {
			told, err := l.Gates[0].tested(g, p, quiet)
			if err != nil || (told.Difference != nil) != (has && !quiet) || !told.Tested {
				t.Errorf("%s, quiet %t: %+v %v", text, quiet, told, err)
			}
		}
	}
}

// Without a budget there is no test, and without runs no look.
func TestRefusedTests(t *testing.T) {
	for _, text := range []string{"success", "cost_usd:mean", "cost_usd:mean:pair=probe", "latency_ms:p95"} {
		g := gate(t, text)
		if test, err := newTest("seed", g, budgeted(g), History{}, 0); err == nil || test != nil {
			t.Errorf("%s: no budget: %v", text, err)
		}
		test, err := newTest("seed", g, budgeted(g), History{}, 0.05)
		if err != nil {
			t.Fatal(err)
		}
		if _, look, reachable, err := test.look(g, stratum{}); err == nil || look != (api.Look{}) || reachable {
			t.Errorf("%s: no run: %+v, %v", text, look, err)
		}
	}
}

// A look that is no JSON ends in an error, not in a digest.
func TestChainOfNoNumber(t *testing.T) {
	if got, err := chain("", api.Look{Information: math.NaN()}); err == nil || got != "" {
		t.Errorf("%q", got)
	}
}

// Where units are counted, that they repeat does no harm; every other check stays.
func TestRepeatedUnits(t *testing.T) {
	var c compare.Cohort
	for i := range 60 {
		if err := c.Add(map[string]api.Metric{"success": api.Bool(i%5 > 0)}, uint64(i%10)*0x9e3779b97f4a7c15); err != nil {
			t.Fatal(err)
		}
		c.Mixes.Add("", []string{"m1", "m2"}[i%2], "")
	}
	for unit, want := range map[string]bool{api.UnitRun: true, api.UnitUnit: false} {
		p := budgeted(gate(t, "success"))
		p.Unit = unit
		r, err := New("rol_units", p, History{})
		if err != nil {
			t.Fatal(err)
		}
		v, err := r.verdict(Evidence{Strata: []compare.Stratum{{Epoch: 1, Candidate: c, Baseline: c}}})
		if err != nil {
			t.Fatal(err)
		}
		has := func(name string) bool {
			return slices.ContainsFunc(v.Checks, func(c api.Check) bool { return c.Check == name })
		}
		if has(compare.CheckClustered) != want || !has(compare.CheckMix) {
			t.Errorf("%s: %+v", unit, v.Checks)
		}
	}
}

// Pairs are shown in the newest stratum, if there is one.
func TestWithPairs(t *testing.T) {
	open := Block{Tallies: []Tally{{Gate: gate(t, "success")}, {Gate: gate(t, "success:pair=probe"), Paired: compare.Pairs{Both: 3}}}}
	if got := withPairs(Evidence{Open: open}); got != nil {
		t.Errorf("%+v", got)
	}
	strata := []compare.Stratum{{Epoch: 1}, {Epoch: 2}}
	got := withPairs(Evidence{Open: open, Strata: strata})
	if got[0].Pairs != nil || got[1].Pairs["success"].Both != 3 || strata[1].Pairs != nil {
		t.Errorf("%+v", got)
	}
}
