package e2e

import (
	"bufio"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/prova"
)

// publicVerdict is a line of published verdicts of judges.
type publicVerdict struct {
	AppID            string   `json:"app_id"`
	BaselineRelease  string   `json:"baseline_release"`
	CandidateRelease string   `json:"candidate_release"`
	ProbeID          string   `json:"probe_id"`
	Judge            string   `json:"judge"`
	Verdict          *string  `json:"verdict"`
	BaselineChars    *int64   `json:"baseline_chars"`
	CandidateChars   *int64   `json:"candidate_chars"`
	Cost             *float64 `json:"judge_cost_usd"`
	Latency          *float64 `json:"judge_latency_ms"`
}

func (v publicVerdict) judgment() api.Judgment {
	j := api.Judgment{
		AppID: v.AppID, BaselineRelease: v.BaselineRelease, CandidateRelease: v.CandidateRelease, ProbeID: v.ProbeID, Judge: api.Judge{Model: v.Judge},
		Verdict: api.PreferNone, BaselineChars: v.BaselineChars, CandidateChars: v.CandidateChars, CostUSD: v.Cost, LatencyMS: v.Latency,
	}
	if v.Verdict != nil {
		j.Verdict = api.Preference(*v.Verdict)
	}
	return j
}

// publicVerdicts reads the published verdicts.
func publicVerdicts(t *testing.T) (all []publicVerdict) {
	t.Helper()
	file, err := os.Open(shared(t, "data/pairwise-judges/verdicts.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var v publicVerdict
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// TestPublishedVerdicts: verdicts of published judges, posted as judgments, add
// up to the figures that were computed elsewhere.
func TestPublishedVerdicts(t *testing.T) {
	t.Parallel()
	verdicts := publicVerdicts(t)
	text, err := os.ReadFile(shared(t, "data/pairwise-judges/expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected struct {
		Groups []struct {
			AppID      string     `json:"app_id"`
			Baseline   string     `json:"baseline"`
			Candidate  string     `json:"candidate"`
			Judge      string     `json:"judge"`
			Losses     int64      `json:"baseline_wins"`
			Wins       int64      `json:"candidate_wins"`
			Ties       int64      `json:"ties"`
			NoVerdict  int64      `json:"no_verdict"`
			HalfTies   float64    `json:"win_rate_half_ties"`
			WinRate    float64    `json:"win_rate_no_ties"`
			Wilson     [2]float64 `json:"wilson95_no_ties"`
			LongerWins int64      `json:"longer_wins"`
			LongerN    int64      `json:"longer_n"`
		} `json:"groups"`
	}
	if err := json.Unmarshal(text, &expected); err != nil {
		t.Fatal(err)
	}
	s := serve(t, sqlite())
	client := s.api()
	for len(verdicts) > 0 {
		n := min(len(verdicts), 2000)
		batch := make([]api.Judgment, n)
		for i, v := range verdicts[:n] {
			batch[i] = v.judgment()
		}
		verdicts = verdicts[n:]
		answer, err := client.RecordJudgments(t.Context(), batch)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range answer.Results {
			if r.Status != api.IngestCreated {
				t.Fatalf("%+v", r.Problem)
			}
		}
	}
	near := func(got *float64, want float64) bool { return got != nil && math.Abs(*got-want) < 1e-8 }
	found := 0
	for _, g := range expected.Groups {
		list, err := client.Judgments(t.Context(), prova.Releases{AppID: g.AppID, Baseline: g.Baseline, Candidate: g.Candidate}, prova.Page{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range list.Judges {
			if j.Judge.Model != g.Judge {
				continue
			}
			found++
			f, w := j.Figures, j.WinRate
			if f.Wins != g.Wins || f.Losses != g.Losses || f.Ties != g.Ties || f.NoVerdict != g.NoVerdict || f.LongerWins != g.LongerWins || f.LongerKnown != g.LongerN {
				t.Errorf("%s against %s by %s: %+v, want %+v", g.Candidate, g.Baseline, g.Judge, f, g)
			}
			if !near(j.HalfTies, g.HalfTies) || !near(w.Value, g.WinRate) || !near(w.Lo, g.Wilson[0]) || !near(w.Hi, g.Wilson[1]) {
				t.Errorf("%s against %s by %s: win rate %v (%v … %v), want %+v", g.Candidate, g.Baseline, g.Judge, *w.Value, *w.Lo, *w.Hi, g)
			}
		}
	}
	if found != len(expected.Groups) || found == 0 {
		t.Errorf("%d of %d groups were found", found, len(expected.Groups))
	}
}
