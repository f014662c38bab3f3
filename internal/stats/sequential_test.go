package stats_test

import (
	"errors"
	"math"
	"testing"

	"github.com/cobound/prova/internal/stats"
)

func block(stratum, m, x, n, y int64) stats.Block {
	return stats.Block{
		Stratum:   stratum,
		Candidate: stats.Proportion{X: x, N: m},
		Baseline:  stats.Proportion{X: y, N: n},
	}
}

// past is a block that is compared with the finished baseline.
func past(stratum, m, x int64) stats.Block {
	return stats.Block{Stratum: stratum, Design: stats.Historical, Candidate: stats.Proportion{X: x, N: m}}
}

func newTest(t testing.TB, budget, information float64, first int64) stats.SequentialTest {
	t.Helper()
	test, err := stats.NewSequentialTest(stats.TestPlan{Budget: budget, Information: information, FirstLook: first})
	if err != nil {
		t.Fatal(err)
	}
	return test
}

// workedLook is a block and what its look must show; boundary -1 is untested.
type workedLook struct {
	block                             stats.Block
	information, allowed, used, level float64
	score, boundary                   int64
	regressed                         bool
}

var worked = []struct {
	name   string
	plan   stats.TestPlan
	margin stats.Margin
	looks  []workedLook
	want   stats.Interval
}{
	{"A, three strata and on after crossing", stats.TestPlan{Budget: 0.05, Information: 66, FirstLook: 30}, stats.Margin{}, []workedLook{
		{block(0, 10, 1, 190, 19), 9.5, 0.0013440867, 0, 0, 16, -1, false},
		{block(0, 10, 2, 190, 17), 19, 0.0034140542, 0, 0, 46, -1, false},
		{block(0, 10, 3, 190, 20), 28.5, 0.0066019183, 0.0061862377, 0.0061862377, 88, 119, false},
		{block(1, 10, 2, 30, 3), 36, 0.0102947971, 0.0099809173, 0.0085371018, 114, 133, false},
		{block(1, 20, 5, 60, 6), 51, 0.0227903738, 0.0224573319, 0.0176161703, 194, 183, true},
		{block(2, 15, 5, 15, 1), 58.5, 0.0330594143, 0.0328963260, 0.0241507340, 269, 229, true},
		{block(2, 15, 6, 15, 1), 66, 0.0475, 0.0454596369, 0.0328789913, 353, 281, true},
	}, stats.Interval{Lo: 0.0629775787, Hi: 0.2402327974}},
	{"B, the first score that crosses", stats.TestPlan{Budget: 0.05, Information: 66, FirstLook: 30}, stats.Margin{}, []workedLook{
		{block(0, 30, 9, 570, 57), 28.5, 0.0066019183, 0.0029823232, 0.0029823232, 144, 129, true},
	}, stats.Interval{Lo: 0, Hi: 0.3423231244}},
	{"C, a tenth of the budget", stats.TestPlan{Budget: 0.005, Information: 66, FirstLook: 30}, stats.Margin{}, []workedLook{
		{block(0, 30, 9, 570, 57), 28.5, 0.0006601918, 0.0001275654, 0.0001275654, 144, 161, false},
		{block(1, 30, 9, 90, 8), 51, 0.0022790374, 0.0019237640, 0.0018851533, 279, 233, true},
	}, stats.Interval{Lo: 0.0406366136, Hi: 0.2948922028}},
	{"D, a finished baseline", finishedPlan(100, 1000, 90000.0/1090), stats.Margin{}, []workedLook{
		{past(0, 30, 6), 29.1262135922, 0.0046822489, 0.0025413599, 0.0025413599, 96, 129, false},
		{past(0, 30, 7), 56.6037735849, 0.0169720138, 0.0152256821, 0.0144359272, 201, 186, true},
		{past(0, 30, 5), 82.5688073394, 0.0475, 0.0464627746, 0.0441036680, 271, 215, true},
	}, stats.Interval{Lo: 0.0317871484, Hi: 0.1821086368}},
	{"E, a finished baseline without failures", finishedPlan(0, 100, 9000.0/190), stats.Margin{}, []workedLook{
		{past(0, 30, 2), 23.0769230769, 0.0082443573, 0.0024132988, 0.0024132988, 32, 49, false},
		{past(0, 30, 2), 37.5, 0.0242682786, 0.0224114023, 0.0224114023, 62, 48, true},
	}, stats.Interval{Lo: 0.0037576890, Hi: 0.0657989958}},
	{"F, a margin", stats.TestPlan{Budget: 0.05, Information: 66, FirstLook: 30}, stats.Margin{Absolute: 0.05}, []workedLook{
		{block(0, 30, 8, 570, 57), 28.5, 0.0066019183, 0.0031758634, 0.0031758634, 128, 161, false},
		{block(1, 30, 8, 90, 8), 51, 0.0227903738, 0.0223027255, 0.0214842804, 248, 247, true},
		{block(2, 30, 9, 30, 3), 66, 0.0475, 0.0465014034, 0.0407419612, 374, 341, true},
	}, stats.Interval{Lo: 0.0895368244, Hi: 0.2610786939}},
	{"G, far beyond the plan", stats.TestPlan{Budget: 0.05, Information: 66, FirstLook: 30}, stats.Margin{}, []workedLook{
		{block(0, 30, 3, 570, 57), 28.5, 0.0066019183, 0.0062619562, 0.0062619562, 48, 113, false},
		{block(1, 30, 3, 90, 9), 51, 0.0227903738, 0.0199482600, 0.0179479828, 93, 171, false},
		{block(2, 30, 3, 30, 3), 66, 0.0475, 0.0437650047, 0.0417986253, 135, 199, false},
		{block(2, 100, 10, 100, 10), 116, 0.0484014686, 0.0482875401, 0.0176032662, 265, 366, false},
		{block(2, 500, 70, 500, 50), 366, 0.0490785036, 0.0490730432, 0.0013765450, 1385, 1509, false},
	}, stats.Interval{Lo: -0.0200173303, Hi: 0.0566234676}},
	{"H, a finished baseline, then a concurrent one", finishedPlan(30, 300, 43.5), stats.Margin{}, []workedLook{
		{past(0, 30, 4), 27.2727272727, 0.0138358609, 0.0129365881, 0.0129365881, 64, 113, false},
		{block(0, 30, 6, 90, 8), 49.7727272727, 0.0477967866, 0.0426000266, 0.0399757335, 154, 171, false},
	}, stats.Interval{Lo: -0.0179788576, Hi: 0.1543731384}},
}

func finishedPlan(x, n int64, information float64) stats.TestPlan {
	return stats.TestPlan{Budget: 0.05, Information: information, FirstLook: 30, History: stats.Proportion{X: x, N: n}}
}

func TestWorkedLooks(t *testing.T) {
	const digits = 1e-10
	for _, c := range worked {
		t.Run(c.name, func(t *testing.T) {
			test, err := stats.NewSequentialTest(c.plan)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range c.looks {
				var look stats.Look
				if test, look, err = test.Look(want.block, c.margin); err != nil {
					t.Fatal(err)
				}
				near(t, "information", look.Information, want.information, digits)
				near(t, "allowed", look.Allowed, want.allowed, digits)
				near(t, "used", look.Used, want.used, digits)
				tested := want.boundary >= 0
				if look.Number != int64(i+1) || look.Score != want.score || look.Tested != tested || look.Regressed != want.regressed {
					t.Errorf("look %d = %+v, want %+v", i+1, look, want)
				}
				if tested {
					near(t, "level", look.Level, want.level, digits)
					if look.Boundary != want.boundary || !look.Reachable || !test.Reachable() {
						t.Errorf("look %d: boundary %d, reachable %v, want %d", i+1, look.Boundary, look.Reachable, want.boundary)
					}
				}
			}
			got, err := test.Interval(0.025)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "lo", got.Lo, c.want.Lo, digits)
			near(t, "hi", got.Hi, c.want.Hi, digits)
		})
	}
}

func TestTotals(t *testing.T) {
	test := newTest(t, 0.05, 66, 30)
	for _, l := range worked[0].looks {
		test, _, _ = test.Look(l.block, stats.Margin{})
	}
	looks, information, used, c, b := test.Totals()
	if looks != 7 || information != 66 || c != (stats.Proportion{X: 24, N: 90}) || b != (stats.Proportion{X: 67, N: 690}) {
		t.Errorf("totals = %d %v %v %v", looks, information, c, b)
	}
	near(t, "used", used, 0.0454596369, 1e-10)
}

func TestAlphaStar(t *testing.T) {
	for _, c := range []struct{ u, want float64 }{
		{0.1, 0.0008707271}, {28.5 / 66, 0.0066019183}, {1, 0.0475}, {2, 0.0485234597}, {100, 0.0495539832}, {0, 0}, {-1, 0},
	} {
		near(t, "alpha", stats.AlphaStar(0.05, 66, 66*c.u), c.want, 1e-10)
	}
	last := 0.0
	for v := 1.0; v < 1e12; v *= 1.3 {
		a := stats.AlphaStar(0.05, 500, v)
		if a < last || a >= 0.05 {
			t.Fatalf("spent %v at %v after %v", a, v, last)
		}
		last = a
	}
}

// Given the totals, the error used is exactly the probability of a crossing: all
// outcomes of a small design are played and weighed.
func TestUsedIsCrossingProbability(t *testing.T) {
	design := []stats.Block{block(0, 6, 0, 9, 4), block(0, 5, 0, 5, 5), block(3, 7, 0, 4, 3), block(3, 4, 0, 8, 6), block(4, 5, 0, 5, 2)}
	for _, margin := range []stats.Margin{{}, {OddsRatio: 1.5}} {
		crossed, all, used := 0.0, 0.0, 0.0
		var play func(test stats.SequentialTest, i int, p float64, out bool)
		play = func(test stats.SequentialTest, i int, p float64, out bool) {
			if i == len(design) {
				all += p
				if out {
					crossed += p
				}
				_, _, used, _, _ = test.Totals()
				return
			}
			b := design[i]
			failures := b.Baseline.X
			law := noncentral(b.Candidate.N, b.Baseline.N, failures, max(margin.OddsRatio, 1))
			if margin.OddsRatio == 0 {
				law = noncentral(b.Candidate.N, b.Baseline.N, failures, 1)
			}
			for x, q := range law {
				if q == 0 {
					continue
				}
				b.Candidate.X, b.Baseline.X = int64(x), failures-int64(x)
				next, look, err := test.Look(b, margin)
				if err != nil {
					t.Fatal(err)
				}
				play(next, i+1, p*q, out || look.Regressed)
			}
		}
		play(newTest(t, 0.2, 14, 5), 0, 1, false)
		near(t, "all paths", all, 1, 1e-12)
		near(t, "crossed", crossed, used, 1e-12)
		if used < 0.1 {
			t.Errorf("only %v was used: the design proves nothing", used)
		}
	}
}

// noncentral is Fisher's law by binomial coefficients, index by failures of m.
func noncentral(m, n, failures int64, odds float64) []float64 {
	choose := func(n, k int64) float64 {
		if k < 0 || k > n {
			return 0
		}
		c := 1.0
		for i := range k {
			c = c * float64(n-i) / float64(i+1)
		}
		return c
	}
	law, sum := make([]float64, m+1), 0.0
	for x := range law {
		law[x] = choose(m, int64(x)) * choose(n, failures-int64(x)) * math.Pow(odds, float64(x))
		sum += law[x]
	}
	for x := range law {
		law[x] /= sum
	}
	return law
}

func TestLookRejects(t *testing.T) {
	test := newTest(t, 0.05, 66, 30)
	for _, b := range []stats.Block{
		block(0, 5, 6, 5, 0), block(0, 5, -1, 5, 0), block(0, 5, 1, 5, 6), block(0, -5, 0, 5, 0), block(0, 1<<40, 0, 5, 0),
	} {
		if _, _, err := test.Look(b, stats.Margin{}); err == nil {
			t.Errorf("%+v was accepted", b)
		}
	}
	for _, b := range []stats.Block{block(0, 0, 0, 5, 0), block(0, 5, 0, 0, 0)} {
		if _, _, err := test.Look(b, stats.Margin{}); !errors.Is(err, stats.ErrEmptyArm) {
			t.Errorf("%+v: %v, want ErrEmptyArm", b, err)
		}
	}
	for _, m := range []stats.Margin{{Absolute: -0.1}, {Absolute: 1}, {Absolute: math.NaN()}, {OddsRatio: -1}, {OddsRatio: math.Inf(1)}} {
		if _, _, err := test.Look(block(0, 5, 1, 5, 1), m); err == nil {
			t.Errorf("%+v was accepted", m)
		}
	}
	for _, p := range []stats.TestPlan{
		{Budget: 0, Information: 1},
		{Budget: 1, Information: 1},
		{Budget: math.NaN(), Information: 1},
		{Budget: 0.1},
		{Budget: 0.1, Information: math.Inf(1)},
		{Budget: 0.1, Information: 1, FirstLook: -1},
	} {
		if _, err := stats.NewSequentialTest(p); err == nil {
			t.Errorf("%+v was accepted", p)
		}
	}
	if _, _, err := (stats.SequentialTest{}).Look(block(0, 5, 1, 5, 1), stats.Margin{}); err == nil {
		t.Error("the zero test looked")
	}
}

func TestIntervalFailures(t *testing.T) {
	test := newTest(t, 0.05, 66, 30)
	if _, err := test.Interval(0.025); !errors.Is(err, stats.ErrUntested) {
		t.Errorf("no look: %v", err)
	}
	early, look, _ := test.Look(block(0, 10, 1, 190, 19), stats.Margin{})
	if _, err := early.Interval(0.025); !errors.Is(err, stats.ErrUntested) || look.Tested || early.Reachable() {
		t.Errorf("before the first look: %v %+v", err, look)
	}
	clean, look, _ := test.Look(block(0, 40, 0, 60, 0), stats.Margin{})
	if _, err := clean.Interval(0.025); !errors.Is(err, stats.ErrOneOutcome) {
		t.Errorf("no failures: %v", err)
	}
	if !look.Tested || look.Reachable || look.Regressed || look.Score != 0 || look.Boundary != 1 || look.Used != 0 {
		t.Errorf("no failures: %+v", look)
	}
	for _, upper := range []float64{0, 1, math.NaN()} {
		if _, err := clean.Interval(upper); err == nil {
			t.Errorf("upper level %v was accepted", upper)
		}
	}
}
