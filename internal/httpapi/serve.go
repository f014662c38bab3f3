package httpapi

import (
	"context"
	"io"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// endpoint answers a request or returns an *authority.Error or *api.Problem; then nothing was written.
type endpoint func(r *request) error

// serve is what all endpoints are: read the input, call a use case, write the
// reply. read never fails by itself: what it finds wrong it notes in the
// request, so that one answer can name several faults.
func serve[In any](read func(*request) In, call func(context.Context, authority.Principal, In) (reply, error)) endpoint {
	return func(r *request) error {
		in := read(r)
		if err := r.fault(); err != nil {
			return err
		}
		out, err := call(r.Context(), r.who, in)
		if err != nil {
			return err
		}
		return out.write(r)
	}
}

// reply is an answer before it is written.
type reply struct {
	status int
	header map[string]string
	value  any // encoded as JSON unless nil
	// body, if set, is sent as it is instead of value, and stream, if set, writes one; both are of contentType.
	body        []byte
	stream      func(io.Writer) error
	contentType string
}

// ok answers 200 with what a use case returned.
func ok[T any](value T, err error) (reply, error) {
	return reply{status: http.StatusOK, value: value}, err
}

// all answers 200 with a list that is always complete.
func all[T any](items []T, err error) (reply, error) {
	return reply{status: http.StatusOK, value: api.List[T]{Items: items}}, err
}

func (a reply) write(r *request) error {
	if a.stream != nil {
		return a.writeStream(r)
	}
	body, contentType := a.body, a.contentType
	if body == nil {
		contentType = typeJSON
	}
	if a.value != nil {
		var err error
		if body, err = encode(a.value); err != nil {
			return &authority.Error{Code: authority.CodeInternal, Cause: err}
		}
	}
	for name, value := range a.header {
		r.out.Header().Set(name, value)
	}
	write(r.out, a.status, contentType, body)
	return nil
}

// encode writes JSON as clients expect it: no list is null, and nothing that
// stands in a receipt is written in another way than it was signed.
func encode(v any) ([]byte, error) {
	b, err := json.Marshal(v,
		jsonv1.OmitEmptyWithLegacySemantics(true),
		json.Deterministic(true),
		jsontext.PreserveRawStrings(true),
		jsontext.AllowInvalidUTF8(true)) // what a webhook's receiver answered may be anything
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}

func write(w http.ResponseWriter, status int, contentType string, body []byte) {
	if len(body) > 0 {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // JSON with nosniff is not read as HTML; a client that left needs no answer
}
