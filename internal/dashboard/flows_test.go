package dashboard

import (
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/cobound/prova/api"
)

// lively is a house whose clock is near the browser's.
func lively(t *testing.T) (*house, string) {
	t.Helper()
	h := newHouse(t)
	h.clock.at = time.Now()
	return h, h.served()
}

// A page follows what others do, and takes nothing from who is typing.
func TestLive(t *testing.T) {
	browser := chromium(t)
	h, url := lively(t)
	id := h.create("claims-agent").ID
	b := enter(browser, t, url, h.ownerKey, "/rollouts/"+id)
	b.until(`document.querySelector(".says").innerText.includes("Nobody has ticked")`)
	b.do(`document.getElementById("reason-pause").value = "another";
		document.getElementById("do-abort").open = true; document.getElementById("policy-all").open = true;
		const field = document.getElementById("reason-abort"); field.focus(); field.value = "half a rea"; window.before = field; scrollTo(0, 60)`)
	h.traffic("claims-agent", 40, 19, 3, 76)
	h.tick(id) // from elsewhere
	b.until(`document.querySelector(".says").innerText.includes("advancing canary to 25%")`)
	b.until(`document.querySelectorAll(".timeline li").length > 0 && document.querySelector(".gates")`)
	for what, condition := range map[string]string{
		"the typed reason":                `document.getElementById("reason-abort").value === "half a rea"`,
		"the other reason":                `document.getElementById("reason-pause").value === "another"`,
		"the step to promote":             `document.querySelector("#do-promote [name=step]").value === "2"`,
		"the step that who is typing saw": `document.querySelector("#do-abort [name=step]").value === "1"`,
		"the focus":                       `document.activeElement === window.before && window.before.isConnected`,
		"the open form":                   `document.getElementById("do-abort").open`,
		"the open policy":                 `document.getElementById("policy-all").open`,
		"the local time":                  `document.querySelector(".timeline time").innerText !== document.querySelector(".timeline time").title`,
		"the time in UTC":                 `document.querySelector(".timeline time").title.endsWith("UTC")`,
		"the present weight":              `document.querySelector(".figures").innerText.includes("25 %")`,
	} {
		if !eval[bool](b, condition) {
			t.Errorf("after an advance: %s", what)
		}
	}
	h.traffic("claims-agent", 40, 3, 38, 2)
	h.tick(id)
	b.until(`document.querySelector(".head .word").innerText.includes("rolled back")`)
	b.until(`!document.querySelector("[data-live]")`) // nothing moves any more
	b.clean()
}

// The list follows too, and says so when it cannot.
func TestConnectionLost(t *testing.T) {
	browser := chromium(t)
	h := newHouse(t)
	h.clock.at = time.Now()
	server := httptest.NewServer(h.mux)
	b := enter(browser, t, server.URL, h.ownerKey, "/rollouts")
	b.do(`document.querySelector("[data-live]").dataset.every = "0"`)
	h.create("claims-agent")
	b.until(`document.querySelector(".row")`)
	if eval[bool](b, `!document.getElementById("connection").hidden`) {
		t.Error("a page that is up to date complains")
	}
	b.do(`document.querySelector("[data-live]").dataset.every = "0"`)
	server.CloseClientConnections()
	h.pages.Drain()
	server.Close()
	b.until(`document.getElementById("connection").innerText.startsWith("Connection lost. This is the state of ")`)
	if !eval[bool](b, `document.querySelector(".row") !== null`) {
		t.Error("what was known is gone")
	}
}

// An abort asks why, and what was said stands in the receipt, which verifies.
func TestAbortAndVerify(t *testing.T) {
	browser := chromium(t)
	h, url := lively(t)
	id := h.create("claims-agent").ID
	h.traffic("claims-agent", 12, 19, 1, 22)
	h.tick(id)
	b := enter(browser, t, url, h.ownerKey, "/rollouts/"+id)
	const reason = "refunds <b>look</b> wrong & we know why"
	b.do(`document.querySelector("#do-abort summary").click(); document.getElementById("reason-abort").value = ` + quoted(reason) + `;
		setTimeout(() => document.querySelector("#do-abort form button").click())`)
	b.until(`document.querySelector(".flash")?.innerText.includes("Aborted") && document.readyState === "complete"`)
	if r := must(h.Rollout(t.Context(), h.owner, id)); r.State != api.StateAborted || !strings.Contains(r.LastDecision.Reason.Text, reason) {
		t.Fatalf("%s: %s", r.State, r.LastDecision.Reason.Text)
	}
	b.do(`setTimeout(() => document.querySelector(".timeline .receipt a").click())`)
	b.until(`location.pathname.startsWith("/receipts/") && document.readyState === "complete"`)
	if said := eval[string](b, `document.querySelector(".says").innerText`); !strings.Contains(said, reason) {
		t.Errorf("the receipt says %s", said)
	}
	verify := func(want string) {
		t.Helper()
		b.do(`document.getElementById("title").textContent = ""; document.getElementById("verify").click()`)
		b.until(`document.getElementById("outcome").getAttribute("aria-busy") === "false" && document.getElementById("title").textContent !== ""`)
		if said := eval[string](b, `document.getElementById("result").innerText`); !strings.Contains(said, want) {
			t.Errorf("got %q, want %s", said, want)
		}
	}
	verify("Agrees with this server")
	if rows := eval[[]string](b, `[...document.querySelectorAll("#checks li")].map((row) => row.dataset.check + " " + row.querySelector(".word").textContent)`); len(failing(rows)) != 0 || !slices.Contains(rows, "inclusion holds") || !slices.Contains(rows, "signature holds") {
		t.Errorf("the checks: %v", rows)
	}
	raw := eval[string](b, `document.getElementById("raw").textContent`)
	if item := must(h.Receipt(t.Context(), h.owner, must(h.Rollout(t.Context(), h.owner, id)).LastDecision.EventID)); raw != string(item.Receipt) {
		t.Errorf("the bytes on the page are not those that were signed:\n%s\n%s", raw, item.Receipt)
	}
	b.do(`const raw = document.getElementById("raw"); raw.textContent = raw.textContent.replace("we know why", "we know  it")`)
	verify("Not verified")
	b.clean()

	// A tampered copy, pasted into the page that anybody can open.
	b.goTo(url + "/verify")
	b.paste(map[string]string{"receipt": strings.Replace(raw, "we know why", "we know who", 1), "proof": "", "keys": ""})
	if r := b.result(); r.Status != "failed" || !slices.Contains(r.Checks, "signature fails") {
		t.Errorf("%+v", r)
	}
	b.clean()
}

// A rollout is created after a look at what it would do.
func TestCreateInABrowser(t *testing.T) {
	browser := chromium(t)
	h, url := lively(t)
	h.traffic("claims-agent", 12, 19, 1, 22)
	b := enter(browser, t, url, h.ownerKey, "/rollouts")
	b.do(`setTimeout(() => document.querySelector(".head .button").click())`)
	b.until(`location.pathname === "/rollouts/new" && document.readyState === "complete"`)
	b.do(`const set = (id, value) => { document.getElementById(id).value = value; };
		set("app", "claims-agent"); set("baseline", "v36"); set("candidate", "v37"); set("steps", "20, 100"); set("gates", "success:margin=0.02");
		document.querySelector("input[value=canary]").checked = true;
		setTimeout(() => document.querySelector("button[formmethod=get]").click())`)
	b.until(`document.querySelectorAll(".characteristics tbody tr").length >= 4`)
	b.do(`setTimeout(() => document.querySelector("button.primary").click())`)
	b.until(`document.querySelector(".flash")?.innerText.includes("Created") && document.readyState === "complete"`)
	list := must(h.Rollouts(t.Context(), h.owner, noFilter(), "", 9))
	if len(list.Items) != 1 {
		t.Fatalf("%d rollouts", len(list.Items))
	}
	if r := list.Items[0]; r.Mode != api.ModeCanary || len(r.Policy.Steps) != 2 || r.Policy.Steps[0] != 20 || r.Policy.Gates[0].Margin.Value != 0.02 {
		t.Errorf("%+v", r.Policy)
	}
	b.clean()
}

// With scripts off one signs in, reads, and acts.
func TestWithoutScripts(t *testing.T) {
	browser := chromium(t)
	h, url := lively(t)
	id := h.create("claims-agent").ID
	b := enter(browser, t, url, h.ownerKey, "/rollouts/"+id)
	b.run(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	b.goTo(url + "/rollouts/" + id)
	b.run(chromedp.Click("#do-pause summary"), chromedp.SendKeys("#reason-pause", "lunch"), chromedp.Click("#do-pause form button"), chromedp.WaitReady("#do-resume"))
	if h.stateOf(id) != api.StatePaused {
		t.Errorf("it is %s", h.stateOf(id))
	}
}
