package authority_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

// TestOneRollout goes the whole way: ramp, webhooks, time line, evidence.
func TestOneRollout(t *testing.T) {
	h := newHouse(t)
	h.hook()
	r := h.create(canary("v36", "v37"))
	if *r.Weight != 5 || r.PaperWeight != nil || r.Step != 1 || r.State != api.StateActive || r.LastDecision != nil {
		t.Errorf("created as %+v", r)
	}
	if first := h.tick(r.ID); first.Decision.Decision != api.Hold || first.Decision.EventID == "" {
		t.Errorf("the first hold has a reason of its own and so a receipt: %+v", first.Decision)
	}
	if second := h.tick(r.ID); second.Decision.EventID != "" || second.Rollout.Sequence != 1 || !second.Ticked {
		t.Errorf("nothing changed, so nothing is written: %+v", second.Decision)
	}
	for i, per := range []int{19, 3, 1} {
		h.traffic("v36", "v37", 30, per, 3, 3*per)
		tick := h.tick(r.ID)
		if tick.Decision.Decision != api.Promote || tick.Rollout.Step != i+2 || tick.Verdict.Verdict != api.Clean {
			t.Fatalf("step %d: %s", i+1, tick.Decision.Reason.Text)
		}
	}
	events := h.out.events(t)
	if len(events) != 3 || events[0].Data.Weight != 25 || events[1].Data.Weight != 50 || events[2].Data.Weight != 100 || !events[2].Data.Terminal || events[1].Data.Terminal {
		t.Errorf("%+v", events)
	}
	if events[0].Data.Reason != "clean verdict at 5%, advancing canary to 25%" || events[0].Event != api.EventPromote {
		t.Errorf("%+v", events[0])
	}
	after := h.tick(r.ID)
	if after.Ticked || after.Decision.Decision != api.Promote || after.Verdict == nil || after.Rollout.Sequence != 4 {
		t.Errorf("a finished rollout repeats its last decision: %+v", after)
	}
	h.timeLine(r.ID, 4)
}

// timeLine holds the decisions against their receipts.
func (h *house) timeLine(id string, want int) {
	h.t.Helper()
	h.verifies()
	list, err := h.Decisions(h.ctx, h.owner, id, "", 100)
	if err != nil || len(list.Items) != want {
		h.t.Fatalf("%d decisions, want %d: %v", len(list.Items), want, err)
	}
	prev := ""
	receipts, err := h.Receipts(h.ctx, h.owner, authority.EntryFilter{RolloutID: id}, "", 100)
	if err != nil || len(receipts.Items) != want+1 {
		h.t.Fatalf("%d receipts of the rollout, want %d and the one of its creation: %v", len(receipts.Items), want, err)
	}
	slices.Reverse(receipts.Items)
	for i, item := range receipts.Items {
		r, err := receipt.Parse(item.Receipt)
		if err != nil {
			h.t.Fatal(err)
		}
		if len(item.Receipt) > 64<<10 {
			h.t.Errorf("a receipt of %d bytes", len(item.Receipt))
		}
		if i > 0 && (list.Items[i-1].EventID != r.EventID || list.Items[i-1].LogIndex != item.LogIndex || list.Items[i-1].Sequence != int64(i)) {
			h.t.Errorf("decision %d: %+v is not receipt %s at %d", i, list.Items[i-1], r.EventID, item.LogIndex)
		}
		if want := fmt.Sprintf(`"stream":{"id":"%s","prev":"%s","seq":%d}`, id, prev, i); !strings.Contains(string(r.Body), want) {
			h.t.Errorf("receipt %d lacks %s", i, want)
		}
		prev = r.IntegrityHash
	}
}

// TestConcurrentTicks: one transition, one receipt, one webhook, and the losers answer with the winner's decision.
func TestConcurrentTicks(t *testing.T) {
	h := newHouse(t)
	h.hook()
	r := h.create(canary("v36", "v37"))
	h.traffic("v36", "v37", 30, 19, 15, 57)
	var wg sync.WaitGroup
	ticks := make([]api.Tick, 16)
	for i := range ticks {
		wg.Go(func() {
			tick, err := h.Evaluate(h.ctx, h.owner, r.ID)
			if err != nil {
				t.Error(err)
			}
			ticks[i] = tick
		})
	}
	wg.Wait()
	for _, tick := range ticks {
		if tick.Decision.Decision != api.Rollback || tick.Decision.EventID != ticks[0].Decision.EventID || tick.Rollout.State != api.StateRolledBack || tick.Verdict == nil {
			t.Errorf("%+v", tick.Decision)
		}
	}
	if events := h.out.events(t); len(events) != 1 || events[0].Event != api.EventRollback || events[0].Data.Weight != 0 || !events[0].Data.Terminal {
		t.Errorf("%+v", events)
	}
	h.timeLine(r.ID, 1)
}

// TestCatchUp: a rollout that nobody ticked for long is looked at in several receipts, none too large.
func TestCatchUp(t *testing.T) {
	h := newHouse(t)
	n := int64(2000)
	request := canary("v36", "v37")
	request.MinRuns = &n
	r := h.create(request)
	for range 10 {
		h.traffic("v36", "v37", 100, 1, 10, 10)
	}
	tick := h.tick(r.ID)
	if tick.Rollout.Ledger.Looks != 200 || tick.Decision.Reason.Code != "fresh_runs" {
		t.Errorf("%d looks, %s", tick.Rollout.Ledger.Looks, tick.Decision.Reason.Code)
	}
	h.timeLine(r.ID, int(tick.Rollout.Sequence))
}

func TestOneUnfinishedCanary(t *testing.T) {
	h := newHouse(t)
	first := h.create(canary("v36", "v37"))
	same, created, err := h.CreateRollout(h.ctx, h.owner, canary("v36", "v37"))
	if err != nil || created || same.ID != first.ID {
		t.Errorf("an equal request: %s, created %t, %v", same.ID, created, err)
	}
	_, _, err = h.CreateRollout(h.ctx, h.owner, canary("v36", "v38"))
	code(t, err, authority.CodeConflict)
	if e, ok := errors.AsType[*authority.Error](err); !ok || !strings.Contains(e.Detail, first.ID) {
		t.Errorf("the conflict does not name the rollout: %v", err)
	}
	shadow := canary("v36", "v38")
	shadow.Mode = api.ModeShadow
	h.create(shadow)
	elsewhere := canary("v36", "v38")
	elsewhere.Environment = "staging"
	h.create(elsewhere)
}

func TestAttempts(t *testing.T) {
	h := newHouse(t)
	first := h.create(canary("v36", "v37"))
	h.traffic("v36", "v37", 27, 19, 3, 51)
	h.tick(first.ID)
	if _, err := h.Abort(h.ctx, h.owner, first.ID, "wrong cluster"); err != nil {
		t.Fatal(err)
	}
	second := h.create(canary("v36", "v37"))
	if second.Attempt != 1 || second.Ledger.Looks != 5 || second.Ledger.Digest == "" || second.FreshRuns != 0 {
		t.Errorf("after an abort the ledger goes on: %+v", second.Ledger)
	}
	h.traffic("v36", "v37", 30, 19, 20, 57)
	if tick := h.tick(second.ID); tick.Decision.Decision != api.Rollback || tick.Rollout.Ledger.Looks < 6 {
		t.Fatalf("%s", tick.Decision.Reason.Text)
	}
	_, _, err := h.CreateRollout(h.ctx, h.owner, canary("v36", "v37"))
	code(t, err, authority.CodeConflict)
	again := canary("v36", "v37")
	again.AttemptReason = "the router was broken"
	third := h.create(again)
	if third.Attempt != 2 || third.Ledger.SpentBefore != 0.05 || third.Ledger.Looks != 0 {
		t.Errorf("%+v", third)
	}
	// Evidence begins anew: the runs of the attempts before are not shown either.
	if tick := h.tick(third.ID); len(tick.Verdict.Gates) != 1 || tick.Verdict.Gates[0].Candidate.N != 0 || tick.Verdict.Attempt != 2 {
		t.Errorf("%+v", tick.Verdict)
	}
	// Another candidate has a chain of its own; a shadow too.
	if _, err := h.Abort(h.ctx, h.owner, third.ID, "enough"); err != nil {
		t.Fatal(err)
	}
	if fresh := h.create(canary("v36", "v38")); fresh.Attempt != 1 || fresh.Ledger.SpentBefore != 0 {
		t.Errorf("%+v", fresh)
	}
	shadow := canary("v36", "v37")
	shadow.Mode = api.ModeShadow
	if s := h.create(shadow); s.Attempt != 1 || *s.PaperWeight != 5 || s.Weight != nil || !s.Advisory {
		t.Errorf("%+v", s)
	}
}

func TestOperators(t *testing.T) {
	h := newHouse(t)
	h.hook()
	r := h.create(canary("v36", "v37"))
	_, err := h.Pause(h.ctx, h.owner, r.ID, "  ")
	code(t, err, authority.CodeInvalid)
	if _, err := h.Pause(h.ctx, h.owner, r.ID, "lunch"); err != nil {
		t.Fatal(err)
	}
	_, err = h.Pause(h.ctx, h.owner, r.ID, "lunch")
	code(t, err, authority.CodeConflict)
	h.traffic("v36", "v37", 30, 19, 3, 57)
	if tick := h.tick(r.ID); tick.Decision.Reason.Code != "paused" {
		t.Errorf("%s", tick.Decision.Reason.Text)
	}
	if _, err := h.Resume(h.ctx, h.owner, r.ID, "back"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.PromoteStep(h.ctx, h.owner, r.ID, "the fix is known to be safe"); err != nil {
		t.Fatal(err)
	}
	aborted, err := h.Abort(h.ctx, h.owner, r.ID, "it was not")
	if err != nil || aborted.State != api.StateAborted || *aborted.Weight != 0 {
		t.Fatalf("%+v, %v", aborted, err)
	}
	_, err = h.Resume(h.ctx, h.owner, r.ID, "again")
	code(t, err, authority.CodeConflict)
	events := h.out.events(t)
	if len(events) != 2 || events[0].Data.Weight != 25 || events[1].Event != api.EventRollback || !events[1].Data.Terminal {
		t.Errorf("%+v", events)
	}
	h.timeLine(r.ID, 5)
	gate, err := h.Gate(h.ctx, h.owner, r.ID, 5)
	if err != nil || gate.Decision != api.Rollback {
		t.Errorf("%+v, %v", gate, err)
	}
}

// TestShadowActsNot: it signs at every tick, and no webhook leaves.
func TestShadowActsNot(t *testing.T) {
	h := newHouse(t)
	h.hook()
	request := canary("v36", "v37")
	request.Mode = api.ModeShadow
	r := h.create(request)
	h.tick(r.ID)
	h.tick(r.ID)
	h.traffic("v36", "v37", 30, 19, 15, 57)
	if tick := h.tick(r.ID); tick.Decision.Decision != api.Rollback || !tick.Decision.Advisory || tick.Rollout.State != api.StateRolledBack {
		t.Errorf("%+v", tick.Decision)
	}
	h.traffic("v36", "v37", 30, 19, 3, 57)
	if tick := h.tick(r.ID); tick.Decision.Reason.Code != "paper_ended" || tick.Decision.EventID == "" || tick.Verdict.Gates[0].Candidate.N != 60 {
		t.Errorf("%+v", tick.Decision)
	}
	if len(h.out.events(t)) != 0 {
		t.Error("a shadow sent a webhook")
	}
	gate, err := h.Gate(h.ctx, h.owner, r.ID, 0)
	if err != nil || gate.Decision != api.Hold {
		t.Errorf("%+v, %v", gate, err)
	}
	h.timeLine(r.ID, 4)
}

// TestDeliveryIsRetriedAndOvertaken: what fails is tried again later, and a rollback supersedes an undelivered promote.
func TestDeliveryIsRetriedAndOvertaken(t *testing.T) {
	h := newHouse(t)
	w := h.hook()
	r := h.create(canary("v36", "v37"))
	h.out.say(authority.Sent{StatusCode: 500, Answer: "no"})
	h.traffic("v36", "v37", 30, 19, 3, 57)
	h.tick(r.ID)
	if n, err := h.DeliverDue(h.ctx); n != 0 || err != nil {
		t.Errorf("tried %d again at once, %v", n, err)
	}
	h.clock.pass(3 * time.Second)
	if n, err := h.DeliverDue(h.ctx); n != 1 || err != nil {
		t.Errorf("%d due after three seconds, %v", n, err)
	}
	h.clock.pass(time.Hour)
	h.traffic("v36", "v37", 30, 3, 25, 9)
	h.out.say(authority.Sent{StatusCode: 204})
	if tick := h.tick(r.ID); tick.Decision.Decision != api.Rollback {
		t.Fatal(tick.Decision.Reason.Text)
	}
	list, err := h.Deliveries(h.ctx, h.owner, w.ID, "", 10)
	if err != nil || len(list.Items) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	rollback, promote := list.Items[0], list.Items[1]
	if promote.Status != api.DeliverySuperseded || len(promote.Attempts) != 2 || promote.Attempts[0].StatusCode != 500 || rollback.Status != api.DeliveryDelivered {
		t.Errorf("%+v\n%+v", promote, rollback)
	}
	_, err = h.Redeliver(h.ctx, h.owner, promote.ID)
	code(t, err, authority.CodeConflict)
	if d, err := h.Redeliver(h.ctx, h.owner, rollback.ID); err != nil || len(d.Attempts) != 2 {
		t.Errorf("%+v, %v", d, err)
	}
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	ids := map[string]int{}
	for _, s := range h.out.sent {
		ids[s.ID]++
	}
	if ids[promote.EventID] != 2 || ids[rollback.EventID] != 2 {
		t.Errorf("the webhook-id changes between attempts: %v", ids)
	}
}

// TestGivesUp: after the last attempt a delivery has failed, and is not sent any more.
func TestGivesUp(t *testing.T) {
	h := newHouse(t)
	w := h.hook()
	h.out.say(authority.Sent{Err: errors.New("connection refused")})
	if d, err := h.TestWebhook(h.ctx, h.owner, w.ID); err != nil || d.Status != api.DeliveryPending || d.Attempts[0].Error == "" {
		t.Errorf("%+v, %v", d, err)
	}
	began := h.clock.now()
	for range 30 {
		h.clock.pass(26 * time.Hour)
		if _, err := h.DeliverDue(h.ctx); err != nil {
			t.Fatal(err)
		}
	}
	list, err := h.Deliveries(h.ctx, h.owner, w.ID, "", 10)
	if err != nil || list.Items[0].Status != api.DeliveryFailed || list.Items[0].NextAt != nil || len(list.Items[0].Attempts) != 17 {
		t.Errorf("since %s: %+v, %v", began, list.Items, err)
	}
}

func TestEvaluateActive(t *testing.T) {
	h := newHouse(t)
	for _, release := range []string{"v37", "v38"} {
		r := canary("v36", release)
		r.AppID = "app-" + release
		h.create(r)
	}
	all, err := h.EvaluateActive(h.ctx, h.owner)
	if err != nil || len(all.Results) != 2 || all.Results[0].Tick == nil || all.Results[0].Problem != nil {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestAShadowDisturbsNobody: shadows that come and go beside a canary take none of its runs.
func TestAShadowDisturbsNobody(t *testing.T) {
	h := newHouse(t)
	r := h.create(canary("v36", "v37"))
	for i := range 30 {
		h.traffic("v36", "v37", 1, 19, 0, 1)
		shadow := canary("v36", "v38")
		shadow.Mode, shadow.CandidateRelease = api.ModeShadow, fmt.Sprintf("v38-%d", i)
		s := h.create(shadow)
		if _, err := h.Abort(h.ctx, h.owner, s.ID, "not needed"); err != nil {
			t.Fatal(err)
		}
	}
	tick := h.tick(r.ID)
	if tick.Decision.Decision != api.Promote || tick.Rollout.Ledger.Looks != 6 {
		t.Errorf("%s, %d looks: %s", tick.Decision.Decision, tick.Rollout.Ledger.Looks, tick.Decision.Reason.Text)
	}
}

// TestAbortLosesNoRuns: the block that was being filled is evidence of the attempt that continues.
func TestAbortLosesNoRuns(t *testing.T) {
	h := newHouse(t)
	first := h.create(canary("v36", "v37"))
	h.traffic("v36", "v37", 4, 19, 4, 8)
	if _, err := h.Abort(h.ctx, h.owner, first.ID, "bad luck"); err != nil {
		t.Fatal(err)
	}
	second := h.create(canary("v36", "v37"))
	tick := h.tick(second.ID)
	if tick.Rollout.Ledger.Looks != 1 || tick.Rollout.FreshRuns != 0 {
		t.Errorf("%d looks, %d fresh", tick.Rollout.Ledger.Looks, tick.Rollout.FreshRuns)
	}
	h.traffic("v36", "v37", 30, 19, 3, 57)
	if tick := h.tick(second.ID); tick.Verdict.Gates[0].Candidate.N != 34 || tick.Rollout.Ledger.Looks != 7 {
		t.Errorf("%+v, %d looks", tick.Verdict.Gates[0].Candidate, tick.Rollout.Ledger.Looks)
	}
}

// TestNoPromoteAfterARollback: nothing sends a promote of a rollout that was rolled back, not even by hand.
func TestNoPromoteAfterARollback(t *testing.T) {
	h := newHouse(t)
	w := h.hook()
	r := h.create(canary("v36", "v37"))
	h.traffic("v36", "v37", 30, 19, 3, 57)
	h.tick(r.ID)
	h.traffic("v36", "v37", 30, 3, 25, 9)
	h.tick(r.ID)
	list, err := h.Deliveries(h.ctx, h.owner, w.ID, "", 10)
	if err != nil || len(list.Items) != 2 || list.Items[1].Status != api.DeliveryDelivered {
		t.Fatalf("%+v, %v", list.Items, err)
	}
	_, err = h.Redeliver(h.ctx, h.owner, list.Items[1].ID)
	code(t, err, authority.CodeConflict)
	if events := h.out.events(t); len(events) != 2 || events[1].Event != api.EventRollback {
		t.Errorf("%+v", events)
	}
}

// TestEqualRequestAfterTheBaselineReports: an equal request is answered with its rollout, whatever the defaults would be by now.
func TestEqualRequestAfterTheBaselineReports(t *testing.T) {
	h := newHouse(t)
	first := h.create(canary("v36", "v37"))
	e := event("v36", true)
	e.Metrics = map[string]api.Metric{"quality": api.Number(4)}
	h.record(e)
	same, created, err := h.CreateRollout(h.ctx, h.owner, canary("v36", "v37"))
	if err != nil || created || same.ID != first.ID {
		t.Errorf("%s, created %t, %v", same.ID, created, err)
	}
}

// racing lets somebody else be faster, once, before the next transaction that writes.
type racing struct {
	authority.Store
	first func()
}

func (r *racing) Update(ctx context.Context, org string, fn func(authority.Tx) error) error {
	if first := r.first; first != nil {
		r.first = nil
		first()
	}
	return r.Store.Update(ctx, org, fn)
}

// TestAnOverrideIsOneStep: who promotes means the step that was on the screen, not the one that a tick reached meanwhile.
func TestAnOverrideIsOneStep(t *testing.T) {
	h := newHouse(t)
	r := h.create(canary("v36", "v37"))
	h.traffic("v36", "v37", 30, 19, 3, 57)
	h.Store = &racing{Store: h.Store, first: func() { h.tick(r.ID) }}
	_, err := h.PromoteStep(h.ctx, h.owner, r.ID, "it is fine")
	code(t, err, authority.CodeConflict)
	if now, err := h.Rollout(h.ctx, h.owner, r.ID); err != nil || *now.Weight != 25 {
		t.Errorf("weight %d, %v", *now.Weight, err)
	}
}
