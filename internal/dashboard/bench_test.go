//go:build unix

package dashboard

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/cobound/prova/api"
)

// BenchmarkRolloutPage reads the page of a rollout that has seen so many runs,
// recorded like any others, and reports the processor time of the whole process.
// To look must cost the same however many runs there are.
func BenchmarkRolloutPage(b *testing.B) {
	for _, runs := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("runs=%d", runs), func(b *testing.B) {
			h := newHouse(b)
			id := h.create("agent", func(r *api.CreateRollout) { r.Mode, r.MinRuns = api.ModeShadow, ptr(int64(1_000_000)) }).ID
			const batch = 1000
			for done := 0; done < runs; done += batch {
				h.traffic("agent", batch/20, 19, 5, 95)
				if done%(20*batch) == 0 {
					h.tick(id)
				}
			}
			h.tick(id)
			size := len(h.page(h.ownerKey, "/rollouts/"+id))
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				if w := h.ask(h.ownerKey, http.MethodGet, "/rollouts/"+id, nil); w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
			}
			b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/1000/float64(b.N), "CPU-ms/op")
			b.ReportMetric(float64(size)/1000, "kB")
		})
	}
}

// cpuTime is what the process has used so far, in user and kernel mode.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
