package evalcmd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/evalcmd"
)

// expected is what a plain program found in the same files.
type expected struct {
	Pairs []struct {
		AppID     string `json:"app_id"`
		Baseline  string
		Candidate string
		Binary    map[string]struct {
			Baseline, Candidate struct {
				N      int64
				Rate   float64
				Wilson [2]float64 `json:"wilson95"`
			}
			Difference float64
			Newcombe   [2]float64 `json:"newcombe95"`
		}
		Numeric map[string]struct {
			Baseline, Candidate struct {
				N         int64
				Mean, P95 float64
			}
			MeanDifference float64 `json:"mean_difference"`
		}
	}
}

// printed is the precision of the expected figures: nine significant digits.
func close9(got *float64, want float64) bool {
	return got != nil && math.Abs(*got-want) <= 1e-9*math.Max(1, math.Abs(want))
}

func relative(got *float64, want float64) bool {
	return got != nil && math.Abs(*got-want) <= 1e-8*math.Abs(want)+1e-12
}

// Every pair of the real data sets gives the figures that others computed.
func TestReferenceFigures(t *testing.T) {
	shared := os.Getenv("PROVA_SHARED")
	if shared == "" {
		shared = "../../../../shared"
	}
	for _, set := range []string{"llmdrift", "bfcl"} {
		t.Run(set, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(shared, "data", set, "expected.json"))
			if errors.Is(err, os.ErrNotExist) {
				t.Skip("the data sets are not here; set PROVA_SHARED to their folder")
			}
			if err != nil {
				t.Fatal(err)
			}
			var want expected
			if err := json.Unmarshal(data, &want); err != nil {
				t.Fatal(err)
			}
			for _, pair := range want.Pairs {
				got := compareFile(t, filepath.Join(shared, "data", set, "runs.ndjson"), pair.AppID, pair.Baseline, pair.Candidate)
				for metric, w := range pair.Binary {
					g := find(t, got, metric, api.StatisticRate)
					d := g.Difference
					switch {
					case g.Baseline.N != w.Baseline.N || g.Candidate.N != w.Candidate.N,
						!close9(g.Baseline.Value, w.Baseline.Rate), !close9(g.Candidate.Value, w.Candidate.Rate),
						!close9(g.Baseline.Lo, w.Baseline.Wilson[0]), !close9(g.Baseline.Hi, w.Baseline.Wilson[1]),
						!close9(g.Candidate.Lo, w.Candidate.Wilson[0]), !close9(g.Candidate.Hi, w.Candidate.Wilson[1]),
						!close9(&d.Estimate, w.Difference), !close9(&d.Lo, w.Newcombe[0]), !close9(&d.Hi, w.Newcombe[1]):
						t.Errorf("%s %s → %s, %s:\ngot  %+v %+v\nwant %+v", pair.AppID, pair.Baseline, pair.Candidate, metric, g, *d, w)
					}
				}
				for metric, w := range pair.Numeric {
					g, q := find(t, got, metric, api.StatisticMean), find(t, got, metric, api.StatisticP95)
					if g.Baseline.N != w.Baseline.N || g.Candidate.N != w.Candidate.N || !relative(g.Baseline.Value, w.Baseline.Mean) || !relative(g.Candidate.Value, w.Candidate.Mean) {
						t.Errorf("%s %s → %s, mean of %s: got %+v, want %+v", pair.AppID, pair.Baseline, pair.Candidate, metric, g, w)
					}
					// A difference of nearly equal means has fewer digits than they have.
					if math.Abs(g.Difference.Estimate-w.MeanDifference) > 1e-8*math.Abs(w.Baseline.Mean)+1e-12 {
						t.Errorf("%s %s → %s, difference of %s: got %v, want %v", pair.AppID, pair.Baseline, pair.Candidate, metric, g.Difference.Estimate, w.MeanDifference)
					}
					if !relative(q.Baseline.Value, w.Baseline.P95) || !relative(q.Candidate.Value, w.Candidate.P95) {
						t.Errorf("%s %s → %s, p95 of %s: got %v and %v, want %+v", pair.AppID, pair.Baseline, pair.Candidate, metric, *q.Baseline.Value, *q.Candidate.Value, w)
					}
				}
			}
			t.Logf("%d pairs", len(want.Pairs))
		})
	}
}

// compareFile asks for all metrics of both data sets; those that a pair lacks are left out of its signals.
func compareFile(t *testing.T, file, app, baseline, candidate string) api.Verdict {
	t.Helper()
	var stdout, stderr bytes.Buffer
	env := &cli.Env{Stdout: &stdout, Stderr: &stderr, Getenv: func(string) string { return "" }}
	command := evalcmd.Compare{
		File: []string{file}, AppID: app, Baseline: baseline, Candidate: candidate, Confidence: 0.95, MinRuns: 30, Pair: "none", JSON: true,
		Gate: []string{"success", "clean_success:rate:better=higher:on=warn"},
	}
	for _, metric := range []string{"latency_ms", "cost_usd", "tokens", "input_tokens", "output_tokens"} {
		command.Gate = append(command.Gate, metric+":mean:better=lower:on=warn", metric+":p95:better=lower:on=warn")
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
