package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cobound/prova/api"
)

// TestTwoProcessesOneDirectory: the second says what is wrong and leaves the first alone.
func TestTwoProcessesOneDirectory(t *testing.T) {
	t.Parallel()
	s := serve(t, sqlite())
	f := s.agent("claims-agent")
	f.send(0, 10)
	began := time.Now()
	r := finish(t, s.command()).exits(78).says(`another|already|in use|locked`)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the second process refused after %s", took)
	}
	if strings.Contains(r.stdout, s.owner) || !strings.Contains(r.stderr, s.data) {
		t.Errorf("the second process said:\n%s%s", r.stdout, r.stderr)
	}
	f.send(0, 10)
	if v := s.export(); len(v.byKey()) != 20 {
		t.Errorf("%d runs of 20 are in the log", len(v.byKey()))
	}
	s.stop()
	s.start()
	f.send(0, 10)
}

// TestDrain: a server that is told to stop finishes what it has begun, lets
// go who only waits, and ends with 0.
func TestDrain(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		s := serve(t, b)
		f := s.agent("storm")
		r := f.rollout(steps(50, 100))
		st := &storm{s: s, rollout: r.ID, ledger: ledger{receipts: map[string]string{}, decided: map[string]api.Decision{}}}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		st.ctx = ctx
		for i, size := range []int{1, 1, 20} {
			st.group.Go(func() { st.ingest(fmt.Sprintf("client%d", i), size) })
		}
		waits := s.longPolls(r)
		slow := s.slowRequest()
		time.Sleep(300 * time.Millisecond)

		signalled := time.Now()
		s.ok(s.process.Process.Signal(syscall.SIGTERM))
		waits(signalled)
		slow.finish()
		s.drained()
		if took := time.Since(signalled); took > 15*time.Second {
			t.Errorf("the server needed %s to stop", took)
		}
		cancel()
		st.group.Wait()
		told := st.told()
		if len(told) == 0 {
			t.Error("nothing was acknowledged before the stop: this proves nothing")
		}
		s.start()
		v := st.check(0, told, vault{})
		if len(v.byKey()["slow"]) != 1 {
			t.Error("the request that was under way is not in the log")
		}
		t.Logf("%d runs acknowledged, %d in the log", len(told), len(v.byKey()))
	})
}

// longPolls begins requests that wait for news which never comes; the returned
// function wants them answered soon after a moment.
func (s *testServer) longPolls(r api.Rollout) func(since time.Time) {
	s.Helper()
	var group sync.WaitGroup
	var latest atomic.Int64
	for _, path := range []string{
		fmt.Sprintf("/api/v1/rollouts/%s?wait=30s&since=%d", r.ID, r.Sequence),
		"/api/v1/runs?app_id=nobody&after=0&wait=30s",
	} {
		group.Go(func() {
			status, body, err := s.try("GET", path, "")
			if err != nil || status != http.StatusOK {
				s.Errorf("a long poll was answered %d %v: %s", status, err, body)
			}
			if at := time.Now().UnixNano(); at > latest.Load() {
				latest.Store(at)
			}
		})
	}
	return func(since time.Time) {
		s.Helper()
		group.Wait()
		switch took := time.Unix(0, latest.Load()).Sub(since); {
		case took < 0:
			s.Error("a long poll ended before the signal")
		case took > 3*time.Second:
			s.Errorf("a long poll was held for %s after the signal", took)
		}
	}
}

// slow is an upload that is half done.
type slow struct {
	s      *testServer
	body   *io.PipeWriter
	rest   string
	answer chan error
}

func (s *testServer) slowRequest() *slow {
	s.Helper()
	const event = `{"kind":"agent_run","idempotency_key":"slow","source":{"app_id":"slow","release":"v36"},"metrics":{"success":true}}`
	read, write := io.Pipe()
	req, err := http.NewRequest("POST", s.at()+"/api/v1/audit/ingest", read)
	s.ok(err)
	req.Header.Set("Authorization", "Bearer "+s.owner)
	req.Header.Set("Content-Type", "application/json")
	up := &slow{s: s, body: write, rest: event[50:], answer: make(chan error, 1)}
	go func() {
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d", resp.StatusCode)
		}
		if err == nil {
			err = resp.Body.Close()
		}
		up.answer <- err
	}()
	_, err = io.WriteString(write, event[:50])
	s.ok(err)
	return up
}

func (u *slow) finish() {
	u.s.Helper()
	_, err := io.WriteString(u.body, u.rest)
	u.s.ok(err)
	u.s.ok(u.body.Close())
	if err := <-u.answer; err != nil {
		u.s.Errorf("the upload that was under way: %v", err)
	}
}
