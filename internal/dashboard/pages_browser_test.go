package dashboard

import (
	"context"
	"flag"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// served puts a house on the network.
func (h *house) served() string {
	h.t.Helper()
	s := httptest.NewServer(h.mux)
	h.t.Cleanup(s.Close)
	h.t.Cleanup(h.pages.Drain) // first: who waits for news goes home
	return s.URL
}

// enter signs in with the form, as a reader does, and opens a page.
func enter(browser context.Context, t *testing.T, url, key, path string) *tab {
	t.Helper()
	b := openPage(browser, t, url+"/sign-in?next="+path, "", "#key")
	b.do(`document.getElementById("key").value = ` + quoted(key) + `; setTimeout(() => document.querySelector("form button.primary").click())`)
	b.until(`location.pathname !== "/sign-in" && document.readyState === "complete"`)
	return b
}

// do runs a statement in the page.
func (b *tab) do(statement string) {
	b.Helper()
	eval[bool](b, `(() => { `+statement+`; return true; })()`)
}

// until waits for a condition, over navigations too.
func (b *tab) until(condition string) {
	b.Helper()
	for {
		found, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`!!(`+condition+`)`))
		if err == nil && found {
			return
		}
		if b.ctx.Err() != nil {
			b.Fatalf("waited in vain for %s; the page says:\n%s", condition, eval[string](b, `document.body.innerText`))
		}
		chromedp.Do(b.ctx, chromedp.Sleep(20_000_000)) //nolint:errcheck // the condition is what counts
	}
}

// goTo opens another page in the tab.
func (b *tab) goTo(url string) {
	b.Helper()
	b.run(chromedp.Navigate(url), chromedp.WaitReady("main"))
}

func (b *tab) look(width, height int64, scheme, media string) {
	b.Helper()
	b.run(chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Media: media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

var pictures = flag.String("pictures", "", "a directory to write pictures of all pages in all states to")

// picture writes what the tab shows to a directory, if there is one.
func (b *tab) picture(directory, name string) {
	b.Helper()
	if directory == "" {
		return
	}
	b.do(`document.activeElement?.blur()`)
	eval[bool](b, `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(directory, name+".png"), small(picture), 0o644); err != nil {
		b.Fatal(err)
	}
}

// TestPagesInABrowser opens every page in every state, in each width and
// scheme, and on paper: nothing complains, nothing is wider than its window.
//
//	go test ./internal/dashboard -run PagesInABrowser -pictures /tmp/pictures
func TestPagesInABrowser(t *testing.T) {
	browser := chromium(t)
	h := newHouse(t)
	h.clock.at = time.Now().Add(-6 * time.Hour) // what is recorded below takes hours of it
	url := h.served()
	empty := enter(browser, t, url, h.ownerKey, "/rollouts")
	empty.picture(*pictures, "rollouts-empty")
	for _, page := range []string{"releases", "compare", "vault"} {
		empty.goTo(url + "/" + page)
		empty.picture(*pictures, page+"-empty")
	}
	empty.clean()
	ids := h.states()
	b := enter(browser, t, url, h.ownerKey, "/rollouts")
	for name, path := range h.everyPage(ids) {
		b.goTo(url + path)
		if title := eval[string](b, `document.title`); strings.Contains(title, "error") || strings.Contains(title, "ot found") {
			t.Errorf("%s: %s", path, title)
		}
		if at := eval[string](b, `location.pathname`); at != strings.Split(path, "?")[0] {
			t.Fatalf("%s leads to %s", path, at)
		}
		for _, c := range []struct {
			name          string
			width, height int64
			scheme, media string
		}{
			{"light", 1180, 1400, "light", "screen"},
			{"dark", 1180, 1400, "dark", "screen"},
			{"narrow", 390, 1400, "light", "screen"},
			{"", 320, 900, "dark", "screen"},
			{"print", 800, 1100, "light", "print"},
		} {
			b.look(c.width, c.height, c.scheme, c.media)
			if eval[bool](b, `document.documentElement.scrollWidth > innerWidth`) {
				t.Errorf("%s: at %d pixels the page is wider than its window: %s", path, c.width, eval[string](b, protruding))
			}
			if c.name != "" {
				b.picture(*pictures, name+"-"+c.name)
			}
		}
	}
	b.clean()
	for _, request := range b.sent() {
		if !strings.Contains(request, url) && !strings.Contains(request, "data:") {
			t.Errorf("a page asked %s", request)
		}
	}
}

// protruding names the innermost elements that reach beyond the window.
const protruding = `[...document.querySelectorAll("main *")]
	.filter((e) => e.getBoundingClientRect().right > innerWidth && ![...e.children].some((c) => c.getBoundingClientRect().right > innerWidth))
	.map((e) => e.outerHTML.slice(0, 200)).join("\n")`

// everyPage are the paths of all pages in all states, by name.
func (h *house) everyPage(ids map[string]string) map[string]string {
	paths := map[string]string{
		"rollouts": "/rollouts", "rollouts-none": "/rollouts?app=nobody", "create": "/rollouts/new",
		"create-plan": "/rollouts/new?app=held&baseline=v36&candidate=v38&mode=canary&steps=10,100&gates=success:margin=0.02",
	}
	maps.Copy(paths, map[string]string{
		"releases": "/releases", "releases-of": h.manyReleases(), "releases-few": "/releases/held", "releases-none": "/releases/held?environment=staging",
		"compare": "/compare", "compare-regressed": "/compare?app=rolled-back&baseline=v36&candidate=v37&gates=success:margin=0.02%0Alatency_ms:p95:on=hold:margin=5%25",
		"compare-clean": "/compare?app=advanced&baseline=v36&candidate=v37", "compare-few": "/compare?app=held&baseline=v36&candidate=v37",
		"compare-pairs": h.pairedComparison(),
		"vault":         h.fullVault(ids), "vault-rollout": "/vault?rollout=" + ids["advanced"] + "&environment=production", "vault-none": "/vault?app=nobody",
	})
	for name, id := range ids {
		paths["rollout-"+name] = "/rollouts/" + id
		if d := must(h.Rollout(h.t.Context(), h.owner, id)).LastDecision; name == "held" || name == "aborted" {
			paths["receipt-"+name] = "/receipts/" + d.EventID
		}
	}
	maps.Copy(paths, h.settingsPages())
	return paths
}
