package judge_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/judge"
	"github.com/cobound/prova/internal/judge/judgetest"
)

// TestRateLimited: an endpoint that says to wait is waited for, and then all is well.
func TestRateLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &judgetest.Endpoint{Mode: judgetest.Fair, RateLimits: 3, RetryAfter: "20"}
		var b book
		a := asker(t, e, func(c *judge.Config) { c.Concurrency = 1 })
		began := time.Now()
		sum, err := a.Run(t.Context(), judge.Work{Pages: pages(mixed()...), Record: b.record})
		if err != nil || sum.Recorded != 5 || sum.Calls != 13 {
			t.Errorf("%+v, %v", sum, err)
		}
		if took := time.Since(began); took < 60*time.Second || took > 65*time.Second {
			t.Errorf("it took %s, want 3 times 20 s", took)
		}
	})
}

// TestOneFailure: a call without an answer leaves its pair for the next run and does not stop the others.
func TestOneFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &judgetest.Endpoint{Mode: judgetest.Fair, RateLimits: 1, RetryAfter: "1"}
		var b book
		a := asker(t, e, func(c *judge.Config) { c.Concurrency, c.Retries = 1, -1 })
		sum, err := a.Run(t.Context(), judge.Work{Pages: pages(mixed()...), Record: b.record})
		if judge.KindOf(err) != judge.TryLater || sum.Failed != 1 || sum.Recorded != 4 || !strings.Contains(err.Error(), "run it again") {
			t.Errorf("%+v, %v", sum, err)
		}
	})
}

// TestFailuresInBetween: only failures in a row mean that the endpoint is dead.
func TestFailuresInBetween(t *testing.T) {
	e, b := &judgetest.Endpoint{Mode: judgetest.Fair, FailEvery: 3}, &book{}
	a := asker(t, e, func(c *judge.Config) { c.Concurrency, c.Retries = 1, -1 })
	more := append(mixed(), pair(6, "bad", "GOOD"), pair(7, "bad", "GOOD"))
	sum, err := a.Run(t.Context(), judge.Work{Pages: pages(more...), Record: b.record})
	if judge.KindOf(err) != judge.Unreachable || sum.Failed != 3 || sum.Recorded != 4 || sum.Pairs != 7 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// TestRejected: an endpoint that works and refuses a pair gives no verdict on it, and does not unlearn what it can.
func TestRejected(t *testing.T) {
	e, b := &judgetest.Endpoint{Mode: judgetest.Fair, Rejected: "so-so"}, &book{}
	a := asker(t, e, func(c *judge.Config) { c.Concurrency = 1 })
	sum, err := a.Run(t.Context(), judge.Work{Pages: pages(mixed()...), Record: b.record})
	if err != nil || sum.Figures.NoVerdict != 1 || sum.Recorded != 5 || e.Requests() != 10 || !strings.Contains(b.kept[4].Answers[0].Reason, "400 Bad Request: I would rather not") {
		t.Errorf("%d requests, %+v, %v", e.Requests(), sum, err)
	}
}

// late lets requests with a word wait.
type late struct {
	http.RoundTripper
	word  string
	until chan struct{}
}

func (l late) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := r.GetBody()
	if err != nil {
		return nil, err
	}
	if data, err := io.ReadAll(body); err != nil || strings.Contains(string(data), l.word) {
		<-l.until
	}
	return l.RoundTripper.RoundTrip(r)
}

// TestRejectedAtFirst: a pair that is refused before anything was answered is no reason to end the run if another call was answered meanwhile.
func TestRejectedAtFirst(t *testing.T) {
	e, b := &judgetest.Endpoint{Mode: judgetest.Fair, Rejected: "so-so"}, &book{}
	answered := make(chan struct{})
	a := asker(t, e, func(c *judge.Config) {
		c.Concurrency, c.HTTPClient = 2, &http.Client{Transport: late{e, "so-so", answered}}
	})
	record := func(ctx context.Context, batch []api.Judgment) error {
		if len(b.kept) == 0 {
			close(answered)
		}
		return b.record(ctx, batch)
	}
	sum, err := a.Run(t.Context(), judge.Work{Pages: pages(pair(1, "so-so", "GOOD"), pair(2, "bad", "GOOD")), Record: record})
	if err != nil || sum.Figures.NoVerdict != 1 || sum.Figures.Wins != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// TestAnotherProgram: what an endpoint refuses in a later run is found out again, and is no verdict on the pairs.
func TestAnotherProgram(t *testing.T) {
	e, b := &judgetest.Endpoint{Mode: judgetest.Fair}, &book{}
	a := asker(t, e, func(c *judge.Config) { c.Concurrency = 1 })
	if _, err := a.Run(t.Context(), judge.Work{Pages: pages(pair(9, "bad", "GOOD")), Record: b.record}); err != nil {
		t.Fatal(err)
	}
	e.NoTemperature, e.NoSchema = true, true
	sum, err := a.Run(t.Context(), judge.Work{Pages: pages(mixed()...), Record: b.record})
	if err != nil || sum.Figures.NoVerdict != 0 || sum.Recorded != 5 || sum.Calls != 12 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// TestRecordedAfterInterruption: what was judged before an interruption and not
// recorded yet is recorded after it.
func TestRecordedAfterInterruption(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	e := &judgetest.Endpoint{Mode: judgetest.Fair, Before: func(n int) {
		if n == 5 {
			interrupt()
		}
	}}
	var b book
	record := func(recording context.Context, batch []api.Judgment) error {
		<-ctx.Done()
		if err := recording.Err(); err != nil {
			return err
		}
		return b.record(recording, batch)
	}
	sum, err := asker(t, e, func(c *judge.Config) { c.Concurrency = 1 }).Run(ctx, judge.Work{Pages: pages(mixed()...), Record: record})
	if !errors.Is(err, context.Canceled) || sum.Recorded != 2 || len(b.kept) != 2 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// TestInterrupted: what was judged before an interruption is recorded, and the next run asks only for the rest.
func TestInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	e := &judgetest.Endpoint{Mode: judgetest.Fair, Before: func(n int) {
		if n == 5 { // the third pair is under way
			interrupt()
		}
	}}
	dir := t.TempDir()
	settings := func(c *judge.Config) { c.Concurrency, c.CacheDir = 1, dir }
	var b book
	record := func(ctx context.Context, batch []api.Judgment) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return b.record(ctx, batch)
	}
	sum, err := asker(t, e, settings).Run(ctx, judge.Work{Pages: pages(mixed()...), Record: record})
	if !errors.Is(err, context.Canceled) || sum.Recorded != 2 || len(b.kept) != 2 {
		t.Fatalf("%+v, %v", sum, err)
	}
	rest := mixed()
	for i := range rest {
		rest[i].Judged = slices.ContainsFunc(b.kept, func(j api.Judgment) bool { return j.ProbeID == rest[i].ProbeID })
	}
	before := e.Requests()
	sum, err = asker(t, e, settings).Run(t.Context(), judge.Work{Pages: pages(rest...), Record: record})
	if err != nil || sum.Already != 2 || sum.Recorded != 3 || e.Requests()-before != 6 {
		t.Errorf("%+v, %v, %d requests", sum, err, e.Requests()-before)
	}
}

// TestRecordFails: an error of the recorder ends the run and is returned as it is.
func TestRecordFails(t *testing.T) {
	broken := errors.New("the server is gone")
	a := asker(t, &judgetest.Endpoint{Mode: judgetest.Fair})
	sum, err := a.Run(t.Context(), judge.Work{Pages: pages(mixed()...), Record: func(context.Context, []api.Judgment) error { return broken }})
	if !errors.Is(err, broken) || sum.Recorded != 0 {
		t.Errorf("%+v, %v", sum, err)
	}
	failing := func(yield func(api.PairList, error) bool) { yield(api.PairList{}, broken) }
	if _, err := a.Run(t.Context(), judge.Work{Pages: failing}); !errors.Is(err, broken) {
		t.Errorf("pages: %v", err)
	}
}

// TestIdempotencyKeys: each judgment has a key of its own, so that judging a
// pair for another rollout is not taken for sending the first judgment again.
func TestIdempotencyKeys(t *testing.T) {
	distinct := map[string]bool{}
	for range 2 {
		var b book
		if _, err := asker(t, &judgetest.Endpoint{Mode: judgetest.Fair}).Run(t.Context(), judge.Work{Pages: pages(mixed()...), Record: b.record}); err != nil {
			t.Fatal(err)
		}
		for _, j := range b.kept {
			distinct[j.IdempotencyKey] = true
		}
	}
	if len(distinct) != 10 {
		t.Errorf("%d keys of 10 judgments", len(distinct))
	}
}

// TestAgain: what was judged is asked again where that is wanted, and only there.
func TestAgain(t *testing.T) {
	judged := mixed()
	for i := range judged {
		judged[i].Judged = true
	}
	for again, want := range map[bool]int64{false: 0, true: 5} {
		var b book
		sum, err := asker(t, &judgetest.Endpoint{Mode: judgetest.Fair}).Run(t.Context(), judge.Work{Pages: pages(judged...), Record: b.record, Fresh: again})
		if err != nil || sum.Recorded != want || sum.Already != 5-want {
			t.Errorf("again %t: %d recorded, %d already, %v", again, sum.Recorded, sum.Already, err)
		}
	}
}
