package authority_test

import (
	"encoding/json"
	"errors"
	"fmt"
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

func theJudge() api.Judge { return api.Judge{Model: "judge-1", Version: "2026-11", Template: "t1"} }

// judgment is one on the probe of a number, as a judge of one's own would post it.
func judgment(probe int, verdict api.Preference) api.Judgment {
	return api.Judgment{
		AppID: "claims-agent", BaselineRelease: "v36", CandidateRelease: "v37", ProbeID: fmt.Sprintf("p%d", probe), Judge: theJudge(), Verdict: verdict,
		BaselineChars: ptr(int64(100 + probe%3)), CandidateChars: ptr(int64(101)),
	}
}

// judged posts judgments and wants each to be recorded.
func (h *house) judged(judgments ...api.Judgment) {
	h.t.Helper()
	for i, r := range h.judge(judgments...) {
		if r.Status != api.IngestCreated {
			h.t.Fatalf("judgment %d: %s %v", i, r.Status, r.Problem)
		}
	}
}

func (h *house) judge(judgments ...api.Judgment) []api.IngestResult {
	h.t.Helper()
	batch := make([]authority.JudgmentSubmission, len(judgments))
	for i, j := range judgments {
		batch[i].Judgment = j
	}
	results, err := h.RecordJudgments(h.ctx, h.owner, batch)
	if err != nil {
		h.t.Fatal(err)
	}
	return results
}

func pairwise(minPairs int64) api.CreateRollout {
	r := canary("v36", "v37")
	r.RequirePairwise, r.Pairwise = true, &api.CreatePairwise{MinPairs: &minPairs}
	return r
}

// TestJudgedRollout: the tick reads what was recorded, each pair once, and the
// decision is recomputed without a judge.
func TestJudgedRollout(t *testing.T) {
	h := newHouse(t)
	w := &world{house: h, rng: rand.New(rand.NewPCG(11, 12))}
	w.events(100, 0, 1)
	h.judged(judgment(0, api.PreferBaseline), judgment(1, api.PreferBaseline)) // before the rollout: no evidence of it
	id := h.create(pairwise(10)).ID
	holds := func(code string) api.Tick {
		t.Helper()
		tick := h.tick(id)
		if tick.Decision.Decision != api.Hold || tick.Decision.Reason.Code != code {
			t.Fatalf("%s %s, want hold %s: %s", tick.Decision.Decision, tick.Decision.Reason.Code, code, tick.Decision.Reason.Text)
		}
		return tick
	}
	w.events(800, 0.05, 1)
	holds(rollout.ReasonPairwiseMissing)
	other := judgment(3, api.PreferCandidate)
	other.Judge.Model = "judge-2"
	for i := range 12 {
		h.judged(judgment(i, []api.Preference{api.PreferCandidate, api.PreferBaseline, api.PreferTie}[i%3]))
	}
	h.judged(other, judgment(0, api.PreferBaseline), judgment(12, api.PreferNone)) // another judge, a pair that was judged, and nothing
	tick := holds(rollout.ReasonPairwiseTooFew)
	p := tick.Verdict.Pairwise
	if f := p.Figures; f.Wins != 4 || f.Losses != 4 || f.Ties != 4 || f.Repeats != 1 || f.NoVerdict != 1 || p.OtherJudge != 1 || p.Calibration != nil || tick.Verdict.Verdict != api.Insufficient {
		t.Errorf("%+v of others %d, verdict %s", f, p.OtherJudge, tick.Verdict.Verdict)
	}
	if !strings.Contains(tick.Decision.Reason.Text, "prova judge run --rollout "+id) {
		t.Errorf("the reason does not say what to run: %s", tick.Decision.Reason.Text)
	}
	h.judged(judgment(12, api.PreferCandidate), judgment(13, api.PreferCandidate), judgment(14, api.PreferTie))
	if _, err := h.RecordCalibration(h.ctx, h.owner, calibration()); err != nil {
		t.Fatal(err)
	}
	h.clock.pass(8 * 24 * time.Hour)
	if c := holds(rollout.ReasonPairwiseStale).Verdict.Pairwise.Calibration; c == nil || c.EventID == "" || *c.Kappa != 7.0/11 {
		t.Errorf("the calibration is %+v", c)
	}
	h.judged(judgment(15, api.PreferCandidate))
	if tick := h.tick(id); tick.Decision.Decision != api.Promote {
		t.Fatalf("%s: %s", tick.Decision.Decision, tick.Decision.Reason.Text)
	}
	for i := range 40 {
		h.judged(judgment(100+i, api.PreferBaseline))
	}
	last := h.tick(id)
	if last.Decision.Decision != api.Rollback || last.Decision.Reason.Code != rollout.ReasonPairwiseRegressed || last.Verdict.Pairwise.AtLook.Hi >= 0.5 {
		t.Fatalf("%s: %s, %+v", last.Decision.Decision, last.Decision.Reason.Text, last.Verdict.Pairwise.AtLook)
	}
	for name, c := range map[string]struct {
		of   authority.Judged
		want int
	}{
		"of the rollout": {authority.Judged{RolloutID: id}, 59},
		"of both":        {authority.Judged{AppID: "claims-agent", Baseline: "v36", Candidate: "v37"}, 61},
	} {
		list, err := h.Judgments(h.ctx, h.owner, c.of, "", 100)
		if err != nil || len(list.Judgments) != c.want {
			t.Errorf("%s: %d judgments, want %d, %v", name, len(list.Judgments), c.want, err)
		}
	}
	items := h.replays(5)
	both := newLogs(t)
	both.keep(t, "as it was", items)
	read := slices.IndexFunc(items, func(i replay.Item) bool { return i.Receipt.Kind == api.KindJudgment && i.Receipt.ProbeID == "p4" })
	for name, edit := range map[string]func([]replay.Item) []replay.Item{
		"a judgment removed": func(l []replay.Item) []replay.Item { return slices.Delete(l, read, read+1) },
		"a judgment changed": func(l []replay.Item) []replay.Item {
			l[read].Receipt.Body = []byte(strings.Replace(string(l[read].Receipt.Body), `"verdict":"baseline"`, `"verdict":"candidate"`, 1))
			return l
		},
		"a judgment added": func(l []replay.Item) []replay.Item { return slices.Insert(l, read, l[read]) },
	} {
		edited := edit(slices.Clone(items))
		both.keep(t, name, edited)
		report, err := replay.Rollouts(logOf(edited), "claims-agent", api.DefaultEnvironment)
		if err != nil || len(report.Findings) == 0 {
			t.Errorf("%s: %d decisions are verified, %v", name, report.Decisions, err)
		}
	}
	both.agree(t)
}

func calibration() api.Calibration {
	return api.Calibration{
		AppID: "claims-agent", Judge: theJudge(), Labels: 5, Compared: 4, Agreement: api.Share{X: 3, N: 4}, Kappa: ptr(0.5),
		Confusion: [3][3]int64{{1, 1, 0}, {0, 1, 0}, {0, 0, 1}},
	}
}

// TestCalibrationsAreChecked: a calibration that contradicts itself is refused.
func TestCalibrationsAreChecked(t *testing.T) {
	h := newHouse(t)
	for pointer, change := range map[string]func(*api.Calibration){
		"/app_id":         func(c *api.Calibration) { c.AppID = "" },
		"/judge/model":    func(c *api.Calibration) { c.Judge.Model = "" },
		"/judge/template": func(c *api.Calibration) { c.Judge.Template = "\x00" },
		"/compared":       func(c *api.Calibration) { c.Labels = 3 },
		"/confusion":      func(c *api.Calibration) { c.Confusion[0][0] = 2 },
		"/retest":         func(c *api.Calibration) { c.Retest = api.Share{X: 2, N: 1} },
	} {
		c := calibration()
		change(&c)
		_, err := h.RecordCalibration(h.ctx, h.owner, c)
		if refused, ok := errors.AsType[*authority.Error](err); !ok || len(refused.Fields) != 1 || refused.Fields[0].Pointer != pointer {
			t.Errorf("%s: %v", pointer, err)
		}
	}
}

// TestCalibrationsFollowFromCounts: a share that claims more than its counts is signed as these say.
func TestCalibrationsFollowFromCounts(t *testing.T) {
	h := newHouse(t)
	c := calibration()
	c.Agreement.Value, c.Agreement.Lo, c.Retest.Value = ptr(0.99), ptr(0.98), ptr(1.0)
	got, err := h.RecordCalibration(h.ctx, h.owner, c)
	if err != nil {
		t.Fatal(err)
	}
	items := h.log()
	body := string(items[len(items)-1].Receipt.Body)
	if a := got.Agreement; *a.Value != 0.75 || !(*a.Lo < 0.75) || got.Retest.Value != nil || strings.Contains(body, "0.99") || !strings.Contains(body, `"value":0.75,"x":3}`) {
		t.Errorf("%+v: %s", got, body)
	}
}

// TestJudgmentsAreReceipts: what was said in each order, commitments to both
// outputs and to the judge's own words, which can be erased.
func TestJudgmentsAreReceipts(t *testing.T) {
	h := newHouse(t)
	run := func(release, output string) string {
		e := event(release, true)
		e.ProbeID, e.Payload = "p1", map[string]json.RawMessage{"input": json.RawMessage(`"2+2?"`), "output": json.RawMessage(output)}
		results := h.record(e)
		r, err := receipt.Parse(results[0].Receipt)
		if err != nil {
			t.Fatal(err)
		}
		return r.EventID
	}
	j := judgment(1, "")
	j.BaselineEventID, j.CandidateEventID = run("v36", `"4"`), run("v37", `"four"`)
	j.Answers = []api.JudgeAnswer{{First: api.PreferBaseline, Verdict: api.PositionFirst, Reason: "shorter <b>"}, {First: api.PreferCandidate, Verdict: api.PositionFirst}}
	j.IdempotencyKey = "once"
	first, again := h.judge(j)[0], h.judge(j)[0]
	if first.Status != api.IngestCreated || again.Status != api.IngestDuplicate || string(first.Receipt) != string(again.Receipt) {
		t.Fatalf("%s %v, again %s", first.Status, first.Problem, again.Status)
	}
	changed := j
	changed.Answers = slices.Clone(j.Answers)
	changed.Answers[0].Reason = "longer"
	if r := h.judge(changed)[0]; r.Status != api.IngestRefused || r.Problem.Status != 409 {
		t.Errorf("another body under the key: %s %v", r.Status, r.Problem)
	}
	text := string(first.Receipt)
	for _, want := range []string{`"verdict":"tie"`, `"payload_commitments":{"answer_1":"`, `"runs":{"baseline":{"event_id":"` + j.BaselineEventID, `"output":"`, `"kind":"pairwise_judgment"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the receipt lacks %s: %s", want, text)
		}
	}
	if strings.Contains(text, "shorter") || strings.Contains(text, "four") {
		t.Errorf("a text stands in the receipt: %s", text)
	}
	list, err := h.Judgments(h.ctx, h.owner, authority.Judged{AppID: "claims-agent", Baseline: "v36", Candidate: "v37"}, "", 10)
	if err != nil || len(list.Judgments) != 1 || list.Judgments[0].Answers[0].Reason != "shorter <b>" || list.Judges[0].Figures.FirstTwice != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	if _, err := h.Erase(h.ctx, h.owner, list.Judgments[0].EventID, api.Erase{Ground: "asked to"}); err != nil {
		t.Fatal(err)
	}
	if list, err = h.Judgments(h.ctx, h.owner, authority.Judged{AppID: "claims-agent", Baseline: "v36", Candidate: "v37"}, "", 10); err != nil || list.Judgments[0].Answers[0].Reason != "" {
		t.Errorf("after erasing: %+v, %v", list.Judgments, err)
	}
}

// TestJudgmentsAreChecked: each fault is refused alone, and named.
func TestJudgmentsAreChecked(t *testing.T) {
	h := newHouse(t)
	foreign := event("v36", true)
	foreign.ProbeID = "another"
	r, err := receipt.Parse(h.record(foreign)[0].Receipt)
	if err != nil {
		t.Fatal(err)
	}
	for pointer, changes := range map[string][]func(*api.Judgment){
		"/app_id":            {func(j *api.Judgment) { j.AppID = "" }},
		"/probe_id":          {func(j *api.Judgment) { j.ProbeID = "" }},
		"/judge/model":       {func(j *api.Judgment) { j.Judge.Model = "" }},
		"/candidate_release": {func(j *api.Judgment) { j.CandidateRelease = "v36" }},
		"/verdict": {
			func(j *api.Judgment) { j.Verdict = "" }, func(j *api.Judgment) { j.Verdict = "v37" },
			func(j *api.Judgment) {
				j.Answers = []api.JudgeAnswer{{First: api.PreferBaseline, Verdict: api.PositionFirst}}
				j.Verdict = api.PreferCandidate
			},
		},
		"/answers":           {func(j *api.Judgment) { j.Answers = make([]api.JudgeAnswer, 3) }},
		"/answers/0/first":   {func(j *api.Judgment) { j.Answers = []api.JudgeAnswer{{First: api.PreferTie, Verdict: api.PositionTie}} }},
		"/answers/0/verdict": {func(j *api.Judgment) { j.Answers = []api.JudgeAnswer{{First: api.PreferBaseline, Verdict: "third"}} }},
		"/answers/1/first": {func(j *api.Judgment) {
			j.Answers = []api.JudgeAnswer{{First: api.PreferBaseline, Verdict: api.PositionTie}, {First: api.PreferBaseline, Verdict: api.PositionTie}}
		}},
		"/answers/0/reason": {func(j *api.Judgment) {
			j.Answers = []api.JudgeAnswer{{First: api.PreferBaseline, Verdict: api.PositionFirst, Reason: strings.Repeat("x", api.MaxReason+1)}}
		}},
		"/baseline_chars": {func(j *api.Judgment) { j.BaselineChars = ptr(int64(-1)) }},
		"/occurred_at":    {func(j *api.Judgment) { j.OccurredAt = "yesterday" }},
		"/baseline_event_id": {
			func(j *api.Judgment) { j.BaselineEventID, j.CandidateEventID = "evt_nobody", "evt_nobody" },
			func(j *api.Judgment) { j.BaselineEventID, j.CandidateEventID = r.EventID, r.EventID },
		},
	} {
		for i, change := range changes {
			bad := judgment(1, api.PreferTie)
			change(&bad)
			results := h.judge(bad, judgment(2, api.PreferTie))
			if p := results[0].Problem; p == nil || len(p.Errors) != 1 || p.Errors[0].Pointer != pointer {
				t.Errorf("%s %d: %+v", pointer, i, p)
			}
			if results[1].Status != api.IngestCreated {
				t.Errorf("%s %d: the other is %s", pointer, i, results[1].Status)
			}
		}
	}
}

// TestPairs: the first run of each release on a probe, and what could not be paired, by why.
func TestPairsToJudge(t *testing.T) {
	h := newHouse(t)
	run := func(release, probe, input, output string) {
		e := event(release, true)
		e.ProbeID, e.Payload = probe, map[string]json.RawMessage{}
		if input != "" {
			e.Payload["input"] = json.RawMessage(input)
		}
		if output != "" {
			e.Payload["output"] = json.RawMessage(output)
		}
		h.record(e)
	}
	run("v36", "a", `"q"`, `"first"`)
	run("v36", "a", `"q"`, `"second"`)
	run("v37", "a", `"q"`, `{"b":1,"a":2}`)
	run("v37", "b", `"q"`, `"x"`)
	run("v36", "c", `"q"`, `"x"`)
	run("v36", "d", `"q"`, ``)
	run("v37", "d", `"q"`, `"x"`)
	run("v36", "e", `"q"`, `"x"`)
	run("v37", "e", `"other"`, `"x"`)
	run("v36", "f", ``, `"x"`)
	run("v37", "f", `"q"`, `"y"`)
	run("v35", "f", `"q"`, `"y"`)
	h.judged(judgment(7, api.PreferTie), func() api.Judgment { j := judgment(1, api.PreferTie); j.ProbeID = "f"; return j }())
	q := authority.Judged{AppID: "claims-agent", Baseline: "v36", Candidate: "v37"}
	var pairs []api.Pair
	var lost api.Unpaired
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		list, err := h.Pairs(h.ctx, h.owner, q, theJudge(), cursor, 2)
		if err != nil || pages > 3 {
			t.Fatal(err)
		}
		pairs, cursor = append(pairs, list.Pairs...), list.NextCursor
		u := list.Unpaired
		lost.BaselineOnly += u.BaselineOnly
		lost.CandidateOnly += u.CandidateOnly
		lost.NoOutput += u.NoOutput
		lost.InputsDiffer += u.InputsDiffer
	}
	if want := (api.Unpaired{BaselineOnly: 1, CandidateOnly: 1, NoOutput: 1, InputsDiffer: 1}); lost != want {
		t.Errorf("unpaired: %+v", lost)
	}
	if len(pairs) != 2 || pairs[0].ProbeID != "a" || string(pairs[0].Baseline.Output) != `"first"` || string(pairs[0].Candidate.Output) != `{"a":2,"b":1}` ||
		string(pairs[0].Input) != `"q"` || pairs[0].Judged || !pairs[1].Judged || string(pairs[1].Input) != `"q"` {
		t.Errorf("%+v", pairs)
	}
}
