package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cobound/prova/api"
)

// recording is the runs of one agent by release, in the order of a file.
type recording map[string][]api.Event

// recordings reads runs by agent.
func recordings(t *testing.T, path string) map[string]recording {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	found := map[string]recording{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		var line struct {
			AppID      string                `json:"app_id"`
			Release    string                `json:"release"`
			ProbeID    string                `json:"probe_id"`
			OccurredAt string                `json:"occurred_at"`
			Metrics    map[string]api.Metric `json:"metrics"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%s:%d: %v", path, n, err)
		}
		if found[line.AppID] == nil {
			found[line.AppID] = recording{}
		}
		found[line.AppID][line.Release] = append(found[line.AppID][line.Release], api.Event{
			Kind: api.KindAgentRun, OccurredAt: line.OccurredAt, IdempotencyKey: fmt.Sprintf("line-%d", n), ProbeID: line.ProbeID,
			Source: api.EventSource{AppID: line.AppID, Release: line.Release}, Metrics: line.Metrics,
		})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// replay plays the runs of two releases as live traffic behind a router that
// obeys signed webhooks and nothing else.
type replay struct {
	app, baseline, candidate string
	steps                    []int
	// want is the state at the end; empty if whatever it is counts.
	want api.State

	s         *testServer
	router    *receiver
	runs      recording
	weight    int
	share     int
	used      map[string]int
	rollbacks int
}

// perTick is how many runs arrive between two ticks.
const perTick = 20

// TestRealDataReplay replays real runs as traffic. The weight is what the
// webhooks said, a tick answers 422 exactly when it rolls back, and in the end
// the log proves every decision.
func TestRealDataReplay(t *testing.T) {
	path := shared(t, filepath.Join("data", "llmdrift", "runs.ndjson"))
	const gpt4, newer4, gpt35, newer35 = "gpt-4-0314", "gpt-4-0613", "gpt-3.5-turbo-0301", "gpt-3.5-turbo-0613"
	onEach(t, func(t *testing.T, b backend) {
		s := serve(t, b)
		router := s.subscribe(nil)
		recorded := recordings(t, path)
		var ids []string
		for _, p := range []replay{
			{app: "gpt4-prime", baseline: gpt4, candidate: newer4, want: api.StateRolledBack},
			{app: "gpt35-prime", baseline: gpt35, candidate: newer35, want: api.StatePromoted},
			{app: "gpt4-happy", baseline: gpt4, candidate: newer4, steps: []int{50, 100}, want: api.StateRolledBack},
			{app: "gpt4-leetcode", baseline: gpt4, candidate: newer4, steps: []int{50, 100}, want: api.StateRolledBack},
			{app: "gpt4-opinion", baseline: gpt4, candidate: newer4},
			{app: "gpt35-sensitive", baseline: gpt35, candidate: newer35, steps: []int{50, 100}},
		} {
			p.s, p.router, p.runs, p.used = s, router, recorded[p.app], map[string]int{}
			ids = append(ids, p.play())
		}
		v := s.export()
		transitions := 0
		for _, id := range ids {
			decided := v.timeline(id)
			router.delivered(s, id, decided)
			transitions += len(decided)
		}
		if got := len(router.accepted()); got != transitions {
			t.Errorf("%d webhooks for %d transitions", got, transitions)
		}
	})
}

// play plays until the rollout has ended or a release has no runs left.
func (p *replay) play() (id string) {
	p.s.Helper()
	r, _, err := p.s.api().CreateRollout(p.s.Context(), api.CreateRollout{
		AppID: p.app, BaselineRelease: p.baseline, CandidateRelease: p.candidate, Mode: api.ModeCanary, Steps: p.steps,
	})
	p.s.ok(err)
	p.weight = *r.Weight
	for more := true; more && !r.State.Finished(); {
		var events []api.Event
		events, more = p.next()
		if len(events) > 0 {
			p.s.ingest(p.s.owner, events)
		}
		r = p.tick(r)
	}
	p.end(r)
	return r.ID
}

// next is the traffic of one tick, in proportion to the weight.
func (p *replay) next() (events []api.Event, more bool) {
	for range perTick {
		release := p.baseline
		if p.share += p.weight; p.share >= 100 {
			p.share -= 100
			release = p.candidate
		}
		if p.used[release] == len(p.runs[release]) {
			return events, false
		}
		events = append(events, p.runs[release][p.used[release]])
		p.used[release]++
	}
	return events, true
}

// tick ticks over plain HTTP, since the status is what is looked at, and obeys
// the webhook if there was a transition.
func (p *replay) tick(before api.Rollout) api.Rollout {
	p.s.Helper()
	status, body := p.s.request("POST", "/api/v1/rollouts/"+before.ID+"/evaluate", "")
	var t api.Tick
	p.s.ok(json.Unmarshal(body, &t))
	want := 200
	if t.Decision.Decision == api.Rollback {
		want = 422
		p.rollbacks++
	}
	if status != want || !t.Ticked {
		p.s.Errorf("%s: the tick that decided to %s answered %d, ticked %v", p.app, t.Decision.Decision, status, t.Ticked)
	}
	if t.Verdict == nil || t.Decision.Reason.Text == "" {
		p.s.Errorf("%s: a tick without a verdict or a reason: %s", p.app, body)
	}
	if t.Rollout.Sequence < before.Sequence {
		p.s.Errorf("%s: the sequence falls from %d to %d", p.app, before.Sequence, t.Rollout.Sequence)
	}
	if t.Decision.Transition() {
		e := p.router.await(t.Decision.EventID, 20*time.Second).event
		p.weight = e.Data.Weight
		if e.Data.CandidateRelease != p.candidate || e.Data.AppID != p.app || p.weight != *t.Rollout.Weight {
			p.s.Errorf("%s: the webhook says %+v", p.app, e.Data)
		}
	}
	return t.Rollout
}

// end checks how it ended, and that a later tick changes nothing.
func (p *replay) end(r api.Rollout) {
	p.s.Helper()
	p.s.Logf("%s: %s at step %d of %v after %d baseline and %d candidate runs, %d looks: %s", p.app, r.State, r.Step, r.Policy.Steps,
		p.used[p.baseline], p.used[p.candidate], r.Ledger.Looks, r.LastDecision.Reason.Text)
	if p.want != "" && r.State != p.want {
		p.s.Errorf("%s ended %s, want %s", p.app, r.State, p.want)
	}
	switch r.State {
	case api.StateActive, api.StatePromoted, api.StateRolledBack:
	default:
		p.s.Errorf("%s is %s", p.app, r.State)
	}
	if (p.rollbacks == 1) != (r.State == api.StateRolledBack) {
		p.s.Errorf("%s: %d ticks answered 422, the state is %s", p.app, p.rollbacks, r.State)
	}
	if !r.State.Finished() {
		return
	}
	status, body := p.s.request("POST", "/api/v1/rollouts/"+r.ID+"/evaluate", "")
	var t api.Tick
	p.s.ok(json.Unmarshal(body, &t))
	if status != 200 || t.Ticked || t.Rollout.Sequence != r.Sequence || t.Decision.EventID != r.LastDecision.EventID {
		p.s.Errorf("%s: a tick after the end: %d %s", p.app, status, body)
	}
}
