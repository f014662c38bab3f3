package authority_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/replay"
)

// judges say different things of the same pairs, in one order or both.
type judges struct {
	*house
	rng *rand.Rand
}

// post records judgments of n probes by a judge that takes the candidate's side in a share of them.
func (j judges) post(who api.Judge, from, n int, wins float64) {
	j.t.Helper()
	batch := make([]api.Judgment, n)
	for i := range batch {
		prefers := api.PreferBaseline
		if j.rng.Float64() < wins {
			prefers = api.PreferCandidate
		}
		out := judgment(from+i, prefers)
		out.Judge = who
		switch j.rng.IntN(18) {
		case 0:
			out.Verdict, out.BaselineChars = api.PreferTie, nil
		case 1:
			out.Verdict = api.PreferNone
		case 2:
			out.Answers = []api.JudgeAnswer{{First: api.PreferBaseline, Verdict: api.PositionSecond}, {First: api.PreferCandidate, Verdict: api.PositionFirst}}
			out.Verdict = api.PreferCandidate
		case 3: // by position
			out.Verdict, out.Answers = "", []api.JudgeAnswer{{First: api.PreferBaseline, Verdict: api.PositionFirst, Reason: "<b> \u2028"}, {First: api.PreferCandidate, Verdict: api.PositionFirst, Cached: true}}
		case 4:
			out.Verdict, out.Answers = "", []api.JudgeAnswer{{First: api.PreferCandidate, Verdict: api.PositionSecond}, {First: api.PreferBaseline, Verdict: api.PositionSecond}}
		case 5: // of two minds
			out.Verdict, out.Answers = "", []api.JudgeAnswer{{First: api.PreferBaseline, Verdict: api.PositionFirst}, {First: api.PreferCandidate, Verdict: api.PositionTie}}
			if j.rng.IntN(2) == 0 {
				out.Answers[0].Verdict = api.PositionSecond
			}
		}
		batch[i] = out
	}
	j.judged(batch...)
}

// calibrated records that a judge was held against people's labels.
func (j judges) calibrated(who api.Judge) {
	j.t.Helper()
	c := calibration()
	c.Judge = who
	if _, err := j.RecordCalibration(j.ctx, j.owner, c); err != nil {
		j.t.Fatal(err)
	}
}

// TestReplayOfJudges plays judges that disagree, for a canary that is aborted
// and goes on and for shadows of other policies; all in both verifiers.
func TestReplayOfJudges(t *testing.T) {
	h := newHouse(t)
	rng := rand.New(rand.NewPCG(21, 22))
	w, j := &world{house: h, rng: rng}, judges{h, rng}
	w.events(120, 0, 1)
	first, second := theJudge(), api.Judge{Model: "judge-2", Template: "prompt-of-1é"}
	j.calibrated(first)
	request := pairwise(400)
	request.Gates, request.Pairwise.On, request.Pairwise.MaxAge = gatesOf(t, "success", "latency_ms:p95:on=hold"), api.OnHold, ptr(int64(3600))
	request.Pairwise.Judge = &api.Judge{Model: "judge-1"}
	canary := h.create(request).ID
	var shadows []string
	for _, change := range []func(*api.CreateRollout){
		func(r *api.CreateRollout) { r.Guarantee, r.Pairwise.Judge = api.GuaranteeLook, &second },
		func(r *api.CreateRollout) {
			r.Pairwise.MinPairs, r.Pairwise.MaxAge, r.ErrorBudget = ptr(int64(5)), ptr(int64(0)), ptr(0.004)
		},
		func(r *api.CreateRollout) {
			r.Pairwise.Judge, r.Confidence, r.MinRuns = &api.Judge{Model: "judge-2"}, ptr(0.8), ptr(int64(5))
		},
		func(r *api.CreateRollout) { r.Pairwise = nil },
		func(r *api.CreateRollout) { r.Pairwise.Judge = &api.Judge{Model: "nobody", Version: "1"} },
	} {
		r := pairwise(40)
		r.Mode, r.Gates = api.ModeShadow, gatesOf(t, "success")
		change(&r)
		shadows = append(shadows, h.create(r).ID)
	}
	all := func(late bool) { // more judgments than a tick reads wait for the last shadow
		t.Helper()
		if _, err := h.Evaluate(h.ctx, h.owner, canary); err != nil {
			t.Fatal(err)
		}
		for i, id := range shadows {
			if late || i+1 < len(shadows) {
				h.tick(id)
			}
		}
		h.clock.pass(time.Duration(20+rng.IntN(30)) * time.Minute)
	}
	all(true)
	for i, step := range []func(){
		func() { j.post(first, 0, 3, 0.5) },
		func() { j.post(first, 0, 10, 0.5); j.post(second, 0, 30, 0.6) },
		func() { j.post(first, 5, 330, 0.55); j.calibrated(second) },
		func() { j.calibrated(first) },
		func() { h.clock.pass(2 * time.Hour) },
		func() { j.post(first, 300, 700, 0.5); j.post(second, 30, 420, 0.2) },
		func() {
			if _, err := h.Abort(h.ctx, h.owner, canary, "wrong day"); err != nil {
				t.Fatal(err)
			}
			j.post(first, 1000, 20, 0.5)
			canary = h.create(request).ID
		},
		func() { j.post(second, 460, 60, 0.1) },
		func() { j.post(first, 1020, 300, 0) },
		func() {},
		func() { h.clock.pass(9 * 24 * time.Hour) },
	} {
		w.events(60, 0.4, 1)
		step()
		all(i == 0 || i > 6)
		if i > 7 {
			for range 3 {
				all(true)
			}
		}
	}
	items := h.replays(60)
	both := newLogs(t)
	both.keep(t, "as it was", items)
	for _, said := range []string{
		`"code":"pairwise_unavailable"`, `"code":"pairwise_other_judge"`, `"code":"pairwise_too_few"`, "could not have regressed yet", `"code":"pairwise_stale"`,
		`"code":"pairwise_clean"`, `"code":"pairwise_regressed"`, `"code":"catching_up"`, `"code":"paper_ended"`, "rolling back at 5%, the judge",
		"%: the judge prefers the baseline", "; an operator can abort or promote", "(template prompt-of-1)", "of another judge, which count for nothing here",
	} {
		if !slices.ContainsFunc(items, func(i replay.Item) bool { return strings.Contains(string(i.Receipt.Body), said) }) {
			t.Errorf("no decision says %s", said)
		}
	}
	changeJudgments(t, both, items)
	both.agree(t)
}

// changeJudgments keeps logs in which one receipt of a judge differs, early
// enough that decisions follow it; each of them must be noticed.
func changeJudgments(t *testing.T, both *logs, items []replay.Item) {
	t.Helper()
	for _, c := range []struct{ kind, has, from, to string }{
		{api.KindJudgment, `"verdict":"none"`, `"verdict":"none"`, `"verdict":"tie"`},
		{api.KindJudgment, `"verdict":"candidate"`, `"baseline_chars":102,"candidate_chars":101`, `"baseline_chars":102,"candidate_chars":103`},
		{api.KindJudgment, `"model":"judge-1"`, `"version":"2026-11"`, `"version":"2026-12"`},
		{api.KindJudgment, `"probe_id":"p6"`, `"probe_id":"p6"`, `"probe_id":"p7"`},
		{api.KindJudgment, `"first":"candidate","verdict":"first"`, `"first":"candidate","verdict":"first"`, `"first":"candidate","verdict":"second"`},
		{api.KindJudgment, `"answers"`, `"answers"`, `"answered"`},
		{api.KindJudgment, `"verdict":"baseline"`, `"verdict":"baseline"`, `"verdict":false`},
		{api.KindCalibration, `"kappa":0.6363636363636364`, `"kappa":0.6363636363636364`, `"kappa":0.5`},
		{api.KindCalibration, `"kappa":0.6363636363636364`, `"confusion":[[1,1,0]`, `"confusion":[[1,"1",0]`},
	} {
		at := slices.IndexFunc(items, func(i replay.Item) bool {
			return i.Receipt.Kind == c.kind && strings.Contains(string(i.Receipt.Body), c.has) && strings.Contains(string(i.Receipt.Body), c.from)
		})
		if at < 0 {
			t.Fatalf("no %s has %s", c.kind, c.from)
		}
		changed := slices.Clone(items)
		changed[at].Receipt.Body = []byte(strings.Replace(string(changed[at].Receipt.Body), c.from, c.to, 1))
		name := fmt.Sprintf("%s: %s at %d", c.kind, c.to, at)
		changed = decided(changed, 60)
		both.keep(t, name, changed)
		report, err := replay.Rollouts(logOf(changed), "claims-agent", api.DefaultEnvironment)
		if err == nil && len(report.Findings) == 0 {
			t.Errorf("%s: %d decisions are verified", name, report.Decisions)
		}
	}
}
