package dashboard

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// keptDemo runs prova demo --keep until the test ends, and returns where it answers and the owner's key.
func keptDemo(t *testing.T) (url, key string) {
	t.Helper()
	program, data := filepath.Join(t.TempDir(), "prova"), filepath.Join(t.TempDir(), "data")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/prova").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	demo := exec.Command(program, "demo", "--keep", "--data", data)
	out, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := demo.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := demo.Wait(); err != nil {
			t.Error(err)
		}
	})
	found := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if m := regexp.MustCompile(`goes on at (http://\S+)`).FindStringSubmatch(lines.Text()); m != nil {
				found <- m[1]
			}
		}
		close(found)
		_, _ = io.Copy(io.Discard, out)
	}()
	if url = <-found; url == "" {
		t.Fatal("the demo ended before its server was left running")
	}
	return url, strings.TrimSpace(string(must(os.ReadFile(filepath.Join(data, "owner-key")))))
}

// leads returns where a link below a path leads, in a part of the page that has a text.
func (b *tab) leads(path, text string) string {
	b.Helper()
	found := eval[string](b, `[...document.querySelectorAll('a[href^="`+path+`"]')].find((a) => (a.closest(".row, li, tr, article") ?? document.body).innerText.includes(`+quoted(text)+`))?.getAttribute("href") ?? ""`)
	if found == "" {
		b.Fatalf("no link to %s with %q", path, text)
	}
	return found
}

// pictureDemo writes each page of the kept demo in both schemes and for a narrow window.
func pictureDemo(browser context.Context, t *testing.T) {
	t.Helper()
	url, key := keptDemo(t)
	b := openPage(browser, t, url+"/sign-in", "", "#key")
	b.pictures(screen{name: "sign-in"})
	b = enter(browser, t, url, key, "/rollouts")
	watched, judged := b.leads("/rollouts/rol_", "claims-agent"), b.leads("/rollouts/rol_", "billing-agent")
	b.goTo(url + "/webhooks")
	hook := b.leads("/webhooks/", "router")
	b.goTo(url + watched)
	receipt := b.leads("/receipts/", "advancing")
	for _, s := range []screen{
		{name: "rollouts", path: "/rollouts"},
		{name: "rollout", path: watched, dark: "#looks-title"},
		{name: "create", path: "/rollouts/new?app=claims-agent&baseline=v36&candidate=v39&mode=canary&steps=5,25,50,100&gates=success:margin=0.02"},
		{name: "receipt", path: receipt, before: `document.getElementById("verify").click()`, ready: `!document.getElementById("checked").hidden && document.getElementById("outcome").ariaBusy !== "true"`},
		{name: "releases", path: "/releases"},
		{name: "release", path: "/releases/claims-agent"},
		{name: "compare", path: "/compare?app=claims-agent&baseline=v36&candidate=v37&pair=probe&gates=success:margin=0.02%0Alatency_ms:mean:on=hold:margin=10%25"},
		{name: "vault", path: "/vault"},
		{name: "judge", path: "/judge?rollout=" + strings.TrimPrefix(judged, "/rollouts/"), dark: "#judgments-title"},
		{name: "webhooks", path: "/webhooks"},
		{name: "webhook", path: hook},
		{name: "keys", path: "/keys"},
		{name: "settings", path: "/settings"},
	} {
		b.goTo(url + s.path)
		if s.before != "" {
			b.do(s.before)
			b.until(s.ready)
		}
		b.pictures(s)
	}
	b.clean()
}

// screen is a page to write pictures of.
type screen struct {
	name, path string
	// dark is what the dark picture begins with; empty is the top of the page.
	dark string
	// before is done on the page, and ready is when that is over.
	before, ready string
}

// pictures writes an open page as it looks light, dark and narrow: all of it, or as much as a high window shows.
func (b *tab) pictures(s screen) {
	b.Helper()
	const low, high = 500, 1300
	for _, c := range []struct {
		name, scheme, top string
		width             int64
	}{{"light", "light", "", 1080}, {"dark", "dark", s.dark, 1080}, {"narrow", "light", "", 390}} {
		b.look(c.width, low, c.scheme, "screen")
		b.until(`document.querySelectorAll('[aria-busy="true"]').length === 0`)
		height := eval[int64](b, `document.documentElement.scrollHeight`)
		b.look(c.width, min(height, high), c.scheme, "screen")
		b.do(`scrollTo(0, 0)`)
		if c.top != "" {
			b.do(`document.querySelector(` + quoted(c.top) + `).scrollIntoView(); scrollBy(0, -16)`)
		}
		b.picture(*screens, s.name+"-"+c.name)
	}
}
