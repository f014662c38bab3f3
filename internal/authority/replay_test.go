package authority_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/replay"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/receipt"
	"github.com/cobound/prova/verifiers/python/pythontest"
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

// logs are those that both verifiers replay, by name.
type logs struct {
	dir   string
	names []string
	want  map[string][]receipt.Check
	// means names those of which the one in Python says that it does not make the test of a mean.
	means map[string]bool
}

func newLogs(t *testing.T) *logs {
	t.Helper()
	return &logs{dir: t.TempDir(), want: map[string][]receipt.Check{}, means: map[string]bool{}}
}

// keep adds a log and what the verifier in Go says of it.
func (l *logs) keep(t *testing.T, name string, items []replay.Item) {
	t.Helper()
	l.means[name] = slices.ContainsFunc(items, func(i replay.Item) bool {
		mean := strings.Contains(string(i.Receipt.Body), `"on":"rollback","statistic":"mean"`)
		return i.Receipt.Kind == api.KindRolloutCreated && mean && strings.Contains(string(i.Receipt.Body), `"guarantee":"rollout"`)
	})
	checks, err := replay.All(logOf(items))
	if err != nil {
		checks = []receipt.Check{{Check: replay.CheckReplay, Status: receipt.Undetermined, Detail: err.Error()}}
	}
	var text []byte
	for _, item := range items {
		raw := fmt.Appendf(nil, `{"body":%s,"key_id":"%s","signature":""}`, item.Receipt.Body, item.Receipt.KeyID)
		text = receipt.AppendLine(text, item.Index, raw)
	}
	if err := os.WriteFile(filepath.Join(l.dir, strconv.Itoa(len(l.names))), text, 0o600); err != nil {
		t.Fatal(err)
	}
	l.names, l.want[name] = append(l.names, name), checks
}

// agree lets the verifier in Python replay the logs, and wants the same of it.
func (l *logs) agree(t *testing.T) {
	t.Helper()
	var paths []string
	for i := range l.names {
		paths = append(paths, filepath.Join(l.dir, strconv.Itoa(i)))
	}
	for i, text := range pythontest.Replay(t, paths...) {
		var got []receipt.Check
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		name := l.names[i]
		want := l.want[name]
		if slices.ContainsFunc(got, func(c receipt.Check) bool { return strings.HasPrefix(c.Detail, "the replay failed") }) {
			t.Errorf("%s: %s", name, text)
		}
		if l.means[name] {
			ofMean := func(c receipt.Check) bool {
				return c.Status == receipt.Undetermined && strings.Contains(c.Detail, "mean")
			}
			if want[0].Status == receipt.OK && !slices.ContainsFunc(got, ofMean) {
				t.Errorf("%s: %s says nothing of the mean", name, text)
			}
			got = slices.DeleteFunc(got, ofMean)
			want = slices.DeleteFunc(slices.Clone(want), func(c receipt.Check) bool { return c.Status == receipt.OK })
		}
		if !slices.EqualFunc(got, want, sameCheck) {
			wanted, _ := json.Marshal(l.want[name])
			t.Errorf("%s:\nPython %s\nGo     %s", name, text, wanted)
		}
	}
}

// decided is the beginning of a log, up to so many decisions.
func decided(items []replay.Item, most int) []replay.Item {
	for i, item := range items {
		if item.Receipt.Kind == api.KindRolloutDecision {
			most--
		}
		if most == 0 {
			return items[:i+1]
		}
	}
	return items
}

// sameCheck compares all but the words.
func sameCheck(a, b receipt.Check) bool {
	place := func(c receipt.Check) int64 {
		if c.LogIndex == nil {
			return -1
		}
		return *c.LogIndex
	}
	return a.Check == b.Check && a.Status == b.Status && a.EventID == b.EventID && place(a) == place(b)
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
	// late are outcomes that were not sent yet.
	late []api.Event
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
	both := newLogs(t)
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
			request.Gates = gatesOf(t, c.gates...)
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
			most := 18 // decisions, since the one in Python is slow
			if request.Guarantee == api.GuaranteeLook {
				most = 4
			}
			both.keep(t, name, decided(h.replays(3), most))
		})
	}
	both.agree(t)
}

// oddEvents sends runs that lack metrics, or have odd ones, some of which become known later; of users, probes and models that repeat.
func (w *world) oddEvents(n int, weight float64) {
	w.t.Helper()
	var events []api.Event
	for range n {
		release, worse := "v36", 1.0
		if w.rng.Float64() < weight {
			release, worse = "v37", 1.2
		}
		w.n++
		e := event(release, w.rng.Float64() > 0.1*worse)
		e.RunID, e.ProbeID, e.UnitID = fmt.Sprintf("run-%d", w.n), fmt.Sprintf("probe-%d", w.rng.IntN(90)), fmt.Sprintf("user-%d", w.rng.IntN(2*w.n))
		e.Model = &api.EventModel{Name: "m", Version: strconv.Itoa(w.rng.IntN(2 + 2*int(worse/1.2)))}
		maps.Copy(e.Metrics, map[string]api.Metric{
			"flagged": api.Bool(w.rng.IntN(20) == 0), "score": api.Number(float64(w.rng.IntN(3)) / 2), "latency_ms": api.Number(1000 * worse * w.rng.ExpFloat64()),
			"never": api.Bool(false),
		})
		if release == "v36" {
			e.Metrics["helpful"] = api.Bool(true)
		}
		if release == "v36" || w.rng.IntN(2) == 0 {
			e.Metrics["graded"] = api.Bool(w.rng.IntN(9) > 0)
		}
		if w.rng.IntN(6) == 0 { // the outcome is known later, if at all
			late := api.Event{Kind: api.KindOutcome, Source: api.EventSource{AppID: "claims-agent"}, RunID: e.RunID, Metrics: map[string]api.Metric{"success": e.Metrics["success"]}}
			delete(e.Metrics, "success")
			w.late = append(w.late, late)
		}
		events = append(events, e)
		if len(w.late) > 10 {
			i := w.rng.IntN(len(w.late))
			events, w.late = append(events, w.late[i]), slices.Delete(w.late, i, i+1)
		}
	}
	w.record(events...)
}

// TestReplayOfManyPolicies plays shadows of many policies on the same runs,
// beside a canary that ends their epochs.
func TestReplayOfManyPolicies(t *testing.T) {
	h := newHouse(t)
	w := &world{house: h, rng: rand.New(rand.NewPCG(9, 10))}
	w.oddEvents(150, 0)
	request := canary("v36", "v37")
	request.Gates = gatesOf(t, "success", "latency_ms:p95:on=warn")
	main := h.create(request).ID
	var ids []string
	for _, c := range []struct {
		gates  string
		change func(*api.CreateRollout)
	}{
		{"success:margin=0.02", func(r *api.CreateRollout) { r.Baseline = api.BaselineConcurrent }},
		{"success:margin=5% flagged:margin=20%:on=hold", func(*api.CreateRollout) {}},
		{"score:rate:better=higher:on=hold success", func(*api.CreateRollout) {}},
		{"helpful:rate:better=higher success", func(r *api.CreateRollout) { r.Labels = map[string]string{"a": "b"} }},
		{"graded:rate:better=higher never:rate:better=lower", func(r *api.CreateRollout) { r.MinRuns = ptr(int64(10)) }},
		{"latency_ms:p99:margin=50 score:p50:margin=10%", func(r *api.CreateRollout) { r.Baseline = api.BaselineConcurrent }},
		{"latency_ms:p50:margin=1%:on=hold success:on=warn", func(r *api.CreateRollout) { r.Confidence = ptr(0.9) }},
		{"success latency_ms:p90", func(r *api.CreateRollout) { r.Guarantee = api.GuaranteeLook }},
		{"success:pair=probe:margin=0.05", func(*api.CreateRollout) {}},
		{"flagged:pair=probe success", func(r *api.CreateRollout) { r.RequirePairwise = true }},
		{"success flagged", func(r *api.CreateRollout) {
			r.MinRuns, r.FirstLook, r.Steps, r.ErrorBudget = ptr(int64(5)), ptr(int64(1)), []int{50, 100}, ptr(0.2)
		}},
		{"flagged success", func(r *api.CreateRollout) {
			r.Unit, r.PromoteOn, r.PromoteMargin = api.UnitUnit, api.PromoteNonInferior, ptr(0.1)
		}},
		{"success:margin=0.3 latency_ms:p95:margin=2000%", func(r *api.CreateRollout) { r.MinRuns = ptr(int64(300)) }},
	} {
		r := canary("v36", "v37")
		r.Mode, r.Gates = api.ModeShadow, gatesOf(t, strings.Fields(c.gates)...)
		c.change(&r)
		ids = append(ids, h.create(r).ID)
	}
	for i := range 11 {
		w.oddEvents(50, []float64{0.2, 0.2, 0.5, 0.9, 1}[i%5])
		h.clock.pass(time.Duration(w.rng.IntN(8)) * time.Hour)
		if i%3 == 0 {
			_, _ = h.Evaluate(h.ctx, h.owner, main)
		}
		if i == 8 {
			_, _ = h.PromoteStep(h.ctx, h.owner, main, "enough")
		}
		for j, id := range ids {
			if (i+j)%2 == 0 {
				h.tick(id)
			}
		}
	}
	both := newLogs(t)
	items := h.replays(50)
	both.keep(t, "as it was", items)
	for i := range 2 { // one run the other way round, early and later
		changed := slices.Clone(items)
		at := len(items)/3*(i+1) + slices.IndexFunc(items[len(items)/3*(i+1):], func(i replay.Item) bool {
			return strings.Contains(string(i.Receipt.Body), `"success":true`) && i.Receipt.Source.Release == "v37"
		})
		changed[at].Receipt.Body = []byte(strings.Replace(string(changed[at].Receipt.Body), `"success":true`, `"success":false`, 1))
		both.keep(t, fmt.Sprintf("changed at %d", at), changed)
		if i == 0 {
			both.keep(t, fmt.Sprintf("removed at %d", at), slices.Delete(slices.Clone(items), at, at+1))
		}
	}
	both.agree(t)
}

func gatesOf(t testing.TB, texts ...string) (gates []api.Gate) {
	t.Helper()
	for _, text := range texts {
		g, err := api.ParseGate(text)
		if err != nil {
			t.Fatal(err)
		}
		gates = append(gates, g)
	}
	return gates
}

// TestReplayNamesWhatDiffers: a run that is changed, removed or added is named.
func TestReplayNamesWhatDiffers(t *testing.T) {
	h := newHouse(t)
	w := &world{house: h, rng: rand.New(rand.NewPCG(3, 4))}
	w.events(200, 0, 1)
	request := canary("v36", "v37")
	request.Gates = gatesOf(t, "success", "latency_ms:p95:on=warn")
	r := h.create(request)
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
	both := newLogs(t)
	both.keep(t, "as it was", items)
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
		both.keep(t, name, c.log)
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
	both.agree(t)
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
	request.Gates = gatesOf(t, "success", "latency_ms:p95:on=warn")
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
	both := newLogs(t)
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
		both.keep(t, name, c.log)
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
	both.keep(t, "as it was", items)
	both.keep(t, "a log that begins later", items[history.FirstIndex:])
	both.agree(t)
}

// TestReplayThatCannotBeMade is undetermined, never verified.
func TestReplayThatCannotBeMade(t *testing.T) {
	h := newHouse(t)
	w := &world{house: h, rng: rand.New(rand.NewPCG(5, 6))}
	request := canary("v36", "v37")
	request.Gates = gatesOf(t, "success")
	r := h.create(request)
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
	both := newLogs(t)
	for name, log := range map[string][]replay.Item{
		"without its beginning": slices.Delete(slices.Clone(items), created, created+1),
		"of another engine":     otherEngine,
		"without a decision":    items[:created],
		"empty":                 nil,
	} {
		both.keep(t, name, log)
		checks, err := replay.All(logOf(log))
		if err != nil || len(checks) != 1 || checks[0].Status != receipt.Undetermined {
			t.Errorf("%s: %+v, %v", name, checks, err)
		}
	}
	both.agree(t)
}
