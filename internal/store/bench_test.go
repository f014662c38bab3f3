package store_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/cobound/prova/internal/store"
	"github.com/cobound/prova/internal/store/pgtest"
)

func benchmarkBoth(b *testing.B, run func(b *testing.B, s *store.Store)) {
	for name, open := range map[string]func(testing.TB) *store.Store{
		"SQLite":   openSQLite,
		"Postgres": func(t testing.TB) *store.Store { return openPostgres(t, pgtest.URL(t)) },
	} {
		b.Run(name, func(b *testing.B) {
			s := open(b)
			b.Cleanup(func() {
				if err := s.Close(); err != nil {
					b.Error(err)
				}
			})
			createOrg(b, s)
			run(b, s)
		})
	}
}

// number makes ids that sort by time, over all runs of a benchmark.
var number atomic.Int64

func ids(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%012d", number.Add(1))
	}
	return all
}

// BenchmarkAppend appends receipts of 900 bytes, each batch durable before the next.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			benchmarkBoth(b, func(b *testing.B, s *store.Store) {
				for b.Loop() {
					appendEntries(b, s, ids(n)...)
				}
				b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "receipts/s")
			})
		})
	}
}

// BenchmarkConcurrentUpdates appends one receipt at a time from 64 goroutines.
func BenchmarkConcurrentUpdates(b *testing.B) {
	benchmarkBoth(b, func(b *testing.B, s *store.Store) {
		b.ResetTimer() // opening is not what is measured
		b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := tryAppend(b.Context(), s, ids(1)...); err != nil {
					b.Error(err)
					return
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "receipts/s")
	})
}
