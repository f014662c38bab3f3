// Package evidence folds runs into what decisions rest on: epochs, cohorts and
// blocks. Ingest folds each run once, under the lock of the log; a verifier
// folds the same runs again from their receipts.
//
// Invariants: what comes of it is a function of the log alone, in log order;
// it never depends on how the runs were batched; it reads nothing but the past
// that it is given and writes nothing: Changes returns what is to be kept.
package evidence

import (
	"errors"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
)

// An epoch is cut after so many runs or so much time, so that a base rate that
// drifts does not pool. A span takes no more epochs after so many of them,
// which bounds what is kept of it, or so much time, which bounds how much of a
// history can be older than it may be.
const (
	EpochRuns  = 100_000
	EpochTime  = 24 * time.Hour
	SpanEpochs = 1000
	SpanTime   = 7 * 24 * time.Hour
)

// ErrNotFound says that the past holds no such thing.
var ErrNotFound = errors.New("not found")

// Epoch is a range of log indexes of an app and environment in which no weight
// changed. Only the one with the highest number is open.
type Epoch struct {
	AppID       string
	Environment string
	Number      int64 // from 1
	// Span is the number of the span's first epoch. A span is the epochs between
	// two events that begin new evidence: a rollout is created, a weight changes.
	Span int64
	// FirstIndex is the smallest log index that can belong to the epoch.
	FirstIndex int64
	StartedAt  time.Time
	Runs       int64
}

// Cohort is what the runs of one release in one span add up to.
type Cohort struct {
	AppID       string
	Environment string
	Span        int64  // the number of its first epoch
	Release     string // empty for runs that carry none
	Runs        int64
	FirstIndex  int64
	LastIndex   int64
	Metrics     map[string]stats.Summary
	// Mixes count the runs by probe and by model; all are of one environment.
	Mixes compare.Mixes
	// Epochs counts the runs of each epoch, and MetricEpochs, by metric, those
	// that carry it. They are empty while all are of the span's first epoch.
	Epochs       stats.EpochCounts
	MetricEpochs map[string]stats.EpochCounts
}

// CohortFilter selects cohorts of an app and environment.
type CohortFilter struct {
	AppID, Environment string
	// FromSpan is the smallest span.
	FromSpan int64
	// Releases are those whose cohorts are read; without any, none is.
	Releases []string
	// Metrics are those whose summaries are read; nil reads all.
	Metrics []string
}

// Event is a run, or an outcome that adds metrics to one, as the fold sees it.
type Event struct {
	Index       int64
	EventID     string
	Kind        string
	AppID       string
	Environment string
	Release     string
	RunID       string
	ProbeID     string
	UnitID      string
	// Model names the model with its version.
	Model      string
	RecordedAt time.Time
	Metrics    map[string]api.Metric
	// Epoch is where it counts; Add fills it in. 0: it does not count.
	Epoch int64
}

// Unit is a hash of what was sampled independently: the unit that the event
// names, else its probe, else the run itself.
func (e Event) Unit() uint64 {
	switch {
	case e.UnitID != "":
		return uint64(stats.SeedOf("unit", e.UnitID))
	case e.ProbeID != "":
		return uint64(stats.SeedOf("probe", e.ProbeID))
	}
	return uint64(stats.SeedOf("run", e.EventID))
}

// Filling is an unfinished rollout and the block that it is filling.
type Filling struct {
	RolloutID, Baseline, Candidate string
	Block                          rollout.Block
	// Closed are the blocks that were closed since the fold began.
	Closed []rollout.Block
	dirty  bool
}

// Past is what was folded and recorded before.
type Past interface {
	// OpenEpoch is the epoch with the highest number; ErrNotFound before the first run or rollout.
	OpenEpoch(appID, environment string) (Epoch, error)
	// Epoch reads one; ErrNotFound.
	Epoch(appID, environment string, number int64) (Epoch, error)
	// Cohort reads one; ErrNotFound.
	Cohort(appID, environment string, span int64, release string) (Cohort, error)
	// Cohorts reads cohorts by span, then release.
	Cohorts(filter CohortFilter) ([]Cohort, error)
	// EventsOf lists the run and the outcomes that carry a run id, in log order.
	EventsOf(appID, environment, runID string) ([]Event, error)
	// FirstRun finds the first run of a release on a probe from a log index on.
	FirstRun(appID, environment, release, probeID string, from int64) (Event, bool, error)
	// Fillings lists the unfinished rollouts of an app and environment, newest first.
	Fillings(appID, environment string) ([]Filling, error)
}

// Changes is what a fold leaves to be kept.
type Changes struct {
	Epochs  []Epoch
	Cohorts []Cohort
	// Fillings are those whose blocks changed.
	Fillings []Filling
}

// KnownMetric refuses an outcome: its run has the metric already.
type KnownMetric struct {
	RunID, Metric string
	// EventID is the receipt that brought it.
	EventID string
}

func (e *KnownMetric) Error() string {
	return "the run " + e.RunID + " has the metric " + e.Metric + " already"
}

// Note says of an event that was folded what its sender should know.
type Note int

// The notes.
const (
	Counted    Note = iota
	NoRelease       // a run that carries no release counts for none
	UnknownRun      // an outcome of a run that was not seen counts for none
)
