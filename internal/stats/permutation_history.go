package stats

import (
	"math"
	"math/bits"
	"sort"
)

// population is a finished baseline: the middles of the bins of its histogram
// and how many values are in each bin and the ones before.
type population struct {
	bins   []Bin
	upto   []int64
	centre float64   // the median; distances are from it
	values []float64 // distances of the bins
	guide  []int32   // for each part of the ranks, of equal size, the bin in which it begins
}

const (
	// historyDraws is the number of values up to which a replicate draws its
	// history value by value; beyond it the sums are as good as normal.
	historyDraws = 10_000
	guideBits    = 11
	guideSize    = 1 << guideBits
)

func populationOf(s Summary) (population, error) {
	bins := s.bins.cells()
	p := population{}
	for _, c := range bins {
		p.bins = append(p.bins, binOfKey(c.key))
		p.upto = append(p.upto, p.size()+int64(c.value))
	}
	if p.size() > runsLimit {
		return population{}, ErrTooManyRuns
	}
	return p.prepared(), nil
}

// prepared adds what follows from bins and counts.
func (p population) prepared() population {
	if p.size() == 0 {
		return p
	}
	p.centre = p.bins[p.find(p.size()/2)].Midpoint()
	p.values = make([]float64, 0, len(p.bins))
	for _, b := range p.bins {
		p.values = append(p.values, float64(b.Midpoint())-p.centre)
	}
	p.guide = make([]int32, guideSize)
	for i := range p.guide {
		p.guide[i] = int32(p.find(p.size() * int64(i) / guideSize))
	}
	return p
}

func (p population) size() int64 {
	if len(p.upto) == 0 {
		return 0
	}
	return p.upto[len(p.upto)-1]
}

// find returns the bin of the value of a rank from 0.
func (p population) find(rank int64) int {
	return sort.Search(len(p.upto), func(i int) bool { return p.upto[i] > rank })
}

// draw returns the sums of n values drawn with replacement, and of their squares.
func (p *population) draw(n int64, from *Source) (s1, s2 float64) {
	state, size := *from, uint64(p.size())
	upto, values := p.upto, p.values
	for range n {
		u := state.Uint64()
		rank, _ := bits.Mul64(u, size) // as Index
		i := p.guide[u>>(64-guideBits)]
		for upto[i] <= int64(rank) {
			i++
		}
		v := values[i]
		s1 += v
		s2 += float64(v * v)
	}
	return s1, s2
}

// moments are the means of the powers one to four of the distances.
func (p population) moments() [4]float64 {
	var m [4]float64
	before := int64(0)
	for i, v := range p.values {
		power := float64(p.upto[i] - before)
		before = p.upto[i]
		for k := range m {
			power = float64(power * v)
			m[k] += power
		}
	}
	for k := range m {
		m[k] /= float64(p.size())
	}
	return m
}

// addAgainstHistory adds the candidate's values to the stratum of the history
// and returns their units. Beyond 512 units their sample is taken. They are
// rounded to the middles of bins, as the history is.
func (t *PermutationTest) addAgainstHistory(s Values, seed Seed) int64 {
	if t.past.candidates == 0 {
		t.drawHistories()
	}
	factors, shift := t.plan.factors(), t.plan.shift()
	sum, squares := 0.0, 0.0
	cells := s.units.cells()
	for _, c := range cells {
		x := float64(BinOf(c.value.Sum.approximate() / float64(c.value.Count)).Midpoint())
		factor := factors[0]
		if x < 0 {
			factor = factors[1]
		}
		v := (x - (float64(factor*t.history.centre) + shift)) / factor
		t.past.raw += x - t.history.centre
		sum += v
		squares += float64(v * v)
	}
	n := int64(len(cells))
	t.past.candidates += n
	t.paths.h1[0] += sum
	t.paths.h2[0] += squares
	for i := 1; i < len(t.paths.in); i++ {
		if t.paths.in[i] {
			from := NewSource(seed, uint64(i))
			s1, s2 := t.history.draw(n, &from)
			t.paths.h1[i] += s1
			t.paths.h2[i] += s2
		}
	}
	return n
}

// drawHistories gives each replicate a history of its own: as many values, drawn
// with replacement. Nothing of the data enters but the history.
func (t *PermutationTest) drawHistories() {
	t.past.baselines = t.history.size()
	n := float64(t.past.baselines)
	m := t.history.moments()
	normal := normalSumsOf(m, 0, n, 1)
	t.paths.b1[0], t.paths.b2[0] = float64(n*m[0]), float64(n*m[1])
	stream := NewSource(t.plan.Seed, 0) // looks count from 1
	seed := Seed(stream.Uint64())
	for i := 1; i < len(t.paths.in); i++ {
		if !t.paths.in[i] {
			continue
		}
		from := NewSource(seed, uint64(i))
		if t.past.baselines > historyDraws {
			t.paths.b1[i], t.paths.b2[i] = normal.draw(&from)
		} else {
			t.paths.b1[i], t.paths.b2[i] = t.history.draw(t.past.baselines, &from)
		}
	}
}

// isFinite reports whether v is a number within limit of 0.
func isFinite(v, limit float64) bool { return math.Abs(v) <= limit }
