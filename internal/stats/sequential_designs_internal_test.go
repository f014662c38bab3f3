package stats

import (
	"math"
	"testing"
)

func TestNodes(t *testing.T) {
	for _, c := range []struct {
		history Proportion
		p, w    [3]float64 // of nodes 0, 20 and 30
	}{
		{Proportion{X: 100, N: 1000}, [3]float64{0.0462304804, 0.0917699498, 0.1273130542}, [3]float64{9.577989240e-13, 8.579072573e-02, 4.888867463e-03}},
		{Proportion{X: 0, N: 100}, [3]float64{0.0000032234, 0.0036471415, 0.1098082447}, [3]float64{1.133756345e-04, 8.904617521e-02, 3.430340719e-05}},
	} {
		nodes := nodesOf(c.history, Margin{})
		for i, j := range []int{0, 20, 30} {
			n := nodes[j]
			rate := Exp(n.logRate)
			if math.Abs(rate-c.p[i]) > 1e-10 || math.Abs(n.weight/c.w[i]-1) > 1e-9 || math.Abs(n.odds/(rate/(1-rate))-1) > 1e-12 {
				t.Errorf("%v node %d: rate %.10f weight %.9e odds %v", c.history, j, rate, n.weight, n.odds)
			}
		}
		shifted := nodesOf(c.history, Margin{Absolute: 0.05})
		doubled := nodesOf(c.history, Margin{OddsRatio: 2})
		both := nodesOf(c.history, Margin{Absolute: 0.999, OddsRatio: 3})
		for j, n := range nodes {
			p := Exp(n.logRate)
			if math.Abs(Exp(shifted[j].logRate)-p-0.05) > 1e-12 || doubled[j].odds != 2*n.odds {
				t.Errorf("node %d with a margin: %v and %v", j, shifted[j], doubled[j])
			}
			worse := min(p+0.999, 1-certainty)
			if math.Abs(both[j].odds/(3*worse/(1-worse))-1) > 1e-6 {
				t.Errorf("node %d near 1: odds %v", j, both[j].odds)
			}
		}
	}
	for _, h := range []Proportion{{X: 0, N: 1}, {X: 1, N: 1}, {X: 0, N: runsLimit}, {X: runsLimit, N: runsLimit}, {X: runsLimit / 2, N: runsLimit}} {
		sum := 0.0
		for _, n := range nodesOf(h, Margin{OddsRatio: 1e6}) {
			sum += n.weight
			if !(n.odds > 0 && n.odds < math.Inf(1)) || !(n.logRate <= 0 && n.logRest <= 0) {
				t.Errorf("%v: %+v", h, n)
			}
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Errorf("%v: weights add up to %v", h, sum)
		}
	}
}

// At one look the mixture of nodes gives the one-sided p-value of Fisher's test.
func TestNodesAreFisher(t *testing.T) {
	for _, c := range []struct {
		history   Proportion
		tolerance float64
	}{{Proportion{X: 100, N: 1000}, 1e-10}, {Proportion{X: 1, N: 60}, 2e-5}} {
		const m = 40
		law := predictions(nodesOf(c.history, Margin{}), 0, 0, 1, m)
		for x := int64(0); x <= 12; x++ {
			tail := 0.0
			for i := m; i >= int(x); i-- {
				tail += law[i]
			}
			fisher := hypergeometric(m, c.history.N, c.history.X+x, 1, nil).tail(x)
			if math.Abs(tail-fisher) > c.tolerance {
				t.Errorf("%v: P(X >= %d) = %v, Fisher's p is %v", c.history, x, tail, fisher)
			}
		}
	}
}

// The posterior stays the same however it is reached.
func TestPosterior(t *testing.T) {
	for _, h := range []Proportion{{X: 100, N: 1000}, {X: 0, N: 30}} {
		nodes := nodesOf(h, Margin{})
		p := posteriorOf(nodes, 0, 400)
		for x := range int64(401) {
			if x > 0 {
				p.next()
			}
			fresh := posteriorOf(nodes, x, 400)
			got, want := p.shares(), fresh.shares()
			for j := range got {
				if math.Abs(got[j]-want[j]) > 1e-12 {
					t.Fatalf("%v, %d failures, node %d: %v, want %v", h, x, j, got[j], want[j])
				}
			}
		}
	}
}

func TestBinomial(t *testing.T) {
	for _, c := range []struct {
		runs int64
		odds float64
		want []float64
	}{
		{0, 2, []float64{1}},
		{1, 3, []float64{0.25, 0.75}},
		{4, 1, []float64{1.0 / 16, 4.0 / 16, 6.0 / 16, 4.0 / 16, 1.0 / 16}},
		{3, 0.25, []float64{64.0 / 125, 48.0 / 125, 12.0 / 125, 1.0 / 125}},
	} {
		law := binomial(c.runs, c.odds)
		for x, want := range c.want {
			if math.Abs(law.at(int64(x))-want) > 1e-15 || law.hi() != int64(len(c.want)-1) {
				t.Errorf("%d runs, odds %v: P(%d) = %v, want %v", c.runs, c.odds, x, law.at(int64(x)), want)
			}
		}
	}
	for _, odds := range []float64{1e-9, 0.1, 1, 7, 1e12} {
		law := binomial(1<<20, odds)
		mean, variance := joint{rows: []chances{law}}.moments()
		p := odds / (1 + odds)
		n := float64(1 << 20)
		if math.Abs(mean-n*p) > 1e-6*n*p || math.Abs(variance-n*p/(1+odds)) > 1e-5*n*p {
			t.Errorf("odds %v: mean %v, variance %v", odds, mean, variance)
		}
	}
}

// Limits of the worked cases before they are turned into rates.
func TestWorkedTilts(t *testing.T) {
	type counts struct{ stratum, m, x, n, y int64 } // n 0 is against the history
	for _, c := range []struct {
		name      string
		plan      TestPlan
		margin    Margin
		blocks    []counts
		low, high float64
	}{
		{"A", TestPlan{Budget: 0.05, Information: 66}, Margin{}, []counts{
			{0, 10, 1, 190, 19}, {0, 10, 2, 190, 17}, {0, 10, 3, 190, 20}, {1, 10, 2, 30, 3}, {1, 20, 5, 60, 6}, {2, 15, 5, 15, 1}, {2, 15, 6, 15, 1},
		}, 0.0338655058, 0.1128076466},
		{"B", TestPlan{Budget: 0.05, Information: 66}, Margin{}, []counts{{0, 30, 9, 570, 57}}, 0, 0.1391919411},
		{"C", TestPlan{Budget: 0.005, Information: 66}, Margin{}, []counts{{0, 30, 9, 570, 57}, {1, 30, 9, 90, 8}}, 0.0236884546, 0.1302701569},
		{"D", TestPlan{Budget: 0.05, Information: 90000.0 / 1090, History: Proportion{X: 100, N: 1000}}, Margin{}, []counts{
			{0, 30, 6, 0, 0}, {0, 30, 7, 0, 0}, {0, 30, 5, 0, 0},
		}, 0.0206387772, 0.0901504893},
		{"E", TestPlan{Budget: 0.05, Information: 9000.0 / 190, History: Proportion{X: 0, N: 100}}, Margin{}, []counts{
			{0, 30, 2, 0, 0}, {0, 30, 2, 0, 0},
		}, 0.0104593095, 0.3711997283},
		{"F", TestPlan{Budget: 0.05, Information: 66}, Margin{Absolute: 0.05}, []counts{
			{0, 30, 8, 570, 57}, {1, 30, 8, 90, 8}, {2, 30, 9, 30, 3},
		}, 0.0145081789, 0.0892410015},
		{"G", TestPlan{Budget: 0.05, Information: 66}, Margin{}, []counts{
			{0, 30, 3, 570, 57}, {1, 30, 3, 90, 9}, {2, 30, 3, 30, 3}, {2, 100, 10, 100, 10}, {2, 500, 70, 500, 50},
		}, -0.0138342173, 0.0385823103},
		{"H", TestPlan{Budget: 0.05, Information: 43.5, History: Proportion{X: 30, N: 300}}, Margin{}, []counts{
			{0, 30, 4, 0, 0}, {0, 30, 6, 90, 8},
		}, -0.0134335400, 0.0844232417},
	} {
		c.plan.FirstLook = 30
		test, err := NewSequentialTest(c.plan)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range c.blocks {
			block := Block{Stratum: b.stratum, Candidate: Proportion{X: b.x, N: b.m}, Baseline: Proportion{X: b.y, N: b.n}}
			if b.n == 0 {
				block.Design = Historical
			}
			if test, _, err = test.Look(block, c.margin); err != nil {
				t.Fatal(err)
			}
		}
		low, high := test.tilts(0.025)
		if math.Abs(low-c.low) > 1e-10 || math.Abs(high-c.high) > 1e-10 {
			t.Errorf("%s: tilts %.10f and %.10f, want %.10f and %.10f", c.name, low, high, c.low, c.high)
		}
	}
}

// A row for each node gives what a row for each number of failures gives.
func TestRowsAgree(t *testing.T) {
	plan := TestPlan{Budget: 0.05, Information: 100, FirstLook: 20, History: Proportion{X: 4, N: 80}}
	rows, err := NewSequentialTest(plan)
	if err != nil {
		t.Fatal(err)
	}
	nodes := rows
	for i := range int64(50) {
		b := Block{Stratum: i / 20, Design: Design(i % 3), Candidate: Proportion{X: i % 3 / 2, N: 4 + i%5}}
		switch b.Design {
		case Concurrent:
			b.Baseline = Proportion{X: i % 4, N: 10}
		case Paired:
			b.Baseline = Proportion{X: 1, N: b.Candidate.N}
		case Historical:
		}
		if i == 7 {
			nodes.splitByNode(nodes.historicalRuns())
		}
		var a, z Look
		if rows, a, err = rows.Look(b, Margin{}); err != nil {
			t.Fatal(err)
		}
		if nodes, z, err = nodes.Look(b, Margin{}); err != nil {
			t.Fatal(err)
		}
		if rows.byNode || nodes.byNode != (i >= 7) {
			t.Fatalf("look %d: rows %v, nodes %v", i, rows.byNode, nodes.byNode)
		}
		if a.Boundary != z.Boundary || math.Abs(a.Used-z.Used) > 1e-12 || math.Abs(a.Level-z.Level) > 1e-12 {
			t.Errorf("look %d: %+v and %+v", i, a, z)
		}
		if !a.Tested {
			continue
		}
		d, err := rows.Interval(0.025)
		e, other := nodes.Interval(0.025)
		if err != nil || other != nil || math.Abs(d.Lo-e.Lo) > 1e-8 || math.Abs(d.Hi-e.Hi) > 1e-8 {
			t.Errorf("look %d: %v %v and %v %v", i, d, err, e, other)
		}
	}
}

// A law whose rows become too large is split by node, before a block of either kind.
func TestSplitIfLarge(t *testing.T) {
	plan := TestPlan{Budget: 0.05, Information: 100, History: Proportion{X: 10, N: 80}}
	start, err := NewSequentialTest(plan)
	if err != nil {
		t.Fatal(err)
	}
	past := func(m int64) Block {
		return Block{Design: Historical, Candidate: Proportion{X: m / 8, N: m}}
	}
	huge := Block{Candidate: Proportion{X: 1 << 23, N: 1 << 26}, Baseline: Proportion{X: 1 << 23, N: 1 << 26}}
	for name, c := range map[string]struct {
		blocks []Block
		byNode bool
	}{
		"small": {[]Block{past(failureLimit)}, false},
		"large": {[]Block{past(failureLimit + 1)}, true},
		"many":  {[]Block{past(512), past(512), past(512), past(512)}, true},
		"wide":  {[]Block{past(30), huge}, true},
	} {
		test := start
		for _, b := range c.blocks {
			if test, _, err = test.Look(b, Margin{}); err != nil {
				t.Fatal(err)
			}
		}
		if test.byNode != c.byNode {
			t.Errorf("%s: by node %v with %d rows of %d cells", name, test.byNode, len(test.scores.rows), test.scores.size())
		}
		data, err := test.MarshalBinary()
		var read SequentialTest
		if err != nil || read.UnmarshalBinary(data) != nil {
			t.Errorf("%s: not read back from %d bytes", name, len(data))
		}
	}
}

// What is left out of the undecided paths is reported, and only what is below the floor.
func TestTrimmedReportsItsLoss(t *testing.T) {
	law := joint{first: 3, rows: []chances{
		{lo: 1, cells: []float64{0.01, 0.02}}, {lo: 5, cells: []float64{0.01, 0.2, 0.01, 0.3, 0.04}}, {},
	}}
	rest, lost := law.trimmed(0.05, true)
	if math.Abs(lost-0.08) > 1e-15 || rest.first != 4 || len(rest.rows) != 1 || rest.rows[0].lo != 6 || len(rest.rows[0].cells) != 3 {
		t.Errorf("trimmed = %+v, lost %v", rest, lost)
	}
	test, err := NewSequentialTest(TestPlan{Budget: 0.05, Information: 1e9, FirstLook: 1 << 40, History: Proportion{X: 1, N: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	if test, _, err = test.Look(Block{Design: Historical, Candidate: Proportion{N: 40}}, Margin{}); err != nil {
		t.Fatal(err)
	}
	left := 0.0
	for _, r := range test.paths.rows {
		left += r.tail(0)
	}
	if !(test.used > 0 && test.used < 1e-17) || math.Abs(left-1) > 1e-12 {
		t.Errorf("%v used before the first look, %v left", test.used, left)
	}
}

// States that no test can be in are not read, though every part could be.
func TestInconsistentStates(t *testing.T) {
	start, err := NewSequentialTest(TestPlan{Budget: 0.05, Information: 66, History: Proportion{X: 3, N: 40}})
	if err != nil {
		t.Fatal(err)
	}
	build := func() SequentialTest {
		test := start
		for i, d := range []Design{Concurrent, Historical, Paired} {
			b := Block{Stratum: int64(i), Design: d, Candidate: Proportion{X: 2, N: 9}, Baseline: Proportion{X: 3, N: 9}}
			if d == Historical {
				b.Baseline = Proportion{}
			}
			if test, _, err = test.Look(b, Margin{}); err != nil {
				t.Fatal(err)
			}
		}
		return test
	}
	for name, spoil := range map[string]func(*SequentialTest){
		"":                        func(*SequentialTest) {},
		"pairs failing twice":     func(s *SequentialTest) { s.strata[2].candidate.X = 7 },
		"unequal pairs":           func(s *SequentialTest) { s.strata[2].candidate.N++ },
		"another history":         func(s *SequentialTest) { s.strata[1].baseline.N++ },
		"no odds ratio":           func(s *SequentialTest) { s.margin.OddsRatio = 0 },
		"margin":                  func(s *SequentialTest) { s.margin.Absolute = 1 },
		"rows of paths below":     func(s *SequentialTest) { s.scores.first++; s.scores.rows = s.scores.rows[1:] },
		"rows of paths above":     func(s *SequentialTest) { s.scores.rows = s.scores.rows[:2] },
		"more failures than runs": func(s *SequentialTest) { s.scores.rows = append(s.scores.rows, s.scores.rows[9]) },
		"nodes":                   func(s *SequentialTest) { s.byNode = true },
		"order":                   func(s *SequentialTest) { s.strata[0].id = 1; s.strata[0].design = Historical },
		"spread": func(s *SequentialTest) {
			s.scores.rows[9] = chances{lo: 1 << 20, cells: []float64{0}}
		},
	} {
		test := build()
		spoil(&test)
		data, err := test.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var read SequentialTest
		if err := read.UnmarshalBinary(data); (err == nil) != (name == "") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// On a coarser lattice the mean weight of a failure follows what each block added.
func TestMeanWeightAgainstHistory(t *testing.T) {
	test, err := NewSequentialTest(TestPlan{Budget: 0.05, Information: 90, History: Proportion{X: 50, N: 100}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		before, v := test.meanStep/float64(2), test.information()
		halvings := test.halvings
		if test, _, err = test.Look(Block{Design: Historical, Candidate: Proportion{X: 200, N: 400}}, Margin{}); err != nil {
			t.Fatal(err)
		}
		if test.halvings == halvings+1 {
			share := 1 - v/test.information()
			if want := before + share*(meanWeight(test.halvings)-before); math.Abs(test.meanStep-want) > 1e-12 {
				t.Errorf("mean weight %v, want %v", test.meanStep, want)
			}
		}
	}
	if test.halvings == 0 {
		t.Error("the lattice did not become coarser")
	}
}
