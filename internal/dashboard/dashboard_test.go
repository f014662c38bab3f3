package dashboard

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func read(t *testing.T, r *http.Response) string {
	t.Helper()
	return string(must(io.ReadAll(r.Body)))
}

func mounted(t *testing.T) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	must(New(Options{Version: "1.2.3<b>"})).Mount(mux)
	return mux
}

func TestPage(t *testing.T) {
	h := mounted(t)
	answer := get(t, h, http.MethodGet, "/verify")
	page := read(t, answer)
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %v", answer.StatusCode, answer.Header)
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options":  "nosniff",
		"Referrer-Policy":         "no-referrer",
		"Cache-Control":           "no-cache",
	} {
		if got := answer.Header.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	// The policy would forbid these, and a page that needs none says so itself.
	if found := regexp.MustCompile(`(?i)<style|<script[^>]*>[^<]|\sstyle=|\son[a-z]+=|javascript:|https?://[^1l]|<form`).FindString(page); found != "" {
		t.Errorf("the page holds %q", found)
	}
	if !strings.Contains(page, "1.2.3&lt;b&gt;") {
		t.Error("the version is not there, or not escaped")
	}
	if !strings.Contains(page, "<noscript>") {
		t.Error("nothing is said where scripts are off")
	}
	again := get(t, h, http.MethodGet, "/verify", "If-None-Match", answer.Header.Get("ETag"))
	if again.StatusCode != http.StatusNotModified || read(t, again) != "" {
		t.Errorf("the same page again: %d", again.StatusCode)
	}
	if head := get(t, h, http.MethodHead, "/verify"); head.StatusCode != http.StatusOK || read(t, head) != "" {
		t.Errorf("HEAD: %d", head.StatusCode)
	}
	if post := get(t, h, http.MethodPost, "/verify"); post.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", post.StatusCode)
	}
}

// TestAssets follows each address in the pages and in the modules.
func TestAssets(t *testing.T) {
	f := newHouse(t)
	receipt := f.tick(f.create("a").ID).Decision.EventID
	loaded := map[string]bool{}
	for _, page := range []string{
		read(t, get(t, f.pages, http.MethodGet, "/verify")), f.page(f.ownerKey, "/rollouts"), f.page(f.ownerKey, "/receipts/"+receipt), f.page(f.ownerKey, "/webhooks"),
	} {
		paths := regexp.MustCompile(`/assets/[0-9a-f]{16}/[a-z0-9]+\.[a-z]+`).FindAllString(page, -1)
		if len(paths) < 4 {
			t.Fatalf("the page loads %v", paths)
		}
		for _, path := range paths {
			loaded[filepath.Base(path)] = true
			answer := get(t, f.pages, http.MethodGet, path)
			content := read(t, answer)
			if answer.StatusCode != http.StatusOK || content == "" || answer.Header.Get("ETag") == "" ||
				answer.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || answer.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %d %v", path, answer.StatusCode, answer.Header)
			}
			for _, m := range regexp.MustCompile(`from "\./([^"]+)"`).FindAllStringSubmatch(content, -1) {
				if !strings.Contains(page, "/"+m[1]+`"`) {
					t.Errorf("%s loads %s, which the page does not preload", path, m[1])
				}
			}
		}
	}
	for _, file := range must(os.ReadDir("assets")) {
		if !loaded[file.Name()] {
			t.Errorf("no page loads %s", file.Name())
		}
	}
	if answer := get(t, f.pages, http.MethodGet, "/assets/0000000000000000/page.js"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("another version's module: %d", answer.StatusCode)
	}
}

// TestNothingBecomesMarkup: what is pasted has no way into the page but as
// text. One module reads markup: that of this server's own pages.
func TestNothingBecomesMarkup(t *testing.T) {
	for name, content := range must(loadAssets()).contents {
		if name == "morph.js" {
			content = bytes.Replace(content, []byte("new DOMParser()"), nil, 1)
		}
		if found := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|createContextualFragment|setHTML|DOMParser`).Find(content); found != nil {
			t.Errorf("%s holds %s", name, found)
		}
	}
}

// TestChecksAreTheModules: the rows of the page are the checks that the module makes, in its order.
func TestChecksAreTheModules(t *testing.T) {
	_, list, _ := strings.Cut(string(must(assetFiles.ReadFile("assets/receipt.js"))), "export const names = [")
	list, _, _ = strings.Cut(list, "]")
	var names []string
	for _, m := range regexp.MustCompile(`"([a-z_]+)"`).FindAllStringSubmatch(list, -1) {
		names = append(names, m[1])
	}
	var rows []string
	for _, c := range verifyChecks() {
		rows = append(rows, string(c.Name))
	}
	if strings.Join(names, " ") != strings.Join(rows, " ") {
		t.Errorf("the module makes %v and the page shows %v", names, rows)
	}
}
