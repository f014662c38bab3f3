package stats_test

import (
	"errors"
	"math"
	"testing"

	"github.com/cobound/prova/internal/stats"
)

func repeated(v float64, n int) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = v
	}
	return list
}

func TestPermutationErrors(t *testing.T) {
	var zero stats.PermutationTest
	b := stats.MeanBlock{Candidate: armOf(t, []float64{1}, 1), Baseline: armOf(t, []float64{2}, 2)}
	if _, _, err := zero.Look(b); err == nil {
		t.Error("the zero value looks")
	}
	if _, err := zero.MarshalBinary(); err == nil {
		t.Error("the zero value has a form")
	}
	_, _, _, _ = zero.Totals()
	test := newPermutation(t, stats.PermutationPlan{Budget: 0.05, Information: 10, FirstLook: 3})
	for _, b := range []stats.MeanBlock{{}, {Candidate: b.Candidate}, {Baseline: b.Baseline}} {
		if _, _, err := test.Look(b); !errors.Is(err, stats.ErrEmptyArm) {
			t.Errorf("empty arm: %v", err)
		}
	}
	if _, _, err := test.Look(stats.MeanBlock{Candidate: b.Candidate, Differences: b.Baseline}); err == nil {
		t.Error("differences with an arm were taken")
	}
	for i, want := range []bool{false, false, true} {
		var look stats.MeanLook
		if test, look, _ = test.Look(b); look.Tested != want {
			t.Errorf("look %d is tested: %v", i, look.Tested)
		}
		if _, err := test.Interval(0.025); errors.Is(err, stats.ErrUntested) == want {
			t.Errorf("look %d: %v", i, err)
		}
	}
	for _, upper := range []float64{0, 1, math.NaN()} {
		if _, err := test.Interval(upper); err == nil {
			t.Errorf("level %v was taken", upper)
		}
	}
	for _, plan := range []stats.PermutationPlan{
		{Budget: 0, Information: 1}, {Budget: 1, Information: 1}, {Budget: 0.1}, {Budget: 0.1, Information: math.Inf(1)}, {Budget: 0.1, Information: 1, FirstLook: -1},
	} {
		if _, err := stats.NewPermutationTest(plan); err == nil {
			t.Errorf("plan %+v was taken", plan)
		}
	}
}

// Values that are all the same are never worse, whatever comes with them; a
// shift from one constant to another is.
func TestPermutationConstants(t *testing.T) {
	var history stats.Summary
	for i := range 300 {
		_ = history.Add(100.3, uint64(i)<<50)
	}
	for _, c := range []struct {
		name                string
		candidate, baseline float64
		margin              stats.MeanMargin
		n                   int
		against, pairs      bool
		want                bool
	}{
		{"equal", 100.3, 100.3, stats.MeanMargin{}, 30, false, false, false},
		{"equal, a third", 1.0 / 3, 1.0 / 3, stats.MeanMargin{}, 30, false, false, false},
		{"equal, many", 1.0 / 3, 1.0 / 3, stats.MeanMargin{}, 700, false, false, false},
		{"equal, large", 98765432109.123, 98765432109.123, stats.MeanMargin{}, 30, false, false, false},
		{"equal, large and many", -1e18, -1e18, stats.MeanMargin{}, 700, false, false, false},
		{"better", 99, 100, stats.MeanMargin{}, 30, false, false, false},
		{"worse", 100.4, 100.3, stats.MeanMargin{}, 30, false, false, true},
		{"worse, many", 100.4, 100.3, stats.MeanMargin{}, 700, false, false, true},
		{"worse within a margin", 100.4, 100.3, stats.MeanMargin{Absolute: 0.2}, 30, false, false, false},
		{"at a margin", 100.5, 100.25, stats.MeanMargin{Absolute: 0.25}, 30, false, false, false},
		{"at a margin, many", 100.5, 100.25, stats.MeanMargin{Absolute: 0.25}, 700, false, false, false},
		{"beyond a margin", 100.75, 100.25, stats.MeanMargin{Absolute: 0.25}, 30, false, false, true},
		{"beyond a relative margin", -100, -120, stats.MeanMargin{Relative: 0.1}, 30, false, false, true},
		{"within a relative margin, many", -100, -105, stats.MeanMargin{Relative: 0.1}, 700, false, false, false},
		{"equal to history", 100.3, 0, stats.MeanMargin{}, 30, true, false, false},
		{"worse than history", 105, 0, stats.MeanMargin{}, 30, true, false, true},
		{"no difference in pairs", 3, 3, stats.MeanMargin{}, 30, false, true, false},
		{"pairs all better", 2.5, 3, stats.MeanMargin{}, 30, false, true, false},
		{"pairs all worse", 3.5, 3, stats.MeanMargin{}, 30, false, true, true},
		{"many pairs all worse", 3.5, 3, stats.MeanMargin{}, 700, false, true, true},
	} {
		test := newPermutation(t, stats.PermutationPlan{Budget: 0.05, Information: 30, Seed: 5, Margin: c.margin, History: history})
		for look := range 3 {
			b := stats.MeanBlock{Candidate: armOf(t, repeated(c.candidate, c.n), uint64(look))}
			switch {
			case c.pairs:
				b = stats.MeanBlock{Differences: armOf(t, repeated(c.candidate-c.baseline, c.n), uint64(look))}
			case !c.against:
				b.Baseline = armOf(t, repeated(c.baseline, c.n), uint64(look)+100)
			}
			var got stats.MeanLook
			test, got, _ = test.Look(b)
			if got.Regressed != c.want {
				t.Errorf("%s, look %d: %+v", c.name, look, got)
			}
		}
		equal := c.candidate == c.baseline || c.against && c.candidate == 100.3
		if _, err := test.Interval(0.025); errors.Is(err, stats.ErrOneOutcome) != equal {
			t.Errorf("%s: interval says %v", c.name, err)
		}
	}
}

// A latency of 2.2 hours among milliseconds, which any run may have had, accuses
// no more often than anything else, and does not hide who is slower by much.
func TestPermutationOutliers(t *testing.T) {
	for _, outlier := range []float64{7_920_000, 1e18} {
		regressed := 0.0
		const rounds = 300
		for round := range rounds {
			list := lognormal(stats.Seed(round), 120, 0.3)
			list[round%120] = outlier
			test := newPermutation(t, stats.PermutationPlan{Budget: 0.2, Information: 20, Seed: stats.Seed(round)})
			test, look, err := test.Look(stats.MeanBlock{Candidate: armOf(t, list[:24], 1), Baseline: armOf(t, list[24:], uint64(round))})
			if err != nil || !(math.Abs(look.Statistic) < 10) {
				t.Fatal(look, err)
			}
			if look.Regressed {
				regressed++
			}
			d, err := test.Interval(0.025)
			if err != nil || (d.Lo >= 0) != look.Regressed || !(d.Hi > d.Lo) {
				t.Fatal(d, err, look)
			}
		}
		// A fifth of the rounds has the outlier in the candidate.
		if rate := regressed / rounds; rate > 0.19+4*math.Sqrt(0.19*0.81/rounds) || rate < 0.1 {
			t.Errorf("outlier %v: %v regressed", outlier, rate)
		}
	}
	slow := lognormal(1, 60, 0.3)
	for i := range slow {
		slow[i] *= 3
	}
	fast := lognormal(2, 300, 0.3)
	fast[9] = 10_000
	test := newPermutation(t, stats.PermutationPlan{Budget: 0.05, Information: 50})
	if _, look, _ := test.Look(stats.MeanBlock{Candidate: armOf(t, slow, 1), Baseline: armOf(t, fast, 2)}); !look.Regressed {
		t.Errorf("three times as slow: %+v", look)
	}
}

// Of all divisions of ten values into two halves the share of the budget is
// called worse, no more: the paths are exchangeable. Values are skewed.
func TestPermutationEnumeration(t *testing.T) {
	list := []float64{1, 2, 3, 5, 8, 13, 21, 34, 55, 144}
	for _, c := range []struct {
		budget float64
		size   int
		lower  bool
	}{{0.05, 5, false}, {0.05, 5, true}, {0.2, 5, false}, {0.5, 3, false}, {0.2, 7, true}} {
		regressed, all := 0, 0
		const seeds = 20
		for mask := range 1 << len(list) {
			var arm [2][]stats.UnitValue
			for i, v := range list {
				name := stats.NewSource(3, uint64(i)) // of the unit, whatever its arm
				arm[mask>>i&1] = append(arm[mask>>i&1], stats.UnitValue{Unit: name.Uint64(), Value: v})
			}
			if len(arm[1]) != c.size {
				continue
			}
			var b stats.MeanBlock
			b.Candidate, _ = stats.ValuesOf(arm[1])
			b.Baseline, _ = stats.ValuesOf(arm[0])
			for seed := range stats.Seed(seeds) {
				test := newPermutation(t, stats.PermutationPlan{Budget: c.budget, Information: 1, LowerIsWorse: c.lower, Seed: seed})
				_, look, _ := test.Look(b)
				if all++; look.Regressed {
					regressed++
				}
			}
		}
		// At the information of the block; ties with itself cost the test up to one
		// division in all.
		most := stats.AlphaStar(c.budget, 1, float64(c.size*(10-c.size))/10)
		got, divisions := float64(regressed)/float64(all), float64(all)/seeds
		if room := 4 * math.Sqrt(most*(1-most)/(1000*seeds)); got > most+room || got < most-1/divisions-room {
			t.Errorf("%+v: %v of the divisions regressed, want %v", c, got, most)
		}
	}
}

// A block that came late for an earlier stratum counts, as a stratum of its own,
// and a stratum may be closed and left.
func TestPermutationLate(t *testing.T) {
	plan := stats.PermutationPlan{Budget: 0.05, Information: 50, FirstLook: 0}
	worse := func(seed stats.Seed) stats.MeanBlock {
		slow := lognormal(seed, 20, 0.3)
		for i := range slow {
			slow[i] *= 1.4
		}
		return stats.MeanBlock{Candidate: armOf(t, slow, uint64(seed)), Baseline: armOf(t, lognormal(seed+50, 20, 0.3), uint64(seed)+50)}
	}
	test := newPermutation(t, plan)
	var look stats.MeanLook
	for i, stratum := range []int64{5, 7, 5, -3, 7} {
		b := worse(stats.Seed(i))
		b.Stratum = stratum
		before := look
		test, look, _ = test.Look(b)
		if want := []float64{10, 20, 30, 40, 50}[i]; look.Information != want || look.Stratum != stratum || look.Number != int64(i+1) {
			t.Errorf("look %d: %+v", i, look)
		}
		if i > 0 && look.Statistic <= before.Statistic {
			t.Errorf("look %d: %v after %v", i, look.Statistic, before.Statistic)
		}
	}
	if !look.Regressed {
		t.Errorf("%+v", look)
	}
	if looks, information, used, units := test.Totals(); looks != 5 || information != 50 || used != look.Used || units != 100 {
		t.Errorf("totals %v %v %v %v", looks, information, used, units)
	}
}

// Blocks of one stratum are put together.
func TestPermutationStratum(t *testing.T) {
	test := newPermutation(t, stats.PermutationPlan{Budget: 0.05, Information: 50})
	all := lognormal(1, 120, 0.3)
	test, _, _ = test.Look(stats.MeanBlock{Candidate: armOf(t, all[:20], 1), Baseline: armOf(t, all[40:60], 2)})
	_, apart, _ := test.Look(stats.MeanBlock{Candidate: armOf(t, all[20:40], 3), Baseline: armOf(t, all[60:], 4)})
	test = newPermutation(t, stats.PermutationPlan{Budget: 0.05, Information: 50})
	_, together, _ := test.Look(stats.MeanBlock{Candidate: armOf(t, all[:40], 1), Baseline: armOf(t, all[40:], 2)})
	if apart.Information != together.Information || math.Abs(apart.Statistic-together.Statistic) > 1e-9 {
		t.Errorf("%+v in two blocks, %+v in one", apart, together)
	}
}

func TestPermutationSpread(t *testing.T) {
	test := newPermutation(t, stats.PermutationPlan{Budget: 0.05, Information: 50})
	if !math.IsNaN(test.Spread()) {
		t.Errorf("of nothing: %v", test.Spread())
	}
	test, _, _ = test.Look(stats.MeanBlock{Candidate: armOf(t, []float64{1, 3}, 1), Baseline: armOf(t, []float64{4, 5, 6}, 2)})
	if got := test.Spread(); got != 2 {
		t.Errorf("2 over 1 is %v", got)
	}
	test, _, _ = test.Look(stats.MeanBlock{Stratum: 1, Candidate: armOf(t, []float64{10, 10}, 3), Baseline: armOf(t, []float64{7, 7}, 4)})
	if got := test.Spread(); math.Abs(got-1.5) > 1e-12 { // (2 + 0)/2 over (2 + 0)/3
		t.Errorf("over two strata %v", got)
	}
}

// An arm with one unit has the other's variance, and two units have none.
func TestPermutationSingleUnits(t *testing.T) {
	several := []float64{5, 6, 6, 7, 8, 10} // mean 7, variance 3.2
	for _, c := range []struct {
		candidate, baseline []float64
		want                float64
	}{
		{[]float64{12}, several, 5 / math.Sqrt(3.2*7/6)},
		{several, []float64{2}, 5 / math.Sqrt(3.2*7/6)},
		{[]float64{3}, []float64{2}, 1e6},
		{[]float64{2}, []float64{2}, 0},
	} {
		test := newPermutation(t, stats.PermutationPlan{Budget: 0.05, Information: 3})
		_, look, err := test.Look(stats.MeanBlock{Candidate: armOf(t, c.candidate, 1), Baseline: armOf(t, c.baseline, 2)})
		if err != nil || math.Abs(look.Statistic-c.want) > 1e-9 {
			t.Errorf("%v against %v: %+v, %v, want %v", c.candidate, c.baseline, look, err, c.want)
		}
	}
}

// Where the baseline has more than 512 units its sample is taken, and none is
// lost where both have: their statistic is Welch's.
func TestPermutationManyUnits(t *testing.T) {
	b := lognormal(2, 900, 0.5)
	test := newPermutation(t, stats.PermutationPlan{Budget: 0.05, Information: 100})
	_, look, _ := test.Look(stats.MeanBlock{Candidate: armOf(t, lognormal(1, 40, 0.5), 1), Baseline: armOf(t, b, 2)})
	if look.CandidateUnits != 40 || look.BaselineUnits != 512 || look.Information != 40.0*512/552 {
		t.Errorf("40 of 940: %+v", look)
	}
	c := lognormal(1, 700, 0.5)
	_, look, _ = test.Look(stats.MeanBlock{Candidate: armOf(t, c, 1), Baseline: armOf(t, b, 2)})
	welch := func(list []float64) (mean, variance float64) {
		for _, v := range list {
			mean += v / float64(len(list))
		}
		for _, v := range list {
			variance += (v - mean) * (v - mean) / float64(len(list)*(len(list)-1))
		}
		return mean, variance
	}
	m, v := welch(c)
	n, w := welch(b)
	if want := (m - n) / math.Sqrt(v+w); look.CandidateUnits != 700 || look.BaselineUnits != 900 || math.Abs(look.Statistic-want) > 1e-9 {
		t.Errorf("700 of 1600: %+v, want %v", look, want)
	}
}

// The limits of one look at two samples are Welch's but for the critical value.
func TestPermutationInterval(t *testing.T) {
	c, b := []float64{8, 9, 11, 12, 13, 19}, []float64{5, 6, 6, 7, 8, 10}
	test := newPermutation(t, stats.PermutationPlan{Budget: 0.05, Information: 3})
	test, look, _ := test.Look(stats.MeanBlock{Candidate: armOf(t, c, 1), Baseline: armOf(t, b, 2)})
	d, err := test.Interval(0.025)
	if err != nil {
		t.Fatal(err)
	}
	// d = 5, V = 15.2/6 + 3.2/6, 7.016 degrees of freedom, t = 2.3635.
	deviation := math.Sqrt(15.2/6 + 3.2/6)
	if math.Abs(d.Estimate-5) > 1e-12 || math.Abs(look.Statistic-5/deviation) > 1e-12 {
		t.Errorf("estimate %v, statistic %v, want 5, %v", d.Estimate, look.Statistic, 5/deviation)
	}
	if got := (d.Hi - 5) / deviation; math.Abs(got-2.3635) > 0.002 {
		t.Errorf("upper limit at %v standard errors", got)
	}
	if got := (5 - d.Lo) / deviation; math.Abs(got-look.Critical) > 1e-9 {
		t.Errorf("lower limit at %v standard errors, want %v", got, look.Critical)
	}
}
