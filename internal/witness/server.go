package witness

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// Limits of the server's connections.
const (
	headerTime = 5 * time.Second
	readTime   = 10 * time.Second
	writeTime  = 20 * time.Second
	idleTime   = 2 * time.Minute
	maxHeader  = 8 << 10
)

// Server returns an HTTP server of the witness with limits on time and size;
// the caller sets its listener and error log.
func (w *Witness) Server() *http.Server {
	return &http.Server{
		Handler: w.Handler(), ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
	}
}

// Handler answers POST /add-checkpoint, and GET /healthz with 200.
func (w *Witness) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", w.addCheckpoint)
	mux.HandleFunc("GET /healthz", func(out http.ResponseWriter, _ *http.Request) { say(out, http.StatusOK, "ok\n") })
	return mux
}

func (w *Witness) addCheckpoint(out http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(out, in.Body, maxRequest))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			say(out, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes\n", maxRequest))
			return
		}
		say(out, http.StatusBadRequest, "the body could not be read\n")
		return
	}
	r, err := parseRequest(body)
	if err != nil {
		w.Log.Info("request refused", "status", http.StatusBadRequest, "reason", err.Error())
		say(out, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	line, c, err := w.add(r)
	about := []any{"origin", c.Origin, "size", c.Size, "root", c.Root.String()}
	if no, ok := errors.AsType[*refusal](err); ok {
		w.logRefusal(in, no, r, about)
		if no.status == http.StatusConflict {
			out.Header().Set("Content-Type", "text/x.tlog.size")
			out.WriteHeader(no.status)
			_, _ = io.WriteString(out, strconv.FormatInt(no.size, 10)+"\n") // a client that left needs no answer
			return
		}
		say(out, no.status, no.reason+"\n")
		return
	}
	if err != nil {
		w.Log.Error("not cosigned: the head could not be kept", append(about, "error", err)...)
		say(out, http.StatusInternalServerError, "the witness could not keep the head, and cosigned nothing; try again later\n")
		return
	}
	w.Log.Info("cosigned", append(about, "old", r.old)...)
	say(out, http.StatusOK, line)
}

// logRefusal writes the whole head where a log may have signed two histories: the line is evidence.
func (w *Witness) logRefusal(in *http.Request, no *refusal, r request, about []any) {
	about = append(about, "old", r.old, "status", no.status, "reason", no.reason)
	if no.grave {
		w.Log.ErrorContext(in.Context(), "a head that is not shown to continue the one before", append(about, "checkpoint", r.checkpoint)...)
		return
	}
	level := slog.LevelInfo
	if no.status == http.StatusForbidden {
		level = slog.LevelWarn
	}
	w.Log.Log(in.Context(), level, "request refused", about...)
}

func say(out http.ResponseWriter, status int, text string) {
	out.Header().Set("Content-Type", "text/plain; charset=utf-8")
	out.Header().Set("X-Content-Type-Options", "nosniff")
	out.WriteHeader(status)
	_, _ = io.WriteString(out, text) // a client that left needs no answer
}
