package stats_test

import (
	"errors"
	"math"
	"testing"

	"github.com/cobound/prova/internal/stats"
	"pgregory.net/rapid"
)

// outcomes draws a short history of blocks of any shape.
func outcomes(r *rapid.T) []stats.Block {
	return rapid.SliceOfN(rapid.Custom(func(r *rapid.T) stats.Block {
		m, n := rapid.Int64Range(1, 60).Draw(r, "m"), rapid.Int64Range(1, 90).Draw(r, "n")
		return block(rapid.Int64Range(0, 3).Draw(r, "stratum"), m, rapid.Int64Range(0, m).Draw(r, "x"), n, rapid.Int64Range(0, n).Draw(r, "y"))
	}), 1, 9).Draw(r, "blocks")
}

// redesigned turns a block into one of some design.
func redesigned(r *rapid.T, b stats.Block) stats.Block {
	b.Design = rapid.SampledFrom([]stats.Design{stats.Concurrent, stats.Historical, stats.Paired}).Draw(r, "design")
	switch b.Design {
	case stats.Historical:
		b.Baseline = stats.Proportion{}
	case stats.Paired:
		b.Baseline = stats.Proportion{X: min(b.Baseline.X, b.Candidate.N-b.Candidate.X), N: b.Candidate.N}
	case stats.Concurrent:
	}
	return b
}

// The interval excludes the margin exactly when the test says regressed, holds
// after a trip through bytes, and no look changes the test that it started from.
func TestSequentialLaws(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		margins := []float64{0, 0, 0.02, 0.1}
		margin := stats.Margin{Absolute: rapid.SampledFrom(margins).Draw(r, "margin")}
		moving, designs := rapid.Bool().Draw(r, "moving"), rapid.Bool().Draw(r, "designs")
		n := rapid.SampledFrom([]int64{1, 20, 1000}).Draw(r, "history")
		test, err := stats.NewSequentialTest(finishedPlan(rapid.Int64Range(0, n).Draw(r, "failures"), n, 66))
		if err != nil {
			r.Fatal(err)
		}
		for _, b := range outcomes(r) {
			if designs {
				b = redesigned(r, b)
			}
			if moving {
				margin.Absolute = rapid.SampledFrom(margins).Draw(r, "margin")
			}
			before, _ := test.MarshalBinary()
			next, look, err := test.Look(b, margin)
			if err != nil {
				r.Fatal(err)
			}
			if after, _ := test.MarshalBinary(); string(after) != string(before) {
				r.Fatal("Look changed its receiver")
			}
			var read stats.SequentialTest
			if err := read.UnmarshalBinary(before); err != nil {
				r.Fatal(err)
			}
			again, same, _ := read.Look(b, margin)
			a, _ := next.MarshalBinary()
			if z, _ := again.MarshalBinary(); same != look || string(a) != string(z) {
				r.Fatal("a test read back behaves otherwise")
			}
			if look.Used > look.Allowed || look.Regressed && !look.Reachable || look.Score < 0 {
				r.Fatalf("impossible look %+v", look)
			}
			if d, err := next.Interval(0.025); err == nil {
				if (d.Lo >= margin.Absolute) != look.Regressed || d.Lo > d.Hi || d.Lo < -1 || d.Hi > 1 {
					r.Fatalf("interval %v of %+v", d, look)
				}
			} else if !errors.Is(err, stats.ErrUntested) && !errors.Is(err, stats.ErrOneOutcome) {
				r.Fatal(err)
			}
			test = next
		}
	})
}

// A test that had regressed before the margin grew shows limits in order.
func TestIntervalAfterTheMarginGrew(t *testing.T) {
	test, err := stats.NewSequentialTest(finishedPlan(3, 1000, 66))
	if err != nil {
		t.Fatal(err)
	}
	history := func(stratum, x, n int64) stats.Block {
		b := block(stratum, n, x, 0, 0)
		b.Design = stats.Historical
		return b
	}
	for _, step := range []struct {
		block  stats.Block
		margin float64
	}{
		{history(1, 0, 37), 0.02}, {block(0, 17, 0, 28, 1), 0}, {history(1, 1, 55), 0}, {history(2, 19, 35), 0}, {history(2, 1, 4), 0}, {block(0, 11, 0, 15, 2), 0.1},
	} {
		if test, _, err = test.Look(step.block, stats.Margin{Absolute: step.margin}); err != nil {
			t.Fatal(err)
		}
	}
	d, err := test.Interval(0.025)
	if err != nil || d.Lo < 0.1 || d.Lo > d.Hi {
		t.Errorf("interval %v, %v", d, err)
	}
}

// One more failure of the candidate, with the total unchanged, never helps it.
func TestMoreFailuresNeverHelp(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		better, worse := newTest(t, 0.05, 66, 10), newTest(t, 0.05, 66, 10)
		for _, b := range outcomes(r) {
			var low, high stats.Look
			better, low, _ = better.Look(b, stats.Margin{})
			if b.Candidate.X < b.Candidate.N && b.Baseline.X > 0 && rapid.Bool().Draw(r, "shift") {
				b.Candidate.X++
				b.Baseline.X--
			}
			worse, high, _ = worse.Look(b, stats.Margin{})
			if low.Boundary != high.Boundary || low.Used != high.Used || low.Score > high.Score || low.Regressed && !high.Regressed {
				r.Fatalf("%+v against %+v", low, high)
			}
		}
	})
}

// So it is with any design: without a finished baseline given the totals, with
// one given the base rate too.
func TestMoreFailuresNeverHelpInAnyDesign(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		better, err := stats.NewSequentialTest(finishedPlan(rapid.Int64Range(0, 40).Draw(r, "failures"), 40, 66))
		if err != nil {
			r.Fatal(err)
		}
		worse := better
		for _, b := range outcomes(r) {
			b = redesigned(r, b)
			var low, high stats.Look
			better, low, _ = better.Look(b, stats.Margin{})
			if b.Candidate.X < b.Candidate.N && (b.Design == stats.Historical || b.Baseline.X > 0) && rapid.Bool().Draw(r, "shift") {
				b.Candidate.X++
				if b.Design != stats.Historical {
					b.Baseline.X--
				}
			}
			worse, high, _ = worse.Look(b, stats.Margin{})
			if low.Boundary != high.Boundary || low.Used != high.Used || low.Score > high.Score || low.Regressed && !high.Regressed {
				r.Fatalf("%+v against %+v", low, high)
			}
		}
	})
}

// A long rollout makes its lattice coarser and stays bounded and exact: what
// was not used is still among the undecided paths.
func TestCoarsening(t *testing.T) {
	test := newTest(t, 0.05, 100, 30)
	source := stats.NewSource(7, 0)
	draw := func(n int64) (x int64) {
		for range n {
			if source.Index(10) < 3 {
				x++
			}
		}
		return x
	}
	regressed, size := 0, 0
	for range 2000 {
		var look stats.Look
		var err error
		if test, look, err = test.Look(block(0, 10, draw(10), 20, draw(20)), stats.Margin{}); err != nil {
			t.Fatal(err)
		}
		if look.Regressed {
			regressed++
		}
		if look.Used > look.Allowed || look.Score > 8192 {
			t.Fatalf("impossible look %+v", look)
		}
		data, _ := test.MarshalBinary()
		size = max(size, len(data))
	}
	if regressed > 0 || size > 1<<18 {
		t.Errorf("%d crossings, %d bytes", regressed, size)
	}
	t.Logf("largest state: %d bytes", size)
	_, information, used, c, b := test.Totals()
	if used < 0.9*stats.AlphaStar(0.05, 100, information) {
		t.Errorf("used %v of %v", used, stats.AlphaStar(0.05, 100, information))
	}
	// The displayed interval survives the change of lattice: near the score one.
	d, err := test.Interval(0.025)
	score := stats.Newcombe(c, b, stats.Critical(0.95))
	if err != nil || math.Abs(d.Hi-score.Hi) > 0.002 || d.Lo > score.Lo {
		t.Errorf("interval %v (%v), score interval %v", d, err, score)
	}
	test, look, err := test.Look(block(1, 1_000_000, 300_000, 1_000_000, 200_000), stats.Margin{})
	if err != nil || !look.Regressed {
		t.Errorf("a huge block: %+v, %v", look, err)
	}
	if d, err := test.Interval(0.025); err != nil || d.Lo < 0 {
		t.Errorf("after a huge block: %v, %v", d, err)
	}
}

// A harmless candidate crosses with at most the budget's probability, and not
// with much less, which would be power thrown away.
func TestFalseRollbacks(t *testing.T) {
	rollouts := 4000
	if testing.Short() {
		rollouts = 400
	}
	crossed := 0
	for r := range rollouts {
		source := stats.NewSource(stats.SeedOf("false rollbacks"), uint64(r))
		test := newTest(t, 0.05, 66, 30)
		for look := range int64(18) {
			step := look / 6 // the base rate drifts over three steps of 30 runs
			draw := func(n int64) (x int64) {
				for range n {
					if source.Index(100) < int(5+5*step) {
						x++
					}
				}
				return x
			}
			m := 5 * []int64{19, 3, 1}[step]
			next, seen, err := test.Look(block(step, 5, draw(5), m, draw(m)), stats.Margin{})
			if err != nil {
				t.Fatal(err)
			}
			if test = next; seen.Regressed {
				crossed++
				break
			}
		}
	}
	rate := stats.Wilson(stats.Proportion{X: int64(crossed), N: int64(rollouts)}, 3)
	if rate.Lo > 0.0475 || rate.Hi < 0.045 {
		t.Errorf("%d of %d harmless rollouts crossed", crossed, rollouts)
	}
	t.Logf("%d of %d harmless rollouts crossed", crossed, rollouts)
}

// states are tests in every kind of state: before a look, with one row, with a
// row for each failure against a history and with one for each node.
func states(t testing.TB) []stats.SequentialTest {
	t.Helper()
	var list []stats.SequentialTest
	for _, blocks := range [][]stats.Block{
		{},
		{block(0, 10, 1, 190, 19), block(0, 10, 2, 190, 17), block(-3, 20, 3, 30, 3)},
		{past(0, 10, 1), block(0, 10, 2, 30, 3), pairs(7, 20, 2, 1)},
		{past(0, 4, 1), past(1, 3, 1), pairs(0, 5, 1, 2)},
	} {
		test, err := stats.NewSequentialTest(finishedPlan(7, 60, 66))
		if err != nil {
			t.Fatal(err)
		}
		for i, b := range blocks {
			margin := stats.Margin{Absolute: 0.02}
			if len(list) == 3 && i > 0 {
				margin.Absolute = 0.03
			}
			if test, _, err = test.Look(b, margin); err != nil {
				t.Fatal(err)
			}
		}
		list = append(list, test)
	}
	return list
}

// Whatever bytes are read as a test are its only form, and a test to look on with.
func FuzzSequentialUnmarshal(f *testing.F) {
	for _, test := range states(f) {
		data, err := test.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var test stats.SequentialTest
		if err := test.UnmarshalBinary(data); err != nil {
			return
		}
		if again, err := test.MarshalBinary(); err != nil || string(again) != string(data) {
			t.Fatal("accepted in a form that is not canonical")
		}
		for i, b := range []stats.Block{block(0, 9, 1, 9, 1), pairs(1, 9, 3, 3), past(0, 3, 1), past(2, 2, 1)} {
			next, _, err := test.Look(b, stats.Margin{Absolute: float64(i%2) / 50})
			if err == nil {
				test = next
				_, _ = test.Interval(0.025)
			}
		}
	})
}

func TestSequentialUnmarshalRejects(t *testing.T) {
	for _, test := range states(t) {
		rejectDamage(t, test)
	}
	if _, err := (stats.SequentialTest{}).MarshalBinary(); err == nil {
		t.Error("the zero test was marshalled")
	}
}

func rejectDamage(t *testing.T, test stats.SequentialTest) {
	t.Helper()
	data, err := test.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var read stats.SequentialTest
	if err := read.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	stride := 1 + len(data)/300
	for n := 0; n < len(data); n += stride {
		if read.UnmarshalBinary(data[:n]) == nil {
			t.Fatalf("%d of %d bytes were accepted", n, len(data))
		}
	}
	if read.UnmarshalBinary(append(append([]byte{}, data...), 0)) == nil {
		t.Error("a trailing byte was accepted")
	}
	for i := 0; i < len(data); i += stride { // any byte may be damaged; what is accepted must read back as itself
		damaged := append([]byte{}, data...)
		damaged[i] ^= 0x55
		if read.UnmarshalBinary(damaged) == nil {
			if again, _ := read.MarshalBinary(); string(again) != string(damaged) {
				t.Fatalf("byte %d: accepted in a form that is not canonical", i)
			}
		}
	}
}
