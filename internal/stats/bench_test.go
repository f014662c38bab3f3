package stats_test

import (
	"fmt"
	"testing"

	"github.com/cobound/prova/internal/stats"
)

func BenchmarkLook(b *testing.B) {
	test := newTest(b, 0.05, 600, 30)
	for i := range int64(60) { // half of a ramp with 300 runs a step
		test, _, _ = test.Look(block(0, 5, i%2, 15, 1+i%3), stats.Margin{})
	}
	for b.Loop() {
		if _, _, err := test.Look(block(0, 5, 1, 15, 1), stats.Margin{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRollout looks at whole rollouts in blocks of 5 candidate runs: the
// looks alone, and with an interval at each.
func BenchmarkRollout(b *testing.B) {
	for _, design := range []stats.Design{stats.Concurrent, stats.Historical, stats.Paired} {
		for _, runs := range []int64{90, 900} {
			for _, interval := range []bool{false, true} {
				name := fmt.Sprintf("%s/runs=%d/interval=%v", [...]string{"concurrent", "historical", "paired"}[design], runs, interval)
				b.Run(name, func(b *testing.B) { benchmarkRollout(b, design, runs, interval) })
			}
		}
	}
}

func benchmarkRollout(b *testing.B, design stats.Design, runs int64, interval bool) {
	source := stats.NewSource(3, 4)
	blocks := make([]stats.Block, runs/5)
	for i := range blocks {
		x, y := int64(source.Index(10)/8), int64(source.Index(6)/2)
		switch stratum := int64(3*i) / int64(len(blocks)); design {
		case stats.Concurrent:
			blocks[i] = block(stratum, 5, x, 15, y)
		case stats.Historical:
			blocks[i] = past(stratum, 5, x)
		case stats.Paired:
			blocks[i] = pairs(stratum, 5, x, y)
		}
	}
	start, err := stats.NewSequentialTest(finishedPlan(100, 1000, float64(runs)*0.75))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		test := start
		for _, block := range blocks {
			if test, _, err = test.Look(block, stats.Margin{}); err != nil {
				b.Fatal(err)
			}
			if interval {
				_, _ = test.Interval(0.025)
			}
		}
	}
}

func BenchmarkSequentialInterval(b *testing.B) {
	test := newTest(b, 0.05, 600, 30)
	for i := range int64(60) {
		test, _, _ = test.Look(block(0, 5, i%2, 15, 1+i%3), stats.Margin{})
	}
	for b.Loop() {
		if _, err := test.Interval(0.025); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSequentialMarshal(b *testing.B) {
	test := newTest(b, 0.05, 600, 30)
	for i := range int64(60) {
		test, _, _ = test.Look(block(0, 5, i%2, 15, 1+i%3), stats.Margin{})
	}
	for b.Loop() {
		data, _ := test.MarshalBinary()
		var read stats.SequentialTest
		if err := read.UnmarshalBinary(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStratifiedNewcombe(b *testing.B) {
	strata := make([]stats.Stratum, 4)
	for i := range strata {
		strata[i] = stats.Stratum{Candidate: stats.Proportion{X: 3, N: 30}, Baseline: stats.Proportion{X: 57, N: 570}}
	}
	for b.Loop() {
		stats.StratifiedNewcombe(strata, 1.96)
	}
}

func BenchmarkBootstrapMean(b *testing.B) {
	strata := []stats.UnitStratum{{Candidate: singles(b, lognormal(1, 1000, 0.6)), Baseline: singles(b, lognormal(2, 1000, 0.6))}}
	for b.Loop() {
		stats.BootstrapMean(strata, 0.95, 1, 2000)
	}
}

func BenchmarkSummaryAdd(b *testing.B) {
	values := lognormal(1, 4096, 0.6)
	var s stats.Summary
	source := stats.NewSource(1, 1)
	i := 0
	for b.Loop() {
		if err := s.Add(values[i&4095], source.Uint64()); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkSummaryMerge(b *testing.B) {
	values := lognormal(1, 4096, 0.6)
	var x, y stats.Summary
	source := stats.NewSource(1, 1)
	for i := range 4096 {
		_ = x.Add(values[i], source.Uint64())
		_ = y.Add(values[i], source.Uint64())
	}
	for b.Loop() {
		z := x
		z.Merge(y)
	}
}

func BenchmarkSummaryRoundTrip(b *testing.B) {
	values := lognormal(1, 4096, 0.6)
	var x stats.Summary
	source := stats.NewSource(1, 1)
	for i := range 4096 {
		_ = x.Add(values[i], source.Uint64())
	}
	data, _ := x.MarshalBinary()
	b.ReportMetric(float64(len(data)), "bytes")
	for b.Loop() {
		data, _ := x.MarshalBinary()
		var read stats.Summary
		if err := read.UnmarshalBinary(data); err != nil {
			b.Fatal(err)
		}
	}
}
