package dashboard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
)

// corpus are texts that become markup, script or another address where a page is careless.
func corpus() []string {
	return []string{
		`<script>pwned()</script>`,
		`"><img src=x onerror=pwned()>`,
		`'><svg onload=pwned()>`,
		`</textarea><script>pwned()</script>`,
		`</title></style><script>pwned()</script>`,
		`</pre><iframe srcdoc="<script>parent.pwned()</script>">`,
		`javascript:pwned()//`,
		`" autofocus onfocus=pwned() x="`,
		`{{template "main"}}${pwned()}`,
		`&lt;script&gt;pwned()&lt;/script&gt;`,
		`]]><b>`, `<a href=//evil.example>here</a>`, "\u202egnp.exe",
		`<!--<script>--><a href=javascript:pwned()>x</a>`,
		"\u202e<b>\u2028pwned"[:len("\u202e<b>")],
	}
}

// hostile makes an org in which every text that a client chooses is from the corpus.
func (h *house) hostile() []string {
	h.t.Helper()
	var paths []string
	for i, x := range corpus() {
		app := x + " app"
		run := func(release string, success bool) api.Event {
			return api.Event{
				Kind: api.KindAgentRun, Source: api.EventSource{AppID: app, Release: release, Environment: x, Framework: x}, ProbeID: x, RunID: fmt.Sprint(x, i, release),
				Metrics: map[string]api.Metric{"success": api.Bool(success), x: api.Number(1)},
			}
		}
		ro, _, err := h.CreateRollout(h.t.Context(), h.owner, api.CreateRollout{
			AppID: app, Environment: x, BaselineRelease: x + " b", CandidateRelease: x + " c", Mode: api.ModeCanary, Labels: map[string]string{x: x},
			Gates: []api.Gate{must(api.Gate{Metric: "success"}.Complete()), {Metric: x, Statistic: api.StatisticMean, Better: api.BetterHigher, On: api.OnHold}},
		})
		if err != nil {
			h.t.Fatal(err)
		}
		for range 12 {
			h.record(h.owner, run(x+" b", true), run(x+" c", false))
		}
		h.tick(ro.ID)
		must(h.Pause(h.t.Context(), h.owner, ro.ID, x))
		d := must(h.Rollout(h.t.Context(), h.owner, ro.ID)).LastDecision
		paths = append(paths, "/rollouts/"+ro.ID, "/receipts/"+d.EventID)
		q := form("app", app, "baseline", x, "candidate", x+"c", "environment", x, "gates", x, "steps", x, "mode", x, "attempt_reason", x, "error_budget", x)
		paths = append(paths, "/rollouts/new?"+q.Encode(), "/rollouts?"+form("app", x, "state", x, "mode", x, "done", x).Encode())
	}
	return append(paths, "/rollouts")
}

// Nothing that a client chose becomes markup, on any page.
func TestInjection(t *testing.T) {
	h := newHouse(t)
	paths := h.hostile()
	for _, path := range paths {
		w := h.ask(h.ownerKey, "GET", path, nil)
		body := w.Body.String()
		if w.Code != 200 && w.Code != 400 || len(body) < 500 {
			t.Errorf("%.60s: %d", path, w.Code)
		}
		for _, x := range corpus() {
			if strings.ContainsAny(x, "<\"") && strings.Contains(body, x) {
				t.Errorf("%.60s holds %s", path, x)
			}
		}
		if strings.Contains(strings.ToLower(body), `href="javascript:`) {
			t.Errorf("%.60s has an address that runs", path)
		}
	}
	for _, x := range corpus() {
		w := h.ask("", "POST", "/sign-in", form("key", x, "next", x))
		if strings.Contains(w.Body.String(), x) && strings.ContainsAny(x, "<\"") {
			t.Errorf("the sign-in holds %s", x)
		}
	}
}

// And no browser runs any of it, neither at once nor after news.
func TestInjectionInABrowser(t *testing.T) {
	browser := chromium(t)
	h, url := lively(t)
	paths := h.hostile()
	b := enter(browser, t, url, h.ownerKey, "/rollouts")
	for _, path := range paths {
		if strings.HasPrefix(path, "/rollouts/new") { // each plays a policy
			continue
		}
		b.goTo(url + path)
		b.do(`window.pwned = () => { window.violations.push("it ran"); }; document.querySelector("main").click()`)
	}
	b.do(`document.querySelector("[data-live]").dataset.every = "0"; document.querySelector("main").addEventListener("renewed", () => { window.renewed = true; })`)
	h.clock.pass(2 * time.Minute)
	b.until(`window.renewed`)
	b.clean()
}
