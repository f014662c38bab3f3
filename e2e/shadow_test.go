package e2e

import (
	"encoding/json"
	"testing"

	"github.com/cobound/prova/api"
)

// TestShadow: a shadow signs a verdict on every tick and takes no action.
func TestShadow(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		s := serve(t, b)
		hook := s.subscribe(nil)
		good := s.agent("good")
		promoted := good.observed(api.StatePromoted)
		bad := s.agent("bad").bad()
		rolledBack := bad.observed(api.StateRolledBack)

		s.run("prova-rollout", "watch", "--id", promoted, "--interval", "1", "--timeout", "20").exits(0).says("On paper only.*promoted")
		s.run("prova-rollout", "watch", "--id", rolledBack, "--interval", "1", "--timeout", "20").exits(0).says("On paper only.*rolled")
		s.run("prova-rollout", "watch", "--id", rolledBack, "--interval", "1", "--timeout", "20", "--strict").exits(1)
		s.run("prova-rollout", "watch", "--id", promoted, "--interval", "1", "--timeout", "20", "--strict").exits(0)
		if seen := hook.seen(); len(seen) != 0 {
			t.Errorf("a shadow fired %+v", seen)
		}
		if list := s.deliveries(hook); len(list) != 0 {
			t.Errorf("a shadow queued %+v", list)
		}
	})
}

// observed runs a shadow to its paper ending and checks that it only watches.
// It returns the rollout's id.
func (f *traffic) observed(want api.State) string {
	s := f.s
	s.Helper()
	r := f.rollout(shadow, steps(50, 75, 100), minRuns(40))
	if r.Weight != nil || r.PaperWeight == nil || !r.Advisory {
		s.Errorf("a new shadow is %+v", r)
	}
	ticks := 0
	tick := func() {
		s.Helper()
		f.send(50, 40)
		status, body := s.request("POST", "/api/v1/rollouts/"+r.ID+"/evaluate", "")
		var t api.Tick
		s.ok(json.Unmarshal(body, &t))
		ticks++
		if status != 200 || !t.Ticked || t.Rollout.Weight != nil || !t.Rollout.Advisory || !t.Decision.Advisory || t.Verdict == nil {
			s.Errorf("tick %d of a shadow: %d %s", ticks, status, body)
		}
		gate, err := s.api().Gate(s.Context(), r.ID, 0)
		s.ok(err)
		if gate.Decision != api.Hold || gate.Weight != nil {
			s.Errorf("the gate of a shadow says %+v", gate)
		}
		r = t.Rollout
	}
	for !r.State.Finished() && ticks < 30 {
		tick()
	}
	if r.State != want {
		s.Fatalf("%s is %s after %d ticks", f.app, r.State, ticks)
	}
	s.run("prova-rollout", "gate", "--id", r.ID, "--weight", "5").exits(3)
	tick()
	tick()
	receipts := s.export().of(r.ID, api.KindRolloutDecision)
	if len(receipts) != ticks {
		s.Errorf("%d ticks of a shadow signed %d receipts", ticks, len(receipts))
	}
	for _, one := range receipts {
		if !one.body.Advisory || one.body.Verdict == nil {
			s.Errorf("the receipt %s is not advisory or has no verdict", one.EventID)
		}
	}
	if r.State != want {
		s.Errorf("later ticks made it %s", r.State)
	}
	return r.ID
}
