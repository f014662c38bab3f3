package rollout

import (
	"reflect"
	"slices"
	"testing"

	"github.com/cobound/prova/api"
)

func TestRuleOf(t *testing.T) {
	p := api.Policy{Steps: []int{50, 100}, MinRuns: 30, FirstLook: 20, Gates: []api.Gate{gate(t, "success")}}
	if got := RuleOf(p, 0); got != (Rule{Candidate: 5, Baseline: 5, Planned: 15, Growth: 1.01}) {
		t.Errorf("%+v", got)
	}
	if got := RuleOf(p, 1); got != (Rule{Candidate: 5, Baseline: 5, Planned: 15, Growth: 1.01, History: 20, HistoryRuns: 1}) {
		t.Errorf("%+v", got)
	}
	p.Gates[0].Pair = "probe"
	if got := RuleOf(p, 1); got != (Rule{Candidate: 5, Baseline: 5, Planned: 15, Growth: 1.01, Pairs: 5}) {
		t.Errorf("%+v", got)
	}
}

// A block is compared with the history where there is one, and the baseline has
// none or, beside enough candidate runs, too few of its own.
func TestHistoricalBlocks(t *testing.T) {
	rule := Rule{Candidate: 5, Baseline: 5, Planned: 1e9, Growth: 1.01, History: 30, HistoryRuns: 1000}
	for _, c := range []struct {
		candidate, baseline          int64
		history                      bool
		historical, full, comparable bool
	}{
		{0, 0, true, true, false, false},
		{1, 0, true, true, false, true},
		{29, 0, true, true, false, true},
		{30, 0, true, true, true, true},
		{29, 1, true, false, false, true},
		{29, 4, true, false, false, true},
		{30, 4, true, true, true, true},
		{30, 5, true, false, true, true},
		{5, 5, true, false, true, true},
		{4, 5, true, false, false, true},
		{30, 0, false, false, false, false},
		{30, 4, false, false, false, true},
		{0, 5, true, false, false, false},
	} {
		b := Block{Candidate: c.candidate, Baseline: c.baseline, Rule: rule}
		if !c.history {
			b.Rule.History, b.Rule.HistoryRuns = 0, 0
		}
		if b.Historical() != c.historical || b.Full() != c.full || b.Comparable() != c.comparable {
			t.Errorf("%+v: historical %t, full %t, comparable %t", c, b.Historical(), b.Full(), b.Comparable())
		}
	}
}

// A late metric of an epoch is compared with the history only where the baseline has no value in it.
func TestHistoricalStrata(t *testing.T) {
	some := Tally{Gate: gate(t, "success"), Candidate: Counts{N: 1}, Baseline: Counts{N: 1}}
	alone := Tally{Gate: gate(t, "success"), Candidate: Counts{N: 1}}
	paired := Tally{Gate: gate(t, "success:pair=probe"), Candidate: Counts{N: 1}}
	b := Block{Epoch: 4, Candidate: 30, Baseline: 1, Rule: Rule{Baseline: 5, History: 30, HistoryRuns: 9}}
	for _, c := range []struct {
		epoch int64
		tally Tally
		rule  int64
		want  bool
	}{{4, some, 30, true}, {4, alone, 30, true}, {3, some, 30, false}, {3, alone, 30, true}, {4, paired, 30, false}, {3, paired, 30, false}, {3, alone, 0, false}, {4, alone, 0, false}} {
		b.Rule.History = c.rule
		if got := b.historical(c.epoch, c.tally); got != c.want {
			t.Errorf("%+v: %t", c, got)
		}
	}
}

// What a block adds to the information: its runs beside the baseline's, or against the history, or its pairs.
func TestTotalsAfterABlock(t *testing.T) {
	before := Totals{Candidate: 10, Baseline: 20, Earlier: 3, AgainstHistory: 7}
	for name, c := range map[string]struct {
		block Block
		want  Totals
	}{
		"beside":  {Block{Candidate: 5, Baseline: 6}, Totals{Candidate: 15, Baseline: 26, Earlier: 3, AgainstHistory: 7}},
		"history": {Block{Candidate: 5, Rule: Rule{Baseline: 5, History: 30}}, Totals{Candidate: 10, Baseline: 20, Earlier: 3, AgainstHistory: 12}},
		"pairs":   {Block{Candidate: 50, Baseline: 60, Paired: 4, Rule: Rule{Pairs: 5}}, Totals{Candidate: 14, Baseline: 24, Earlier: 3, AgainstHistory: 7}},
	} {
		c.block.Before, c.block.Number, c.block.Epoch = before, 3, 8
		if got := c.block.after(); got != c.want {
			t.Errorf("%s: %+v", name, got)
		}
		if n := c.block.Next(true, 8, 90); n.Number != 4 || n.Before != c.want || n.Epoch != 8 {
			t.Errorf("%s: %+v", name, n)
		}
		if n := c.block.Next(false, 8, 90); n.Number != 3 || n.Before != before {
			t.Errorf("%s: %+v", name, n)
		}
		moved := Totals{Earlier: 3 + information(c.want.Candidate, c.want.Baseline), AgainstHistory: c.want.AgainstHistory}
		if n := c.block.Next(true, 9, 90); n.Number != 4 || n.Before != moved || n.Epoch != 9 {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

// Blocks by pairs close by pairs alone, and each pair counts.
func TestBlocksOfPairs(t *testing.T) {
	for _, c := range []struct {
		paired           int64
		full, comparable bool
	}{{0, false, false}, {1, false, true}, {4, false, true}, {5, true, true}} {
		b := Block{Candidate: 100, Baseline: 100, Paired: c.paired, Rule: Rule{Candidate: 5, Baseline: 5, Pairs: 5, Planned: 1e9}}
		if b.Full() != c.full || b.Comparable() != c.comparable {
			t.Errorf("%+v: full %t, comparable %t", c, b.Full(), b.Comparable())
		}
	}
}

// A rule of one is a rule, too.
func TestRulesOfOne(t *testing.T) {
	b := Block{Candidate: 1, Rule: Rule{Candidate: 1, Baseline: 5, Planned: 1e9, History: 1, HistoryRuns: 9}}
	if !b.Historical() || !b.Full() || !b.Comparable() || b.after() != (Totals{AgainstHistory: 1}) {
		t.Errorf("against history: %+v", b)
	}
	if !b.historical(b.Epoch-1, Tally{Gate: gate(t, "success"), Candidate: Counts{N: 1}}) {
		t.Error("a late metric is compared with the history")
	}
	b = Block{Paired: 1, Rule: Rule{Candidate: 5, Baseline: 5, Pairs: 1, Planned: 1e9}}
	if !b.Full() || !b.Comparable() || b.after() != (Totals{Candidate: 1, Baseline: 1}) {
		t.Errorf("on pairs: %+v", b)
	}
}

// A block says whether a gate wants pairs.
func TestBlockWantsPairs(t *testing.T) {
	alone, beside := Tally{Gate: gate(t, "success")}, Tally{Gate: gate(t, "success:pair=probe")}
	for want, tallies := range map[bool][]Tally{false: {alone}, true: {alone, beside}} {
		if got := (Block{Tallies: tallies}).Pairs(); got != want {
			t.Errorf("%t: %+v", got, tallies)
		}
	}
	if (Block{}).Pairs() {
		t.Error("without gates")
	}
}

// What is out of range is refused, whatever the gates are, and the block stays as it was.
func TestBlockRefusesValues(t *testing.T) {
	p := api.Policy{Steps: []int{50, 100}, MinRuns: 5, Gates: []api.Gate{gate(t, "success"), gate(t, "cost_usd:mean"), gate(t, "score:mean:pair=probe"), gate(t, "flag:rate:better=higher:pair=probe")}}
	fresh := func() Block { return FirstBlock(p, History{}, RuleOf(p, 0), 1, 10) }
	for _, name := range []string{"success", "cost_usd", "score", "flag", "other"} {
		bad := map[string]api.Metric{name: api.Number(1e19)}
		good := map[string]api.Metric{name: api.Number(1)}
		b := fresh()
		if err := b.AddRun(Candidate, Run{Index: 11, Metrics: bad}); err == nil || !reflect.DeepEqual(b, fresh()) {
			t.Errorf("a run with %s: %v, %+v", name, err, b)
		}
		b = fresh()
		if err := b.AddOutcome(Candidate, Counted{Index: 10, Epoch: 1}, Run{Index: 11, Metrics: bad}); err == nil || !reflect.DeepEqual(b, fresh()) {
			t.Errorf("an outcome with %s: %v, %+v", name, err, b)
		}
		b = fresh()
		err := b.AddPair(Pair{Index: 11, Probe: "p", Candidate: bad, Baseline: good})
		if wants := name == "score" || name == "flag"; (err != nil) != wants || (b.Paired == 0) != wants {
			t.Errorf("a pair with %s: %v, %+v", name, err, b)
		}
	}
}

// A step counts its own arrivals, and what came before it is not fresh.
func TestBeginStep(t *testing.T) {
	p := api.Policy{Steps: []int{5, 25, 100}, MinRuns: 30, Gates: []api.Gate{gate(t, "success")}}
	b := FirstBlock(p, History{}, RuleOf(p, 0), 1, 10)
	one := Run{Index: 10, Metrics: map[string]api.Metric{"success": api.Number(1)}}
	for _, err := range []error{b.AddRun(Candidate, one), b.AddRun(Baseline, one)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	b.BeginStep(25, 20)
	one.Index = 21
	if err := b.AddRun(Baseline, one); err != nil {
		t.Fatal(err)
	}
	if want := []Arrival{{Weight: 5, Candidate: 1, Baseline: 1}, {Weight: 25, Baseline: 1}}; !slices.Equal(b.Arrivals, want) || b.StepFrom != 20 {
		t.Errorf("%+v from %d", b.Arrivals, b.StepFrom)
	}
	for _, index := range []int64{19, 20} {
		if err := b.AddOutcome(Candidate, Counted{Index: index, Epoch: 1}, Run{Index: 30, Metrics: one.Metrics}); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.Tallies[0]; got.Candidate.N != 3 || got.Fresh != 2 { // the first run, when its step was the present one, and the second outcome
		t.Errorf("%+v", got)
	}
}

// A unit is new once for each use, whatever else was seen.
func TestSeen(t *testing.T) {
	s := newSeen()
	for use := range 3 {
		if !s.first(42, use) || s.first(42, use) {
			t.Errorf("use %d: seen before, or not remembered", use)
		}
	}
	for range 2 {
		if !seen(nil).first(42, 0) {
			t.Error("where runs are counted, each is new")
		}
	}
	// It is the finish of SplitMix64, which is written down elsewhere: the first outputs from the seed 0.
	bits := newSeen()
	for i, z := range []uint64{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f} {
		bits.first(0, i+1)
		if bits[z%seenBits/8]&(1<<(z%8)) == 0 {
			t.Errorf("use %d: not the bit of %#x", i+1, z)
		}
	}
	n := 0
	for _, b := range bits {
		for ; b > 0; b &= b - 1 {
			n++
		}
	}
	if n != 3 {
		t.Errorf("%d bits set by three uses", n)
	}
}
