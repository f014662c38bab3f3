package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

// decode reads one JSON text into v and returns its canonical form. What two
// readers could understand differently is refused first, by receipt.Canonical:
// doubled members, broken UTF-8, numbers that lose digits, U+0000. Then every
// member must be known and of its type; null stands for leaving a member out.
func decode(raw []byte, limits receipt.Limits, v any, options ...json.Options) ([]byte, *authority.Error) {
	if bytes.HasPrefix(raw, []byte("\xEF\xBB\xBF")) {
		return nil, invalid("", "the JSON begins with a byte order mark; leave it out")
	}
	canonical, err := limits.Canonical(raw)
	if err != nil {
		return nil, notCanonical(err)
	}
	if canonical[0] != '{' {
		return nil, invalid("", "want a JSON object, got "+kindInWords(jsontext.Kind(canonical[0])))
	}
	// Canonical has looked for doubled members; to look again would cost a map for each object.
	options = append(options, json.RejectUnknownMembers(true), jsontext.AllowDuplicateNames(true))
	if err := json.Unmarshal(canonical, v, options...); err != nil {
		return nil, notDecoded(err)
	}
	return canonical, nil
}

func notCanonical(err error) *authority.Error {
	e, ok := errors.AsType[*receipt.CanonicalError](err)
	if !ok {
		return invalid("", err.Error())
	}
	if strings.HasPrefix(e.Pointer, "/metrics/") { // a metric as a string would be refused too
		reason, _, _ := strings.Cut(e.Reason, "; write it")
		return invalid(e.Pointer, reason+"; "+api.ErrMetric.Error())
	}
	return invalid(e.Pointer, "the JSON is refused: "+e.Reason)
}

// notDecoded says in plain words what json found wrong, and where.
func notDecoded(err error) *authority.Error {
	e, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		return invalid("", "the JSON is refused: "+err.Error())
	}
	for { // a method of a type may return such an error too; the inner one knows the place
		inner, ok := errors.AsType[*json.SemanticError](e.Err)
		if !ok {
			break
		}
		e = inner
	}
	pointer := string(e.JSONPointer)
	switch {
	case errors.Is(e.Err, json.ErrUnknownName):
		return invalid(pointer, "unknown member "+quote(e.JSONPointer.LastToken())+"; check the spelling or leave it out")
	case errors.Is(e.Err, api.ErrMetric):
		return invalid(pointer, api.ErrMetric.Error())
	}
	if want := typeInWords(e.GoType); want != "" {
		return invalid(pointer, "want "+want+", got "+foundInWords(e))
	}
	if e.Err != nil {
		return invalid(pointer, e.Err.Error())
	}
	return invalid(pointer, "the value has the wrong type, it is "+foundInWords(e))
}

// typeInWords is empty for types that explain their errors themselves.
func typeInWords(t reflect.Type) string {
	if t == nil {
		return ""
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		return "a time such as 2026-05-15T18:42:00Z"
	case reflect.TypeFor[api.Margin](), reflect.TypeFor[api.Metric]():
		return ""
	case reflect.TypeFor[api.Gate](), reflect.TypeFor[gateMembers]():
		return ""
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Pointer:
		return typeInWords(t.Elem())
	default:
		return ""
	}
}

func foundInWords(e *json.SemanticError) string {
	if e.JSONKind == '0' && len(e.JSONValue) > 0 {
		return "the number " + string(e.JSONValue)
	}
	return kindInWords(e.JSONKind)
}

func kindInWords(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "true or false"
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	default:
		return "a number"
	}
}

// gateMembers is a gate without its own decoding.
type gateMembers api.Gate

// gates decodes a gate as strictly as everything around it: the type's own
// method cannot know that, nor which place in the request to point at.
func gates() json.Options {
	return json.WithUnmarshalers(json.UnmarshalFromFunc(func(d *jsontext.Decoder, g *api.Gate) error {
		if d.PeekKind() == '"' {
			var text string
			if err := json.UnmarshalDecode(d, &text); err != nil {
				return err
			}
			parsed, err := api.ParseGate(text)
			*g = parsed
			return err
		}
		var m gateMembers
		if d.PeekKind() != '{' {
			return fmt.Errorf("want a gate: an object, or a text such as latency_ms:p95:margin=5%%; got %s", kindInWords(d.PeekKind()))
		}
		if err := json.UnmarshalDecode(d, &m); err != nil {
			return err
		}
		complete, err := api.Gate(m).Complete()
		*g = complete
		return err
	}))
}
