package stats_test

import (
	"testing"

	"github.com/cobound/prova/internal/stats"
)

// benchmarkLook is a look in the middle of a rollout.
func benchmarkLook(b *testing.B, candidates, baselines int) {
	test := newPermutation(b, stats.PermutationPlan{Budget: 0.05, Information: 66, Seed: 1})
	next := stats.MeanBlock{
		Candidate: armOf(b, lognormal(1, candidates, 0.6), 1),
		Baseline:  armOf(b, lognormal(2, baselines, 0.6), 2),
	}
	test, _, _ = test.Look(next)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := test.Look(next); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPermutationLook5of95(b *testing.B)    { benchmarkLook(b, 5, 95) }
func BenchmarkPermutationLook5of5(b *testing.B)     { benchmarkLook(b, 5, 5) }
func BenchmarkPermutationLook500of500(b *testing.B) { benchmarkLook(b, 500, 500) }
func BenchmarkPermutationLook50000(b *testing.B)    { benchmarkLook(b, 25_000, 25_000) }

// BenchmarkPermutationRollout is 90 candidate runs in 18 looks, blocks included.
func BenchmarkPermutationRollout(b *testing.B) {
	var blocks []stats.MeanBlock
	for step, share := range []int{19, 3, 1} {
		for i := range 6 {
			seed := uint64(10*step + i)
			blocks = append(blocks, stats.MeanBlock{
				Stratum:   int64(step),
				Candidate: armOf(b, lognormal(stats.Seed(seed), 5, 0.6), 2*seed),
				Baseline:  armOf(b, lognormal(stats.Seed(seed+100), 5*share, 0.6), 2*seed+1),
			})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		test := newPermutation(b, stats.PermutationPlan{Budget: 0.05, Information: 66, FirstLook: 30, Seed: 1})
		for _, next := range blocks {
			test, _, _ = test.Look(next)
		}
	}
}

func BenchmarkPermutationInterval(b *testing.B) {
	test := newPermutation(b, stats.PermutationPlan{Budget: 0.05, Information: 66, Seed: 1})
	test, _, _ = test.Look(stats.MeanBlock{Candidate: armOf(b, lognormal(1, 30, 0.6), 1), Baseline: armOf(b, lognormal(2, 95, 0.6), 2)})
	for b.Loop() {
		if _, err := test.Interval(0.025); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPermutationBinary(b *testing.B) {
	test := newPermutation(b, stats.PermutationPlan{Budget: 0.05, Information: 66, Seed: 1})
	test, _, _ = test.Look(stats.MeanBlock{Candidate: armOf(b, lognormal(1, 30, 0.6), 1), Baseline: armOf(b, lognormal(2, 95, 0.6), 2)})
	for b.Loop() {
		data, _ := test.MarshalBinary()
		var read stats.PermutationTest
		if err := read.UnmarshalBinary(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValuesOf(b *testing.B) {
	list := lognormal(1, 100, 0.6)
	for b.Loop() {
		armOf(b, list, 1)
	}
}

func BenchmarkValuesAdd(b *testing.B) {
	list := lognormal(1, 100, 0.6)
	for b.Loop() {
		var s stats.Values
		for i, v := range list {
			if err := s.Add(v, uint64(i)*0x9e3779b97f4a7c15); err != nil {
				b.Fatal(err)
			}
		}
	}
}
