//go:build unix

package compare_test

import (
	"fmt"
	"math"
	"syscall"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/stats"
)

// fiveGates are two rates, two means and a quantile.
var fiveGates = []string{"success", "error", "latency_ms:mean", "cost_usd:mean", "latency_ms:p95"}

// bigCohort has n runs, each of a unit of its own: up to 2^14 are drawn, and
// what they add up to is then merged with itself. That doubles the runs of each
// unit instead of the units, which beyond 1,024 of them no group can tell.
func bigCohort(b *testing.B, seed stats.Seed, n int) compare.Cohort {
	b.Helper()
	drawn, doublings := n, 0
	for drawn > 1<<14 {
		drawn, doublings = drawn/2, doublings+1
	}
	var c compare.Cohort
	from := stats.NewSource(seed, 0)
	for range drawn {
		p := (float64(from.Uint64()>>11) + 0.5) / (1 << 53)
		latency := 600 * stats.Exp(0.6*stats.NormalQuantile(p))
		if err := c.Add(map[string]api.Metric{
			"success": api.Bool(from.Index(10) > 0), "error": api.Bool(from.Index(50) == 0),
			"latency_ms": api.Number(math.Round(latency)), "cost_usd": api.Number(latency / 1e5),
		}, from.Uint64()); err != nil {
			b.Fatal(err)
		}
	}
	for range doublings {
		half := map[string]stats.Summary{}
		for name, m := range c.Metrics {
			half[name] = m.Summary
		}
		c.Merge(c.Runs, half)
	}
	return c
}

// cpuSeconds is the processor time of this process so far: on a busy machine it
// is what the work costs.
func cpuSeconds(b *testing.B) float64 {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return float64(usage.Utime.Sec+usage.Stime.Sec) + float64(usage.Utime.Usec+usage.Stime.Usec)/1e6
}

// What a comparison costs depends on the gates, not on the number of runs.
func BenchmarkReleases(b *testing.B) {
	var gates []api.Gate
	for _, text := range fiveGates {
		gates = append(gates, gate(b, text))
	}
	for _, strata := range []int{1, 4, 100} {
		for _, runs := range []int{1e3, 1e5, 1e7} {
			b.Run(fmt.Sprintf("strata=%d/runs=%.0e", strata, float64(runs)), func(b *testing.B) {
				var list []compare.Stratum
				for i := range strata {
					seed := stats.Seed(2 * i)
					list = append(list, compare.Stratum{
						Epoch: int64(i), Candidate: bigCohort(b, seed, runs/strata), Baseline: bigCohort(b, seed+1, runs/strata),
					})
				}
				q := question(gates, list...)
				b.ReportAllocs()
				start := cpuSeconds(b)
				for b.Loop() {
					compare.Releases(q)
				}
				b.ReportMetric(1e3*(cpuSeconds(b)-start)/float64(b.N), "cpu-ms/op")
			})
		}
	}
}
