package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/prova"
)

// ledger is what clients were told: the receipt of each idempotency key, and
// the decisions of ticks that were answered.
type ledger struct {
	mu       sync.Mutex
	receipts map[string]string
	decided  map[string]api.Decision
	// repeated counts keys that were answered again, and unknown those that
	// turned out to be recorded although no answer had come.
	repeated, unknown int
}

func (l *ledger) keep(t testing.TB, key string, r api.IngestResult) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, told := l.receipts[key]
	switch {
	case r.Status != api.IngestCreated && r.Status != api.IngestDuplicate:
		t.Errorf("%s is %s: %+v", key, r.Status, r.Problem)
	case told && (r.Status != api.IngestDuplicate || before != string(r.Receipt)):
		t.Errorf("%s was acknowledged before and is now %s with\n%s\ninstead of\n%s", key, r.Status, r.Receipt, before)
	case told:
		l.repeated++
	case r.Status == api.IngestDuplicate:
		l.unknown++
	}
	l.receipts[key] = string(r.Receipt)
}

func (l *ledger) told() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.receipts)
}

// storm is clients that go on while their server is killed.
type storm struct {
	ledger
	s       *testServer
	rollout string
	ctx     context.Context
	group   sync.WaitGroup
}

// ingest reports runs, so many at a time, under one name, until the storm is
// over. Each request is repeated until it is answered; now and then an old one
// is sent again.
func (st *storm) ingest(name string, size int) {
	var old []api.Event
	for n := 0; st.ctx.Err() == nil; n++ {
		batch := make([]api.Event, size)
		for i := range batch {
			release := []string{baseline, candidate}[(n*size+i)%2]
			batch[i] = api.Event{
				Kind: api.KindAgentRun, IdempotencyKey: fmt.Sprintf("%s-%d-%d", name, n, i),
				Source:  api.EventSource{AppID: "storm", Release: release},
				Metrics: map[string]api.Metric{"success": api.Bool((n*size+i)/2%10 != 0)},
			}
		}
		st.send(batch)
		if n%7 == 3 && old != nil {
			st.send(old)
		}
		old = batch
	}
}

func (st *storm) send(batch []api.Event) {
	for st.ctx.Err() == nil {
		answer, err := st.s.as(st.s.owner).Ingest(st.ctx, batch)
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		for i, r := range answer.Results {
			st.keep(st.s, batch[i].IdempotencyKey, r)
		}
		return
	}
}

func (st *storm) tick() {
	for ; st.ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		t, err := st.s.as(st.s.owner).Evaluate(st.ctx, st.rollout)
		if err == nil && t.Decision.EventID != "" {
			st.mu.Lock()
			st.decided[t.Decision.EventID] = t.Decision
			st.mu.Unlock()
		}
	}
}

// TestKill9 kills the server again and again while clients report runs and
// tick. What was acknowledged is there exactly once, and no transition is
// lost, doubled or without its receipt and its webhook.
func TestKill9(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		kills, calm := 20, 220
		if b.url != "" {
			kills, calm = 5, 800
		}
		s := serve(t, b)
		hook := s.subscribe(func(attempt int, e api.WebhookEvent) int {
			if attempt == 1 && e.Data.Sequence%3 == 0 {
				return 500
			}
			return 204
		})
		r := s.agent("storm").rollout(steps(ramp(40)...), minRuns(5))
		st := &storm{s: s, rollout: r.ID, ledger: ledger{receipts: map[string]string{}, decided: map[string]api.Decision{}}}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		st.ctx = ctx
		for i, size := range []int{1, 1, 20} {
			st.group.Go(func() { st.ingest(fmt.Sprintf("client%d", i), size) })
		}
		st.group.Go(st.tick)
		var before vault
		for round := range kills {
			time.Sleep(time.Duration(20+rand.IntN(calm)) * time.Millisecond)
			s.kill()
			told := st.told()
			s.start()
			before = st.check(round, told, before)
		}
		cancel()
		st.group.Wait()
		st.settle(hook)
	})
}

// ramp is a ramp of many steps, so that there is a transition to break every moment.
func ramp(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = 101 - n + i
	}
	return list
}

// check wants everything that clients were told in the log, once, and the log
// to continue what it was.
func (st *storm) check(round int, told map[string]string, before vault) vault {
	st.s.Helper()
	v := st.s.export()
	found := v.byKey()
	for key, raw := range told {
		if there := found[key]; len(there) != 1 || string(there[0].raw) != raw {
			st.s.Fatalf("kill %d: %s was acknowledged with\n%s\nand stands in the log %d times: %+v", round, key, raw, len(there), there)
		}
	}
	for key, there := range found {
		if len(there) != 1 {
			st.s.Fatalf("kill %d: %s stands in the log %d times", round, key, len(there))
		}
	}
	for i, r := range before.receipts {
		if string(r.raw) != string(v.receipts[i].raw) {
			st.s.Fatalf("kill %d: the log was rewritten at %d", round, i)
		}
	}
	return v
}

// claimTime is how long a delivery that was under way at a kill is left alone, with room.
const claimTime = 80 * time.Second

// settle waits for the outstanding webhooks and checks the time line.
func (st *storm) settle(hook *receiver) {
	st.s.Helper()
	st.ctx = st.s.Context()
	for key, raw := range sample(st.told(), 20) {
		answer, err := st.s.api().Ingest(st.ctx, []api.Event{again(st.s, raw)})
		st.s.ok(err)
		st.keep(st.s, key, answer.Results[0])
	}
	began := time.Now()
	for pending := -1; pending != 0; time.Sleep(100 * time.Millisecond) {
		pending = 0
		for _, d := range all(st.s.TB, func(p prova.Page) (api.List[api.Delivery], error) {
			return st.s.api().Deliveries(st.ctx, hook.hook.ID, p)
		}) {
			if d.Status != api.DeliveryDelivered {
				pending++
			}
		}
		if time.Since(began) > claimTime {
			st.s.Fatalf("%d webhooks are still outstanding %s after the last kill", pending, claimTime)
		}
	}
	waited := time.Since(began)
	v := st.check(-1, st.told(), vault{})
	transitions := v.timeline(st.rollout)
	hook.delivered(st.s, st.rollout, transitions)
	listed := map[string]api.Decision{}
	for _, d := range st.s.decisions(st.rollout) {
		listed[d.EventID] = d
	}
	for id, d := range st.decided {
		if l, ok := listed[id]; !ok || l.Sequence != d.Sequence || l.Step != d.Step {
			st.s.Errorf("a tick was answered with %+v, the time line has %+v", d, l)
		}
	}
	if len(transitions) < 2 || st.repeated == 0 {
		st.s.Errorf("too little happened to prove anything: %d transitions, %d keys repeated", len(transitions), st.repeated)
	}
	st.s.Logf("%d receipts, %d runs acknowledged, %d transitions, %d keys repeated, %d recorded without an answer, %d attempts for %d webhooks, the last after %.1f s",
		len(v.receipts), len(st.receipts), len(transitions), st.repeated, st.unknown, len(hook.seen()), len(transitions), waited.Seconds())
}

// sample is some entries of a map.
func sample(m map[string]string, n int) map[string]string {
	some := map[string]string{}
	for k, v := range m {
		if len(some) == n {
			break
		}
		some[k] = v
	}
	return some
}

// again is the event that a client of the storm sent for a receipt.
func again(s *testServer, raw string) api.Event {
	s.Helper()
	e := decode[struct {
		Body struct {
			IdempotencyKey string                `json:"idempotency_key"`
			Source         api.EventSource       `json:"source"`
			Metrics        map[string]api.Metric `json:"metrics"`
		} `json:"body"`
	}](result{TB: s.TB, command: "receipt", stdout: raw}).Body
	if !strings.HasPrefix(e.IdempotencyKey, "client") {
		s.Fatalf("an unknown receipt: %s", raw)
	}
	return api.Event{
		Kind: api.KindAgentRun, IdempotencyKey: e.IdempotencyKey,
		Source: api.EventSource{AppID: e.Source.AppID, Release: e.Source.Release}, Metrics: e.Metrics,
	}
}
