package stats_test

import (
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
