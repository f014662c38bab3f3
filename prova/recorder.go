package prova

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cobound/prova/api"
)

// RecorderOptions configures a Recorder. The zero value takes everything from
// the environment.
type RecorderOptions struct {
	// APIKey needs the permission audit.ingest; empty is PROVA_API_KEY. Without either nothing is recorded.
	APIKey string
	// BaseURL is the server's address; empty is PROVA_BASE_URL, or else DefaultBaseURL.
	BaseURL string
	// AppID names the agent; empty is PROVA_APP_ID. Without either nothing is recorded.
	AppID string
	// Release is the version of the agent, such as a commit SHA; empty is
	// PROVA_RELEASE. A run without one is recorded and not counted.
	Release string
	// Environment is where the agent runs; empty is PROVA_ENVIRONMENT, or else "production".
	Environment string
	// Framework names what the agent is built with; it may be empty.
	Framework string

	// QueueEvents and QueueBytes bound what waits in memory; 0 is 10,000 events and 16 MiB.
	// What comes when either is reached is dropped: what was accepted is kept.
	QueueEvents int
	QueueBytes  int64
	// BatchEvents and BatchBytes bound one request, before compression; 0 is 1,000 events and 1 MiB.
	// A single larger event is sent alone.
	BatchEvents int
	BatchBytes  int64
	// FlushInterval is how long a run may wait for others to be sent with; 0 is one second.
	FlushInterval time.Duration
	// Timeout bounds one request; 0 is 30 seconds.
	Timeout time.Duration
	// RetryMin and RetryMax are the first and the longest wait before a request is
	// repeated; 0 is half a second and 30 seconds. A Retry-After of the server
	// counts if it is longer, up to an hour.
	RetryMin, RetryMax time.Duration

	// SpoolDir is a directory for what memory cannot hold and for what is left at
	// Close; empty is PROVA_SPOOL_DIR, or else there is no spool. It holds payloads in the clear.
	SpoolDir string
	// SpoolBytes bounds the spool; 0 is 256 MiB.
	SpoolBytes int64

	// HTTPClient sends the requests; nil is a client that follows no redirect.
	HTTPClient *http.Client
	// Logger is told what goes wrong, at level Warn; nil is slog.Default().
	Logger *slog.Logger
}

// Stats counts runs and outcomes. Recorded and Recovered are what came in; each
// of them is in one of the other places: Sent, Refused, Dropped, Queued or Spooled.
type Stats struct {
	// Recorded counts what the program recorded.
	Recorded int64 `json:"recorded"`
	// Recovered counts what an earlier process left in the spool.
	Recovered int64 `json:"recovered"`
	// Sent counts what the server has signed.
	Sent int64 `json:"sent"`
	// Refused counts what the server, or a check before it, will never take.
	Refused int64 `json:"refused"`
	// Dropped counts what was lost because nothing could hold it.
	Dropped int64 `json:"dropped"`
	// Queued counts what waits in memory, with what is being sent.
	Queued int64 `json:"queued"`
	// Spooled counts what waits on disk.
	Spooled int64 `json:"spooled"`
	// RefusedValues counts the metrics, payload fields and names that were left out of runs that went on without them.
	RefusedValues int64 `json:"refused_values"`
}

// UnsentError is what Flush and Close return when not everything was sent.
type UnsentError struct {
	// Queued waits in memory and is tried again; after Close it is always 0.
	Queued int64
	// Spooled waits on disk; the next recorder with this spool sends it.
	Spooled int64
	// Lost was given up by Close.
	Lost int64
	// Err is why the last request failed, if one did.
	Err error
}

func (e *UnsentError) Error() string {
	text := fmt.Sprintf("not everything was sent: %d in memory, %d in the spool, %d lost", e.Queued, e.Spooled, e.Lost)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns why the last request failed.
func (e *UnsentError) Unwrap() error { return e.Err }

// patience bounds a Flush or a Close whose context has no deadline: an agent that ends must end.
const patience = 5 * time.Second

// Recorder records runs in the background. It is safe for concurrent use.
type Recorder struct {
	settings RecorderOptions
	client   *Client
	talk     *complaints
	// err is why nothing is recorded, nil if it is.
	err error

	queue *queue
	spool *spool // nil without one
	paper paper
	pens  sync.Pool // of *pen
	// ctx ends when the recorder gives up what it is sending.
	ctx    context.Context
	giveUp context.CancelFunc
	// kick ends a wait that the recorder chose itself; ready is closed when the spool was looked through.
	kick, ready chan struct{}
	background  sync.WaitGroup
	closing     sync.Once
	closed      error
	// left is what was being sent when the recorder gave up; it is older than what lies in the spool.
	left []*item
	// taking is held while what is oldest moves, so that it stays first.
	taking sync.Mutex

	// noGzip and batchBytes are what the server has shown that it takes; the sender alone uses them, and gzip.
	noGzip     bool
	batchBytes int64
	gzip       *gzip.Writer
}

// NewRecorder makes a recorder and starts its background. It never fails and
// never waits: a recorder that lacks a setting, or was given one that cannot
// be, records nothing, says so once in the log, and [Recorder.Err] says why.
// Call [Recorder.Close] before the program ends.
func NewRecorder(o RecorderOptions) *Recorder {
	r := &Recorder{settings: o.complete(), kick: make(chan struct{}, 1), ready: make(chan struct{})}
	r.talk = newComplaints(r.settings.Logger)
	r.queue = newQueue(&r.settings)
	r.batchBytes = r.settings.BatchBytes
	r.ctx, r.giveUp = context.WithCancel(context.Background())
	if r.err = r.begin(); r.err != nil {
		r.talk.once(ComplaintDisabled, "nothing is recorded: "+r.err.Error())
		close(r.ready)
		return r
	}
	r.background.Go(r.send)
	if r.spool != nil {
		r.background.Go(r.relieve)
	}
	return r
}

// Err returns why nothing is recorded, or nil.
func (r *Recorder) Err() error { return r.err }

// complete fills in what is not given.
func (o RecorderOptions) complete() RecorderOptions {
	fromEnvironment(&o.APIKey, "PROVA_API_KEY")
	fromEnvironment(&o.BaseURL, "PROVA_BASE_URL")
	fromEnvironment(&o.AppID, "PROVA_APP_ID")
	fromEnvironment(&o.Release, "PROVA_RELEASE")
	fromEnvironment(&o.Environment, "PROVA_ENVIRONMENT")
	fromEnvironment(&o.SpoolDir, "PROVA_SPOOL_DIR")
	if o.Environment == "" {
		o.Environment = api.DefaultEnvironment
	}
	positive(&o.QueueEvents, 10_000)
	positive(&o.QueueBytes, 16<<20)
	positive(&o.BatchEvents, 1000)
	positive(&o.BatchBytes, 1<<20)
	positive(&o.FlushInterval, time.Second)
	positive(&o.Timeout, 30*time.Second)
	positive(&o.RetryMin, 500*time.Millisecond)
	positive(&o.RetryMax, 30*time.Second)
	positive(&o.SpoolBytes, 256<<20)
	// The server's own limits leave room for what is added here.
	o.BatchEvents = min(o.BatchEvents, api.MaxEvents)
	o.BatchBytes = min(o.BatchBytes, api.MaxBody-api.MaxEvent)
	o.RetryMax = max(o.RetryMin, o.RetryMax)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

func fromEnvironment(value *string, name string) {
	if *value == "" {
		*value = strings.TrimSpace(os.Getenv(name))
	}
}

func positive[T int | int64 | time.Duration](value *T, standard T) {
	if *value <= 0 {
		*value = standard
	}
}

// begin checks the settings and opens the spool.
func (r *Recorder) begin() error {
	s := &r.settings
	switch {
	case s.APIKey == "":
		return errors.New("PROVA_API_KEY is not set")
	case s.AppID == "":
		return errors.New("no app id: give RecorderOptions.AppID or set PROVA_APP_ID to the name of the agent")
	}
	err := errors.Join(api.CheckName("the app id", s.AppID), api.CheckName("the environment", s.Environment))
	if err != nil {
		return err
	}
	r.client, err = New(Options{BaseURL: s.BaseURL, APIKey: s.APIKey, HTTPClient: s.HTTPClient, UserAgent: "prova-go-recorder", Timeout: s.Timeout})
	if err != nil {
		return err
	}
	if s.SpoolDir != "" {
		r.openSpool()
	}
	if s.Release != "" {
		if err := api.CheckName("the release", s.Release); err != nil {
			r.refuseValue("release", err)
			s.Release = ""
		}
	}
	if s.Framework != "" {
		if err := api.CheckName("the framework", s.Framework); err != nil {
			r.refuseValue("framework", err)
			s.Framework = ""
		}
	}
	return nil
}

// Stats returns the counts as they are now.
func (r *Recorder) Stats() Stats { return r.queue.stats() }

// Flush sends what was recorded before the call, without waiting for more of
// it, and returns nil when the server has answered for all of it: it was
// signed, or refused for good. When ctx ends first, the error is an
// [*UnsentError] that says what is left; it stays queued and is tried on. A
// context without a deadline gets five seconds. On a recorder that is off it
// returns nil at once.
func (r *Recorder) Flush(ctx context.Context) error {
	if r.err != nil {
		return nil
	}
	ctx, cancel := withPatience(ctx)
	defer cancel()
	r.queue.flushing.Add(1)
	defer r.queue.flushing.Add(-1)
	select {
	case <-r.ready:
	case <-ctx.Done():
		return r.unsent(0)
	}
	select {
	case r.kick <- struct{}{}:
	default:
	}
	if r.queue.settle(ctx) {
		return nil
	}
	return r.unsent(0)
}

func withPatience(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, given := ctx.Deadline(); given {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, patience)
}

// unsent is nil if nothing is.
func (r *Recorder) unsent(lost int64) error {
	stats := r.queue.stats()
	if stats.Queued+stats.Spooled+lost == 0 {
		return nil
	}
	return &UnsentError{Queued: stats.Queued, Spooled: stats.Spooled, Lost: lost, Err: r.queue.failure()}
}

// Close takes no more runs, sends what there is as [Recorder.Flush] does, and
// when ctx ends first writes the rest to the spool. The error is an
// [*UnsentError] if something was not sent: Spooled of it is kept, Lost is not.
// A second call returns what the first did.
func (r *Recorder) Close(ctx context.Context) error {
	if r.err != nil {
		return nil
	}
	r.closing.Do(func() {
		r.queue.close()
		_ = r.Flush(ctx) // what is left is looked at below
		r.giveUp()
		r.background.Wait()
		if r.spool != nil {
			r.endSegment()
		}
		lost := r.keepRest()
		r.closed = r.unsent(lost)
		r.talk.finish()
	})
	return r.closed
}

// keepRest moves what is left in memory to the spool, and returns how much found no room there.
func (r *Recorder) keepRest() (lost int64) {
	for _, rest := range [][]*item{r.left, r.queue.takeAll()} {
		if r.spool != nil {
			rest = rest[r.intoSpool(rest):]
			r.endSegment()
		}
		r.queue.dropTaken(rest)
		lost += int64(len(rest))
	}
	if r.spool != nil {
		r.closeSpool()
	}
	if lost > 0 {
		r.talk.say(ComplaintDropped, "", "closed before everything was sent, and nothing can hold the rest", slog.Int64("lost", lost))
	}
	return lost
}
