package judge

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
)

// TestTemplateDigest: the text of the prompt is fixed by its version. Whoever
// changes it gives it another version: every calibration and every cached
// answer is of the old one.
func TestTemplateDigest(t *testing.T) {
	p, err := NewPrompt("")
	if err != nil {
		t.Fatal(err)
	}
	const want = "0420905d0058ac4b6129e72951f4af68a6ee127cda6b6ee061494bdf56c67bbd"
	if got := p.Digest(); got != want {
		t.Errorf("%s has the digest %s, want %s", TemplateVersion, got, want)
	}
	own, err := NewPrompt("Which is shorter?")
	if err != nil || own.Digest() == want {
		t.Errorf("criteria make no other judge: %v", err)
	}
}

// TestMessages: the texts stand where they should, whatever is in them.
func TestMessages(t *testing.T) {
	p, err := NewPrompt("Prefer {{.Marker}} rhymes.")
	if err != nil {
		t.Fatal(err)
	}
	random := bytes.NewReader(bytes.Repeat([]byte{0xab}, 16))
	marker := strings.Repeat("ab", 16)
	messages, err := p.messages(Texts{Input: "Why {{.First}}?", First: "äö <b>&", Second: "\"two\"\n"}, random)
	if err != nil {
		t.Fatal(err)
	}
	system, user := messages[0].Content, messages[1].Content
	if !strings.Contains(system, "carry the marker "+marker+".") || !strings.Contains(system, "Prefer {{.Marker}} rhymes.") || strings.Contains(system, "avoid harm") {
		t.Errorf("system: %s", system)
	}
	want := "The input:\n=== M input begins ===\nWhy {{.First}}?\n=== M input ends ===\n\n" +
		"The first answer, 7 characters long:\n=== M first answer begins ===\näö <b>&\n=== M first answer ends ===\n\n" +
		"The second answer, 6 characters long:\n=== M second answer begins ===\n\"two\"\n\n=== M second answer ends ===\n"
	if got := strings.ReplaceAll(user, marker, "M"); !strings.HasPrefix(got, want) {
		t.Errorf("user: %s", got)
	}
	messages, err = p.messages(Texts{First: "a", Second: "b"}, nil)
	if err != nil || !strings.HasPrefix(messages[1].Content, "What both were given was not recorded.\n") || strings.Contains(messages[1].Content, "input begins") {
		t.Errorf("no input: %v, %s", err, messages[1].Content)
	}
}

// TestDraw: a marker that stands in a text is not taken, and a source that repeats itself is an error.
func TestDraw(t *testing.T) {
	one, two := bytes.Repeat([]byte{0xab}, 16), bytes.Repeat([]byte{0xcd}, 16)
	for _, text := range []string{strings.Repeat("ab", 16), "x" + strings.Repeat("AB", 16)} {
		got, err := draw(bytes.NewReader(append(bytes.Clone(one), two...)), "", text)
		if err != nil || got != strings.Repeat("cd", 16) {
			t.Errorf("%s, %v", got, err)
		}
	}
	if got, err := draw(bytes.NewReader(bytes.Repeat(one, 100)), strings.Repeat("ab", 16)); err == nil {
		t.Errorf("took %s", got)
	}
	if got, err := draw(bytes.NewReader(one[:15])); err == nil {
		t.Errorf("took %s of 15 bytes", got)
	}
}

func TestText(t *testing.T) {
	for value, want := range map[string]string{
		`"a\n\"b\""`: "a\n\"b\"", `null`: "", ``: "", ` { "b" : 1, "a": [ 2 ] } `: `{"b":1,"a":[2]}`, `12.50`: "12.50", `true`: "true", `"\u00e4"`: "ä", `""`: "",
	} {
		if got := Text(json.RawMessage(value)); got != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}

// TestParseAnswer: what is not exactly the object that was asked for is no verdict.
func TestParseAnswer(t *testing.T) {
	for content, want := range map[string]api.Position{
		`{"reason":"r","verdict":"first"}`:                    api.PositionFirst,
		` {"verdict":"second","reason":""} `:                  api.PositionSecond,
		`{"reason":"r","verdict":"tie"}`:                      api.PositionTie,
		`{"reason":"r","verdict":"none"}`:                     "",
		`{"reason":"r","verdict":"First"}`:                    "",
		`{"reason":"r","verdict":"candidate"}`:                "",
		`{"reason":"r","verdict":null}`:                       "",
		`{"reason":1,"verdict":"first"}`:                      "",
		`{"verdict":"first"}`:                                 "",
		`{"reason":"r"}`:                                      "",
		`{"reason":"r","verdict":"first","x":1}`:              "",
		`{"reason":"r","Verdict":"first"}`:                    "",
		`{"reason":"r","verdict":"first","verdict":"second"}`: "",
		`{"reason":"r","verdict":"first"}{}`:                  "",
		`{"reason":"r","verdict":"first"} I hope so`:          "",
		"{\"reason\":\"\xff\",\"verdict\":\"first\"}":         "",
		`["first"]`: "",
		`"first"`:   "",
		``:          "",
		"```json\n{\"reason\":\"r\",\"verdict\":\"first\"}\n```":   "",
		`Sure! {"reason":"r","verdict":"first"}`:                   "",
		`<think>x</think>{"reason":"r","verdict":"first"}`:         "",
		`{"reason":"r","verdict":"first"},{"verdict":"candidate"}`: "",
	} {
		if got, err := parseAnswer(content); got.verdict != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", content, got.verdict, err)
		}
	}
	long, err := parseAnswer(`{"reason":"` + strings.Repeat("ä", api.MaxReason) + `","verdict":"tie"}`)
	if err != nil || len(long.reason) > api.MaxReason || len(long.reason) < api.MaxReason-1 {
		t.Errorf("%d bytes, %v", len(long.reason), err)
	}
}

func TestUnwrap(t *testing.T) {
	for content, want := range map[string]string{
		"{}":                                   "{}",
		" ```json\n{}\n```\n":                  "{}",
		"Well.\n```\n{}\n``` So.":              "{}",
		"<think>```json\n[]```</think>{}":      "{}",
		"<think>a</think>\n```json\n{}\n```":   "{}",
		"```json\n{}\n```\n```json\n[]\n```":   "```json\n{}\n```\n```json\n[]\n```",
		"<think>never ends {}":                 "<think>never ends {}",
		"Well, {}":                             "Well, {}",
		"a <think>b</think> {}":                "a <think>b</think> {}",
		"```json\n{}":                          "```json\n{}",
		"<think>a</think><think>b</think>{}":   "<think>b</think>{}",
		"```json\n{}\n``` and ```json\n[]\n``": "{}",
	} {
		got := unwrap(content)
		if content == "```json\n{}\n``` and ```json\n[]\n``" { // three fences: nobody can tell
			want = content
		}
		if got != want {
			t.Errorf("%q: %q, want %q", content, got, want)
		}
	}
}

// TestKeyOf: everything that a verdict depends on is in the key, and nothing can be moved from one part to another.
func TestKeyOf(t *testing.T) {
	seen := map[string]int{}
	for i, c := range []struct {
		by     api.Judge
		tokens int
		texts  Texts
	}{
		{},
		{by: api.Judge{Model: "a"}},
		{by: api.Judge{Version: "a"}},
		{by: api.Judge{Template: "a"}},
		{tokens: 1},
		{texts: Texts{Input: "ab"}},
		{texts: Texts{Input: "a", First: "b"}},
		{texts: Texts{First: "ab"}},
		{texts: Texts{Second: "ab"}},
		{texts: Texts{First: "a", Second: "b"}},
		{texts: Texts{First: "b", Second: "a"}},
		{texts: Texts{First: `a","b`}},
	} {
		key := keyOf(c.by, c.tokens, c.texts)
		if other, ok := seen[key]; ok {
			t.Errorf("questions %d and %d have one key", other, i)
		}
		seen[key] = i
	}
}
