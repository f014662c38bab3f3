package authority_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/replay"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/receipt"
)

// log reads every receipt of the org back.
func (h *house) log() []replay.Item {
	h.t.Helper()
	var items []replay.Item
	err := h.Store.View(context.Background(), h.owner.Org, func(s authority.Snapshot) error {
		entries, err := s.Entries(authority.EntryFilter{}, 1_000_000)
		for _, e := range entries {
			r, err := receipt.Parse(e.Raw)
			if err != nil {
				return err
			}
			items = append(items, replay.Item{Index: e.Index, Receipt: r})
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return items
}

func logOf(items []replay.Item) replay.Log {
	return func() iter.Seq2[replay.Item, error] {
		return func(yield func(replay.Item, error) bool) {
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

// replays holds that every decision follows from the log.
func (h *house) replays(least int64) []replay.Item {
	h.t.Helper()
	items := h.log()
	checks, err := replay.All(logOf(items))
	if err != nil || len(checks) != 1 || checks[0].Status != receipt.OK {
		h.t.Errorf("%+v, %v", checks, err)
	}
	report, err := replay.Rollouts(logOf(items), "claims-agent", api.DefaultEnvironment)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range report.Findings {
		h.t.Errorf("index %d, %s: %s\n  expected %s\n  found    %s", f.Index, f.What, f.Detail, f.Expected, f.Found)
	}
	if report.Decisions < least || report.Skipped > 0 {
		h.t.Errorf("%d decisions replayed, %d skipped; want at least %d", report.Decisions, report.Skipped, least)
	}
	return items
}

// world sends runs of two releases in batches of any size, with outcomes, probes and users.
type world struct {
	*house
	rng *rand.Rand
	n   int
}

func (w *world) events(n int, weight, worse float64) {
	w.t.Helper()
	for n > 0 {
		batch := min(n, 1+w.rng.IntN(40))
		n -= batch
		var events []api.Event
		for range batch {
			release, factor := "v36", 1.0
			if w.rng.Float64() < weight {
				release, factor = "v37", worse
			}
			w.n++
			e := event(release, w.rng.Float64() > 0.1*factor)
			e.RunID, e.ProbeID = fmt.Sprintf("run-%d", w.n), fmt.Sprintf("probe-%d", w.rng.IntN(60))
			e.Metrics["latency_ms"] = api.Number(float64(int(800 * factor * (0.5 + w.rng.ExpFloat64()))))
			e.Metrics["cost_usd"] = api.Number(float64(w.rng.IntN(1000)) / 1e5)
			events = append(events, e)
			if w.rng.IntN(4) == 0 {
				events = append(events, api.Event{
					Kind: api.KindOutcome, Source: api.EventSource{AppID: "claims-agent"}, RunID: fmt.Sprintf("run-%d", 1+w.rng.IntN(w.n)),
					Metrics: map[string]api.Metric{"reopened": api.Bool(w.rng.IntN(9) == 0)},
				})
			}
		}
		w.record(events...) // an outcome that repeats a metric is refused, and is in no log
	}
}

// TestReplay plays worlds of every kind of gate, operators and attempts, and
// recomputes each decision from the receipts alone.
func TestReplay(t *testing.T) {
	for name, c := range map[string]struct {
		gates   []string
		request func(*api.CreateRollout)
		worse   float64
	}{
		"rates":          {gates: []string{"success", "reopened:rate:better=lower:on=hold"}, worse: 1},
		"a bad release":  {gates: []string{"success"}, worse: 5},
		"all kinds":      {gates: []string{"success", "latency_ms:p50:margin=10%", "cost_usd:mean", "success:pair=probe:on=hold"}, worse: 1.1},
		"a shadow":       {gates: []string{"success", "latency_ms:p95"}, worse: 1, request: func(r *api.CreateRollout) { r.Mode = api.ModeShadow }},
		"each look":      {gates: []string{"success", "latency_ms:mean"}, worse: 1, request: func(r *api.CreateRollout) { r.Guarantee = api.GuaranteeLook }},
		"counting users": {gates: []string{"success"}, worse: 1, request: func(r *api.CreateRollout) { r.Unit = api.UnitUnit }},
		"no harm shown": {gates: []string{"success"}, worse: 1, request: func(r *api.CreateRollout) {
			margin := 0.2
			r.PromoteOn, r.PromoteMargin, r.SRM = api.PromoteNonInferior, &margin, api.SRMHold
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			w := &world{house: h, rng: rand.New(rand.NewPCG(1, uint64(len(name))))}
			w.events(120, 0, 1) // a history
			request := canary("v36", "v37")
			request.Gates = nil
			for _, text := range c.gates {
				g, err := api.ParseGate(text)
				if err != nil {
					t.Fatal(err)
				}
				request.Gates = append(request.Gates, g)
			}
			if c.request != nil {
				c.request(&request)
			}
			r := h.create(request)
			for i := range 24 {
				weight := 0.2
				if i > 16 {
					weight = 1 // the baseline has stopped
				}
				w.events(20+w.rng.IntN(60), weight, c.worse)
				h.clock.pass(time.Duration(w.rng.IntN(100)) * time.Minute)
				switch {
				case i == 5:
					_, _ = h.Pause(h.ctx, h.owner, r.ID, "lunch")
				case i == 7:
					_, _ = h.Resume(h.ctx, h.owner, r.ID, "back")
				case i == 9:
					_, _ = h.PromoteStep(h.ctx, h.owner, r.ID, "I have seen enough")
				case i == 11 && c.worse == 1:
					if _, err := h.Abort(h.ctx, h.owner, r.ID, "wrong day"); err == nil {
						r = h.create(request)
					}
				}
				if _, err := h.Evaluate(h.ctx, h.owner, r.ID); err != nil {
					t.Fatal(err)
				}
			}
			h.replays(3)
		})
	}
}

// TestReplayNamesWhatDiffers: a run that is changed, removed or added is named.
func TestReplayNamesWhatDiffers(t *testing.T) {
	h := newHouse(t)
	w := &world{house: h, rng: rand.New(rand.NewPCG(3, 4))}
	w.events(200, 0, 1)
	r := h.create(canary("v36", "v37"))
	for range 6 {
		w.events(100, 0.2, 1)
		h.tick(r.ID)
	}
	items := h.replays(3)
	candidate := slices.IndexFunc(items, func(i replay.Item) bool {
		return i.Receipt.Kind == api.KindAgentRun && i.Receipt.Source.Release == "v37"
	})
	past := slices.IndexFunc(items, func(i replay.Item) bool { return i.Receipt.Kind == api.KindAgentRun })
	edit := func(at int, from, to string) []replay.Item {
		out := slices.Clone(items)
		out[at].Receipt.Body = []byte(strings.Replace(string(out[at].Receipt.Body), from, to, 1))
		if string(out[at].Receipt.Body) == string(items[at].Receipt.Body) {
			t.Fatalf("%q is not in %s", from, items[at].Receipt.Body)
		}
		return out
	}
	decisions := func(from, to string) []replay.Item {
		for at := len(items) - 1; ; at-- {
			if strings.Contains(string(items[at].Receipt.Body), from) && items[at].Receipt.Kind == api.KindRolloutDecision {
				return edit(at, from, to)
			}
		}
	}
	double := slices.Insert(slices.Clone(items), candidate, items[candidate])
	for name, c := range map[string]struct {
		log  []replay.Item
		what string
		says string
	}{
		"a run removed":            {slices.Delete(slices.Clone(items), candidate, candidate+1), "block", fmt.Sprintf("run at log index %d", items[candidate].Index)},
		"a run added":              {double, "block", "are not those that were signed"},
		"a run's outcome":          {edit(candidate, `"success":true`, `"success":false`), "stratum", "add up to something else"},
		"a run of the past":        {edit(past, `"success":true`, `"success":false`), "history", "the baseline's history"},
		"the weight":               {decisions(`"weight":`, `"weight":1`), "weight", "recomputed"},
		"the seed":                 {decisions(`"seed":"rol_`, `"seed":"rol_x`), "ledger", ""},
		"the reason":               {decisions(`"reason":{"code":"`, `"reason":{"code":"x`), "reason", "recomputed"},
		"what the tick saw":        {decisions(`"log_size":`, `"log_size":9`), "log_size", "had not come so far"},
		"something that it is not": {decisions(`"decision":`, `"also":1,"decision":`), "also", "recomputed"},
	} {
		report, err := replay.Rollouts(logOf(c.log), "claims-agent", api.DefaultEnvironment)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(report.Findings) == 0 {
			t.Errorf("%s: %d decisions are verified", name, report.Decisions)
			continue
		}
		if f := report.Findings[0]; f.What != c.what || !strings.Contains(f.Detail, c.says) {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// TestReplayOfBeginnings: what a rollout's beginning says of earlier attempts
// and of its history is recomputed too, though nothing later depends on it.
func TestReplayOfBeginnings(t *testing.T) {
	h := newHouse(t)
	w := &world{house: h, rng: rand.New(rand.NewPCG(7, 8))}
	w.events(60, 0, 1)
	h.clock.pass(31 * 24 * time.Hour)
	w.events(200, 0, 1)
	request := canary("v36", "v37")
	begin := func(ends func(id string)) {
		t.Helper()
		r := h.create(request)
		w.events(100, 0.3, 1)
		h.tick(r.ID)
		ends(r.ID)
	}
	abort := func(id string) {
		if _, err := h.Abort(h.ctx, h.owner, id, "wrong day"); err != nil {
			t.Fatal(err)
		}
	}
	begin(abort)
	begin(abort) // continues
	minRuns := int64(40)
	request.MinRuns, request.AttemptReason = &minRuns, "a longer look"
	begin(abort) // a second attempt
	begin(func(string) {})
	items := h.replays(4)
	var begun []int
	for i, item := range items {
		if item.Receipt.Kind == api.KindRolloutCreated {
			begun = append(begun, i)
		}
	}
	edit := func(at int, from, to string) []replay.Item {
		out := slices.Clone(items)
		out[at].Receipt.Body = []byte(strings.Replace(string(out[at].Receipt.Body), from, to, 1))
		if string(out[at].Receipt.Body) == string(items[at].Receipt.Body) {
			t.Fatalf("%q is not in %s", from, items[at].Receipt.Body)
		}
		return out
	}
	first, second := begun[0], begun[2]
	idOf := func(at int) string { return items[at].Receipt.Stream.ID }
	var body struct {
		History rollout.HistoryRef `json:"history"`
	}
	if err := json.Unmarshal(items[first].Receipt.Body, &body); err != nil {
		t.Fatal(err)
	}
	history := body.History
	if history.Runs != 200 {
		t.Fatalf("the history has %d runs, want the 200 of the last 30 days", history.Runs)
	}
	for name, c := range map[string]struct {
		log  []replay.Item
		what string
	}{
		"a first attempt that says it is the second":    {edit(first, `"attempt":1`, `"attempt":2`), "attempt"},
		"a second that says it is the first":            {edit(second, `"attempt":2`, `"attempt":1`), "attempt"},
		"a budget spent before that is forgotten":       {edit(second, `"spent_before":0.05`, `"spent_before":0`), "spent_before"},
		"a continuation that says it is a beginning":    {edit(begun[1], `"continues":"`+idOf(first)+`",`, ""), "continues"},
		"a second attempt that says it continues":       {edit(second, `"engine":`, `"continues":"`+idOf(begun[1])+`","engine":`), "continues"},
		"evidence from another epoch":                   {edit(second, `"first_epoch":`, `"first_epoch":1`), "first_epoch"},
		"no history, though there is one":               {edit(first, fmt.Sprintf(`"runs":%d`, history.Runs), `"runs":0`), "history"},
		"a continuation from another history":           {edit(begun[1], `"first_index":`, `"first_index":1`), "history"},
		"another policy than the one that it continues": {edit(begun[1], `"policy_digest":"`, `"policy_digest":"0`), "policy_digest"},
	} {
		report, err := replay.Rollouts(logOf(c.log), "claims-agent", api.DefaultEnvironment)
		if err != nil || len(report.Findings) == 0 {
			t.Errorf("%s: %d decisions are verified, %v", name, report.Decisions, err)
			continue
		}
		if f := report.Findings[0]; f.What != c.what {
			t.Errorf("%s: %+v", name, f)
		}
	}
	// What came before the evidence it cannot know, and takes as signed.
	later := logOf(items[history.FirstIndex:])
	if report, err := replay.Rollouts(later, "claims-agent", api.DefaultEnvironment); err != nil || len(report.Findings) > 0 || report.Decisions < 4 {
		t.Errorf("a log that begins later: %+v, %v", report, err)
	}
}

// TestReplayThatCannotBeMade is undetermined, never verified.
func TestReplayThatCannotBeMade(t *testing.T) {
	h := newHouse(t)
	w := &world{house: h, rng: rand.New(rand.NewPCG(5, 6))}
	r := h.create(canary("v36", "v37"))
	for range 4 {
		w.events(100, 0.2, 1)
		h.tick(r.ID)
	}
	items := h.replays(2)
	created := slices.IndexFunc(items, func(i replay.Item) bool { return i.Receipt.Kind == api.KindRolloutCreated })
	otherEngine := slices.Clone(items)
	for i, item := range otherEngine {
		if item.Receipt.Kind == api.KindRolloutDecision {
			otherEngine[i].Receipt.Body = []byte(strings.ReplaceAll(string(item.Receipt.Body), api.Engine, "prova-engine/0"))
		}
	}
	for name, log := range map[string][]replay.Item{
		"without its beginning": slices.Delete(slices.Clone(items), created, created+1),
		"of another engine":     otherEngine,
		"without a decision":    items[:created],
		"empty":                 nil,
	} {
		checks, err := replay.All(logOf(log))
		if err != nil || len(checks) != 1 || checks[0].Status != receipt.Undetermined {
			t.Errorf("%s: %+v, %v", name, checks, err)
		}
	}
}
