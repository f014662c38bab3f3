package stats_test

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"

	"github.com/cobound/prova/internal/stats"
	"pgregory.net/rapid"
)

// unitValues draws runs of up to 700 units, some with several runs.
func unitValues(r *rapid.T) []stats.UnitValue {
	n := rapid.SampledFrom([]int{0, 1, 2, 7, 40, 511, 512, 513, 900}).Draw(r, "n")
	units := rapid.SampledFrom([]int{1, 5, 512, 513, 700, 10_000}).Draw(r, "units")
	source := stats.NewSource(stats.Seed(rapid.Uint64().Draw(r, "seed")), 0)
	runs := make([]stats.UnitValue, 0, n)
	for i := range n {
		unit := i
		if i >= units {
			unit = source.Index(units)
		}
		name := stats.NewSource(9, uint64(unit))
		v := float64(source.Index(2_000_000)-1_000_000) / 1000
		switch source.Index(20) {
		case 0:
			v = 1e18
		case 1:
			v = -1e18
		case 2:
			v = float64(source.Index(2))
		}
		runs = append(runs, stats.UnitValue{Unit: name.Uint64(), Value: v})
	}
	return runs
}

func added(t interface{ Fatal(...any) }, runs []stats.UnitValue) stats.Values {
	var s stats.Values
	for _, run := range runs {
		if err := s.Add(run.Value, run.Unit); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func bytesOf(s stats.Values) string {
	data, _ := s.MarshalBinary()
	return string(data)
}

// The set of runs alone decides: not their order, not how parts were merged, not
// how they were added. No copy sees what is added to another, and all survive a
// trip through bytes and JSON.
func TestValuesLaws(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		runs := unitValues(r)
		want := added(r, runs)
		order := rapid.Permutation(runs).Draw(r, "order")
		if bytesOf(added(r, order)) != bytesOf(want) {
			r.Fatal("the order matters")
		}
		whole, err := stats.ValuesOf(order)
		if err != nil || bytesOf(whole) != bytesOf(want) {
			r.Fatal("ValuesOf differs from Add")
		}
		cut := rapid.IntRange(0, len(order)).Draw(r, "cut")
		a, b := added(r, order[:cut]), added(r, order[cut:])
		before := bytesOf(a)
		merged := a
		if err := merged.Merge(b); err != nil || bytesOf(merged) != bytesOf(want) {
			r.Fatal("merging differs from adding")
		}
		if err := b.Merge(a); err != nil || bytesOf(b) != bytesOf(want) {
			r.Fatal("merging does not commute")
		}
		if bytesOf(a) != before {
			r.Fatal("a copy changed")
		}
		text, err := json.Marshal(want)
		var read stats.Values
		if err != nil || json.Unmarshal(text, &read) != nil || bytesOf(read) != bytesOf(want) {
			r.Fatal("JSON changes it")
		}
		if want.Runs() != int64(len(runs)) || want.Units() > want.Runs() {
			r.Fatalf("%d units, %d runs of %d", want.Units(), want.Runs(), len(runs))
		}
	})
}

func TestValuesCounts(t *testing.T) {
	var s stats.Values
	if !math.IsNaN(s.Mean()) || s.Units() != 0 {
		t.Errorf("nothing: %v, %d units", s.Mean(), s.Units())
	}
	for i := range 512 {
		for range 2 {
			if err := s.Add(-0.25, uint64(i)<<40); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s.Units() != 512 || s.Runs() != 1024 || s.Mean() != -0.25 {
		t.Errorf("512 units: %d, %d runs, mean %v", s.Units(), s.Runs(), s.Mean())
	}
	if err := s.Add(7, 1<<60); err != nil {
		t.Fatal(err)
	}
	if s.Units() != 1025 || s.Mean() != (-256.0+7)/1025 {
		t.Errorf("513 units: %d, mean %v", s.Units(), s.Mean())
	}
	size := len(bytesOf(s))
	for i := range 5000 {
		if err := s.Add(1e18, uint64(i)<<41+1); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(bytesOf(s)); got > size+10_000 || got > 20_000 {
		t.Errorf("%d bytes grew to %d", size, got)
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), 1.1e18, -2e18} {
		before := bytesOf(s)
		if s.Add(v, 1) == nil || bytesOf(s) != before {
			t.Errorf("%v was taken", v)
		}
	}
}

// Bytes that no set of runs has are refused, and none makes it panic.
func FuzzValues(f *testing.F) {
	for _, n := range []int{0, 1, 3, 600} {
		var s stats.Values
		for i := range n {
			_ = s.Add(float64(i%7)-3, uint64(i)<<50+uint64(i))
		}
		_ = s.Add(2, 0)
		f.Add([]byte(bytesOf(s)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var s stats.Values
		if s.UnmarshalBinary(data) != nil {
			if bytesOf(s) != bytesOf(stats.Values{}) {
				t.Fatal("a failure changed it")
			}
			return
		}
		if bytesOf(s) != string(data) {
			t.Fatal("not the only form")
		}
		if err := s.Merge(s); err == nil {
			_ = s.Add(1, 2)
			_ = s.Mean()
		}
		test := newPermutation(t, stats.PermutationPlan{Budget: 0.5, Information: 1})
		if s.Runs() > 0 {
			next, look, err := test.Look(stats.MeanBlock{Candidate: s, Baseline: s})
			if err != nil || math.IsNaN(look.Statistic) {
				t.Fatal(look, err)
			}
			_, _ = next.Interval(0.5)
		}
	})
}

// Forged sums of powers are found out.
func TestValuesForged(t *testing.T) {
	var s stats.Values
	for i := range 600 {
		_ = s.Add(float64(i), uint64(i)<<50)
	}
	data := []byte(bytesOf(s))
	tail := new(big.Int).SetBytes(data[len(data)-24:])
	for _, change := range []int64{-1, 1} {
		forged := append([]byte{}, data...)
		tail.Add(tail, big.NewInt(0)).FillBytes(forged[len(data)-24:])
		forged[4] ^= byte(change)
		var read stats.Values
		if read.UnmarshalBinary(forged) == nil && bytesOf(read) == bytesOf(s) {
			t.Error("a forgery was taken for the original")
		}
	}
	for i := range data {
		var read stats.Values
		if read.UnmarshalBinary(data[:i]) == nil {
			t.Fatalf("cut at %d of %d", i, len(data))
		}
	}
}
