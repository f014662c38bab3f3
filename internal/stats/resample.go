package stats

import (
	"math"
	"math/bits"
	"slices"
)

// cell64 is a unit, or a group of units, as floats.
type cell64 struct{ sum, count float64 }

func (c cell64) plus(o *cell64) cell64 { return cell64{sum: c.sum + o.sum, count: c.count + o.count} }

// arm is one cohort's units in one stratum, laid out for drawing.
type arm struct {
	total  cell64
	values []float64 // the units' sums, where each unit is one run
	cells  []cell64  // the units, otherwise
	draws  int
	// If fewer are drawn than there are, a replicate's totals are
	// keep*total + gain*(what was drawn).
	keep, gain float64
}

func (a arm) units() int { return max(len(a.values), len(a.cells)) }

func (a arm) empty() bool { return a.units() == 0 }

// mean is the plain mean over runs.
func (a arm) mean() float64 { return a.total.sum / a.total.count }

// armOf lays out at most groups groups of units; a replicate draws at most
// draws of them. Units without a run are left out.
func armOf(list []Unit, groups, draws int) arm {
	cells, single := join(list, groups)
	a := arm{draws: min(len(cells), draws)}
	for i := range cells {
		a.total = a.total.plus(&cells[i])
	}
	if n := len(cells); a.draws < n {
		// What is drawn is blown up to n units, and its deviation from the
		// total is shrunk to the variance of the sum of n units.
		shrink := math.Sqrt(float64(a.draws) / float64(n-1))
		a.keep, a.gain = 1-shrink, shrink*float64(n)/float64(a.draws)
	}
	if !single {
		a.cells = cells
		return a
	}
	a.values = make([]float64, len(cells))
	for i, c := range cells {
		a.values[i] = c.sum
	}
	return a
}

// join turns a list of units into floats, neighbours joined to at most limit
// groups of as equal numbers of units as possible, and reports whether each is
// a single run. Sums of groups are exact before they are rounded.
func join(list []Unit, limit int) (cells []cell64, single bool) {
	filled := make([]Unit, 0, len(list))
	for _, u := range list {
		if u.Count > 0 {
			filled = append(filled, u)
		}
	}
	n := len(filled)
	groups := min(n, limit)
	cells, single = make([]cell64, 0, groups), true
	for g := range groups {
		var joined Unit
		for _, u := range filled[g*n/groups : (g+1)*n/groups] {
			joined = joined.plus(u)
		}
		cells = append(cells, cell64{sum: joined.Sum.Float64(), count: float64(joined.Count)})
		single = single && joined.Count == 1
	}
	return cells, single
}

// resample returns the mean over runs of one replicate.
func (a *arm) resample(from *Source) float64 {
	drawn := cell64{count: float64(a.draws)}
	switch {
	case a.units() > fourLimit:
		drawn = a.drawMany(from)
	case a.values != nil:
		drawn.sum = drawValues(a.values, a.draws, from)
	default:
		drawn = drawCells(a.cells, a.draws, from)
	}
	if a.draws == a.units() {
		return drawn.sum / drawn.count
	}
	sum := float64(a.keep*a.total.sum) + float64(a.gain*drawn.sum)
	return sum / (float64(a.keep*a.total.count) + float64(a.gain*drawn.count))
}

// A draw of 64 bits is used for four indexes while there are at most 4,096
// units, for two while there are at most 2^24, and else for one.
const (
	fourLimit = 1 << 12
	twoLimit  = 1 << 24
)

// drawValues returns the sum of draws values. Of the four indexes of a number,
// the first adds to the first partial sum, and so on: no sum waits for another.
func drawValues(values []float64, draws int, from *Source) float64 {
	n, state := uint64(len(values)), from.state
	var s, t, u, v float64
	for range draws / 4 {
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
	if rest := draws % 4; rest > 0 {
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
func drawCells(cells []cell64, draws int, from *Source) cell64 {
	n, state := uint64(len(cells)), from.state
	var s, t, u, v cell64
	for range draws / 4 {
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
	if rest := draws % 4; rest > 0 {
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

// drawMany draws where there are more than 4,096 units, one index at a time.
func (a *arm) drawMany(from *Source) cell64 {
	n := uint64(a.units())
	var drawn cell64
	left := uint64(0)
	for r := range a.draws {
		var i uint64
		if n > twoLimit || r%2 == 0 {
			left = from.Uint64()
		}
		i, left = bits.Mul64(left, n)
		if a.values != nil {
			drawn = drawn.plus(&cell64{sum: a.values[i], count: 1})
		} else {
			drawn = drawn.plus(&a.cells[i])
		}
	}
	return drawn
}

// evenShare returns the largest number such that no more than limit units are left
// when each list is cut to it, at least 1.
func evenShare(sizes []int, limit int) int {
	ascending := slices.Sorted(slices.Values(sizes))
	for i, n := range ascending {
		lists := len(ascending) - i
		if n*lists > limit {
			return max(limit/lists, 1)
		}
		limit -= n
	}
	return math.MaxInt
}
