package dashboard

import (
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/cobound/prova/internal/httpapi"
)

// whole is the house with its API, on the network.
func (h *house) whole() string {
	h.t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/", httpapi.New(httpapi.Options{Cases: h.Authority, Log: slog.New(slog.DiscardHandler)}))
	h.pages.Mount(mux)
	s := httptest.NewServer(mux)
	h.t.Cleanup(s.Close)
	h.mux = mux
	return strings.TrimPrefix(s.URL, "http://")
}

// runCommands runs what a page says to run first, with the reader's key.
func (h *house) runCommands(host, path string) {
	h.t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://"+host+path, nil)
	r.AddCookie(&http.Cookie{Name: plainCookie, Value: h.token(h.ownerKey)})
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	m := regexp.MustCompile(`(?s)<pre class="command">(export.*?curl.*?)</pre>`).FindStringSubmatch(w.Body.String())
	if m == nil {
		h.t.Fatalf("%s: no command in %s", path, w.Body)
	}
	script := strings.NewReplacer("prv_…", h.ownerKey, "curl ", "curl -sS --noproxy '*' --fail-with-body ").Replace(html.UnescapeString(m[1]))
	if out, err := exec.CommandContext(h.t.Context(), "sh", "-e", "-c", script).CombinedOutput(); err != nil {
		h.t.Errorf("%s: %v: %s\n%s", path, err, out, script)
	}
}

// TestCommandsWork runs what the empty pages say to run, with the reader's key.
func TestCommandsWork(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("PROVA_REQUIRE_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip("NOT TESTED: curl is not installed")
	}
	for path, want := range map[string]int64{"/releases": 2, "/compare": 2, "/rollouts": 1} {
		h := newHouse(t)
		host := h.whole()
		h.runCommands(host, path)
		var runs int64
		for _, r := range must(h.Releases(t.Context(), h.owner, "")) {
			runs += r.Runs
		}
		if runs != want {
			t.Errorf("%s: %d runs were recorded, want %d", path, runs, want)
		}
	}
	// With one release seen, the page says how to send another, whatever the names are.
	h := newHouse(t)
	host := h.whole()
	h.record(h.owner, event("it's \"$(id)\"", "v 1", true))
	h.runCommands(host, "/compare")
	if seen := must(h.Releases(t.Context(), h.owner, "it's \"$(id)\"")); len(seen) != 2 {
		t.Errorf("%+v", seen)
	}
}
