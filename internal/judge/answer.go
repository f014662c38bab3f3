package judge

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// answerSchema is what the judge must answer, as JSON Schema: the reason first,
// so that the verdict follows from it.
const answerSchema = `{"type":"object","properties":{"reason":{"type":"string"},"verdict":{"type":"string","enum":["first","second","tie"]}},"required":["reason","verdict"],"additionalProperties":false}`

// answered is what a judge said of two texts in one order.
type answered struct {
	verdict api.Position
	reason  string
	// cached: nobody was asked.
	cached bool
}

// parseAnswer reads a judge's text strictly: one object with both members and
// no others, each once, and nothing around it. What it holds is first, second
// or tie.
func parseAnswer(content string) (answered, error) {
	var a struct {
		Reason  *string `json:"reason"`
		Verdict *string `json:"verdict"`
	}
	if err := json.Unmarshal([]byte(content), &a, json.RejectUnknownMembers(true)); err != nil {
		return answered{}, fmt.Errorf("the judge's answer is not the object that was asked for: %w", err)
	}
	if a.Reason == nil || a.Verdict == nil {
		return answered{}, errors.New("the judge's answer lacks reason or verdict")
	}
	switch v := api.Position(*a.Verdict); v {
	case api.PositionFirst, api.PositionSecond, api.PositionTie:
		return answered{verdict: v, reason: fit(*a.Reason)}, nil
	case api.PositionNone:
	}
	return answered{}, fmt.Errorf("the judge's verdict is %q, not first, second or tie", fit(*a.Verdict))
}

// fit makes text from outside fit to be kept and shown.
func fit(text string) string { return authority.Printable([]byte(text), api.MaxReason) }

const (
	fence      = "```"
	thinkBegin = "<think>"
	thinkEnd   = "</think>"
)

// unwrap takes the object out of what models put around it that no schema
// holds: thoughts before it, and one fenced block. Two blocks are none: nobody
// can tell which is meant.
func unwrap(content string) string {
	text := strings.TrimSpace(content)
	if rest, ok := strings.CutPrefix(text, thinkBegin); ok {
		if _, after, ok := strings.Cut(rest, thinkEnd); ok {
			text = strings.TrimSpace(after)
		}
	}
	if strings.Count(text, fence) != 2 {
		return text
	}
	_, rest, _ := strings.Cut(text, fence)
	block, _, _ := strings.Cut(rest, fence)
	return strings.TrimSpace(strings.TrimPrefix(block, "json"))
}
