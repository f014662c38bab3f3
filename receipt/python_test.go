package receipt

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/cobound/prova/verifiers/python/pythontest"
)

// The verifier in Python answers as this package does, on every piece of
// evidence that its tests verify: they leave it in a directory when they are
// run for that.

// corpusVariable names the directory in which tests leave what they verified.
const corpusVariable = "PROVA_TEST_CORPUS"

// keptCase is what is kept beside a piece of evidence.
type keptCase struct {
	Keys   []PublicKey
	Heads  []Checkpoint
	Policy string // the text of one, if there is any
	Report Report
}

// policyText writes a policy as a file; names with a space are those that NewPolicy gives.
func policyText(p Policy) string {
	if !p.Given() {
		return ""
	}
	name := func(s string) string { return strings.ReplaceAll(s, " ", "-") }
	var text strings.Builder
	for _, w := range p.Witnesses {
		fmt.Fprintf(&text, "witness %s %s\n", name(w.Name), w.VKey())
	}
	for _, g := range slices.Sorted(maps.Keys(p.groups)) { // groups of groups are not in these tests
		fmt.Fprintf(&text, "group %s %d", name(g), p.groups[g].k)
		for _, m := range p.groups[g].members {
			text.WriteString(" " + name(m))
		}
		text.WriteString("\n")
	}
	return text.String() + "quorum " + name(p.quorum) + "\n"
}

// verifyReceipt is VerifyReceipt.
func verifyReceipt(raw []byte, trust Trust) Report {
	return keepCase(raw, trust, VerifyReceipt(raw, trust))
}

// verifyExport is VerifyExport. What comes out of anything but a string is not kept.
func verifyExport(r io.Reader, trust Trust) Report {
	text, ok := r.(*strings.Reader)
	if !ok {
		return VerifyExport(r, trust, nil)
	}
	data, err := io.ReadAll(text)
	if err != nil {
		panic(err)
	}
	report := VerifyExport(strings.NewReader(string(data)), trust, nil)
	if !strings.HasPrefix(string(data), `{"export":`) { // a program takes it for a receipt
		return report
	}
	return keepCase(data, trust, report)
}

// keepCase keeps evidence, bytes or a directory, and returns its report.
func keepCase(evidence any, trust Trust, report Report) Report {
	root := os.Getenv(corpusVariable)
	if root == "" {
		return report
	}
	kept := keptCase{Heads: trust.Heads, Report: report, Policy: policyText(trust.Policy)}
	for _, pub := range trust.Receipt {
		kept.Keys = append(kept.Keys, NewReceiptPublicKey(pub))
	}
	for _, vkey := range trust.Checkpoint {
		k, err := NewCheckpointPublicKey(vkey)
		if err != nil {
			return report
		}
		kept.Keys = append(kept.Keys, k)
	}
	for _, pub := range trust.CheckpointKeys {
		kept.Keys = append(kept.Keys, PublicKey{Purpose: PurposeCheckpoint, PublicKey: base64.StdEncoding.EncodeToString(pub)})
	}
	if _, err := trust.verifiers(); err != nil { // keys that no program would begin with
		return report
	}
	slices.SortFunc(kept.Keys, func(a, b PublicKey) int { return strings.Compare(a.KeyID, b.KeyID) })
	if err := kept.write(root, evidence); err != nil {
		panic(err)
	}
	return report
}

func (c keptCase) write(root string, evidence any) error {
	dir, err := os.MkdirTemp(root, "")
	if err != nil {
		return err
	}
	switch e := evidence.(type) {
	case []byte:
		err = os.WriteFile(filepath.Join(dir, "evidence"), e, 0o600)
	case fstest.MapFS:
		for _, f := range e {
			if f.Mode.Type() == fs.ModeDevice { // no test can make one
				return os.Remove(dir)
			}
		}
		err = writeDir(filepath.Join(dir, "evidence"), e)
	}
	if err != nil {
		return err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "case.json"), text, 0o600)
}

func writeDir(root string, files fstest.MapFS) error {
	if err := os.Mkdir(root, 0o700); err != nil {
		return err
	}
	for name, f := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		var err error
		switch {
		case f.Mode.Type() == fs.ModeSymlink:
			err = os.Symlink(string(f.Data), path)
		case f.Mode.IsDir():
			err = os.Mkdir(path, 0o700)
		default:
			err = os.WriteFile(path, f.Data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// TestPythonAgrees runs the tests that verify evidence again, keeps what they
// verified, adds some that was changed at random, and lets the other verifier
// answer.
func TestPythonAgrees(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other tests a second time, and a slower verifier")
	}
	if os.Getenv(corpusVariable) != "" {
		t.Skip("within itself")
	}
	root := t.TempDir()
	self := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^Test(Tamper|Bundle|Export|VerifyReceipt|Receipt|Trust)")
	self.Env = append(os.Environ(), corpusVariable+"="+root)
	if out, err := self.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Setenv(corpusVariable, root)
	changeAtRandom(t)
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	groups := map[string][]string{} // of evidence, by what is trusted
	cases := map[string]keptCase{}
	for _, e := range entries {
		path := filepath.Join(root, e.Name(), "evidence")
		text, err := os.ReadFile(filepath.Join(root, e.Name(), "case.json"))
		if err != nil {
			t.Fatal(err)
		}
		var c keptCase
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		cases[path] = c
		group := fmt.Sprint(c.Keys, c.Heads, c.Policy)
		groups[group] = append(groups[group], path)
	}
	results := map[string]int{}
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		paths := groups[group]
		got, _ := pythontest.Verify(t, append(cases[paths[0]].args(t), paths...)...)
		if len(got) != len(paths) {
			t.Fatalf("%d answers for %d files", len(got), len(paths))
		}
		for i, path := range paths {
			want := cases[path].Report
			results[want.Result]++
			var report Report
			if err := json.Unmarshal(got[i], &report); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(comparable(report), comparable(want)) {
				text, _ := json.Marshal(want)
				t.Errorf("%s:\nPython %s\nGo     %s", path, got[i], text)
			}
		}
	}
	t.Logf("%d cases in %d groups: %v", len(cases), len(groups), results)
	if len(cases) < 400 || len(results) != 4 {
		t.Errorf("%d cases: %v", len(cases), results)
	}
}

// args are those that trust what the case trusts.
func (c keptCase) args(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var args []string
	if len(c.Keys) > 0 {
		text, err := BundleKeys(c.Keys)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "--key", write("keys.json", string(text)))
	}
	for i, h := range c.Heads {
		text := fmt.Sprintf("%s\n%d\n%s\n\n— %s AAAAAAA=\n", h.Origin, h.Size, h.Root, h.Origin)
		args = append(args, "--head", write(fmt.Sprintf("head%d", i), text))
	}
	if c.Policy != "" {
		args = append(args, "--policy", write("policy", c.Policy))
	}
	return args
}

// comparable is what two verifiers must agree on: all but the words.
func comparable(r Report) Report {
	out := Report{Result: r.Result, KeysPinned: r.KeysPinned, Org: r.Org, Scope: r.Scope, From: r.From, Receipts: r.Receipts, Size: r.Size, Omitted: r.Omitted}
	for _, c := range r.Checks {
		out.Checks = append(out.Checks, Check{Check: c.Check, Status: c.Status, LogIndex: c.LogIndex, EventID: c.EventID})
	}
	return out
}

// changeAtRandom keeps evidence that was changed in ways that nobody thought of.
func changeAtRandom(t *testing.T) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	s := newSigner(t, "receipts")
	keys, err := NewKeySet(s.Public())
	if err != nil {
		t.Fatal(err)
	}
	raw := seal(t, s, nil).Raw
	body, _, _, err := splitEnvelope(raw)
	if err != nil {
		t.Fatal(err)
	}
	for range 150 {
		verifyReceipt(mutated(rng, raw), Trust{Receipt: keys})
		changed := mutated(rng, body)
		verifyReceipt(joinEnvelope(changed, s.KeyID(), ed25519.Sign(seedKey("receipts"), PAE(PayloadType, changed))), Trust{Receipt: keys})
	}
	for _, changes := range oddBodies() {
		signed := forge("receipts", PayloadType, bodyWith(string(body), changes))
		verifyReceipt(signed, Trust{Receipt: keys})
	}
	l := storyLog(t)
	export := []byte(l.export(t, l.checkpoint(t)))
	bundles := [][]byte{bundleOf(t, l, rolloutScope).tar(t), bundleOf(t, l, Scope{Receipt: "evt_0008"}).tar(t), bundleOf(t, l, rangeScope(3, 9)).tar(t)}
	for i := range 60 {
		verifyExport(strings.NewReader(string(mutated(rng, export))), l.trust(t))
		verifyExport(strings.NewReader(string(mutated(rng, export))), Trust{})
		if data := mutated(rng, bundles[i%3]); IsTar(data) {
			verifyTar(data, l.trust(t))
		}
	}
}

// mutated changes data in one to three places.
func mutated(rng *rand.Rand, data []byte) []byte {
	out := slices.Clone(data)
	for range 1 + rng.IntN(3) {
		i := rng.IntN(len(out))
		switch rng.IntN(6) {
		case 0:
			out[i] ^= 1 << rng.IntN(8)
		case 1:
			out[i] = `{}[],:"\0-.eE 	tn`[rng.IntN(17)]
		case 2:
			out = slices.Delete(out, i, min(len(out), i+1+rng.IntN(20)))
		case 3:
			out = slices.Insert(out, i, data[i/2:i/2+min(20, i-i/2)]...)
		case 4:
			out[i] = byte(rng.IntN(256))
		default:
			if line := strings.SplitAfter(string(out), "\n"); len(line) > 2 { // two lines change places
				a, b := rng.IntN(len(line)), rng.IntN(len(line))
				line[a], line[b] = line[b], line[a]
				out = []byte(strings.Join(line, ""))
			}
		}
	}
	return out
}

// oddBodies are members in the place of "org":"default".
func oddBodies() []string {
	return []string{
		`"org":""`, `"org":null`, `"org":1`, `"org":"é"`, `"org":"` + strings.Repeat("é", 65) + `"`, `"n":0,"org":"a"`, `"n":-0,"org":"a"`, `"n":1.0,"org":"a"`,
		`"n":1e5,"org":"a"`, `"n":1e+21,"org":"a"`, `"n":1e21,"org":"a"`, `"n":1e-7,"org":"a"`, `"n":0.000001,"org":"a"`, `"n":0.0000001,"org":"a"`,
		`"n":5e-324,"org":"a"`, `"n":1.7976931348623157e+308,"org":"a"`, `"n":9007199254740991,"org":"a"`, `"n":-9007199254740991,"org":"a"`,
		`"n":100000000000000000000,"org":"a"`, `"n":123456789012345680000,"org":"a"`, `"n":0.1,"org":"a"`, `"n":0.10,"org":"a"`, `"n":01,"org":"a"`, `"n":+1,"org":"a"`,
		`"n":"\u001f","org":"a"`, `"n":"\u001F","org":"a"`, `"n":"\u000a","org":"a"`, `"n":"\n","org":"a"`, `"n":"\/","org":"a"`, `"n":"/","org":"a"`,
		`"n":"\ud83d\ude00","org":"a"`, `"n":"😀","org":"a"`, `"n":"\u00e9","org":"a"`, "\"n\":\"\u2028\",\"org\":\"a\"", "\"n\":\"\x7f\",\"org\":\"a\"",
		"\"n\":\"\ufffe\",\"org\":\"a\"", "\"n\":\"\xed\xa0\x80\",\"org\":\"a\"", "\"n\":\"\xc0\x80\",\"org\":\"a\"", "\"n\":\"\xf4\x90\x80\x80\",\"org\":\"a\"",
		`"n":{"\ufb33":1,"😀":2},"org":"a"`, `"n":{"😀":2,"דּ":1},"org":"a"`, `"n":{"דּ":1,"😀":2},"org":"a"`, `"n":{"a":1,"a":2},"org":"a"`, `"n":{"":1},"org":"a"`,
		`"n":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `,"org":"a"`, `"n":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `,"org":"a"`,
		`"n":NaN,"org":"a"`, `"n":Infinity,"org":"a"`, `"n":tru,"org":"a"`, `"n":[1,],"org":"a"`, `"n":[,1],"org":"a"`, `"n":{"a" :1},"org":"a"`, `"n":'a',"org":"a"`,
		`"org":"a","stream":{}`, `"org":"a","stream":{"id":"r"}`, `"org":"a","stream":{"id":"r","seq":0}`, `"org":"a","stream":{"id":"r","prev":"x","seq":1}`,
		`"org":"a","stream":{"id":"r","seq":true}`, `"org":"a","stream":{"id":"r","seq":-1}`, `"org":"a","stream":{"id":"r","seq":1.5}`, `"org":"a","stream":[]`,
		`"org":"a","terminal":true`, `"org":"a","terminal":1`, `"org":"a","terminal":null`, `"advisory":"yes","org":"a"`,
	}
}

// bodyWith puts other members in the place of "org" and keeps the order where names ascend.
func bodyWith(body, members string) []byte {
	before, after, _ := strings.Cut(body, `"org":"default"`)
	return []byte(before + members + after)
}
