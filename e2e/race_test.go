package e2e

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/cobound/prova/api"
)

// answered is what a tick was answered with.
type answered struct {
	status int
	api.Tick
}

// together ticks a rollout at the same moment through each of the servers.
func together(t *testing.T, id string, servers ...*testServer) []answered {
	t.Helper()
	answers := make([]answered, len(servers))
	begin := make(chan struct{})
	var group sync.WaitGroup
	for i, s := range servers {
		group.Go(func() {
			<-begin
			status, body, err := s.try("POST", "/api/v1/rollouts/"+id+"/evaluate", "")
			if err == nil {
				err = json.Unmarshal(body, &answers[i].Tick)
			}
			if err != nil || status != 200 && status != 422 {
				t.Errorf("a tick was answered %d %v: %s", status, err, body)
			}
			answers[i].status = status
		})
	}
	close(begin)
	group.Wait()
	return answers
}

// agree wants ticks that raced to have one outcome: at most one transition,
// and on a rollback 422 for each tick that had a part in it. It returns how
// many those were.
func agree(t *testing.T, answers []answered) (rollbacks int) {
	t.Helper()
	transitions := map[string]api.Decision{}
	for _, a := range answers {
		if a.Decision.Transition() {
			if d, ok := transitions[a.Decision.EventID]; ok && !reflect.DeepEqual(d, a.Decision) {
				t.Errorf("two ticks tell one decision differently:\n%+v\n%+v", d, a.Decision)
			}
			transitions[a.Decision.EventID] = a.Decision
		}
		rolledBack := a.Ticked && a.Decision.Decision == api.Rollback
		if (a.status == 422) != rolledBack {
			t.Errorf("a tick, ticked %v, that decided to %s answered %d", a.Ticked, a.Decision.Decision, a.status)
		}
		if rolledBack {
			rollbacks++
		}
		if a.Decision.Decision == api.Rollback && a.Rollout.State != api.StateRolledBack {
			t.Errorf("after the rollback a tick shows the rollout %s", a.Rollout.State)
		}
	}
	if len(transitions) > 1 {
		t.Errorf("ticks at one moment made %d transitions: %+v", len(transitions), transitions)
	}
	for _, d := range transitions {
		if d.Decision == api.Rollback && rollbacks == 0 {
			t.Error("nobody was told of the rollback with 422")
		}
	}
	return rollbacks
}

// over wants later ticks to answer 200 and to change nothing.
func over(t *testing.T, id string, servers ...*testServer) {
	t.Helper()
	for _, a := range together(t, id, servers...) {
		if a.status != 200 || a.Ticked {
			t.Errorf("a tick after the end answered %d, ticked %v", a.status, a.Ticked)
		}
	}
}

// races ramps rollouts by ticks that race through the servers, with traffic
// through all of them: one that is promoted step by step, and some that are
// rolled back, until a tick lost the race for the rollback and was told of it
// with 422 like the winner. It returns how many transitions there were.
func races(t *testing.T, servers []*testServer, hook *receiver) int {
	t.Helper()
	r, transitions, _ := race(t, servers, hook, servers[0].agent("race-good"))
	if r.State != api.StatePromoted || transitions != 7 {
		t.Errorf("the good candidate is %s after %d transitions", r.State, transitions)
	}
	const most = 12
	for n := 1; n <= most; n++ {
		r, more, told := race(t, servers, hook, servers[0].agent(fmt.Sprintf("race-bad-%d", n)).bad())
		transitions += more
		if r.State != api.StateRolledBack {
			t.Errorf("the bad candidate is %s", r.State)
		}
		if told > 1 {
			t.Logf("rollback %d was raced for: %d ticks were told of it with 422", n, told)
			return transitions
		}
	}
	t.Errorf("of %d rollbacks that were raced for each was told to one tick alone", most)
	return transitions
}

// race ramps one rollout to its end. told is how many ticks were answered 422.
func race(t *testing.T, servers []*testServer, hook *receiver, f *traffic) (r api.Rollout, transitions, told int) {
	t.Helper()
	r = f.rollout(steps(ramp(8)...), minRuns(10))
	for round := 0; !r.State.Finished(); round++ {
		if round == 100 {
			t.Fatalf("%s is %s at step %d after %d rounds", f.app, r.State, r.Step, round)
		}
		f.s = servers[round%len(servers)]
		f.send(50, 20)
		answers := together(t, r.ID, servers...)
		told += agree(t, answers)
		for _, a := range answers {
			if a.Rollout.Sequence > r.Sequence || a.Rollout.State.Finished() {
				r = a.Rollout
			}
		}
	}
	over(t, r.ID, servers...)
	return r, len(settled(t, servers[0], hook, r.ID)), told
}

// settled waits for the last webhook of a rollout that has ended and checks
// time line, log and webhooks against each other.
func settled(t *testing.T, s *testServer, hook *receiver, id string) []api.Decision {
	t.Helper()
	decided := s.export().timeline(id)
	if len(decided) == 0 {
		t.Fatalf("%s had no transition", id)
	}
	for _, d := range decided {
		hook.await(d.EventID, 20*time.Second)
	}
	for _, a := range hook.seen() {
		if hook.times(a.id) != 1 {
			t.Errorf("the webhook %s came %d times", a.id, hook.times(a.id))
		}
	}
	hook.delivered(s, id, decided)
	return decided
}

// TestConcurrentTicks: sixteen ticks at once are one.
func TestConcurrentTicks(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		s := serve(t, b)
		servers := make([]*testServer, 16)
		for i := range servers {
			servers[i] = s
		}
		hook := s.subscribe(nil)
		transitions := races(t, servers, hook)
		if got := len(hook.accepted()); got != transitions {
			t.Errorf("%d webhooks for %d transitions", got, transitions)
		}
	})
}

// TestTwoServersOneDatabase: two servers with keys of their own tick the same rollouts.
func TestTwoServersOneDatabase(t *testing.T) {
	t.Parallel()
	b := postgres(t)
	first, second := serve(t, b), newServer(t, b)
	second.start()
	second.owner = first.owner
	hook := first.subscribe(nil)
	races(t, []*testServer{first, second}, hook)
	mine, other := first.export(), second.export()
	if len(mine.receipts) != len(other.receipts) {
		t.Fatalf("the exports have %d and %d receipts", len(mine.receipts), len(other.receipts))
	}
	signers := map[string]int{}
	for i, r := range mine.receipts {
		if string(r.raw) != string(other.receipts[i].raw) {
			t.Fatalf("the exports differ at %d:\n%s\n%s", i, r.raw, other.receipts[i].raw)
		}
		signers[r.KeyID]++
	}
	if len(signers) != 2 {
		t.Errorf("receipts by signing key: %v; want both servers to have signed", signers)
	}
}
