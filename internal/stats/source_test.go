package stats_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/cobound/prova/internal/stats"
)

// The expected numbers were computed from the doc comment in another language.
func TestSource(t *testing.T) {
	for _, c := range []struct {
		seed      stats.Seed
		replicate uint64
		want      [3]uint64
	}{
		{0x0, 0x0, [3]uint64{0xfc0415bd76a1fb9c, 0xa4323f8ab4758681, 0x4ba3b239866fafe}},
		{0x0, 0x1, [3]uint64{0xe7115a17b8b38065, 0x4c04e9ba5043bab4, 0x721abfc5ed5f087f}},
		{0x1, 0x0, [3]uint64{0xfa72c05a754f82d5, 0xc8875d882da8d887, 0xb8d924ce34af68e3}},
		{0xffffffffffffffff, 0xffffffffffffffff, [3]uint64{0x8a6606a54e3eb00, 0x93ca69c336d61cd4, 0xafc0a163b59934bc}},
		{0x2a, 0x7cf, [3]uint64{0xbea51520dda4ed41, 0x2241f97767ac5ca2, 0x7a4f13781c7ea6d3}},
	} {
		source := stats.NewSource(c.seed, c.replicate)
		if got := [3]uint64{source.Uint64(), source.Uint64(), source.Uint64()}; got != c.want {
			t.Errorf("seed %#x, replicate %#x: %#x, want %#x", c.seed, c.replicate, got, c.want)
		}
	}
	tens, millions := stats.NewSource(42, 0), stats.NewSource(42, 1)
	var got []int
	for range 12 {
		got = append(got, tens.Index(10))
	}
	for range 4 {
		got = append(got, millions.Index(1000003))
	}
	if fmt.Sprint(got) != "[5 5 4 8 3 5 9 6 8 4 6 3 445913 425220 160202 609276]" {
		t.Errorf("indices %v", got)
	}
	if tens.Index(0) != 0 || tens.Index(-1) != 0 || tens.Index(1) != 0 {
		t.Error("an index out of nothing")
	}
}

func TestSeedOf(t *testing.T) {
	for _, c := range []struct {
		parts []string
		want  stats.Seed
	}{
		{nil, 0xe3b0c44298fc1c14},
		{[]string{""}, 0xaf5570f5a1810b7a},
		{[]string{"a", "b"}, 0x3c9d591045bc8876},
		{[]string{"ab"}, 0x9caccc24b5d7e06c},
		{[]string{"rollout", "success", "7"}, 0x7dc724ec065dcd78},
	} {
		if got := stats.SeedOf(c.parts...); got != c.want {
			t.Errorf("SeedOf(%q) = %#x, want %#x", c.parts, uint64(got), uint64(c.want))
		}
	}
}

// Neighbouring replicates share nothing: with starts that differ by the
// generator's own step each would repeat its neighbour one draw later.
func TestReplicatesAreIndependent(t *testing.T) {
	const draws = 400
	seen := map[uint64]bool{}
	sum, square := 0.0, 0.0
	for r := range uint64(400) {
		source := stats.NewSource(9, r)
		total := 0.0
		for range draws {
			v := source.Uint64()
			if seen[v] {
				t.Fatalf("replicate %d repeats a draw", r)
			}
			seen[v] = true
			total += float64(v>>11) / (1 << 53)
		}
		sum += total
		square += total * total
	}
	mean := sum / 400
	deviation := math.Sqrt(square/400 - mean*mean)
	near(t, "mean of uniform sums", mean, draws/2, 2)
	near(t, "deviation of uniform sums", deviation, math.Sqrt(draws/12.0), 0.15*math.Sqrt(draws/12.0))
}
