package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/cobound/prova/api"
)

// TestRegather rebuilds the blocks and looks of a rollout from the exported log
// alone, by a plain reading of the rules, and wants what the receipts print:
// counts of rates and quantiles with their thresholds, units and statistics of
// means, pairs, and outcomes that came late.
func TestRegather(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		s := serve(t, b)
		for _, c := range []struct {
			app   string
			gates []string
			least int // looks of each gate; those on pairs have fewer, as their probes repeat
		}{
			{"all-kinds", []string{
				"success", "latency_ms:p95:margin=10%", "latency_ms:p50:on=hold", "cost_usd:mean", "solved:rate:better=higher:on=hold",
				"success:pair=probe:on=hold", "latency_ms:mean:pair=probe:on=hold",
			}, 40},
			{"pairs-alone", []string{"success:pair=probe", "latency_ms:mean:pair=probe:on=hold"}, 12},
		} {
			m := s.measured(c.app, 1.03)
			args := []string{"--steps", "20,50,100", "--min-runs", "1000"}
			for _, g := range c.gates {
				args = append(args, "--gate", g)
			}
			r := m.create(args...)
			for round := range 16 {
				s.ingest(s.owner, m.eventful(*r.Weight, 60))
				_, tick := s.evaluate(r.ID)
				if r = tick.Rollout; round == 7 {
					s.run("prova-rollout", "promote", "--id", r.ID, "--reason", "the next step begins").exits(0)
					*r.Weight = 50
				}
			}
			looks := regather(s.export(), r.ID)
			for _, g := range r.Policy.Gates {
				if least := c.least; looks[g.ID()] < least && (g.Pair == "" || looks[g.ID()] < 12) {
					t.Errorf("%s: only %d looks of %s were compared", c.app, looks[g.ID()], g.ID())
				}
			}
		}
	})
}

// eventful are runs at a weight with units and probes that repeat, each fourth
// of them followed by an outcome of a run that was some time before.
func (m *measured) eventful(weight, runs int) []api.Event {
	var events []api.Event
	for range runs {
		release := baseline
		if m.share += weight; m.share >= 100 {
			m.share -= 100
			release = candidate
		}
		n := m.sent[release]
		e := m.run(release)
		e.RunID, e.UnitID, e.ProbeID = fmt.Sprintf("%s-%d", release, n), fmt.Sprintf("unit-%d", n/2), fmt.Sprintf("probe-%d", n%90)
		events = append(events, e)
		if n%4 == 0 && n >= 40 {
			events = append(events, api.Event{
				Kind: api.KindOutcome, RunID: fmt.Sprintf("%s-%d", release, n-40), Source: api.EventSource{AppID: m.app},
				Metrics: map[string]api.Metric{"solved": api.Bool(n%3 > 0)},
			})
		}
	}
	return events
}

// regathering compares what a rollout's receipts print with what the log holds.
type regathering struct {
	vault
	*reading
	// compared counts the looks of each gate.
	compared map[string]int
	printed  int
	// ledger is the digest that chains the looks.
	ledger string
}

// regather compares every look that the receipts print, and returns how many there were of each gate.
func regather(v vault, id string) map[string]int {
	v.s.Helper()
	r := regathering{vault: v, compared: map[string]int{}}
	for _, receipt := range v.receipts {
		var line runLine
		switch {
		case receipt.Kind == api.KindRolloutCreated && receipt.body.Subject.RolloutID == id:
			v.s.unmarshal(receipt.Body, &line)
			r.reading = begin(receipt.body, line.Source.AppID, receipt.index+1)
		case r.reading != nil && (receipt.Kind == api.KindAgentRun || receipt.Kind == api.KindOutcome):
			if v.s.unmarshal(receipt.Body, &line); line.Source.AppID == r.app {
				r.take(receipt.index, receipt.EventID, receipt.Kind == api.KindOutcome, line)
			}
		case receipt.Kind == api.KindRolloutDecision && receipt.body.Subject.RolloutID == id:
			r.decision(receipt.body)
			if receipt.body.Decision != api.Hold {
				r.end(receipt.index+1, true)
			}
		}
	}
	total := 0
	for _, n := range r.compared {
		total += n
	}
	if total != r.printed {
		v.s.Errorf("%d looks were gathered, %d are printed", total, r.printed)
	}
	return r.compared
}

// decision compares the blocks and looks of one receipt.
func (r *regathering) decision(body decisionReceipt) {
	r.s.Helper()
	e := body.Evidence
	for _, b := range e.Blocks {
		i := slices.IndexFunc(r.closed, func(c closedBlock) bool { return c.number == b.Number })
		if i < 0 {
			r.s.Fatalf("block %d was not found again", b.Number)
		}
		c := r.closed[i]
		if c.epoch != b.Stratum || c.first != b.FirstIndex || c.last != b.LastIndex || c.digest != b.RunsDigest {
			r.s.Errorf("block %+v was gathered as %+v", b, c)
		}
		for _, l := range c.looks {
			r.compared[l.Gate]++
			l.Number = int64(r.compared[l.Gate])
			r.s.sameLook(e.Looks, l)
		}
	}
	for _, l := range e.Looks {
		text, err := json.Marshal(l)
		r.s.ok(err)
		sum := sha256.Sum256(append([]byte(r.ledger), text...))
		r.ledger = hex.EncodeToString(sum[:])
	}
	if r.printed += len(e.Looks); e.LedgerDigest != "" && r.ledger != e.LedgerDigest {
		r.s.Errorf("the looks of decision %d chain to %s, the receipt says %s", body.Stream.Seq, r.ledger, e.LedgerDigest)
	}
}

// sameLook finds a look among those printed.
func (s *testServer) sameLook(printed []api.Look, want api.Look) {
	s.Helper()
	for _, l := range printed {
		if l.Gate != want.Gate || l.Number != want.Number {
			continue
		}
		near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(b)) }
		if l.Block != want.Block || l.Stratum != want.Stratum || l.Strata != want.Strata || l.Candidate != want.Candidate || l.Baseline != want.Baseline ||
			!near(l.Information, want.Information) || l.Tested && !near(l.Statistic, want.Statistic) {
			s.Errorf("the receipt prints\n%+v\nand the log has\n%+v", l, want)
		}
		return
	}
	s.Errorf("look %d of %s at block %d is not printed", want.Number, want.Gate, want.Block)
}
