package dashboard

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/edwards25519"
	"golang.org/x/mod/sumdb/note"

	"github.com/cobound/prova/receipt"
)

// question is what both verifiers are asked.
type question struct {
	Name  string `json:"name"`
	Raw   []byte `json:"raw"`
	Proof string `json:"proof"`
}

// answer is the name of the first check that fails, "" if none does. Whether a
// broken envelope is called malformed or failed is left out: which of two
// faults of one text is met first depends on how it is read.
type answer struct {
	First    string `json:"first"`
	Verified bool   `json:"verified"`
}

// ask answers questions with the modules of the page, wherever it is run.
const ask = `async (base, questions, keyText) => {
	const { verify } = await import(base + "receipt.js");
	const { parseKeys } = await import(base + "keys.js");
	const trust = { keys: await parseKeys(keyText), source: "pasted" };
	const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
	const answers = [];
	for (const q of questions) {
		const { first, result } = await verify(bytes(q.raw), trust, q.proof);
		answers.push({ first, verified: result === "verified" });
	}
	return answers;
}`

// wanted is what the server's own code answers.
func (f *fixture) wanted(q question) answer {
	r, err := receipt.Open(q.Raw, f.trust.Receipt)
	if e, ok := errors.AsType[*receipt.VerifyError](err); ok {
		return answer{First: string(e.Check)}
	}
	if q.Proof == "" {
		return answer{Verified: true}
	}
	p, err := receipt.ParseProof(q.Proof)
	if err != nil {
		return answer{First: string(checkProof)}
	}
	_, err = p.Verify(r.LeafHash, note.VerifierList(must(receipt.NewNoteVerifier(f.trust.Checkpoint[0]))))
	switch {
	case errors.Is(err, receipt.ErrCheckpoint):
		return answer{First: string(receipt.CheckCheckpoint)}
	case err != nil:
		return answer{First: string(checkInclusion)}
	}
	return answer{Verified: true}
}

// nasty are pieces that parsers of JSON, numbers, base64 and notes disagree about.
func nasty() []string {
	return []string{
		`"`, `\`, `{`, `}`, `[`, `]`, `,`, `:`, ` `, "\n", "\r", "\t", "\x00", "\x7f", "\xff", "\xc3", "\xed\xa0\x80", "\xef\xbb\xbf", "\u2028", "é", "😀", "\ufffd", "\uffff",
		`\u0000`, `\ud800`, `\udc00`, `\ud83d\ude00`, `\u00e9`, `\u000a`, `\n`, `\/`, `\b`, `\u0008`, `\u001f`, `\u001F`, `\x`,
		"0", "-0", "1e400", "1e-400", "1e21", "1e+21", "1e20", "100000000000000000000", "9007199254740991", "9007199254740992", "9007199254740993", "-9007199254740993",
		"0.1", "1.0", "1e0", "01", "+1", ".5", "5e-324", "4e-324", "1.7976931348623157e+308", "1e-7", "1e-07", "0.000001", "0.0000001", "123456789012345678", "333333333.33333329",
		"true", "null", "NaN", "Infinity", `"a":1,`, `"":0,`, `"org":"other",`, `"source":null,`, `"source":{"app_id":1},`, `"__proto__":{},`, `"constructor":1,`,
		`,"key_id":"`, `","signature":"`, `{"body":`, "=", "==", "+", "/", "A", "\n\n", "— ", "Z", "z", "2026-02-30T00:00:00Z", "24:00:00", ",5Z",
	}
}

// mutate changes text in one of several ways.
func mutate(r *rand.Rand, text []byte) []byte {
	b := bytes.Clone(text)
	at := r.IntN(len(b))
	piece := nasty()[r.IntN(len(nasty()))]
	switch r.IntN(7) {
	case 0:
		b[at] ^= 1 << r.IntN(8)
	case 1:
		b[at] = byte(r.IntN(256))
	case 2: // a piece goes in
		b = append(b[:at:at], append([]byte(piece), b[at:]...)...)
	case 3: // a piece in place of as many bytes
		b = append(b[:at:at], append([]byte(piece), b[min(len(b), at+len(piece)):]...)...)
	case 4: // some bytes go
		b = append(b[:at:at], b[min(len(b), at+1+r.IntN(5)):]...)
	case 5: // a value in place of a value
		starts := bytes.Split(b, []byte(":"))
		if i := r.IntN(len(starts)); i > 0 {
			_, rest, _ := bytes.Cut(starts[i], []byte(","))
			starts[i] = append([]byte(piece+","), rest...)
		}
		b = bytes.Join(starts, []byte(":"))
	case 6: // two parts change places
		to := at + r.IntN(len(b)-at)
		mid := at + (to-at)/2
		b = append(append(append(append([]byte{}, b[:at]...), b[mid:to]...), b[at:mid]...), b[to:]...)
	}
	return b
}

// questions are n mutated receipts and proofs, with every byte of one receipt flipped if every is set.
func (f *fixture) questions(n int, every bool) (list []question) {
	good := must(receipt.Open(f.sealed[4].Raw, f.signer))
	proof := f.proof(4)
	add := func(name string, raw []byte, proof string) { list = append(list, question{name, raw, proof}) }
	add("untouched", f.sealed[4].Raw, proof)
	add("another receipt's proof", f.sealed[3].Raw, proof)
	for name, c := range tampered(f, f.sealed[4].Raw) {
		add(name, c.raw, "")
	}
	for _, m := range []struct{ old, new string }{
		{"index 4\n", "index 5\n"},
		{"index 4\n", "index 9\n"},
		{"index 4\n", "extra AAAA\nindex 4\n"},
		{"index 4\n", "index 04\n"},
		{"\n9\n", "\n8\n"},
		{"\n9\n", "\n0\n"},
		{"\n\n— ", "\nmore\n\n— "},
		{"\n\n— ", "\n\n— other AAAAAAAA\n— "},
		{"\n\n— ", "\n\n— "},
		{"@v1", "@v2"},
		{"\n\n— ", "\n\n" + proof[strings.Index(proof, "— "):] + "— "},
	} {
		add("proof "+m.new, f.sealed[4].Raw, strings.Replace(proof, m.old, m.new, 1))
	}
	if every {
		for i := range f.sealed[4].Raw {
			b := bytes.Clone(f.sealed[4].Raw)
			b[i] ^= 1
			add(fmt.Sprintf("byte %d", i), b, "")
		}
	}
	r := rand.New(rand.NewPCG(7, 9))
	for i := range n {
		name := fmt.Sprintf("mutation %d", i)
		switch i % 4 {
		case 0, 1: // signed, so that the form alone decides
			add(name, f.forge(mutate(r, good.Body)), "")
		case 2:
			add(name, mutate(r, f.sealed[4].Raw), "")
		case 3:
			if mutated := mutate(r, []byte(proof)); bytes.ToValidUTF8(mutated, nil) != nil && strings.ToValidUTF8(string(mutated), "") == string(mutated) {
				add(name, f.sealed[4].Raw, string(mutated)) // a proof is text by the time it is here
			}
		}
	}
	return list
}

// agree compares the answers of the page's modules with those of the server's code.
func (f *fixture) agree(t *testing.T, questions []question, answers []answer) {
	t.Helper()
	if len(answers) != len(questions) {
		t.Fatalf("%d answers to %d questions", len(answers), len(questions))
	}
	differ, verified := 0, 0
	count := map[string]int{}
	for i, q := range questions {
		want := f.wanted(q)
		count[want.First]++
		if want.First == "" {
			verified++
		}
		if answers[i] != want {
			if differ++; differ <= 5 {
				t.Errorf("%s: the page says %+v and receipt.Open %+v\n%q\n%q", q.Name, answers[i], want, q.Raw, q.Proof)
			}
		}
	}
	t.Logf("%d receipts, %d of them verified, %d answered in two ways; first failures %v", len(questions), verified, differ, count)
	for _, name := range []string{"", "envelope", "canonical_form", "schema", "event_id", "kind", "times", "key_id", "signature", "proof", "checkpoint", "inclusion"} {
		if count[name] == 0 {
			t.Errorf("no question fails %q first: nothing was compared there", name)
		}
	}
}

// node runs a function of JavaScript with arguments and reads what it returns.
func node[T any](t *testing.T, function string, arguments ...any) (value T) {
	t.Helper()
	program, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("PROVA_REQUIRE_ALL") != "" {
			t.Fatal("node is not installed; on Debian: apt-get install nodejs")
		}
		t.Skip("NOT TESTED: node is not installed; on Debian: apt-get install nodejs. The same questions are asked in a browser")
	}
	// Node 18 has WebCrypto elsewhere.
	cmd := exec.Command(program, "--input-type=module", "-e", `
		globalThis.crypto ??= (await import("node:crypto")).webcrypto;
		let text = "";
		for await (const part of process.stdin.setEncoding("utf8")) text += part;
		const f = `+function+`;
		console.log(JSON.stringify(await f(...JSON.parse(text))));`)
	cmd.Stdin = bytes.NewReader(must(json.Marshal(arguments)))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.String())
	}
	if err := json.Unmarshal(out, &value); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return value
}

// moduleFolder is a copy of the page's modules that says that they are modules:
// a browser is told so by the page, Node 18 by a package.json.
func moduleFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("assets")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "package.json"), []byte(`{"type":"module"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder + "/"
}

// TestAgreesUnderNode asks many questions, quickly.
func TestAgreesUnderNode(t *testing.T) {
	f, _ := sample()
	questions := f.questions(6000, true)
	f.agree(t, questions, node[[]answer](t, ask, moduleFolder(t), questions, f.keysJSON))
}

// TestAgreesInBrowser asks some hundred in one session of a page.
func TestAgreesInBrowser(t *testing.T) {
	browser := chromium(t)
	f, _ := sample()
	s := newSite(t, f.keysJSON)
	b := open(browser, t, s.URL+"/verify", "")
	questions := f.questions(600, false)
	base := must(loadAssets()).Asset("")
	b.sent()
	answers := eval[[]answer](b, "("+ask+")("+quoted(base)+","+quoted(questions)+","+quoted(f.keysJSON)+")")
	f.agree(t, questions, answers)
	if sent := b.sent(); len(sent) > 0 {
		t.Errorf("requests: %v", sent)
	}
	b.clean()
}

// publicKeys are keys that verifiers treat differently unless they take care.
func publicKeys(t *testing.T) (keys [][]byte) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	torsion := must(new(edwards25519.Point).SetBytes(must(hex.DecodeString("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"))))
	p := edwards25519.NewIdentityPoint()
	for range 8 {
		p.Add(p, torsion)
		keys = append(keys, p.Bytes())
	}
	for i := range 12 {
		good := must(new(edwards25519.Point).SetBytes(keyFrom(fmt.Sprint(i))[32:]))
		keys = append(keys, good.Bytes(), new(edwards25519.Point).Add(good, torsion).Bytes(), new(edwards25519.Point).Negate(good).Bytes())
	}
	for i := range 19 { // y of p and above
		b := bytes.Repeat([]byte{0xff}, 32)
		b[0], b[31] = byte(0xed+i), 0x7f
		keys = append(keys, b, append(bytes.Clone(b[:31]), 0xff))
	}
	keys = append(keys, append([]byte{1}, append(make([]byte, 30), 0x80)...), make([]byte, 31), make([]byte, 33))
	for range 60 { // about half are on the curve, an eighth of those in the subgroup
		b := make([]byte, 32)
		for i := range b {
			b[i] = byte(r.IntN(256))
		}
		keys = append(keys, b)
	}
	return keys
}

// TestKeysUnderNode holds the page's admission of keys to receipt.AdmitKey, and its reading of lists of them.
func TestKeysUnderNode(t *testing.T) {
	keys := publicKeys(t)
	admitted := node[[]bool](t, `async (base, keys) => {
		const { refuse } = await import(base + "ed25519.js");
		return keys.map((key) => refuse(Uint8Array.from(atob(key), (c) => c.charCodeAt(0))) === "");
	}`, moduleFolder(t), keys)
	good := 0
	for i, key := range keys {
		err := receipt.AdmitKey(key)
		if err == nil {
			good++
		}
		if admitted[i] != (err == nil) {
			t.Errorf("key %x: the page says %v and receipt.AdmitKey %v", key, admitted[i], err)
		}
	}
	if good == 0 || good == len(keys) {
		t.Errorf("%d of %d keys are good: nothing was compared", good, len(keys))
	}

	f, _ := sample()
	r64, vkey := f.keys[0].PublicKey, f.keys[1].VKey
	same := must(receipt.VerifierKey(origin, f.signer.Public()))
	lists := []string{
		f.keysJSON, r64, vkey, r64 + "\n" + vkey, "# nothing", "", " " + r64 + " # a comment\r\n", r64 + "\n" + same, hex.EncodeToString(f.signer.Public()),
		strings.ToUpper(hex.EncodeToString(f.signer.Public())), r64[:43], r64 + "=", strings.Replace(vkey, "+", "+0", 1), vkey + " ", "x" + vkey, strings.ToUpper(vkey),
		strings.Replace(f.keysJSON, `"receipt"`, `"else"`, 1), strings.Replace(f.keysJSON, "ed25519", "ed448", 1), strings.Replace(f.keysJSON, `"items"`, `"keys"`, 1),
		strings.Replace(f.keysJSON, f.keys[1].VKey, same, 1), strings.Replace(f.keysJSON, `"purpose":"checkpoint"`, `"purpose":"receipt"`, 1), quoted(f.keys[0]), quoted(f.keys[1]),
		strings.Replace(f.keysJSON, `,"vkey":"`+quoted(vkey)[1:], "", 1), strings.Replace(f.keysJSON, `"purpose":"receipt"`, `"purpose":"receipt","purpose":"receipt"`, 1), `{"items":[]}`, "{",
		base64.StdEncoding.EncodeToString(append([]byte{1}, make([]byte, 31)...)),
	}
	taken := node[[]bool](t, `async (base, lists) => {
		const { parseKeys } = await import(base + "keys.js");
		return Promise.all(lists.map((text) => parseKeys(text).then(() => true, () => false)));
	}`, moduleFolder(t), lists)
	for i, list := range lists {
		if _, err := receipt.ParsePublicKeys([]byte(list)); taken[i] != (err == nil) {
			t.Errorf("%s: the page says %v and receipt.ParsePublicKeys %v", list, taken[i], err)
		}
	}
}
