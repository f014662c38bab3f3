package stats_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"

	"github.com/cobound/prova/internal/stats"
	"pgregory.net/rapid"
)

// arms draws the values of an arm in units of quarters, so that many are equal.
func drawnArm(r *rapid.T, name string, most int) []stats.UnitValue {
	n := rapid.IntRange(1, most).Draw(r, name)
	scale := rapid.SampledFrom([]float64{0, 0.25, 1, 1000, 1e12, -3}).Draw(r, "scale")
	source := stats.NewSource(stats.Seed(rapid.Uint64().Draw(r, "seed")), 0)
	runs := make([]stats.UnitValue, 0, n)
	for range n {
		runs = append(runs, stats.UnitValue{Unit: source.Uint64() >> 2, Value: scale * float64(source.Index(40)-3)})
	}
	return runs
}

func drawnBlock(r *rapid.T) stats.MeanBlock {
	most := rapid.SampledFrom([]int{1, 8, 40, 700}).Draw(r, "most")
	b := stats.MeanBlock{Stratum: rapid.Int64Range(0, 3).Draw(r, "stratum")}
	switch rapid.IntRange(0, 4).Draw(r, "kind") {
	case 0:
		b.Differences, _ = stats.ValuesOf(drawnArm(r, "pairs", most))
	case 1:
		b.Candidate, _ = stats.ValuesOf(drawnArm(r, "candidate", most))
	default:
		b.Candidate, _ = stats.ValuesOf(drawnArm(r, "candidate", most))
		b.Baseline, _ = stats.ValuesOf(drawnArm(r, "baseline", most))
	}
	return b
}

func drawnPlan(r *rapid.T) stats.PermutationPlan {
	plan := stats.PermutationPlan{
		Budget:       rapid.SampledFrom([]float64{0.01, 0.05, 0.05, 0.4, 0.999999}).Draw(r, "budget"),
		Information:  rapid.SampledFrom([]float64{1, 20, 300}).Draw(r, "information"),
		FirstLook:    rapid.SampledFrom([]int64{0, 10, 60}).Draw(r, "first"),
		Seed:         stats.Seed(rapid.Uint64().Draw(r, "seed")),
		LowerIsWorse: rapid.Bool().Draw(r, "lower"),
		Margin: stats.MeanMargin{
			Absolute: rapid.SampledFrom([]float64{0, 0, 0.3, 100}).Draw(r, "absolute"),
			Relative: rapid.SampledFrom([]float64{0, 0, 0.1, 0.7}).Draw(r, "relative"),
		},
	}
	for i := range rapid.SampledFrom([]int{1, 60}).Draw(r, "history") {
		_ = plan.History.Add(float64(i%9)*3.7, uint64(i)<<55)
	}
	return plan
}

func stateOf(test stats.PermutationTest) string {
	data, err := test.MarshalBinary()
	if err != nil {
		panic(err)
	}
	return string(data)
}

// The interval excludes the margin exactly when the test says regressed, all
// numbers are finite, the error stays within what is allowed, a test that was
// read back goes on in the same way, and no look changes the test that it
// started from.
func TestPermutationLaws(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		plan := drawnPlan(r)
		test := newPermutation(t, plan)
		for range rapid.IntRange(1, 6).Draw(r, "looks") {
			b := drawnBlock(r)
			before := stateOf(test)
			next, look, err := test.Look(b)
			if err != nil {
				r.Fatal(err)
			}
			if stateOf(test) != before {
				r.Fatal("Look changed its receiver")
			}
			var read stats.PermutationTest
			if err := read.UnmarshalBinary([]byte(before)); err != nil {
				r.Fatal(err)
			}
			again, same, _ := read.Look(b)
			if same != look || stateOf(again) != stateOf(next) {
				r.Fatal("a test read back behaves otherwise")
			}
			if look.Used > look.Allowed || look.Regressed && !(look.Tested && look.Reachable) || look.Regressed != (look.Tested && look.Statistic > look.Critical) {
				r.Fatalf("impossible look %+v", look)
			}
			for _, v := range []float64{look.Information, look.Allowed, look.Used, look.Statistic, look.Critical, next.Threshold()} {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					r.Fatalf("not finite: %+v", look)
				}
			}
			checkInterval(r, plan, next, look)
			test = next
		}
		text, err := json.Marshal(test)
		var read stats.PermutationTest
		if err != nil || json.Unmarshal(text, &read) != nil || stateOf(read) != stateOf(test) {
			r.Fatal("JSON changes it")
		}
	})
}

func checkInterval(r *rapid.T, plan stats.PermutationPlan, test stats.PermutationTest, look stats.MeanLook) {
	d, err := test.Interval(0.025)
	if err != nil {
		if !errors.Is(err, stats.ErrUntested) && !errors.Is(err, stats.ErrOneOutcome) || errors.Is(err, stats.ErrUntested) == look.Tested {
			r.Fatal(err)
		}
		if look.Regressed {
			r.Fatalf("regressed without an interval: %v", err)
		}
		return
	}
	excluded := d.Lo >= test.Threshold()
	if plan.LowerIsWorse {
		excluded = d.Hi <= test.Threshold()
	}
	if excluded != look.Regressed || !(d.Lo <= d.Hi) || math.IsInf(d.Lo, 0) || math.IsInf(d.Hi, 0) || math.IsNaN(d.Estimate) {
		r.Fatalf("interval %v of %+v at %v", d, look, test.Threshold())
	}
}

// Every number negated and the other direction worse is the same test.
func TestPermutationMirror(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		plan := drawnPlan(r)
		plan.History = stats.Summary{}
		if plan.Margin.Relative > 0 { // with both, 0 is taken for a positive value
			plan.Margin.Absolute = 0
		}
		mirrored := plan
		mirrored.LowerIsWorse = !plan.LowerIsWorse
		test, other := newPermutation(t, plan), newPermutation(t, mirrored)
		for range rapid.IntRange(1, 4).Draw(r, "looks") {
			most := rapid.SampledFrom([]int{8, 40, 700}).Draw(r, "most")
			c, b := drawnArm(r, "candidate", most), drawnArm(r, "baseline", most)
			var looks [2]stats.MeanLook
			for side, at := range []*stats.PermutationTest{&test, &other} {
				block := stats.MeanBlock{}
				block.Candidate, _ = stats.ValuesOf(c)
				block.Baseline, _ = stats.ValuesOf(b)
				*at, looks[side], _ = at.Look(block)
				for _, list := range [][]stats.UnitValue{c, b} {
					for i := range list {
						list[i].Value = -list[i].Value
					}
				}
			}
			// The medians that sums are about may differ, and so the last digits, by
			// which paths that are equally high are told apart.
			a, z := looks[0], looks[1]
			near := math.Abs(a.Statistic-a.Critical) < 1e-6*(1+math.Abs(a.Statistic))
			if math.Abs(a.Statistic-z.Statistic) > 1e-6*(1+math.Abs(a.Statistic)) || a.Regressed != z.Regressed && !near {
				r.Fatalf("%+v mirrored is %+v", a, z)
			}
			if near {
				return
			}
		}
	})
}

// A larger margin never makes a release look worse, a shift of the candidate
// towards harm never makes it look better.
func TestPermutationMargins(t *testing.T) {
	c, b := lognormal(1, 60, 0.4), lognormal(2, 120, 0.4)
	statistic := func(m stats.MeanMargin, lower bool, factor float64) stats.MeanLook {
		list := make([]float64, 0, len(c))
		for _, v := range c {
			list = append(list, v*factor)
		}
		test := newPermutation(t, stats.PermutationPlan{Budget: 0.05, Information: 40, LowerIsWorse: lower, Margin: m})
		_, look, err := test.Look(stats.MeanBlock{Candidate: armOf(t, list, 1), Baseline: armOf(t, b, 2)})
		if err != nil {
			t.Fatal(err)
		}
		return look
	}
	for _, lower := range []bool{false, true} {
		before := math.Inf(1)
		for _, m := range []stats.MeanMargin{{}, {Relative: 0.05}, {Absolute: 60}, {Relative: 0.1, Absolute: 60}, {Relative: 0.6}} {
			v := statistic(m, lower, 1).Statistic
			if v >= before {
				t.Errorf("margin %+v: statistic %v after %v", m, v, before)
			}
			before = v
		}
	}
	// At the margin, in either form, nothing is left of the difference.
	for _, v := range []struct {
		m      stats.MeanMargin
		lower  bool
		factor float64
	}{{stats.MeanMargin{Relative: 0.25}, false, 1.25}, {stats.MeanMargin{Relative: 0.25}, true, 0.75}} {
		got, want := statistic(v.m, v.lower, v.factor).Statistic, statistic(stats.MeanMargin{}, v.lower, 1).Statistic
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%+v: statistic %v, want %v", v, got, want)
		}
	}
	for _, m := range []stats.MeanMargin{{Absolute: -1}, {Relative: -1}, {Absolute: math.NaN()}, {Relative: math.Inf(1)}, {Absolute: 2e15}, {Relative: 1}} {
		if _, err := stats.NewPermutationTest(stats.PermutationPlan{Budget: 0.05, Information: 1, LowerIsWorse: true, Margin: m}); err == nil {
			t.Errorf("margin %+v was taken", m)
		}
	}
}

// Where no two paths are equally high, all error that is allowed is used at each
// look, whether or not the data is taken out: a replicate that stayed where the
// data would not have would make room for the data later.
func TestPermutationUsesAll(t *testing.T) {
	for seed := range stats.Seed(8) {
		total := []float64{1000, 2000}[seed%2]
		test := newPermutation(t, stats.PermutationPlan{Budget: 0.039 / float64(1+seed%2), Information: 60, FirstLook: 12, Seed: seed})
		for i := range stats.Seed(30) {
			c, b := lognormal(seed*100+i, 6, 1), lognormal(seed*100+i+50, 12, 1)
			for j := range c {
				c[j] += float64(j) / 100
			}
			var look stats.MeanLook
			test, look, _ = test.Look(stats.MeanBlock{Stratum: int64(i / 10), Candidate: armOf(t, c, uint64(i)), Baseline: armOf(t, b, uint64(i)+50)})
			if want := math.Floor(look.Allowed*total) / total; look.Tested && look.Used != want {
				t.Fatalf("look %d uses %v of %v", look.Number, look.Used, want)
			}
		}
	}
}
