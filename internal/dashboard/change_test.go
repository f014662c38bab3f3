package dashboard

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// change gives the byte at a place another value, as a reader types it, and returns what is said.
func (b *tab) change(at int, value string) string {
	b.Helper()
	return eval[string](b, `(async () => {
		for (const [id, text] of [["place", "`+fmt.Sprint(at)+`"], ["byte", "`+value+`"]]) {
			const field = document.getElementById(id);
			field.value = text;
			field.dispatchEvent(new Event("input", { bubbles: true }));
		}
		await `+settled+`;
		return document.getElementById("changed").textContent;
	})()`)
}

func TestChangeAByte(t *testing.T) {
	browser := chromium(t)
	f, index := sample()
	raw := string(f.sealed[index].Raw)
	s := newSite(t, f.keysJSON)
	b := open(browser, t, s.URL+"/verify", "")
	b.paste(map[string]string{"receipt": raw, "proof": f.proof(index), "keys": f.keysJSON})

	for _, c := range []struct {
		at     int
		to     string
		say    []string
		failed []string
	}{
		{strings.Index(raw, `"weight_after":25`) + 15, "33", []string{"from 2 (0x32) to 3 (0x33)", "/weight_after"}, []string{"signature", "inclusion"}},
		{strings.Index(raw, "clean verdict"), "43", []string{"in /reason/text of the body", "from c (0x63) to C (0x43)"}, []string{"signature", "inclusion"}},
		{strings.Index(raw, `","signature":"`) + 30, "21", []string{"in the signature"}, []string{"signature"}},
		{strings.Index(raw, `,"key_id":"5f33bd857cf1912632881f685f7b8767cb2185b9f6033138bf656d4132c6f27c","sig`) + 11, "36", []string{"in the key id"}, []string{"key_id", "known_key"}},
		{len(raw) - 1, "5d", []string{"between the parts", "from } (0x7d) to ] (0x5d)"}, []string{"envelope"}},
		{strings.Index(raw, "-0.0125"), "2b", []string{"/metrics/success/interval/0"}, []string{"canonical_form", "signature"}},
	} {
		said := b.change(c.at, c.to)
		for _, want := range append(c.say, fmt.Sprintf("Byte %d,", c.at)) {
			if !strings.Contains(said, want) {
				t.Errorf("byte %d: %q does not say %q", c.at, said, want)
			}
		}
		if got := failing(b.result().Changed); !slices.Equal(got, c.failed) {
			t.Errorf("byte %d: %v fail, want %v", c.at, got, c.failed)
		}
	}
	if said := b.change(20, fmt.Sprintf("%02x", raw[20])); !strings.Contains(said, "is as it was") || !strings.Contains(said, "No check fails") {
		t.Errorf("nothing changed: %s", said)
	}
	if r := b.result(); r.Status != "verified" {
		t.Errorf("the original is judged anew: %+v", r)
	}
	// By the mouse: the character that is clicked is the one that changes.
	at := strings.Index(raw, "promote")
	spot := eval[[]float64](b, fmt.Sprintf(`(() => {
		document.getElementById("places").querySelector("[data-place=envelope]").click();
		const pane = document.getElementById("bytes");
		pane.scrollTop = 0;
		pane.scrollIntoView({ block: "center" });
		const range = document.createRange();
		range.setStart(pane.firstChild, %d);
		range.setEnd(pane.firstChild, %d);
		const box = range.getBoundingClientRect();
		return [box.left + box.width * 0.7, box.top + box.height / 2];
	})()`, at, at+1))
	b.run(chromedp.MouseClickXY(spot[0], spot[1]))
	if said := eval[string](b, settled+`.then(() => document.getElementById("changed").textContent)`); !strings.Contains(said, fmt.Sprintf("Byte %d, in /decision of the body, changed from p (0x70) to q (0x71)", at)) {
		t.Errorf("clicked: %s", said)
	}
	b.clean()
}

// TestEveryByteMatters changes each byte of a receipt in the page's own way.
func TestEveryByteMatters(t *testing.T) {
	f, index := sample()
	raw := f.sealed[index].Raw
	var missed []int
	for i, a := range node[[]answer](t, ask, moduleFolder(t), flips(raw), f.keysJSON) {
		if a.First == "" || a.Verified {
			missed = append(missed, i)
		}
	}
	if len(missed) > 0 {
		t.Errorf("no check notices bytes %v", missed)
	}
}

func flips(raw []byte) (list []question) {
	for i := range raw {
		b := slices.Clone(raw)
		b[i] ^= 1
		list = append(list, question{Raw: b})
	}
	return list
}

// TestTextStaysText: markup in every text of a receipt, its proof and the keys is shown and nothing else.
func TestTextStaysText(t *testing.T) {
	browser := chromium(t)
	f := newFixture()
	const evil = `"><img src=x onerror="window.owned=1"><script>window.owned=1</script><svg onload=window.owned=1>{{7*7}}` + "\u202eevil\u2028"
	changes := fields{
		evil: fields{evil: []string{evil}}, "run_id": evil, "probe_id": evil, "idempotency_key": evil, "org": `<img src=x onerror=owned=1>`, "actor": `<img src=x onerror=owned=1>`,
		"source": fields{"app_id": evil, "environment": evil, "release": evil, "framework": evil},
	}
	raw := f.seal(changes).Raw
	s := newSite(t, f.keysJSON)
	b := open(browser, t, s.URL+"/verify", "")
	b.paste(map[string]string{"receipt": string(raw), "proof": f.proof(0), "keys": f.keysJSON})
	if r := b.result(); r.Status != "verified" || strings.Count(r.Signed, "<script>window.owned=1</script>") < 8 || !strings.Contains(r.Signed, `\u202eevil\u2028`) {
		t.Errorf("%+v", r)
	}
	for _, values := range []map[string]string{
		{"keys": evil},
		{"keys": `{"keys":[{"purpose":` + quoted(evil) + `,"public_key":` + quoted(f.keys[0].PublicKey) + `}]}`},
		{"keys": f.keysJSON, "proof": evil},
		{"proof": strings.Replace(f.proof(0), origin, "<img/src=x/onerror=owned=1>", -1)},
		{"receipt": evil},
		{"receipt": `{"` + evil[1:] + `":1}`},
		{"receipt": string(envelope(must(receiptBody(raw)), `<img src=x onerror=owned=1>`, "<script>"))},
	} {
		b.paste(values)
		if r := b.result(); r.Status == "verified" {
			t.Errorf("%v: verified", values)
		}
	}
	if eval[bool](b, `"owned" in window || document.querySelector("main img, main svg, main script") !== null`) {
		t.Error("text became markup")
	}
	b.clean()
}

func receiptBody(raw []byte) ([]byte, error) {
	_, rest, _ := strings.Cut(string(raw), `{"body":`)
	return []byte(rest[:strings.LastIndex(rest, `,"key_id":"`)]), nil
}

// TestNothingIsClaimed where the browser cannot verify, or the keys cannot be had.
func TestNothingIsClaimed(t *testing.T) {
	browser := chromium(t)
	f, index := sample()
	raw := string(f.sealed[index].Raw)
	for name, c := range map[string]struct{ before, want string }{
		"no Ed25519":      {`crypto.subtle.importKey = () => Promise.reject(new DOMException("no", "NotSupportedError"));`, "has no Ed25519"},
		"no WebCrypto":    {`Object.defineProperty(Crypto.prototype, "subtle", { value: undefined });`, "secure pages only"},
		"says yes to all": {`SubtleCrypto.prototype.verify = () => Promise.resolve(true);`, "wrong answer"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, f.keysJSON)
			b := open(browser, t, s.URL+"/verify", c.before)
			b.paste(map[string]string{"receipt": raw, "keys": f.keysJSON})
			r := b.result()
			if r.Status != "open" || !strings.Contains(r.Said, c.want) || !strings.Contains(r.Said, "Nothing is claimed") {
				t.Errorf("%+v", r)
			}
			for _, row := range r.Checks {
				if !strings.HasSuffix(row, " not checked") {
					t.Errorf("%s", row)
				}
			}
			b.clean()
		})
	}
	t.Run("no keys", func(t *testing.T) {
		s := newSite(t, f.keysJSON)
		s.status = 503
		b := open(browser, t, s.URL+"/verify", "")
		b.paste(map[string]string{"receipt": raw})
		if r := b.result(); r.Status != "open" || !strings.Contains(r.Said, "503") || !slices.Contains(r.Checks, "signature not checked") || !slices.Contains(r.Checks, "canonical_form holds") {
			t.Errorf("%+v", r)
		}
	})
}

// TestComplaintsAreHeard shows that a page which broke its policy would fail these tests.
func TestComplaintsAreHeard(t *testing.T) {
	browser := chromium(t)
	s := newSite(t, "")
	b := open(browser, t, s.URL+"/verify", "")
	b.clean()
	eval[bool](b, `new Promise((done) => {
		const script = document.createElement("script");
		script.textContent = "window.owned = 1";
		document.head.append(script);
		document.body.setAttribute("style", "color: red");
		fetch("http://example.invalid/").catch(() => {});
		console.error("heard");
		setTimeout(() => { setTimeout(() => done(true), 200); throw new Error("heard"); }, 0);
	})`)
	heard := strings.Join(b.complaints(), "\n")
	for _, want := range []string{"script-src-elem inline", "style-src-attr inline", "connect-src http://example.invalid/", "console: error", "exception: "} {
		if !strings.Contains(heard, want) {
			t.Errorf("%q is not among what was heard:\n%s", want, heard)
		}
	}
}
