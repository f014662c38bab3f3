package authority_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

func TestIdempotencyKeys(t *testing.T) {
	h := newHouse(t)
	e := event("v36", true)
	e.IdempotencyKey = "trace-abc"
	other := e
	other.Metrics = map[string]api.Metric{"success": api.Bool(false)}
	staging := e
	staging.Source.Environment = "staging"
	first := h.record(e)[0]
	results := h.record(e, other, staging, e)
	for i, want := range []api.IngestStatus{api.IngestDuplicate, api.IngestRefused, api.IngestCreated, api.IngestDuplicate} {
		if results[i].Status != want || results[i].Index != i {
			t.Errorf("%d: %+v, want %s", i, results[i], want)
		}
	}
	if string(results[0].Receipt) != string(first.Receipt) || *results[0].LogIndex != *first.LogIndex {
		t.Error("a duplicate is not answered with the first receipt")
	}
	if p := results[1].Problem; p == nil || p.Status != 409 || len(results[1].Receipt) > 0 {
		t.Errorf("%+v", results[1])
	}
	// Twice within one batch, and the same run twice without a key.
	again := e
	again.IdempotencyKey = "trace-def"
	results = h.record(again, again, event("v36", true), event("v36", true))
	if results[1].Status != api.IngestDuplicate || results[3].Status != api.IngestCreated {
		t.Errorf("%+v", results)
	}
	if *results[3].LogIndex != *results[0].LogIndex+2 {
		t.Error("the duplicate took a log index")
	}
	h.verifies()
}

func TestRefusedEvents(t *testing.T) {
	h := newHouse(t)
	for name, change := range map[string]func(*api.Event){
		"no kind":                func(e *api.Event) { e.Kind = "" },
		"a kind of the server":   func(e *api.Event) { e.Kind = api.KindRolloutDecision },
		"a kind that is no word": func(e *api.Event) { e.Kind = "Agent Run" },
		"no app":                 func(e *api.Event) { e.Source.AppID = "" },
		"no metrics":             func(e *api.Event) { e.Metrics = nil },
		"an outcome of no run":   func(e *api.Event) { e.Kind = api.KindOutcome },
		"a control character":    func(e *api.Event) { e.Source.Release = "v\x1b[31m" },
		"a long name":            func(e *api.Event) { e.ProbeID = strings.Repeat("x", 201) },
		"no time":                func(e *api.Event) { e.OccurredAt = "yesterday" },
		"a time to come":         func(e *api.Event) { e.OccurredAt = "2026-05-15T19:42:00Z" },
		"a metric too large":     func(e *api.Event) { e.Metrics["cost_usd"] = api.Metric{Value: 1e19} },
		"a payload that loses digits": func(e *api.Event) {
			e.Payload = map[string]json.RawMessage{"input": json.RawMessage("9007199254740993")}
		},
	} {
		e := event("v36", true)
		change(&e)
		results, err := h.Record(h.ctx, h.owner, []authority.Submission{{Event: e}, submission(t, event("v36", true))})
		if err != nil || results[0].Status != api.IngestRefused || results[0].Problem.Status != 400 || results[0].Problem.Detail == "" {
			t.Errorf("%s: %+v, %v", name, results[0], err)
			continue
		}
		if results[1].Status != api.IngestCreated {
			t.Errorf("%s: a bad event took a good one with it", name)
		}
	}
}

// TestWhatIsFilledIn: the receipt shows what the event left out, and not the payload.
func TestWhatIsFilledIn(t *testing.T) {
	h := newHouse(t)
	e := event("", true)
	e.Payload = map[string]json.RawMessage{"input": json.RawMessage(`"my secret question"`)}
	e.OccurredAt = "2026-05-15T20:41:00+02:00"
	s := submission(t, e)
	s.Release = "v37"
	results, err := h.Record(h.ctx, h.owner, []authority.Submission{s})
	if err != nil {
		t.Fatal(err)
	}
	r, err := receipt.Parse(results[0].Receipt)
	if err != nil {
		t.Fatal(err)
	}
	if r.Source.Release != "v37" || r.Source.Environment != api.DefaultEnvironment || r.IdempotencyKey != r.EventID || r.OccurredAt != "2026-05-15T18:41:00Z" || r.Org != "default" {
		t.Errorf("%+v", r.Header)
	}
	if strings.Contains(string(r.Body), "secret") || !strings.Contains(string(r.Body), `"payload_commitments":{"input":"sha256:`) {
		t.Errorf("%s", r.Body)
	}
	none := h.record(event("", true))[0]
	if none.Note == "" {
		t.Error("a run without a release is not pointed out")
	}
}

// TestOutcome: a metric that becomes known later joins its run; a metric that the run has does not.
func TestOutcome(t *testing.T) {
	h := newHouse(t)
	run := event("v36", true)
	run.RunID = "run-1"
	outcome := api.Event{Kind: api.KindOutcome, RunID: "run-1", Source: api.EventSource{AppID: "claims-agent"}, Metrics: map[string]api.Metric{"reopened": api.Bool(true)}}
	unknown := outcome
	unknown.RunID = "run-2"
	clash := outcome
	clash.Metrics = map[string]api.Metric{"success": api.Bool(false)}
	h.record(outcome) // it came before its run: kept, and in nobody's way
	results := h.record(run, outcome, unknown, clash)
	if results[1].Status != api.IngestCreated || results[2].Note == "" || results[3].Status != api.IngestRefused || results[3].Problem.Status != 409 {
		t.Errorf("%+v", results)
	}
	if again := h.record(outcome)[0]; again.Status != api.IngestRefused || again.Problem.Status != 409 {
		t.Errorf("the same outcome again, in a batch of its own: %+v", again)
	}
	releases, err := h.Releases(h.ctx, h.owner, "claims-agent")
	if err != nil || len(releases) != 1 || releases[0].Runs != 1 || strings.Join(releases[0].Metrics, " ") != "latency_ms reopened success" {
		t.Errorf("%+v, %v", releases, err)
	}
}

// TestEpochIsCutByTime: after 24 hours a new stratum begins, and the block that was being filled ends with the old one.
func TestEpochIsCutByTime(t *testing.T) {
	h := newHouse(t)
	r := h.create(canary("v36", "v37"))
	h.traffic("v36", "v37", 28, 19, 3, 53)
	h.clock.pass(25 * time.Hour)
	h.traffic("v36", "v37", 2, 19, 0, 4)
	h.clock.pass(25 * time.Hour)
	h.traffic("v36", "v37", 5, 19, 0, 9)
	tick := h.tick(r.ID)
	if tick.Verdict.Gates[0].OneLook.Strata != 3 {
		t.Errorf("%+v", tick.Verdict.Gates[0].OneLook)
	}
	// 5 full blocks and one of 3 runs, one of 2 runs, and the 5 of the third epoch: 35 runs in 8 blocks.
	if tick.Rollout.Ledger.Looks != 8 || tick.Decision.Decision != api.Promote {
		t.Errorf("%d looks, %s", tick.Rollout.Ledger.Looks, tick.Decision.Reason.Text)
	}
}

func TestKeysLimitedToAnEnvironment(t *testing.T) {
	h := newHouse(t)
	k, err := h.CreateAPIKey(h.ctx, h.owner, api.CreateAPIKey{Name: "staging", Permissions: []api.Permission{api.AuditIngest, api.RolloutManage}, Environment: "staging"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.Authenticate(h.ctx, k.Secret)
	if err != nil {
		t.Fatal(err)
	}
	results, err := h.Record(h.ctx, p, []authority.Submission{submission(t, event("v36", true))})
	if err != nil || results[0].Problem == nil || results[0].Problem.Status != 403 {
		t.Errorf("%+v, %v", results, err)
	}
	production := h.create(canary("v36", "v37"))
	_, err = h.Rollout(h.ctx, p, production.ID)
	code(t, err, authority.CodeNotFound)
	_, err = h.Evaluate(h.ctx, p, production.ID)
	code(t, err, authority.CodeNotFound)
	staging, _, err := h.CreateRollout(h.ctx, p, canary("v36", "v37"))
	if err != nil || staging.Environment != "staging" {
		t.Errorf("%+v, %v", staging, err)
	}
	if _, err := h.RevokeAPIKey(h.ctx, h.owner, k.ID); err != nil {
		t.Fatal(err)
	}
	_, err = h.Authenticate(h.ctx, k.Secret)
	code(t, err, authority.CodeUnauthenticated)
}

// TestNoKeyOutlivesItsMaker: a key that ends cannot make one that does not.
func TestNoKeyOutlivesItsMaker(t *testing.T) {
	h := newHouse(t)
	ends, later := h.clock.now().Add(time.Hour), h.clock.now().Add(48*time.Hour)
	k, err := h.CreateAPIKey(h.ctx, h.owner, api.CreateAPIKey{Name: "for an hour", Permissions: []api.Permission{api.KeyManage}, ExpiresAt: &ends})
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.Authenticate(h.ctx, k.Secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, asked := range []*time.Time{nil, &later} {
		made, err := h.CreateAPIKey(h.ctx, p, api.CreateAPIKey{Name: "for ever", Permissions: []api.Permission{api.KeyManage}, ExpiresAt: asked})
		if err != nil || made.ExpiresAt == nil || !made.ExpiresAt.Equal(ends) {
			t.Errorf("asked for %v, got %v, %v", asked, made.ExpiresAt, err)
		}
	}
	h.clock.pass(time.Hour)
	_, err = h.Authenticate(h.ctx, k.Secret)
	code(t, err, authority.CodeUnauthenticated)
}
