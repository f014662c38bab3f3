package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/prova"
)

// everyKind are gates on a quantile, a mean and a rate at once.
var everyKind = []string{"--gate", "latency_ms:p95:margin=10%", "--gate", "cost_usd:mean", "--gate", "success", "--steps", "20,50,100"}

// TestGatesOfEveryKind: a slow candidate is rolled back for its quantile, an
// equal one is promoted, and the receipts name what was tested and how.
func TestGatesOfEveryKind(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		s := serve(t, b)
		equal := s.measured("equal", 1)
		first := equal.create(everyKind...)
		if status, end := equal.until(first, 20); status != 200 || end.Rollout.State != api.StatePromoted {
			t.Errorf("an equal candidate is %s: %s", end.Rollout.State, end.Decision.Reason.Text)
		}
		s.run("prova-rollout", "watch", "--id", first.ID).exits(0).says("Promoted: v37")

		slow := s.measured("slow", 1.8)
		second := slow.create(everyKind...)
		status, end := slow.until(second, 10)
		if status != 422 || end.Rollout.State != api.StateRolledBack || !strings.Contains(end.Decision.Reason.Text, "latency_ms regressed: +") {
			t.Errorf("a slow candidate: %d, %s: %s", status, end.Rollout.State, end.Decision.Reason.Text)
		}
		s.run("prova-rollout", "watch", "--id", second.ID).exits(1).says("latency_ms regressed")
		s.run("prova-rollout", "get", "--id", second.ID).exits(0).says(`latency_ms p95  regressed  \+.* ms .*margin 10%`).says(`cost_usd mean +clean `).says(`success rate +clean `)

		v := s.export()
		for _, id := range []string{first.ID, second.ID} {
			v.timeline(id)
			v.namesTests(id)
		}
	})
}

// namesTests wants the last receipt of a rollout to name the hypothesis, the
// intervals and the budget of each gate, and the receipts together its looks.
func (v vault) namesTests(id string) {
	v.s.Helper()
	receipts := v.of(id, api.KindRolloutDecision)
	looks := map[string]int64{}
	for _, r := range receipts {
		for _, l := range r.body.Evidence.Looks {
			if looks[l.Gate]++; l.Number != looks[l.Gate] {
				v.s.Errorf("look %d of %s stands where number %d is due", l.Number, l.Gate, looks[l.Gate])
			}
		}
	}
	last := receipts[len(receipts)-1].body
	nulls := map[api.Statistic]string{api.StatisticRate: "same_rate", api.StatisticP95: "same_tail", api.StatisticMean: "same_distribution"}
	if len(last.Verdict.Gates) != len(nulls) {
		v.s.Fatalf("the receipt has %d gates", len(last.Verdict.Gates))
	}
	for _, g := range last.Verdict.Gates {
		if g.Null != nulls[g.Statistic] {
			v.s.Errorf("%s: the receipt names %q", g.ID(), g.Null)
		}
		if g.Difference == nil || g.OneLook == nil || g.OneLook.Confidence != 0.95 || g.Candidate.Value == nil || g.Baseline.Value == nil {
			v.s.Errorf("%s: the receipt lacks figures: %+v", g.ID(), g)
			continue
		}
		excludes := g.Difference.Lo > margin(g)
		if g.Better == api.BetterHigher {
			excludes = g.Difference.Hi < -margin(g)
		}
		if excludes != (g.Verdict == api.Regressed) {
			v.s.Errorf("%s is %s with %+v and a margin of %v", g.ID(), g.Verdict, g.Difference, margin(g))
		}
		if l := g.Ledger; l == nil || l.Looks != looks[g.ID()] || l.Looks == 0 || !(l.Budget > 0 && l.Used <= l.Allowed && l.Allowed <= l.Budget && l.Information > 0 && l.Planned > 0) ||
			(g.Statistic == api.StatisticMean) != (l.Critical != 0) || (g.Statistic == api.StatisticMean) != (l.Boundary == 0) {
			v.s.Errorf("%s: %d looks in the receipts, the ledger is %+v", g.ID(), looks[g.ID()], g.Ledger)
		}
	}
}

// margin of a gate in units of its metric.
func margin(g api.GateResult) float64 {
	if g.Tolerated != nil {
		return *g.Tolerated
	}
	return g.Margin.Value
}

// importRuns brings runs in from a file of simple lines.
func (m *measured) importRuns(events ...api.Event) {
	m.s.Helper()
	var text strings.Builder
	for _, e := range events {
		line, err := json.Marshal(map[string]any{"app_id": e.Source.AppID, "release": e.Source.Release, "metrics": e.Metrics})
		m.s.ok(err)
		text.Write(append(line, '\n'))
	}
	path := filepath.Join(m.s.TempDir(), "runs.ndjson")
	m.s.ok(os.WriteFile(path, []byte(text.String()), 0o600))
	sum := decode[struct{ Created int }](m.s.run("prova", "runs", "import", "--json", "--file", path).exits(0))
	if sum.Created != len(events) {
		m.s.Fatalf("%d runs of %d were imported", sum.Created, len(events))
	}
}

// TestAgainstHistory: a baseline that has finished running is compared with as
// it was, with a warning on every surface; a policy that wants it beside the
// candidate holds.
func TestAgainstHistory(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		s := serve(t, b)
		for _, c := range []struct {
			app  string
			slow float64
			args []string
			want api.State
		}{
			{"same", 1, nil, api.StatePromoted},
			{"slower", 2, nil, api.StateRolledBack},
			{"beside", 2, []string{"--against", "concurrent"}, api.StateActive},
		} {
			m := s.measured(c.app, c.slow)
			m.importRuns(m.batch(baseline, 300)...)
			r := m.create(append([]string{"--gate", "latency_ms:p95:margin=10%", "--gate", "success", "--steps", "50,100"}, c.args...)...)
			if concurrent := len(c.args) > 0; (r.History == nil) != concurrent || r.History != nil && r.History.Runs != 300 {
				t.Errorf("%s: the history is %+v", c.app, r.History)
			}
			var tick api.Tick
			for range 4 {
				m.importRuns(m.batch(candidate, 30)...)
				if _, tick = s.evaluate(r.ID); tick.Rollout.State.Finished() {
					break
				}
			}
			if tick.Rollout.State != c.want {
				t.Errorf("%s is %s: %s", c.app, tick.Rollout.State, tick.Decision.Reason.Text)
			}
			if len(c.args) > 0 {
				if !strings.Contains(tick.Decision.Reason.Text, "of 30 candidate runs in blocks of both releases") || check(tick.Verdict.Checks, "baseline_health").Status != api.CheckWarn {
					t.Errorf("%s holds for %q, with %+v", c.app, tick.Decision.Reason.Text, tick.Verdict.Checks)
				}
				continue
			}
			m.warnsOfHistory(tick)
		}
	})
}

// warnsOfHistory wants the warning in the verdict, the receipt, the time line and the commands.
func (m *measured) warnsOfHistory(tick api.Tick) {
	m.s.Helper()
	const says = "that the baseline reported before the rollout"
	v := m.s.export()
	receipts := v.of(tick.Rollout.ID, api.KindRolloutDecision)
	last := receipts[len(receipts)-1].body
	for name, list := range map[string][]api.Check{"verdict": tick.Verdict.Checks, "receipt": last.Verdict.Checks, "decision": tick.Rollout.LastDecision.Checks} {
		if c := check(list, "history"); c.Status != api.CheckWarn || !strings.Contains(c.Detail, says) {
			m.s.Errorf("%s: the %s has %+v", m.app, name, list)
		}
	}
	historical := false
	for _, r := range receipts {
		for _, l := range r.body.Evidence.Looks {
			historical = historical || l.Historical
		}
	}
	if !historical {
		m.s.Errorf("%s: no look is called historical", m.app)
	}
	m.s.run("prova-rollout", "get", "--id", tick.Rollout.ID).exits(0).says("history warn")
	m.s.run("prova-rollout", "decisions", "--id", tick.Rollout.ID).exits(0).says("history warn")
}

// TestNonInferiority: the last step holds until the harm is shown to be below
// the margin, and promotes once more runs have shown it.
func TestNonInferiority(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		s := serve(t, b)
		m := s.measured("claims-agent", 1)
		r := m.create("--steps", "50,100", "--promote-on", "non_inferior", "--promote-margin", "0.12", "--gate", "success")
		m.send(50, 70)
		_, tick := s.evaluate(r.ID)
		if c := check(tick.Verdict.Checks, "non_inferiority"); tick.Decision.Reason.Code != "non_inferiority_not_shown" || c.Status != api.CheckHold || tick.Rollout.FreshRuns < 30 {
			t.Fatalf("after 35 runs: %s, %+v", tick.Decision.Reason.Text, tick.Verdict.Checks)
		}
		s.run("prova-rollout", "get", "--id", r.ID).exits(0).says("non_inferiority hold").says(`could be worse by up to \d+\.\d points`)
		status, end := m.until(tick.Rollout, 20)
		if status != 200 || end.Rollout.State != api.StatePromoted || check(end.Verdict.Checks, "non_inferiority").Status != api.CheckOK {
			t.Errorf("%s: %s, %+v", end.Rollout.State, end.Decision.Reason.Text, end.Verdict.Checks)
		}
		s.export().timeline(r.ID)
	})
}

// TestSampleRatio: a router that ignores the weight holds the rollout, or is
// warned of, and the reason says so.
func TestSampleRatio(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		s := serve(t, b)
		m := s.measured("held", 1)
		r := m.create("--srm", "hold", "--gate", "success")
		m.send(50, 120)
		_, tick := s.evaluate(r.ID)
		want := "Holding at 5%: the candidate got 50.0 % of the 120 runs at 5%: the traffic does not follow the weight"
		if d := tick.Decision; d.Reason.Code != "check" || !strings.HasPrefix(d.Reason.Text, want) || tick.Rollout.Step != 1 || tick.Rollout.FreshRuns < 30 {
			t.Errorf("%s: %s", d.Reason.Code, d.Reason.Text)
		}
		s.run("prova-rollout", "watch", "--id", r.ID, "--interval", "1", "--timeout", "1").exits(2).says("sample_ratio hold")

		warned := s.measured("warned", 1)
		w := warned.create("--gate", "success")
		warned.send(50, 120)
		if _, tick := s.evaluate(w.ID); tick.Decision.Decision != api.Promote || check(tick.Rollout.LastDecision.Checks, "sample_ratio").Status != api.CheckWarn {
			t.Errorf("%s with %+v", tick.Decision.Reason.Text, tick.Rollout.LastDecision.Checks)
		}
	})
}

// TestExplain: what a policy would do is played with what the server has seen, and nothing is created.
func TestExplain(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		s := serve(t, b)
		m := s.measured("claims-agent", 1)
		s.ingest(s.owner, m.batch(baseline, 200))
		args := append([]string{"create", "--app-id", m.app, "--baseline", baseline, "--candidate", candidate, "--explain"}, everyKind...)
		s.run("prova-rollout", args...).exits(0).says(`success fails in 10\.0 % of the baseline's runs, as in its last 200`).
			says(`latency_ms is lognormal around \d+ with sigma 0\.\d+, as in its last 200`).says(`rolled back +95 % interval`).says("Nothing was created")
		e := decode[struct {
			Policy   api.Policy
			Plan     api.Plan
			Expected []struct {
				RolledBack struct{ Rate, Hi float64 } `json:"rolled_back"`
			}
		}](s.run("prova-rollout", append(args, "--json")...).exits(0))
		if len(e.Policy.Gates) != 3 || e.Plan.Runs != 60 || len(e.Expected) < 2 {
			t.Fatalf("%+v", e)
		}
		if same, worse := e.Expected[0].RolledBack, e.Expected[len(e.Expected)-1].RolledBack; same.Rate > 0.05 || worse.Rate < 5*same.Rate {
			t.Errorf("rolled back %v if it is the same, %v if it is much worse", same, worse)
		}
		if list, err := s.api().Rollouts(t.Context(), prova.RolloutFilter{}); err != nil || len(list.Items) != 0 {
			t.Errorf("%d rollouts, %v", len(list.Items), err)
		}
	})
}
