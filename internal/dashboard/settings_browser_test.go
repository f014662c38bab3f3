package dashboard

import (
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// Somebody sends a delivery again: the button, the answer on the page, the attempt.
func TestRedeliverInABrowser(t *testing.T) {
	browser := chromium(t)
	h := newHouse(t)
	h.clock.at = time.Now()
	r := h.receives(authority.Sent{StatusCode: 500, Answer: "<b>down</b>"})
	hook := h.hook()
	h.send(hook.ID)
	b := enter(browser, t, h.served(), h.ownerKey, "/webhooks")
	b.do(`document.querySelector(".row .what a").click()`)
	b.until(`document.querySelectorAll(".attempts tbody tr").length === 1`)
	if said := eval[string](b, `document.querySelector(".answer").innerText`); said != "<b>down</b>" {
		t.Errorf("the receiver's answer reads %q", said)
	}
	r.answer = authority.Sent{StatusCode: 204}
	b.do(`document.querySelector(".delivery form button").click()`)
	b.until(`document.querySelectorAll(".attempts tbody tr").length === 2`)
	if said := eval[string](b, `document.querySelector(".flash").innerText`); !strings.Contains(said, "the receiver took it") {
		t.Errorf("the page says %q", said)
	}
	if word := eval[string](b, `document.querySelector(".delivery .word").innerText`); !strings.Contains(word, "delivered") {
		t.Errorf("the delivery is %q", word)
	}
	if d := must(h.Deliveries(t.Context(), h.owner, hook.ID, "", 1)).Items[0]; d.Status != api.DeliveryDelivered || len(d.Attempts) != 2 {
		t.Errorf("%s after %d attempts", d.Status, len(d.Attempts))
	}
	b.clean()
}

// A secret is shown once, can be copied, is in no address, and is not to be had by going back.
func TestSecretInABrowser(t *testing.T) {
	browser := chromium(t)
	h := newHouse(t)
	h.clock.at = time.Now()
	url := h.served()
	b := enter(browser, t, url, h.ownerKey, "/keys")
	b.do(`document.getElementById("name").value = "an agent"; document.querySelector("input[value='audit.ingest']").click(); document.querySelector(".fields button").click()`)
	b.until(`document.getElementById("secret")`)
	b.look(1180, 900, "light", "screen")
	b.picture(*pictures, "key-made-light")
	secret := eval[string](b, `document.getElementById("secret").innerText`)
	if p, err := h.Authenticate(t.Context(), secret); err != nil || p.KeyID == "" {
		t.Errorf("%q is no key: %v", secret, err)
	}
	b.do(`document.querySelector(".secret .copy").click()`)
	b.until(`document.querySelector(".secret .copy").innerText !== "Copy"`)
	if marked := eval[string](b, `getSelection().toString()`); marked != secret {
		t.Errorf("marked is %q", marked)
	}
	b.goTo(url + "/settings")
	b.clean()
	b.do(`setTimeout(() => history.back())`) // the answer to a form is not kept: the browser asks whether to send it again
	b.until(`location.pathname !== "/settings" && document.readyState === "complete"`)
	if eval[bool](b, `document.body.innerText.includes(`+quoted(secret)+`)`) {
		t.Error("the secret is there again after going back")
	}
	for _, request := range b.sent() {
		if strings.Contains(request, secret) {
			t.Errorf("the secret is in the address %s", request)
		}
	}
}
