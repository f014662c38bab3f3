package rollout_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"hash"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
)

var update = flag.Bool("update", false, "rewrite testdata/golden.txt")

// TestGolden plays every scenario and compares, for each, the hash of the bytes
// of all its verdicts, decisions, looks and test states with testdata/golden.txt. If a change
// alters one, verdicts of the past can no longer be recomputed: that needs a new
// version of the engine. A new scenario only adds a line.
//
// The logged lines are what TestEveryCPU compares between CPUs.
func TestGolden(t *testing.T) {
	var lines []string
	total := 0
	reasons := map[string]bool{}
	const path = "testdata/golden.txt"
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	known := strings.Split(string(want), "\n")
	hurry := flag.Lookup("test.failfast").Value.String() == "true" && !*update // one difference is enough
	for _, s := range scenarios() {
		r := &recorder{t: t, digest: sha256.New(), reasons: reasons}
		for i := range s.rollouts {
			r.play(s, i)
		}
		total += r.verdicts
		line := fmt.Sprintf("%s  %d %s", hex.EncodeToString(r.digest.Sum(nil)), r.verdicts, s.name)
		t.Logf("golden %s", line)
		lines = append(lines, line)
		if hurry && !slices.Contains(known, line) {
			t.Fatalf("not as in %s: %s", path, line)
		}
	}
	t.Logf("%d verdicts", total)
	for _, code := range everyReason() {
		if !reasons[code] {
			t.Errorf("no scenario ends with the reason %q", code)
		}
	}
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		want, known = []byte(got), lines
	}
	for _, line := range lines {
		if !slices.Contains(known, line) {
			t.Errorf("not as in %s: %s", path, line)
		}
	}
	if !t.Failed() && got != string(want) {
		t.Errorf("%s lists scenarios that are gone: run the test with -update", path)
	}
}

// recorder hashes everything that a rollout decides.
type recorder struct {
	t        *testing.T
	digest   hash.Hash
	verdicts int
	// reasons are the codes that came up, of gates and of decisions.
	reasons map[string]bool
}

// everyReason lists what the scenarios must reach between them: a hash of
// rollouts that only ever hold would say little.
func everyReason() []string {
	return []string{
		compare.ReasonClean, compare.ReasonRegressed, compare.ReasonTooFewRuns, compare.ReasonMetricMissing, compare.ReasonMissingMoreOften,
		compare.ReasonNotBoolean, compare.ReasonNoLook, compare.ReasonCannotRegress,
		rollout.ReasonCleanVerdict, rollout.ReasonFullPromote, rollout.ReasonHoldGate, rollout.ReasonPairwiseMissing, rollout.ReasonPairwiseTooFew, rollout.ReasonPairwiseClean, rollout.ReasonPairwiseRegressed, rollout.ReasonFreshRuns,
		rollout.ReasonCheck, rollout.ReasonNotShown, compare.ReasonTooFewUnits,
	}
}

func (r *recorder) verdict(v api.Verdict) {
	r.verdicts++
	r.write(v)
	r.reasons[v.Reason.Code] = true
	for _, g := range v.Gates {
		r.reasons[g.Reason.Code] = true
	}
	if v.Pairwise != nil {
		r.reasons[v.Pairwise.Reason.Code] = true
	}
}

func (r *recorder) write(values ...any) {
	for _, v := range values {
		data, err := json.Marshal(v)
		if err != nil {
			r.t.Fatal(err)
		}
		r.digest.Write(append(data, '\n'))
	}
}

// pastRun is a run kept for the comparison on demand.
type pastRun struct {
	side    rollout.Side
	epoch   int64
	metrics map[string]api.Metric
	// probe names the run's partner; empty without one.
	probe string
}

// play ramps one rollout: baseline runs in proportion to the weight, a tick
// after so many candidate runs. Then the same runs are compared on demand.
func (r *recorder) play(s scenario, number int) {
	request := s.request
	request.Mode, request.Gates = api.ModeCanary, gates(r.t, s.gates...)
	from := stats.NewSource(stats.SeedOf("golden", s.name), uint64(number))
	p := newPlayAfter(r.t, s.before(r.t, &from), request)
	var past []pastRun
	record := func(side rollout.Side, of release) {
		if !s.runsOf(side, p.r.Step) {
			return
		}
		run := pastRun{side: side, epoch: p.epoch, metrics: of.draw(&from, p.r.Step)}
		if last := len(past) - 1; s.paired && side == rollout.Candidate && last >= 0 && past[last].side == rollout.Baseline {
			run.probe = strconv.Itoa(last)
			past[last].probe = run.probe
			if err := p.block.AddPair(rollout.Pair{Index: p.index, Probe: run.probe, Fresh: true, Candidate: run.metrics, Baseline: past[last].metrics}); err != nil {
				r.t.Fatal(err)
			}
		}
		past = append(past, run)
		p.record(side, run.metrics)
	}
	owed := 0 // hundredths of a baseline run
	for i := range or(s.runs, 150) {
		weight := or(s.share, p.r.Weight())
		for owed += 100 - weight; owed >= weight; owed -= weight {
			record(rollout.Baseline, s.baseline)
		}
		record(rollout.Candidate, s.candidate)
		if s.wins > 0 {
			p.judge(theJudge(), s.verdict(&from), 1)
		}
		if (i+1)%or(s.every, 5) > 0 {
			continue
		}
		d := p.tick()
		r.verdict(*d.Verdict)
		r.write(d.Decision, d.Reason, d.FreshRuns, d.Looks, p.r.State, p.r.Step, p.r.Ledger.View(p.r.Policy, 0), digest(r.t, p.r))
		if p.r.State.Finished() {
			break
		}
	}
	r.onDemand(s, p.r.Policy, past)
}

// verdict draws what the judge says of a pair.
func (s scenario) verdict(from *stats.Source) api.Preference {
	switch tie, win := from.Index(10) == 0, from.Index(1000) < s.wins; {
	case tie:
		return api.PreferTie
	case win:
		return api.PreferCandidate
	}
	return api.PreferBaseline
}

// before is what the baseline reported before the rollout.
func (s scenario) before(t *testing.T, from *stats.Source) rollout.History {
	h := rollout.History{Runs: int64(s.history), LastIndex: int64(s.history) - 1}
	if s.history == 0 {
		return rollout.History{}
	}
	var c compare.Cohort
	for i := range s.history {
		if err := c.Add(s.baseline.draw(from, 1), unitOf(int64(i))); err != nil {
			t.Fatal(err)
		}
	}
	h.Metrics = map[string]stats.Summary{}
	for name, m := range c.Metrics {
		h.Metrics[name] = m.Summary
	}
	return h
}

// runsOf reports whether a release has runs in a step, counted from 1.
func (s scenario) runsOf(side rollout.Side, step int) bool {
	if s.history > 0 && side == rollout.Baseline {
		return s.besides > 0 && step >= s.besides
	}
	return s.alone == 0 || s.alone == side
}

// onDemand compares the two releases once, first within epochs, then as one
// stratum with every value at hand, as from a file.
func (r *recorder) onDemand(s scenario, policy api.Policy, past []pastRun) {
	epochs := []compare.Stratum{}
	var whole compare.Stratum
	values := map[rollout.Side]map[string][]float64{rollout.Candidate: {}, rollout.Baseline: {}}
	var pairs compare.PairUp
	for i, run := range past {
		if err := pairs.Add(run.probe, map[rollout.Side]compare.Side{rollout.Candidate: compare.CandidateSide, rollout.Baseline: compare.BaselineSide}[run.side], run.metrics); err != nil {
			r.t.Fatal(err)
		}
		for int64(len(epochs)) < run.epoch {
			epochs = append(epochs, compare.Stratum{Epoch: int64(len(epochs)) + 1})
		}
		for _, into := range []*compare.Stratum{&epochs[run.epoch-1], &whole} {
			if err := cohortOf(into, run.side).Add(run.metrics, unitOf(int64(i/max(s.unit, 1)))); err != nil {
				r.t.Fatal(err)
			}
		}
		for name, m := range run.metrics { // each metric has values of its own, so the order does not matter
			values[run.side][name] = append(values[run.side][name], m.Value)
		}
	}
	for side, metrics := range values {
		for name, list := range metrics {
			cohortOf(&whole, side).KeepValues(name, list)
		}
	}
	if s.paired {
		whole.Pairs = pairs.Pairs()
	}
	q := compare.Question{
		Gates: policy.Gates, Confidence: policy.Confidence, MinRuns: 1, Guarantee: api.GuaranteeLook, Seed: s.name, Attempt: 1,
	}
	for _, q.Strata = range [][]compare.Stratum{epochs, {whole}} {
		r.verdict(compare.Releases(q))
	}
}

func cohortOf(s *compare.Stratum, side rollout.Side) *compare.Cohort {
	if side == rollout.Candidate {
		return &s.Candidate
	}
	return &s.Baseline
}

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
