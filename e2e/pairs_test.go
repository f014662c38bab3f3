package e2e

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cobound/prova/api"
)

// replayed is one run of a release on each of 60 probes. The baseline fails on
// every tenth probe, the candidate too, and if it is bad on every third besides.
func replayed(app, release string, bad bool) []api.Event {
	events := make([]api.Event, 60)
	for i := range events {
		fails := i%10 == 1 || bad && release == candidate && i%3 == 0
		score := 0.9 - 0.01*float64(i%7)
		if fails {
			score -= 0.5
		}
		events[i] = api.Event{
			Kind: api.KindAgentRun, ProbeID: fmt.Sprintf("claim-%04d", i), Source: api.EventSource{AppID: app, Release: release},
			Metrics: map[string]api.Metric{"success": api.Bool(!fails), "score": api.Number(score)},
		}
	}
	return events
}

// arrivals are orders and batches in which the runs of both releases may come.
var arrivals = map[string]func(baseline, candidate []api.Event) [][]api.Event{
	"side-by-side": func(baseline, candidate []api.Event) [][]api.Event {
		var all []api.Event
		for i := range baseline {
			all = append(all, baseline[i], candidate[i])
		}
		return [][]api.Event{all}
	},
	"baseline-first": func(baseline, candidate []api.Event) [][]api.Event {
		return append([][]api.Event{baseline}, slices.Collect(slices.Chunk(candidate, 7))...)
	},
	"candidate-first": func(baseline, candidate []api.Event) [][]api.Event {
		slices.Reverse(baseline)
		return slices.Collect(slices.Chunk(append(candidate, baseline...), 13))
	},
}

// TestPairsInAnyOrder: gates on pairs come to the same verdict however the runs
// arrive, and a probe that is run again pairs once.
func TestPairsInAnyOrder(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		s := serve(t, b)
		for _, bad := range []bool{false, true} {
			var ids []string
			for name, arrive := range arrivals {
				m := s.measured(fmt.Sprintf("%s-%t", name, bad), 1)
				r := m.create("--gate", "success:pair=probe", "--gate", "score:mean:pair=probe:on=hold", "--steps", "50,100", "--srm", "off")
				for _, batch := range arrive(replayed(m.app, baseline, bad), replayed(m.app, candidate, bad)) {
					s.ingest(s.owner, batch)
				}
				again := replayed(m.app, candidate, !bad) // the first run of a probe is the one that counts
				s.ingest(s.owner, again[:20])
				status, tick := s.evaluate(r.ID)
				ids = append(ids, r.ID)

				table, want, code, state := api.PairTable{Both: 54, Neither: 6}, api.Clean, 200, api.StatePromoted
				if bad {
					table, want, code, state = api.PairTable{Both: 36, BaselineOnly: 18, Neither: 6}, api.Regressed, 422, api.StateRolledBack
				}
				for _, g := range tick.Verdict.Gates {
					if g.Verdict != want || g.Pairs == nil || g.Pairs.N != 60 || g.Metric == "success" && *g.Pairs.PairTable != table {
						t.Errorf("%s: %s is %s with %+v %+v", m.app, g.ID(), g.Verdict, g.Pairs, g.Pairs.PairTable)
					}
				}
				if status != code || tick.Rollout.State != state {
					t.Errorf("%s: %d, %s: %s", m.app, status, tick.Rollout.State, tick.Decision.Reason.Text)
				}
			}
			v := s.export()
			for _, id := range ids {
				v.timeline(id)
			}
			s.run("prova-rollout", "get", "--id", ids[0]).exits(0).says(`success rate of pairs`)
		}
	})
}
