package stats_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/cobound/prova/internal/stats"
)

// pairs is a block in which of n pairs c failed only in the candidate, b only in the baseline.
func pairs(stratum, n, c, b int64) stats.Block {
	return stats.Block{
		Stratum: stratum, Design: stats.Paired,
		Candidate: stats.Proportion{X: c, N: n}, Baseline: stats.Proportion{X: b, N: n},
	}
}

// nodeRates are the rates and weights that a finished baseline is mixed from,
// written down once more.
func nodeRates(history stats.Proportion) (rates, weights []float64) {
	a, b := float64(history.X+1), float64(history.N-history.X)
	sum := 0.0
	for j := range 41 {
		theta := math.Log(a/b) + math.Sqrt(1/a+1/b)*(-8+14*float64(j)/40)
		p := 1 / (1 + math.Exp(-theta))
		w := math.Exp(a*math.Log(p/a*(a+b)) + b*math.Log((1-p)/b*(a+b)))
		rates, weights, sum = append(rates, p), append(weights, w), sum+w
	}
	for j := range weights {
		weights[j] /= sum
	}
	return rates, weights
}

// The error used is the probability of a crossing under the mixture, given the
// totals of the blocks that are not historical: all outcomes of a small design of
// every kind are played and weighed, node by node.
func TestUsedIsCrossingProbabilityOfDesigns(t *testing.T) {
	history := stats.Proportion{X: 3, N: 12}
	design := []stats.Block{past(0, 3, 0), block(1, 3, 0, 4, 3), past(0, 3, 0), pairs(1, 9, 4, 0), past(2, 3, 0)}
	same := func(int) stats.Margin { return stats.Margin{} }
	for name, margin := range map[string]func(int) stats.Margin{
		"none":  same,
		"odds":  func(int) stats.Margin { return stats.Margin{OddsRatio: 1.5} },
		"moves": func(i int) stats.Margin { return stats.Margin{OddsRatio: []float64{1, 1.5, 1.2}[i%3]} },
	} {
		rates, weights := nodeRates(history)
		plan := stats.TestPlan{Budget: 0.2, Information: 14, FirstLook: 5, History: history}
		start, err := stats.NewSequentialTest(plan)
		if err != nil {
			t.Fatal(err)
		}
		crossed, all, used := 0.0, 0.0, 0.0
		var play func(test stats.SequentialTest, i int, p []float64, out bool)
		play = func(test stats.SequentialTest, i int, p []float64, out bool) {
			if i == len(design) {
				for j, w := range weights {
					all += w * p[j]
					if out {
						crossed += w * p[j]
					}
				}
				_, _, used, _, _ = test.Totals()
				return
			}
			b := design[i]
			odds := max(margin(i).OddsRatio, 1)
			failures := b.Candidate.X + b.Baseline.X
			for x := range b.Candidate.N + 1 {
				next := make([]float64, len(p))
				for j := range p {
					q := 0.0
					switch o := rates[j] / (1 - rates[j]) * odds; {
					case b.Design == stats.Historical:
						q = binomialChance(b.Candidate.N, x, o/(1+o))
					case b.Design == stats.Paired && x <= failures:
						q = binomialChance(failures, x, odds/(1+odds))
					case b.Design == stats.Concurrent:
						q = noncentral(b.Candidate.N, b.Baseline.N, failures, odds)[x]
					}
					next[j] = p[j] * q
				}
				if next[0] == 0 {
					continue
				}
				b.Candidate.X = x
				if b.Design != stats.Historical {
					b.Baseline.X = failures - x
				}
				after, look, err := test.Look(b, margin(i))
				if err != nil {
					t.Fatal(err)
				}
				play(after, i+1, next, out || look.Regressed)
			}
		}
		certain := make([]float64, len(weights))
		for j := range certain {
			certain[j] = 1
		}
		play(start, 0, certain, false)
		near(t, name+": all paths", all, 1, 1e-12)
		near(t, name+": crossed", crossed, used, 1e-12)
		if used < 0.1 {
			t.Errorf("%s: only %v was used: the design proves nothing", name, used)
		}
	}
}

// binomialChance is P(X = x) of n trials with probability p.
func binomialChance(n, x int64, p float64) float64 {
	q := 1.0
	for i := range x {
		q *= float64(n-i) / float64(i+1) * p
	}
	return q * math.Pow(1-p, float64(n-x))
}

// A finished baseline is judged by the error over both, the baseline's runs and
// the candidate's, which is enumerated: boundaries depend on the baseline's failures alone.
func TestFinishedBaselineFalseRollbacks(t *testing.T) {
	for _, c := range []struct {
		n, planned, runs, block int64
		rates, want             []float64
	}{
		{100, 90, 90, 1, []float64{0.005, 0.01, 0.03, 0.1, 0.3, 0.5}, []float64{0.09, 0.53, 2.57, 3.68, 4.10, 4.18}},
		{100, 90, 1080, 30, []float64{0.005, 0.01}, []float64{0.08, 0.49}},
		{1000, 90, 90, 1, []float64{0.01, 0.03}, []float64{3.86, 4.46}},
		{1000, 90, 90, 5, []float64{0.03}, nil},
		{10_000, 90, 90, 30, []float64{0.01}, nil},
	} {
		boundaries := make([][]int64, c.n+1)
		for i, rate := range c.rates {
			crossed := 0.0
			for x := range c.n + 1 {
				w := math.Exp(logBinomial(c.n, x, rate))
				if w < 1e-8 {
					continue
				}
				if boundaries[x] == nil {
					boundaries[x] = boundariesOf(t, stats.Proportion{X: x, N: c.n}, c.planned, c.runs, c.block)
				}
				crossed += w * crossing(boundaries[x], c.block, rate)
			}
			t.Logf("%d, %d of %d, %d: %g %%: %.4f %%", c.n, c.planned, c.runs, c.block, 100*rate, 100*crossed)
			if crossed > 0.05 {
				t.Errorf("%+v at %v: %v is more than the budget", c, rate, crossed)
			}
			if c.want != nil {
				near(t, fmt.Sprintf("%+v at %v", c, rate), 100*crossed, c.want[i], 0.00501)
			}
		}
	}
}

// boundariesOf returns the boundary of each look against a history, 1<<62 where it is not tested.
func boundariesOf(t *testing.T, history stats.Proportion, planned, runs, size int64) (list []int64) {
	t.Helper()
	information := float64(planned*history.N) / float64(planned+history.N)
	test, err := stats.NewSequentialTest(stats.TestPlan{Budget: 0.05, Information: information, FirstLook: 30, History: history})
	if err != nil {
		t.Fatal(err)
	}
	for range runs / size {
		var look stats.Look
		if test, look, err = test.Look(past(0, size, 0), stats.Margin{}); err != nil {
			t.Fatal(err)
		}
		if look.Boundary > 4096 {
			t.Fatalf("the lattice became coarser: %+v", look)
		}
		if !look.Tested {
			look.Boundary = 1 << 62
		}
		list = append(list, look.Boundary)
	}
	return list
}

// crossing is the probability that a candidate with a failure rate ever reaches the boundaries.
func crossing(boundaries []int64, size int64, rate float64) (crossed float64) {
	block := make([]float64, size+1)
	for x := range block {
		block[x] = binomialChance(size, int64(x), rate)
	}
	law := []float64{1}
	for k, boundary := range boundaries {
		weight := 16 - k%4
		next := make([]float64, len(law)+weight*int(size))
		for z, p := range law {
			if p < 1e-16 {
				continue
			}
			for x, q := range block {
				next[z+weight*x] += p * q
			}
		}
		for z := len(next) - 1; int64(z) >= boundary && z >= 0; z-- {
			crossed += next[z]
		}
		law = next[:min(int64(len(next)), boundary)]
	}
	return crossed
}

func logBinomial(n, x int64, p float64) float64 {
	choose := func(n int64) float64 { v, _ := math.Lgamma(float64(n + 1)); return v }
	return choose(n) - choose(x) - choose(n-x) + float64(x)*math.Log(p) + float64(n-x)*math.Log1p(-p)
}

// A test keeps little, reads back as itself from text in a JSON document, and is
// bounded however many runs are compared with a finished baseline.
func TestHistoricalState(t *testing.T) {
	type document struct{ Test stats.SequentialTest }
	for _, c := range []struct {
		history      stats.Proportion
		tick, every  int64
		at90, at3000 int
	}{
		{stats.Proportion{X: 100, N: 1000}, 1, 10, 40_000, 1_500_000},
		{stats.Proportion{X: 10, N: 100}, 5, 10, 60_000, 2_800_000},
		{stats.Proportion{X: 500, N: 1000}, 5, 2, 70_000, 800_000},
		{stats.Proportion{X: 0, N: 100}, 30, 50, 40_000, 2_800_000},
	} {
		test, err := stats.NewSequentialTest(stats.TestPlan{Budget: 0.05, Information: 80, FirstLook: 30, History: c.history})
		if err != nil {
			t.Fatal(err)
		}
		failures, runs := int64(0), int64(0)
		for runs < 3000 {
			size := c.tick
			if runs >= 90 {
				size = 30
			}
			runs += size
			block := past(0, size, runs/c.every-failures)
			failures = runs / c.every
			var look stats.Look
			if test, look, err = test.Look(block, stats.Margin{}); err != nil || look.Regressed {
				t.Fatalf("%v: %+v, %v", c.history, look, err)
			}
			if runs != 90 && runs != 900 && runs != 3000 {
				continue
			}
			data, err := json.Marshal(document{test})
			var read document
			if err != nil || json.Unmarshal(data, &read) != nil {
				t.Fatalf("%v after %d runs: %v", c.history, runs, err)
			}
			before, _ := test.MarshalBinary()
			after, _ := read.Test.MarshalBinary()
			d, err := test.Interval(0.025)
			same, other := read.Test.Interval(0.025)
			if string(before) != string(after) || d != same || err != nil || other != nil {
				t.Errorf("%v after %d runs: a test read back differs: %v %v, %v %v", c.history, runs, d, err, same, other)
			}
			if runs == 90 && len(before) > c.at90 || runs == 3000 && len(before) > c.at3000 {
				t.Errorf("%v after %d runs: %d bytes", c.history, runs, len(before))
			}
			t.Logf("%v after %d runs in blocks of %d: %d bytes, used %.4f, %+v", c.history, runs, c.tick, len(before), look.Used, d)
			if c.history.X == 0 {
				continue // at the totals the candidate cannot have failed more often
			}
			newcombe := stats.Newcombe(stats.Proportion{X: failures, N: runs}, c.history, stats.Critical(0.95))
			if math.Abs(d.Hi-newcombe.Hi) > 0.02 {
				t.Errorf("%v after %d runs: %v, the score interval is %v", c.history, runs, d, newcombe)
			}
		}
	}
}

func TestTextRejects(t *testing.T) {
	test := newTest(t, 0.05, 66, 30)
	text, err := test.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var read stats.SequentialTest
	if err := read.UnmarshalText(text); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "?", string(text) + "\n", string(text[:8]) + "\n" + string(text[8:]), string(text[:len(text)-1]), " " + string(text)} {
		if read.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if _, err := (stats.SequentialTest{}).MarshalText(); err == nil {
		t.Error("the zero test was marshalled")
	}
}

func TestDesignsReject(t *testing.T) {
	plain := newTest(t, 0.05, 66, 30)
	if _, _, err := plain.Look(past(0, 5, 1), stats.Margin{}); !errors.Is(err, stats.ErrNoHistory) {
		t.Errorf("no history: %v", err)
	}
	for _, h := range []stats.Proportion{{X: 2, N: 1}, {X: -1, N: 1}, {X: 0, N: 1 << 40}} {
		if _, err := stats.NewSequentialTest(stats.TestPlan{Budget: 0.05, Information: 66, History: h}); err == nil {
			t.Errorf("history %v was accepted", h)
		}
	}
	test, err := stats.NewSequentialTest(finishedPlan(1, 10, 66))
	if err != nil {
		t.Fatal(err)
	}
	withBaseline, unknown := past(0, 5, 1), past(0, 5, 1)
	withBaseline.Baseline.N = 1
	unknown.Design = 3
	negative := unknown
	negative.Design = -1
	for _, b := range []stats.Block{withBaseline, unknown, negative, past(0, 1<<20+1, 1), past(0, 5, 6), pairs(0, 5, 3, 3), pairs(0, 5, -1, 3)} {
		if _, _, err := test.Look(b, stats.Margin{}); err == nil {
			t.Errorf("%+v was accepted", b)
		}
	}
	unequal := pairs(0, 5, 1, 1)
	unequal.Baseline.N = 6
	if _, _, err := test.Look(unequal, stats.Margin{}); err == nil {
		t.Error("unequal numbers of pairs were accepted")
	}
	for _, b := range []stats.Block{past(0, 0, 0), pairs(0, 0, 0, 0)} {
		if _, _, err := test.Look(b, stats.Margin{}); !errors.Is(err, stats.ErrEmptyArm) {
			t.Errorf("%+v: %v, want ErrEmptyArm", b, err)
		}
	}
	for _, b := range []stats.Block{past(0, 1<<20, 5), past(0, 5, 5), pairs(0, 5, 3, 2)} {
		if _, _, err := test.Look(b, stats.Margin{}); err != nil {
			t.Errorf("%+v: %v", b, err)
		}
	}
}

// A historical stratum shares its baseline among its blocks, is of its own beside
// a concurrent one of the same number, and the totals count the baseline once.
func TestHistoricalStrata(t *testing.T) {
	test, err := stats.NewSequentialTest(finishedPlan(30, 300, 43.5))
	if err != nil {
		t.Fatal(err)
	}
	var look stats.Look
	for _, c := range []struct {
		block       stats.Block
		information float64
	}{
		{past(0, 30, 4), 9000.0 / 330},
		{past(0, 30, 4), 18000.0 / 360},
		{block(0, 30, 3, 90, 9), 50 + 22.5},
		{past(1, 30, 3), 50 + 22.5 + 9000.0/330},
		{pairs(1, 10, 1, 1), 50 + 22.5 + 9000.0/330 + 5},
	} {
		if test, look, err = test.Look(c.block, stats.Margin{}); err != nil {
			t.Fatal(err)
		}
		near(t, "information", look.Information, c.information, 1e-12)
		if look.Design != c.block.Design || look.Baseline != c.block.Baseline {
			t.Errorf("look %+v of %+v", look, c.block)
		}
	}
	_, _, _, candidate, baseline := test.Totals()
	if candidate != (stats.Proportion{X: 15, N: 130}) || baseline != (stats.Proportion{X: 40, N: 400}) {
		t.Errorf("totals %v and %v", candidate, baseline)
	}
}

// Tilts far beyond the limits overflow on one side, which must not hide the other.
func TestIntervalOfWideLaws(t *testing.T) {
	for _, blocks := range [][]stats.Block{
		{pairs(0, 7, 2, 5), pairs(0, 56, 33, 23), past(0, 36, 9)},
		{block(0, 200, 100, 200, 100), past(0, 5, 0), block(1, 200, 20, 200, 180)},
		{past(0, 40, 20), block(0, 200, 120, 200, 80), past(1, 1, 1)},
	} {
		test, err := stats.NewSequentialTest(finishedPlan(14, 20, 66))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range blocks {
			if test, _, err = test.Look(b, stats.Margin{}); err != nil {
				t.Fatal(err)
			}
		}
		if d, err := test.Interval(0.025); err != nil || !(d.Lo < d.Estimate && d.Estimate < d.Hi) {
			t.Errorf("%+v: %v, %v", blocks, d, err)
		}
	}
}

// Without failures of the candidate the history's own are still of both outcomes.
func TestHistoricalOutcomes(t *testing.T) {
	for _, c := range []struct {
		history stats.Proportion
		x       int64
		want    error
	}{
		{stats.Proportion{X: 0, N: 100}, 0, stats.ErrOneOutcome},
		{stats.Proportion{X: 100, N: 100}, 40, stats.ErrOneOutcome},
		{stats.Proportion{X: 1, N: 100}, 0, nil},
		{stats.Proportion{X: 99, N: 100}, 40, nil},
	} {
		test, err := stats.NewSequentialTest(stats.TestPlan{Budget: 0.05, Information: 66, History: c.history})
		if err != nil {
			t.Fatal(err)
		}
		test, look, err := test.Look(past(0, 40, c.x), stats.Margin{})
		if err != nil || !look.Tested {
			t.Fatalf("%+v: %+v, %v", c, look, err)
		}
		d, err := test.Interval(0.025)
		if !errors.Is(err, c.want) {
			t.Errorf("%+v: %v %v, want %v", c, d, err, c.want)
		}
		if err == nil && !(d.Lo <= d.Estimate && d.Estimate <= d.Hi) {
			t.Errorf("%+v: %v", c, d)
		}
	}
}
