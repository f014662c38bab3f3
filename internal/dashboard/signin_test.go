package dashboard

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

func TestSignIn(t *testing.T) {
	h := newHouse(t)
	key := h.key(api.CreateAPIKey{Name: "the <i>reader</i>", Permissions: []api.Permission{api.ReleaseRead}})
	if w := h.ask("", "GET", "/rollouts?app=a", nil); w.Code != 303 || w.Header().Get("Location") != "/sign-in?next=%2Frollouts%3Fapp%3Da" {
		t.Errorf("nobody is signed in: %d %v", w.Code, w.Header())
	}
	if w := h.ask("", "GET", "/", nil); w.Code != 303 || w.Header().Get("Location") != "/rollouts" {
		t.Errorf("the start: %d %v", w.Code, w.Header())
	}
	if page := h.ask("", "GET", "/sign-in?next=/rollouts%3Fapp%3Da", nil).Body.String(); !strings.Contains(page, `name="next" value="/rollouts?app=a"`) {
		t.Error("where to go next is not kept")
	}
	w := h.ask("", "POST", "/sign-in", form("key", " "+key+"\n", "next", "/rollouts?app=a"))
	if w.Code != 303 || w.Header().Get("Location") != "/rollouts?app=a" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	cookies := w.Result().Cookies()
	if len(cookies) != 1 || cookies[0].Name != "prova_session" || cookies[0].Secure || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode ||
		cookies[0].Path != "/" || cookies[0].MaxAge != 12*60*60 || strings.Contains(key, cookies[0].Value) {
		t.Fatalf("%+v", cookies)
	}
	page := h.ask("", "GET", "/rollouts", nil, "Cookie", "prova_session="+cookies[0].Value)
	if page.Code != 200 || !strings.Contains(page.Body.String(), "the &lt;i&gt;reader&lt;/i&gt;") || page.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", page.Code, page.Header())
	}
	out := h.ask("", "POST", "/sign-out", form(), "Cookie", "prova_session="+cookies[0].Value)
	if out.Code != 303 || out.Header().Get("Location") != "/sign-in?done=signed-out" || out.Result().Cookies()[0].MaxAge >= 0 {
		t.Errorf("%d %v", out.Code, out.Header())
	}
	if w := h.ask("", "GET", "/rollouts", nil, "Cookie", "prova_session="+cookies[0].Value); w.Code != 303 {
		t.Errorf("after the sign-out: %d", w.Code)
	}
}

// Over https the cookie is one that only https may set and get.
func TestSecureCookie(t *testing.T) {
	h := newHouse(t)
	w := h.ask("", "POST", "/sign-in", form("key", h.ownerKey), "Origin", "https://example.com", "Sec-Fetch-Site", "same-origin")
	c := w.Result().Cookies()
	if w.Code != 303 || len(c) != 1 || c[0].Name != "__Host-prova" || !c[0].Secure || c[0].Path != "/" || c[0].Domain != "" {
		t.Fatalf("%d %+v", w.Code, c)
	}
	both := "prova_session=nonsense; __Host-prova=" + c[0].Value
	if w := h.ask("", "GET", "/rollouts", nil, "Cookie", both); w.Code != 200 {
		t.Errorf("the cookie of https beside another one: %d", w.Code)
	}
}

// Every key that does not sign in is answered alike.
func TestSignInRefused(t *testing.T) {
	h := newHouse(t)
	k := must(h.CreateAPIKey(t.Context(), h.owner, api.CreateAPIKey{Name: "k", Permissions: []api.Permission{api.ReleaseRead}}))
	must(h.RevokeAPIKey(t.Context(), h.owner, k.ID))
	soon := h.clock.now().Add(time.Minute)
	expired := h.key(api.CreateAPIKey{Name: "k", Permissions: []api.Permission{api.ReleaseRead}, ExpiresAt: &soon})
	h.clock.pass(time.Minute)
	said := ""
	for _, key := range []string{"", "prv_nobody_0123456789abcdef0123456789abcdef", k.Secret, expired, h.ownerKey + "x", "<script>"} {
		w := h.ask("", "POST", "/sign-in", form("key", key, "next", "/rollouts"))
		if w.Code != 401 || !strings.Contains(w.Body.String(), "unknown, revoked or expired") || len(w.Result().Cookies()) != 0 {
			t.Errorf("%q: %d %s", key, w.Code, w.Body)
		}
		if said == "" {
			said = w.Body.String()
		}
		if w.Body.String() != said {
			t.Errorf("%q is answered otherwise", key)
		}
	}
}

// A session ends with its key, at once.
func TestSessionEnds(t *testing.T) {
	h := newHouse(t)
	k := must(h.CreateAPIKey(t.Context(), h.owner, api.CreateAPIKey{Name: "k", Permissions: []api.Permission{api.ReleaseRead}}))
	h.page(k.Secret, "/rollouts")
	must(h.RevokeAPIKey(t.Context(), h.owner, k.ID))
	if w := h.ask(k.Secret, "GET", "/rollouts", nil); w.Code != 303 {
		t.Errorf("with a revoked key: %d", w.Code)
	}
	if w := h.ask(k.Secret, "GET", "/rollouts/live", nil); w.Code != 401 {
		t.Errorf("waiting with a revoked key: %d", w.Code)
	}
	h.page(h.ownerKey, "/rollouts")
	h.clock.pass(authority.SessionTime)
	if w := h.ask(h.ownerKey, "GET", "/rollouts", nil); w.Code != 303 {
		t.Errorf("after 12 hours: %d", w.Code)
	}
}

func TestLocal(t *testing.T) {
	for next, want := range map[string]string{
		"/rollouts/rol_1?a=b": "/rollouts/rol_1?a=b", "/": "/", "": "/rollouts", "rollouts": "/rollouts", "//evil.example": "/rollouts", "///evil.example": "/rollouts",
		"https://evil.example/": "/rollouts", "/\\evil.example": "/rollouts", "\\\\evil.example": "/rollouts", "/\t/evil.example": "/rollouts", "javascript:alert(1)": "/rollouts",
		"/a\r\nSet-Cookie: x=y": "/rollouts", "/sign-in?next=/": "/rollouts", "http:/x": "/rollouts", "/%2f%2fevil": "/%2f%2fevil", "/" + strings.Repeat("a", 3000): "/rollouts",
	} {
		if got := local(next); got != want {
			t.Errorf("%q: %q, want %q", next, got, want)
		}
	}
}

// What changes something is taken from this server's own pages only.
func TestCrossSite(t *testing.T) {
	h := newHouse(t)
	for _, rt := range append(h.pages.routes(), route{pattern: "POST /sign-in"}) {
		method, path, _ := strings.Cut(rt.pattern, " ")
		if method != http.MethodPost {
			continue
		}
		path = strings.ReplaceAll(path, "{id}", "rol_1")
		for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
			w := h.ask(h.ownerKey, method, path, form("key", h.ownerKey, "reason", "r"), header...)
			if w.Code != 403 || !strings.Contains(w.Body.String(), "another site") || len(w.Result().Cookies()) > 0 {
				t.Errorf("%s %v: %d", rt.pattern, header, w.Code)
			}
		}
	}
}

// No answer can be framed, and none lets a page do more than the policy says.
func TestHeaders(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{"/", "/sign-in", "/rollouts", "/rollouts/live", "/rollouts?cursor=x", "/verify"} {
		head := h.ask(h.ownerKey, "GET", path, nil).Header()
		if csp := head.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %s", path, csp)
		}
		if head.Get("X-Frame-Options") != "DENY" || head.Get("X-Content-Type-Options") != "nosniff" || head.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", path, head)
		}
	}
}

// The address of the server alone leads a browser to the pages, and a client of the API to its index.
func TestStart(t *testing.T) {
	index := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("the index")) })
	pages := must(New(Options{Index: index}))
	if answer := get(t, pages, "GET", "/", "Accept", "text/html,application/xhtml+xml,*/*;q=0.8"); answer.StatusCode != 303 || answer.Header.Get("Location") != "/rollouts" || answer.Header.Get("Vary") != "Accept" {
		t.Errorf("a browser: %d", answer.StatusCode)
	}
	for _, accept := range []string{"", "*/*", "application/json"} {
		if answer := get(t, pages, "GET", "/", "Accept", accept); answer.StatusCode != 200 || read(t, answer) != "the index" {
			t.Errorf("%q: %d", accept, answer.StatusCode)
		}
	}
}
