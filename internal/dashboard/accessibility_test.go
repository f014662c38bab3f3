package dashboard

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// axe is the source of axe-core as testdata/package-lock.json pins it, which npm
// installs into a folder of the test and runs nothing of.
func axe(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("PROVA_REQUIRE_ALL") != "" {
			t.Fatal("npm is missing")
		}
		t.Skip("NOT TESTED: npm is missing (Debian: npm)")
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), must(os.ReadFile(filepath.Join("testdata", name))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return string(must(os.ReadFile(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"))))
}

// serious runs axe-core on the page with all that is folded away open, and
// returns what it finds that is serious or critical. The page's own policy
// forbids foreign scripts; what the browser's debugger evaluates it lets pass.
func (b *tab) serious(source string, rules string) []string {
	b.Helper()
	b.do(`document.querySelectorAll("details").forEach((d) => { d.open = true; }); if (!("axe" in window)) { ` + source + ` }`)
	return eval[[]string](b, `axe.run(document, `+rules+`).then((found) => found.violations
		.filter((v) => v.impact === "serious" || v.impact === "critical")
		.flatMap((v) => v.nodes.map((n) => v.id + " at " + n.target.join(" ") + ": " + n.failureSummary.replace(/\s+/g, " "))))`)
}

// What axe-core looks at: all of it, or only what the width or the scheme of
// colours of the same elements changes.
const (
	everyRule = `{ preload: false, resultTypes: ["violations"] }`
	widths    = `{ preload: false, resultTypes: ["violations"], runOnly: ["scrollable-region-focusable", "target-size", "label", "button-name", "link-name", "aria-hidden-focus"] }`
	contrast  = `{ preload: false, resultTypes: ["violations"], runOnly: ["color-contrast", "link-in-text-block"] }`
)

// TestAccessible: on no page, in no state, wide or narrow, light or dark, does
// axe-core find anything serious or critical.
func TestAccessible(t *testing.T) {
	browser := chromium(t)
	source := axe(t)
	h := newHouse(t)
	h.clock.at = time.Now().Add(-6 * time.Hour)
	url := h.served()
	looks := func(t *testing.T, b *tab, name string) {
		t.Helper()
		for _, c := range []struct {
			width  int64
			scheme string
			rules  string
		}{{1180, "light", everyRule}, {320, "light", widths}, {1180, "dark", contrast}} {
			b.look(c.width, 900, c.scheme, "screen")
			for _, v := range b.serious(source, c.rules) {
				t.Errorf("%s, %d pixels, %s: %s", name, c.width, c.scheme, v)
			}
		}
	}
	outside := openPage(browser, t, url+"/sign-in", "", "#key")
	looks(t, outside, "/sign-in")
	outside.goTo(url + "/verify")
	outside.until(`document.getElementById("sample") && document.readyState === "complete"`)
	looks(t, outside, "/verify")
	outside.do(`document.getElementById("sample").click()`)
	outside.until(`["verified", "consistent"].includes(document.getElementById("result").dataset.status) && ` + `document.getElementById("change").disabled === false`)
	looks(t, outside, "/verify with a sample")

	b := enter(browser, t, url, h.ownerKey, "/rollouts")
	for _, path := range []string{"/rollouts", "/rollouts/new", "/releases", "/compare", "/vault", "/judge", "/webhooks", "/rollouts/rol_nothing"} {
		b.goTo(url + path)
		looks(t, b, path+" of nothing")
	}
	pages := h.everyPage(h.states())
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		b.goTo(url + pages[name])
		looks(t, b, name)
	}
	for _, c := range []struct{ name, path, form, fill, shown string }{
		{"a key refused", "/keys", ".fields", ``, `#refused`},
		{"a key made", "/keys", ".fields", `f.elements.name.value = "an agent"; f.querySelector("input[value='audit.ingest']").checked = true;`, `#secret`},
		{"a webhook refused", "/webhooks", ".fields", `f.querySelectorAll("[type=checkbox]").forEach((box) => { box.checked = false; });`, `#refused`},
		{"a rollout refused", "/rollouts/new", ".create", `f.elements.app.value = "a";`, `.problem`},
		{"a bundle refused", "/vault", ".takes form", `f.elements.rollout.value = "rol_nothing";`, `.problem`},
		{"a comparison refused", "/compare", ".compare-form", `f.elements.candidate.value = f.elements.baseline.value;`, `.problem`},
	} {
		b.goTo(url + c.path)
		b.do(`const f = document.querySelector("form` + c.form + `, ` + c.form + `"); ` + c.fill + ` f.noValidate = true; setTimeout(() => f.submit())`)
		b.until(`document.querySelector("` + c.shown + `") && document.readyState === "complete"`)
		looks(t, b, c.name)
	}
}

// reaching collects what has the focus, in order, and whether it can be seen to.
const reaching = `window.reached = []; document.addEventListener("focusin", (e) => {
	const shown = [e.target, document.querySelector('label[for="' + CSS.escape(e.target.id || "-") + '"]')].some((x) => {
		if (!x) return false;
		const style = getComputedStyle(x), box = x.getBoundingClientRect();
		return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1 && style.opacity !== "0" && box.right > 0;
	});
	window.reached.push([e.target, shown]);
});`

// unreached are what a reader with a keyboard should come to and did not, and what they came to and could not see.
const unreached = `(() => {
	const name = (e) => e.outerHTML.slice(0, 120);
	const first = (e) => e.type !== "radio" || e.checked || !document.querySelector('input[type="radio"][name="' + e.name + '"]:checked');
	const wanted = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
		.filter((e) => !e.matches(":disabled, [type='hidden']") && e.checkVisibility({ visibilityProperty: true }) && first(e));
	const came = new Set(window.reached.map(([e]) => e));
	return wanted.filter((e) => !came.has(e)).map((e) => "is never reached: " + name(e))
		.concat(window.reached.filter(([e, shown]) => !shown).map(([e]) => "has the focus unseen: " + name(e)));
})()`

// TestKeyboard: the tabulator comes to every element that does something, the
// focus can be seen there, and the first stop skips to the content.
func TestKeyboard(t *testing.T) {
	browser := chromium(t)
	h := newHouse(t)
	h.clock.at = time.Now().Add(-6 * time.Hour)
	url := h.served()
	b := enter(browser, t, url, h.ownerKey, "/rollouts")
	b.look(1180, 900, "light", "screen")
	pages := h.everyPage(h.states())
	pages["verify"] = "/verify"
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		b.goTo(url + pages[name])
		b.until(`document.readyState === "complete"`)
		b.do(reaching)
		// A field for a time has a stop for each of its parts.
		stops := eval[int](b, `document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0'], pre").length + 8 * document.querySelectorAll("[type='datetime-local']").length`)
		b.run(chromedp.KeyEvent(strings.Repeat(kb.Tab, stops+2)))
		for _, fault := range eval[[]string](b, unreached) {
			t.Errorf("%s: %s", pages[name], fault)
		}
		if skip := eval[bool](b, `window.reached[0]?.[0].matches(".skip") ?? false`); !skip {
			t.Errorf("%s: the first stop is no link to the content", pages[name])
		}
	}
	b.goTo(url + "/rollouts")
	b.run(chromedp.KeyEvent(kb.Tab + kb.Enter))
	b.until(`document.activeElement.id === "main"`)
}
