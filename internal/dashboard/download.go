package dashboard

import (
	"io"
	"log/slog"
	"mime"
	"net/http"
	"time"
)

// How long a download may take before its first byte, and between any two writes.
const (
	downloadBegins = 10 * time.Minute
	downloadWrites = 90 * time.Second
)

// download is an answer that is written as it comes, to be kept as a file. It
// begins with its first byte, so that an error before that can still be a page.
type download struct {
	r                 *request
	name, contentType string
	begun             bool
}

// download streams a file. An error behind its first byte ends the connection:
// only that tells a browser that what it has is not whole.
func (r *request) download(name, contentType string, write func(io.Writer) error) error {
	d := &download{r: r, name: name, contentType: contentType}
	d.extend(downloadBegins)
	err := write(d)
	if err != nil && d.begun {
		r.h.Log.LogAttrs(r.Context(), slog.LevelWarn, "download cut off", slog.String("path", r.URL.Path), slog.String("error", err.Error()))
		panic(http.ErrAbortHandler)
	}
	if err == nil {
		d.begin()
	}
	return err
}

// Write sends what comes.
func (d *download) Write(b []byte) (int, error) {
	d.begin()
	d.extend(downloadWrites)
	return d.r.out.Write(b)
}

func (d *download) begin() {
	if d.begun {
		return
	}
	d.begun = true
	head := d.r.out.Header()
	head.Set("Content-Type", d.contentType)
	head.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": d.name}))
	head.Set("Cache-Control", "no-store")
	d.r.out.WriteHeader(http.StatusOK)
}

// extend gives the answer time from now on, whatever the server's limit is.
func (d *download) extend(t time.Duration) {
	_ = http.NewResponseController(d.r.out).SetWriteDeadline(time.Now().Add(t)) // not every ResponseWriter has deadlines
}
