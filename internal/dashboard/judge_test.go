package dashboard

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

func TestJudgeEmpty(t *testing.T) {
	h := newHouse(t)
	h.create("plain")
	page := h.page(h.keyWith(api.ReleaseRead), "/judge")
	has(t, page, "No rollout asks for a judge yet.", "--require-pairwise", "prova judge run --rollout", "prova judge calibrate --file labels.ndjson", "probe_id")
	hasNot(t, page, `name="rollout"`, "Judgments</h2>")
	id := h.judgedRollout("asks")
	page = h.page(h.ownerKey, "/judge") // the newest that requires it is shown
	has(t, page, "Nobody has judged these two releases yet.", `<option value="`+id+`" selected>`, "prova judge run --rollout "+id, "asks for 20 decided pairs", "This server has no judge.", "PROVA_JUDGE_URL")
	hasNot(t, page, "plain v37")
}

func TestJudgePage(t *testing.T) {
	h := newHouse(t)
	id := h.judgedRollout("asks")
	j := verdict("asks", "p1", api.PositionSecond, "the second is better")
	j.BaselineEventID, j.CandidateEventID = h.probed("asks", "v36", "p1", "a short answer"), h.probed("asks", "v37", "p1", "a full answer")
	contradicts := verdict("asks", "p2", api.PositionFirst, "")
	contradicts.Answers[1].Verdict = api.PositionFirst // the first one both times: a tie
	h.recordJudgments(j, contradicts, verdict("asks", "p3", api.PositionFirst, "the first"), verdict("asks", "p4", api.PositionNone, "no JSON"))
	page := h.page(h.ownerKey, "/judge?rollout="+id)
	has(t, page, "The candidate wins 50.0 % of 2 decided pairs (95 % interval 9.5 % to 90.5 %): a half is not excluded", "UNCALIBRATED", "prova judge calibrate --file labels.ndjson",
		"gpt-judge 2026-04", "a short answer", "a full answer", "the second is better", "candidate is better", "baseline is better", "no verdict", "no JSON", "200 and 210 characters",
		"baseline shown first, candidate second", "candidate shown first, baseline second")
	for label, want := range map[string]string{
		"wins of the candidate": "1", "losses": "1", "ties": "1", "no verdict": "1", "win rate, ties as half": "50.0 %",
		"both orders agree": "66.7 % (2 of 3)", "chose the first twice": "33.3 % (1 of 3)", "chose the second twice": "0.0 % (0 of 3)", "the longer answer wins": "50.0 % (1 of 2)",
	} {
		if m := regexp.MustCompile(`<dt>` + label + `</dt><dd>([^<]*)</dd>`).FindStringSubmatch(page); m == nil || m[1] != want {
			t.Errorf("%s: %v, want %s", label, m, want)
		}
	}
	if p4, p1 := strings.Index(page, `<b class="name">p4<`), strings.Index(page, `<b class="name">p1<`); p4 < 0 || p4 > p1 {
		t.Error("the newest judgment does not come first")
	}
	// A key that may not judge reads no outputs, and is not offered to.
	page = h.page(h.keyWith(api.ReleaseRead), "/judge?rollout="+id)
	has(t, page, "the second is better")
	hasNot(t, page, "a short answer", "a full answer", "Judge the pairs", "/receipts/")
	same := h.page(h.ownerKey, "/judge?app=asks&baseline=v36&candidate=v37")
	has(t, same, "The candidate wins 50.0 %", `<input type="text" name="baseline" list="releases" value="v36" required>`)
	hasNot(t, same, "Judge the pairs")
}

// The side of one half that the interval lies on is told in words, not by colour alone.
func TestWinSentence(t *testing.T) {
	for _, c := range []struct {
		wins, losses int64
		side, says   string
	}{
		{0, 0, "", "has decided no pair yet"},
		{90, 30, "better", "more than half"},
		{30, 90, "worse", "fewer than half"},
		{52, 48, "open", "a half is not excluded"},
		{1, 0, "open", "100.0 % of 1 decided pair (95 % interval 20.7 % to 100.0 %)"},
	} {
		h := newHouse(t)
		h.judgedRollout("a")
		var list []api.Judgment
		for i := range c.wins + c.losses {
			said := api.PositionFirst
			if i < c.wins {
				said = api.PositionSecond
			}
			list = append(list, verdict("a", fmt.Sprint(i), said, ""))
		}
		h.recordJudgments(append(list, verdict("a", "tied", api.PositionTie, ""))...)
		page := h.page(h.ownerKey, "/judge")
		has(t, page, c.says)
		if drawn := strings.Contains(page, `class="halves `+c.side+`"`); drawn != (c.side != "") {
			t.Errorf("%d to %d: drawn %v as %s", c.wins, c.losses, drawn, c.side)
		}
	}
}

// The drawing has the share, its limits and the half at their places.
func TestHalves(t *testing.T) {
	d := halvesOf(api.Share{X: 3, N: 4, Value: ptr(0.75), Lo: ptr(0.5), Hi: ptr(1.0)})
	if d.Value != 239 || d.Lo != 164 || d.Hi != 314 || d.Side != "open" {
		t.Errorf("%+v", d)
	}
	if halvesOf(api.Share{}) != nil {
		t.Error("nothing is drawn as something")
	}
}

func TestCalibration(t *testing.T) {
	h := newHouse(t)
	h.judgedRollout("a")
	h.recordJudgments(verdict("a", "p", api.PositionTie, ""))
	h.calibrate("a", 0.62)
	page := h.page(h.ownerKey, "/judge")
	has(t, page, "● calibrated", "77.3 % of 110 pairs", "kappa 0.62, substantial agreement", "95 % interval 68.6 % to 84.1 %",
		`<th scope="row">candidate</th><td class="num">5</td><td class="num same">40</td><td class="num">3</td>`, "78.6 % of 14")
	hasNot(t, page, "UNCALIBRATED", "Do not rely on")
	h.calibrate("a", 0.39)
	page = h.page(h.ownerKey, "/judge")
	has(t, page, "kappa 0.39, fair agreement", "agrees poorly with people", "Do not rely on its win rate")
	hasNot(t, page, "● calibrated", "UNCALIBRATED")
	for kappa, want := range map[float64]string{-0.1: "no better than chance", 0: "no better than chance", 0.1: "slight", 0.2: "fair", 0.4: "moderate", 0.6: "substantial", 0.8: "almost perfect"} {
		if says, poor := kappaSays(&kappa); !strings.Contains(says, want) || poor != (kappa < 0.4) {
			t.Errorf("%v: %s, poor %v", kappa, says, poor)
		}
	}
	if says, poor := kappaSays(nil); !poor || !strings.Contains(says, "not defined") {
		t.Errorf("no kappa: %s", says)
	}
}

func TestJudgmentsPaged(t *testing.T) {
	h := newHouse(t)
	id := h.judgedRollout("a")
	var list []api.Judgment
	for i := range pageOfJudgments + 3 {
		list = append(list, verdict("a", fmt.Sprintf("p%03d", i), api.PositionTie, ""))
	}
	h.recordJudgments(list...)
	page := h.page(h.ownerKey, "/judge?rollout="+id)
	m := regexp.MustCompile(`href="(/judge\?[^"]*before=[^"]*)"`).FindStringSubmatch(page)
	if n := strings.Count(page, `<article class="judgment"`); n != pageOfJudgments || m == nil {
		t.Fatalf("%d judgments, %v", n, m)
	}
	older := h.page(h.ownerKey, strings.ReplaceAll(m[1], "&amp;", "&"))
	if n := strings.Count(older, `<article class="judgment"`); n != 3 || !strings.Contains(older, ">p000<") || strings.Contains(older, "Older ones") {
		t.Errorf("%d older judgments", n)
	}
}

// What cannot be shown is said above the form, which keeps what was typed.
func TestJudgeRefused(t *testing.T) {
	h := newHouse(t)
	w := h.ask(h.ownerKey, "GET", "/judge?app=what%27s&candidate=v2", nil)
	if w.Code != 400 {
		t.Errorf("%d", w.Code)
	}
	has(t, w.Body.String(), "say whose judgments", `name="app" list="apps" value="`+escaped("what's")+`"`, `name="candidate" list="releases" value="v2"`)
	if w := h.ask(h.ownerKey, "GET", "/judge?rollout=rol_nobody", nil); w.Code != 404 {
		t.Errorf("a rollout that is not there: %d", w.Code)
	}
	staging := h.key(api.CreateAPIKey{Name: "s", Environment: "staging", Permissions: []api.Permission{api.ReleaseRead}})
	if w := h.ask(staging, "GET", "/judge?app=a&baseline=v1&candidate=v2&environment=production", nil); w.Code != 403 || !strings.Contains(w.Body.String(), "limited to the environment") {
		t.Errorf("another environment: %d", w.Code)
	}
	has(t, h.page(staging, "/judge?app=a&baseline=v1&candidate=v2"), "staging</span>")
}

func TestJudgeForeign(t *testing.T) {
	h := newHouse(t)
	id := h.judgedRollout("secret-app")
	h.recordJudgments(verdict("secret-app", "secret-probe", api.PositionFirst, "secret words"))
	other := must(h.CreateOrg(t.Context(), h.owner, api.CreateOrg{Name: "other"})).OwnerKey
	hasNot(t, h.page(other, "/judge"), "secret", id)
	hasNot(t, h.page(other, "/judge?app=secret-app&baseline=v36&candidate=v37"), "secret-probe", "secret words")
	for _, path := range []string{"/judge?rollout=" + id, "/judge/live?rollout=" + id} {
		if w := h.ask(other, "GET", path, nil); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	h.Judger = patient{}
	if w := h.ask(other, "POST", "/judge", form("rollout", id)); w.Code != 404 {
		t.Errorf("judging a foreign rollout: %d", w.Code)
	}
	if job := must(h.LastJudgeJob(t.Context(), h.owner, id)); job != nil {
		t.Errorf("%+v", job)
	}
}

// counting is a judge that has judged as much as it says.
type counting struct{ patient }

func (counting) Run(_ context.Context, _ authority.JudgeSource, b api.StartJudging, progress func(api.JudgeJob)) error {
	progress(api.JudgeJob{Pairs: 10, Judged: 7, Recorded: 5, NoVerdict: 1, Calls: *b.MaxCalls, Cached: 2, CostUSD: *b.MaxCostUSD, Unpaired: api.Unpaired{NoOutput: 3}})
	return &authority.Error{Code: authority.CodeUnavailable, Detail: "the bound of calls is reached"}
}

func TestStartJudging(t *testing.T) {
	h := newHouse(t)
	id := h.judgedRollout("a")
	if w := h.ask(h.ownerKey, "POST", "/judge", form("rollout", id)); w.Code != 409 || !strings.Contains(w.Body.String(), "this server has no judge") {
		t.Errorf("without a judge: %d", w.Code)
	}
	h.Judger = counting{}
	has(t, h.page(h.ownerKey, "/judge"), "Judge the pairs now", "gpt-judge 2026-04 is asked about each pair")
	for field, wrong := range map[string]string{"max_calls": "many", "max_cost_usd": "NaN"} {
		w := h.ask(h.ownerKey, "POST", "/judge", form("rollout", id, field, wrong))
		if w.Code != 400 {
			t.Errorf("%s: %d", field, w.Code)
		}
		has(t, w.Body.String(), `value="`+wrong+`"`, "or empty for no bound")
	}
	for _, wrong := range []url.Values{form("rollout", id, "max_calls", "0"), form("rollout", id, "max_cost_usd", "-1"), form("max_calls", "3")} {
		if w := h.ask(h.ownerKey, "POST", "/judge", wrong); w.Code != 400 {
			t.Errorf("%v: %d", wrong, w.Code)
		}
	}
	if w := h.ask(h.ownerKey, "POST", "/judge", form("rollout", id), "Sec-Fetch-Site", "cross-site"); w.Code != 403 {
		t.Errorf("from another site: %d", w.Code)
	}
	if job := must(h.LastJudgeJob(t.Context(), h.owner, id)); job != nil {
		t.Fatalf("a refused form began %+v", job)
	}
	w := h.ask(h.ownerKey, "POST", "/judge", form("rollout", id, "max_calls", "12", "max_cost_usd", " 0.5 "))
	if w.Code != 303 || w.Header().Get("Location") != "/judge?done=judging&rollout="+id {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	page := h.page(h.ownerKey, w.Header().Get("Location"))
	has(t, page, "The judge is at it.", "The last job is running.", `data-live="/judge/live?rollout=`+id, "disabled>Judge the pairs now")
	live := h.page(h.ownerKey, "/judge/live?rollout="+id)
	if strings.Contains(live, "<html") || !strings.Contains(page, strings.TrimSpace(live)) {
		t.Error("what is live differs from the page")
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { h.JudgeLoop(ctx); close(ended) }()
	for must(h.LastJudgeJob(t.Context(), h.owner, id)).State == api.JobRunning {
	}
	end()
	<-ended
	page = h.page(h.ownerKey, "/judge")
	has(t, page, "The last job has failed.", "7 of 10 pairs judged, 5 by this job, 1 of them without a verdict; 12 calls, 2 answers from before, $0.5000.", "the bound of calls is reached", "3 have no payload.output")
	hasNot(t, page, "data-live")
}

// Names, outputs and the judge's words stay text.
func TestJudgeIsText(t *testing.T) {
	h := newHouse(t)
	for _, text := range corpus() {
		id := h.create(text, func(r *api.CreateRollout) {
			r.BaselineRelease, r.CandidateRelease, r.RequirePairwise = text, text+"2", true
		}).ID
		j := verdict(text, text, api.PositionSecond, text)
		j.BaselineRelease, j.CandidateRelease = text, text+"2"
		j.Judge = api.Judge{Model: text, Version: text, Template: text}
		j.BaselineEventID, j.CandidateEventID = h.probed(text, text, text, text), h.probed(text, text+"2", text, text)
		h.recordJudgments(j)
		page := h.page(h.ownerKey, "/judge?rollout="+id)
		textOnly(t, page)
		has(t, page, `<blockquote class="answer">`+escaped(text), `<pre class="answer">`+escaped(text))
		q := url.Values{"app": {text}, "baseline": {text}, "candidate": {text + "2"}}
		textOnly(t, h.page(h.ownerKey, "/judge?"+q.Encode()))
		q.Del("baseline")
		textOnly(t, h.ask(h.ownerKey, "GET", "/judge?"+q.Encode(), nil).Body.String())
		textOnly(t, h.ask(h.ownerKey, "POST", "/judge", form("rollout", id, "max_calls", text)).Body.String())
	}
}
