package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/importer"
)

// recording answers requests with recorded runs, each once, in the order of
// the file. It holds the runs of both releases in memory.
type recording struct {
	file    string
	request api.CreateRollout
	queues  map[string][][]api.Event // by release: a run and its outcomes
	total   map[string]int
	// places are where the runs are that outcomes may belong to, by run id.
	places map[string]place
	// skipped counts runs of other apps, environments and releases.
	skipped int
	empty   string // the release that had no run left
}

// place is that of a run in its queue.
type place struct {
	release string
	index   int
}

// maxBadLines is how many unreadable lines are shown.
const maxBadLines = 3

// readRecording reads the runs of a rollout's two releases from a file. A line
// that cannot be read is an error: a replay of the rest would be another story.
func readRecording(ctx context.Context, file string, request api.CreateRollout) (*recording, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, cli.Usagef("--file: %w", err)
	}
	defer func() { _ = f.Close() }()
	r := &recording{file: file, request: request, queues: map[string][][]api.Event{}, total: map[string]int{}, places: map[string]place{}}
	var bad []string
	in := importer.NewReader(f)
	for ctx.Err() == nil {
		run, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if line, ok := errors.AsType[*importer.LineError](err); ok {
			if bad = append(bad, line.Error()); len(bad) == maxBadLines {
				break
			}
			continue
		}
		if err != nil {
			return nil, cli.Usagef("--file: %w", err)
		}
		r.add(run.Event)
	}
	if len(bad) > 0 {
		return nil, cli.Usagef("%s cannot be replayed:\n  %s", file, strings.Join(bad, "\n  "))
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r, ctx.Err()
}

// check wants at least one run of each release.
func (r *recording) check() error {
	for _, release := range []string{r.request.BaselineRelease, r.request.CandidateRelease} {
		r.total[release] = len(r.queues[release])
		if r.total[release] == 0 {
			return cli.Usagef("%s holds no run of %s %s in %s; it holds %d runs of others", r.file,
				cli.Plain(r.request.AppID), cli.Plain(release), cli.Plain(r.request.Environment), r.skipped)
		}
	}
	return nil
}

// add queues a run, or an outcome behind its run.
func (r *recording) add(e api.Event) {
	environment := e.Source.Environment
	if environment == "" {
		environment = api.DefaultEnvironment
	}
	release := e.Source.Release
	at, known := r.places[e.RunID]
	switch ours := e.Source.AppID == r.request.AppID && environment == r.request.Environment; {
	case ours && e.Kind == api.KindOutcome && known:
		r.queues[at.release][at.index] = append(r.queues[at.release][at.index], e)
	case ours && e.Kind == api.KindAgentRun && (release == r.request.BaselineRelease || release == r.request.CandidateRelease):
		if e.RunID != "" {
			r.places[e.RunID] = place{release, len(r.queues[release])}
		}
		r.queues[release] = append(r.queues[release], []api.Event{e})
	default:
		r.skipped++
	}
}

func (r *recording) run(release string) ([]api.Event, bool) {
	queue := r.queues[release]
	if len(queue) == 0 {
		r.empty = release
		return nil, false
	}
	r.queues[release] = queue[1:]
	return queue[0], true
}

// summary says what the file holds.
func (r *recording) summary() string {
	text := fmt.Sprintf("%s: %d of %s, %d of %s", filepath.Base(r.file), r.total[r.request.BaselineRelease], cli.Plain(r.request.BaselineRelease),
		r.total[r.request.CandidateRelease], cli.Plain(r.request.CandidateRelease))
	switch {
	case r.skipped == 1:
		text += "; 1 other is left out"
	case r.skipped > 1:
		text += fmt.Sprintf("; %d others are left out", r.skipped)
	}
	return text
}

// usedUp says that the runs did not suffice, and what would.
func (r *recording) usedUp(end api.Rollout) string {
	var candidate, baseline int64
	for _, step := range end.Plan.Step {
		candidate, baseline = candidate+step.MinRuns, baseline+step.BaselineRuns
	}
	text := fmt.Sprintf("The recorded runs of %s are used up before the rollout was settled: it holds at %d %%.", cli.Plain(r.empty), *end.Weight)
	text += fmt.Sprintf(" This ramp needs at least about %d runs of %s and %d of %s.", baseline, cli.Plain(end.BaselineRelease), candidate, cli.Plain(end.CandidateRelease))
	if end.Policy.Steps[0] < 50 {
		text += " A ramp of --steps 50,100 needs far fewer of the baseline."
	}
	return text
}
