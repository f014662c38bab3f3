package stats_test

import (
	"bytes"
	"math"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/cobound/prova/internal/stats"
)

func mixOf(names ...string) stats.Mix {
	var m stats.Mix
	for _, name := range names {
		m.Add(name)
	}
	return m
}

func mixBytes(t interface{ Fatal(...any) }, m stats.Mix) []byte {
	data, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestMixOrder: order and merging leave no trace, on both sides of the limit of names.
func TestMixOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 90), strconv.Itoa), 0, 300).Draw(t, "names")
		want := mixBytes(t, mixOf(names...))
		order := rapid.Permutation(names).Draw(t, "order")
		at := rapid.IntRange(0, len(order)).Draw(t, "split")
		one, other := mixOf(order[:at]...), mixOf(order[at:]...)
		before := mixBytes(t, other)
		merged := one
		merged.Merge(other)
		if got := mixBytes(t, merged); !bytes.Equal(got, want) {
			t.Fatalf("merged % x, want % x", got, want)
		}
		if !bytes.Equal(mixBytes(t, other), before) || !bytes.Equal(mixBytes(t, one), mixBytes(t, mixOf(order[:at]...))) {
			t.Fatal("a copy saw the merge")
		}
		if merged.Count() != int64(len(names)) {
			t.Fatalf("%d runs of %d", merged.Count(), len(names))
		}
		var read stats.Mix
		if err := read.UnmarshalBinary(want); err != nil || !bytes.Equal(mixBytes(t, read), want) {
			t.Fatalf("read back: %v", err)
		}
	})
}

func TestMixRefusesOtherBytes(t *testing.T) {
	good := mixBytes(t, mixOf("a", "b", "b"))
	for name, data := range map[string][]byte{
		"empty": {}, "version": {2, 0, 0}, "cut short": good[:len(good)-1], "trailing": append(bytes.Clone(good), 0),
		"descending": {1, 0, 2, 1, 'b', 1, 1, 'a', 1}, "twice": {1, 0, 2, 1, 'a', 1, 1, 'a', 1}, "no run": {1, 0, 1, 1, 'a', 0},
		"not UTF-8": {1, 0, 1, 1, 0xff, 1}, "length": {1, 0, 1, 0xff, 0xff, 0x03, 'a', 1}, "too many": {1, 0, 65}, "few groups": append([]byte{1, 1}, make([]byte, 64)...),
		"overflow": {1, 0, 2, 1, 'a', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 'b', 1},
	} {
		m := mixOf("kept")
		if err := m.UnmarshalBinary(data); err == nil || m.Count() != 1 {
			t.Errorf("%s: % x was read", name, data)
		}
	}
}

// TestCompareMixes checks the statistic against R: chisq.test(rbind(c(30, 10, 20), c(20, 20, 20)))
// gives X-squared = 5.3333 with 2 degrees of freedom.
func TestCompareMixes(t *testing.T) {
	times := func(counts ...int) stats.Mix {
		var m stats.Mix
		for i, n := range counts {
			for range n {
				m.Add(strconv.Itoa(i))
			}
		}
		return m
	}
	s := stats.CompareMixes([]stats.MixStratum{{Candidate: times(30, 10, 20), Baseline: times(20, 20, 20)}})
	if math.Abs(s.Statistic-16.0/3) > 1e-12 || s.Freedom != 2 || math.Abs(s.Distance-1.0/6) > 1e-12 || s.Differs() {
		t.Errorf("%+v", s)
	}
	if !s.Named || s.Category != "0" || s.Candidate != 0.5 || math.Abs(s.Baseline-1.0/3) > 1e-12 {
		t.Errorf("most of all %+v", s)
	}
	for name, c := range map[string]struct {
		strata  []stats.MixStratum
		differs bool
	}{
		"nothing":            {nil, false},
		"one side":           {[]stats.MixStratum{{Candidate: times(100)}}, false},
		"one category":       {[]stats.MixStratum{{Candidate: times(100), Baseline: times(900)}}, false},
		"in proportion":      {[]stats.MixStratum{{Candidate: times(30, 70), Baseline: times(300, 700)}}, false},
		"out of proportion":  {[]stats.MixStratum{{Candidate: times(70, 30), Baseline: times(300, 700)}}, true},
		"certain, but small": {[]stats.MixStratum{{Candidate: times(55_000, 45_000), Baseline: times(50_000, 50_000)}}, false},
		"large, but chance":  {[]stats.MixStratum{{Candidate: times(6, 4), Baseline: times(4, 6)}}, false},
		"disjoint":           {[]stats.MixStratum{{Candidate: times(50, 0), Baseline: times(0, 50)}}, true},
		"weights that moved, within each stratum in proportion": {[]stats.MixStratum{
			{Candidate: times(10, 40), Baseline: times(200, 800)}, {Candidate: times(800, 200), Baseline: times(40, 10)},
		}, false},
	} {
		if s := stats.CompareMixes(c.strata); s.Differs() != c.differs {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// TestMixChance: cohorts that draw from the same 200 probes are called different in one of a thousand, not of ten.
func TestMixChance(t *testing.T) {
	called, rounds := 0, 2000
	for r := range rounds {
		from := stats.NewSource(stats.SeedOf("mix"), uint64(r))
		var s stats.MixStratum
		for range 300 {
			s.Candidate.Add(strconv.Itoa(from.Index(200)))
			s.Baseline.Add(strconv.Itoa(from.Index(200)))
		}
		if stats.CompareMixes([]stats.MixStratum{s}).Differs() {
			called++
		}
	}
	if called > 10 {
		t.Errorf("called different %d times of %d", called, rounds)
	}
	t.Logf("%d of %d", called, rounds)
}

// TestDesignEffect: 1 for runs of their own, the size of the units where all their runs agree.
func TestDesignEffect(t *testing.T) {
	for name, c := range map[string]struct {
		each, units int
		agree       bool
		want        float64
	}{"single": {1, 400, true, 400.0 / 399}, "ten that agree": {10, 100, true, 1000.0 / 99}, "ten in balance": {10, 100, false, 0}} {
		var s stats.Summary
		for unit := range c.units {
			for run := range c.each {
				v := float64(unit % 2)
				if !c.agree {
					v = float64(run % 2)
				}
				if err := s.Add(v, uint64(stats.SeedOf(strconv.Itoa(unit)))); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got := stats.DesignEffect(s.Units()); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if got := stats.DesignEffect(nil); !math.IsNaN(got) {
		t.Errorf("of nothing: %v", got)
	}
}

// TestVariance agrees with the values' own within the width of the bins.
func TestVariance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Float64Range(0.01, 1e4), 2, 200).Draw(t, "values")
		var s stats.Summary
		mean, largest := 0.0, 0.0
		for i, v := range list {
			if err := s.Add(v, uint64(i)); err != nil {
				t.Fatal(err)
			}
			mean += v / float64(len(list))
			largest = max(largest, v)
		}
		want := 0.0
		for _, v := range list {
			want += (v - mean) * (v - mean) / float64(len(list)-1)
		}
		// Each value moves by 0.2 % at most, and so does the standard deviation in units of the largest.
		if got := math.Sqrt(s.Variance()); math.Abs(got-math.Sqrt(want)) > 0.0045*largest {
			t.Fatalf("%v, want %v", got, math.Sqrt(want))
		}
	})
	var empty stats.Summary
	if !math.IsNaN(empty.Variance()) {
		t.Error("the variance of nothing is a number")
	}
}

// TestQuantileLimits: the numbers of runs from which order statistics bound a quantile at 95 %.
func TestQuantileLimits(t *testing.T) {
	for q, n := range map[float64]int64{0.5: 6, 0.9: 36, 0.95: 72, 0.99: 368} {
		_, few := stats.QuantileLimits(n-1, q, 0.95)
		_, enough := stats.QuantileLimits(n, q, 0.95)
		below, _ := stats.QuantileLimits(n-1, 1-q, 0.95)
		if few || !enough || below {
			t.Errorf("%v: %d runs %v, %d runs %v, mirrored %v", q, n-1, few, n, enough, below)
		}
	}
	if below, above := stats.QuantileLimits(0, 0.5, 0.95); below || above {
		t.Error("no run bounds the median")
	}
}
