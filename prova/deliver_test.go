package prova_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/prova"
)

// Whatever fails in between, each run is sent in the same bytes until it is
// signed, and counts once.
func TestRetries(t *testing.T) {
	lost := func(lines []string) (*http.Response, error) { return nil, errors.New("connection reset") }
	short := func([]string) (*http.Response, error) { return respond(200, "", api.IngestAnswer{}), nil }
	shuffled := func(lines []string) (*http.Response, error) {
		return respond(200, "", api.IngestAnswer{Results: []api.IngestResult{{Index: 1, Status: api.IngestCreated}, {Index: 0, Status: api.IngestCreated}}}), nil
	}
	for name, c := range map[string]struct {
		faults []fault
		kinds  []string
	}{
		"500":             {[]fault{problem(500, "internal", ""), page(502)}, []string{"unavailable"}},
		"resets":          {[]fault{lost, lost, lost}, []string{"unreachable"}},
		"a page":          {[]fault{page(200), page(404), page(400), page(301)}, []string{"foreign_answer"}},
		"too few results": {[]fault{short}, []string{"foreign_answer"}},
		"other results":   {[]fault{shuffled}, []string{"foreign_answer"}},
		"timeout":         {[]fault{problem(408, "request_timeout", "")}, []string{"unavailable"}},
		"not found":       {[]fault{problem(404, "not_found", "")}, []string{"request_refused"}},
		"a lost answer": {[]fault{func(lines []string) (*http.Response, error) {
			return nil, errors.New("the answer broke off")
		}}, []string{"unreachable"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				server := &fakeServer{faults: c.faults}
				rec, log := record(t, server, prova.RecorderOptions{RetryMax: 10 * time.Second})
				rec.Record(prova.RunRecord{Metrics: success(), RunID: "a"})
				rec.Record(prova.RunRecord{Metrics: success(), RunID: "b"})
				pass(10 * time.Minute)
				wantStats(t, rec, prova.Stats{Recorded: 2, Sent: 2})
				if len(server.requests) != len(c.faults)+1 {
					t.Fatalf("%d requests", len(server.requests))
				}
				for _, lines := range server.requests {
					if !slices.Equal(lines, server.requests[0]) {
						t.Errorf("sent %v and %v", server.requests[0], lines)
					}
				}
				if got := log.kindList(); !slices.Equal(got, c.kinds) {
					t.Errorf("complained: %s", log.all())
				}
			})
		})
	}
}

// A signed event whose answer got lost is a duplicate the next time, and counts as sent.
func TestLostAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := &fakeServer{}
		server.faults = []fault{func(lines []string) (*http.Response, error) {
			server.sign(0, lines[0])
			return nil, errors.New("reset")
		}}
		rec, _ := record(t, server, prova.RecorderOptions{})
		rec.Record(prova.RunRecord{Metrics: success()})
		pass(time.Minute)
		wantStats(t, rec, prova.Stats{Recorded: 1, Sent: 1})
		if got := server.runIDs(); len(got) != 1 {
			t.Errorf("signed %v", got)
		}
	})
}

// Waits double up to the longest, with at most half of each left out, and start
// over after a success. A Retry-After is waited for, and no flush shortens it.
func TestBackoff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		bad := problem(503, "unavailable", "")
		server := &fakeServer{faults: []fault{bad, bad, bad, bad, nil, bad, nil, problem(429, "rate_limited", "40"), nil}}
		rec, _ := record(t, server, prova.RecorderOptions{RetryMin: time.Second, RetryMax: 3 * time.Second})
		for range 2 {
			rec.Record(prova.RunRecord{Metrics: success()})
			pass(time.Minute)
		}
		want := []time.Duration{1, 2, 3, 3, 0, 1}
		for i, longest := range want {
			wait := server.at[i+1].Sub(server.at[i])
			if longest *= time.Second; longest > 0 && (wait > longest || wait < longest/2) {
				t.Errorf("wait %d was %v, want %v to %v", i, wait, longest/2, longest)
			}
		}
		rec.Record(prova.RunRecord{Metrics: success()})
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		unsent, _ := errors.AsType[*prova.UnsentError](rec.Flush(ctx))
		if unsent == nil || unsent.Queued != 1 || unsent.Err == nil {
			t.Errorf("the flush returned %v", unsent)
		}
		pass(time.Minute)
		if wait := server.at[len(server.at)-1].Sub(began); wait < 40*time.Second || wait > 41*time.Second {
			t.Errorf("Retry-After: 40 was %v", wait)
		}
		wantStats(t, rec, prova.Stats{Recorded: 3, Sent: 3})
	})
}

// The server is down for a minute while the agent goes on: it is not held up,
// and nothing is lost, told twice or sent out of order.
func TestServerDownForAMinute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := &fakeServer{always: down}
		rec, log := record(t, server, prova.RecorderOptions{})
		var ids []string
		for range 2000 {
			began := time.Now()
			ids = append(ids, rec.Record(prova.RunRecord{Metrics: success()}))
			if held := time.Since(began); held > 0 {
				t.Fatalf("the agent was held up for %v", held)
			}
			time.Sleep(30 * time.Millisecond)
		}
		wantStats(t, rec, prova.Stats{Recorded: 2000, Queued: 2000})
		server.set(nil)
		ok(t, rec.Flush(t.Context()))
		wantStats(t, rec, prova.Stats{Recorded: 2000, Sent: 2000})
		if !slices.Equal(server.runIDs(), ids) {
			t.Error("another order")
		}
		if n := strings.Count(log.all(), "connection refused"); n == 0 || n > 2 || !slices.Equal(slices.Compact(log.kindList()), []string{"unreachable"}) {
			t.Errorf("complained %d times:\n%s", n, log.all())
		}
	})
}

// A key that is not accepted loses nothing and is told once a minute at most.
func TestRejectedKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := &fakeServer{always: problem(401, "unauthenticated", "")}
		rec, log := record(t, server, prova.RecorderOptions{})
		rec.Record(prova.RunRecord{Metrics: success()})
		pass(10 * time.Minute)
		if n := len(server.requests); n < 20 || n > 42 {
			t.Errorf("%d requests in ten minutes", n)
		}
		if n := len(log.kindList()); n < 8 || n > 10 || strings.Contains(log.all(), "prv_k_s") || !strings.Contains(log.all(), "since=2") {
			t.Errorf("complained %d times:\n%s", n, log.all())
		}
		server.set(nil)
		ok(t, rec.Flush(t.Context()))
		wantStats(t, rec, prova.Stats{Recorded: 1, Sent: 1})
	})
}

// tooLarge refuses requests of more than n events.
func tooLarge(n int) fault {
	return func(lines []string) (*http.Response, error) {
		if len(lines) <= n {
			return nil, nil
		}
		return respond(413, "", "<html>"), nil
	}
}

func TestTooLarge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := &fakeServer{always: tooLarge(3)}
		rec, log := record(t, server, prova.RecorderOptions{})
		var ids []string
		for i := range 20 {
			ids = append(ids, rec.Record(prova.RunRecord{Metrics: success(), RunID: fmt.Sprint(i)}))
		}
		ok(t, rec.Flush(t.Context()))
		wantStats(t, rec, prova.Stats{Recorded: 20, Sent: 20})
		if !slices.Equal(server.runIDs(), ids) || !slices.Equal(log.kindList(), []string{"too_large"}) {
			t.Errorf("signed %v\n%s", server.runIDs(), log.all())
		}
		before := len(server.requests)
		for range 20 {
			rec.Record(prova.RunRecord{Metrics: success()})
		}
		ok(t, rec.Flush(t.Context()))
		if n := len(server.requests) - before; n > 12 {
			t.Errorf("%d more requests: nothing was learned", n)
		}
		// One that is too large alone is refused, and its neighbours are sent.
		server.set(func(lines []string) (*http.Response, error) {
			if strings.Contains(strings.Join(lines, ""), "monster") {
				return respond(413, "", "<html>"), nil
			}
			return nil, nil
		})
		for _, id := range []string{"x", "monster", "y"} {
			rec.Record(prova.RunRecord{Metrics: success(), RunID: id})
		}
		ok(t, rec.Flush(t.Context()))
		wantStats(t, rec, prova.Stats{Recorded: 43, Sent: 42, Refused: 1})
		if !strings.Contains(log.all(), "run_id=monster") {
			t.Errorf("said\n%s", log.all())
		}
	})
}

// An event that the server refuses is refused alone.
func TestRefusedEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		results := func(bad api.Problem) fault {
			return func(lines []string) (*http.Response, error) {
				var a api.IngestAnswer
				for i, line := range lines {
					a.Results = append(a.Results, api.IngestResult{Index: i, Status: api.IngestCreated})
					if strings.Contains(line, `"run_id":"bad"`) {
						a.Results[i] = api.IngestResult{Index: i, Status: api.IngestRefused, Problem: &bad}
					}
				}
				return respond(200, "", a), nil
			}
		}
		late := api.Problem{Status: 400, Detail: "set the clock", Errors: []api.FieldError{{Pointer: "/occurred_at"}}}
		server := &fakeServer{faults: []fault{
			results(api.Problem{Status: 409, Detail: "taken"}),        // is refused
			results(api.Problem{Status: 503, Detail: "not now"}), nil, // is repeated
			results(late), nil, // goes without its time
			problem(400, "invalid", ""), nil, problem(400, "invalid", ""), // is looked for in halves
		}}
		rec, log := record(t, server, prova.RecorderOptions{})
		for _, round := range []struct {
			want prova.Stats
			said string
		}{
			{prova.Stats{Recorded: 3, Sent: 2, Refused: 1}, "run_id=bad"},
			{prova.Stats{Recorded: 6, Sent: 5, Refused: 1}, "not now"},
			{prova.Stats{Recorded: 9, Sent: 8, Refused: 1, RefusedValues: 1}, "name=occurred_at"},
		} {
			for _, id := range []string{"good", "bad", "well"} {
				rec.Record(prova.RunRecord{Metrics: success(), RunID: id})
			}
			ok(t, rec.Flush(t.Context()))
			wantStats(t, rec, round.want)
			if !strings.Contains(log.all(), round.said) {
				t.Errorf("said\n%s\nwithout %s", log.all(), round.said)
			}
		}
		last := server.requests[len(server.requests)-1]
		var e, before api.Event
		ok(t, json.Unmarshal([]byte(last[0]), &e))
		ok(t, json.Unmarshal([]byte(server.requests[len(server.requests)-2][1]), &before))
		if len(last) != 1 || e.OccurredAt != "" || before.OccurredAt == "" || e.IdempotencyKey != before.IdempotencyKey {
			t.Errorf("sent again as %v", last)
		}
		rec.Record(prova.RunRecord{Metrics: success(), RunID: "one"})
		rec.Record(prova.RunRecord{Metrics: success(), RunID: "two"})
		ok(t, rec.Flush(t.Context()))
		wantStats(t, rec, prova.Stats{Recorded: 11, Sent: 9, Refused: 2, RefusedValues: 1})
	})
}

// Runs go out together: when the interval is over, when there are enough of
// them, and compressed where that saves something.
func TestBatches(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := &fakeServer{}
		rec, _ := record(t, server, prova.RecorderOptions{BatchEvents: 10, BatchBytes: 64 << 10, FlushInterval: 5 * time.Second})
		began := time.Now()
		rec.Record(prova.RunRecord{Metrics: success()})
		pass(time.Second)
		rec.Record(prova.RunRecord{Metrics: success()})
		pass(time.Minute)
		if len(server.requests) != 1 || len(server.requests[0]) != 2 || server.at[0].Sub(began) != 5*time.Second || server.encoding[0] != "" {
			t.Errorf("%d requests, the first at %v, %q", len(server.requests), server.at[0].Sub(began), server.encoding)
		}
		for range 20 {
			rec.Record(prova.RunRecord{Metrics: success()})
		}
		pass(time.Second)
		if n := len(server.requests); n != 3 || server.encoding[2] != "gzip" {
			t.Errorf("%d requests, %q", n, server.encoding)
		}
		for range 3 {
			rec.Record(prova.RunRecord{Metrics: success(), Payload: map[string]any{"input": strings.Repeat("x", 40<<10)}})
		}
		pass(time.Second)
		if n := len(server.requests); n != 5 {
			t.Errorf("%d requests", n)
		}
		server.faults = []fault{problem(415, "unsupported_media_type", "")}
		ok(t, rec.Flush(t.Context()))
		if n := len(server.requests); n != 7 || server.encoding[6] != "" {
			t.Errorf("%d requests, %q", n, server.encoding)
		}
	})
}

// A full queue drops what comes, counts it and says so; what it holds is sent.
func TestFullQueue(t *testing.T) {
	for name, o := range map[string]prova.RecorderOptions{
		"events": {QueueEvents: 100},
		"bytes":  {QueueBytes: 100 * 600},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				server := &fakeServer{always: down}
				rec, log := record(t, server, o)
				var ids []string
				for range 500 {
					ids = append(ids, rec.Record(prova.RunRecord{Metrics: success()}))
					time.Sleep(10 * time.Millisecond)
				}
				n := rec.Stats()
				if n.Queued < 90 || n.Queued > 115 || n.Dropped != 500-n.Queued {
					t.Errorf("the counts are %+v", n)
				}
				server.set(nil)
				ok(t, rec.Flush(t.Context()))
				if !slices.Equal(server.runIDs(), ids[:n.Queued]) {
					t.Error("it is not the oldest that were kept")
				}
				if kinds := log.kindList(); len(kinds) != 2 || !slices.Contains(kinds, "dropped") {
					t.Errorf("complained: %s", log.all())
				}
				ok(t, rec.Close(t.Context()))
				if !strings.Contains(log.all(), fmt.Sprintf("since=%d", n.Dropped-1)) {
					t.Errorf("said in the end:\n%s", log.all())
				}
			})
		})
	}
}

// Flush and Close end when they are to, and say what is left.
func TestEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := &fakeServer{faults: []fault{down}, always: down}
		rec, log := record(t, server, prova.RecorderOptions{})
		rec.Record(prova.RunRecord{Metrics: success()})
		began := time.Now()
		err := rec.Flush(context.Background())
		unsent, _ := errors.AsType[*prova.UnsentError](err)
		if took := time.Since(began); took != 5*time.Second || unsent == nil || unsent.Queued != 1 || unsent.Lost != 0 || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("after %v the flush returned %v", took, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = rec.Close(ctx)
		if unsent, _ := errors.AsType[*prova.UnsentError](err); unsent == nil || unsent.Lost != 1 || unsent.Queued != 0 {
			t.Errorf("the close returned %v", err)
		}
		if again := rec.Close(t.Context()); !errors.Is(again, err) {
			t.Errorf("the second close returned %v", again)
		}
		rec.Record(prova.RunRecord{Metrics: success()})
		rec.Record(prova.RunRecord{Metrics: success()})
		wantStats(t, rec, prova.Stats{Recorded: 3, Dropped: 3})
		if kinds := log.kindList(); !slices.Equal(kinds, []string{"unreachable", "dropped", "closed", "unreachable"}) && !slices.Equal(kinds, []string{"unreachable", "dropped", "unreachable", "closed"}) {
			t.Errorf("complained: %s", log.all())
		}
	})
}

// An answer that comes when the recorder has given up already still counts.
func TestLateAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		late := func([]string) (*http.Response, error) { time.Sleep(3 * time.Second); return nil, nil }
		server := &fakeServer{always: late}
		rec, log := record(t, server, prova.RecorderOptions{SpoolDir: t.TempDir()})
		rec.Record(prova.RunRecord{Metrics: success()})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ok(t, rec.Close(ctx))
		wantStats(t, rec, prova.Stats{Recorded: 1, Sent: 1})
		if said := log.all(); said != "" {
			t.Errorf("said %s", said)
		}
	})
}

// A flush waits for what came before it, not for what goes on coming.
func TestFlushUnderLoad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		slow := func([]string) (*http.Response, error) { time.Sleep(100 * time.Millisecond); return nil, nil }
		server := &fakeServer{always: slow}
		rec, _ := record(t, server, prova.RecorderOptions{})
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					rec.Record(prova.RunRecord{Metrics: success()})
				}
			}
		}()
		time.Sleep(500 * time.Millisecond)
		began := time.Now()
		ok(t, rec.Flush(t.Context()))
		if took := time.Since(began); took > 300*time.Millisecond {
			t.Errorf("the flush took %v", took)
		}
		close(stop)
		<-stopped
	})
}

// What the program brings along may break: the agent goes on.
func TestBrokenHelpers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := &fakeServer{}
		server.faults = []fault{func([]string) (*http.Response, error) { panic("a client of the program") }}
		rec, log := record(t, server, prova.RecorderOptions{})
		rec.Record(prova.RunRecord{Metrics: success()})
		pass(time.Minute)
		wantStats(t, rec, prova.Stats{Recorded: 1, Sent: 1})
		if !strings.Contains(log.all(), "panicked") {
			t.Errorf("said %s", log.all())
		}
	})
}
