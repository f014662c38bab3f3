package dashboard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
)

func TestSettings(t *testing.T) {
	h := newHouse(t)
	key := h.key(api.CreateAPIKey{Name: "a reader", Environment: "staging", Permissions: []api.Permission{api.ReleaseRead}})
	page := h.page(key, "/settings")
	has(t, page, "1.2.3&lt;b&gt;</dd>", api.Engine, "http://example.com", "test.example/", "a reader, prv_", "only staging", "<dt>judge</dt><dd>none</dd>", `href="/openapi.json"`, "256 KiB", "16 MiB", "12 hours")
	hasNot(t, page, "Orgs", "/settings/orgs", "<dt>database</dt>", key)
	origin := must(h.Checkpoint(t.Context(), h.owner)).Origin
	has(t, page, "<dt>log</dt><dd>"+origin+"</dd>")
	for _, c := range []struct {
		server Server
		want   []string
	}{
		{Server{Database: "PostgreSQL", DeliveryLoop: true}, []string{"PostgreSQL", "this server does not tick by itself", "<dt>ticks by itself</dt><dd>no</dd>", "between ticks</dt><dd>yes</dd>"}},
		{Server{Database: "SQLite", TickEvery: 30 * time.Second}, []string{"SQLite", "this server ticks every unfinished one each 30s.", "<dd>every 30s</dd>", "only ticks send them"}},
	} {
		h.pages.Server = c.server
		has(t, h.page(key, "/settings"), c.want...)
	}
	h.Judger = patient{}
	has(t, h.page(key, "/settings"), "gpt-judge 2026-04")
}

func TestOrgs(t *testing.T) {
	h := newHouse(t)
	has(t, h.page(h.ownerKey, "/settings"), `Orgs <span class="count">1</span>`, "<td>default</td>")
	w := h.ask(h.ownerKey, "POST", "/settings/orgs", form("name", "research"))
	if w.Code != 201 || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Location") != "" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	secret := secretIn(t, w.Body.String())
	if p, err := h.Authenticate(t.Context(), secret); err != nil || p.Org != "research" {
		t.Errorf("%+v, %v", p, err)
	}
	page := h.page(h.ownerKey, "/settings")
	has(t, page, "<td>research</td>")
	hasNot(t, page, secret)
	for name, want := range map[string]struct {
		status int
		says   string
	}{"Research!": {400, "1 to 64 of a-z, 0-9 and -"}, "": {400, "is empty"}, "research": {409, "is there already"}} {
		w := h.ask(h.ownerKey, "POST", "/settings/orgs", form("name", name))
		if w.Code != want.status {
			t.Errorf("%q: %d", name, w.Code)
		}
		has(t, w.Body.String(), want.says, `value="`+name+`"`)
		hasNot(t, w.Body.String(), `id="secret"`)
	}
	if w := h.ask(h.ownerKey, "POST", "/settings/orgs", form("name", "evil"), "Sec-Fetch-Site", "cross-site"); w.Code != 403 {
		t.Errorf("from another site: %d", w.Code)
	}
	// Nobody else is told of orgs: neither another org's owner nor the operator's key of one environment.
	staging := h.key(api.CreateAPIKey{Name: "s", Environment: "staging", Permissions: api.Permissions()})
	for _, key := range []string{secret, staging} {
		page := h.page(key, "/settings")
		hasNot(t, page, "Orgs <span", "<td>default</td>")
		if w := h.ask(key, "POST", "/settings/orgs", form("name", "mine")); w.Code != 403 {
			t.Errorf("%d", w.Code)
		}
	}
	for i := range 30 {
		must(h.CreateOrg(t.Context(), h.owner, api.CreateOrg{Name: fmt.Sprintf("org-%02d", i)}))
	}
	page = h.page(h.ownerKey, "/settings")
	if n := strings.Count(page, "<tr><td>"); n != 32 || strings.Index(page, "org-03") > strings.Index(page, "org-20") {
		t.Errorf("%d orgs", n)
	}
}
