package dashboard

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// secretIn is the secret that a page shows once.
func secretIn(t *testing.T, page string) string {
	t.Helper()
	m := regexp.MustCompile(`id="secret" tabindex="0">([^<]+)<`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no secret in %s", body(page))
	}
	return m[1]
}

func TestKeysPage(t *testing.T) {
	h := newHouse(t)
	page := h.page(h.ownerKey, "/keys")
	has(t, page, "1 API key can be used.", "you are signed in with it", `aria-current="page">Keys`)
	soon := h.clock.now().Add(time.Hour)
	must(h.CreateAPIKey(t.Context(), h.owner, api.CreateAPIKey{Name: "expires", Permissions: []api.Permission{api.AuditIngest}, Environment: "staging", ExpiresAt: &soon}))
	revoked := must(h.CreateAPIKey(t.Context(), h.owner, api.CreateAPIKey{Name: "was revoked", Permissions: []api.Permission{api.AuditRead}}))
	must(h.RevokeAPIKey(t.Context(), h.owner, revoked.ID))
	page = h.page(h.ownerKey, "/keys")
	has(t, page, "2 API keys can be used.", "only staging", "expires <time", "revoked <time", `Revoked and expired <span class="count">1`)
	h.clock.pass(time.Hour)
	page = h.page(h.ownerKey, "/keys")
	has(t, page, "1 API key can be used.", "expired <time", `Revoked and expired <span class="count">2`)
	for i := range 60 {
		h.keyWith(api.Permissions()[i%8])
	}
	if n := strings.Count(h.page(h.ownerKey, "/keys"), `<li class="row" id="key-`); n != 63 {
		t.Errorf("%d keys", n)
	}
}

// The keys that sign are shown to everybody who is signed in, API keys are not.
func TestSigningKeys(t *testing.T) {
	h := newHouse(t)
	key := h.keyWith(api.AuditIngest)
	page := h.page(key, "/keys")
	hasNot(t, page, "Revoke", h.owner.KeyID, `name="permissions"`)
	has(t, page, "key.manage")
	keys := must(h.SigningKeys(t.Context()))
	if len(keys) != 2 {
		t.Fatalf("%d keys", len(keys))
	}
	for _, k := range keys {
		sum := sha256.Sum256(must(base64.StdEncoding.DecodeString(k.PublicKey)))
		has(t, page, k.KeyID, escaped(k.PublicKey), hex.EncodeToString(sum[:]), k.Purpose+" key")
	}
	if n := strings.Count(page, "● signs"); n != 2 {
		t.Errorf("%d keys sign", n)
	}
	has(t, page, "from log index 0 on", "from log index 1 on")
	// A copied text is what stands there, without what stands beside it.
	for _, m := range regexp.MustCompile(`data-copy="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if strings.Count(page, `id="`+m[1]+`"`) != 1 {
			t.Errorf("%s is copied from nowhere", m[1])
		}
	}
	from, until := int64(3), int64(9)
	for _, c := range []struct {
		state  authority.SigningKeyState
		want   string
		within string
	}{
		{authority.SigningKeyState{From: &from, Until: &until, End: "retire"}, "retired", "log index 3 to before 9"},
		{authority.SigningKeyState{From: &from, Until: &until, End: "revoke", Current: true}, "revoked", "log index 3 to before 9"},
		{authority.SigningKeyState{}, "unknown", "not in this log"},
		{authority.SigningKeyState{From: &from}, "another server's", "from log index 3 on"},
		{authority.SigningKeyState{From: &from, Current: true}, "signs", "from log index 3 on"},
	} {
		if row := signingKeyRowOf(c.state); row.State != c.want || row.Span != c.within {
			t.Errorf("%+v: %s, %s", c.state, row.State, row.Span)
		}
	}
}

func TestCreateKey(t *testing.T) {
	h := newHouse(t)
	w := h.ask(h.ownerKey, "POST", "/keys", form("name", "an agent", "permissions", "audit.ingest", "environment", "staging", "expires", "30d"))
	if w.Code != 201 || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Location") != "" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	secret := secretIn(t, w.Body.String())
	p, err := h.Authenticate(t.Context(), secret)
	if err != nil || !slices.Equal(p.Permissions, []api.Permission{api.AuditIngest}) || p.Environment != "staging" || !p.ExpiresAt.Equal(h.clock.now().Add(30*24*time.Hour)) {
		t.Errorf("%+v, %v", p, err)
	}
	has(t, w.Body.String(), `id="name" name="name" required maxlength="200" autocomplete="off" placeholder="claims-agent in production" value=""`)
	for _, path := range []string{"/keys", "/keys/" + p.KeyID + "/revoke"} {
		hasNot(t, h.page(h.ownerKey, path), secret, strings.TrimPrefix(secret, p.KeyID+"_"))
	}
	w = h.ask(h.ownerKey, "POST", "/keys", form("name", "for good", "permissions", "release.read", "expires", "never"))
	if p, err := h.Authenticate(t.Context(), secretIn(t, w.Body.String())); err != nil || p.ExpiresAt != nil || p.Environment != "" {
		t.Errorf("%+v, %v", p, err)
	}
}

// What was typed stays, and nothing is made.
func TestCreateKeyRefused(t *testing.T) {
	h := newHouse(t)
	limited := h.key(api.CreateAPIKey{Name: "limited", Environment: "staging", Permissions: []api.Permission{api.KeyManage, api.AuditIngest}})
	before := len(must(h.APIKeys(t.Context(), h.owner)))
	for name, c := range map[string]struct {
		key    string
		typed  url.Values
		status int
		says   string
	}{
		"no name":             {h.ownerKey, form("permissions", "audit.ingest", "expires", "7d"), 400, "a name says what the key is for"},
		"no permission":       {h.ownerKey, form("name", "it's", "expires", "7d"), 400, "at least one permission"},
		"unknown permission":  {h.ownerKey, form("name", "it's", "permissions", "all", "expires", "7d"), 400, "there is no permission"},
		"no expiry":           {h.ownerKey, form("name", "it's", "permissions", "audit.ingest"), 400, "choose when the key expires"},
		"long environment":    {h.ownerKey, form("name", "it's", "permissions", "audit.ingest", "expires", "7d", "environment", strings.Repeat("e", 201)), 400, "201 bytes"},
		"more than one has":   {limited, form("name", "it's", "permissions", "org.manage", "expires", "7d"), 403, "that it lacks itself"},
		"another environment": {limited, form("name", "it's", "permissions", "audit.ingest", "expires", "7d", "environment", "production"), 403, "limited to the environment"},
	} {
		w := h.ask(c.key, "POST", "/keys", c.typed)
		if w.Code != c.status {
			t.Errorf("%s: %d", name, w.Code)
		}
		has(t, w.Body.String(), c.says, `value="`+escaped(c.typed.Get("name"))+`"`)
		if expires := c.typed.Get("expires"); expires != "" {
			has(t, w.Body.String(), `<option value="`+expires+`" selected>`)
		}
		if c.typed.Get("permissions") == "audit.ingest" {
			has(t, w.Body.String(), `value="audit.ingest" checked`)
		}
	}
	if w := h.ask(h.ownerKey, "POST", "/keys", form("name", "a", "permissions", "audit.read", "expires", "7d"), "Origin", "https://evil.example"); w.Code != 403 {
		t.Errorf("from another site: %d", w.Code)
	}
	if after := len(must(h.APIKeys(t.Context(), h.owner))); after != before {
		t.Errorf("%d keys, before %d", after, before)
	}
	page := h.page(limited, "/keys")
	has(t, page, `value="staging" readonly`, `value="key.manage"`)
	hasNot(t, page, `value="org.manage"`, `id="key-`+h.owner.KeyID)
}

func TestRevokeKey(t *testing.T) {
	h := newHouse(t)
	k := must(h.CreateAPIKey(t.Context(), h.owner, api.CreateAPIKey{Name: "the old one", Permissions: []api.Permission{api.KeyManage}}))
	at := "/keys/" + k.ID + "/revoke"
	has(t, h.page(h.ownerKey, "/keys"), `href="`+at+`"`)
	page := h.page(h.ownerKey, at)
	has(t, page, "Revoke this key?", "the old one", `method="post" action="`+at+`"`)
	hasNot(t, page, "that you are signed in with")
	has(t, h.page(k.Secret, at), "It is the key that you are signed in with")
	if _, err := h.Authenticate(t.Context(), k.Secret); err != nil {
		t.Fatalf("looking revoked it: %v", err)
	}
	if w := h.ask(h.ownerKey, "POST", at, form()); w.Code != 303 || w.Header().Get("Location") != "/keys?done=key-revoked" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if _, err := h.Authenticate(t.Context(), k.Secret); err == nil {
		t.Error("a revoked key is taken")
	}
	if w := h.ask(k.Secret, "GET", "/keys", nil); w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), "/sign-in") {
		t.Errorf("its session: %d", w.Code)
	}
	if w := h.ask(h.ownerKey, "GET", "/keys/prv_nobody/revoke", nil); w.Code != 404 {
		t.Errorf("a key that is not there: %d", w.Code)
	}
}

func TestKeysAreText(t *testing.T) {
	h := newHouse(t)
	for i, text := range corpus() {
		k := must(h.CreateAPIKey(t.Context(), h.owner, api.CreateAPIKey{Name: text, Environment: text, Permissions: []api.Permission{api.KeyManage}}))
		for _, path := range []string{"/keys", "/keys/" + k.ID + "/revoke", "/settings"} {
			textOnly(t, h.page(h.ownerKey, path))
			textOnly(t, h.page(k.Secret, path))
		}
		textOnly(t, h.ask(h.ownerKey, "POST", "/keys", form("name", text, "environment", text, "permissions", text, "expires", text)).Body.String())
		textOnly(t, h.ask(h.ownerKey, "POST", "/keys", form("name", text, "environment", fmt.Sprint(i), "permissions", "audit.read", "expires", "never")).Body.String())
		textOnly(t, h.ask(h.ownerKey, "POST", "/settings/orgs", form("name", text)).Body.String())
	}
}
