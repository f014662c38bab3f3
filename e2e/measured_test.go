package e2e

import (
	"fmt"
	"math"

	"github.com/cobound/prova/api"
)

// measured is an agent whose runs have a latency and a cost. Both releases draw
// from the same values, evenly, so that nothing is left to chance.
type measured struct {
	s   *testServer
	app string
	// slow multiplies the candidate's latency.
	slow  float64
	share int
	sent  map[string]int
}

func (s *testServer) measured(app string, slow float64) *measured {
	return &measured{s: s, app: app, slow: slow, sent: map[string]int{}}
}

// run is the next run of a release. Its latency and cost walk through 101
// quantiles of skewed distributions, and each tenth run fails.
func (m *measured) run(release string) api.Event {
	n := m.sent[release]
	m.sent[release]++
	at := func(stride int) float64 { return (float64(n*stride%101) + 0.5) / 101 }
	latency := 500 - 250*math.Log(1-at(37))
	if release == candidate {
		latency *= m.slow
	}
	return api.Event{
		Kind: api.KindAgentRun, IdempotencyKey: fmt.Sprintf("%s-%s-%d", m.app, release, n),
		Source: api.EventSource{AppID: m.app, Release: release}, Model: &api.EventModel{Name: "gpt", Version: "4"},
		Metrics: map[string]api.Metric{
			"success": api.Bool(n%10 != 7), "latency_ms": api.Number(math.Round(latency)),
			"cost_usd": api.Number(math.Round(1e6*(0.01-0.004*math.Log(1-at(53)))) / 1e6),
		},
	}
}

// send reports runs at a weight.
func (m *measured) send(weight, runs int) {
	m.s.Helper()
	var events []api.Event
	for range runs {
		release := baseline
		if m.share += weight; m.share >= 100 {
			m.share -= 100
			release = candidate
		}
		events = append(events, m.run(release))
	}
	m.s.ingest(m.s.owner, events)
}

// batch is the next runs of one release.
func (m *measured) batch(release string, runs int) []api.Event {
	events := make([]api.Event, runs)
	for i := range events {
		events[i] = m.run(release)
	}
	return events
}

// create declares a canary on the command line.
func (m *measured) create(args ...string) api.Rollout {
	m.s.Helper()
	args = append([]string{"create", "--app-id", m.app, "--baseline", baseline, "--candidate", candidate, "--mode", "canary", "--json"}, args...)
	return decode[api.Rollout](m.s.run("prova-rollout", args...).exits(0))
}

// until sends runs at the weight and ticks until the rollout has ended, and
// returns the last tick with its status.
func (m *measured) until(r api.Rollout, rounds int) (int, api.Tick) {
	m.s.Helper()
	for range rounds {
		m.send(*r.Weight, 60)
		status, t := m.s.evaluate(r.ID)
		if r = t.Rollout; r.State.Finished() {
			return status, t
		}
	}
	m.s.Fatalf("%s is %s at step %d after %d rounds: %s", r.ID, r.State, r.Step, rounds, r.LastDecision.Reason.Text)
	return 0, api.Tick{}
}

// evaluate ticks over plain HTTP, since the status is what is looked at.
func (s *testServer) evaluate(id string) (int, api.Tick) {
	s.Helper()
	status, body := s.request("POST", "/api/v1/rollouts/"+id+"/evaluate", "")
	if status != 200 && status != 422 {
		s.Fatalf("the tick answered %d: %s", status, body)
	}
	var t api.Tick
	s.unmarshal(body, &t)
	if want := map[bool]int{true: 422, false: 200}[t.Decision.Decision == api.Rollback && t.Ticked]; status != want {
		s.Errorf("a tick that decided to %s answered %d", t.Decision.Decision, status)
	}
	return status, t
}

// check finds a check by its name; the zero value if it is not there.
func check(list []api.Check, name string) api.Check {
	for _, c := range list {
		if c.Check == name {
			return c
		}
	}
	return api.Check{}
}
