package stats

import "math"

// paths is the state of the data, which is path 0, and of all replicates. What
// was taken out is 0 but for the data, which is followed on.
type paths struct {
	in     []bool
	a, q   []float64 // closed strata: sums of w d and of w² V
	s1, s2 []float64 // open stratum: sums of the candidate's values and squares
	h1, h2 []float64 // the same against history, nil without
	b1, b2 []float64 // the replicate's own history, nil without
	memory []float64 // of all these, one after the other
}

func newPaths(n int, history bool) paths {
	p := paths{in: make([]bool, n)}
	for i := range p.in {
		p.in[i] = true
	}
	lists := 4
	if history {
		lists = 8
	}
	return p.split(make([]float64, lists*n))
}

// split deals out the memory of all lists of floats.
func (p paths) split(memory []float64) paths {
	n := len(p.in)
	p.memory = memory
	for i, list := range [...]*[]float64{&p.a, &p.q, &p.s1, &p.s2, &p.h1, &p.h2, &p.b1, &p.b2} {
		if len(memory) > i*n {
			*list = memory[i*n : (i+1)*n : (i+1)*n]
		}
	}
	return p
}

func (p paths) clone() paths {
	return paths{in: append([]bool(nil), p.in...)}.split(append([]float64(nil), p.memory...))
}

// out is the number of paths that were taken out.
func (p paths) out() int {
	n := 0
	for _, in := range p.in {
		if !in {
			n++
		}
	}
	return n
}

func (p paths) take(i int) {
	p.in[i] = false
	if i == 0 {
		return
	}
	for _, list := range [...][]float64{p.a, p.q, p.s1, p.s2, p.h1, p.h2, p.b1, p.b2} {
		if list != nil {
			list[i] = 0
		}
	}
}

// statistics returns the statistic of each of the first n paths.
func (t PermutationTest) statistics(n int) []float64 {
	list := make([]float64, n)
	side := t.plan.side()
	open := splitOf(t.open.candidates, t.open.baselines)
	past := splitOf(t.past.candidates, t.past.baselines)
	for i, in := range t.paths.in[:n] {
		if in || i == 0 {
			shift, variance := t.sums(i, &open, &past)
			list[i] = studentized(side*shift, variance)
		}
	}
	return list
}

// sums returns the sums of w d, under the margin, and of w² V of a path.
func (t *PermutationTest) sums(i int, open, past *split) (shift, variance float64) {
	shift, variance = t.paths.a[i], t.paths.q[i]
	if t.open.candidates > 0 {
		s1, s2 := t.paths.s1[i], t.paths.s2[i]
		d, v := open.parts(s1, s2, t.open.p1-s1, t.open.p2-s2)
		shift += d
		variance += v
	}
	if t.past.candidates > 0 {
		d, v := past.parts(t.paths.h1[i], t.paths.h2[i], t.paths.b1[i], t.paths.b2[i])
		shift += d
		variance += v
	}
	return shift, variance
}

func studentized(shift, variance float64) float64 {
	if shift == 0 {
		return 0
	}
	return max(-statisticLimit, min(shift/math.Sqrt(variance), statisticLimit))
}

// split is how the units of a stratum are divided between the arms.
type split struct {
	candidates, baselines               float64
	candidateShare, baselineShare       float64
	candidateVariance, baselineVariance float64 // factors of the sums of squares about the means in w² V
}

func splitOf(candidates, baselines int64) split {
	c, b := float64(candidates), float64(baselines)
	s := split{candidates: c, baselines: b, candidateShare: c / (c + b), baselineShare: b / (c + b)}
	w := c * b / (c + b)
	switch {
	case candidates > 1 && baselines > 1:
		s.candidateVariance, s.baselineVariance = w*w/(c*(c-1)), w*w/(b*(b-1))
	case baselines > 1: // w² (1/c + 1/b) is w
		s.baselineVariance = w / (b - 1)
	case candidates > 1:
		s.candidateVariance = w / (c - 1)
	}
	return s
}

// parts returns w d and w² V of a stratum in which the candidate's values and
// squares add up to c1 and c2 and the baseline's to b1 and b2.
func (s *split) parts(c1, c2, b1, b2 float64) (shift, variance float64) {
	shift = float64(s.baselineShare*c1) - float64(s.candidateShare*b1)
	if v := c2 - c1*c1/s.candidates; v > 0 {
		variance = float64(s.candidateVariance * v)
	}
	if v := b2 - b1*b1/s.baselines; v > 0 {
		variance += float64(s.baselineVariance * v)
	}
	return shift, variance
}
