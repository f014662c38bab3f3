package stats_test

import (
	"math"
	"testing"

	"github.com/cobound/prova/internal/stats"
	"pgregory.net/rapid"
)

// run is one value of one unit.
type run struct {
	value float64
	unit  uint64
}

func summaryOf(t rapid.TB, runs []run) stats.Summary {
	t.Helper()
	var s stats.Summary
	for _, r := range runs {
		if err := s.Add(r.value, r.unit); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func encoded(t rapid.TB, s stats.Summary) string {
	t.Helper()
	data, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// someRuns draws runs of so many units that they are kept singly, are just at
// the limit, or are grouped.
func someRuns(r *rapid.T) []run {
	unitCount := rapid.SampledFrom([]int{1, 3, 200, 1023, 1024, 1025, 1500}).Draw(r, "units")
	extra := rapid.IntRange(0, 300).Draw(r, "more runs")
	source := stats.NewSource(stats.Seed(rapid.Uint64().Draw(r, "seed")), 0)
	runs := make([]run, 0, unitCount+extra)
	for i := range unitCount + extra {
		unit := i
		if i >= unitCount {
			unit = source.Index(unitCount)
		}
		v := float64(source.Index(2_000_000)-500_000) / 1000
		if source.Index(3) == 0 {
			v = float64(source.Index(2))
		}
		runs = append(runs, run{v, uint64(stats.SeedOf(string(rune(unit))))})
	}
	return runs
}

func shuffled(runs []run, seed stats.Seed) []run {
	source := stats.NewSource(seed, 1)
	mixed := append([]run{}, runs...)
	for i := len(mixed) - 1; i > 0; i-- {
		j := source.Index(i + 1)
		mixed[i], mixed[j] = mixed[j], mixed[i]
	}
	return mixed
}

func TestSummaryDependsOnTheSetAlone(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		runs := someRuns(r)
		want := encoded(r, summaryOf(r, runs))
		mixed := shuffled(runs, stats.Seed(rapid.Uint64().Draw(r, "order")))
		if encoded(r, summaryOf(r, mixed)) != want {
			r.Fatal("the order of the runs shows")
		}
		first := rapid.IntRange(0, len(mixed)).Draw(r, "first cut")
		second := rapid.IntRange(first, len(mixed)).Draw(r, "second cut")
		a, b, c := summaryOf(r, mixed[:first]), summaryOf(r, mixed[first:second]), summaryOf(r, mixed[second:])
		left := a
		left.Merge(b)
		left.Merge(c)
		right := c
		right.Merge(b)
		right.Merge(a)
		if encoded(r, left) != want || encoded(r, right) != want {
			r.Fatal("the order of merging shows")
		}
		if encoded(r, a) != encoded(r, summaryOf(r, mixed[:first])) {
			r.Fatal("merging into a copy changed the original")
		}
		var read stats.Summary
		if err := read.UnmarshalBinary([]byte(want)); err != nil || encoded(r, read) != want {
			r.Fatalf("round trip: %v", err)
		}
		read.Merge(stats.Summary{})
		if encoded(r, read) != want {
			r.Fatal("merging nothing changed something")
		}
	})
}

func TestSummaryNumbers(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		runs := someRuns(r)
		s := summaryOf(r, runs)
		var sum stats.Fixed
		ones, zeros := int64(0), int64(0)
		perUnit := map[uint64]int{}
		values := make([]float64, 0, len(runs))
		for _, x := range runs {
			f, _ := stats.FixedOf(x.value)
			sum = sum.Add(f)
			perUnit[x.unit]++
			values = append(values, x.value)
			switch x.value {
			case 0:
				zeros++
			case 1:
				ones++
			}
		}
		n := int64(len(runs))
		if s.Count() != n || s.Ones() != ones || s.Zeros() != zeros || s.Sum() != sum || s.Boolean() != (ones+zeros == n) {
			r.Fatalf("counts: %d %d %d %s", s.Count(), s.Ones(), s.Zeros(), s.Sum())
		}
		if s.Mean() != sum.Float64()/float64(n) {
			r.Fatalf("mean %v", s.Mean())
		}
		var all stats.Unit
		units := s.Units()
		for _, u := range units {
			all = stats.Unit{Count: all.Count + u.Count, Sum: all.Sum.Add(u.Sum)}
		}
		if all != (stats.Unit{Count: n, Sum: sum}) || len(units) > 1024 {
			r.Fatalf("%d units add up to %v", len(units), all)
		}
		if len(perUnit) <= 1024 && (len(units) != len(perUnit) || s.Clustered() != (len(perUnit) < len(runs))) {
			r.Fatalf("%d units of %d, clustered %v", len(units), len(perUnit), s.Clustered())
		}
		checkQuantiles(r, s, values)
	})
}

func checkQuantiles(r *rapid.T, s stats.Summary, values []float64) {
	n := int64(len(values))
	ascending := sorted(values)
	for _, q := range []float64{0, 0.05, 0.5, 0.9, 0.99, 1} {
		got, want := s.Quantile(q), stats.QuantileType7(ascending, q)
		// Each order statistic is off by at most half a bin.
		k := int(q * float64(n-1))
		size := max(math.Abs(ascending[k]), math.Abs(ascending[min(k+1, int(n)-1)]))
		if !(math.Abs(got-want) <= 0.002*size) {
			r.Fatalf("quantile %v = %v, want %v", q, got, want)
		}
		i := s.QuantileInterval(q, 1.96)
		if !(i.Lo <= got && got <= i.Hi) {
			r.Fatalf("interval %v of quantile %v = %v", i, q, got)
		}
		above := int64(0)
		threshold := s.QuantileBin(q)
		for _, v := range values {
			if stats.BinOf(v) > threshold {
				above++
			}
		}
		if s.CountAbove(threshold) != above || float64(above) > (1-q)*float64(n) {
			r.Fatalf("%d above the bin of %v, want %d", s.CountAbove(threshold), q, above)
		}
	}
}

func TestQuantileIntervalRanks(t *testing.T) {
	var s stats.Summary
	values := make([]float64, 0, 200)
	for i := range 200 {
		values = append(values, float64(i+1))
		if err := s.Add(float64(i+1), uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ q, lo, hi float64 }{ // Wilson limits of the share, times 200
		{0.5, 87, 114}, // 0.4314 and 0.5686
		{0.95, 183, 195},
		{0, 1, 4},
		{1, 197, 200},
	} {
		got := stats.QuantileValuesInterval(values, c.q, stats.Critical(0.95))
		if got != (stats.Interval{Lo: c.lo, Hi: c.hi}) {
			t.Errorf("ranks of %v: %v, want %v and %v", c.q, got, c.lo, c.hi)
		}
		binned := s.QuantileInterval(c.q, stats.Critical(0.95))
		if binned != (stats.Interval{Lo: stats.BinOf(c.lo).Midpoint(), Hi: stats.BinOf(c.hi).Midpoint()}) {
			t.Errorf("bins of %v: %v", c.q, binned)
		}
	}
}

func TestSummaryCopies(t *testing.T) {
	a := summaryOf(t, []run{{1, 10}, {2, 20}})
	before := encoded(t, a)
	b := a
	for i := range uint64(2000) {
		if err := b.Add(float64(i), i*0x9e3779b97f4a7c15); err != nil {
			t.Fatal(err)
		}
	}
	c := b
	grouped := encoded(t, b)
	if err := c.Add(7, 20); err != nil {
		t.Fatal(err)
	}
	if encoded(t, a) != before || encoded(t, b) != grouped {
		t.Error("adding to a copy changed the original")
	}
	if err := a.Add(math.NaN(), 1); err == nil || encoded(t, a) != before {
		t.Errorf("adding NaN: %v", err)
	}
}

func TestEmptySummary(t *testing.T) {
	var s, read stats.Summary
	if s.Count() != 0 || !s.Boolean() || s.Clustered() || len(s.Units()) != 0 || !s.Sum().IsZero() {
		t.Error("the zero value is not empty")
	}
	i := s.QuantileInterval(0.5, 2)
	if !math.IsNaN(s.Mean()) || !math.IsNaN(s.Quantile(0.5)) || !math.IsNaN(i.Lo) || !math.IsNaN(i.Hi) || s.QuantileBin(0.5) != 0 {
		t.Error("the zero value has numbers")
	}
	if err := read.UnmarshalBinary([]byte(encoded(t, s))); err != nil {
		t.Error(err)
	}
}

func TestClusteredBeyondTheLimit(t *testing.T) {
	for _, repeat := range []uint64{1, 2} {
		var s stats.Summary
		for range repeat {
			for i := range uint64(1500) {
				if err := s.Add(1, uint64(stats.SeedOf(string(rune(i))))); err != nil {
					t.Fatal(err)
				}
			}
		}
		if s.Clustered() != (repeat > 1) {
			t.Errorf("%d runs of each unit: clustered %v", repeat, s.Clustered())
		}
	}
}

// The sample keeps the 256 smallest hashes: a repeated run of the last of them
// counts, one of the next does not, whether it came before or after grouping.
func TestSampleOfUnits(t *testing.T) {
	const step = 1 << 50
	for repeated, want := range map[uint64]bool{0: true, 255: true, 256: false, 1400: false} {
		var early, late stats.Summary
		add := func(s *stats.Summary, unit uint64) {
			if err := s.Add(1, unit*step); err != nil {
				t.Fatal(err)
			}
		}
		add(&early, repeated)
		for unit := range uint64(1500) {
			add(&early, unit)
			add(&late, 1499-unit)
		}
		add(&late, repeated)
		if early.Clustered() != want || late.Clustered() != want || encoded(t, early) != encoded(t, late) {
			t.Errorf("unit %d twice: clustered %v early, %v late, want %v", repeated, early.Clustered(), late.Clustered(), want)
		}
	}
}

func TestSummaryUnmarshalRejects(t *testing.T) {
	many := make([]run, 0, 1300)
	for i := range 1300 {
		many = append(many, run{float64(i%7) - 2.5, uint64(stats.SeedOf(string(rune(i))))})
	}
	for _, runs := range [][]run{{{0.5, 1}, {1, 2}, {0, 2}, {-3, 1 << 63}}, many} {
		data := []byte(encoded(t, summaryOf(t, runs)))
		var read stats.Summary
		stride := 1 + len(data)/300
		for n := 0; n < len(data); n += stride {
			if read.UnmarshalBinary(data[:n]) == nil {
				t.Fatalf("%d of %d bytes were accepted", n, len(data))
			}
		}
		if read.UnmarshalBinary(append(append([]byte{}, data...), 0)) == nil {
			t.Error("a trailing byte was accepted")
		}
		for i := 0; i < len(data); i += stride {
			damaged := append([]byte{}, data...)
			damaged[i] ^= 0x11
			if read.UnmarshalBinary(damaged) == nil && encoded(t, read) != string(damaged) {
				t.Fatalf("byte %d: accepted in a form that is not canonical", i)
			}
		}
		t.Logf("%d runs take %d bytes", len(runs), len(data))
	}
}

func FuzzSummaryUnmarshal(f *testing.F) {
	f.Add([]byte(encoded(f, summaryOf(f, []run{{0.5, 1}, {1, 2}}))))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s stats.Summary
		if s.UnmarshalBinary(data) != nil {
			return
		}
		if encoded(t, s) != string(data) {
			t.Fatal("accepted in a form that is not canonical")
		}
		_, _ = s.Quantile(0.5), s.Mean()
	})
}

func TestBins(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		v := values().Draw(r, "v")
		b := stats.BinOf(v)
		i := b.Bounds()
		if b == 0 {
			if math.Abs(v) >= 1e-9 {
				r.Fatalf("%v counts as 0", v)
			}
			return
		}
		if v > 0 && !(i.Lo <= v && v < i.Hi) || v < 0 && !(i.Lo < v && v <= i.Hi) {
			r.Fatalf("%v is not in %v", v, i)
		}
		if width := (i.Hi - i.Lo) / math.Abs(v); width > 0.004 || stats.BinOf(b.Midpoint()) != b || stats.BinOf(-v) != -b {
			r.Fatalf("bin %d of %v: width %v", b, v, width)
		}
		if next := math.Nextafter(v, math.Inf(1)); stats.BinOf(next) < b {
			r.Fatalf("bins are not ordered at %v", v)
		}
	})
}

// TestMergeValues: as Merge, without the units.
func TestMergeValues(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a, b := summaryOf(r, someRuns(r)), summaryOf(r, someRuns(r))
		whole, values := a, a
		whole.Merge(b)
		values.MergeValues(b)
		if values.Count() != whole.Count() || values.Sum() != whole.Sum() || values.Ones() != whole.Ones() || values.Zeros() != whole.Zeros() || len(values.Units()) != 0 {
			r.Fatalf("%d runs, %v, want %d, %v", values.Count(), values.Sum(), whole.Count(), whole.Sum())
		}
		if q := 0.95; whole.Count() > 0 && (values.Quantile(q) != whole.Quantile(q) || values.QuantileInterval(q, 2) != whole.QuantileInterval(q, 2)) {
			r.Fatalf("quantile %v, want %v", values.Quantile(q), whole.Quantile(q))
		}
	})
}
