package authority_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/evidence"
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

// BenchmarkTick ticks a rollout that has seen so many runs of each release in
// four spans. Each tick reads, compares, signs a receipt and commits (shadow
// mode). It must cost the same however many runs there are: with a mean, whose
// bootstrap is most of it, and without, when reading is.
func BenchmarkTick(b *testing.B) {
	all := []string{"success", "latency_ms:p95:on=warn", "cost_usd:mean:on=warn"}
	for _, n := range []int{2, 3} {
		name, gates := []string{2: "rate,quantile", 3: "rate,quantile,mean"}[n], all[:n]
		for _, runs := range []int64{1_000, 100_000, 10_000_000} {
			b.Run(fmt.Sprintf("gates=%s/runs=%d", name, runs), func(b *testing.B) {
				h := newHouse(b)
				id := h.shadowOf(gates)
				h.grow(b, runs)
				h.traffic("v36", "v37", 50, 1, 5, 5)
				if tick := h.tick(id); tick.Rollout.Ledger.Looks != 10 || len(tick.Verdict.Gates)+len(tick.Verdict.Signals) != len(gates) || tick.Verdict.Gates[0].Candidate.N < runs {
					b.Fatalf("%+v", tick.Verdict)
				}
				b.ReportAllocs()
				before := cpuTime()
				for b.Loop() {
					h.tick(id)
				}
				b.ReportMetric(float64((cpuTime()-before).Microseconds())/1000/float64(b.N), "CPU-ms/op")
			})
		}
	}
}

// shadowOf creates a shadow that no number of fresh runs ends and returns its id.
func (h *house) shadowOf(gates []string) string {
	h.t.Helper()
	request := canary("v36", "v37")
	request.Mode, request.MinRuns = api.ModeShadow, new(int64(1_000_000))
	for _, text := range gates {
		g, err := api.ParseGate(text)
		if err != nil {
			h.t.Fatal(err)
		}
		request.Gates = append(request.Gates, g)
	}
	return h.create(request).ID
}

// grow adds runs of each release in four spans of as many epochs as ingest
// would cut, and leaves them as ingest would: signing so many receipts first
// would time something else.
func (h *house) grow(b *testing.B, runs int64) {
	b.Helper()
	const spans = 4
	inEpoch := min(runs/spans, evidence.EpochRuns/2) // of each of two releases
	first := sample(b, inEpoch, func(unit uint64) uint64 { return unit })
	// Later epochs repeat one sample, whose units must not seem to be clustered: none has one of the smallest hashes, which are looked at.
	later := sample(b, inEpoch, func(unit uint64) uint64 {
		if unit>>60 == 0 {
			unit |= 1 << 63
		}
		return unit
	})
	err := h.Store.Update(h.ctx, h.owner.Org, func(tx authority.Tx) error {
		if _, err := tx.LockHead(); err != nil {
			return err
		}
		e, err := tx.OpenEpoch("claims-agent", api.DefaultEnvironment)
		if err != nil {
			return err
		}
		for range spans {
			e.Span = e.Number + 1
			c := authority.Cohort{AppID: e.AppID, Environment: e.Environment, Span: e.Span, Metrics: map[string]stats.Summary{}, MetricEpochs: map[string]stats.EpochCounts{}}
			for ; c.Runs < runs/spans; c.Runs += inEpoch {
				e.Number++
				e.Runs = 2 * inEpoch
				if err := tx.SaveEpoch(e); err != nil {
					return err
				}
				c.Epochs = c.Epochs.Add(e.Number, inEpoch, 0)
				part := first
				if c.Runs > 0 {
					part = later
				}
				for name, s := range part {
					sum := c.Metrics[name]
					sum.Merge(s)
					c.Metrics[name] = sum
					c.MetricEpochs[name] = c.MetricEpochs[name].Add(e.Number, s.Count(), s.Ones())
				}
			}
			for _, c.Release = range []string{"v36", "v37"} {
				if err := tx.SaveCohort(c); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// sample are n runs' summaries, one of which no gate needs.
func sample(b *testing.B, n int64, unitOf func(uint64) uint64) map[string]stats.Summary {
	b.Helper()
	rng := rand.New(rand.NewPCG(unitOf(0), 2))
	part := map[string]stats.Summary{}
	for range n {
		unit := unitOf(rng.Uint64())
		for name, v := range map[string]float64{
			"success": float64(min(rng.IntN(10), 1)), "latency_ms": 800 * (0.5 + rng.ExpFloat64()),
			"cost_usd": 0.01 * math.Exp(0.6*rng.NormFloat64()), "tokens": float64(rng.IntN(10_000)),
		} {
			s := part[name]
			if err := s.Add(v, unit); err != nil {
				b.Fatal(err)
			}
			part[name] = s
		}
	}
	return part
}
