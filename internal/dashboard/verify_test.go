package dashboard

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cobound/prova/receipt"
)

// TestVerifyPage drives the page as a reader does.
func TestVerifyPage(t *testing.T) {
	browser := chromium(t)
	f, index := sample()
	raw, proof := f.sealed[index].Raw, f.proof(index)
	s := newSite(t, f.keysJSON)

	t.Run("pinned keys", func(t *testing.T) {
		b := open(browser, t, s.URL+"/verify", "")
		if r := b.result(); r.Title != "Nothing to verify yet" || !strings.Contains(r.Signed, "prova receipts get") || len(failing(r.Checks)) != 0 {
			t.Errorf("empty: %+v", r)
		}
		b.sent()
		s.seen()
		b.paste(map[string]string{"receipt": string(raw), "proof": proof, "keys": f.keysJSON})
		r := b.result()
		if r.Status != "verified" || !strings.Contains(r.Said, "stands in the log") || !strings.Contains(r.Signed, "clean verdict at 5%") {
			t.Errorf("%+v", r)
		}
		for _, c := range verifyChecks() {
			if !slices.Contains(r.Checks, string(c.Name)+" holds") {
				t.Errorf("check %s does not hold: %v", c.Name, r.Checks)
			}
		}
		if sent := append(b.sent(), s.seen()...); len(sent) > 0 {
			t.Errorf("requests after the load: %v", sent)
		}
		b.paste(map[string]string{"proof": ""})
		if r := b.result(); r.Status != "verified" || !strings.Contains(r.Said, "was not asked") {
			t.Errorf("without proof: %+v", r)
		}
		b.clean()
	})
	t.Run("the server's keys", func(t *testing.T) {
		b := open(browser, t, s.URL+"/verify", "")
		b.sent()
		s.seen()
		b.paste(map[string]string{"receipt": string(raw)})
		if r := b.result(); r.Status != "consistent" || !strings.Contains(r.Said, "agrees with itself") || !slices.Contains(r.Checks, "trust open") || !slices.Contains(r.Checks, "signature holds") {
			t.Errorf("%+v", r)
		}
		b.paste(map[string]string{"receipt": string(raw) + "\n\n"})
		if sent := s.seen(); !slices.Equal(sent, []string{"GET /api/v1/keys"}) {
			t.Errorf("requests after the load: %v", sent)
		}
		if sent := b.sent(); !slices.Equal(sent, []string{"GET " + s.URL + "/api/v1/keys"}) {
			t.Errorf("requests after the load: %v", sent)
		}
		b.clean()
	})
	t.Run("ways in", func(t *testing.T) {
		b := open(browser, t, s.URL+"/verify", "")
		for name, text := range map[string]string{
			"with space":      "\n  " + string(raw) + " \r\n",
			"with its proof":  string(raw) + "\n" + proof,
			"the API's":       `{"log_index": 4, "receipt": ` + string(raw) + `, "integrity_hash": "…"}`,
			"proof of answer": string(raw),
		} {
			values := map[string]string{"receipt": text, "keys": f.keys[0].PublicKey + "\n" + f.keys[1].VKey, "proof": ""}
			if name == "proof of answer" {
				values["proof"] = `{"index":4,"proof":` + quoted(proof) + `}`
			}
			b.paste(values)
			r := b.result()
			if inLog := strings.Contains(r.Said, "stands in the log"); r.Status != "verified" || strings.Contains(name, "proof") && !inLog {
				t.Errorf("%s: %+v", name, r)
			}
		}
		b.drop("receipt.json", raw)
		if r := b.result(); r.Status != "verified" {
			t.Errorf("dropped: %+v", r)
		}
		eval[bool](b, `(document.getElementById("sample").click(), `+settled+`)`)
		if r := b.result(); r.Title != "The sample holds" || !slices.Contains(r.Checks, "inclusion holds") || !slices.Contains(r.Checks, "trust open") {
			t.Errorf("sample: %+v", r)
		}
		b.clean()
	})
	t.Run("bad keys", func(t *testing.T) {
		b := open(browser, t, s.URL+"/verify", "")
		for keys, want := range map[string]string{
			"0100000000000000000000000000000000000000000000000000000000000000": "small order",
			"nonsense": "line 1",
			strings.Replace(f.keysJSON, f.keys[0].KeyID, f.keys[1].KeyID, 1): "key_id is",
		} {
			b.paste(map[string]string{"receipt": string(raw), "keys": keys})
			if r := b.result(); r.Status != "open" || !strings.Contains(r.Said, want) || !slices.Contains(r.Checks, "signature not checked") {
				t.Errorf("%s: %+v", keys, r)
			}
		}
		other := receipt.NewReceiptPublicKey(must(receipt.NewSigner(keyFrom("other"))).Public()).PublicKey
		b.paste(map[string]string{"receipt": string(raw), "keys": other})
		if r := b.result(); r.Status != "failed" || !strings.Contains(r.Said, "nothing is proved") || !slices.Equal(failing(r.Checks), []string{"known_key"}) {
			t.Errorf("%+v", r)
		}
		b.clean()
	})
}

// tampered are receipts that each fail one check first, by name.
func tampered(f *fixture, raw []byte) map[string]struct {
	raw  []byte
	want receipt.CheckName
} {
	type c = struct {
		raw  []byte
		want receipt.CheckName
	}
	good := must(receipt.Open(raw, f.signer))
	sig64 := base64.StdEncoding.EncodeToString(good.Signature)
	edit := func(old, new string) []byte {
		changed := bytes.Replace(raw, []byte(old), []byte(new), 1)
		if bytes.Equal(changed, raw) {
			panic("nothing to edit: " + old)
		}
		return changed
	}
	resigned := func(old, new string) []byte { return f.forge(bytes.Replace(good.Body, []byte(old), []byte(new), 1)) }
	flipped := bytes.Clone(good.Signature)
	flipped[5] ^= 4
	const org = `"org":"default"`
	return map[string]c{
		"a byte of the body":              {edit(`"step":1`, `"step":2`), receipt.CheckSignature},
		"a bit of the signature":          {envelope(good.Body, good.KeyID, base64.StdEncoding.EncodeToString(flipped)), receipt.CheckSignature},
		"signature cut short":             {envelope(good.Body, good.KeyID, base64.StdEncoding.EncodeToString(flipped[:60])), receipt.CheckSignature},
		"other base64 of the signature":   {edit(sig64, sig64[:85]+string(sig64[85]+1)+"=="), receipt.CheckSignature},
		"no padding":                      {edit(sig64, strings.TrimRight(sig64, "=")), receipt.CheckSignature},
		"spaced":                          {edit(`"kind":`, `"kind": `), receipt.CheckCanonicalForm},
		"spaced and signed":               {resigned(org, `"org": "default"`), receipt.CheckCanonicalForm},
		"two members of a name, signed":   {resigned(org, org+`,"org":"other"`), receipt.CheckCanonicalForm},
		"two by escape, signed":           {resigned(org, org+`,"\u006frg":"other"`), receipt.CheckCanonicalForm},
		"two bodies":                      {edit(`,"key_id":"`+good.KeyID+`","sig`, `,"body":{},"key_id":"`+good.KeyID+`","sig`), receipt.CheckCanonicalForm},
		"a number that loses, signed":     {resigned(org, `"n":9007199254740993,`+org), receipt.CheckCanonicalForm},
		"2^53, signed":                    {resigned(org, `"n":9007199254740992,`+org), receipt.CheckCanonicalForm},
		"1e400, signed":                   {resigned(org, `"n":1e400,`+org), receipt.CheckCanonicalForm},
		"a lone surrogate, signed":        {resigned(org, `"n":"\ud800",`+org), receipt.CheckCanonicalForm},
		"U+0000, signed":                  {resigned(org, `"n":"\u0000",`+org), receipt.CheckCanonicalForm},
		"invalid UTF-8, signed":           {resigned(org, "\"n\":\"\xff\","+org), receipt.CheckCanonicalForm},
		"a surrogate as bytes, signed":    {resigned(org, "\"n\":\"\xed\xa0\x80\","+org), receipt.CheckCanonicalForm},
		"too deep, signed":                {resigned(org, `"n":`+strings.Repeat("[", 32)+strings.Repeat("]", 32)+`,`+org), receipt.CheckCanonicalForm},
		"other schema, signed":            {resigned(`"prova.receipt/1"`, `"prova.receipt/2"`), receipt.CheckSchema},
		"a type, signed":                  {resigned(org, `"org":null`), receipt.CheckSchema},
		"no org, signed":                  {resigned(org, `"org":""`), receipt.CheckSchema},
		"event id, signed":                {resigned(`"evt_0sample"`, `"evt_0.sample"`), receipt.CheckEventID},
		"kind, signed":                    {resigned(`"rollout_decision"`, `"_decision"`), receipt.CheckKind},
		"30 February, signed":             {resigned(`"2026-05-15T`, `"2026-02-30T`), receipt.CheckTimes},
		"occurred after recorded, signed": {resigned(org, `"occurred_at":"2026-05-15T18:47:01Z",`+org), receipt.CheckTimes},
		"another key id":                  {envelope(good.Body, strings.Repeat("0", 64), sig64), receipt.CheckKeyID},
		"a member beside the body":        {append(bytes.Clone(raw[:len(raw)-1]), `,"verified":true}`...), receipt.CheckEnvelope},
		"a member before the body":        {edit(`{"body"`, `{"actor":"eve","body"`), receipt.CheckEnvelope},
		"members in another order":        {[]byte(`{"key_id":"","body":{},"signature":""}`), receipt.CheckEnvelope},
		"no JSON":                         {[]byte("hello"), receipt.CheckEnvelope},
	}
}

func TestTamperedReceipts(t *testing.T) {
	browser := chromium(t)
	f, index := sample()
	raw := f.sealed[index].Raw
	s := newSite(t, f.keysJSON)
	b := open(browser, t, s.URL+"/verify", "")
	b.paste(map[string]string{"keys": f.keysJSON})
	for name, c := range tampered(f, raw) {
		_, err := receipt.Open(c.raw, f.signer)
		if e, ok := errors.AsType[*receipt.VerifyError](err); !ok || e.Check != c.want {
			t.Errorf("%s: receipt.Open says %v, want the check %s to fail", name, err, c.want)
		}
		b.drop("receipt.json", c.raw)
		r := b.result()
		if r.Status != "failed" || !slices.Contains(failing(r.Checks), string(c.want)) {
			t.Errorf("%s: the page shows %s (%s), %v; want %s", name, r.Status, r.Said, failing(r.Checks), c.want)
		}
		if !strings.Contains(r.Signed, "nothing vouches for it") {
			t.Errorf("%s: the body is shown: %s", name, r.Signed)
		}
	}
	// What cannot be told from good text once a browser has replaced it.
	eval[bool](b, `(() => {
		const field = document.getElementById("receipt");
		field.value = `+quoted(string(raw))+`.replace("a sample", "a \ud800");
		field.dispatchEvent(new Event("input"));
		return `+settled+`;
	})()`)
	if r := b.result(); !slices.Contains(failing(r.Checks), "canonical_form") {
		t.Errorf("a lone surrogate that was pasted: %+v", r)
	}
	b.clean()
}
