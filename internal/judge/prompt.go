package judge

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/template"
	"unicode/utf8"
)

// TemplateVersion names the prompt. Any change of its text is another version
// and another judge, which needs a calibration of its own.
const TemplateVersion = "pairwise-1"

//go:embed pairwise-1.txt
var templateText string

// Texts is what a judge is shown, in the order of showing.
type Texts struct {
	Input         string // empty where it was not recorded
	First, Second string
}

// Prompt makes the messages of a call.
type Prompt struct {
	criteria string
	parsed   *template.Template
}

// NewPrompt makes a prompt with the user's criteria, or the template's own where they are empty.
func NewPrompt(criteria string) (Prompt, error) {
	parsed, err := template.New(TemplateVersion).Option("missingkey=error").Parse(templateText)
	return Prompt{criteria: criteria, parsed: parsed}, err
}

// Digest is the SHA-256, in hex, of the template and the criteria: what
// api.Judge.Template says of a judge that is asked with this prompt.
func (p Prompt) Digest() string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\n%d\n%s%d\n%s", TemplateVersion, len(templateText), templateText, len(p.criteria), p.criteria)
	return hex.EncodeToString(h.Sum(nil))
}

// message is one of a conversation, as it is sent.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Messages are the system's and the user's words for one call. The marker is
// drawn from random until it occurs in none of the texts, so nobody who wrote
// one of them can end it early.
func (p Prompt) messages(t Texts, random io.Reader) ([]message, error) {
	marker, err := draw(random, t.Input, t.First, t.Second, p.criteria)
	if err != nil {
		return nil, err
	}
	data := struct {
		Texts
		Marker, Criteria        string
		FirstChars, SecondChars int
	}{t, marker, p.criteria, utf8.RuneCountInString(t.First), utf8.RuneCountInString(t.Second)}
	messages := []message{{Role: "system"}, {Role: "user"}}
	for i := range messages {
		var b bytes.Buffer
		if err := p.parsed.ExecuteTemplate(&b, messages[i].Role, data); err != nil {
			return nil, err
		}
		messages[i].Content = b.String()
	}
	return messages, nil
}

// draws is how often a marker is drawn. One that occurs in a text by chance is
// rarer than any failure of the machine: several mean that random is broken.
const draws = 4

func draw(random io.Reader, texts ...string) (string, error) {
	if random == nil {
		random = rand.Reader
	}
	var bits [16]byte
next:
	for range draws {
		if _, err := io.ReadFull(random, bits[:]); err != nil {
			return "", fmt.Errorf("no marker for the judge's prompt: %w", err)
		}
		marker := hex.EncodeToString(bits[:])
		for _, text := range texts {
			if strings.Contains(strings.ToLower(text), marker) {
				continue next
			}
		}
		return marker, nil
	}
	return "", errors.New("no marker for the judge's prompt: the source of randomness repeats itself")
}

// Text is a payload's value as it is shown to a judge: a string's text, and
// anything else as compact JSON. Null and nothing are the empty text.
func Text(value json.RawMessage) string {
	trimmed := bytes.TrimSpace(value)
	if len(trimmed) == 0 || bytes.Equal(trimmed, []byte("null")) {
		return ""
	}
	if trimmed[0] == '"' {
		var text string
		if json.Unmarshal(trimmed, &text) == nil {
			return text
		}
	}
	var b bytes.Buffer
	if json.Compact(&b, trimmed) != nil {
		return string(trimmed)
	}
	return b.String()
}
