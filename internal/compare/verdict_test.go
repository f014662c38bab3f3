package compare_test

import (
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
)

// TestSignals: a warn gate is shown as soon as one run of either release reports its metric.
func TestSignals(t *testing.T) {
	for _, c := range []struct {
		candidate, baseline, want int
	}{{0, 0, 0}, {1, 0, 1}, {0, 1, 1}, {1, 1, 1}} {
		s := compare.Stratum{Candidate: cohort(t, c.candidate, 0, 0), Baseline: cohort(t, c.baseline, 0, 0)}
		if v := compare.Releases(question([]api.Gate{gate(t, "success:on=warn")}, s)); len(v.Signals) != c.want {
			t.Errorf("%d and %d runs: %d signals, want %d", c.candidate, c.baseline, len(v.Signals), c.want)
		}
	}
}

// both adds a second metric to a cohort of successes.
func both(t *testing.T, failing, flagged int) compare.Cohort {
	t.Helper()
	var c compare.Cohort
	for i := range 100 {
		if err := c.Add(map[string]api.Metric{"success": api.Bool(i >= failing), "flagged": api.Bool(i < flagged)}, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// TestReasonOfAVerdict: it is that of the gate that matters most, and with
// several clean gates that of none.
func TestReasonOfAVerdict(t *testing.T) {
	baseline := both(t, 5, 5)
	for name, c := range map[string]struct {
		candidate compare.Cohort
		gates     []string
		outcome   api.Outcome
		begins    string
	}{
		"one clean gate":                {both(t, 5, 5), []string{"success"}, api.Clean, "success 0.0 points"},
		"two clean gates":               {both(t, 5, 5), []string{"success", "flagged"}, api.Clean, "no gate regressed"},
		"the second regressed":          {both(t, 5, 60), []string{"success", "flagged"}, api.Regressed, "flagged regressed"},
		"rollback before hold":          {both(t, 60, 60), []string{"flagged:on=hold", "success"}, api.Regressed, "success regressed"},
		"hold alone":                    {both(t, 5, 60), []string{"success", "flagged:on=hold"}, api.Regressed, "flagged regressed"},
		"regressed before insufficient": {both(t, 60, 5), []string{"error", "success:on=hold"}, api.Regressed, "success regressed"},
		"insufficient before clean":     {both(t, 5, 5), []string{"success", "error"}, api.Insufficient, "no run of the candidate reports error"},
		"no gate":                       {both(t, 5, 5), nil, api.Insufficient, "no gate was compared"},
	} {
		var gates []api.Gate
		for _, text := range c.gates {
			gates = append(gates, gate(t, text))
		}
		v := compare.Releases(question(gates, compare.Stratum{Candidate: c.candidate, Baseline: baseline}))
		if v.Verdict != c.outcome || !strings.HasPrefix(v.Reason.Text, c.begins) {
			t.Errorf("%s: %s, %q", name, v.Verdict, v.Reason.Text)
		}
	}
}

// TestHides: what a sample could still hide is the far end of the ordinary
// interval on the harmful side, of the deciding one where there is no other,
// and never below nothing.
func TestHides(t *testing.T) {
	s := compare.Stratum{Candidate: cohort(t, 100, 13, 0), Baseline: cohort(t, 100, 10, 0)}
	difference := &api.Difference{Estimate: -0.1, Lo: -0.5, Hi: 0.4}
	for name, c := range map[string]struct {
		gate   string
		strata []compare.Stratum
		tests  []compare.Tested
		want   func(g api.GateResult) float64
	}{
		"one look, higher is better": {"success", []compare.Stratum{s}, nil, func(g api.GateResult) float64 { return -g.Difference.Lo }},
		"one look, lower is better":  {"success:better=lower", []compare.Stratum{s}, nil, func(g api.GateResult) float64 { return g.Difference.Hi }},
		"at a look of a test":        {"success", []compare.Stratum{s}, []compare.Tested{{Tested: true, Reachable: true, Difference: difference}}, func(g api.GateResult) float64 { return -g.OneLook.Lo }},
		"without an ordinary one":    {"success", nil, []compare.Tested{{Tested: true, Reachable: true, Difference: difference}}, func(api.GateResult) float64 { return 0.5 }},
		"much better":                {"success:better=lower", []compare.Stratum{{Candidate: cohort(t, 100, 90, 0), Baseline: cohort(t, 100, 10, 0)}}, nil, func(api.GateResult) float64 { return 0 }},
	} {
		q := question([]api.Gate{gate(t, c.gate)}, c.strata...)
		q.Tests = c.tests
		g := compare.Releases(q).Gates[0]
		if g.Hides == nil || *g.Hides != c.want(g) {
			t.Errorf("%s: hides %v", name, g.Hides)
		}
	}
	if g := compare.Releases(question([]api.Gate{gate(t, "success")})).Gates[0]; g.Hides != nil {
		t.Errorf("nothing was compared, and it hides %v", *g.Hides)
	}
}

// TestOneRunReports: a metric is missing when no run reports it; with one that
// does there are too few.
func TestOneRunReports(t *testing.T) {
	full := cohort(t, 40, 2, 0)
	for name, s := range map[string]compare.Stratum{
		"candidate": {Candidate: cohort(t, 40, 0, 39), Baseline: full},
		"baseline":  {Candidate: full, Baseline: cohort(t, 40, 0, 39)},
	} {
		r := compare.Releases(question([]api.Gate{gate(t, "success")}, s)).Gates[0].Reason
		// That the candidate leaves it out more often is said first.
		if want := map[string]string{"candidate": compare.ReasonMissingMoreOften, "baseline": compare.ReasonTooFewRuns}[name]; r.Code != want {
			t.Errorf("one run of the %s reports: %s %s", name, r.Code, r.Text)
		}
	}
}

// TestNoRunReports: one run that lacks the metric is enough to say that it is missing; none at all are too few.
func TestNoRunReports(t *testing.T) {
	full := cohort(t, 40, 2, 0)
	for _, c := range []struct {
		candidate, baseline compare.Cohort
		want                string
	}{
		{cohort(t, 1, 0, 1), full, compare.ReasonMetricMissing},
		{full, cohort(t, 1, 0, 1), compare.ReasonMetricMissing},
		{compare.Cohort{}, full, compare.ReasonTooFewRuns},
		{full, compare.Cohort{}, compare.ReasonTooFewRuns},
	} {
		q := question([]api.Gate{gate(t, "success")}, compare.Stratum{Candidate: c.candidate, Baseline: c.baseline})
		q.MinRuns = 0
		if r := compare.Releases(q).Gates[0].Reason; r.Code != c.want {
			t.Errorf("%s, want %s: %s", r.Code, c.want, r.Text)
		}
	}
}

// TestOnlyTheWorstCouldRegress: 0 of 3 beside 3 of 3 would be a regression, 1 of 3 would not. That is enough to be tested.
func TestOnlyTheWorstCouldRegress(t *testing.T) {
	for failing, want := range map[int]api.Outcome{0: api.Clean, 2: api.Clean, 3: api.Regressed} {
		if g := one(t, "success", compare.Stratum{Candidate: cohort(t, 3, failing, 0), Baseline: cohort(t, 3, 0, 0)}); g.Verdict != want {
			t.Errorf("%d of 3 fail: %s: %s", failing, g.Verdict, g.Reason.Text)
		}
	}
}
