package stats

import "math"

// addPairs adds differences to all paths and returns the number of pairs. They
// need no open stratum: sums of pairs and of their squares just add up.
func (t *PermutationTest) addPairs(s Values, seed Seed) int64 {
	shift := clampedFixed(t.plan.shift())
	f := plain(shift)
	units := int64(s.units.size)
	sum, raw, squares := 0.0, 0.0, 0.0
	var values []float64
	if s.more {
		m, zero := s.moments(f), s.moments(plain(Fixed{}))
		units, sum, raw, squares = s.Runs(), m[0], zero[0], m[1]
	} else {
		zero := plain(Fixed{})
		values = make([]float64, 0, s.units.size)
		for _, c := range s.units.cells() {
			v := f.of(c.value)
			values = append(values, v)
			sum += v
			raw += zero.of(c.value)
			squares += float64(v * v)
		}
	}
	t.closed = t.closed.plus(pairFigures(units, sum, raw, squares))
	t.paths.a[0] += float64(sum / 2)
	t.paths.q[0] += float64(squares / 4)
	deviation := math.Sqrt(squares)
	for i := 1; i < len(t.paths.in); i++ {
		if !t.paths.in[i] {
			continue
		}
		from := NewSource(seed, uint64(i))
		flipped := 0.0
		if s.more {
			flipped = float64(deviation * from.normal())
		} else {
			flipped = flippedSum(values, &from)
		}
		// A division by a power of two is compiled to a product.
		t.paths.a[i] += float64(flipped / 2)
		t.paths.q[i] += float64(squares / 4)
	}
	return units
}

// flippedSum adds the values up with random signs, one bit each, lowest first.
func flippedSum(values []float64, from *Source) float64 {
	sum, signs := 0.0, uint64(0)
	for i, v := range values {
		if i%64 == 0 {
			signs = from.Uint64()
		}
		sum += math.Float64frombits(math.Float64bits(v) ^ signs<<63)
		signs >>= 1
	}
	return sum
}
