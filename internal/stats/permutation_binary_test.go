package stats_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"testing"

	"github.com/cobound/prova/internal/stats"
)

// permutationGolden is the hash of the bits of all results below, the same on
// every CPU: see golden.
const permutationGolden = "03eae28d9e88ec59143610ccbd237355cc8537ffefd3a1979110ca8929b47e89"

func TestPermutationGolden(t *testing.T) {
	d := digest{sha256.New()}
	for run := range uint64(12) {
		source := stats.NewSource(stats.SeedOf("permutation"), run)
		plan := stats.PermutationPlan{Budget: []float64{0.05, 0.01}[run%2], Information: 200, FirstLook: 20, Seed: stats.Seed(run), LowerIsWorse: run%3 == 0}
		plan.Margin = stats.MeanMargin{Absolute: float64(run % 4), Relative: float64(run%5) / 20}
		plan.HistoryInformation = float64(run%3) * 61.3
		for i, v := range lognormal(stats.Seed(run), 50+250*int(run), 0.8) {
			_ = plan.History.Add(v, uint64(i)<<50)
		}
		test := newPermutation(t, plan)
		for i := range 25 {
			n := []int{5, 9, 30, 200, 1300}[source.Index(5)]
			b := stats.MeanBlock{Stratum: int64(i / 5), Candidate: armOf(t, lognormal(stats.Seed(source.Uint64()), n, 0.7), source.Uint64())}
			switch source.Index(6) {
			case 0: // against history
			case 1:
				b = stats.MeanBlock{Differences: armOf(t, lognormal(stats.Seed(source.Uint64()), n, 0.2), source.Uint64())}
			case 2:
				b.Stratum--
				fallthrough
			default:
				b.Baseline = armOf(t, lognormal(stats.Seed(source.Uint64()), n+source.Index(n), 0.7), source.Uint64())
			}
			var look stats.MeanLook
			var err error
			if test, look, err = test.Look(b); err != nil {
				t.Fatal(err)
			}
			d.ints(look.CandidateUnits, look.BaselineUnits)
			d.floats(look.Information, look.Allowed, look.Used, look.Statistic, look.Critical, test.Threshold(), test.Spread())
			if v, err := test.Interval(0.025); err == nil {
				d.difference(v)
			}
		}
		d.Write([]byte(stateOf(test)))
	}
	if got := hex.EncodeToString(d.Sum(nil)); got != permutationGolden {
		t.Errorf("results hash to %s, want %s", got, permutationGolden)
	}
}

// permutationStates are tests before their first look, after one, and against
// history.
func permutationStates(t testing.TB) []string {
	plan := stats.PermutationPlan{Budget: 0.05, Information: 3, Seed: 5}
	test := newPermutation(t, plan)
	states := []string{stateOf(test)}
	b := stats.MeanBlock{Candidate: armOf(t, []float64{1, 2, 9}, 1), Baseline: armOf(t, []float64{1, 2, 4, 5}, 2)}
	test, _, _ = test.Look(b)
	test, _, _ = test.Look(stats.MeanBlock{Stratum: 4, Candidate: b.Candidate, Baseline: b.Baseline})
	states = append(states, stateOf(test))
	for i, v := range []float64{3, 30, 7, 7.5} {
		_ = plan.History.Add(v, uint64(i))
	}
	test = newPermutation(t, plan)
	test, _, _ = test.Look(stats.MeanBlock{Candidate: b.Candidate})
	test, _, _ = test.Look(b)
	return append(states, stateOf(test))
}

// usable checks that bytes that are taken are the only form of a test that goes
// on with finite numbers.
func usable(t testing.TB, data []byte) (taken bool) {
	var test stats.PermutationTest
	if test.UnmarshalBinary(data) != nil {
		return false
	}
	if stateOf(test) != string(data) {
		t.Fatal("not the only form")
	}
	c, b := armOf(t, []float64{1, 2, 9}, 1), armOf(t, []float64{1, 2, 4, 5}, 2)
	for _, block := range []stats.MeanBlock{
		{Stratum: 4, Candidate: c, Baseline: b}, {Stratum: 5, Candidate: c, Baseline: b}, {Stratum: -9, Candidate: c, Baseline: c}, {Candidate: c}, {Differences: b},
	} {
		next, look, err := test.Look(block)
		if err != nil {
			continue
		}
		if math.IsNaN(look.Statistic+look.Critical+look.Information) || math.Abs(look.Statistic) > 1e6 || look.Used > look.Allowed && look.Used > 0.05 {
			t.Fatalf("%+v", look)
		}
		if d, err := next.Interval(0.025); err == nil && math.IsNaN(d.Lo+d.Hi) {
			t.Fatalf("%v of %+v", d, look)
		}
		_ = next.Spread()
		test = next
	}
	return true
}

// Every change of a byte either is refused or gives another test that works.
func TestPermutationBytes(t *testing.T) {
	source := stats.NewSource(6, 0)
	for i, state := range permutationStates(t) {
		if !usable(t, []byte(state)) {
			t.Fatalf("state %d is refused", i)
		}
		taken := 0
		for round := range 400 {
			data := []byte(state)
			at := source.Index(len(data))
			if round%2 == 0 {
				at = source.Index(min(len(data), 400))
			}
			data[at] ^= byte(1 << source.Index(8))
			if usable(t, data) {
				taken++
			}
			if usable(t, data[:at]) || usable(t, append([]byte(state), byte(at))) {
				t.Fatalf("state %d: cut at %d or prolonged it is taken", i, at)
			}
		}
		if taken == 400 {
			t.Errorf("state %d: every change is taken", i)
		}
	}
}

// A state that has used more than its budget is refused.
func TestPermutationOverspent(t *testing.T) {
	test := newPermutation(t, stats.PermutationPlan{Budget: 0.05, Information: 10})
	test, _, _ = test.Look(stats.MeanBlock{Candidate: armOf(t, lognormal(1, 20, 0.5), 1), Baseline: armOf(t, lognormal(2, 20, 0.5), 2)})
	data := []byte(stateOf(test))
	for _, c := range []struct {
		budget float64
		want   bool
	}{{0.06, true}, {0.046, false}} { // 47 of 1,000 are used
		binary.BigEndian.PutUint64(data[1:], math.Float64bits(c.budget))
		var read stats.PermutationTest
		if err := read.UnmarshalBinary(data); (err == nil) != c.want {
			t.Errorf("budget %v: %v", c.budget, err)
		}
	}
}

// FuzzPermutation says that no bytes make the test panic.
func FuzzPermutation(f *testing.F) {
	for _, state := range permutationStates(f) {
		f.Add([]byte(state))
	}
	f.Fuzz(func(t *testing.T, data []byte) { usable(t, data) })
}
