package stats

import (
	"math"
	"math/big"
	"testing"
)

func TestWide(t *testing.T) {
	x := wide{math.MaxUint64, math.MaxUint64 - 5, 12345}
	y := wide{math.MaxUint64 - 1, 77, math.MaxUint64}
	product := new(big.Int).Mul(x.big(), y.big())
	if got := x.times(y).big(); got.Cmp(product) != 0 {
		t.Errorf("product %v, want %v", got, product)
	}
	if got := x.times(y).plus(x).big(); got.Cmp(product.Add(product, x.big())) != 0 {
		t.Errorf("sum %v, want %v", got, product)
	}
	for _, n := range []int64{0, 1, -1, 1 << 31, -(1 << 40)} {
		for _, v := range []float64{0, 0.1, -0.1, 1e18, -1e18} {
			f, _ := FixedOf(v)
			want := new(big.Int).Mul(f.big(), big.NewInt(n))
			if want.BitLen() < 127 && f.times(n).big().Cmp(want) != 0 {
				t.Errorf("%v times %d is %v", v, n, f.times(n))
			}
			if a := f.approximate(); math.Abs(a-v) > 4e-16*math.Abs(v) {
				t.Errorf("%v is about %v", v, a)
			}
		}
	}
}

// Sums of powers about a point are those of the values, also where all values
// are far from 0 and near to each other.
func TestMoments(t *testing.T) {
	for _, offset := range []float64{0, 1e6, -1e6, 3} {
		var s Values
		centre := clampedFixed(offset + 0.5)
		f := frame{centre: [2]Fixed{centre, centre}, factor: [2]float64{1.25, 0.75}}
		var want [4]float64
		for i := range 700 {
			v := offset + float64(i%13) - 6
			if err := s.Add(v, uint64(i)<<50+uint64(i)); err != nil {
				t.Fatal(err)
			}
			factor := f.factor[0]
			if v < 0 {
				factor = f.factor[1]
			}
			distance, power := (v-offset-0.5)/factor, 1.0
			for k := range want {
				power *= distance
				want[k] += power
			}
		}
		got := s.moments(f)
		for k := range want {
			if math.Abs(got[k]-want[k]) > 1e-12*(700+math.Abs(want[k])) {
				t.Errorf("offset %v: power %d is %v, want %v", offset, k+1, got[k], want[k])
			}
		}
	}
}

// The normal law of large blocks has the moments of drawing labels.
func TestNormalSums(t *testing.T) {
	var arm [2]Values
	from := NewSource(5, 0)
	n := [2]int{520, 1560}
	for i := range arm {
		for range n[i] {
			if err := arm[i].Add(math.Round(1e6*Exp(0.5*from.normal()))/1e4-20, from.Uint64()); err != nil {
				t.Fatal(err)
			}
		}
	}
	test := PermutationTest{plan: PermutationPlan{Margin: MeanMargin{Absolute: 2, Relative: 0.1}}}
	b := MeanBlock{Candidate: arm[0], Baseline: arm[1]}
	p := test.poolOf(b, fixedInt(90))
	if p.values != nil || p.candidates != 520 || p.baselines != 1560 {
		t.Fatalf("pool of %d and %d", p.candidates, p.baselines)
	}
	// The same pool, singly.
	harmless, base := test.plan.harmless(fixedInt(90)), plain(fixedInt(90))
	var values []float64
	from = NewSource(5, 0)
	for i := range arm {
		for range n[i] {
			v, _ := FixedOf(math.Round(1e6*Exp(0.5*from.normal()))/1e4 - 20)
			from.Uint64()
			f := [2]frame{harmless, base}[i]
			values = append(values, f.of(Unit{Count: 1, Sum: v}))
		}
	}
	c1, p1 := 0.0, 0.0
	for i, v := range values {
		if p1 += v; i < n[0] {
			c1 += v
		}
	}
	if math.Abs(p.c1-c1) > 1e-6 || math.Abs(p.p1-p1) > 1e-6 {
		t.Errorf("sums %v, %v, want %v, %v", p.c1, p.p1, c1, p1)
	}
	const rounds = 20_000
	var m [2][5]float64 // means, variances, covariance
	var first [2]float64
	for kind := range m {
		from := NewSource(8, uint64(kind))
		for r := range rounds {
			var x, y float64
			if kind == 0 {
				x, y = p.normal.draw(&from)
			} else {
				x, y = drawPart(values, n[0], &from)
				from.Uint64()
				from = NewSource(from1(&from), 3)
			}
			if r == 0 && kind == 0 {
				first = [2]float64{x, y}
			}
			x, y = x-first[0], y-first[1]
			for k, v := range [...]float64{x, y, x * x, y * y, x * y} {
				m[kind][k] += v / rounds
			}
		}
		m[kind][2] -= m[kind][0] * m[kind][0]
		m[kind][3] -= m[kind][1] * m[kind][1]
		m[kind][4] -= m[kind][0] * m[kind][1]
	}
	for k, scale := range [...]float64{math.Sqrt(m[1][2]), math.Sqrt(m[1][3]), m[1][2], m[1][3], math.Sqrt(m[1][2] * m[1][3])} {
		if d := math.Abs(m[0][k]-m[1][k]) / scale; d > 0.06 {
			t.Errorf("moment %d is %v, drawing gives %v", k, m[0][k], m[1][k])
		}
	}
}

func from1(s *Source) Seed { return Seed(s.Uint64()) }

// Sums drawn from history have the moments of its histogram.
func TestHistoryDraws(t *testing.T) {
	var s Summary
	from := NewSource(4, 0)
	sum := 0.0
	for i := range 500 {
		v := Exp(from.normal())
		if err := s.Add(v, uint64(i)); err != nil {
			t.Fatal(err)
		}
		sum += BinOf(v).Midpoint()
	}
	p, err := populationOf(s)
	if err != nil {
		t.Fatal(err)
	}
	for rank := range p.size() {
		if got, want := p.bins[p.find(rank)], s.ranked(rank); got != want {
			t.Fatalf("rank %d is in bin %d, want %d", rank, got, want)
		}
	}
	m := p.moments()
	if got := m[0] + p.centre; math.Abs(got-sum/500) > 1e-12 {
		t.Errorf("mean %v, want %v", got, sum/500)
	}
	s1, s2 := p.draw(400_000, &from)
	for k, got := range [...]float64{s1 / 400_000, s2 / 400_000} {
		error4 := 4 * math.Sqrt(m[2*k+1]/400_000)
		if math.Abs(got-m[k]) > error4 {
			t.Errorf("mean of power %d is %v, want %v within %v", k+1, got, m[k], error4)
		}
	}
}
