package dashboard

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
)

// hostileNames are names as ingest takes them that would like to be more.
func hostileNames() []string {
	return []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `javascript:alert(1)`, `</textarea><script>alert(1)</script>`,
		`</title></style><svg onload=alert(1)>`, `{{.}}`, `&lt;script&gt;`, `..`, `.`, `a/../b`, `//evil.example`, `?x=1&y=2#z`, `%2e%2e%2f`, "\u202eevil", `--></noscript><b>`, "`${alert(1)}`", `]]><x>`,
	}
}

// pagesOfNames are pages that show the names of what was recorded for an app.
func (h *house) pagesOfNames(app, baseline, candidate, metric string) []string {
	h.t.Helper()
	first, second := event(app, baseline, true), event(app, candidate, true)
	for _, e := range []*api.Event{&first, &second} {
		e.Metrics[metric] = api.Number(1)
		e.ProbeID, e.RunID, e.Kind = metric, metric, api.KindAgentRun
	}
	h.record(h.owner, first, second)
	compared := form("app", app, "baseline", baseline, "candidate", candidate, "gates", "success\n"+metric+":mean:better=higher")
	return []string{"/vault?kind=agent_run", "/vault?" + form("app", app, "release", candidate, "probe", metric).Encode(), "/releases", releasesPath(app, nil), "/releases?" + form("app", app).Encode(), "/compare?" + form("app", app).Encode(), "/compare?" + compared.Encode()}
}

// markup is what of a page is no text: its elements with the names of their attributes.
func markup(page string) string {
	var b strings.Builder
	for _, element := range regexp.MustCompile(`<[^>]*>`).FindAllString(page, -1) {
		b.WriteString(regexp.MustCompile(`="[^"]*"`).ReplaceAllString(element, "") + "\n")
	}
	return b.String()
}

// TestNamesAreText: whatever names come from outside, the pages that show them
// have the elements and attributes that they have with harmless ones.
func TestNamesAreText(t *testing.T) {
	harmless := newHouse(t)
	var want []string
	for _, path := range harmless.pagesOfNames("app", "one", "two", "three") {
		want = append(want, markup(harmless.page(harmless.ownerKey, path)))
	}
	for _, name := range hostileNames() {
		h := newHouse(t)
		metric := strings.NewReplacer(":", "", "=", "").Replace(name)
		for i, path := range h.pagesOfNames(name, name, name+"2", metric) {
			w := h.ask(h.ownerKey, http.MethodGet, path, nil)
			page := w.Body.String()
			if got := markup(page); w.Code != 200 || got != want[i] {
				t.Errorf("%q in %s: status %d, and the page becomes\n%s", name, path, w.Code, page)
			}
			if found := regexp.MustCompile(`(?i)(href|action|src)="\s*(javascript:|data:|//)`).FindString(page); found != "" {
				t.Errorf("%q in %s: %s", name, path, found)
			}
		}
	}
}
