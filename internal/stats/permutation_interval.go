package stats

import (
	"fmt"
	"math"
)

// figures is what is shown of the data: sums over strata.
type figures struct {
	information float64    // of w
	pairs       float64    // of w over blocks of pairs
	difference  float64    // of w times the difference of means, without the margin
	baseline    float64    // of w times the baseline's mean; 0 for pairs
	variance    float64    // of w² V
	freedom     float64    // of the squares of the parts of w² V over their degrees of freedom
	squares     [2]float64 // of both arms' squares about their means
	degrees     [2]float64 // of freedom, of both arms
}

func (f figures) plus(o figures) figures {
	f.information += o.information
	f.pairs += o.pairs
	f.difference += o.difference
	f.baseline += o.baseline
	f.variance += o.variance
	f.freedom += o.freedom
	for i := range f.squares {
		f.squares[i] += o.squares[i]
		f.degrees[i] += o.degrees[i]
	}
	return f
}

// figures returns those of a stratum in which the candidate's values and squares
// add up to c1 and c2.
func (a arms) figures(c1, c2 float64) figures {
	return a.figuresOf(c1, c2, a.p1-c1, a.p2-c2, a.centre.approximate())
}

func (a arms) figuresOf(c1, c2, b1, b2, centre float64) figures {
	s := splitOf(a.candidates, a.baselines)
	w := weight(a.candidates, a.baselines)
	f := figures{
		information: w,
		difference:  float64(s.baselineShare*a.raw) - float64(s.candidateShare*b1),
		baseline:    float64(w * (centre + b1/s.baselines)),
		squares:     [2]float64{max(c2-c1*c1/s.candidates, 0), max(b2-b1*b1/s.baselines, 0)},
		degrees:     [2]float64{s.candidates - 1, s.baselines - 1},
	}
	for i, factor := range [...]float64{s.candidateVariance, s.baselineVariance} {
		if f.degrees[i] > 0 {
			part := float64(factor * f.squares[i])
			f.variance += part
			f.freedom += float64(part*part) / f.degrees[i]
		}
	}
	return f
}

// pairFigures are those of n pairs whose differences under the margin add up to
// sum and squares, and without it to raw.
func pairFigures(n int64, sum, raw, squares float64) figures {
	pairs := float64(n)
	f := figures{information: pairs / 2, pairs: pairs / 2, difference: raw / 2, variance: squares / 4}
	if n > 1 {
		f.variance = max(squares-sum*sum/pairs, 0) * (pairs / (4 * (pairs - 1)))
		f.freedom = float64(f.variance*f.variance) / (pairs - 1)
	}
	return f
}

// figures returns those of all blocks.
func (t PermutationTest) figures() figures {
	f := t.closed
	if t.open.candidates > 0 {
		f = f.plus(t.open.figures(t.paths.s1[0], t.paths.s2[0]))
	}
	if t.past.candidates > 0 {
		f = f.plus(t.past.figuresOf(t.paths.h1[0], t.paths.h2[0], t.paths.b1[0], t.paths.b2[0], t.history.centre))
	}
	return f
}

// own returns the data's sums of w d, under the margin, and of w² V.
func (t PermutationTest) own() (shift, variance float64) {
	open := splitOf(t.open.candidates, t.open.baselines)
	past := splitOf(t.past.candidates, t.past.baselines)
	return t.sums(0, &open, &past)
}

// Interval returns the difference of means, candidate minus baseline, in units
// of the metric, weighted over the strata by n_c n_b / (n_c + n_b), with the
// interval that belongs to the last look. Its limit on the side of harm, the
// lower one unless LowerIsWorse, is at that look's critical value, so that it
// is at the Threshold or beyond exactly when the look was Regressed; the
// probability of an error beyond the other limit is about upper, in (0, 1),
// usually 0.025. It fails with ErrUntested, and with ErrOneOutcome where all values
// of both arms are the same.
//
// The other limit is Student's at Welch's degrees of freedom, over strata, by
// the first terms of the expansion of Cornish & Fisher 1938.
func (t PermutationTest) Interval(upper float64) (Difference, error) {
	if !(upper > 0 && upper < 1) {
		return Difference{}, fmt.Errorf("stats: upper level %v is not between 0 and 1", upper)
	}
	if !t.tested {
		return Difference{}, ErrUntested
	}
	f := t.figures()
	_, variance := t.own()
	estimate := f.difference / f.information
	if variance == 0 && f.variance == 0 && estimate == 0 {
		return Difference{}, ErrOneOutcome
	}
	// Mirrored, so that harm is upwards.
	side, scale := t.plan.side(), t.scale(f)/f.information
	threshold := side * t.Threshold()
	harm := float64(side*estimate) - float64(t.critical*float64(scale*math.Sqrt(variance)))
	other := float64(side*estimate) + float64(studentQuantile(upper, f)*float64(scale*math.Sqrt(f.variance)))
	// What is shown must not contradict the decision, which is made on the
	// statistics: rounding may move the limit across.
	if t.regressed && harm < threshold {
		harm = threshold
	}
	if !t.regressed && harm >= threshold {
		harm = math.Nextafter(threshold, math.Inf(-1))
	}
	other = max(other, harm)
	if t.plan.LowerIsWorse {
		return Difference{Estimate: estimate, Lo: -other, Hi: -harm}, nil
	}
	return Difference{Estimate: estimate, Lo: harm, Hi: other}, nil
}

// Threshold is the margin as a difference of means, candidate minus baseline, in
// units of the metric: beyond it is harm. A relative margin counts at the
// baseline's mean so far; before the first look it is left out.
func (t PermutationTest) Threshold() float64 {
	f := t.figures()
	if t.plan.Margin.Relative == 0 || f.information == f.pairs {
		return t.plan.shift()
	}
	shift, _ := t.own()
	return (f.difference - float64(t.scale(f)*shift)) / f.information
}

// scale turns differences under the margin into differences of the metric.
func (t PermutationTest) scale(f figures) float64 {
	if f.information == 0 {
		return 1
	}
	factor := t.plan.factors()[0]
	if f.baseline < 0 {
		factor = t.plan.factors()[1]
	}
	return 1 + float64((factor-1)*(1-f.pairs/f.information))
}

// studentQuantile is Student's critical value of an upper tail, at no less than
// two degrees of freedom.
func studentQuantile(upper float64, f figures) float64 {
	z := -NormalQuantile(upper)
	if f.freedom == 0 {
		return z
	}
	n := max(f.variance*f.variance/f.freedom, 2)
	square := float64(z * z)
	first := float64(z * (square + 1) / 4)
	second := z * (float64((float64(5*square)+16)*square) + 3) / 96
	third := z * (float64((float64((float64(3*square)+19)*square)+17)*square) - 15) / 384
	return z + (first+(second+third/n)/n)/n
}

// Spread returns the variance of the candidate's values over that of the
// baseline's, both within strata and under the margin: far from 1 it says that
// the distributions differ in more than their place, which the test may take for
// harm. It is NaN where an arm has no variance to speak of: fewer than two
// units in each stratum, or a baseline that does not vary.
func (t PermutationTest) Spread() float64 {
	f := t.figures()
	if f.degrees[0] == 0 || f.degrees[1] == 0 || f.squares[1] == 0 {
		return math.NaN()
	}
	return (f.squares[0] / f.degrees[0]) / (f.squares[1] / f.degrees[1])
}

// Totals returns the number of looks, the information and the error used so
// far, and the candidate's units.
func (t PermutationTest) Totals() (looks int64, information, used float64, units int64) {
	if len(t.paths.in) == 0 {
		return 0, 0, 0, 0
	}
	return t.looks, t.figures().information, float64(t.paths.out()) / float64(len(t.paths.in)), t.units
}

// Reachable reports whether at some look so far an outcome could have reached
// the boundary. Until then the test can neither accuse nor clear anybody.
func (t PermutationTest) Reachable() bool { return t.reachable }
