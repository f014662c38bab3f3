package e2e

import (
	"fmt"
	"time"

	"github.com/cobound/prova/api"
)

// traffic is an agent with two releases whose runs it reports.
type traffic struct {
	s   *testServer
	key string
	app string
	// release is the candidate.
	release string
	// baselineFails and candidateFails are in percent.
	baselineFails, candidateFails int

	share    int
	sent     map[string]int
	failures map[string]int
}

const (
	baseline  = "v36"
	candidate = "v37"
)

// agent is an agent whose candidate fails as often as its baseline.
func (s *testServer) agent(app string) *traffic {
	return &traffic{s: s, key: s.owner, app: app, release: candidate, baselineFails: 10, candidateFails: 10, sent: map[string]int{}, failures: map[string]int{}}
}

// bad makes the candidate fail much more often.
func (f *traffic) bad() *traffic {
	f.candidateFails = 60
	return f
}

// next is the next run at a weight: releases are mixed evenly, and failures
// come evenly too, so that nothing is left to chance.
func (f *traffic) next(weight int) api.Event {
	release, fails := baseline, f.baselineFails
	if f.share += weight; f.share >= 100 {
		f.share -= 100
		release, fails = f.release, f.candidateFails
	}
	f.sent[release]++
	f.failures[release] += fails
	success := true
	if f.failures[release] >= 100 {
		f.failures[release] -= 100
		success = false
	}
	return api.Event{
		Kind: api.KindAgentRun, IdempotencyKey: fmt.Sprintf("%s-%s-%s-%d", f.app, f.release, release, f.sent[release]),
		Source:  api.EventSource{AppID: f.app, Release: release},
		Metrics: map[string]api.Metric{"success": api.Bool(success), "latency_ms": api.Number(float64(700 + f.sent[release]%50))},
	}
}

// batch is the next runs at a weight.
func (f *traffic) batch(weight, runs int) []api.Event {
	events := make([]api.Event, runs)
	for i := range events {
		events[i] = f.next(weight)
	}
	return events
}

// send reports runs at a weight.
func (f *traffic) send(weight, runs int) {
	f.s.Helper()
	f.s.ingest(f.key, f.batch(weight, runs))
}

// ingest reports events, each of which must be created.
func (s *testServer) ingest(key string, events []api.Event) []api.IngestResult {
	s.Helper()
	answer, err := s.as(key).Ingest(s.Context(), events)
	s.ok(err)
	for _, r := range answer.Results {
		if r.Status != api.IngestCreated {
			s.Fatalf("event %d is %s: %+v", r.Index, r.Status, r.Problem)
		}
	}
	return answer.Results
}

// rollout declares a rollout of the candidate; change alters the request.
func (f *traffic) rollout(change ...func(*api.CreateRollout)) api.Rollout {
	f.s.Helper()
	request := api.CreateRollout{AppID: f.app, BaselineRelease: baseline, CandidateRelease: f.release, Mode: api.ModeCanary}
	for _, c := range change {
		c(&request)
	}
	r, created, err := f.s.api().CreateRollout(f.s.Context(), request)
	f.s.ok(err)
	if !created {
		f.s.Fatalf("rollout %s was there before", r.ID)
	}
	return r
}

// steps sets the ramp.
func steps(weights ...int) func(*api.CreateRollout) {
	return func(r *api.CreateRollout) { r.Steps = weights }
}

// minRuns sets how many fresh runs a step needs.
func minRuns(n int64) func(*api.CreateRollout) {
	return func(r *api.CreateRollout) { r.MinRuns = &n }
}

// shadow makes it a shadow.
func shadow(r *api.CreateRollout) { r.Mode = api.ModeShadow }

// weight is the weight that traffic is to have: what is authorised, or half of it all for a shadow.
func weight(r api.Rollout) int {
	if r.Weight == nil {
		return 50
	}
	return *r.Weight
}

// tick ticks a rollout once.
func (s *testServer) tick(id string) api.Tick {
	s.Helper()
	t, err := s.api().Evaluate(s.Context(), id)
	s.ok(err)
	return t
}

// until sends runs and ticks until the rollout has ended, in at most so many rounds.
func (f *traffic) until(id string, rounds int) api.Tick {
	f.s.Helper()
	r, err := f.s.api().Rollout(f.s.Context(), id)
	f.s.ok(err)
	for range rounds {
		f.send(weight(r), 40)
		t := f.s.tick(id)
		if r = t.Rollout; r.State.Finished() {
			return t
		}
	}
	f.s.Fatalf("%s is %s at step %d after %d rounds", id, r.State, r.Step, rounds)
	return api.Tick{}
}

// feed reports runs in the background at the weight of the newest rollout of
// the app, and of the baseline alone while there is none. The returned
// function ends it.
func (f *traffic) feed() (end func()) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(30 * time.Millisecond):
			}
			f.push()
		}
	}()
	return func() { close(stop); <-done }
}

func (f *traffic) push() {
	status, body, err := f.s.try("GET", "/api/v1/rollouts?limit=1&app_id="+f.app, "")
	if err != nil || status != 200 {
		f.s.Errorf("feed: %d %v", status, err)
		return
	}
	at, err := newestWeight(body)
	if err == nil {
		_, err = f.s.as(f.key).Ingest(f.s.Context(), f.batch(at, 40))
	}
	if err != nil && f.s.Context().Err() == nil {
		f.s.Errorf("feed: %v", err)
	}
}
