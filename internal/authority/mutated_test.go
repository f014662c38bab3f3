package authority_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/replay"
	"github.com/cobound/prova/receipt"
)

// small is a short log with a rollout that was aborted and one that continues it; judged if a judge is asked.
func (w *world) small(judged bool) []replay.Item {
	w.t.Helper()
	w.events(40, 0, 1)
	request := canary("v36", "v37")
	if judged {
		request = pairwise(8)
		request.Pairwise.Judge = &api.Judge{Model: "judge-1"}
	}
	request.Gates, request.MinRuns = gatesOf(w.t, "success:margin=0.01", "latency_ms:p95:on=warn"), ptr(int64(8))
	r := w.create(request)
	for i := range 5 {
		w.events(30, 0.4, 1)
		if judged {
			j := judges{w.house, w.rng}
			j.post(theJudge(), 8*i, 9, 0.6)
			j.calibrated(theJudge())
		}
		w.tick(r.ID)
		if i == 3 {
			if _, err := w.Abort(w.ctx, w.owner, r.ID, "wrong day"); err == nil {
				r = w.create(request)
			}
		}
	}
	return w.replays(3)
}

// TestReplayOfWhatNobodyThoughtOf puts odd values in the place of what was
// signed: both verifiers say the same of them, and neither falls over.
func TestReplayOfWhatNobodyThoughtOf(t *testing.T) {
	for _, judged := range []bool{false, true} {
		h := newHouse(t)
		w := &world{house: h, rng: rand.New(rand.NewPCG(13, 14))}
		items := w.small(judged)
		both := newLogs(t)
		for len(both.names) < 40 {
			at := w.rng.IntN(len(items))
			rare := items[at].Receipt.Kind == api.KindAgentRun || items[at].Receipt.Kind == api.KindOutcome
			if rare && w.rng.IntN(20) > 0 {
				continue
			}
			if body, name, ok := w.mutated(items[at].Receipt.Body); ok {
				log := slices.Clone(items)
				log[at].Receipt.Body = body
				both.keep(t, fmt.Sprintf("%d, %s of a %s: %.300s", len(both.names), name, log[at].Receipt.Kind, body), log)
			}
		}
		both.agree(t)
	}
}

// mutated changes one value of a body beside those that the form of a receipt fixes.
func (w *world) mutated(body []byte) (text []byte, name string, ok bool) {
	var members map[string]any
	if err := json.Unmarshal(body, &members); err != nil {
		w.t.Fatal(err)
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(members)), func(name string) bool {
		return slices.Contains([]string{
			"schema", "event_id", "org", "kind", "recorded_at", "occurred_at", "actor", "key_id", "source", "stream", "terminal", "advisory", "run_id", "probe_id", "idempotency_key",
		}, name)
	})
	if len(names) == 0 {
		return nil, "", false
	}
	name = names[w.rng.IntN(len(names))]
	members[name] = w.odd(members[name])
	text, err := json.Marshal(members)
	if err == nil {
		text, err = receipt.Canonical(text)
	}
	return text, name, err == nil
}

// odd puts another value in the place of a JSON value, or of one within it.
func (w *world) odd(v any) any {
	switch x := v.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(x))
		if len(names) == 0 || w.rng.IntN(12) == 0 {
			break
		}
		name := names[w.rng.IntN(len(names))]
		if w.rng.IntN(20) == 0 {
			delete(x, name)
		} else {
			x[name] = w.odd(x[name])
		}
		return x
	case []any:
		if len(x) == 0 || w.rng.IntN(6) == 0 {
			break
		}
		switch i := w.rng.IntN(len(x)); w.rng.IntN(8) {
		case 0:
			return slices.Delete(x, i, i+1)
		case 1:
			return append(x, x[i])
		default:
			x[i] = w.odd(x[i])
			return x
		}
	}
	values := []any{
		nil, true, false, 0.0, -1.0, 1.0, 2.0, 0.5, 1e18, 9007199254740991.0, 1e300, "", "x", "success", "5%", "warn", "mean", "hold", "promote", "shadow", []any{}, map[string]any{},
	}
	return values[w.rng.IntN(len(values))]
}

// TestReplayOfImpossiblePolicies: nothing is recomputed under a policy that no
// rollout can have, though its digest is right, and a block of which somebody
// says that it has more runs than there can be takes no time.
func TestReplayOfImpossiblePolicies(t *testing.T) {
	h := newHouse(t)
	w := &world{house: h, rng: rand.New(rand.NewPCG(15, 16))}
	items := w.small(true)
	first := func(kind string) int {
		return slices.IndexFunc(items, func(i replay.Item) bool { return i.Receipt.Kind == kind })
	}
	with := func(at int, change func(body map[string]json.RawMessage)) []replay.Item {
		log := slices.Clone(items)
		var body map[string]json.RawMessage
		if err := json.Unmarshal(log[at].Receipt.Body, &body); err != nil {
			t.Fatal(err)
		}
		change(body)
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		log[at].Receipt.Body = text
		return log
	}
	both := newLogs(t)
	for member, values := range map[string][]string{
		"steps": {"[]", "[5]", "[-5,200]", "[100,50]"}, "gates": {"[]"}, "min_runs": {"0", "1000000000"}, "first_look": {"-5"}, "confidence": {"0", "1"},
		"error_budget": {"0", "2"}, "mode": {`"both"`, `""`}, "guarantee": {`"none"`}, "promote_on": {`"non_inferior"`}, "unit": {`"day"`}, "srm": {`""`}, "baseline": {`"x"`},
		"require_pairwise": {"false"}, "pairwise": {
			"null", "{}", `{"max_age":1,"min_pairs":0,"on":"hold"}`, `{"max_age":-1,"min_pairs":1,"on":"hold"}`, `{"max_age":1,"min_pairs":1,"on":"warn"}`,
			`{"max_age":1,"min_pairs":1.5,"on":"hold"}`, `{"judge":{},"max_age":1,"min_pairs":1,"on":"hold"}`, `{"judge":{"model":"a` + "\u0085" + `"},"max_age":1,"min_pairs":1,"on":"hold"}`,
			`{"judge":"x","max_age":1,"min_pairs":1,"on":"hold"}`, `{"judge":{"model":1},"max_age":1,"min_pairs":1,"on":"hold"}`, `{"max_age":4000000000,"min_pairs":1,"on":"hold"}`,
		},
	} {
		for _, value := range values {
			name := member + " " + value
			log := with(first(api.KindRolloutCreated), func(body map[string]json.RawMessage) {
				var policy map[string]json.RawMessage
				if err := json.Unmarshal(body["policy"], &policy); err != nil {
					t.Fatal(err)
				}
				policy[member] = json.RawMessage(value)
				text, err := json.Marshal(policy) // of which the names stand in order
				if err != nil {
					t.Fatal(err)
				}
				sum := sha256.Sum256(text)
				body["policy"], body["policy_digest"] = text, json.RawMessage(`"`+hex.EncodeToString(sum[:])+`"`)
			})
			both.keep(t, name, log)
			if checks := both.want[name]; len(checks) == 0 || slices.ContainsFunc(checks, func(c receipt.Check) bool { return c.Status == receipt.OK }) {
				t.Errorf("%s: %+v", name, checks)
			}
		}
	}
	both.keep(t, "a block without end", with(first(api.KindRolloutDecision), func(body map[string]json.RawMessage) {
		var evidence map[string]json.RawMessage
		if err := json.Unmarshal(body["evidence"], &evidence); err != nil {
			t.Fatal(err)
		}
		evidence["blocks"] = json.RawMessage(`[{"first_index":0,"last_index":9007199254740991,"number":1,"runs_digest":"","stratum":2}]`)
		text, err := json.Marshal(evidence)
		if err != nil {
			t.Fatal(err)
		}
		body["evidence"] = text
	}))
	both.agree(t)
}
