package judge_test

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/judge"
	"github.com/cobound/prova/internal/stats"
)

func judgment(verdict api.Preference, baseline, candidate int64, answers ...api.JudgeAnswer) api.Judgment {
	return api.Judgment{Verdict: verdict, BaselineChars: &baseline, CandidateChars: &candidate, Answers: answers}
}

// both is a judge asked in both orders.
func both(baselineFirst, candidateFirst api.Position) []api.JudgeAnswer {
	return []api.JudgeAnswer{{First: api.PreferBaseline, Verdict: baselineFirst}, {First: api.PreferCandidate, Verdict: candidateFirst}}
}

// TestCalibrate works an example by hand.
func TestCalibrate(t *testing.T) {
	const b, c, tie, none = api.PreferBaseline, api.PreferCandidate, api.PreferTie, api.PreferNone
	pairs := []judge.Labelled{
		{b, []api.Judgment{judgment("", 20, 10, both(api.PositionFirst, api.PositionSecond)...), judgment(b, 20, 10)}},  // agrees, twice
		{c, []api.Judgment{judgment("", 20, 10, both(api.PositionFirst, api.PositionFirst)...), judgment(c, 20, 10)}},   // first twice: tie, then not
		{c, []api.Judgment{judgment("", 10, 20, both(api.PositionSecond, api.PositionFirst)...), judgment(none, 0, 0)}}, // agrees, the retest says nothing
		{tie, []api.Judgment{judgment("", 10, 20, both(api.PositionSecond, api.PositionSecond)...)}},                    // second twice
		{b, []api.Judgment{judgment("", 10, 20, both(api.PositionTie, api.PositionFirst)...)}},                          // no position, still a tie
		{c, []api.Judgment{judgment("", 10, 20, both(api.PositionNone, api.PositionFirst)...)}},                         // no verdict
		{b, []api.Judgment{judgment(c, 10, 10)}},                                                                        // asked once, of one length
		{c, nil},                                                                                                        // never judged
		{none, []api.Judgment{judgment(c, 1, 2)}},
		{"both", []api.Judgment{judgment(c, 1, 2)}},
	}
	got := judge.Calibrate("app", api.Judge{Model: "m"}, pairs)
	if got.AppID != "app" || got.Judge.Model != "m" || got.Labels != 8 || got.Compared != 6 {
		t.Errorf("%+v", got)
	}
	// rows: label baseline (1 baseline, 1 candidate, 1 tie), candidate (0, 1, 1), tie (0, 0, 1)
	if want := [3][3]int64{{1, 1, 1}, {0, 1, 1}, {0, 0, 1}}; got.Confusion != want {
		t.Errorf("confusion %v", got.Confusion)
	}
	// agreed 3 of 6; chance (3·1 + 2·2 + 1·3) / 36 = 10/36; kappa (18 - 10) / (36 - 10)
	if got.Kappa == nil || !near(*got.Kappa, 8.0/26) {
		t.Errorf("kappa %v", *got.Kappa)
	}
	for name, s := range map[string]struct {
		api.Share
		x, n int64
	}{
		"agreement": {got.Agreement, 3, 6}, "consistent": {got.Consistent, 2, 5}, "first bias": {got.FirstBias, 1, 2},
		"longer wins": {got.LongerWins, 2, 2}, "labels longer": {got.LabelsLonger, 3, 5}, "retest": {got.Retest, 1, 2},
	} {
		want := stats.Wilson(stats.Proportion{X: s.x, N: s.n}, stats.Critical(0.95))
		if s.X != s.x || s.N != s.n || !near(*s.Value, float64(s.x)/float64(s.n)) || *s.Lo != want.Lo || *s.Hi != want.Hi {
			t.Errorf("%s: %d of %d", name, s.X, s.N)
		}
	}
}

// TestCalibrateNothing: of nothing there are no figures, and of one verdict alone no kappa.
func TestCalibrateNothing(t *testing.T) {
	got := judge.Calibrate("app", api.Judge{}, nil)
	if got.Kappa != nil || got.Agreement.Value != nil || got.Retest.Lo != nil || got.Labels != 0 {
		t.Errorf("%+v", got)
	}
	same := []judge.Labelled{{api.PreferTie, []api.Judgment{judgment(api.PreferTie, 1, 2)}}, {api.PreferTie, []api.Judgment{judgment(api.PreferTie, 1, 2)}}}
	if got := judge.Calibrate("app", api.Judge{}, same); got.Kappa != nil || *got.Agreement.Value != 1 {
		t.Errorf("%+v", got)
	}
}

// verdictLine is a line of the data set of verdicts.
type verdictLine struct {
	AppID          string         `json:"app_id"`
	Baseline       string         `json:"baseline_release"`
	Candidate      string         `json:"candidate_release"`
	Probe          string         `json:"probe_id"`
	Judge          string         `json:"judge"`
	Verdict        api.Preference `json:"verdict"`
	BaselineChars  *int64         `json:"baseline_chars"`
	CandidateChars *int64         `json:"candidate_chars"`
}

func (l verdictLine) judgment() api.Judgment {
	return api.Judgment{Verdict: l.Verdict, BaselineChars: l.BaselineChars, CandidateChars: l.CandidateChars}
}

type expectedFigures struct {
	Groups []struct {
		AppID      string     `json:"app_id"`
		Baseline   string     `json:"baseline"`
		Candidate  string     `json:"candidate"`
		Judge      string     `json:"judge"`
		Asked      int64      `json:"n_asked"`
		Losses     int64      `json:"baseline_wins"`
		Wins       int64      `json:"candidate_wins"`
		Ties       int64      `json:"ties"`
		NoVerdict  int64      `json:"no_verdict"`
		HalfTies   float64    `json:"win_rate_half_ties"`
		NoTies     float64    `json:"win_rate_no_ties"`
		Wilson     [2]float64 `json:"wilson95_no_ties"`
		LongerWins int64      `json:"longer_wins"`
		LongerN    int64      `json:"longer_n"`
	} `json:"groups"`
	Agreement map[string]struct {
		N        int64   `json:"n"`
		Agree    int64   `json:"agree"`
		Observed float64 `json:"observed"`
		Kappa    float64 `json:"kappa"`
	} `json:"agreement"`
}

// realVerdicts reads 16,265 verdicts of judges and people, which are no part of the project.
func realVerdicts(t *testing.T) (lines []verdictLine, want expectedFigures) {
	t.Helper()
	folder := filepath.Join(cmp.Or(os.Getenv("PROVA_SHARED"), "../../../shared"), "data", "pairwise-judges")
	if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) {
		t.Skip("NOT TESTED: the data sets are not here; set PROVA_SHARED to their folder")
	}
	data, err := os.ReadFile(filepath.Join(folder, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(folder, "verdicts.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for scan := bufio.NewScanner(f); scan.Scan(); {
		var l verdictLine
		if err := json.Unmarshal(scan.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		if l.Verdict == "" {
			l.Verdict = api.PreferNone
		}
		lines = append(lines, l)
	}
	return lines, want
}

// rounded reports whether a figure equals one that was written with nine digits.
func rounded(got, want float64) bool { return math.Abs(got-want) <= 1e-9 }

// TestRealFigures: the figures of 64 judges and pairs of releases are those that others computed.
func TestRealFigures(t *testing.T) {
	lines, want := realVerdicts(t)
	groups := map[string]api.JudgedFigures{}
	for _, l := range lines {
		name := fmt.Sprint(l.AppID, l.Baseline, l.Candidate, l.Judge)
		f := groups[name]
		f.Count(l.judgment())
		groups[name] = f
	}
	if len(groups) != len(want.Groups) || len(groups) != 64 {
		t.Fatalf("%d groups, want %d", len(groups), len(want.Groups))
	}
	for _, w := range want.Groups {
		f := groups[fmt.Sprint(w.AppID, w.Baseline, w.Candidate, w.Judge)]
		if f.Wins != w.Wins || f.Losses != w.Losses || f.Ties != w.Ties || f.NoVerdict != w.NoVerdict || f.LongerWins != w.LongerWins || f.LongerKnown != w.LongerN {
			t.Errorf("%s, %s: %+v, want %+v", w.Candidate, w.Judge, f, w)
		}
		rate := judge.ShareOf(f.Wins, f.Decided())
		if !rounded(*rate.Value, w.NoTies) || !rounded(*rate.Lo, w.Wilson[0]) || !rounded(*rate.Hi, w.Wilson[1]) {
			t.Errorf("%s, %s: %v in [%v, %v], want %v in %v", w.Candidate, w.Judge, *rate.Value, *rate.Lo, *rate.Hi, w.NoTies, w.Wilson)
		}
		if half, _ := stats.WinRate(f.Wins, f.Losses, f.Ties, stats.HalveTies, 1.96); !rounded(half, w.HalfTies) {
			t.Errorf("%s, %s: %v with half ties, want %v", w.Candidate, w.Judge, half, w.HalfTies)
		}
	}
}

// TestRealAgreement: agreement and kappa of people and judges with each other,
// and with the majority of three people, are those that others computed.
func TestRealAgreement(t *testing.T) {
	lines, want := realVerdicts(t)
	said := map[string]map[string]api.Judgment{} // by judge, then probe
	for _, l := range lines {
		if l.AppID != "pandalm" {
			continue
		}
		if said[l.Judge] == nil {
			said[l.Judge] = map[string]api.Judgment{}
		}
		said[l.Judge][l.Probe] = l.judgment()
	}
	const majority = "human_majority"
	said[majority] = map[string]api.Judgment{}
	for probe := range said["human-1"] {
		votes := map[api.Preference]int{}
		for _, human := range []string{"human-1", "human-2", "human-3"} {
			v := said[human][probe].Verdict
			if votes[v]++; votes[v] == 2 && v != api.PreferNone {
				said[majority][probe] = api.Judgment{Verdict: v}
			}
		}
	}
	compared := 0
	for labels := range said {
		for by := range said {
			w, ok := want.Agreement[labels+" vs "+by]
			if !ok {
				continue
			}
			compared++
			var pairs []judge.Labelled
			for probe, label := range said[labels] {
				pair := judge.Labelled{Label: label.Verdict}
				if j, ok := said[by][probe]; ok {
					pair.Judgments = append(pair.Judgments, j)
				}
				pairs = append(pairs, pair)
			}
			c := judge.Calibrate("pandalm", api.Judge{Model: by}, pairs)
			if c.Compared != w.N || c.Agreement.X != w.Agree || c.Agreement.N != w.N || !rounded(*c.Agreement.Value, w.Observed) || !rounded(*c.Kappa, w.Kappa) {
				t.Errorf("%s vs %s: %d of %d, kappa %v; want %+v", labels, by, c.Agreement.X, c.Agreement.N, *c.Kappa, w)
			}
		}
	}
	if compared != len(want.Agreement) || compared != 15 {
		t.Errorf("%d pairs of judges, want %d", compared, len(want.Agreement))
	}
}
