package dashboard

import (
	"html"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// replayed is a run of a probe.
func replayed(app, release, probe string, success bool) api.Event {
	e := event(app, release, success)
	e.ProbeID = probe
	return e
}

// verdicts are the words of the rows of gates, and of what stands above them.
func verdicts(page string) []string {
	var found []string
	for _, m := range regexp.MustCompile(`data-verdict="([a-z]+)"|<td data-head="Verdict"><span class="word ([a-z]+)"`).FindAllStringSubmatch(page, -1) {
		found = append(found, m[1]+m[2])
	}
	return found
}

// TestCompare: the page against the authority's own answer.
func TestCompare(t *testing.T) {
	h := newHouse(t)
	h.traffic("worse", 60, 3, 30, 9)
	h.traffic("equal", 60, 3, 3, 9)
	h.traffic("few", 2, 3, 0, 0)
	reader := h.keyWith(api.ReleaseRead)
	for app, want := range map[string]string{"worse": "regressed regressed", "equal": "clean clean", "few": "insufficient insufficient"} {
		page := h.page(reader, "/compare?app="+app+"&baseline=v36&candidate=v37")
		if got := strings.Join(verdicts(page), " "); got != want {
			t.Errorf("%s: %s, want %s", app, got, want)
		}
		answer := must(h.Compare(t.Context(), h.owner, api.CompareRequest{AppID: app, Baseline: "v36", Candidate: "v37", Pair: api.PairAuto}))
		if !strings.Contains(page, `<p class="said">`+escaped(answer.Verdict.Reason.Text)) {
			t.Errorf("%s: the sentence is not there: %s", app, answer.Verdict.Reason.Text)
		}
		g := answer.Verdict.Gates[0]
		for _, figure := range []string{
			cohortText(g.Gate, g.Baseline)[:6], cohortText(g.Gate, g.Candidate)[:6], plural(g.Baseline.N, "run"), plural(g.Candidate.N, "run"), "success rate", "latency_ms p95", "higher is better",
		} {
			if !strings.Contains(page, escaped(figure)) {
				t.Errorf("%s: %s is missing", app, figure)
			}
		}
		for head, figure := range map[string]api.CohortFigure{"Baseline": g.Baseline, "Candidate": g.Candidate} {
			if f := cellOf(g.Gate, figure); !strings.Contains(page, `<td data-head="`+head+`">`+f.Value+` <span class="interval">`+f.Interval+"</span><small>"+f.Runs) {
				t.Errorf("%s: the figures of the %s are not in its column: %+v", app, head, f)
			}
		}
		if strings.Count(page, `<svg class="plot `) != len(answer.Verdict.Gates)+len(answer.Verdict.Signals) {
			t.Errorf("%s: %d drawings", app, strings.Count(page, `<svg class="plot `))
		}
		for _, c := range answer.Verdict.Checks {
			if shown := strings.Contains(page, "<b>"+strings.ReplaceAll(c.Check, "_", " ")+"</b>"); shown != (c.Status != api.CheckOK) {
				t.Errorf("%s: the check %s is %s and shown: %v", app, c.Check, c.Status, shown)
			}
		}
	}
}

// What the form asks for is what is compared, and what the address says.
func TestCompareForm(t *testing.T) {
	h := newHouse(t)
	h.traffic("worse", 60, 3, 30, 9)
	q := form("app", "worse", "environment", "production", "baseline", "v36", "candidate", "v37", "gates", "success:margin=0.6\n\n latency_ms:mean:on=hold \n", "pair", "none")
	page := h.page(h.ownerKey, "/compare?"+q.Encode())
	if got := strings.Join(verdicts(page), " "); got != "clean clean clean" {
		t.Errorf("with a wide margin: %s", got)
	}
	for _, want := range []string{"margin 60.0 points", "holds only", `value="v36"`, `<option selected>none</option>`, "success:margin=0.6\n", `class="margin"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing", want)
		}
	}
	m := regexp.MustCompile(`href="(/compare[^"]*)">The other way round`).FindStringSubmatch(page)
	if m == nil {
		t.Fatal("no way to compare the other way round")
	}
	u := must(url.Parse(html.UnescapeString(m[1])))
	if u.Query().Get("baseline") != "v37" || u.Query().Get("candidate") != "v36" || u.Query().Get("gates") != q.Get("gates") || u.Query().Get("pair") != "none" {
		t.Errorf("%s", u)
	}
}

// Before anything is asked for, the newest two releases are proposed, and nothing is compared.
func TestCompareProposes(t *testing.T) {
	h := newHouse(t)
	empty := h.page(h.ownerKey, "/compare")
	for _, want := range []string{"no two releases to compare", "PROVA_BASE_URL=http://example.com", "/api/v1/audit/ingest", escaped(`"release":"v36"`), escaped(`"release":"v37"`)} {
		if !strings.Contains(empty, want) {
			t.Errorf("%s is missing in the empty page", want)
		}
	}
	h.record(h.owner, event("it's", "v1", true))
	one := h.page(h.ownerKey, "/compare")
	if !strings.Contains(one, escaped(shell(`{"kind":"agent_run","source":{"app_id":"it's","release":"NEXT-RELEASE"},"metrics":{"latency_ms":812,"success":true}}`))) {
		t.Errorf("with one release: %s", one)
	}
	for i := range 12 {
		h.record(h.owner, event("it's", "r"+strconv.Itoa(i), true))
	}
	h.record(h.owner, event("other", "x1", true), event("it's", "", true))
	staged := event("it's", "staged", true)
	staged.Source.Environment = "staging"
	h.record(h.owner, staged, event("it's", "r11", true))
	page := h.page(h.ownerKey, "/compare")
	for _, want := range []string{`name="app" value="it&#39;s"`, `name="baseline" value="r10"`, `name="candidate" value="r11"`, "and 5 more", `<option value="r0">1 run</option>`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if len(verdicts(page)) > 0 {
		t.Error("something is compared that nobody asked for")
	}
	if page := h.page(h.ownerKey, "/compare?app=other"); !strings.Contains(page, `name="baseline" value=""`) || !strings.Contains(page, "<b>") || !strings.Contains(page, "x1") {
		t.Error("an app with one release")
	}
	if page := h.page(h.ownerKey, "/compare?app=it%27s&environment=staging"); !strings.Contains(page, `name="baseline" value=""`) || !strings.Contains(page, `<option value="staged">`) || strings.Contains(page, `<option value="r0">`) {
		t.Error("an environment with one release")
	}
	if page := h.page(h.ownerKey, "/compare?app=nobody"); !strings.Contains(page, "was seen in production") {
		t.Error("an app that nobody saw")
	}
}

// What is wrong with a question stands above the form, which keeps what was typed.
func TestCompareProblems(t *testing.T) {
	h := newHouse(t)
	h.traffic("a", 2, 1, 0, 0)
	for query, want := range map[string]string{
		"?app=a&baseline=v36&candidate=v38":                              `carries the release "v38"`,
		"?app=a&baseline=v36&candidate=v36":                              "compared with itself",
		"?app=a&baseline=&candidate=v36":                                 "baseline is empty",
		"?app=&baseline=v36&candidate=v37":                               "app_id is empty",
		"?app=a&baseline=v36&candidate=v37&pair=x":                       "pair is auto, probe or none",
		"?app=a&baseline=v36&candidate=v37&gates=solved":                 "better=higher",
		"?app=a&baseline=v36&candidate=v37&environment=staging":          `environment "staging"`,
		"?app=a&baseline=v36&candidate=v37&gates=success:p42":            "unknown statistic",
		"?app=a&baseline=v36&candidate=v37&gates=success%0Asuccess:rate": "named twice",
		"?app=%3Cb%3E&baseline=%3Cb%3E&candidate=%22%3E%3Cb%3E":          "carries the release",
	} {
		w := h.ask(h.ownerKey, "GET", "/compare"+query, nil)
		if page := w.Body.String(); w.Code != 400 || !strings.Contains(page, `role="alert"`) || !strings.Contains(page, escaped(want)) || len(verdicts(page)) > 0 || strings.Contains(page, "<b>\"") {
			t.Errorf("%s: %d %s", query, w.Code, page)
		} else if v := must(url.ParseQuery(query[1:])).Get("candidate"); !strings.Contains(page, `name="candidate" value="`+escaped(v)+`"`) {
			t.Errorf("%s: what was typed is gone", query)
		}
	}
}

// Pairs are counted by how both releases came out.
func TestComparePairs(t *testing.T) {
	h := newHouse(t)
	for i := range 40 {
		probe := "claim-" + strconv.Itoa(i)
		h.record(h.owner, replayed("a", "v36", probe, i%10 != 1), replayed("a", "v37", probe, i%5 != 2))
	}
	h.record(h.owner, event("a", "v37", true))
	page := h.page(h.ownerKey, "/compare?app=a&baseline=v36&candidate=v37")
	table := regexp.MustCompile(`(?s)<table class="two-by-two">.*?</table>`).FindString(page)
	var cells []string
	for _, m := range regexp.MustCompile(`<td[^>]*>(\d+)</td>`).FindAllStringSubmatch(table, -1) {
		cells = append(cells, m[1])
	}
	if strings.Join(cells, " ") != "28 8 4 0" || !strings.Contains(page, "Both releases ran 40 probes. 12 came out otherwise") || !strings.Contains(page, "1 run of the candidate") {
		t.Errorf("%v in %s", cells, page)
	}
	if page := h.page(h.ownerKey, "/compare?app=a&baseline=v36&candidate=v37&pair=none"); strings.Contains(page, "two-by-two") {
		t.Error("pairs that nobody asked for")
	}
}

// Nothing of another org or environment is suggested or compared, and names stay names.
func TestCompareForeign(t *testing.T) {
	h := newHouse(t)
	h.traffic("secret-app", 10, 1, 0, 0)
	other := must(h.CreateOrg(t.Context(), h.owner, api.CreateOrg{Name: "other"})).OwnerKey
	staging := h.key(api.CreateAPIKey{Name: "staging", Environment: "staging", Permissions: []api.Permission{api.ReleaseRead}})
	for _, key := range []string{other, staging} {
		if page := h.page(key, "/compare"); strings.Contains(page, "secret-app") {
			t.Error("what is foreign is suggested")
		}
		if w := h.ask(key, "GET", "/compare?app=secret-app&baseline=v36&candidate=v37", nil); w.Code != 400 || len(verdicts(w.Body.String())) > 0 {
			t.Errorf("what is foreign is compared: %d", w.Code)
		}
	}
	if w := h.ask(staging, "GET", "/compare?app=secret-app&environment=production&baseline=v36&candidate=v37", nil); w.Code != 403 || !strings.Contains(w.Body.String(), "limited to the environment") {
		t.Errorf("another environment: %d", w.Code)
	}
}

// The drawing keeps harm on the left and zero in the middle.
func TestDifferencePlot(t *testing.T) {
	for _, c := range []struct {
		name   string
		better api.Better
		d      api.Difference
		margin float64
		worse  bool
		left   string
	}{
		{"a rate that fell", api.BetterHigher, api.Difference{Estimate: -0.1, Lo: -0.2, Hi: -0.05}, 0.02, true, "−21.0 points"},
		{"a rate that rose", api.BetterHigher, api.Difference{Estimate: 0.1, Lo: 0.05, Hi: 0.2}, 0, false, "−21.0 points"},
		{"errors that rose", api.BetterLower, api.Difference{Estimate: 0.1, Lo: 0.05, Hi: 0.2, Open: api.OpenHi}, 0.02, true, "+21.0 points"},
		{"errors that fell", api.BetterLower, api.Difference{Estimate: -0.1, Lo: -0.2, Hi: -0.05}, 0, false, "+21.0 points"},
	} {
		g := api.GateResult{Gate: api.Gate{Metric: "m", Statistic: api.StatisticRate, Better: c.better, Margin: api.Margin{Value: c.margin}}, Difference: &c.d}
		p := plotDifference(g, reach(g))
		if p.Zero != plotWidth/2 || p.Left != c.left || !(p.Lo <= p.At && p.At <= p.Hi) || (p.Hi < p.Zero) != c.worse || (p.Margin != nil) != (c.margin > 0) || p.Margin != nil && *p.Margin >= p.Zero {
			t.Errorf("%s: %+v", c.name, p)
		}
		if p.OpenLo != (c.d.Open != "") || p.OpenHi {
			t.Errorf("%s: the open limit is on the wrong side", c.name)
		}
	}
	none := plotDifference(api.GateResult{Difference: &api.Difference{}}, 0)
	if none.Lo != none.Zero || none.Hi != none.Zero || none.Left != "" || none.Right != "" {
		t.Errorf("nothing differs: %+v", none)
	}
}

var _ Comparisons = (*authority.Authority)(nil)

// pairedComparison records runs of probes and returns the address of their comparison.
func (h *house) pairedComparison() string {
	h.t.Helper()
	var events []api.Event
	for i := range 60 {
		probe := "claim-" + strconv.Itoa(i)
		events = append(events, replayed("paired", "v36", probe, i%12 != 1), replayed("paired", "9f2d6c1a7b3e5f80a1b2c3d4e5f60718293a4b5c", probe, i%4 != 2))
	}
	h.record(h.owner, events...)
	return "/compare?app=paired&baseline=v36&candidate=9f2d6c1a7b3e5f80a1b2c3d4e5f60718293a4b5c"
}
