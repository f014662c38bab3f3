package evalcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/importer"
	"github.com/cobound/prova/internal/stats"
)

// shownBadLines is how many lines that cannot be read are listed.
const shownBadLines = 10

// collection is what files hold of two releases of one app.
type collection struct {
	app, environment    string
	candidate, baseline side
	baselineRelease     string
	candidateRelease    string
	pairs               compare.PairUp
	// runs finds the run that an outcome belongs to.
	runs map[string]known
	// seen holds what must not count twice: ids of receipts and idempotency keys.
	seen              map[string]bool
	releases          map[string]int64
	apps, places      map[string]bool
	bad, twice, stray int64
}

// side is one release.
type side struct {
	is     compare.Side
	cohort compare.Cohort
	values map[string][]float64
}

// known is a run that was counted.
type known struct {
	side    *side
	unit    uint64
	probe   string
	metrics map[string]bool
}

// collect reads all files.
func (c Compare) collect(ctx context.Context, env *cli.Env) (*collection, error) {
	found := &collection{
		baselineRelease: c.Baseline, candidateRelease: c.Candidate, runs: map[string]known{}, seen: map[string]bool{},
		releases: map[string]int64{}, apps: map[string]bool{}, places: map[string]bool{},
		baseline: side{is: compare.BaselineSide}, candidate: side{is: compare.CandidateSide},
	}
	for _, name := range c.File {
		if err := c.readFile(ctx, env, name, found); err != nil {
			return nil, err
		}
	}
	found.talk(env)
	found.app, found.environment = single(found.apps), single(found.places)
	switch {
	case len(found.apps) > 1:
		return nil, cli.Usagef("the files hold these releases of several apps; say which with --app-id: %s", list(found.apps))
	case len(found.places) > 1:
		return nil, cli.Usagef("the files hold runs of several environments; say which with --environment: %s", list(found.places))
	}
	for _, r := range []struct {
		release string
		runs    int64
	}{{c.Baseline, found.baseline.cohort.Runs}, {c.Candidate, found.candidate.cohort.Runs}} {
		if r.runs == 0 {
			env.Talk("No run of release %q was found. %s", r.release, found.hint())
		}
	}
	if found.baseline.cohort.Runs == 0 && found.candidate.cohort.Runs == 0 {
		return nil, &cli.ExitError{Code: cli.Undecided, Err: errors.New("there is nothing to compare")}
	}
	return found, nil
}

func single(set map[string]bool) string {
	for name := range set {
		return name
	}
	return ""
}

func list(set map[string]bool) string {
	return cli.Plain(strings.Join(slices.Sorted(maps.Keys(set)), ", "))
}

// hint lists the releases that were found instead.
func (f *collection) hint() string {
	names := slices.Sorted(maps.Keys(f.releases))
	if len(names) == 0 {
		return "The files hold no run that could be meant."
	}
	more := ""
	if len(names) > 20 {
		names, more = names[:20], ", …"
	}
	return "Releases there: " + cli.Plain(strings.Join(names, ", ")) + more
}

func (f *collection) talk(env *cli.Env) {
	if f.bad > shownBadLines {
		env.Talk("… %d lines in all could not be read and are not counted.", f.bad)
	}
	if f.twice > 0 {
		env.Talk("%d lines repeat a receipt or an idempotency key and count once.", f.twice)
	}
	if f.stray > 0 {
		env.Talk("%d outcomes belong to no run of these releases, or repeat a metric, and are not counted.", f.stray)
	}
}

func (c Compare) readFile(ctx context.Context, env *cli.Env, name string, found *collection) error {
	f, err := os.Open(name)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	defer func() { _ = f.Close() }()
	size := int64(0)
	if info, err := f.Stat(); err == nil {
		size = info.Size()
	}
	progress := env.NewProgress()
	defer progress.Clear()
	r := importer.NewReader(f)
	for ctx.Err() == nil {
		run, err := r.Next()
		if bad, ok := errors.AsType[*importer.LineError](err); ok {
			if found.bad++; found.bad <= shownBadLines {
				progress.Clear()
				env.Talk("%s:%d: %s", name, bad.Number, cli.Plain(bad.Err.Error()))
			}
			continue
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := c.take(found, name, run); err != nil {
			return fmt.Errorf("%s:%d: %w", name, run.Number, err)
		}
		if size > 0 {
			progress.Show(float64(r.Offset())/float64(size), name)
		}
	}
	return ctx.Err()
}

// take counts one line.
func (c Compare) take(found *collection, name string, run importer.Run) error {
	e := run.Event
	if e.Source.Environment == "" {
		e.Source.Environment = api.DefaultEnvironment
	}
	if c.AppID != "" && e.Source.AppID != c.AppID || c.Environment != "" && e.Source.Environment != c.Environment {
		return nil
	}
	if found.again(run.EventID, e) {
		found.twice++
		return nil
	}
	if e.Kind == api.KindOutcome {
		return found.outcome(e)
	}
	found.releases[e.Source.Release]++
	var s *side
	switch e.Source.Release {
	case c.Baseline:
		s = &found.baseline
	case c.Candidate:
		s = &found.candidate
	default:
		return nil
	}
	found.apps[e.Source.AppID], found.places[e.Source.Environment] = true, true
	unit := unitOf(e, run.EventID, name, run.Number)
	if err := s.cohort.Add(e.Metrics, unit); err != nil {
		return err
	}
	s.cohort.Mixes.Add(e.ProbeID, modelOf(e), e.Source.Environment)
	if err := found.pairs.Add(e.ProbeID, s.is, e.Metrics); err != nil {
		return err
	}
	s.keep(e.Metrics)
	if e.RunID != "" {
		key := e.Source.AppID + "\n" + e.Source.Environment + "\n" + e.RunID
		if _, ok := found.runs[key]; !ok { // outcomes go to the first run of an id
			metrics := make(map[string]bool, len(e.Metrics))
			for metric := range e.Metrics {
				metrics[metric] = true
			}
			found.runs[key] = known{s, unit, e.ProbeID, metrics}
		}
	}
	return nil
}

// again reports whether a server would have known the line already.
func (f *collection) again(eventID string, e api.Event) bool {
	keys := []string{eventID}
	if e.IdempotencyKey != "" {
		keys = append(keys, e.Source.AppID+"\n"+e.Source.Environment+"\n"+e.IdempotencyKey)
	}
	for _, key := range keys {
		if key != "" && f.seen[key] {
			return true
		}
		f.seen[key] = true
	}
	return false
}

// outcome adds what became known of a run later.
func (f *collection) outcome(e api.Event) error {
	run, ok := f.runs[e.Source.AppID+"\n"+e.Source.Environment+"\n"+e.RunID]
	for metric := range e.Metrics {
		ok = ok && !run.metrics[metric]
	}
	if !ok {
		f.stray++
		return nil
	}
	if err := run.side.cohort.AddMetrics(e.Metrics, run.unit); err != nil {
		return err
	}
	if err := f.pairs.AddMetrics(run.probe, run.side.is, e.Metrics); err != nil {
		return err
	}
	run.side.keep(e.Metrics)
	for metric := range e.Metrics {
		run.metrics[metric] = true
	}
	return nil
}

func (s *side) keep(metrics map[string]api.Metric) {
	if s.values == nil {
		s.values = map[string][]float64{}
	}
	for name, m := range metrics {
		s.values[name] = append(s.values[name], m.Value)
	}
}

// modelOf names a run's model with its version, if it says.
func modelOf(e api.Event) string {
	if e.Model == nil {
		return ""
	}
	return strings.TrimSpace(e.Model.Name + " " + e.Model.Version)
}

// unitOf hashes what was sampled independently, as a server does: the unit,
// else the probe, else the run itself.
func unitOf(e api.Event, eventID, name string, number int) uint64 {
	switch {
	case e.UnitID != "":
		return uint64(stats.SeedOf("unit", e.UnitID))
	case e.ProbeID != "":
		return uint64(stats.SeedOf("probe", e.ProbeID))
	case eventID != "":
		return uint64(stats.SeedOf("run", eventID))
	}
	return uint64(stats.SeedOf("run", name, strconv.Itoa(number)))
}

// stratum is the two cohorts with their pairs and their single values, for exact quantiles.
func (f *collection) stratum() compare.Stratum {
	for _, s := range []*side{&f.baseline, &f.candidate} {
		for name, values := range s.values {
			s.cohort.KeepValues(name, values)
		}
	}
	return compare.Stratum{Candidate: f.candidate.cohort, Baseline: f.baseline.cohort, Pairs: f.pairs.Pairs()}
}
