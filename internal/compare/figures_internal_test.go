package compare

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

func parsed(t interface{ Fatal(...any) }, text string) api.Gate {
	g, err := api.ParseGate(text)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// runs is a cohort of one metric "x", one value a run.
func runs(t interface{ Fatal(...any) }, values ...float64) Cohort {
	var c Cohort
	for i, v := range values {
		if err := c.Add(map[string]api.Metric{"x": api.Number(v)}, uint64(i)*0x9e3779b97f4a7c15); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// upTo are 1 … n.
func upTo(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(i + 1)
	}
	return out
}

// What rounding puts between equal numbers is taken out, and nothing else.
func TestSettle(t *testing.T) {
	value := func(v float64) *float64 { return &v }
	for name, c := range map[string]struct {
		baseline, candidate  *float64
		estimate, lo, hi     float64
		estimated, low, high float64
	}{
		"a last digit":      {value(1), value(1), 1e-13, 1e-13, 1e-13, 0, 0, 0},
		"just noise":        {value(1), value(1), 1e-12, -1e-12, 1e-12, 0, 0, 0},
		"more than noise":   {value(1), value(1), 1.1e-12, -1.1e-12, 3e-12, 1.1e-12, -1.1e-12, 3e-12},
		"a limit by itself": {value(1), value(-0.5), 0.5, 0.5 + 1e-13, 0.5 - 1e-13, 0.5, 0.5, 0.5},
		"of large values":   {value(1e6), value(-1), 1e-7, 1e-6, 1e-5, 0, 0, 1e-5},
		"of small values":   {value(1e-6), value(1e-7), 1e-17, 1e-19, 1e-18, 1e-17, 1e-19, 1e-18},
		"no baseline":       {nil, value(1), 1e-13, 1e-13, 1e-13, 1e-13, 1e-13, 1e-13},
		"no candidate":      {value(1), nil, 1e-13, 1e-13, 1e-13, 1e-13, 1e-13, 1e-13},
	} {
		f := figures{oneLook: &api.Difference{Estimate: c.estimate, Lo: c.lo, Hi: c.hi}}
		f.baseline.Value, f.candidate.Value = c.baseline, c.candidate
		if f.settle(); f.oneLook.Estimate != c.estimated || f.oneLook.Lo != c.low || f.oneLook.Hi != c.high {
			t.Errorf("%s: %+v", name, *f.oneLook)
		}
	}
}

func TestFinite(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if finite(0, v, 1) {
			t.Errorf("%v is finite", v)
		}
	}
	if !finite() || !finite(0, -1e300, 1e300) {
		t.Error("numbers are not")
	}
}

// What a quiet tick counts is what a loud one does.
func TestQuietFigures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q Question
		q.Confidence = 0.95
		for range rapid.IntRange(0, 3).Draw(t, "strata") {
			var sides [2]Cohort
			for i := range sides {
				for range rapid.IntRange(0, 60).Draw(t, "runs") {
					m := map[string]api.Metric{}
					if rapid.IntRange(0, 3).Draw(t, "carries") > i { // the second leaves it out more often
						m["x"] = api.Number(rapid.SampledFrom([]float64{0, 1, 1, 1}).Draw(t, "value"))
					}
					if err := sides[i].Add(m, rapid.Uint64().Draw(t, "unit")); err != nil {
						t.Fatal(err)
					}
				}
				if rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
					if err := sides[i].AddMetrics(map[string]api.Metric{"x": api.Number(0.5)}, 1); err != nil {
						t.Fatal(err)
					}
				}
			}
			q.Strata = append(q.Strata, Stratum{Baseline: sides[0], Candidate: sides[1]})
		}
		g := parsed(t, "x:rate:better=higher:margin=0.1")
		loud, quiet := q.figures(g, false), q.figures(g, true)
		if loud.baseline.N != quiet.baseline.N || loud.candidate.N != quiet.candidate.N || loud.baseline.Missing != quiet.baseline.Missing ||
			loud.candidate.Missing != quiet.candidate.Missing || loud.boolean != quiet.boolean || loud.reports != quiet.reports ||
			!reflect.DeepEqual(loud.missing, quiet.missing) || loud.margin != quiet.margin {
			t.Fatalf("%+v\n%+v", loud, quiet)
		}
	})
}

// Figures are exact only if all single values are at hand.
func TestPool(t *testing.T) {
	exact := func(values ...float64) Cohort {
		c := runs(t, values...)
		c.KeepValues("x", values)
		return c
	}
	g := parsed(t, "x:p50:better=lower")
	for name, c := range map[string]struct {
		strata []Stratum
		want   []float64
	}{
		"one":            {[]Stratum{{Candidate: exact(3, 1, 2)}}, []float64{1, 2, 3}},
		"two":            {[]Stratum{{Candidate: exact(3, 5)}, {Candidate: exact(4, 1)}}, []float64{1, 3, 4, 5}},
		"the second not": {[]Stratum{{Candidate: exact(3, 5)}, {Candidate: runs(t, 4, 1)}}, nil},
		"the first not":  {[]Stratum{{Candidate: runs(t, 3, 5)}, {Candidate: exact(4, 1)}}, nil},
	} {
		n := int64(0)
		for _, s := range c.strata {
			n += s.Candidate.Runs
		}
		if got, pooled := pool(c.strata, candidateOf, g); got != n || !slices.Equal(pooled.Values, c.want) || pooled.Summary.Count() != n {
			t.Errorf("%s: %d runs, %v", name, got, pooled.Values)
		}
	}
}

// Every epoch that has a run of either release is a stratum, in rising order.
func TestStrataOfEpochs(t *testing.T) {
	c := stats.EpochCounts{{Epoch: 1, Count: 4, Ones: 3}, {Epoch: 3, Count: 5, Ones: 2}, {Epoch: 6, Count: 1, Ones: 1}}
	b := stats.EpochCounts{{Epoch: 1, Count: 9, Ones: 8}, {Epoch: 2, Count: 7, Ones: 6}, {Epoch: 7, Count: 2, Ones: 1}, {Epoch: 8, Count: 3, Ones: 0}}
	pick := func(s Stratum) []stats.Stratum {
		return s.byEpoch(func(side Cohort) stats.EpochCounts { return side.Epochs })
	}
	p := func(x, n int64) stats.Proportion { return stats.Proportion{X: x, N: n} }
	want := []stats.Stratum{
		{Candidate: p(3, 4), Baseline: p(8, 9)}, {Baseline: p(6, 7)}, {Candidate: p(2, 5)}, {Candidate: p(1, 1)}, {Baseline: p(1, 2)}, {Baseline: p(0, 3)},
	}
	if got := pick(Stratum{Candidate: Cohort{Epochs: c}, Baseline: Cohort{Epochs: b}}); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	for i := range want {
		want[i].Candidate, want[i].Baseline = want[i].Baseline, want[i].Candidate
	}
	if got := pick(Stratum{Candidate: Cohort{Epochs: b}, Baseline: Cohort{Epochs: c}}); !slices.Equal(got, want) {
		t.Errorf("exchanged: %+v", got)
	}
}
