package evalcmd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/evalcmd"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/stats"
)

// expected is what a plain program found in the same files.
type expected struct {
	Releases []struct {
		AppID   string `json:"app_id"`
		Release string
		Most    int `json:"max_runs_per_probe"`
	}
	Pairs []expectedPair
}

type expectedPair struct {
	AppID     string `json:"app_id"`
	Baseline  string
	Candidate string
	Binary    map[string]expectedRate
	Numeric   map[string]expectedNumber
	// single: each probe has one run a side, so the first run is the probe.
	single bool
}

type expectedRate struct {
	Baseline, Candidate struct {
		N      int64
		Rate   float64
		Wilson [2]float64 `json:"wilson95"`
	}
	Difference float64
	Newcombe   [2]float64 `json:"newcombe95"`
	Table      struct {
		Both          int64 `json:"n11"`
		BaselineOnly  int64 `json:"n10"`
		CandidateOnly int64 `json:"n01"`
		Neither       int64 `json:"n00"`
	} `json:"paired_2x2"`
	Cluster expectedCluster `json:"cluster_by_probe"`
}

type expectedNumber struct {
	Baseline, Candidate struct {
		N                      int64
		Mean, Median, P90, P95 float64
	}
	MeanDifference   float64         `json:"mean_difference"`
	MedianDifference float64         `json:"median_difference"`
	Cluster          expectedCluster `json:"cluster_by_probe"`
}

type expectedCluster struct {
	Probes         int64
	MeanDifference float64 `json:"mean_difference"`
}

// close9 is the precision of the expected figures: nine significant digits.
func close9(got *float64, want float64) bool {
	return got != nil && math.Abs(*got-want) <= 1e-9*math.Max(1, math.Abs(want))
}

func relative(got *float64, want float64) bool {
	return got != nil && math.Abs(*got-want) <= 1e-8*math.Abs(want)+1e-12
}

// dataFolder is where the data sets are, which are not part of the project.
func dataFolder(t *testing.T, set string) string {
	t.Helper()
	shared := os.Getenv("PROVA_SHARED")
	if shared == "" {
		shared = "../../../../shared"
	}
	folder := filepath.Join(shared, "data", set)
	if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) {
		t.Skip("the data sets are not here; set PROVA_SHARED to their folder")
	}
	return folder
}

func (e expected) pairs() []expectedPair {
	most := map[[2]string]int{}
	for _, r := range e.Releases {
		most[[2]string{r.AppID, r.Release}] = r.Most
	}
	for i := range e.Pairs {
		p := &e.Pairs[i]
		p.single = most[[2]string{p.AppID, p.Baseline}] == 1 && most[[2]string{p.AppID, p.Candidate}] == 1
	}
	return e.Pairs
}

// TestReferenceFigures: every pair of the real data sets gives the figures that
// others computed, over all runs and probe by probe.
func TestReferenceFigures(t *testing.T) {
	for _, set := range []string{"llmdrift", "bfcl", "metr-horizon"} {
		t.Run(set, func(t *testing.T) {
			folder := dataFolder(t, set)
			data, err := os.ReadFile(filepath.Join(folder, "expected.json"))
			if err != nil {
				t.Fatal(err)
			}
			var want expected
			if err := json.Unmarshal(data, &want); err != nil {
				t.Fatal(err)
			}
			tables := 0
			for _, pair := range want.pairs() {
				all := compareFile(t, folder, pair, api.PairNone)
				paired := compareFile(t, folder, pair, api.PairProbe)
				for metric, w := range pair.Binary {
					pair.checkRate(t, metric, find(t, all, metric, api.StatisticRate), w)
					if pair.checkPairs(t, metric, find(t, paired, metric, api.StatisticRate), w) {
						tables++
					}
				}
				for metric, w := range pair.Numeric {
					pair.checkNumber(t, metric, all, w)
					g := find(t, paired, metric, api.StatisticMean)
					if g.Pairs.N != w.Cluster.Probes || math.Abs(g.Difference.Estimate-w.Cluster.MeanDifference) > 1e-8*math.Abs(w.Baseline.Mean)+1e-9 {
						t.Errorf("%s, mean of %s within probes: got %+v of %d, want %+v", pair, metric, *g.Difference, g.Pairs.N, w.Cluster)
					}
				}
			}
			if set != "metr-horizon" && tables < len(want.Pairs) {
				t.Errorf("%d tables of %d pairs of releases were compared", tables, len(want.Pairs))
			}
			t.Logf("%d pairs, %d tables", len(want.Pairs), tables)
		})
	}
}

func (p expectedPair) String() string { return p.AppID + " " + p.Baseline + " → " + p.Candidate }

func (p expectedPair) checkRate(t *testing.T, metric string, g api.GateResult, w expectedRate) {
	t.Helper()
	d := g.Difference
	if g.Baseline.N != w.Baseline.N || g.Candidate.N != w.Candidate.N ||
		!close9(g.Baseline.Value, w.Baseline.Rate) || !close9(g.Candidate.Value, w.Candidate.Rate) ||
		!close9(g.Baseline.Lo, w.Baseline.Wilson[0]) || !close9(g.Baseline.Hi, w.Baseline.Wilson[1]) ||
		!close9(g.Candidate.Lo, w.Candidate.Wilson[0]) || !close9(g.Candidate.Hi, w.Candidate.Wilson[1]) ||
		!close9(&d.Estimate, w.Difference) || !close9(&d.Lo, w.Newcombe[0]) || !close9(&d.Hi, w.Newcombe[1]) {
		t.Errorf("%s, %s:\ngot  %+v %+v\nwant %+v", p, metric, g, *d, w)
	}
}

// checkPairs reports whether the four counts were compared: where probes have
// several runs, the reference takes the first and we take their average.
func (p expectedPair) checkPairs(t *testing.T, metric string, g api.GateResult, w expectedRate) bool {
	t.Helper()
	if g.Pairs.N != w.Cluster.Probes || !close9(&g.Difference.Estimate, w.Cluster.MeanDifference) {
		t.Errorf("%s, %s within probes: got %+v of %d, want %+v", p, metric, *g.Difference, g.Pairs.N, w.Cluster)
	}
	if !p.single {
		return false
	}
	want := api.PairTable{Both: w.Table.Both, CandidateOnly: w.Table.CandidateOnly, BaselineOnly: w.Table.BaselineOnly, Neither: w.Table.Neither}
	d := stats.NewcombePaired(want.Both, want.CandidateOnly, want.BaselineOnly, want.Neither, stats.Critical(0.95))
	switch got := g.Pairs.PairTable; {
	case got == nil || *got != want:
		t.Errorf("%s, %s: got %+v, want %+v", p, metric, got, want)
	case g.Difference.Method != compare.MethodNewcombePaired || g.Difference.Lo != d.Lo || g.Difference.Hi != d.Hi:
		t.Errorf("%s, %s: got %+v, want %+v", p, metric, *g.Difference, d)
	}
	return true
}

func (p expectedPair) checkNumber(t *testing.T, metric string, v api.Verdict, w expectedNumber) {
	t.Helper()
	for _, s := range []struct {
		statistic           api.Statistic
		baseline, candidate float64
		difference          float64
	}{
		{api.StatisticMean, w.Baseline.Mean, w.Candidate.Mean, w.MeanDifference},
		{api.StatisticP50, w.Baseline.Median, w.Candidate.Median, w.MedianDifference},
		{api.StatisticP90, w.Baseline.P90, w.Candidate.P90, w.Candidate.P90 - w.Baseline.P90},
		{api.StatisticP95, w.Baseline.P95, w.Candidate.P95, w.Candidate.P95 - w.Baseline.P95},
	} {
		g := find(t, v, metric, s.statistic)
		// A difference of nearly equal values has fewer digits than they have.
		if g.Baseline.N != w.Baseline.N || g.Candidate.N != w.Candidate.N || !relative(g.Baseline.Value, s.baseline) || !relative(g.Candidate.Value, s.candidate) ||
			math.Abs(g.Difference.Estimate-s.difference) > 1e-8*math.Max(math.Abs(s.baseline), math.Abs(s.candidate))+1e-12 {
			t.Errorf("%s, %s of %s: got %+v %+v, want %+v", p, s.statistic, metric, g, *g.Difference, s)
		}
	}
}

// TestUnevenReplay: the pooled rate of o1 is far below that of o1-preview, for
// it ran the hardest tasks far more often; task by task it is not worse.
func TestUnevenReplay(t *testing.T) {
	folder := dataFolder(t, "metr-horizon")
	pair := expectedPair{AppID: "horizon", Baseline: "o1-preview", Candidate: "o1"}
	for how, want := range map[string]api.Outcome{api.PairProbe: api.Clean, api.PairNone: api.Regressed, api.PairAuto: api.Regressed} {
		v := compareFile(t, folder, pair, how)
		g, mix, pairing := v.Gates[0], check(v, compare.CheckMix), check(v, compare.CheckPairing)
		if v.Verdict != want {
			t.Errorf("--pair %s: %s", how, v.Reason.Text)
		}
		if estimate := g.Difference.Estimate; how == api.PairProbe && !(estimate > 0.06 && estimate < 0.07) || how != api.PairProbe && !(estimate < -0.17) {
			t.Errorf("--pair %s: %v", how, estimate)
		}
		if how != api.PairProbe && (mix.Status != api.CheckWarn || !strings.Contains(mix.Detail, "compare on pairs by probe")) {
			t.Errorf("--pair %s does not warn of the mix: %+v", how, mix)
		}
		if c := check(v, compare.CheckClustered); how != api.PairProbe && (c.Status != api.CheckWarn || !strings.Contains(c.Detail, "design effect")) {
			t.Errorf("--pair %s does not warn of repeated units: %+v", how, c)
		}
		if how == api.PairAuto && !strings.Contains(pairing.Detail, "58.5 % of the candidate's and 100.0 % of the baseline's runs") {
			t.Errorf("%+v", pairing)
		}
		if c := check(v, compare.CheckUnpaired); (c.Status == api.CheckWarn) != (how == api.PairProbe) {
			t.Errorf("--pair %s: %+v", how, c)
		}
	}
}

func check(v api.Verdict, name string) api.Check {
	for _, c := range v.Checks {
		if c.Check == name {
			return c
		}
	}
	return api.Check{}
}

// compareFile asks for all metrics that are expected of a pair, and success as a gate.
func compareFile(t *testing.T, folder string, p expectedPair, how string) api.Verdict {
	t.Helper()
	var stdout, stderr bytes.Buffer
	env := &cli.Env{Stdout: &stdout, Stderr: &stderr, Getenv: func(string) string { return "" }}
	command := evalcmd.Compare{
		File: []string{filepath.Join(folder, "runs.ndjson")}, AppID: p.AppID, Baseline: p.Baseline, Candidate: p.Candidate,
		Confidence: 0.95, MinRuns: 30, Pair: how, JSON: true, Gate: []string{"success"},
	}
	for metric := range p.Binary {
		command.Gate = append(command.Gate, metric+":rate:better=higher:on=warn")
	}
	for metric := range p.Numeric {
		for _, statistic := range []string{"mean", "p50", "p90", "p95"} {
			command.Gate = append(command.Gate, fmt.Sprintf("%s:%s:better=lower:on=warn", metric, statistic))
		}
	}
	if err := command.Run(t.Context(), env); err != nil && cli.Code(err) != cli.Regressed && cli.Code(err) != cli.Undecided {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var answer api.Comparison
	if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Verdict
}

func find(t *testing.T, v api.Verdict, metric string, statistic api.Statistic) api.GateResult {
	t.Helper()
	for _, g := range append(v.Gates, v.Signals...) {
		if g.Metric == metric && g.Statistic == statistic && g.Difference != nil {
			return g
		}
	}
	t.Fatalf("no figure of %s %s", metric, statistic)
	return api.GateResult{}
}
