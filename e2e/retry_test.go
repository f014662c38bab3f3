package e2e

import (
	"bufio"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/prova"
)

// retryTime is enough for the second and third attempt.
const retryTime = 25 * time.Second

// promoted ramps an agent's canary by one step.
func (f *traffic) promoted(id string) api.Decision {
	f.s.Helper()
	f.send(50, 60)
	t := f.s.tick(id)
	if t.Decision.Decision != api.Promote {
		f.s.Fatalf("the tick decided to %s: %s", t.Decision.Decision, t.Decision.Reason.Text)
	}
	return t.Decision
}

func (s *testServer) deliveries(r *receiver) []api.Delivery {
	s.Helper()
	return all(s.TB, func(p prova.Page) (api.List[api.Delivery], error) {
		return s.api().Deliveries(s.Context(), r.hook.ID, p)
	})
}

// delivery is the delivery of a decision.
func (s *testServer) delivery(r *receiver, event string) api.Delivery {
	s.Helper()
	for _, d := range s.deliveries(r) {
		if d.EventID == event {
			return d
		}
	}
	s.Fatalf("no delivery of %s", event)
	return api.Delivery{}
}

// TestWebhookRetry: an event reaches a receiver that was in trouble, later and
// under the same id.
func TestWebhookRetry(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		for name, test := range map[string]func(*testing.T, backend){
			"loop": retriedByLoop, "tick": retriedByTick, "superseded": superseded, "listen": listening,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, same(t, b))
			})
		}
	})
}

// same is another database of the same kind.
func same(t *testing.T, b backend) backend {
	t.Helper()
	if b.url == "" {
		return sqlite()
	}
	return postgres(t)
}

// retriedByLoop: the receiver says 500 twice; the delivery loop tries again
// without anybody ticking.
func retriedByLoop(t *testing.T, b backend) {
	s := serve(t, b)
	hook := s.subscribe(func(attempt int, e api.WebhookEvent) int {
		if attempt <= 2 && !e.Data.Test {
			return 500
		}
		return 204
	})
	f := s.agent("claims-agent")
	r := f.rollout(steps(50, 75, 100), minRuns(20))
	d := f.promoted(r.ID)
	hook.await(d.EventID, retryTime)
	time.Sleep(200 * time.Millisecond) // until the answer is written down
	got := s.delivery(hook, d.EventID)
	var codes []int
	for i, a := range got.Attempts {
		codes = append(codes, a.StatusCode)
		if a.Number != i+1 || i > 0 && a.At.Sub(got.Attempts[i-1].At) < time.Second {
			t.Errorf("the attempts are %+v", got.Attempts)
		}
	}
	if got.Status != api.DeliveryDelivered || len(codes) != 3 || codes[0] != 500 || codes[1] != 500 || codes[2] != 204 {
		t.Errorf("the delivery is %s after attempts with %v", got.Status, codes)
	}
	s.run("prova", "webhooks", "deliveries", hook.hook.ID).exits(0).says("attempt 3").says("delivered")
	s.run("prova", "webhooks", "redeliver", got.ID).exits(0).says("delivered")
	if n := hook.times(d.EventID); n != 4 {
		t.Errorf("the event came %d times, want a fourth time after redeliver", n)
	}
	s.run("prova", "webhooks", "test", hook.hook.ID).exits(0).says("delivered")
	if last := hook.seen()[4]; !last.event.Data.Test {
		t.Errorf("a test arrived as %+v", last.event)
	}
}

// retriedByTick: without a loop, and with nobody listening at first, a later
// tick brings the event.
func retriedByTick(t *testing.T, b backend) {
	s := serve(t, b, "--delivery-loop", "off")
	hook, open := s.closedPort()
	f := s.agent("claims-agent")
	r := f.rollout(steps(50, 75, 100), minRuns(20))
	d := f.promoted(r.ID)
	got := s.delivery(hook, d.EventID)
	if len(got.Attempts) != 1 || got.Attempts[0].Error == "" || got.Status != api.DeliveryPending || got.NextAt == nil {
		t.Fatalf("after an attempt at a closed port the delivery is %+v", got)
	}
	open()
	time.Sleep(time.Until(*got.NextAt) + 500*time.Millisecond)
	if n := len(hook.seen()); n != 0 {
		t.Fatalf("%d webhooks came without a loop and without a tick", n)
	}
	s.tick(r.ID)
	hook.await(d.EventID, time.Second)
	if got := s.delivery(hook, d.EventID); got.Status != api.DeliveryDelivered || len(got.Attempts) != 2 {
		t.Errorf("the delivery is %+v", got)
	}
}

// closedPort is a receiver that nobody hears yet; the returned function opens it.
func (s *testServer) closedPort() (hook *receiver, open func()) {
	s.Helper()
	hook = &receiver{TB: s.TB, attempts: map[string]int{}}
	hook.server = httptest.NewUnstartedServer(hook)
	address := hook.server.Listener.Addr().String()
	s.register(hook)
	s.ok(hook.server.Listener.Close())
	return hook, func() {
		l, err := net.Listen("tcp", address)
		s.ok(err)
		hook.listen(l)
	}
}

// superseded: a rollback overtakes a promotion that nobody has taken yet, and
// the promotion never comes after it.
func superseded(t *testing.T, b backend) {
	s := serve(t, b)
	hook := s.subscribe(func(_ int, e api.WebhookEvent) int {
		if e.Event == api.EventPromote {
			return 503
		}
		return 204
	})
	f := s.agent("claims-agent")
	r := f.rollout(steps(50, 75, 100), minRuns(20))
	promote := f.promoted(r.ID)
	f.candidateFails = 100
	rollback := f.until(r.ID, 10).Decision
	hook.await(rollback.EventID, time.Second)
	if got := s.delivery(hook, promote.EventID); got.Status != api.DeliverySuperseded || got.NextAt != nil {
		t.Errorf("the promotion is %+v", got)
	}
	before := hook.times(promote.EventID)
	time.Sleep(4 * time.Second) // longer than the wait for its second attempt
	s.tick(r.ID)
	if n := hook.times(promote.EventID); n != before {
		t.Error("the promotion came after the rollback")
	}
	seen := hook.seen()
	if last := seen[len(seen)-1].event; last.Event != api.EventRollback || last.Data.Weight != 0 || !last.Data.Terminal {
		t.Errorf("the last webhook is %+v", last)
	}
}

// listening: the receiver of the command line verifies real events and acts on them.
func listening(t *testing.T, b backend) {
	s := serve(t, b)
	hook, _ := s.closedPort()
	acted := filepath.Join(t.TempDir(), "acted")
	cmd := exec.Command(program("prova"), "webhooks", "listen", "--addr", hook.server.Listener.Addr().String(),
		"--exec", `echo "$PROVA_EVENT $PROVA_CANDIDATE_RELEASE $PROVA_WEIGHT $PROVA_TERMINAL" >> `+acted)
	cmd.Env, cmd.SysProcAttr = environment("PROVA_WEBHOOK_SECRET="+hook.hook.Secret), withParent()
	said, err := cmd.StderrPipe()
	s.ok(err)
	s.ok(cmd.Start())
	lines := bufio.NewScanner(said)
	if !lines.Scan() || !strings.Contains(lines.Text(), "Listening on") {
		t.Fatalf("it says %q", lines.Text())
	}
	f := s.agent("claims-agent")
	r := f.rollout(steps(50, 100), minRuns(20))
	d := f.promoted(r.ID)
	bad := s.agent("other-agent").bad()
	o := bad.rollout(steps(50, 100), minRuns(200))
	rollback := bad.until(o.ID, 10).Decision
	for _, id := range []string{d.EventID, rollback.EventID} {
		if got := s.delivery(hook, id); got.Status != api.DeliveryDelivered || got.Attempts[0].StatusCode != 204 {
			t.Errorf("the delivery to the listener is %+v", got)
		}
	}
	text, err := os.ReadFile(acted)
	s.ok(err)
	if want := "rollout.promote v37 100 true\nrollout.rollback v37 0 true\n"; string(text) != want {
		t.Errorf("it acted\n%swant\n%s", text, want)
	}
	s.ok(cmd.Process.Signal(syscall.SIGINT))
	for lines.Scan() {
		t.Log(lines.Text())
	}
	_ = cmd.Wait() // the code is what counts
	if code := cmd.ProcessState.ExitCode(); code != 130 && code != 0 {
		t.Errorf("the listener ended with %d", code)
	}
}
