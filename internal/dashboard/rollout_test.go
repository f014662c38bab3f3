package dashboard

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
)

// The page of a rollout in each state says what was decided and why, with both
// cohorts and their difference, in the words of the verdict.
func TestRolloutPage(t *testing.T) {
	h := newHouse(t)
	for name, id := range h.states() {
		page := h.page(h.keyWith(api.ReleaseRead), "/rollouts/"+id)
		f := must(h.Findings(t.Context(), h.owner, id, 50))
		r := f.Rollout
		want := []string{`class="word ` + string(r.State) + `"`, r.ID}
		if r.LastDecision != nil {
			want = append(want, `<p class="says">`+escaped(r.LastDecision.Reason.Text))
		} else {
			want = append(want, "Nobody has ticked", "No figures yet")
		}
		for _, d := range f.Decisions {
			want = append(want, `id="decision-`+strconv.FormatInt(d.Sequence, 10)+`"`, escaped(d.Reason.Text))
		}
		if f.Verdict != nil {
			for _, g := range f.Verdict.Gates {
				want = append(want, `class="word `+string(g.Verdict)+`"`, compare.FormatValue(g.Gate, *g.Baseline.Value), compare.FormatValue(g.Gate, *g.Candidate.Value),
					plural(g.Baseline.N, "run"), plural(g.Candidate.N, "run"), `<svg class="plot `+string(g.Verdict)+`"`)
				if g.Difference != nil {
					estimate, interval := differenceText(g.Gate, *g.Difference)
					want = append(want, escaped(estimate)+"</span> <span class=\"interval\">"+escaped(interval)+"<", escaped(compare.FormatDifference(g.Gate, *g.Difference)))
				}
			}
		}
		if live := !r.State.Finished() || r.Mode == api.ModeShadow; live != strings.Contains(page, `data-live="/rollouts/`+id+`/live?since=`+strconv.FormatInt(r.Sequence, 10)+`"`) {
			t.Errorf("%s: whether it is live is wrong", name)
		}
		for _, w := range want {
			if !strings.Contains(page, w) {
				t.Errorf("%s: %q is missing", name, w)
			}
		}
		if strings.Contains(page, "/receipts/") {
			t.Errorf("%s: receipts are offered to a key without audit.read", name)
		}
		if r.LastDecision != nil && !strings.Contains(h.page(h.keyWith(api.ReleaseRead, api.AuditRead), "/rollouts/"+id), `href="/receipts/`+r.LastDecision.EventID+`"`) {
			t.Errorf("%s: the receipt is not offered", name)
		}
	}
}

// What the weight is and what came of it stand side by side.
func TestObserved(t *testing.T) {
	h := newHouse(t)
	id := h.create("a").ID
	if page := h.page(h.ownerKey, "/rollouts/"+id); !strings.Contains(page, "no run yet") || !strings.Contains(page, "0 of 30") {
		t.Error("before the first run")
	}
	h.traffic("a", 10, 3, 0, 0)
	if page := h.page(h.ownerKey, "/rollouts/"+id); !strings.Contains(page, `25.0 % <span class="quiet">of 40 runs</span>`) || !strings.Contains(page, "runs wait for a tick") {
		t.Error("what is observed, or that a tick is due, is missing")
	}
}

// Warnings and inputs that changed have parts of their own.
func TestWarningsAndInputs(t *testing.T) {
	h := newHouse(t)
	id := h.create("a").ID
	if page := h.page(h.ownerKey, "/rollouts/"+id); strings.Contains(page, `id="warnings"`) || strings.Contains(page, `id="inputs"`) {
		t.Error("warnings or inputs where there are none")
	}
	var events []api.Event
	for i := range 40 {
		for _, release := range []string{"v36", "v37"} {
			success := i > 9 || i == 3
			if release == "v36" {
				success = i != 3
			}
			e := event("a", release, success)
			e.ProbeID = "claim-" + strconv.Itoa(i)
			if i%4 == 0 && release == "v37" {
				delete(e.Metrics, "success")
			}
			events = append(events, e)
		}
	}
	h.record(h.owner, events...)
	h.clock.pass(time.Minute)
	h.tick(id)
	page := h.page(h.ownerKey, "/rollouts/"+id)
	for _, want := range []string{`id="warnings"`, "10 runs of the candidate of 40 carry no success", "sample ratio", `id="inputs"`, "6 worse, 1 better, of 30 that both ran", `title="claim-1"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if worst, better := strings.Index(page, `title="claim-1"`), strings.Index(page, `title="claim-3"`); worst < 0 || better < worst {
		t.Error("the worst does not come first")
	}
}

// Who waits for news is answered when there is some, and when the server stops.
func TestRolloutLive(t *testing.T) {
	h := newHouse(t)
	id := h.create("a").ID
	h.page(h.ownerKey, "/rollouts") // signs in
	path := "/rollouts/" + id + "/live?since=0"
	answer := make(chan string)
	ask := func() { answer <- h.ask(h.ownerKey, "GET", path, nil).Body.String() }
	go ask()
	h.traffic("a", 40, 19, 3, 76)
	h.tick(id)
	if got := <-answer; !strings.Contains(got, "clean verdict at 5%") && !strings.Contains(got, "more of the evidence") || strings.Contains(got, "<html") || strings.Contains(got, `since=0"`) {
		t.Errorf("%s", got)
	}
	r := must(h.Rollout(t.Context(), h.owner, id))
	path = "/rollouts/" + id + "/live?since=" + strconv.FormatInt(r.Sequence, 10)
	go ask()
	h.pages.Drain()
	if got := <-answer; !strings.Contains(got, "clean verdict at 5%") {
		t.Errorf("at the end: %s", got)
	}
	if w := h.ask(h.ownerKey, "GET", "/rollouts/"+id+"/live?since=x", nil); w.Code != 400 {
		t.Errorf("since nothing: %d", w.Code)
	}
	if w := h.ask(h.ownerKey, "GET", "/rollouts/rol_nobody", nil); w.Code != 404 || !strings.Contains(w.Body.String(), "there is no such rollout") {
		t.Errorf("a rollout that there is not: %d", w.Code)
	}
}

// A long time line is shown in part, and whole when it is asked for.
func TestAllDecisions(t *testing.T) {
	h := newHouse(t)
	id := h.create("a").ID
	for range (mostListed + 2) / 2 {
		must(h.Pause(t.Context(), h.owner, id, "r"))
		must(h.Resume(t.Context(), h.owner, id, "r"))
	}
	if page := h.page(h.ownerKey, "/rollouts/"+id); strings.Count(page, `id="decision-`) != mostListed || !strings.Contains(page, `href="/rollouts/`+id+`?all=1"`) {
		t.Errorf("%d decisions", strings.Count(page, `id="decision-`))
	}
	if page := h.page(h.ownerKey, "/rollouts/"+id+"?all=1"); strings.Count(page, `id="decision-`) != mostListed+2 || !strings.Contains(page, "&amp;all=1") {
		t.Errorf("all are %d decisions", strings.Count(page, `id="decision-`))
	}
}
