package stats

import (
	"math"
	"sort"
)

// frame turns values into distances from a centre, under a margin: (x - c)/f,
// where c and f depend on the sign of x.
type frame struct {
	centre [2]Fixed
	factor [2]float64
}

// plain is the frame of the baseline, which has no margin.
func plain(centre Fixed) frame {
	return frame{centre: [2]Fixed{centre, centre}, factor: [2]float64{1, 1}}
}

// harmless is the frame of a candidate: what is at the margin falls on the
// baseline.
func (p PermutationPlan) harmless(centre Fixed) frame {
	f := plain(centre)
	f.factor = p.factors()
	for i, factor := range f.factor {
		f.centre[i] = clampedFixed(float64(factor*centre.approximate()) + p.shift())
		if factor == 1 { // exactly
			f.centre[i] = centre.Add(clampedFixed(p.shift()))
		}
	}
	return f
}

// factors divide candidate values from 0 on and those below 0.
func (p PermutationPlan) factors() [2]float64 {
	m := p.Margin.Relative
	more, less := 1+m, max(1-m, 1.0/1024)
	if p.LowerIsWorse {
		return [2]float64{1 - m, more}
	}
	return [2]float64{more, less}
}

// Discounted returns the value that a candidate's value v counts as under the
// relative margin. Differences of pairs are to be taken from it.
func (p PermutationPlan) Discounted(v float64) float64 {
	if v < 0 {
		return v / p.factors()[1]
	}
	return v / p.factors()[0]
}

// shift is the absolute margin as a difference, candidate minus baseline.
func (p PermutationPlan) shift() float64 { return float64(p.side() * p.Margin.Absolute) }

func clampedFixed(v float64) Fixed {
	f, err := FixedOf(max(-fixedLimit, min(v, fixedLimit)))
	if err != nil {
		return Fixed{} // not reachable: the value is finite and in range
	}
	return f
}

// of is the distance of a unit's mean.
func (f *frame) of(u Unit) float64 {
	i := 0
	if u.Sum.hi < 0 {
		i = 1
	}
	if u.Count == 1 {
		return u.Sum.Sub(f.centre[i]).approximate() / f.factor[i]
	}
	return u.Sum.Sub(f.centre[i].times(u.Count)).approximate() / (f.factor[i] * float64(u.Count))
}

// moments returns the sums of the powers one to four of the distances of all
// runs. The sums about the centre are exact integers before they are rounded,
// so nothing cancels.
func (s Values) moments(f frame) [4]float64 {
	var sums [4]float64
	for i, p := range s.powers {
		if p.n == 0 {
			continue
		}
		scale := 1.0
		for k, exact := range p.about(f.centre[i], i == 1) {
			scale *= fixedScale * f.factor[i]
			v, _ := exact.Float64()
			sums[k] += v / scale
		}
	}
	return sums
}

// pool is both arms of a block.
type pool struct {
	candidates, baselines int64
	c1, c2, p1, p2        float64   // sums over the candidate and over both arms
	raw                   float64   // sum over the candidate without the margin
	values                []float64 // of all units, by hash; none if both arms are too large
	normal                normalSums
}

// normalSums is the law of sums over a random part of too many values to draw
// it: the sum of distances from the pool's mean and that of their squares have
// exact moments and are taken for normal.
type normalSums struct {
	part, mean        float64 // units drawn, the mean of all about the centre
	square, deviation float64 // mean of the squares about the mean; standard deviation of the sum
	slope, residual   float64 // of the sum of squares given the sum
}

// poolOf returns the arms of a block. Where one arm is kept singly so is, as a
// sample, the other: drawing labels is exact then.
func (t PermutationTest) poolOf(b MeanBlock, centre Fixed) pool {
	base, harmless := plain(centre), t.plan.harmless(centre)
	if b.Candidate.more && b.Baseline.more {
		return largePool(b, base, harmless)
	}
	c, o := b.Candidate.units.cells(), b.Baseline.units.cells()
	p := pool{candidates: int64(len(c)), baselines: int64(len(o)), values: make([]float64, 0, len(c)+len(o))}
	small1, small2 := 0.0, 0.0
	candidateIsSmall := len(c) <= len(o)
	for len(c)+len(o) > 0 { // by hash, so that the order knows nothing of the labels
		mine := len(o) == 0 || len(c) > 0 && c[0].key <= o[0].key
		v := 0.0
		if mine {
			v = harmless.of(c[0].value)
			p.raw += base.of(c[0].value)
			c = c[1:]
		} else {
			v = base.of(o[0].value)
			o = o[1:]
		}
		square := float64(v * v)
		p.values = append(p.values, v)
		p.p1 += v
		p.p2 += square
		if mine == candidateIsSmall {
			small1 += v
			small2 += square
		}
	}
	p.c1, p.c2 = small1, small2
	if !candidateIsSmall {
		p.c1, p.c2 = p.p1-small1, p.p2-small2
	}
	return p
}

// largePool takes each run for a unit.
func largePool(b MeanBlock, base, harmless frame) pool {
	p := pool{candidates: b.Candidate.Runs(), baselines: b.Baseline.Runs()}
	n := float64(p.candidates + p.baselines)
	c, o := b.Candidate.moments(harmless), b.Baseline.moments(base)
	p.c1, p.c2, p.p1, p.p2 = c[0], c[1], c[0]+o[0], c[1]+o[1]
	p.raw = b.Candidate.moments(base)[0]
	// Moments about the mean of the pool, by integers about a point near it.
	mean := p.p1 / n
	step := clampedFixed(mean)
	base.centre = [2]Fixed{base.centre[0].Add(step), base.centre[1].Add(step)}
	for i, factor := range harmless.factor {
		harmless.centre[i] = harmless.centre[i].Add(clampedFixed(float64(factor * step.approximate())))
	}
	c, o = b.Candidate.moments(harmless), b.Baseline.moments(base)
	for k := range c {
		c[k] = (c[k] + o[k]) / n
	}
	p.normal = normalSumsOf(c, step.approximate(), float64(p.candidates), (n-float64(p.candidates))/(n-1))
	return p
}

// normalSumsOf returns the law of the sums over so many of values that have the
// moments m about a point near their mean; correction is 1 when drawing with
// replacement.
func normalSumsOf(m [4]float64, point, part, correction float64) normalSums {
	e := m[0]
	m2 := m[1] - float64(e*e)
	m3 := m[2] - float64(3*e*m[1]) + float64(2*e*e*e)
	m4 := m[3] - float64(4*e*m[2]) + float64(6*e*e*m[1]) - float64(3*e*e*e*e)
	s := normalSums{part: part, mean: point + e}
	if !(m2 > 0) {
		return s
	}
	s.square = m2
	s.deviation = math.Sqrt(float64(part * correction * m2))
	s.slope = m3 / m2
	rest := m4 - float64(m2*m2) - float64(m3*m3)/m2
	s.residual = math.Sqrt(float64(part * correction * max(rest, 0)))
	return s
}

// draw returns sums of values and squares about the centre.
func (s *normalSums) draw(from *Source) (s1, s2 float64) {
	sum := float64(s.deviation * from.normal())
	squares := float64(s.part*s.square) + float64(s.slope*sum) + float64(s.residual*from.normal())
	// No sum of squares is below that of equal parts.
	squares = max(squares, float64(sum*sum)/s.part)
	s1 = sum + float64(s.part*s.mean)
	return s1, squares + float64(2*s.mean*sum) + float64(s.part*s.mean*s.mean)
}

// normal returns a standard normal variate, by inversion.
func (s *Source) normal() float64 {
	return NormalQuantile((float64(s.Uint64()>>12) + 0.5) / (1 << 52))
}

// draw adds to each path its sums over the candidate's units: path 0 has the
// data's own, each other those of a random part of the pool. A part is drawn by
// the steps of Fisher & Yates, the smaller arm of the two. They go on from the
// order that the path before left behind: any order will do.
func (p pool) draw(seed Seed, in []bool, s1, s2 []float64) {
	s1[0] += p.c1
	s2[0] += p.c2
	small := int(min(p.candidates, p.baselines))
	for i := 1; i < len(in); i++ {
		if !in[i] {
			continue
		}
		from := NewSource(seed, uint64(i))
		if len(p.values) == 0 {
			v, squares := p.normal.draw(&from)
			s1[i] += v
			s2[i] += min(squares, p.p2)
			continue
		}
		v, squares := drawPart(p.values, small, &from)
		if p.candidates > p.baselines {
			v, squares = p.p1-v, p.p2-squares
		}
		s1[i] += v
		s2[i] += squares
	}
}

func drawPart(values []float64, k int, from *Source) (sum, squares float64) {
	state := *from
	for i := range k {
		rest := values[i:]
		j := state.Index(len(rest))
		v := rest[j]
		rest[j] = rest[0]
		rest[0] = v
		sum += v
		squares += float64(v * v)
	}
	return sum, squares
}

// centreOf returns a point amid the values of a block, so that squares of
// distances from it lose no digits: the median of the baseline's units. Of
// values that are all the same it is the value, and all distances are 0.
func centreOf(b MeanBlock) Fixed {
	cells := b.Baseline.units.cells()
	list := make([]float64, 0, len(cells))
	for _, c := range cells {
		list = append(list, c.value.Sum.approximate()/float64(c.value.Count))
	}
	sort.Float64s(list)
	v := list[len(list)/2]
	// Leave room for the factor and the shift of a margin.
	const limit = (fixedLimit - absoluteLimit) / (1 + relativeLimit)
	return clampedFixed(max(-limit, min(v, limit)))
}
