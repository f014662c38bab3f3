package rolloutcmd

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/clitest"
)

var update = flag.Bool("update", false, "write the golden frames")

func view(state api.State, decision api.Action, mode api.Mode) View {
	tick := clitest.Tick(state, decision, mode)
	return View{Rollout: tick.Rollout, Verdict: tick.Verdict}
}

func TestFrames(t *testing.T) {
	hold := view(api.StateActive, api.Hold, api.ModeCanary)
	hold.Foot = "next tick in 12 s, giving up in 54 min"
	clean := view(api.StateActive, api.Promote, api.ModeCanary)
	clean.Rollout.Step, clean.Rollout.FreshRuns = 3, 30
	empty := View{Rollout: clitest.Rollout(api.StateActive, api.ModeCanary)}
	empty.Rollout.LastDecision, empty.Rollout.FreshRuns, empty.Rollout.Ledger.Looks = nil, 0, 0
	hostile := view(api.StateActive, api.Hold, api.ModeCanary)
	hostile.Rollout.AppID = "evil\x1b[2J\x1b]0;title\a\nname"
	hostile.Rollout.LastDecision.Reason.Text = "all is well\r\x1b[1A\u202egnorw"
	read := View{Rollout: clitest.Rollout(api.StateActive, api.ModeCanary)}
	read.Rollout.Policy.Gates = nil
	for _, text := range []string{"success", "latency_ms:p95:margin=10%", "cost_usd:mean:on=hold", "score:mean:pair=probe"} {
		g, err := api.ParseGate(text)
		if err != nil {
			t.Fatal(err)
		}
		read.Rollout.Policy.Gates = append(read.Rollout.Policy.Gates, g)
	}
	read.Rollout.LastDecision.Gates = []api.DecisionGate{
		{Gate: "success:rate", Verdict: api.Clean, Difference: &api.Difference{Estimate: -0.137, Lo: -0.31, Hi: 0.012}},
		{Gate: "latency_ms:p95", Verdict: api.Regressed, Difference: &api.Difference{Estimate: 704, Lo: 370, Hi: 1406}},
		{Gate: "cost_usd:mean", Verdict: api.Clean, Difference: &api.Difference{Estimate: -0.000506, Lo: -0.00306, Hi: 0.00166}},
		{Gate: "score:mean:probe", Verdict: api.Insufficient},
	}
	read.Rollout.LastDecision.Checks = []api.Check{{Check: "history", Status: api.CheckWarn, Detail: "30 candidate runs had no baseline runs beside them and are compared with 200 that the baseline reported before the rollout"}}
	for name, c := range map[string]struct {
		view    View
		columns int
	}{
		"hold":        {hold, 100},
		"narrow":      {hold, 60},
		"clean":       {clean, 100},
		"rolled_back": {view(api.StateRolledBack, api.Rollback, api.ModeCanary), 100},
		"promoted":    {view(api.StatePromoted, api.Promote, api.ModeCanary), 100},
		"shadow":      {view(api.StateRolledBack, api.Rollback, api.ModeShadow), 100},
		"aborted":     {View{Rollout: clitest.Rollout(api.StateAborted, api.ModeCanary)}, 100},
		"empty":       {empty, 100},
		"hostile":     {hostile, 100},
		"read":        {read, 100},
	} {
		t.Run(name, func(t *testing.T) {
			got := Frame(c.view, cli.Style{}, c.columns)
			for line := range strings.Lines(got) {
				if n := cli.Width(strings.TrimSuffix(line, "\n")); n >= c.columns {
					t.Errorf("a line has %d columns of %d: %q", n, c.columns, line)
				}
			}
			golden(t, filepath.Join("testdata", name+".txt"), got)
			// Colour changes nothing but colour.
			if plain := strip(Frame(c.view, cli.Style{Colour: true}, c.columns)); plain != got {
				t.Errorf("the frame in colour differs:\n%s", cmp.Diff(got, plain))
			}
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

// strip takes the colours out again, and the spaces that they protected at the end of lines.
func strip(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		for {
			before, rest, found := strings.Cut(line, "\x1b[")
			b.WriteString(before)
			if !found {
				break
			}
			_, line, _ = strings.Cut(rest, "m")
		}
	}
	return b.String()
}
