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

// The interval excludes the margin exactly when the test says regressed, holds
// after a trip through bytes, and no look changes the test that it started from.
func TestSequentialLaws(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		margin := stats.Margin{Absolute: rapid.SampledFrom([]float64{0, 0, 0.02, 0.1}).Draw(r, "margin")}
		test := newTest(t, 0.05, 66, 10)
		for _, b := range outcomes(r) {
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

func TestSequentialUnmarshalRejects(t *testing.T) {
	test := newTest(t, 0.05, 66, 30)
	for _, l := range worked[0].looks {
		test, _, _ = test.Look(l.block, stats.Margin{})
	}
	data, err := test.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var read stats.SequentialTest
	stride := 1 + len(data)/1000
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
	if _, err := (stats.SequentialTest{}).MarshalBinary(); err == nil {
		t.Error("the zero test was marshalled")
	}
}
