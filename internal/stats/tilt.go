package stats

import (
	"fmt"
	"math"
)

// tiltLimit is the logarithm of the odds ratio beyond which a limit is taken to
// be without end: the rates of 0 and 1 are reached to the last digit.
const tiltLimit = 60

// Interval returns the difference of failure rates, candidate minus baseline,
// in [-1, 1], weighted over the strata by n_c n_b / (n_c + n_b), with the
// interval that belongs to the last look: its lower limit is at the level of
// that look's boundary, so that it is at or above the margin exactly when the
// look was Regressed; the probability of an error above its upper limit is upper, in
// (0, 1), usually 0.025. It fails with ErrUntested or ErrOneOutcome.
//
// The law of the score is tilted exponentially until it reaches the score with
// the wanted probability: a common odds ratio, exact at 1, approximate
// elsewhere, which is turned into rates at each stratum's total of failures
// (repeated confidence limits, Jennison & Turnbull 1989). With a margin in odds
// "at or above the margin" is a statement about the odds and not checked here.
func (t SequentialTest) Interval(upper float64) (Difference, error) {
	switch {
	case !(upper > 0 && upper < 1):
		return Difference{}, fmt.Errorf("stats: upper level %v is not between 0 and 1", upper)
	case !t.tested:
		return Difference{}, ErrUntested
	case !t.varied:
		return Difference{}, ErrOneOutcome
	}
	law := t.tilting()
	step := t.meanStep
	low := bisect(tiltLimit/step, func(tilt float64) bool {
		return law.tail(law.y, tilt) < t.level
	})
	high := bisect(tiltLimit/step, func(tilt float64) bool {
		return 1-law.tail(law.y+1, tilt) > upper
	})
	d := Difference{
		Estimate: t.estimate(),
		Lo:       t.difference(Exp(float64(step * low))),
		Hi:       t.difference(Exp(float64(step * high))),
	}
	// What is shown must not contradict the decision, which is made on
	// integers: rounding and the turn into rates may move the limit across.
	if t.regressed && d.Lo < t.threshold {
		d.Lo = t.threshold
	}
	if !t.regressed && d.Lo >= t.threshold {
		d.Lo = math.Nextafter(t.threshold, -1)
	}
	return d, nil
}

// bisect returns where in [-limit, limit] the condition turns from true to
// false, to the last digits.
func bisect(limit float64, condition func(float64) bool) float64 {
	lo, hi := -limit, limit
	for range 80 {
		middle := (lo + hi) / 2
		if middle <= lo || middle >= hi {
			break
		}
		if condition(middle) {
			lo = middle
		} else {
			hi = middle
		}
	}
	return (lo + hi) / 2
}

// tilting is the law of the score, ready to be tilted around y. With a finished
// baseline each node is tilted on its own; shares holds, for each row, the shares
// of the nodes, nodeCount numbers.
type tilting struct {
	y      int64
	scores joint
	nodes  []node
	shares []float64
}

func (t SequentialTest) tilting() tilting {
	law := tilting{y: min(max(t.score, t.scores.lo()), t.scores.hi()), scores: t.scores}
	if t.nodes == nil {
		return law
	}
	law.nodes = t.nodes
	law.shares = make([]float64, 0, nodeCount*len(t.scores.rows))
	if t.byNode {
		law.shares = law.shares[:cap(law.shares)]
		for j := range nodeCount {
			law.shares[j*nodeCount+j] = 1
		}
		return law
	}
	p := posteriorOf(t.nodes, t.scores.first, t.historicalRuns())
	for i := range t.scores.rows {
		if i > 0 {
			p.next()
		}
		law.shares = append(law.shares, p.p[:]...)
	}
	return law
}

// tail returns P(Z >= y) under the law proportional to P(Z = z) e^(tilt z), in
// each node, averaged over the nodes.
func (l tilting) tail(y int64, tilt float64) float64 {
	up, down := Exp(tilt), Exp(-tilt)
	if l.nodes == nil {
		above, below := l.scores.rows[0].sides(y, up, down)
		return shareAbove(above, below)
	}
	var above, below [nodeCount]float64
	for i, r := range l.scores.rows {
		if len(r.cells) == 0 {
			continue
		}
		a, b := r.sides(y, up, down)
		if gap := r.lo - y; gap > 0 {
			a = bounded(a * Exp(bounded(float64(tilt*float64(gap)))))
		}
		if gap := y - 1 - r.hi(); gap > 0 {
			b = bounded(b * Exp(-float64(tilt*float64(gap))))
		}
		for j, share := range l.shares[i*nodeCount:][:nodeCount] {
			above[j] += float64(share * a)
			below[j] += float64(share * b)
		}
	}
	sum, all := 0.0, 0.0
	for j, n := range l.nodes {
		if above[j] > 0 || below[j] > 0 {
			sum += float64(n.weight * shareAbove(above[j], below[j]))
			all += n.weight
		}
	}
	return sum / all
}

// bounded keeps a weight that is beyond comparison finite.
func bounded(v float64) float64 { return min(v, 1e250) }

func shareAbove(above, below float64) float64 {
	if above == 0 {
		return 0
	}
	return 1 / (1 + below/above)
}

// sides returns the sums of P(Z = z) e^(tilt (z-y)) over z >= y and over z < y,
// where up and down are e^tilt and e^-tilt; a side that begins beyond y is
// relative to where it begins. Both are summed by Horner's rule outwards from y,
// so at most one of them can overflow.
func (c chances) sides(y int64, up, down float64) (above, below float64) {
	for z := c.hi(); z >= max(y, c.lo); z-- {
		above = float64(above*up) + c.cells[z-c.lo]
	}
	for z := c.lo; z < min(y, c.hi()+1); z++ {
		below = float64((below + c.cells[z-c.lo]) * down)
	}
	return above, below
}

// estimate is the weighted difference of the observed rates.
func (t SequentialTest) estimate() float64 {
	sum, total := 0.0, 0.0
	for _, s := range t.strata {
		w := weight(s.candidate.N, s.baseline.N)
		sum += float64(w * (s.candidate.Value() - s.baseline.Value()))
		total += w
	}
	return sum / total
}

// difference is the weighted difference of rates that a common odds ratio, on
// top of the margin's, amounts to at the strata's totals of failures.
func (t SequentialTest) difference(ratio float64) float64 {
	sum, total := 0.0, 0.0
	for _, s := range t.strata {
		w := weight(s.candidate.N, s.baseline.N)
		sum += float64(w * s.difference(float64(ratio*s.odds)))
		total += w
	}
	return sum / total
}

// difference is candidate minus baseline at odds o of failure: of the two rates,
// or, of pairs, that the candidate is the one that failed where only one did.
func (s stratum) difference(o float64) float64 {
	if s.design == Paired {
		discordant := float64(s.candidate.X + s.baseline.X)
		if o > 1 {
			return discordant * ((1 - 1/o) / (1 + 1/o)) / float64(s.candidate.N)
		}
		return discordant * ((o - 1) / (o + 1)) / float64(s.candidate.N)
	}
	return ratesApart(s, o)
}

// ratesApart solves n_c p_c + n_b p_b = failures with the odds of p_c being o
// times those of p_b, and returns p_c - p_b. The higher rate is found first:
// its equation has no cancellation however far apart the odds are.
func ratesApart(s stratum, o float64) float64 {
	c, b := float64(s.candidate.N), float64(s.baseline.N)
	failures := float64(s.candidate.X + s.baseline.X)
	if failures == 0 {
		return 0
	}
	if o >= 1 {
		p := higherRate(c, b, failures, 1/o)
		return p - otherRate(c, b, failures, p)
	}
	p := higherRate(b, c, failures, o)
	return otherRate(b, c, failures, p) - p
}

// higherRate solves n p + m q = failures, where the odds of q are o <= 1 times
// those of p, for p.
func higherRate(n, m, failures, o float64) float64 {
	linear := n + float64(m*o) + float64(failures*(1-o))
	square := float64(linear*linear) - float64(4*n*failures*(1-o))
	return min(2*failures/(linear+math.Sqrt(max(square, 0))), 1)
}

// otherRate is the rate of m runs that is left when n runs have the rate p.
func otherRate(n, m, failures, p float64) float64 {
	return max(0, min((failures-float64(n*p))/m, 1))
}
