package rollout

import (
	"math"
	"slices"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// A margin is taken off a candidate's value in the direction in which it harms.
func TestRelieved(t *testing.T) {
	for text, want := range map[string]float64{
		"latency_ms:p95":             100,
		"latency_ms:p95:margin=20":   80,
		"latency_ms:p95:margin=25%":  80,
		"score:p50:margin=20":        120,
		"score:p50:margin=20%":       125,
		"score:p50:margin=100%":      math.MaxFloat64,
		"latency_ms:p95:margin=100%": 50,
	} {
		if got := relieved(gate(t, text), 100); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// Beyond is on the harmful side of the threshold's bin, and nothing is beyond a threshold that is not known.
func TestBeyond(t *testing.T) {
	bin := stats.BinOf(100)
	for _, c := range []struct {
		gate  string
		bin   *stats.Bin
		side  Side
		value float64
		want  float64
	}{
		{"latency_ms:p95", &bin, Candidate, 100, 0},
		{"latency_ms:p95", &bin, Candidate, 102, 1},
		{"latency_ms:p95", &bin, Candidate, 98, 0},
		{"latency_ms:p95", &bin, Baseline, 102, 1},
		{"latency_ms:p95:margin=10", &bin, Candidate, 109, 0},
		{"latency_ms:p95:margin=10", &bin, Candidate, 112, 1},
		{"latency_ms:p95:margin=10", &bin, Baseline, 109, 1},
		{"score:p50", &bin, Candidate, 100, 0},
		{"score:p50", &bin, Candidate, 98, 1},
		{"score:p50", &bin, Candidate, 102, 0},
		{"score:p50:margin=10", &bin, Candidate, 92, 0},
		{"score:p50:margin=10", &bin, Candidate, 88, 1},
		{"score:p50:margin=10", &bin, Baseline, 92, 1},
		{"latency_ms:p95", nil, Candidate, 1e9, 0},
	} {
		tally := Tally{Gate: gate(t, c.gate), Threshold: c.bin}
		if got := tally.beyond(c.side, c.value); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// A run is counted on its own side, and as fresh only if it is a candidate's of this step.
func TestTallyAdds(t *testing.T) {
	for _, side := range []Side{Candidate, Baseline} {
		for _, fresh := range []bool{false, true} {
			rate, mean, pair := Tally{Gate: gate(t, "success")}, Tally{Gate: gate(t, "success:mean")}, Tally{Gate: gate(t, "success:pair=probe")}
			for _, tally := range []*Tally{&rate, &mean, &pair} {
				if !tally.empty() {
					t.Error("it begins with something")
				}
				for _, run := range []Run{{Unit: 1, Metrics: map[string]api.Metric{"success": api.Number(1)}}, {Unit: 2, Metrics: map[string]api.Metric{"other": api.Number(0)}}} {
					if err := tally.add(side, run, fresh); err != nil {
						t.Fatal(err)
					}
				}
			}
			mine, other := rate.Candidate, rate.Baseline
			want := int64(0)
			if side == Baseline {
				mine, other = other, mine
			} else if fresh {
				want = 1
			}
			if mine != (Counts{N: 1, Ones: 1}) || other != (Counts{}) || rate.Fresh != want || rate.empty() {
				t.Errorf("%c, fresh %t: %+v", side, fresh, rate)
			}
			if c, b := mean.CandidateValues.Units(), mean.BaselineValues.Units(); c+b != 1 || (c == 1) != (side == Candidate) {
				t.Errorf("%c: %d and %d values", side, c, b)
			}
			if rate.CandidateValues.Units()+rate.BaselineValues.Units() != 0 {
				t.Error("a rate keeps values")
			}
			if !pair.empty() || pair.Fresh != 0 {
				t.Errorf("a gate on pairs counts runs: %+v", pair)
			}
		}
	}
}

// A pair of rates is counted by who failed alone; any other value is a failure of neither, and of no rate.
func TestPairsOfATally(t *testing.T) {
	metric := func(v float64) map[string]api.Metric {
		return map[string]api.Metric{"success": api.Number(v), "error": api.Number(v)}
	}
	for _, c := range []struct {
		gate                string
		candidate, baseline float64
		wantC, wantB        Counts
	}{
		{"success:pair=probe", 0, 1, Counts{N: 1, Ones: 1}, Counts{N: 1, Zeros: 1}},
		{"success:pair=probe", 1, 0, Counts{N: 1, Zeros: 1}, Counts{N: 1, Ones: 1}},
		{"success:pair=probe", 0, 0, Counts{N: 1, Zeros: 1}, Counts{N: 1, Zeros: 1}},
		{"success:pair=probe", 1, 1, Counts{N: 1, Zeros: 1}, Counts{N: 1, Zeros: 1}},
		{"error:pair=probe", 1, 0, Counts{N: 1, Ones: 1}, Counts{N: 1, Zeros: 1}},
		{"error:pair=probe", 0, 1, Counts{N: 1, Zeros: 1}, Counts{N: 1, Ones: 1}},
		{"success:pair=probe", 0.5, 1, Counts{N: 1}, Counts{N: 1}},
		{"success:pair=probe", 1, 2, Counts{N: 1}, Counts{N: 1}},
		{"success", 0, 1, Counts{}, Counts{}},
	} {
		tally := Tally{Gate: gate(t, c.gate)}
		if err := tally.pair(Pair{Probe: "p", Fresh: true, Candidate: metric(c.candidate), Baseline: metric(c.baseline)}); err != nil {
			t.Fatal(err)
		}
		if tally.Candidate != c.wantC || tally.Baseline != c.wantB || tally.Fresh != c.wantC.N {
			t.Errorf("%+v: %+v %+v, fresh %d", c, tally.Candidate, tally.Baseline, tally.Fresh)
		}
	}
	tally := Tally{Gate: gate(t, "score:mean:pair=probe")}
	score := func(v float64) map[string]api.Metric { return map[string]api.Metric{"score": api.Number(v)} }
	for _, p := range []Pair{
		{Probe: "a", Candidate: score(3), Baseline: score(5)},
		{Probe: "b", Candidate: score(3), Baseline: metric(1)}, // only one of the two carries it
		{Probe: "c", Candidate: metric(1), Baseline: score(3)},
	} {
		if err := tally.pair(p); err != nil {
			t.Fatal(err)
		}
	}
	if tally.Candidate != (Counts{N: 1}) || tally.Baseline != (Counts{N: 1}) || tally.Fresh != 0 || tally.Differences.Units() != 1 || tally.Paired.Count() != 1 {
		t.Errorf("%+v", tally)
	}
	var want stats.Values
	if err := want.Add(-2, uint64(stats.SeedOf("probe", "a"))); err != nil {
		t.Fatal(err)
	}
	got, err := tally.Differences.MarshalBinary()
	expected, err2 := want.MarshalBinary()
	if err != nil || err2 != nil || !slices.Equal(got, expected) {
		t.Error("the difference is candidate minus baseline, of the probe")
	}
}

func TestFailures(t *testing.T) {
	c := Counts{N: 10, Zeros: 3, Ones: 6}
	for text, want := range map[string]int64{"success": 3, "error": 6, "latency_ms:p95": 6, "score:p50": 6, "success:pair=probe": 6} {
		if got := (Tally{Gate: gate(t, text)}).failures(c); got != (stats.Proportion{X: want, N: 10}) {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

// A gate can be tested on a stratum that has values of both sides, of the kind that it takes.
func TestComparableStrata(t *testing.T) {
	whole, odd, none := Counts{N: 4, Ones: 3, Zeros: 1}, Counts{N: 4, Ones: 3}, Counts{}
	bin := stats.BinOf(1)
	for name, c := range map[string]struct {
		s                             stratum
		answered, boolean, comparable bool
	}{
		"both":                  {stratum{Tally: Tally{Gate: gate(t, "success"), Candidate: whole, Baseline: whole}}, true, true, true},
		"no candidate":          {stratum{Tally: Tally{Gate: gate(t, "success"), Baseline: whole}}, false, true, false},
		"no baseline":           {stratum{Tally: Tally{Gate: gate(t, "success"), Candidate: whole, History: whole}}, false, true, false},
		"against history":       {stratum{historical: true, Tally: Tally{Gate: gate(t, "success"), Candidate: whole, History: whole}}, true, true, true},
		"no history":            {stratum{historical: true, Tally: Tally{Gate: gate(t, "success"), Candidate: whole, Baseline: whole}}, false, true, false},
		"odd candidate":         {stratum{Tally: Tally{Gate: gate(t, "success"), Candidate: odd, Baseline: whole}}, true, false, false},
		"odd baseline":          {stratum{Tally: Tally{Gate: gate(t, "success"), Candidate: whole, Baseline: odd}}, true, false, false},
		"odd, but it is past":   {stratum{historical: true, Tally: Tally{Gate: gate(t, "success"), Candidate: whole, Baseline: odd, History: whole}}, true, true, true},
		"a mean is no rate":     {stratum{Tally: Tally{Gate: gate(t, "success:mean"), Candidate: odd, Baseline: odd}}, true, true, true},
		"quantile":              {stratum{Tally: Tally{Gate: gate(t, "latency_ms:p95"), Candidate: whole, Baseline: whole, Threshold: &bin}}, true, true, true},
		"quantile not yet held": {stratum{Tally: Tally{Gate: gate(t, "latency_ms:p95"), Candidate: whole, Baseline: whole}}, true, true, false},
		"nothing":               {stratum{Tally: Tally{Gate: gate(t, "success"), Candidate: none, Baseline: none}}, false, true, false},
	} {
		if c.s.answered() != c.answered || c.s.boolean() != c.boolean || c.s.comparable() != c.comparable {
			t.Errorf("%s: answered %t, boolean %t, comparable %t", name, c.s.answered(), c.s.boolean(), c.s.comparable())
		}
	}
}

// Quantiles without a history are aimed anew before each block, as soon as the baseline has reported.
func TestAim(t *testing.T) {
	fixed := stats.BinOf(7)
	b := Block{Tallies: []Tally{
		{Gate: gate(t, "success")},
		{Gate: gate(t, "latency_ms:p50")},
		{Gate: gate(t, "cost_usd:p95"), Threshold: &fixed},
		{Gate: gate(t, "score:p50"), Threshold: &fixed, History: Counts{N: 1}},
		{Gate: gate(t, "latency_ms:p95")},
		{Gate: gate(t, "latency_ms:mean")},
	}}
	if got := b.Aims(); !slices.Equal(got, []string{"latency_ms", "cost_usd"}) {
		t.Errorf("%v", got)
	}
	b.Aim(func(metric string) stats.Summary {
		var s stats.Summary
		for i := range 101 {
			if metric == "cost_usd" {
				break
			}
			if err := s.Add(float64(100+i), uint64(i)); err != nil {
				t.Fatal(err)
			}
		}
		return s
	})
	for i, want := range []*stats.Bin{nil, bin(150), bin(7), bin(7), bin(195), nil} {
		got := b.Tallies[i].Threshold
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%s: %v, want %v", b.Tallies[i].Gate, got, want)
		}
	}
}

func bin(v float64) *stats.Bin {
	b := stats.BinOf(v)
	return &b
}

// One value is enough to aim at.
func TestAimAtOneValue(t *testing.T) {
	b := Block{Tallies: []Tally{{Gate: gate(t, "latency_ms:p95")}}}
	b.Aim(func(string) stats.Summary { return rates(t, 1, 1) })
	if got := b.Tallies[0].Threshold; got == nil || *got != *bin(1) {
		t.Errorf("%v", got)
	}
}

// No two gates of a policy share metric, statistic and pairing; a tally is of one of them.
func TestTallyOfAGate(t *testing.T) {
	all := []string{"success", "success:mean", "success:pair=probe", "error", "success:p50"}
	for i, a := range all {
		for j, b := range all {
			if tally := (&Tally{Gate: gate(t, a)}); tally.of(gate(t, b)) != (i == j) {
				t.Errorf("%s of %s", a, b)
			}
		}
	}
	p := api.Policy{Gates: []api.Gate{gate(t, "success"), gate(t, "error:on=warn"), gate(t, "flagged:on=hold")}}
	if got := tallies(p, History{}); len(got) != 2 || got[1].Gate.Metric != "flagged" {
		t.Errorf("%+v", got)
	}
}
