package rollout

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/stats"
)

// rates are n values of which so many are ones.
func rates(t *testing.T, n, ones int) stats.Summary {
	t.Helper()
	var s stats.Summary
	for i := range n {
		v := 0.0
		if i < ones {
			v = 1
		}
		if err := s.Add(v, uint64(i)*0x9e3779b97f4a7c15); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// side is a cohort with one metric, "success".
func side(t *testing.T, n, ones int) compare.Cohort {
	t.Helper()
	var c compare.Cohort
	c.Merge(int64(n), map[string]stats.Summary{"success": rates(t, n, ones)})
	return c
}

// The ratio is asked over all steps that declare a weight, and the step that is off is named.
func TestSampleRatioOfSteps(t *testing.T) {
	canary := Rollout{Policy: api.Policy{Mode: api.ModeCanary, SRM: api.SRMWarn}}
	for name, c := range map[string]struct {
		arrivals []Arrival
		status   string
		says     string
	}{
		"none yet":             {nil, "", ""},
		"no runs yet":          {[]Arrival{{Weight: 5}, {Weight: 25}}, "", ""},
		"one side only":        {[]Arrival{{Weight: 5, Baseline: 10}}, api.CheckOK, "0.0 % of the 10 runs at 5%"},
		"the last with runs":   {[]Arrival{{Weight: 5, Candidate: 30, Baseline: 570}, {Weight: 25, Candidate: 1, Baseline: 3}, {Weight: 50}}, api.CheckOK, "25.0 % of the 4 runs at 25%"},
		"the first is off":     {[]Arrival{{Weight: 5, Candidate: 300, Baseline: 300}, {Weight: 25, Candidate: 10, Baseline: 30}}, api.CheckWarn, "50.0 % of the 600 runs at 5%: the traffic does not follow"},
		"the second is off":    {[]Arrival{{Weight: 5, Candidate: 5, Baseline: 95}, {Weight: 25, Candidate: 90, Baseline: 10}, {Weight: 50, Candidate: 5, Baseline: 5}}, api.CheckWarn, "90.0 % of the 100 runs at 25%: the traffic does not follow"},
		"both are off":         {[]Arrival{{Weight: 5, Candidate: 60, Baseline: 40}, {Weight: 25, Candidate: 90, Baseline: 10}}, api.CheckWarn, "60.0 % of the 100 runs at 5%: the traffic does not follow"},
		"each a little, all":   {[]Arrival{{Weight: 50, Candidate: 72, Baseline: 38}, {Weight: 60, Candidate: 86, Baseline: 24}}, api.CheckWarn, "78.2 % of the 110 runs at 60%: the traffic does not follow"},
		"the candidate starve": {[]Arrival{{Weight: 50, Baseline: 40}}, api.CheckWarn, "0.0 % of the 40 runs at 50%"},
	} {
		got, ok := canary.sampleRatio(c.arrivals)
		if ok != (c.status != "") || ok && (got.Status != c.status || !strings.Contains(got.Detail, c.says) || got.Check != CheckSampleRatio) {
			t.Errorf("%s: %+v %t", name, got, ok)
		}
	}
	if _, ok := (Rollout{Policy: api.Policy{Mode: api.ModeCanary, SRM: api.SRMOff}}).sampleRatio([]Arrival{{Weight: 50, Baseline: 40}}); ok {
		t.Error("asked though it is off")
	}
}

// A router is accused from a factor of evidence of 1,000 on, and of no less.
func TestSampleRatioBoundary(t *testing.T) {
	r := Rollout{Policy: api.Policy{Mode: api.ModeCanary, SRM: api.SRMHold}}
	seen := map[string]bool{}
	for x := range int64(101) {
		evidence := stats.SampleRatio([]stats.Arrivals{{Candidate: x, Total: 100, Share: 0.5}})
		got, ok := r.sampleRatio([]Arrival{{Weight: 50, Candidate: x, Baseline: 100 - x}})
		want := api.CheckOK
		if math.Exp(evidence) >= 1000 {
			want = api.CheckHold
		}
		if seen[want] = true; !ok || got.Status != want {
			t.Errorf("%d of 100: %s, evidence %v", x, got.Status, evidence)
		}
	}
	if len(seen) != 2 {
		t.Error("the counts do not reach both sides of the boundary")
	}
}

// Rates of the baseline are of epochs that have 30 values, all 0 or 1.
func TestBaselineRates(t *testing.T) {
	odd := side(t, 40, 40)
	if err := odd.Add(map[string]api.Metric{"success": api.Number(0.5)}, 1); err != nil {
		t.Fatal(err)
	}
	stratum := func(c compare.Cohort) compare.Stratum { return compare.Stratum{Baseline: c} }
	for name, c := range map[string]struct {
		strata      []compare.Stratum
		before, now stats.Proportion
		ok          bool
	}{
		"one":              {[]compare.Stratum{stratum(side(t, 30, 20))}, stats.Proportion{}, stats.Proportion{X: 20, N: 30}, false},
		"few are left out": {[]compare.Stratum{stratum(side(t, 30, 20)), stratum(side(t, 29, 1)), stratum(side(t, 50, 40))}, stats.Proportion{X: 20, N: 30}, stats.Proportion{X: 40, N: 50}, true},
		"no rate":          {[]compare.Stratum{stratum(side(t, 30, 20)), stratum(odd), stratum(side(t, 50, 40))}, stats.Proportion{X: 20, N: 30}, stats.Proportion{X: 40, N: 50}, true},
		"all before":       {[]compare.Stratum{stratum(side(t, 30, 20)), stratum(side(t, 40, 39)), stratum(side(t, 50, 40))}, stats.Proportion{X: 59, N: 70}, stats.Proportion{X: 40, N: 50}, true},
		"none":             {nil, stats.Proportion{}, stats.Proportion{}, false},
	} {
		before, now, ok := baselineRates(api.Gate{Metric: "success"}, c.strata)
		if ok != c.ok || before != c.before || now != c.now {
			t.Errorf("%s: %+v %+v %t", name, before, now, ok)
		}
	}
}

func gate(t *testing.T, text string) api.Gate {
	t.Helper()
	g, err := api.ParseGate(text)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestBaselineHealthOfGates(t *testing.T) {
	moved := []compare.Stratum{{Baseline: side(t, 100, 95)}, {Baseline: side(t, 100, 60)}}
	better := []compare.Stratum{{Baseline: side(t, 100, 60)}, {Baseline: side(t, 100, 95)}}
	still := []compare.Stratum{{Baseline: side(t, 100, 90)}, {Baseline: side(t, 100, 85)}}
	for name, c := range map[string]struct {
		gates               []string
		strata              []compare.Stratum
		candidate, baseline int64
		status, says        string
	}{
		"silent":            {[]string{"success"}, still, 30, 0, api.CheckWarn, "no run beside the last 30 of the candidate"},
		"one beside it":     {[]string{"success"}, still, 30, 1, api.CheckOK, "is 85.0 %, 90.0 % before"},
		"not yet silent":    {[]string{"success"}, still, 29, 0, api.CheckOK, "is 85.0 %, 90.0 % before"},
		"worse":             {[]string{"success"}, moved, 0, 0, api.CheckWarn, "moved from 95.0 % to 60.0 %"},
		"better":            {[]string{"success"}, better, 0, 0, api.CheckWarn, "moved from 60.0 % to 95.0 %"},
		"held":              {[]string{"success:on=hold"}, moved, 0, 0, api.CheckWarn, "moved"},
		"only warns":        {[]string{"success:on=warn"}, moved, 0, 0, "", ""},
		"a mean":            {[]string{"success:mean"}, moved, 0, 0, "", ""},
		"on pairs":          {[]string{"success:pair=probe"}, moved, 0, 0, "", ""},
		"the second moved":  {[]string{"error", "success:on=warn", "success"}, moved, 0, 0, api.CheckWarn, "moved"},
		"nothing to go by":  {[]string{"error"}, moved, 0, 0, "", ""},
		"one epoch has few": {[]string{"success"}, []compare.Stratum{{Baseline: side(t, 29, 29)}, {Baseline: side(t, 100, 10)}}, 0, 0, "", ""},
	} {
		r := Rollout{Policy: api.Policy{FirstLook: 30}}
		for _, g := range c.gates {
			r.Policy.Gates = append(r.Policy.Gates, gate(t, g))
		}
		got, ok := r.baselineHealth(Evidence{Strata: c.strata, Open: Block{Candidate: c.candidate, Baseline: c.baseline}})
		if ok != (c.status != "") || ok && (got.Status != c.status || !strings.Contains(got.Detail, c.says) || got.Check != CheckBaselineHealth) {
			t.Errorf("%s: %+v %t", name, got, ok)
		}
	}
}

// The test of the last step spends its budget look by look, over every rate that decides.
func TestNonInferioritySpends(t *testing.T) {
	margin := 0.05
	p, errs := NewPolicy(api.CreateRollout{
		Mode: api.ModeCanary, PromoteOn: api.PromoteNonInferior, PromoteMargin: &margin, Steps: []int{50, 100},
		Gates: []api.Gate{gate(t, "error"), gate(t, "success:on=hold"), gate(t, "flagged:on=warn"), gate(t, "latency_ms:p95"), gate(t, "resolved:rate:better=higher:pair=probe")},
	}, nil)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	r, err := New("rol_spend", p, History{})
	if err != nil {
		t.Fatal(err)
	}
	look := func(number, n, erring, failing int64) {
		t.Helper()
		tallies := []Tally{
			{Gate: p.Gates[0], Candidate: Counts{N: n, Ones: erring, Zeros: n - erring}, Baseline: Counts{N: n, Ones: n / 10, Zeros: n - n/10}},
			{Gate: p.Gates[1], Candidate: Counts{N: n, Ones: n - failing, Zeros: failing}, Baseline: Counts{N: n, Ones: n - n/10, Zeros: n / 10}},
		}
		if r.Ledger, _, err = r.Ledger.look(p, Block{Number: number, Epoch: 1, Tallies: tallies}); err != nil {
			t.Fatal(err)
		}
		if r.Promotion, err = r.nonInferior(); err != nil {
			t.Fatal(err)
		}
	}
	planned := Planned(p)
	// Of gates that could be worse by as much, the first is told.
	look(1, 30, 3, 3)
	if want := stats.AlphaStar(0.05, planned, 15); r.Promotion.Shown || r.Promotion.Spent != want || math.Abs(want-0.0475) > 1e-12 || r.Promotion.Block != 1 {
		t.Errorf("%+v, want %v", r.Promotion, want)
	}
	equal := stats.Proportion{X: 3, N: 30}
	upper := stats.StratifiedNewcombe([]stats.Stratum{{Candidate: equal, Baseline: equal}}, -stats.NormalQuantile(stats.AlphaStar(0.05, planned, 15))).Hi
	if want := fmt.Sprintf("error could be worse by up to %.1f points, promote_margin is 5.0 points", 100*upper); r.Promotion.Detail != want {
		t.Errorf("%q, want %q", r.Promotion.Detail, want)
	}
	first := r.Promotion
	if again, err := r.nonInferior(); err != nil || again != first {
		t.Errorf("asked again without a block: %+v", again)
	}
	// A block that taught these gates nothing is no look.
	r.Ledger.Block = 2
	if again, err := r.nonInferior(); err != nil || again != first {
		t.Errorf("asked again with nothing new: %+v", again)
	}
	// The gate that could be worse by most is the one that is told, whichever stands first.
	look(3, 200, 25, 10)
	if !strings.HasPrefix(r.Promotion.Detail, "error could be worse by up to ") || r.Promotion.Shown {
		t.Errorf("%+v", r.Promotion)
	}
	look(4, 400, 20, 55)
	if !strings.HasPrefix(r.Promotion.Detail, "success could be worse by up to ") || r.Promotion.Shown {
		t.Errorf("%+v", r.Promotion)
	}
	if want := stats.AlphaStar(0.05, planned, 315); math.Abs(r.Promotion.Spent-want) > 1e-15 || r.Promotion.Spent <= first.Spent || r.Promotion.Spent >= 0.05 {
		t.Errorf("spent %v, want %v", r.Promotion.Spent, want)
	}
	look(5, 20_000, 1900, 1900)
	if !r.Promotion.Shown {
		t.Errorf("%+v", r.Promotion)
	}
	shown := r.Promotion
	look(6, 400, 300, 300)
	if r.Promotion != shown {
		t.Errorf("what was shown is asked again: %+v", r.Promotion)
	}
	// With nothing left to spend, nothing is shown.
	r.Promotion = promotion{Block: 5, Spent: 0.05, Detail: "spent"}
	if got, err := r.nonInferior(); err != nil || got.Shown || got != r.Promotion {
		t.Errorf("%+v", got)
	}
	r.Ledger.Gates[0].State = state{data: []byte("broken")}
	if got, err := r.nonInferior(); err == nil || got != r.Promotion {
		t.Errorf("a state that cannot be read: %+v", got)
	}
}

// Only what has something to say stands in the checks.
func TestChecksThatSpeak(t *testing.T) {
	r := Rollout{Policy: api.Policy{Mode: api.ModeCanary, SRM: api.SRMWarn, FirstLook: 30, Gates: []api.Gate{gate(t, "success")}}, History: HistoryRef{Runs: 700}}
	names := func(e Evidence) []string {
		var out []string
		for _, c := range r.checks(e) {
			out = append(out, c.Check)
		}
		return out
	}
	if got := names(Evidence{}); got != nil {
		t.Errorf("%v", got)
	}
	e := Evidence{Open: Block{Candidate: 30, Arrivals: []Arrival{{Weight: 5, Candidate: 1}}, Before: Totals{AgainstHistory: 1}}}
	if got := names(e); !slices.Equal(got, []string{CheckSampleRatio, CheckBaselineHealth, CheckHistory}) {
		t.Errorf("%v", got)
	}
	if d := r.checks(e)[2].Detail; !strings.HasPrefix(d, "1 candidate runs ") || !strings.Contains(d, "with 700 that") {
		t.Error(d)
	}
}
