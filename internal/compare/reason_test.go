package compare_test

import (
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
)

// TestAmounts: three significant digits of a small amount, whole numbers from 100 on, never a bare minus zero.
func TestAmounts(t *testing.T) {
	for _, c := range []struct {
		metric string
		v      float64
		want   string
	}{
		{"latency_ms", 99.96, "+100.0 ms"},
		{"latency_ms", 100, "+100 ms"},
		{"latency_ms", 100.4, "+100 ms"},
		{"latency_ms", 101, "+101 ms"},
		{"latency_ms", 9.996, "+10.00 ms"},
		{"latency_ms", 10, "+10.0 ms"},
		{"latency_ms", 10.54, "+10.5 ms"},
		{"latency_ms", 1, "+1.00 ms"},
		{"latency_ms", 0.994, "+0.994 ms"},
		{"latency_ms", 0.1, "+0.100 ms"},
		{"latency_ms", 0, "0 ms"},
		{"latency_ms", -3, "−3.00 ms"},
		{"cost_usd", 1.5e-13, "+0.000000000000 USD"},
		{"tokens", 12, "+12.0 tokens"},
		{"prompt_tokens", 500, "+500 tokens"},
		{"stars", 5, "+5.00"},
	} {
		want := c.want
		if strings.Trim(strings.Fields(want)[0], "+0.") == "" { // what rounds to nothing has no sign
			want = strings.TrimPrefix(want, "+")
		}
		if got := compare.FormatChange(api.Gate{Metric: c.metric, Statistic: api.StatisticMean}, c.v); got != want {
			t.Errorf("%s %v: %q, want %q", c.metric, c.v, got, want)
		}
	}
}

// TestReasonsSayTheNumbers: the sentence names the difference and the margin, the parameters carry them.
func TestReasonsSayTheNumbers(t *testing.T) {
	worse := compare.Stratum{Candidate: cohort(t, 100, 60, 0), Baseline: cohort(t, 100, 10, 0)}
	for text, want := range map[string]string{
		"success":              "excludes zero",
		"success:margin=0.02":  "excludes the margin of 2.0 points",
		"success:margin=5%":    "excludes the margin of 5%",
		"success:margin=0.8":   ", not regressed",
		"success:better=lower": ", not regressed",
	} {
		g := one(t, text, worse)
		if !strings.Contains(g.Reason.Text, want) || !strings.Contains(g.Reason.Text, "−50.0 points (−60.1 … −37.7)") {
			t.Errorf("%s: %q", text, g.Reason.Text)
		}
		if p := g.Reason.Params; p["estimate"] != g.Difference.Estimate || p["lo"] != g.Difference.Lo || p["hi"] != g.Difference.Hi {
			t.Errorf("%s: %v", text, p)
		}
	}
	// A test that is clean although the ordinary interval of this one look excludes the margin says so, to machines too.
	q := question([]api.Gate{gate(t, "success")}, worse)
	q.Tests = []compare.Tested{{Tested: true, Reachable: true, Difference: &api.Difference{Estimate: -0.5, Lo: -0.9, Hi: 0.1}}}
	if p := compare.Releases(q).Gates[0].Reason.Params; p["one_look_excludes"] != true || p["lo"] != -0.9 {
		t.Errorf("%v", p)
	}
}

// TestOpenLimits: a limit that so few runs do not have is marked.
func TestOpenLimits(t *testing.T) {
	for open, want := range map[string]string{"": "(−1.00 … +2.00)", api.OpenLo: "(<−1.00 … +2.00)", api.OpenHi: "(−1.00 … >+2.00)", api.OpenBoth: "(<−1.00 … >+2.00)"} {
		got := compare.FormatDifference(api.Gate{Metric: "x", Statistic: api.StatisticP95}, api.Difference{Estimate: 1, Lo: -1, Hi: 2, Open: open})
		if got != "+1.00 "+want {
			t.Errorf("%q: %q", open, got)
		}
	}
}

// TestHypotheses: each statistic's test has a null hypothesis of its own.
func TestHypotheses(t *testing.T) {
	for text, want := range map[string]string{
		"success": compare.NullSameRate, "latency_ms:p95": compare.NullSameTail, "latency_ms:p50": compare.NullSameTail, "latency_ms:mean": compare.NullSameDistribution,
	} {
		if got := compare.Null(gate(t, text)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// TestTooFewRunsAreCounted: a hold says how many there are, and of how many.
func TestTooFewRunsAreCounted(t *testing.T) {
	g := compare.Releases(question([]api.Gate{gate(t, "success")}, compare.Stratum{Candidate: cohort(t, 21, 2, 0), Baseline: cohort(t, 190, 19, 0)})).Gates[0]
	if want := "the candidate has 21 of 30 runs with success"; g.Reason.Text != want {
		t.Errorf("%q, want %q", g.Reason.Text, want)
	}
}
