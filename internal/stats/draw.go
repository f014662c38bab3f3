package stats

import "math/bits"

// cell64 is the runs and the sum of a unit, or of a group of units, as floats.
type cell64 struct{ sum, count float64 }

func (c cell64) plus(o *cell64) cell64 { return cell64{sum: c.sum + o.sum, count: c.count + o.count} }

// urn is what is drawn from, as often as there is something in it.
type urn struct {
	values []float64 // the units' sums, where each unit is one run
	cells  []cell64  // the units, otherwise
}

func (u *urn) size() int { return max(len(u.values), len(u.cells)) }

// at returns unit i.
func (u *urn) at(i int) cell64 {
	if u.values != nil {
		return cell64{sum: u.values[i], count: 1}
	}
	return u.cells[i]
}

// draw returns the sums of one resample.
func (u *urn) draw(from *Source) cell64 {
	switch {
	case u.size() > fourLimit:
		return u.drawMany(from)
	case u.values != nil:
		return cell64{sum: drawValues(u.values, from), count: float64(len(u.values))}
	}
	return drawCells(u.cells, from)
}

// fourLimit is the most units of which a number of 64 bits gives four indexes,
// twoLimit the most of which it gives two.
const (
	fourLimit = 1 << 12
	twoLimit  = 1 << 24
)

// indexesOf returns how many indexes below n a number of 64 bits gives.
func indexesOf(n int) int {
	switch {
	case n <= fourLimit:
		return 4
	case n <= twoLimit:
		return 2
	}
	return 1
}

// drawValues returns the sum of a resample of at most fourLimit values. Of the four indexes of a number,
// the first adds to the first partial sum, and so on: no sum waits for another.
func drawValues(values []float64, from *Source) float64 {
	n, state := uint64(len(values)), from.state
	var s, t, u, v float64
	for range n / 4 {
		state += golden
		i, z := bits.Mul64(mix(state), n)
		s += values[i]
		i, z = bits.Mul64(z, n)
		t += values[i]
		i, z = bits.Mul64(z, n)
		u += values[i]
		i, _ = bits.Mul64(z, n)
		v += values[i]
	}
	if rest := n % 4; rest > 0 {
		state += golden
		i, z := bits.Mul64(mix(state), n)
		s += values[i]
		if rest > 1 {
			i, z = bits.Mul64(z, n)
			t += values[i]
		}
		if rest > 2 {
			i, _ = bits.Mul64(z, n)
			u += values[i]
		}
	}
	from.state = state
	return (s + t) + (u + v)
}

// drawCells is drawValues for units of more than one run.
func drawCells(cells []cell64, from *Source) cell64 {
	n, state := uint64(len(cells)), from.state
	var s, t, u, v cell64
	for range n / 4 {
		state += golden
		i, z := bits.Mul64(mix(state), n)
		s = s.plus(&cells[i])
		i, z = bits.Mul64(z, n)
		t = t.plus(&cells[i])
		i, z = bits.Mul64(z, n)
		u = u.plus(&cells[i])
		i, _ = bits.Mul64(z, n)
		v = v.plus(&cells[i])
	}
	if rest := n % 4; rest > 0 {
		state += golden
		i, z := bits.Mul64(mix(state), n)
		s = s.plus(&cells[i])
		if rest > 1 {
			i, z = bits.Mul64(z, n)
			t = t.plus(&cells[i])
		}
		if rest > 2 {
			i, _ = bits.Mul64(z, n)
			u = u.plus(&cells[i])
		}
	}
	from.state = state
	return cell64{sum: (s.sum + t.sum) + (u.sum + v.sum), count: (s.count + t.count) + (u.count + v.count)}
}

// drawMany draws where there are more than 4,096 units.
func (u *urn) drawMany(from *Source) cell64 {
	n := u.size()
	each := indexesOf(n)
	var drawn cell64
	z := uint64(0)
	for r := range n {
		if r%each == 0 {
			z = from.Uint64()
		}
		var i uint64
		i, z = bits.Mul64(z, uint64(n))
		c := u.at(int(i))
		drawn = drawn.plus(&c)
	}
	return drawn
}
