package dashboard

import (
	"html"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

var _ ReleaseLists = (*authority.Authority)(nil)

// manyReleases records an app with more releases than one page shows, of which each has more metrics and another rate.
func (h *house) manyReleases() string {
	h.t.Helper()
	for i := range pageOfReleases + 4 {
		var events []api.Event
		for j := range 30 + 7*i {
			e := event("claims-agent", "v"+strconv.Itoa(i), j%(3+i) != 0)
			e.Metrics["cost_usd"], e.Metrics["tokens"] = api.Number(0.01+float64(j)/10000), api.Number(float64(2000+j))
			events = append(events, e)
		}
		h.record(h.owner, events...)
		h.clock.pass(10 * time.Minute)
	}
	h.record(h.owner, event("claims-agent", "", true), event("claims-agent", "9f2d6c1a7b3e5f80a1b2c3d4e5f60718293a4b5c", false))
	staged := event("claims-agent", "v1", true)
	staged.Source.Environment = "staging"
	h.record(h.owner, staged)
	return "/releases/claims-agent"
}

// rowsOf are the names of the releases, or apps, of a page in its order.
func rowsOf(page string) string {
	var names []string
	for _, m := range regexp.MustCompile(`<tr><th scope="row">(?:<a href="[^"]*">)?<span class="(?:name" title="([^"]*)"|quiet">([^<]*))`).FindAllStringSubmatch(page, -1) {
		names = append(names, m[1]+m[2])
	}
	return strings.Join(names, " ")
}

func TestApps(t *testing.T) {
	h := newHouse(t)
	reader := h.keyWith(api.ReleaseRead)
	page := h.page(reader, "/releases")
	if !strings.Contains(page, "No run has been seen yet") || !strings.Contains(page, "/api/v1/audit/ingest") || !strings.Contains(page, escaped(`"release":"v37"`)) {
		t.Error("the empty page does not say what to send")
	}
	h.traffic("b", 3, 2, 0, 0)
	if page = h.page(reader, "/releases"); !strings.Contains(page, "One app has reported 9 runs of 2 releases.") {
		t.Error("one app")
	}
	h.record(h.owner, event("a", "", true), event("a/b?c", "v1", true))
	page = h.page(reader, "/releases")
	if got := rowsOf(page); got != "a a/b?c b" || !strings.Contains(page, "3 apps have reported 11 runs of 3 releases.") {
		t.Errorf("%s in %s", got, page)
	}
	for _, link := range []string{`href="/releases/b"`, `href="/releases/a%2Fb%3Fc"`} {
		if !strings.Contains(page, link) {
			t.Errorf("%s is missing", link)
		}
	}
	if got := rowsOf(h.page(reader, "/releases/a%2Fb%3Fc")); got != "v1" {
		t.Errorf("behind its link: %s", got)
	}
}

func TestReleases(t *testing.T) {
	h := newHouse(t)
	path := h.manyReleases()
	reader := h.keyWith(api.ReleaseRead)
	page := h.page(reader, path)
	var want []string
	want = append(want, "9f2d6c1a7b3e5f80a1b2c3d4e5f60718293a4b5c", "no release")
	for i := pageOfReleases + 3; len(want) < pageOfReleases; i-- {
		want = append(want, "v"+strconv.Itoa(i))
	}
	if got := rowsOf(page); got != strings.Join(want, " ") {
		t.Errorf("%s", got)
	}
	for _, text := range []string{
		"of 30 releases in", "1 run of it carries no release", "the success rate of each", `<option selected>production</option>`, `<option>staging</option>`, "Its rollouts",
		"cost_usd mean", "tokens mean", "latency_ms p95", `href="/compare?app=claims-agent&amp;baseline=v27&amp;candidate=v28&amp;environment=production">compare with <span class="name" title="v27">`,
	} {
		if !strings.Contains(page, text) {
			t.Errorf("%q is missing", text)
		}
	}
	if n := strings.Count(page, `<svg class="plot"`); n != pageOfReleases {
		t.Errorf("%d drawings", n)
	}
	// The figures are the authority's.
	list := must(h.ReleaseFigures(t.Context(), h.owner, "claims-agent", "production", "", 5))
	for _, r := range list.Items[2:] {
		f := r.Figures[0]
		shown := cellOf(f.Gate, f.Figure)
		if !strings.Contains(page, escaped(shown.Value)+` <span class="interval">`+escaped(shown.Interval)+"</span>") {
			t.Errorf("%s: %s", r.Release.Release, cohortText(f.Gate, f.Figure))
		}
	}
	m := regexp.MustCompile(`href="([^"]*)">Older ones`).FindStringSubmatch(page)
	if m == nil {
		t.Fatal("there is no way to the older ones")
	}
	older := h.page(reader, html.UnescapeString(m[1]))
	if got := rowsOf(older); got != "v5 v4 v3 v2 v1 v0" || strings.Contains(older, "Older ones") || !strings.Contains(older, "Newest ones") {
		t.Errorf("older: %s", got)
	}
	if strings.Count(older, "compare with") != 5 {
		t.Error("the first release is compared with something")
	}
	if got := rowsOf(h.page(reader, "/releases?app=claims-agent&environment=staging")); got != "v1" {
		t.Errorf("staging: %s", got)
	}
	if page := h.page(reader, path+"?environment=nowhere"); rowsOf(page) != "" || !strings.Contains(page, "No run of it was seen in") {
		t.Error("an environment without runs")
	}
}

// The rollouts of a release stand beside it, with their states.
func TestReleasesRollouts(t *testing.T) {
	h := newHouse(t)
	ids := h.states()
	for app, word := range map[string]string{"held": "active", "rolled-back": "rolled_back", "promoted": "promoted", "aborted": "aborted", "shadow": "active"} {
		page := h.page(h.ownerKey, "/releases/"+app)
		if rowsOf(page) != "v37 v36" && rowsOf(page) != "v36 v37" {
			t.Errorf("%s: %s", app, rowsOf(page))
		}
		if strings.Count(page, `href="/rollouts/`+ids[app]+`"`) != 1 || !strings.Contains(page, `<span class="word `+word+`">`) {
			t.Errorf("%s: its rollout is not there", app)
		}
	}
}

// Without a known rate nothing is drawn, and what is reported is named.
func TestReleasesWithoutRate(t *testing.T) {
	h := newHouse(t)
	e := event("a", "v1", true)
	e.Metrics = map[string]api.Metric{"mood": api.Number(1), "b": api.Number(1), "c": api.Number(1), "d": api.Number(1), "e": api.Number(1), "tokens": api.Number(7)}
	h.record(h.owner, e)
	page := h.page(h.ownerKey, "/releases/a")
	if strings.Contains(page, "<svg") || strings.Contains(page, "axis-head") || !strings.Contains(page, "tokens mean <b>7.00 tokens</b>") || !strings.Contains(page, "also b, c, d and 2 others") {
		t.Errorf("%s", page)
	}
}

func TestReleasesForeign(t *testing.T) {
	h := newHouse(t)
	h.traffic("secret-app", 3, 1, 0, 0)
	other := must(h.CreateOrg(t.Context(), h.owner, api.CreateOrg{Name: "other"})).OwnerKey
	staging := h.key(api.CreateAPIKey{Name: "staging", Environment: "staging", Permissions: []api.Permission{api.ReleaseRead}})
	for _, key := range []string{other, staging} {
		if page := h.page(key, "/releases"); strings.Contains(page, "secret-app") {
			t.Error("a foreign app is listed")
		}
		foreign, nobody := h.ask(key, "GET", "/releases/secret-app", nil), h.ask(key, "GET", "/releases/nobody", nil)
		if foreign.Code != 404 || foreign.Body.String() != nobody.Body.String() {
			t.Errorf("foreign: %d, absent: %d", foreign.Code, nobody.Code)
		}
	}
	staged := event("secret-app", "v9", true)
	staged.Source.Environment = "staging"
	h.record(h.owner, staged)
	if page := h.page(staging, "/releases/secret-app"); rowsOf(page) != "v9" || strings.Contains(page, "production") {
		t.Errorf("a key of staging sees %s", rowsOf(page))
	}
	if w := h.ask(staging, "GET", "/releases/secret-app?environment=production", nil); w.Code != 403 {
		t.Errorf("another environment: %d", w.Code)
	}
	if w := h.ask(h.ownerKey, "GET", "/releases/secret-app?before=x", nil); w.Code != 400 || !strings.Contains(w.Body.String(), "cursor") {
		t.Errorf("a cursor that is none: %d", w.Code)
	}
}

func TestReleasesPath(t *testing.T) {
	q := url.Values{"before": {"x"}}
	for app, want := range map[string]string{"a": "/releases/a?before=x", "a b/c": "/releases/a%20b%2Fc?before=x", "..": "/releases?app=..&before=x", ".": "/releases?app=.&before=x"} {
		if got := releasesPath(app, q); got != want {
			t.Errorf("%s: %s, want %s", app, got, want)
		}
	}
}

// The axis holds every interval, and no more than it must.
func TestRateAxis(t *testing.T) {
	figure := func(lo, v, hi float64) api.CohortFigure { return api.CohortFigure{N: 1, Value: &v, Lo: &lo, Hi: &hi} }
	for _, c := range []struct {
		figures  []api.CohortFigure
		from, to string
	}{
		{nil, "0 %", "100 %"},
		{[]api.CohortFigure{{N: 1, Value: new(0.5), Lo: new(0.01), Hi: new(0.99)}, {N: 30, Value: new(0.93), Lo: new(0.91), Hi: new(0.95)}}, "90 %", "100 %"},
		{[]api.CohortFigure{{N: 1}}, "0 %", "100 %"},
		{[]api.CohortFigure{figure(0.91, 0.93, 0.95)}, "90 %", "100 %"},
		{[]api.CohortFigure{figure(0.91, 0.93, 0.95), figure(0.32, 0.5, 0.6)}, "30 %", "100 %"},
		{[]api.CohortFigure{figure(1, 1, 1)}, "90 %", "100 %"},
		{[]api.CohortFigure{figure(0, 0, 0)}, "0 %", "10 %"},
	} {
		a := ratesAxis(c.figures)
		if a.Left() != c.from || a.Right() != c.to {
			t.Errorf("%+v: %s to %s", c.figures, a.Left(), a.Right())
		}
		for _, f := range c.figures {
			if p := a.plot("rate", f); f.Value != nil && (p.Lo < plotEdge || p.Hi > plotWidth-plotEdge || p.At < p.Lo || p.At > p.Hi ||
				p.CutLo != (*f.Lo < a.From) || p.CutHi != (*f.Hi > a.To) || p.Outside && !p.CutLo && !p.CutHi) {
				t.Errorf("%+v", p)
			}
		}
	}
}
