package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// request is a request while its parts are read. Each reader takes one part
// and notes what is wrong with it; fault then says so, and also names the
// query parameters that no reader took.
type request struct {
	*http.Request
	out *recorder
	who authority.Principal

	query url.Values
	taken []string
	wrong *authority.Error
}

func newRequest(w *recorder, r *http.Request) *request {
	q := &request{Request: r, out: w}
	var err error
	if q.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		q.note(refuse(authority.CodeInvalid, "the query of the address cannot be read: "+err.Error()))
	}
	return q
}

// note keeps the first fault, and further ones of the same sort.
func (r *request) note(e *authority.Error) {
	switch {
	case r.wrong == nil:
		r.wrong = e
	case r.wrong.Code == authority.CodeInvalid && e.Code == authority.CodeInvalid:
		r.wrong.Fields = append(r.wrong.Fields, e.Fields...)
	}
}

// fault is called once all parts were read.
func (r *request) fault() error {
	unknown := make([]string, 0, len(r.query))
	for name := range r.query {
		if !slices.Contains(r.taken, name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		r.note(invalid(parameter(name), "unknown query parameter "+quote(name)+r.known()))
	}
	if r.wrong == nil {
		return nil
	}
	return r.wrong
}

func (r *request) known() string {
	if len(r.taken) == 0 {
		return "; this call takes none"
	}
	return "; this call takes " + strings.Join(r.taken, ", ")
}

// parameter points at a query parameter as if the query were an object.
func parameter(name string) string {
	return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(strings.ToValidUTF8(name, "\uFFFD"))
}

// texts reads a parameter that may be repeated.
func (r *request) texts(name string) []string {
	r.taken = append(r.taken, name)
	for _, value := range r.query[name] {
		if detail := uncleanText(value); detail != "" {
			r.note(invalid(parameter(name), name+" "+detail))
			return nil
		}
	}
	return r.query[name]
}

// text reads a parameter that may stand once; "" if it is absent.
func (r *request) text(name string) string {
	values := r.texts(name)
	switch len(values) {
	case 0:
		return ""
	case 1:
		return values[0]
	}
	r.note(invalid(parameter(name), name+" is given more than once"))
	return ""
}

// integer reads a whole number between least and most; standard if it is absent.
func (r *request) integer(name string, standard, least, most int64) int64 {
	text := r.text(name)
	if text == "" {
		return standard
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		r.note(invalid(parameter(name), fmt.Sprintf("%s: want a whole number from %d to %d, got %s", name, least, most, quote(text))))
		return standard
	}
	return n
}

// number reads a number; nil if it is absent.
func (r *request) number(name string) *float64 {
	text := r.text(name)
	if text == "" {
		return nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || v != v {
		r.note(invalid(parameter(name), fmt.Sprintf("%s: want a number, got %s", name, quote(text))))
		return nil
	}
	return &v
}

// time reads an RFC 3339 time; the zero time if it is absent.
func (r *request) time(name string) time.Time {
	text := r.text(name)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		r.note(invalid(parameter(name), fmt.Sprintf("%s: want a time such as 2026-05-15T18:42:00Z, got %s", name, quote(text))))
		return time.Time{}
	}
	return t.UTC()
}

// oneOf reads a parameter that takes certain values only; "" if it is absent.
func oneOf[T ~string](r *request, name string, values ...T) T {
	text := r.text(name)
	if text == "" {
		return ""
	}
	return oneOfText(r, name, text, values...)
}

func oneOfText[T ~string](r *request, name, text string, values ...T) T {
	if !slices.Contains(values, T(text)) {
		r.note(invalid(parameter(name), fmt.Sprintf("%s: want %s, got %s", name, orList(values), quote(text))))
	}
	return T(text)
}

func orList[T ~string](values []T) string {
	var text strings.Builder
	for i, v := range values {
		switch {
		case i > 0 && i == len(values)-1:
			text.WriteString(" or ")
		case i > 0:
			text.WriteString(", ")
		}
		text.WriteString(string(v))
	}
	return text.String()
}

// maxWait is the longest that a request may wait for news; a longer wait is cut to it.
const maxWait = 60 * time.Second

// wait reads how long the answer may wait for news, and moves the connection's limit behind that.
func (r *request) wait() time.Duration {
	text := r.text("wait")
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		r.note(invalid("/wait", "wait: want a duration such as 30s, got "+quote(text)))
		return 0
	}
	d = min(d, maxWait)
	r.extend(d + writeTime)
	return d
}

// maxCosignWait is the longest that an answer waits for cosignatures: less than
// a server that stops has for the requests under way.
const maxCosignWait = 10 * time.Second

// cosignWait reads how long the answer may wait for cosignatures.
func (r *request) cosignWait() time.Duration { return min(r.wait(), maxCosignWait) }

// extend gives the answer d from now on, whatever the server's limit is. (The
// limit on reading ends by itself when the request has been read.)
func (r *request) extend(d time.Duration) {
	_ = http.NewResponseController(r.out).SetWriteDeadline(time.Now().Add(d)) // not every ResponseWriter has deadlines
}

// page is a part of a list.
type page struct {
	cursor string
	limit  int
}

// The length of a page.
const (
	standardLimit = 100
	maxLimit      = 1000
)

func (r *request) page() page {
	return page{r.text("cursor"), int(r.integer("limit", standardLimit, 1, maxLimit))}
}

// id reads a part of the path. What cannot name anything was not found.
func (r *request) id(name string) string {
	id := r.PathValue(name)
	if uncleanText(id) != "" {
		r.note(refuse(authority.CodeNotFound, "there is nothing at this path"))
		return ""
	}
	return id
}

// uncleanText says why a text from the address can name nothing; "" if it can.
func uncleanText(text string) string {
	const most = 4 * api.MaxName // a cursor may hold names
	switch {
	case !utf8.ValidString(text):
		return "is not valid UTF-8"
	case strings.ContainsFunc(text, unicode.IsControl):
		return "holds a control character"
	case len(text) > most:
		return fmt.Sprintf("has %d bytes, the most is %d", len(text), most)
	}
	return ""
}

// quote shows a client's text in a message, cut to a length that can do no harm.
func quote(text string) string {
	const most = 80
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strconv.Quote(text)
}

// nothing reads no input. fault still refuses query parameters.
func nothing(*request) struct{} { return struct{}{} }

// byID reads the one id of a path.
func byID(r *request) string { return r.id("id") }
