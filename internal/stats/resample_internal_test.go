package stats

import (
	"math"
	"slices"
	"testing"
)

// Drawing fewer units than there are leaves the mean of the totals as it is and
// gives their sum the unbiased variance n s^2.
func TestFewerDraws(t *testing.T) {
	var units []Unit
	total, squares := 0.0, 0.0
	const n = 40
	for i := range n {
		v := float64(i*i%37) - 9
		units = append(units, Unit{Count: 1, Sum: fixedInt(int64(v))})
		total += v
		squares += v * v
	}
	want := n * (squares - total*total/n) / (n - 1)
	for _, draws := range []int{1, 8, 13, n - 1} {
		a := armOf(units, math.MaxInt, draws)
		const replicates = 200_000
		sum, square := 0.0, 0.0
		from := NewSource(3, uint64(draws))
		for range replicates {
			deviation := n*a.resample(&from) - total
			sum += deviation
			square += deviation * deviation
		}
		if mean := sum / replicates; math.Abs(mean) > 4*math.Sqrt(want/replicates) {
			t.Errorf("%d draws: mean of the totals off by %v", draws, mean)
		}
		if ratio := square / replicates / want; math.Abs(ratio-1) > 0.02 {
			t.Errorf("%d draws: variance %v of the exact one", draws, ratio)
		}
	}
}

func TestEvenShare(t *testing.T) {
	for _, c := range []struct {
		sizes []int
		limit int
		want  int
	}{
		{nil, 10, math.MaxInt},
		{[]int{3, 0, 4}, 7, math.MaxInt},
		{[]int{3, 0, 5}, 7, 4},
		{[]int{1024, 30}, 1024, 994},
		{[]int{1024, 1024, 1024, 1024}, 1024, 256},
		{[]int{9, 9, 9, 1}, 3, 1},
	} {
		if got := evenShare(c.sizes, c.limit); got != c.want {
			t.Errorf("evenShare(%v, %d) = %d, want %d", c.sizes, c.limit, got, c.want)
		}
	}
}

func TestSelectQuantile(t *testing.T) {
	from := NewSource(9, 0)
	shapes := map[string]func(i, n int) float64{
		"random":     func(_, _ int) float64 { return float64(from.Uint64()>>11) - 1<<52 },
		"few values": func(_, _ int) float64 { return float64(from.Index(3)) },
		"ascending":  func(i, _ int) float64 { return float64(i) },
		"descending": func(i, _ int) float64 { return -float64(i) },
		"equal":      func(_, _ int) float64 { return 5 },
		"organ pipe": func(i, n int) float64 { return float64(min(i, n-i)) },
		"saw":        func(i, _ int) float64 { return float64(i % 17) },
	}
	for name, shape := range shapes {
		for _, n := range []int{1, 2, 3, 10, 101, 1000, 10_000} {
			values := make([]float64, n)
			for i := range values {
				values[i] = shape(i, n)
			}
			ordered := slices.Clone(values)
			slices.Sort(ordered)
			for _, q := range []float64{0.975, 0.5, 0.025, 0, 1, 0.3333} {
				if got, want := selectQuantile(values, q), QuantileType7(ordered, q); got != want {
					t.Fatalf("%s, %d values: the %v-quantile is %v, want %v", name, n, q, got, want)
				}
			}
		}
	}
	if !math.IsNaN(selectQuantile(nil, 0.5)) || !math.IsNaN(selectQuantile([]float64{1}, 1.5)) {
		t.Error("want NaN where there is nothing")
	}
}

// The first index of a number is its share of 2^64, and four together are one
// number below n^4: none is likelier than another by more than n^4/2^64.
func TestIndexesCoverEvenly(t *testing.T) {
	const n, draws = 37, 370_000
	values := make([]float64, n)
	from := NewSource(4, 4)
	chi := 0.0
	for i := range values {
		values[i] = 1
		hits := drawValues(values, draws, &from)
		values[i] = 0
		chi += (hits - draws/n) * (hits - draws/n) / (draws / n)
	}
	// Chi-squared with 37 degrees of freedom exceeds 70.2 once in a thousand.
	if chi > 70.2 {
		t.Errorf("chi-squared of the indexes %v", chi)
	}
}
