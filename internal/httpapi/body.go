package httpapi

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

// maxRequest is the most bytes of a body that is not an ingest.
const maxRequest = 1 << 20

// The media types of bodies.
const (
	typeJSON   = "application/json"
	typeNDJSON = "application/x-ndjson"
	typeTar    = "application/x-tar"
	typeBytes  = "application/octet-stream"
)

// body reads a JSON object that must be there.
func body[T any](r *request) T {
	var v T
	raw, ok := r.bytes(maxRequest, typeJSON)
	switch {
	case !ok:
	case len(bytes.TrimSpace(raw)) == 0:
		r.note(invalid("", "the body is empty; send a JSON object"))
	default:
		r.decode(raw, &v)
	}
	return v
}

// noBody accepts what clients send where nothing is needed: nothing, or an empty object.
func (r *request) noBody() {
	raw, ok := r.bytes(maxRequest, typeJSON)
	if ok && len(bytes.TrimSpace(raw)) > 0 {
		r.decode(raw, &struct{}{})
	}
}

func (r *request) decode(raw []byte, v any) {
	if _, err := decode(raw, receipt.Limits{Bytes: maxRequest, Depth: api.MaxDepth}, v, gates()); err != nil {
		r.note(err)
	}
}

// bytes reads the body whole, within limit; false if a fault was noted. An
// empty body may be of any type.
func (r *request) bytes(limit int64, types ...string) ([]byte, bool) {
	encoding, err := r.contentEncoding()
	if err != nil {
		r.note(err)
		return nil, false
	}
	if r.ContentLength > limit {
		r.note(tooLarge(limit))
		return nil, false
	}
	// MaxBytesReader wants net/http's own writer: it ends the connection of a client that sends on.
	raw, readErr := readAll(http.MaxBytesReader(r.out.ResponseWriter, r.Body, limit), r.ContentLength, limit)
	if readErr == nil && len(raw) > 0 {
		if err := r.contentType(types); err != nil {
			r.note(err)
			return nil, false
		}
		if encoding == "gzip" {
			raw, readErr = gunzip(raw, limit)
		}
	}
	if readErr != nil {
		r.note(bodyFault(readErr, limit))
		return nil, false
	}
	r.extend(writeTime) // a body that took its time must not leave the answer without any
	return raw, true
}

// readAll trusts a declared length for as much memory as an ordinary request needs, no more.
func readAll(from io.Reader, declared, limit int64) ([]byte, error) {
	const trusted = 64 << 10
	var b bytes.Buffer
	b.Grow(int(min(max(declared, 0), trusted, limit)) + bytes.MinRead)
	_, err := b.ReadFrom(from)
	return b.Bytes(), err
}

// errUnpacked stops a small body that unpacks into a large one.
var errUnpacked = errors.New("too large after decompression")

func gunzip(raw []byte, limit int64) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, errGzip{err}
	}
	unpacked, err := readAll(io.LimitReader(z, limit+1), int64(len(raw))*4, limit)
	switch {
	case err != nil:
		return nil, errGzip{err}
	case int64(len(unpacked)) > limit:
		return nil, errUnpacked
	}
	return unpacked, nil
}

// errGzip is a fault of the compression, not of the transfer.
type errGzip struct{ error }

func bodyFault(err error, limit int64) *authority.Error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(limit)
	}
	if e, ok := errors.AsType[errGzip](err); ok {
		return invalid("", "the body says Content-Encoding: gzip and cannot be unpacked: "+strings.TrimPrefix(e.Error(), "gzip: "))
	}
	switch {
	case errors.Is(err, errUnpacked):
		return refuse(codeTooLarge, fmt.Sprintf("the body unpacks to more than %d bytes; send it in several requests", limit))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(codeTimeout, "the body did not arrive in time; nothing was done, send it again")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(authority.CodeInvalid, "the body ended before its declared length; nothing was done, send it again")
	}
	return refuse(authority.CodeInvalid, "the body could not be read; nothing was done, send it again")
}

func tooLarge(limit int64) *authority.Error {
	return refuse(codeTooLarge, fmt.Sprintf("the body has more than %d bytes; send it in several requests", limit))
}

// contentEncoding is gzip or empty.
func (r *request) contentEncoding() (string, *authority.Error) {
	encoding := strings.ToLower(strings.Join(r.Header.Values("Content-Encoding"), ", "))
	switch encoding {
	case "", "identity":
		return "", nil
	case "gzip", "x-gzip":
		return "gzip", nil
	}
	return "", refuse(codeMedia, "Content-Encoding "+quote(encoding)+" is not supported; send gzip, or nothing")
}

// contentType refuses a body of another type than those of the list. A body
// without a type is taken for the first.
func (r *request) contentType(types []string) *authority.Error {
	header := r.Header.Get("Content-Type")
	if header == "" {
		return nil
	}
	got, parameters, err := mime.ParseMediaType(header)
	if charset := parameters["charset"]; err == nil && (charset == "" || strings.EqualFold(charset, "utf-8")) {
		if slices.Contains(types, got) {
			return nil
		}
	}
	return refuse(codeMedia, "Content-Type "+quote(header)+" is not supported here; send "+orList(types)+" in UTF-8")
}
