package prova_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
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
// JSON once and does nothing else, and reference=nothing does nothing at all:
// what is left is the machine's. Between two runs the agent waits, or, where
// agent=working, keeps its core busy.
//
// The server is a process of its own that gives way to the agent's: one
// elsewhere leaves the agent no garbage and takes none of its cores. What the
// recorder does in the background stays beside the agent.
func BenchmarkRecord(b *testing.B) {
	for name, between := range map[string]func(){"": waiting, ",agent=working": working} {
		b.Run("reference=nothing"+name, func(b *testing.B) { measure(b, between, func() {}) })
		b.Run("reference=json"+name, func(b *testing.B) {
			text := strings.Repeat("x", payload)
			measure(b, between, func() {
				_, _ = json.Marshal(map[string]any{"input": text, "output": text, "metrics": map[string]any{"success": true, "latency_ms": 1.5, "cost_usd": 0.0123}})
			})
		})
		b.Run("server=up"+name, func(b *testing.B) {
			benchmarkRecord(b, serverApart(b, up), setting{between: between, payload: payload})
		})
		b.Run("server=up,payload=none"+name, func(b *testing.B) {
			benchmarkRecord(b, serverApart(b, up), setting{between: between})
		})
	}
	b.Run("server=slow", func(b *testing.B) {
		benchmarkRecord(b, serverApart(b, slow), setting{between: waiting, payload: payload})
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

// benchServer tells a process how its server answers.
const benchServer = "PROVA_BENCH_SERVER"

// The ways in which a server answers: at once, or after half a second.
const (
	up   = "up"
	slow = "slow"
)

// TestBenchServer is no test: it is the process of serverApart.
func TestBenchServer(t *testing.T) {
	kind := os.Getenv(benchServer)
	if kind == "" {
		t.Skip("only as a process of its own")
	}
	ok(t, unix.Setpriority(unix.PRIO_PROCESS, 0, 19))
	handler := faultserver.New("")
	if kind == slow {
		handler.Program([]faultserver.Fault{{Kind: "slow", MS: 500, Forever: true}})
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	fmt.Println(server.URL)
	_, _ = io.Copy(io.Discard, os.Stdin) // it ends with the benchmark
}

// serverApart starts a server in a process of its own and returns its address.
func serverApart(b *testing.B, kind string) string {
	b.Helper()
	fail := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestBenchServer$")
	cmd.Env = append(os.Environ(), benchServer+"="+kind)
	stdin, err := cmd.StdinPipe()
	fail(err)
	stdout, err := cmd.StdoutPipe()
	fail(err)
	fail(cmd.Start())
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill() // it may still be busy with requests that nobody waits for
		_ = cmd.Wait()
	})
	url, err := bufio.NewReader(stdout).ReadString('\n')
	fail(err)
	return strings.TrimSpace(url)
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
