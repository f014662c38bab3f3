package authority

import (
	"context"

	"github.com/cobound/prova/api"
)

// JudgmentRecord is a judgment in the log, as it is found.
type JudgmentRecord struct {
	Index               int64
	AppID, Environment  string
	Baseline, Candidate string // releases
	ProbeID             string
	Judge               string // evidence.JudgeKey
	Decided             bool   // it has a verdict
	Doc                 []byte // evidence.Judgment as JSON
	Repeat              bool   // set by Judgments: the judge had decided the pair before
}

// JudgmentFilter selects judgments on two releases of an app and environment; all four are needed.
type JudgmentFilter struct {
	AppID, Environment, Baseline, Candidate string
	// Since is the log index before which a judgment makes no later one a repeat, and From the smallest that is read.
	Since, From int64
	// Before is, if positive, the log index that all results are below.
	Before int64
	// Newest returns descending log indexes instead of ascending ones.
	Newest bool
}

// ProbeRun is the first run of a release on a probe.
type ProbeRun struct {
	ProbeID, Release string
	Index            int64
}

// JobRecord is a judging job as it is kept.
type JobRecord struct {
	ID, RolloutID string
	Doc           []byte // api.JudgeJob as JSON
}

// JudgeReader reads what judges said, and what there is to judge.
type JudgeReader interface {
	// Judgments lists by log index.
	Judgments(f JudgmentFilter, limit int) ([]JudgmentRecord, error)
	// JudgedProbes are those of the probes on whose pair a judge has given a verdict from f.Since on, in no order.
	JudgedProbes(f JudgmentFilter, judge string, probes []string) ([]string, error)
	// Calibration is the newest of a judge: its log index; ErrNotFound if there is none.
	Calibration(appID, environment, judge string) (index int64, err error)
	// ProbeRuns lists the first runs of releases on probes above after, by probe and release: all of at most limit probes.
	ProbeRuns(appID, environment string, releases []string, after string, limit int) ([]ProbeRun, error)
	// JudgeJob reads one; ErrNotFound.
	JudgeJob(id string) (JobRecord, error)
	// JudgeJobs lists those of a rollout, newest first.
	JudgeJobs(rolloutID string, limit int) ([]JobRecord, error)
}

// JudgeWriter writes judgments and calibrations under the head's lock, and jobs.
type JudgeWriter interface {
	// AddJudgments adds judgments whose receipts were appended.
	AddJudgments(records []JudgmentRecord) error
	// AddCalibration adds a calibration whose receipt was appended.
	AddCalibration(appID, environment, judge string, index int64) error
	// SaveJudgeJob adds or replaces a job.
	SaveJudgeJob(j JobRecord) error
}

// Judger asks a judge about pairs: the server's own, if it has one.
type Judger interface {
	// Judge names who judges.
	Judge() api.Judge
	// Run asks about every pair of the source that has no verdict yet, and
	// records what comes of it, until all are judged, a bound is reached (then
	// the error says so) or ctx ends. progress is called now and then, from one
	// goroutine at a time, with the counts so far.
	Run(ctx context.Context, source JudgeSource, bounds api.StartJudging, progress func(api.JudgeJob)) error
}

// JudgeSource gives a Judger its pairs and takes its judgments.
type JudgeSource interface {
	// Pairs is the page of pairs behind a cursor; the first behind "".
	Pairs(ctx context.Context, cursor string) (api.PairList, error)
	// Record keeps judgments. The error says that they were not kept.
	Record(ctx context.Context, judgments []api.Judgment) error
}
