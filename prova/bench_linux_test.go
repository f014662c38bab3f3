package prova_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cobound/prova/prova"
	"github.com/cobound/prova/sdks/scenarios/faultserver"
)

// pace is the time between two runs of the benchmark: an agent is not a loop.
const pace = 200 * time.Microsecond

// An agent waits for others between two runs, and then finds cold caches, or
// it works, and finds them warm.
func waiting() { time.Sleep(pace) }

func working() {
	for began := time.Now(); time.Since(began) < pace; { //nolint:revive // it works
	}
}

// BenchmarkRecord measures what a run costs the agent that records it: all of
// Run, with three metrics and, unless payload=none, a kilobyte each of input and output. It reports
// the median and the 99th percentile, by the clock and of processor time, and
// fails if anything was dropped. Beside it, reference=json writes the same as
// JSON once and does nothing else: what is left is the machine's. Between two
// runs the agent waits, or, where agent=working, keeps its core busy.
func BenchmarkRecord(b *testing.B) {
	for name, between := range map[string]func(){"": waiting, ",agent=working": working} {
		b.Run("reference=json"+name, func(b *testing.B) {
			text := strings.Repeat("x", payload)
			measure(b, between, func() {
				_, _ = json.Marshal(map[string]any{"input": text, "output": text, "metrics": map[string]any{"success": true, "latency_ms": 1.5, "cost_usd": 0.0123}})
			})
		})
		b.Run("server=up"+name, func(b *testing.B) {
			server := httptest.NewServer(faultserver.New(""))
			defer server.Close()
			benchmarkRecord(b, server.URL, setting{between: between, payload: payload})
		})
		b.Run("server=up,payload=none"+name, func(b *testing.B) {
			server := httptest.NewServer(faultserver.New(""))
			defer server.Close()
			benchmarkRecord(b, server.URL, setting{between: between})
		})
	}
	b.Run("server=slow", func(b *testing.B) {
		slow := faultserver.New("")
		slow.Program([]faultserver.Fault{{Kind: "slow", MS: 500, Forever: true}})
		server := httptest.NewServer(slow)
		defer server.Close()
		benchmarkRecord(b, server.URL, setting{between: waiting, payload: payload})
	})
	b.Run("server=down", func(b *testing.B) {
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close() // nobody listens there now
		benchmarkRecord(b, server.URL, setting{between: waiting, payload: payload})
	})
	b.Run("server=down,spool", func(b *testing.B) {
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		benchmarkRecord(b, server.URL, setting{between: waiting, payload: payload, memory: 1000})
	})
}

// payload is how large an input and an output are, in bytes.
const payload = 1 << 10

// setting is what a benchmark records.
type setting struct {
	between func()
	payload int
	// memory is how many runs it holds before they overflow to a spool; 0 is all.
	memory int
}

func benchmarkRecord(b *testing.B, url string, s setting) {
	b.Helper()
	o := prova.RecorderOptions{
		BaseURL: url, APIKey: "prv_id_secret", AppID: "agent", Release: "v1", Environment: "bench",
		QueueEvents: 1 << 20, QueueBytes: 8 << 30, Logger: slog.New(slog.DiscardHandler),
	}
	if s.memory > 0 {
		o.QueueEvents, o.SpoolDir, o.SpoolBytes = s.memory, b.TempDir(), 8<<30
	}
	rec := prova.NewRecorder(o)
	if rec.Err() != nil {
		b.Fatal(rec.Err())
	}
	text := strings.Repeat("x", s.payload)
	agent := func(_ context.Context, run *prova.Run) error {
		run.Metric("cost_usd", 0.0123)
		if text != "" {
			run.Input(text)
			run.Output(text)
		}
		return nil
	}
	measure(b, s.between, func() {
		if err := rec.Run(b.Context(), agent); err != nil {
			b.Fatal(err)
		}
	})
	if n := rec.Stats(); n.Dropped > 0 || n.Recorded != int64(b.N) {
		b.Fatalf("not everything was kept: %+v", n)
	}
	short, cancel := context.WithTimeout(b.Context(), time.Second)
	defer cancel()
	_ = rec.Close(short) // with the server down nothing can be sent
}

// measure calls do, and between after each.
func measure(b *testing.B, between, do func()) {
	b.Helper()
	runtime.LockOSThread() // the processor time is a thread's
	defer runtime.UnlockOSThread()
	var clock, processor []time.Duration
	for b.Loop() {
		began, used := time.Now(), threadTime(b)
		do()
		processor = append(processor, threadTime(b)-used)
		clock = append(clock, time.Since(began))
		between()
	}
	for name, took := range map[string][]time.Duration{"": clock, "cpu-": processor} {
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, name+"p50-µs")
		b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, name+"p99-µs")
	}
}

// threadTime is how long this thread has run on a processor.
func threadTime(b *testing.B) time.Duration {
	b.Helper()
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
