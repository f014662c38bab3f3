package judge

import (
	"encoding/json"
	"strings"
)

// format is how the endpoint is told to answer with JSON.
type format int

// The formats, the weakest first.
const (
	formatText   format = iota // the prompt alone says so
	formatObject               // any object
	formatSchema               // the schema, strictly
)

// dialect is what an endpoint understands of the protocol. It begins with all
// of it and forgets what is refused. The cache and the judge's name do not
// depend on it: it is found out, not chosen.
type dialect struct {
	format            format
	temperature, seed bool
	// completionTokens: the bound of an answer is max_completion_tokens, which newer models want, and not max_tokens, which all others know.
	completionTokens bool
}

func fullDialect() dialect { return dialect{format: formatSchema, temperature: true, seed: true} }

// without is the dialect after a refusal with this text; false if nothing is
// left to be given up. Where the text does not say what is wrong, the format
// goes first: that is where endpoints differ most.
func (d dialect) without(refusal string) (dialect, bool) {
	text := strings.ToLower(refusal)
	names := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		return false
	}
	switch {
	case !d.completionTokens && names("max_completion_tokens"):
		d.completionTokens = true
	case d.temperature && names("temperature"):
		d.temperature = false
	case d.seed && names("seed"):
		d.seed = false
	case d.format != formatText:
		d.format--
	case d.temperature || d.seed:
		d.temperature, d.seed = false, false
	case !d.completionTokens:
		d.completionTokens = true
	default:
		return d, false
	}
	return d, true
}

// weaker is what both dialects have.
func (d dialect) weaker(o dialect) dialect {
	return dialect{
		format: min(d.format, o.format), temperature: d.temperature && o.temperature, seed: d.seed && o.seed,
		completionTokens: d.completionTokens || o.completionTokens,
	}
}

// seed is sent where it is understood: the same question should get the same answer.
const seed = 1

// request is the body of a call. It offers no tools.
type request struct {
	Model               string          `json:"model"`
	Messages            []message       `json:"messages"`
	ResponseFormat      json.RawMessage `json:"response_format,omitempty"`
	Temperature         *float64        `json:"temperature,omitempty"`
	Seed                *int            `json:"seed,omitempty"`
	MaxTokens           int             `json:"max_tokens,omitempty"`
	MaxCompletionTokens int             `json:"max_completion_tokens,omitempty"`
}

// request writes a call in the dialect.
func (d dialect) request(model string, maxTokens int, messages []message) request {
	r := request{Model: model, Messages: messages}
	switch d.format {
	case formatSchema:
		r.ResponseFormat = json.RawMessage(`{"type":"json_schema","json_schema":{"name":"verdict","strict":true,"schema":` + answerSchema + `}}`)
	case formatObject:
		r.ResponseFormat = json.RawMessage(`{"type":"json_object"}`)
	case formatText:
	}
	if d.temperature {
		zero := 0.0
		r.Temperature = &zero
	}
	if d.seed {
		s := seed
		r.Seed = &s
	}
	if d.completionTokens {
		r.MaxCompletionTokens = maxTokens
	} else {
		r.MaxTokens = maxTokens
	}
	return r
}
