package judgetest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Prompt is what the judge was shown, read as a judge would that keeps to what
// the system's words say about markers.
type Prompt struct {
	System, User, Marker string
	Input, First, Second string
	// Outside is what stands between no markers: what a judge may take for instructions.
	Outside string
}

// asked is a request.
type asked struct {
	Model          string            `json:"model"`
	Messages       []json.RawMessage `json:"messages"`
	ResponseFormat *struct {
		Type       string `json:"type"`
		JSONSchema *struct {
			Name   string          `json:"name"`
			Strict bool            `json:"strict"`
			Schema json.RawMessage `json:"schema"`
		} `json:"json_schema"`
	} `json:"response_format"`
	Temperature         *float64 `json:"temperature"`
	Seed                *int     `json:"seed"`
	MaxTokens           int      `json:"max_tokens"`
	MaxCompletionTokens int      `json:"max_completion_tokens"`

	prompt Prompt
}

func (a asked) format() string {
	if a.ResponseFormat == nil {
		return "text"
	}
	return a.ResponseFormat.Type
}

// read reads a request, or says what is wrong with it.
func (e *Endpoint) read(r *http.Request) (a asked, complaint string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return a, err.Error()
	}
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields() // tools among them
	if err := decoder.Decode(&a); err != nil {
		return a, "the request: " + err.Error()
	}
	switch {
	case r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/v1/chat/completions"):
		return a, "asked " + r.Method + " " + r.URL.Path
	case r.Header.Get("Content-Type") != "application/json":
		return a, "content type " + r.Header.Get("Content-Type")
	case e.Key != "" && r.Header.Get("Authorization") != "Bearer "+e.Key:
		return a, "another key"
	case a.Model != e.Model:
		return a, "the model " + a.Model
	case (a.MaxTokens > 0) == (a.MaxCompletionTokens > 0):
		return a, "want one bound of the answer's tokens"
	case a.Temperature != nil && *a.Temperature != 0:
		return a, "a temperature above 0"
	}
	if complaint := a.checkFormat(); complaint != "" {
		return a, complaint
	}
	for _, word := range e.Forbidden {
		if strings.Contains(strings.ToLower(string(body)), strings.ToLower(word)) {
			return a, "the request holds " + word
		}
	}
	if a.prompt, err = readMessages(a.Messages); err != nil {
		return a, err.Error()
	}
	return a, ""
}

func (a asked) checkFormat() string {
	f := a.ResponseFormat
	switch {
	case f == nil || f.Type == "json_object" && f.JSONSchema == nil:
		return ""
	case f.Type != "json_schema" || f.JSONSchema == nil || f.JSONSchema.Name == "" || !f.JSONSchema.Strict:
		return "a response_format that is no strict schema"
	}
	// What OpenAI wants of a strict schema: all members required, and no others.
	var s struct {
		Type                 string                     `json:"type"`
		Properties           map[string]json.RawMessage `json:"properties"`
		Required             []string                   `json:"required"`
		AdditionalProperties *bool                      `json:"additionalProperties"`
	}
	if err := json.Unmarshal(f.JSONSchema.Schema, &s); err != nil || s.Type != "object" || s.AdditionalProperties == nil || *s.AdditionalProperties || len(s.Required) != len(s.Properties) {
		return "a schema that is not strict"
	}
	for name := range s.Properties {
		if !slices.Contains(s.Required, name) {
			return "a schema that does not require " + name
		}
	}
	if properties := string(f.JSONSchema.Schema); strings.Index(properties, `"reason"`) > strings.Index(properties, `"verdict"`) {
		return "a schema that asks for the verdict before the reason"
	}
	return ""
}

// readMessages takes the system's words and the user's apart.
func readMessages(messages []json.RawMessage) (p Prompt, err error) {
	if len(messages) != 2 {
		return p, fmt.Errorf("%d messages", len(messages))
	}
	for i, role := range []string{"system", "user"} {
		var m map[string]string
		if err := json.Unmarshal(messages[i], &m); err != nil || len(m) != 2 || m["role"] != role || m["content"] == "" {
			return p, fmt.Errorf("message %d is not the %s's text", i, role)
		}
		if i == 0 {
			p.System = m["content"]
		} else {
			p.User = m["content"]
		}
	}
	found := regexp.MustCompile(`carry the marker (\S+)\.`).FindStringSubmatch(p.System)
	if found == nil {
		return p, fmt.Errorf("the system's words name no marker")
	}
	p.Marker = found[1]
	return p, p.split()
}

// split reads the parts of the user's message line by line: what stands after a
// line that begins a part is data until the line that ends it.
func (p *Prompt) split() error {
	parts := map[string]*string{"input": &p.Input, "first answer": &p.First, "second answer": &p.Second}
	inside := ""
	var data, outside []string
	seen := map[string]bool{}
	for line := range strings.SplitSeq(p.User, "\n") {
		name, verb := p.boundary(line)
		switch {
		case inside == "" && verb == "begins" && parts[name] != nil && !seen[name]:
			inside, data = name, nil
		case inside != "" && verb == "ends" && name == inside:
			*parts[inside] = strings.Join(data, "\n")
			seen[inside], inside = true, ""
		case inside != "":
			data = append(data, line)
		case verb != "":
			return fmt.Errorf("a marked line in the wrong place: %s", line)
		default:
			outside = append(outside, line)
		}
	}
	p.Outside = strings.Join(outside, "\n")
	if inside != "" || !seen["first answer"] || !seen["second answer"] {
		return fmt.Errorf("the answers are not whole")
	}
	return nil
}

// boundary reads a line such as "=== MARKER first answer begins ===".
func (p *Prompt) boundary(line string) (name, verb string) {
	rest, ok := strings.CutPrefix(line, "=== "+p.Marker+" ")
	if !ok {
		return "", ""
	}
	if rest, ok = strings.CutSuffix(rest, " ==="); !ok {
		return "", ""
	}
	if name, ok = strings.CutSuffix(rest, " begins"); ok {
		return name, "begins"
	}
	if name, ok = strings.CutSuffix(rest, " ends"); ok {
		return name, "ends"
	}
	return "", ""
}
