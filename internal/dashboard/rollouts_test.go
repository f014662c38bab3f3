package dashboard

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
)

// order are the apps of the list as it is shown, with the groups before them.
func order(page string) []string {
	var found []string
	for _, m := range regexp.MustCompile(`<h2>([A-Z][a-z ]+?) <span class="count">|<b><span class="name" title="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		found = append(found, m[1]+m[2])
	}
	return found
}

func TestRolloutList(t *testing.T) {
	h := newHouse(t)
	ids := h.states()
	reader := h.keyWith(api.ReleaseRead)
	page := h.page(reader, "/rollouts")
	want := "Needs a look, paused, rolled-back, Under way, shadow, advanced, held, new, Ended, promoted, aborted"
	if got := strings.Join(order(page), ", "); got != want {
		t.Errorf("the order is\n%s, want\n%s", got, want)
	}
	for name, id := range ids {
		r := must(h.Rollout(t.Context(), h.owner, id))
		if r.LastDecision != nil && !strings.Contains(page, "<p class=\"sentence\">"+escaped(r.LastDecision.Reason.Text)) {
			t.Errorf("%s: the reason is not there: %s", name, r.LastDecision.Reason.Text)
		}
		if !strings.Contains(page, `href="/rollouts/`+id+`"`) {
			t.Errorf("%s has no link", name)
		}
	}
	if strings.Contains(page, "New rollout") {
		t.Error("a key without rollout.manage is offered to create")
	}
	if !strings.Contains(h.page(h.ownerKey, "/rollouts"), "New rollout") {
		t.Error("the owner is not offered to create")
	}
	for query, want := range map[string]string{
		"?app=held":                   "Under way, held",
		"?state=paused":               "Needs a look, paused",
		"?mode=shadow":                "Under way, shadow",
		"?state=promoted&mode=canary": "Ended, promoted",
		"?state=active&mode=canary":   "Under way, advanced, held, new",
		"?app=nobody":                 "",
	} {
		page := h.page(reader, "/rollouts"+query)
		if got := strings.Join(order(page), ", "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
		if strings.Contains(page, "Create the first one") {
			t.Errorf("%s: an empty answer to a filter is no empty list", query)
		}
		live := h.page(reader, "/rollouts/live"+query)
		if got := strings.Join(order(live), ", "); got != want || strings.Contains(live, "<html") || !strings.Contains(page, strings.TrimSpace(live)) {
			t.Errorf("%s: what is live differs: %s", query, got)
		}
	}
	h.clock.pass(longSilent)
	delete(h.tokens, reader) // that session is over
	if got := order(h.page(reader, "/rollouts")); got[0] != "Needs a look" || strings.Join(got, ",") == want || len(got) != 10 || got[6] != "Ended" {
		t.Errorf("after days of silence: %v", got)
	}
}

func escaped(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;", "+", "&#43;").Replace(text)
}

// A poll that finds nothing new is answered with nothing.
func TestLiveTag(t *testing.T) {
	h := newHouse(t)
	h.create("a")
	first := h.ask(h.ownerKey, "GET", "/rollouts/live", nil)
	tag := first.Header().Get("ETag")
	if w := h.ask(h.ownerKey, "GET", "/rollouts/live", nil, "If-None-Match", tag); w.Code != 304 || w.Body.Len() > 0 || tag == "" {
		t.Errorf("the same again: %d", w.Code)
	}
	h.create("b")
	if w := h.ask(h.ownerKey, "GET", "/rollouts/live", nil, "If-None-Match", tag); w.Code != 200 {
		t.Errorf("with one more: %d", w.Code)
	}
}

// Where there is nothing, the page says what to run, with what was seen.
func TestFirstCommands(t *testing.T) {
	h := newHouse(t)
	page := h.page(h.ownerKey, "/rollouts")
	for _, want := range []string{"PROVA_BASE_URL=http://example.com", "/api/v1/audit/ingest", "prova-rollout create --app-id claims-agent --baseline v36 --candidate v37"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
	odd := "it's $(id)"
	h.record(h.owner, event(odd, "v1", true))
	h.record(h.owner, event("other", "v9", true))
	h.record(h.owner, event(odd, "v 2", true))
	page = h.page(h.ownerKey, "/rollouts")
	if want := escaped(`--app-id 'it'\''s $(id)' --baseline v1 --candidate 'v 2'`); !strings.Contains(page, want) || strings.Contains(page, "/api/v1/audit/ingest") {
		t.Errorf("%s is missing in %s", want, page)
	}
}

// The ended ones are shown a page at a time.
func TestOlderRollouts(t *testing.T) {
	h := newHouse(t)
	for range pageOfEnded + 3 {
		r := h.create("a")
		if _, err := h.Abort(t.Context(), h.owner, r.ID, "r"); err != nil {
			t.Fatal(err)
		}
		h.clock.pass(time.Second)
	}
	active := h.create("a")
	page := h.page(h.ownerKey, "/rollouts?app=a")
	if n := strings.Count(page, `class="row `); n != pageOfEnded+1 {
		t.Errorf("%d rows", n)
	}
	m := regexp.MustCompile(`href="(/rollouts\?[^"]*before=[^"]*)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatal("there is no way to the older ones")
	}
	older := h.page(h.ownerKey, strings.ReplaceAll(m[1], "&amp;", "&"))
	if n := strings.Count(older, `class="row `); n != 3 || strings.Contains(older, active.ID) || strings.Contains(older, "Older ones") {
		t.Errorf("%d rows", n)
	}
}
