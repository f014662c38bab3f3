package dashboard

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

func has(t *testing.T, page string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in\n%s", want, body(page))
		}
	}
}

func hasNot(t *testing.T, page string, unwanted ...string) {
	t.Helper()
	for _, text := range unwanted {
		if strings.Contains(page, text) {
			t.Errorf("%q is in\n%s", text, body(page))
		}
	}
}

// body is what stands in the frame of a page.
func body(page string) string {
	_, rest, _ := strings.Cut(page, "<main")
	main, _, _ := strings.Cut(rest, "</main>")
	return main
}

func TestWebhookList(t *testing.T) {
	h := newHouse(t)
	key := h.keyWith(api.WebhookManage)
	page := h.page(key, "/webhooks")
	has(t, page, "Nobody is told when a canary", "prova webhooks listen", `name="url"`, `aria-current="page">Webhooks`)
	hasNot(t, page, `class="row"`)
	r := h.receives(authority.Sent{StatusCode: 204})
	good := h.hook()
	has(t, h.page(key, "/webhooks"), "1 receiver; none has refused", "nothing sent yet")
	h.send(good.ID)
	r.answer = authority.Sent{Err: errors.New("no such host")}
	bad := h.hook(func(w *api.CreateWebhook) {
		w.AppID, w.Environment, w.Description = "claims-agent", "staging", "the <b>north</b>"
	})
	h.send(bad.ID)
	page = h.page(key, "/webhooks")
	has(t, page, "2 receivers; one has not taken", "●</span> delivered", "204 No Content", "no answer", "■</span> pending", "the &lt;b&gt;north", "claims-agent", "staging")
	hasNot(t, page, good.Secret, bad.Secret)
	for i := range 40 {
		h.hook(func(w *api.CreateWebhook) { w.URL = fmt.Sprintf("https://cd.example/%d", i) })
	}
	if n := strings.Count(h.page(key, "/webhooks"), `class="row"`); n != 42 {
		t.Errorf("%d rows", n)
	}
}

// A key that is limited to an environment sees the receivers of it, and makes no others.
func TestWebhooksOfAnEnvironment(t *testing.T) {
	h := newHouse(t)
	other := h.hook()
	own := h.hook(func(w *api.CreateWebhook) { w.Environment = "staging" })
	staging := h.key(api.CreateAPIKey{Name: "staging", Environment: "staging", Permissions: []api.Permission{api.WebhookManage}})
	page := h.page(staging, "/webhooks")
	has(t, page, own.ID, `value="staging" readonly`)
	hasNot(t, page, other.ID)
	w := h.ask(staging, "POST", "/webhooks", form("url", "https://cd.example/kept", "events", api.EventPromote, "environment", "production"))
	if w.Code != 403 {
		t.Errorf("for another environment: %d", w.Code)
	}
	has(t, w.Body.String(), "limited to the environment", `value="https://cd.example/kept"`)
}

// The secret is shown by the answer to the form, and never again; neither an
// address nor the log has it.
func TestWebhookSecretOnce(t *testing.T) {
	h := newHouse(t)
	w := h.ask(h.ownerKey, "POST", "/webhooks", form("url", "https://cd.example/prova", "events", api.EventRollback, "app", "a", "environment", "staging", "description", "d"))
	if w.Code != 201 || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Location") != "" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	secret := regexp.MustCompile(`id="secret" tabindex="0">([^<]+)<`).FindStringSubmatch(w.Body.String())
	if secret == nil || !strings.HasPrefix(secret[1], api.SecretPrefix) {
		t.Fatalf("no secret in %s", body(w.Body.String()))
	}
	hooks := must(h.Webhooks(t.Context(), h.owner))
	if len(hooks) != 1 || hooks[0].URL != "https://cd.example/prova" || strings.Join(hooks[0].Events, " ") != api.EventRollback ||
		hooks[0].AppID != "a" || hooks[0].Environment != "staging" || hooks[0].Description != "d" {
		t.Errorf("%+v", hooks)
	}
	for _, path := range []string{"/webhooks", "/webhooks/" + hooks[0].ID, "/webhooks/" + hooks[0].ID + "/delete"} {
		hasNot(t, h.page(h.ownerKey, path), secret[1], api.SecretPrefix)
	}
	// The form behind the answer is a new one.
	has(t, w.Body.String(), `id="url" name="url" required maxlength="2000" placeholder="https://…" value=""`)
}

// What was typed stays, and the field that is wrong is marked.
func TestWebhookRefused(t *testing.T) {
	h := newHouse(t)
	h.receives(authority.Sent{}).closed = "http://10.0.0.1/"
	typed := form("url", "http://10.0.0.1/", "events", api.EventRollback, "app", "claims", "environment", "prod", "description", "what it's for")
	for name, c := range map[string]struct {
		change func(url.Values)
		field  string
		says   string
	}{
		"a closed address": {func(url.Values) {}, "url", "this address is closed"},
		"no address":       {func(v url.Values) { v.Del("url") }, "url", "this address is closed"},
		"no event":         {func(v url.Values) { v.Set("url", "https://a.example"); v.Del("events") }, "", "tick at least one event"},
		"an unknown event": {func(v url.Values) { v.Set("events", "rollout.nothing") }, "", "there is no event"},
		"a long app":       {func(v url.Values) { v.Set("app", strings.Repeat("a", 201)) }, "app", "201 bytes"},
	} {
		f := url.Values{}
		maps.Copy(f, typed)
		c.change(f)
		w := h.ask(h.ownerKey, "POST", "/webhooks", f)
		if w.Code != 400 {
			t.Errorf("%s: %d", name, w.Code)
		}
		has(t, w.Body.String(), c.says, escaped("what it's for"), `value="`+f.Get("app")+`"`, `value="`+f.Get("url")+`"`)
		if c.field != "" && !regexp.MustCompile(`<input[^>]* id="`+c.field+`"[^>]*aria-invalid="true"`).MatchString(w.Body.String()) {
			t.Errorf("%s: the field is not marked", name)
		}
		if c.field == "" && !strings.Contains(w.Body.String(), `<fieldset class="field" aria-invalid="true"`) {
			t.Errorf("%s: the events are not marked", name)
		}
	}
	if hooks := must(h.Webhooks(t.Context(), h.owner)); len(hooks) > 0 {
		t.Errorf("%+v", hooks)
	}
}

func TestWebhookPage(t *testing.T) {
	h := newHouse(t)
	r := h.receives(authority.Sent{StatusCode: 503, Duration: 812 * time.Millisecond, Answer: "not <i>now</i>"})
	hook := h.hook(func(w *api.CreateWebhook) { w.AppID = "a" })
	at := "/webhooks/" + hook.ID
	has(t, h.page(h.ownerKey, at), "Nothing was sent yet", "Send a test")
	if w := h.ask(h.ownerKey, "POST", at+"/test", form()); w.Code != 303 || w.Header().Get("Location") != at+"?done=delivery-pending" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	page := h.page(h.ownerKey, at+"?done=delivery-pending")
	has(t, page, "did not take it. It is tried again", "under way: 503 Service Unavailable", "812 ms", "<pre class=\"answer\">not &lt;i&gt;now&lt;/i&gt;</pre>", "next attempt", `class="why">test<`)
	delivery := must(h.Deliveries(t.Context(), h.owner, hook.ID, "", 1)).Items[0]
	r.answer = authority.Sent{StatusCode: 200, Duration: 5 * time.Millisecond, Answer: "thanks"}
	if w := h.ask(h.ownerKey, "POST", at+"/redeliver", form("delivery", delivery.ID)); w.Code != 303 || w.Header().Get("Location") != at+"?done=delivery-delivered" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	page = h.page(h.ownerKey, at)
	has(t, page, "The receiver took the newest delivery: 200 OK", "503", "thanks", "5 ms", escaped(`"test": true`))
	if len(r.sent) != 2 || r.sent[0].ID != r.sent[1].ID {
		t.Errorf("sent %+v", r.sent)
	}
	if one, two := strings.Index(page, "thanks"), strings.Index(page, "not &lt;i&gt;"); one > two {
		t.Error("the newest attempt does not come first")
	}
	if w := h.ask(h.ownerKey, "POST", at+"/redeliver", form()); w.Code != 400 || !strings.Contains(w.Body.String(), "say which delivery") {
		t.Errorf("without a delivery: %d", w.Code)
	}
	if w := h.ask(h.ownerKey, "POST", at+"/redeliver", form("delivery", "dlv_nobody")); w.Code != 404 {
		t.Errorf("a delivery that is not there: %d", w.Code)
	}
	for range pageOfDeliveries + 1 {
		h.clock.pass(time.Second)
		h.send(hook.ID)
	}
	page = h.page(h.ownerKey, at)
	m := regexp.MustCompile(`href="(/webhooks/[^"]*before=[^"]*)"`).FindStringSubmatch(page)
	if n := strings.Count(page, `<section class="delivery"`); n != pageOfDeliveries || m == nil {
		t.Fatalf("%d deliveries, older: %v", n, m)
	}
	older := h.page(h.ownerKey, strings.ReplaceAll(m[1], "&amp;", "&"))
	if n := strings.Count(older, `<section class="delivery"`); n != 2 || !strings.Contains(older, delivery.ID) || strings.Contains(older, "Older ones") {
		t.Errorf("%d older deliveries", n)
	}
}

// A promote that a rollback came after is not sent again, and the page says why.
func TestRedeliverReplaced(t *testing.T) {
	h := newHouse(t)
	hook := h.hook()
	id := h.create("claims").ID
	h.clock.pass(time.Minute)
	h.traffic("claims", 40, 19, 3, 76)
	h.tick(id) // a promote, delivered
	h.clock.pass(time.Minute)
	if _, err := h.Abort(t.Context(), h.owner, id, "because"); err != nil {
		t.Fatal(err)
	}
	list := must(h.Deliveries(t.Context(), h.owner, hook.ID, "", 10)).Items
	if len(list) != 2 || list[1].Event != api.EventPromote {
		t.Fatalf("%+v", list)
	}
	w := h.ask(h.ownerKey, "POST", "/webhooks/"+hook.ID+"/redeliver", form("delivery", list[1].ID))
	if w.Code != 409 {
		t.Fatalf("%d", w.Code)
	}
	has(t, w.Body.String(), "a later decision has replaced this delivery", list[0].ID, `href="/rollouts/`+id+`"`)
}

// A webhook is deleted after a second form, and nothing before it.
func TestDeleteWebhook(t *testing.T) {
	h := newHouse(t)
	hook := h.hook()
	at := "/webhooks/" + hook.ID
	has(t, h.page(h.ownerKey, at), `href="`+at+`/delete"`)
	has(t, h.page(h.ownerKey, at+"/delete"), "Delete this webhook?", hook.URL, `method="post" action="`+at+`/delete"`)
	if n := len(must(h.Webhooks(t.Context(), h.owner))); n != 1 {
		t.Fatalf("%d webhooks after looking", n)
	}
	if w := h.ask(h.ownerKey, "POST", at+"/delete", form(), "Sec-Fetch-Site", "cross-site"); w.Code != 403 || len(must(h.Webhooks(t.Context(), h.owner))) != 1 {
		t.Errorf("from another site: %d", w.Code)
	}
	if w := h.ask(h.ownerKey, "POST", at+"/delete", form()); w.Code != 303 || w.Header().Get("Location") != "/webhooks?done=webhook-deleted" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	has(t, h.page(h.ownerKey, "/webhooks?done=webhook-deleted"), "Deleted. Nothing more is sent there.", "Nobody is told")
	if w := h.ask(h.ownerKey, "GET", at, nil); w.Code != 404 {
		t.Errorf("the deleted one: %d", w.Code)
	}
}

// Names and answers from outside stay text.
func TestWebhooksAreText(t *testing.T) {
	h := newHouse(t)
	r := h.receives(authority.Sent{StatusCode: 500})
	for _, text := range corpus() {
		r.answer.Answer, r.answer.Err = text, errors.New(text)
		hook := h.hook(func(w *api.CreateWebhook) { w.URL, w.AppID, w.Environment, w.Description = text, text, text, text })
		h.send(hook.ID)
		h.record(h.owner, event(text, text, true))
		for _, path := range []string{"/webhooks", "/webhooks/" + hook.ID, "/webhooks/" + hook.ID + "/delete", "/webhooks?done=" + url.QueryEscape(text)} {
			textOnly(t, h.page(h.ownerKey, path))
		}
		r.closed = text
		w := h.ask(h.ownerKey, "POST", "/webhooks", form("url", text, "events", text, "app", text, "environment", text, "description", text))
		textOnly(t, w.Body.String())
		has(t, h.page(h.ownerKey, "/webhooks/"+hook.ID), `<pre class="answer">`+escaped(text))
	}
}
