// Package contract holds an HTTP handler to api/openapi.yaml in tests.
//
// Every exchange is checked: the answer always, the request where it was
// accepted. The document is read more strictly than clients are asked to: a
// member of an answer that it does not name is an error, so that nothing is
// served that is not described.
package contract

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/cobound/prova/api"
)

// Document reads and checks api/openapi.yaml.
func Document() (*openapi3.T, error) {
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(api.OpenAPI())
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(loader.Context)
}

// Operation is one call of the document.
type Operation struct {
	Method, Path string
	*openapi3.Operation
}

// Pattern is the operation's pattern of http.ServeMux.
func (o Operation) Pattern() string {
	if o.Path == "/" {
		return o.Method + " /{$}"
	}
	if before, ok := strings.CutSuffix(o.Path, "/{tile}"); ok { // takes slashes, for which a document has no form
		return o.Method + " " + before + "/{tile...}"
	}
	return o.Method + " " + o.Path
}

// Permission is the one permission that the document names, "" for none.
func (o Operation) Permission() api.Permission {
	if o.Security == nil {
		return ""
	}
	for _, requirement := range *o.Security {
		for _, names := range requirement {
			return api.Permission(strings.Join(names, " "))
		}
	}
	return ""
}

// Operations lists all calls of a document.
func Operations(doc *openapi3.T) []Operation {
	var list []Operation
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			list = append(list, Operation{method, path, operation})
		}
	}
	return list
}

// Validate returns a handler that passes everything on to h and reports to t
// each exchange that the document does not allow.
func Validate(t testing.TB, h http.Handler) http.Handler {
	t.Helper()
	doc, err := tightened()
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	v := &validator{t: t, next: h, mux: http.NewServeMux(), routes: make(map[string]*routers.Route)}
	for _, o := range Operations(doc) {
		v.mux.Handle(o.Pattern(), http.NotFoundHandler()) // only to find the pattern
		v.routes[o.Pattern()] = &routers.Route{
			Spec: doc, Server: &openapi3.Server{URL: "/"}, Path: o.Path,
			PathItem: doc.Paths.Value(o.Path), Method: o.Method, Operation: o.Operation,
		}
	}
	return v
}

// tightened is made once for all tests of a process and only read.
var tightened = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := Document()
	if err != nil {
		return nil, err
	}
	seen := make(map[*openapi3.Schema]bool)
	for _, s := range doc.Components.Schemas {
		tighten(s, seen)
	}
	return doc, nil
})

// tighten closes every object that names its members and does not say that there may be more.
func tighten(ref *openapi3.SchemaRef, seen map[*openapi3.Schema]bool) {
	if ref == nil || ref.Value == nil || seen[ref.Value] {
		return
	}
	s := ref.Value
	seen[s] = true
	if len(s.Properties) > 0 && s.AdditionalProperties.Has == nil && s.AdditionalProperties.Schema == nil {
		s.AdditionalProperties.Has = new(bool)
	}
	for _, p := range s.Properties {
		tighten(p, seen)
	}
	tighten(s.Items, seen)
	tighten(s.AdditionalProperties.Schema, seen)
	for _, list := range []openapi3.SchemaRefs{s.OneOf, s.AnyOf, s.AllOf} {
		for _, p := range list {
			tighten(p, seen)
		}
	}
}

// streamed bodies are no JSON: tests of their own look into them.
func streamed(contentType string) bool {
	return strings.HasPrefix(contentType, "application/x-ndjson") || contentType == "application/x-tar" || contentType == "application/octet-stream"
}

type validator struct {
	t      testing.TB
	next   http.Handler
	mux    *http.ServeMux
	routes map[string]*routers.Route
}

func (v *validator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var sent bytes.Buffer
	asked := r.Clone(r.Context())
	r = r.WithContext(r.Context()) // net/http looks at its own request's body when it ends
	if r.Body != nil {
		r.Body = readCloser{io.TeeReader(r.Body, &sent), r.Body}
	}
	c := &copier{ResponseWriter: w, header: http.Header{}}
	v.next.ServeHTTP(c, r)
	asked.Body = io.NopCloser(&sent)
	if err := v.check(asked, c); err != nil {
		v.t.Errorf("%s %s, status %d: not as openapi.yaml says: %v\nanswer: %.2000s", r.Method, r.URL, c.status, err, c.body.Bytes())
	}
}

func (v *validator) check(r *http.Request, c *copier) error {
	for _, name := range []string{"X-Request-Id", "X-Content-Type-Options", "Cache-Control"} {
		if c.header.Get(name) == "" {
			return fmt.Errorf("the header %s is missing", name)
		}
	}
	_, pattern := v.mux.Handler(r)
	route, ok := v.routes[pattern]
	if !ok {
		return checkUnknown(c)
	}
	if r.Method == http.MethodHead {
		return nil // described by GET, and without a body
	}
	in := &openapi3filter.RequestValidationInput{
		Request:    r,
		PathParams: pathValues(pattern, r.URL.EscapedPath()),
		Route:      route,
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true,
			AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
			SkipSettingDefaults:   true,
			ExcludeRequestBody:    unreadable(r, c),
			ExcludeResponseBody:   streamed(c.header.Get("Content-Type")),
		},
	}
	if c.status < http.StatusBadRequest {
		if r.Header.Get("Content-Type") == "" {
			r.Header.Set("Content-Type", "application/json")
		}
		if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
			return fmt.Errorf("the request was accepted: %w", err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: c.status, Header: c.header, Options: in.Options}
	out.SetBodyBytes(c.body.Bytes())
	return openapi3filter.ValidateResponse(r.Context(), out)
}

// unreadable reports whether a body cannot be held to its schema: it is packed,
// not one JSON value, or a batch with events that were refused by themselves.
func unreadable(r *http.Request, c *copier) bool {
	return r.Header.Get("Content-Encoding") != "" || strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-ndjson") ||
		bytes.Contains(c.body.Bytes(), []byte(`"status":"refused"`))
}

// checkUnknown is for what is no call at all.
func checkUnknown(c *copier) error {
	if c.status < 300 {
		return fmt.Errorf("the call is not described")
	}
	if c.status >= 400 && c.header.Get("Content-Type") != "application/problem+json" {
		return fmt.Errorf("Content-Type %q is no problem", c.header.Get("Content-Type"))
	}
	return nil
}

// pathValues reads the wildcards of a pattern.
func pathValues(pattern, path string) map[string]string {
	_, pattern, _ = strings.Cut(pattern, " ")
	values := make(map[string]string)
	parts := strings.Split(path, "/")
	for i, p := range strings.Split(pattern, "/") {
		if name, ok := strings.CutPrefix(p, "{"); ok && i < len(parts) {
			name, rest := strings.CutSuffix(strings.TrimSuffix(name, "}"), "...")
			if values[name] = parts[i]; rest {
				values[name] = strings.Join(parts[i:], "/")
			}
		}
	}
	return values
}

// copier keeps what is written while it passes it on.
type copier struct {
	http.ResponseWriter
	status int
	header http.Header
	body   bytes.Buffer
}

// Unwrap lets http.ResponseController reach the connection.
func (c *copier) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *copier) WriteHeader(status int) {
	if c.status == 0 {
		c.status, c.header = status, c.Header().Clone()
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *copier) Write(b []byte) (int, error) {
	if c.status == 0 {
		c.WriteHeader(http.StatusOK)
	}
	c.body.Write(b)
	return c.ResponseWriter.Write(b)
}

type readCloser struct {
	io.Reader
	io.Closer
}
