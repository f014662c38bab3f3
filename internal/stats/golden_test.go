package stats_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"
	"testing"

	"github.com/cobound/prova/internal/stats"
)

// golden is the hash of the bits of all results below. It is the same on every
// CPU. If a change of the package changes it, verdicts of the past can no longer
// be recomputed: that needs a new version of the engine.
const golden = "b90d548a5df1eda561483db14ff2abfca21f8bfa51783fba2104f16fe64b5854"

type digest struct{ hash.Hash }

func (d digest) floats(values ...float64) {
	for _, v := range values {
		d.ints(int64(math.Float64bits(v)))
	}
}

func (d digest) ints(values ...int64) {
	for _, v := range values {
		d.Write(binary.BigEndian.AppendUint64(nil, uint64(v)))
	}
}

func (d digest) difference(v stats.Difference) { d.floats(v.Estimate, v.Lo, v.Hi) }

func TestGolden(t *testing.T) {
	d := digest{sha256.New()}
	goldenNumbers(d)
	goldenTests(t, d)
	goldenDesigns(t, d)
	goldenSamples(t, d)
	got := hex.EncodeToString(d.Sum(nil))
	t.Logf("golden %s", got) // TestEveryCPU compares this line between CPUs
	if got != golden {
		t.Errorf("results hash to %s, want %s", got, golden)
	}
}

func goldenNumbers(d digest) {
	for i := int64(-400); i <= 400; i++ {
		d.floats(stats.Exp(float64(i)*0.731), stats.Exp(float64(i)/617), stats.Log(float64(math.Abs(float64(i))*1.37)+1e-9))
	}
	for i := 1; i < 2000; i++ {
		d.floats(stats.NormalQuantile(float64(i)/2000), stats.NormalQuantile(1/float64(i*i*i)), stats.AlphaStar(0.05, 500, float64(i)))
	}
	for n := int64(1); n <= 120; n++ {
		for x := int64(0); x <= n; x++ {
			i := stats.Wilson(stats.Proportion{X: x, N: n}, 1.959963984540054)
			d.floats(i.Lo, i.Hi)
			candidate, baseline := stats.Proportion{X: x, N: n}, stats.Proportion{X: (3*x + 7*n) % (2 * n), N: 2 * n}
			d.difference(stats.Newcombe(candidate, baseline, 2.5))
			other := stats.Stratum{Candidate: stats.Proportion{X: n - x, N: n + 3}, Baseline: stats.Proportion{X: x, N: n + 9}}
			d.difference(stats.StratifiedNewcombe([]stats.Stratum{{Candidate: candidate, Baseline: baseline}, other}, 1.7))
			d.difference(stats.NewcombePaired(x, n-x, x/2, n, 1.96))
		}
	}
}

func goldenTests(t *testing.T, d digest) {
	for run := range uint64(20) {
		source := stats.NewSource(stats.SeedOf("golden"), run)
		test := newTest(t, 0.05, 66, 30)
		margin := stats.Margin{Absolute: float64(run%4) / 50}
		for i := range int64(60) {
			m, n := int64(5+source.Index(10)), int64(5+source.Index(60))
			b := block(i/20, m, int64(source.Index(int(m/2))), n, int64(source.Index(int(n/3))))
			var look stats.Look
			var err error
			if test, look, err = test.Look(b, margin); err != nil {
				t.Fatal(err)
			}
			d.ints(look.Score, look.Boundary)
			d.floats(look.Information, look.Allowed, look.Used, look.Level)
			if v, err := test.Interval(0.025); err == nil {
				d.difference(v)
			}
		}
		state, _ := test.MarshalBinary()
		d.Write(state)
	}
}

// goldenDesigns plays rollouts against a finished baseline, with concurrent blocks
// and pairs among them; in the last the law has a row for each node.
func goldenDesigns(t *testing.T, d digest) {
	for run, history := range []stats.Proportion{{X: 100, N: 1000}, {X: 0, N: 100}, {X: 5, N: 9}, {X: 30, N: 300}} {
		source := stats.NewSource(stats.SeedOf("golden designs"), uint64(run))
		plan := finishedPlan(history.X, history.N, 66)
		plan.HistoryInformation = float64(run) * 31.7
		test, err := stats.NewSequentialTest(plan)
		if err != nil {
			t.Fatal(err)
		}
		margin := stats.Margin{Absolute: float64(run) / 50}
		for i := range int64(45) {
			m, n := int64(1+source.Index(6)), int64(5+source.Index(20))
			x, y := int64(source.Index(int(m/2)+1)), int64(source.Index(int(n/3)))
			b := past(i/30, m, x)
			switch i % 5 {
			case 3:
				b = block(i/20, m, x, n, y)
			case 4:
				b = pairs(i/20, m+n, x, y)
			}
			if run == 3 && i%20 == 7 {
				margin.OddsRatio = 1 + float64(i)/100
			}
			var look stats.Look
			if test, look, err = test.Look(b, margin); err != nil {
				t.Fatal(err)
			}
			d.ints(look.Score, look.Boundary)
			d.floats(look.Information, look.Allowed, look.Used, look.Level)
			if v, err := test.Interval(0.025); err == nil {
				d.difference(v)
			}
		}
		state, _ := test.MarshalBinary()
		d.Write(state)
	}
}

func goldenSamples(t *testing.T, d digest) {
	c, b := lognormal(11, 700, 0.6), lognormal(12, 1400, 1.2)
	var summary stats.Summary
	for i, v := range b {
		if err := summary.Add(v/7, uint64(stats.SeedOf(string(rune(i))))); err != nil {
			t.Fatal(err)
		}
		if i%50 == 0 {
			i := summary.QuantileInterval(0.9, 1.96)
			d.floats(summary.Mean(), summary.Quantile(0.5), summary.Quantile(0.95), i.Lo, i.Hi)
		}
	}
	d.Write([]byte(encoded(t, summary)))
	strata := []stats.UnitStratum{{Candidate: singles(t, c), Baseline: summary.Units()}, {Candidate: singles(t, c[:50]), Baseline: singles(t, c[50:200])}}
	d.difference(stats.BootstrapMean(strata, 0.95, stats.SeedOf("golden"), 500))
	one := stats.BootstrapMeanOne(summary.Units(), 0.99, stats.SeedOf("golden"), 500)
	d.floats(one.Lo, one.Hi)
	for _, how := range []stats.Resampling{
		{Confidence: 0.95, Seed: 1, Resamples: 300},
		{Confidence: 0.9, Seed: 2, Resamples: 300, MaxUnits: 100},
		{Confidence: 0.9, Seed: 3, Resamples: 300, MaxUnits: 1000, Method: stats.BCa},
	} {
		m := stats.BootstrapMeans(strata, how)
		d.difference(m.Difference)
		d.floats(m.Candidate.Lo, m.Candidate.Hi, m.Baseline.Lo, m.Baseline.Hi)
	}
	how := stats.Resampling{Confidence: 0.95, Seed: 4, Resamples: 200, Method: stats.BCa}
	d.difference(stats.BootstrapPaired(c, how))
	d.difference(stats.BootstrapQuantile(sorted(c), sorted(b), 0.95, how))
	for i := -400; i <= 90; i++ {
		d.floats(stats.NormalCDF(float64(i) / 10.3))
	}
	for x := range int64(40) {
		logE, _ := stats.TwoSampleLogE(stats.Proportion{X: x, N: 40}, stats.Proportion{X: 90, N: 100}, 100*(x%2))
		d.floats(logE, stats.SignLogE(x, 40))
	}
}
