package stats

import (
	"math"
	"testing"
)

func TestHypergeometric(t *testing.T) {
	for _, c := range []struct {
		m, n, failures int64
		odds           float64
		want           []float64
	}{
		{5, 95, 12, 1, []float64{0.5203485518, 0.3716775370, 0.0961988919, 0.0111859177, 0.0005785819, 0.0000105197}},
		{15, 15, 12, 2, []float64{
			0.0000000527, 0.0000047415, 0.0001460393, 0.0021094567, 0.0162729515, 0.0716009865, 0.1856321871,
			0.2864039459, 0.2603672235, 0.1350052270, 0.0373860629, 0.0048553328, 0.0002157926,
		}},
		{4, 3, 7, 1, []float64{0, 0, 0, 0, 1}},
		{4, 3, 0, 3, []float64{1}},
		{1, 1, 1, 1, []float64{0.5, 0.5}},
	} {
		law := hypergeometric(c.m, c.n, c.failures, c.odds, nil)
		if law.hi() != int64(len(c.want)-1) {
			t.Errorf("%+v: highest value %d", c, law.hi())
		}
		for x, want := range c.want {
			if got := law.at(int64(x)); math.Abs(got-want) > 1e-10 {
				t.Errorf("%+v: P(%d) = %.10f, want %.10f", c, x, got, want)
			}
		}
	}
}

func TestHypergeometricMoments(t *testing.T) {
	for _, c := range [][3]int64{{1000, 19000, 2000}, {1 << 20, 1 << 20, 1 << 18}, {7, 5, 6}, {1, 500, 250}} {
		law := hypergeometric(c[0], c[1], c[2], 1, nil)
		m, n, f := float64(c[0]), float64(c[1]), float64(c[2])
		sum, mean, square := 0.0, 0.0, 0.0
		for i, p := range law.cells {
			x := float64(law.lo + int64(i))
			sum += p
			mean += p * x
		}
		for i, p := range law.cells {
			x := float64(law.lo+int64(i)) - mean
			square += p * x * x
		}
		want := f * m / (m + n)
		variance := want * n / (m + n) * (m + n - f) / (m + n - 1)
		if math.Abs(sum-1) > 1e-12 || math.Abs(mean/want-1) > 1e-10 || math.Abs(square/variance-1) > 1e-8 {
			t.Errorf("%v: sum %v, mean %v (%v), variance %v (%v)", c, sum, mean, want, square, variance)
		}
	}
}

func TestCutLeavesACell(t *testing.T) {
	c := chances{lo: 3, cells: []float64{0.01, 0.01}}
	rest, taken, boundary := c.cut(0, 0.5)
	if len(rest.cells) != 1 || taken != 0.01 || boundary != 4 {
		t.Errorf("cut = %v %v %v", rest, taken, boundary)
	}
}
