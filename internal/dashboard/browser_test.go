package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is for a busy machine; nothing waits that long when all is well.
const patience = 10 * time.Minute

// shared is the one browser of all tests: to start it takes longer than to use it.
var shared struct {
	sync.Once
	ctx  context.Context
	why  string // there is none
	fail error
	end  []func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, end := range shared.end {
		defer end()
	}
	defer os.Exit(code)
}

// chromium returns the browser in which tests open tabs.
func chromium(t *testing.T) context.Context {
	t.Helper()
	shared.Do(startBrowser)
	if shared.why != "" {
		if os.Getenv("PROVA_REQUIRE_ALL") != "" {
			t.Fatal(shared.why)
		}
		t.Skip(shared.why)
	}
	if shared.fail != nil {
		t.Fatal(shared.fail)
	}
	return shared.ctx
}

func startBrowser() {
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		shared.why = "NOT TESTED: no browser is installed (Debian: chromium)"
		return
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(patience),
		chromedp.Flag("disable-component-extensions-with-background-pages", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("no-crashpad", true))
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	browser, endBrowser := chromedp.NewContext(allocator)
	shared.ctx, shared.end = browser, []func(){end, endBrowser} // deferred: the last one first
	shared.fail = chromedp.Do(browser)
}

// site is a server with the pages and the public keys of a fixture.
type site struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string
	keys     string
	status   int
}

func newSite(t *testing.T, keys string) *site {
	t.Helper()
	s := &site{keys: keys, status: http.StatusOK}
	pages, err := New(Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	pages.Mount(mux)
	mux.HandleFunc("GET /api/v1/keys", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(s.status)
		fmt.Fprint(w, s.keys)
	})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI())
		s.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// seen are the requests since the last call.
func (s *site) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.requests
	s.requests = nil
	return seen
}

// tab is a page of a browser and what went wrong on it.
type tab struct {
	*testing.T
	ctx context.Context

	mu       sync.Mutex
	faults   []string
	requests []string
}

// open opens the page that verifies in a tab of its own. before runs in the page before its scripts.
func open(browser context.Context, t *testing.T, url, before string) *tab {
	t.Helper()
	return openPage(browser, t, url, before, "#outcome")
}

// openPage opens a page in a tab of its own, and waits for an element.
func openPage(browser context.Context, t *testing.T, url, before, ready string) *tab {
	t.Helper()
	ctx, end := chromedp.NewContext(browser)
	t.Cleanup(end)
	ctx, end = context.WithTimeout(ctx, patience)
	t.Cleanup(end)
	b := &tab{T: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	b.run(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, log.Enable, cdp.Empty{})
		if err == nil {
			_, err = cdp.Call(ctx, t, network.Enable, network.EnableParams{})
		}
		if err == nil {
			_, err = cdp.Call(ctx, t, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: `
				window.violations = [];
				addEventListener("securitypolicyviolation", (e) => window.violations.push(e.violatedDirective + " " + e.blockedURI));` + before})
		}
		return err
	}), chromedp.Navigate(url), chromedp.WaitReady(ready))
	return b
}

func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		b.faults = append(b.faults, "log: "+e.Entry.Text)
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, "exception: "+quoted(e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		b.faults = append(b.faults, "console: "+string(e.Type))
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.Method+" "+e.Request.URL)
	}
}

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.Fatal(err)
	}
}

// eval runs an expression, which may be a promise, and reads its value.
func eval[T any](b *tab, expression string) T {
	b.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatal(err)
	}
	return value
}

func quoted(v any) string { return string(must(json.Marshal(v))) }

// settled waits until the page shows the result of what it holds.
const settled = `new Promise((done) => {
	const look = () => {
		const busy = document.querySelectorAll('#outcome[aria-busy="true"], #change:enabled ~ #changed[aria-busy="true"]');
		busy.length === 0 ? done(true) : setTimeout(look, 5);
	};
	look();
})`

// paste puts text into fields, as a reader would, and waits for the result.
func (b *tab) paste(values map[string]string) {
	b.Helper()
	eval[bool](b, `(() => {
		for (const [id, text] of Object.entries(`+quoted(values)+`)) {
			const field = document.getElementById(id);
			field.value = text;
			field.dispatchEvent(new Event("input", { bubbles: true }));
		}
		return `+settled+`;
	})()`)
}

// drop drops a file of any bytes on the page.
func (b *tab) drop(name string, content []byte) {
	b.Helper()
	eval[bool](b, `(async () => {
		const transfer = new DataTransfer();
		transfer.items.add(new File([Uint8Array.from(atob(`+quoted(content)+`), (c) => c.charCodeAt(0))], `+quoted(name)+`));
		document.getElementById("outcome").setAttribute("aria-busy", "true");
		document.body.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: transfer }));
		return `+settled+`;
	})()`)
}

// shownResult is what a reader sees.
type shownResult struct {
	Status, Title, Said, Signed string
	// Checks are "name word" for each row.
	Checks  []string
	Changed []string
}

func (b *tab) result() shownResult {
	b.Helper()
	return eval[shownResult](b, `(() => {
		const text = (id) => document.getElementById(id).innerText;
		const rows = (id) => [...document.getElementById(id).children].map((row) => row.dataset.check + " " + row.querySelector(".word").textContent);
		return { Status: document.getElementById("result").dataset.status, Title: text("title"), Said: text("said"), Signed: text("signed"),
			Checks: rows("checks"), Changed: rows("changed-checks") };
	})()`)
}

// failing are the names of the checks that are shown to fail.
func failing(rows []string) (names []string) {
	for _, row := range rows {
		if name, ok := strings.CutSuffix(row, " fails"); ok {
			names = append(names, name)
		}
	}
	return names
}

// clean fails the test for anything that the browser complained of.
func (b *tab) clean() {
	b.Helper()
	for _, fault := range b.complaints() {
		b.Error(fault)
	}
}

func (b *tab) complaints() []string {
	b.Helper()
	violations := eval[[]string](b, `window.violations`)
	b.mu.Lock()
	defer b.mu.Unlock()
	return append(append([]string{}, b.faults...), violations...)
}

// sent are the requests since the last call.
func (b *tab) sent() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	sent := b.requests
	b.requests = nil
	return sent
}
