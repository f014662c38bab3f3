package authority_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/stats"
)

// BenchmarkIngest records requests of 1, 100 and 1000 events: signing,
// verifying, folding into summaries and blocks, and the durable commit.
func BenchmarkIngest(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("events=%d", n), func(b *testing.B) {
			h := newHouse(b)
			h.create(canary("v36", "v37"))
			batch := make([]authority.Submission, n)
			for i := range batch {
				release := "v36"
				if i%20 == 0 {
					release = "v37"
				}
				batch[i] = submission(b, event(release, i%10 != 0))
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.Record(h.ctx, h.owner, batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "receipts/s")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/receipt")
		})
	}
}

// BenchmarkIngestConcurrent sends single events from many clients at once: they share commits.
func BenchmarkIngestConcurrent(b *testing.B) {
	h := newHouse(b)
	h.create(canary("v36", "v37"))
	one := []authority.Submission{submission(b, event("v36", true))}
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := h.Record(h.ctx, h.owner, one); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "receipts/s")
}

// BenchmarkTick ticks a rollout that has seen so many runs. Each tick signs a receipt (shadow mode).
func BenchmarkTick(b *testing.B) {
	for _, runs := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("runs=%d", runs), func(b *testing.B) {
			h := newHouse(b)
			request := canary("v36", "v37")
			request.Mode, request.MinRuns = api.ModeShadow, new(int64(1_000_000))
			r := h.create(request)
			h.traffic("v36", "v37", 50, 19, 5, 95)
			h.tick(r.ID)
			h.grow(b, runs-1000)
			b.ReportAllocs()
			for b.Loop() {
				h.tick(r.ID)
			}
		})
	}
}

// grow adds runs in epochs of 100,000 as ingest would leave them: signing a
// million receipts first would time something else.
func (h *house) grow(b *testing.B, runs int) {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	err := h.Store.Update(h.ctx, h.owner.Org, func(tx authority.Tx) error {
		if _, err := tx.LockHead(); err != nil {
			return err
		}
		e, err := tx.OpenEpoch("claims-agent", api.DefaultEnvironment)
		if err != nil {
			return err
		}
		for runs > 0 {
			n := min(runs, authority.EpochRuns)
			runs -= n
			e.Number++
			e.Runs = int64(n)
			for release, share := range map[string]int{"v36": n - n/20, "v37": n / 20} {
				c := authority.Cohort{AppID: e.AppID, Environment: e.Environment, Span: e.Number, Release: release, Runs: int64(share), Metrics: map[string]stats.Summary{}}
				var success, latency stats.Summary
				for range share {
					unit := rng.Uint64()
					if err := success.Add(float64(min(rng.IntN(10), 1)), unit); err != nil {
						return err
					}
					if err := latency.Add(800*(0.5+rng.ExpFloat64()), unit); err != nil {
						return err
					}
				}
				c.Metrics["success"], c.Metrics["latency_ms"] = success, latency
				if err := tx.SaveCohort(c); err != nil {
					return err
				}
			}
			if err := tx.SaveEpoch(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
