package stats

import (
	"fmt"
	"math"
)

// tiltLimit is the logarithm of the odds ratio beyond which a limit is taken to
// be without end: the rates of 0 and 1 are reached to the last digit.
const tiltLimit = 60

// rootError is the relative error within which a limit is found before it is
// bisected to the last digits.
const rootError = 1e-13

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
	low, high := t.tilts(upper)
	step := t.meanStep
	d := Difference{
		Estimate: t.estimate(),
		Lo:       t.difference(Exp(float64(step * low))),
		Hi:       t.difference(Exp(float64(step * high))),
	}
	// What is shown must not contradict the decision, which is made on
	// integers: rounding and the turn into rates may move the limit across.
	if t.regressed && d.Lo < t.threshold {
		d.Lo, d.Hi = t.threshold, max(d.Hi, t.threshold) // the upper limit may be below it too, of a look at a margin that others did not have
	}
	if !t.regressed && d.Lo >= t.threshold {
		d.Lo = math.Nextafter(t.threshold, -1)
	}
	return d, nil
}

// tilts returns the tilts of the law of the score at the two limits.
func (t SequentialTest) tilts(upper float64) (low, high float64) {
	law, end := t.tilting(), tiltLimit/t.meanStep
	low = law.limit(law.y, t.level, end, func(tail float64) bool { return tail < t.level })
	high = law.limit(law.y+1, 1-upper, end, func(tail float64) bool { return 1-tail > upper })
	return low, high
}

// bisect returns where in [-limit, limit] the condition turns from true to
// false, to the last digits.
func bisect(limit float64, condition func(float64) bool) float64 {
	lo, hi := -limit, limit
	for range 80 {
		middle := float64((lo + hi) / 2) // halving is done by a product
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
		shares := p.shares()
		law.shares = append(law.shares, shares[:]...)
	}
	return law
}

// limit returns the tilt in [-limit, limit] at which P(Z >= y) is wanted, where
// below says that a probability is too low. The answer is that of bisection to
// the last digits, most of whose steps are spared by finding it roughly first.
func (l tilting) limit(y int64, wanted, limit float64, below func(float64) bool) float64 {
	switch {
	case y <= l.scores.lo(): // P(Z >= y) is 1 at any tilt
		return bisect(limit, func(float64) bool { return below(1) })
	case y > l.scores.hi():
		return bisect(limit, func(float64) bool { return below(0) })
	}
	condition := func(tilt float64) bool { return below(l.tail(y, tilt)) }
	root, found := l.root(y, Log(wanted/(1-wanted)), limit)
	if found && l.nodes != nil {
		return root
	}
	near := float64(rootError * max(1e-3, math.Abs(root)))
	if !found || !condition(root-near) || condition(root+near) {
		return bisect(limit, condition)
	}
	return bisect(limit, func(tilt float64) bool {
		if math.Abs(tilt-root) > near {
			return tilt < root
		}
		return condition(tilt)
	})
}

// root finds the tilt at which P(Z >= y) has the log-odds wanted by secants, from
// where a normal law would have it, kept between bounds.
func (l tilting) root(y int64, wanted, limit float64) (tilt float64, found bool) {
	mean, variance := l.scores.moments()
	deviation := math.Sqrt(max(variance, 1e-3))
	gap := func(tilt float64) float64 {
		above, below := l.odds(y, tilt)
		return Log(above/below) - wanted
	}
	lo, hi := -limit, limit
	// The log-odds of a normal tail are about 1.7 times its deviate.
	x := (float64(y)-0.5-mean)/variance + wanted/(1.7*deviation)
	last, lastGap := lo, math.Inf(-1)
	for i := range 60 {
		if !(x > lo && x < hi) {
			x = float64((lo + hi) / 2)
		}
		g := gap(x)
		if g < 0 {
			lo = x
		} else {
			hi = x
		}
		slope := (g - lastGap) / (x - last)
		if i == 0 {
			slope = 1.7 * deviation
		}
		last, lastGap = x, g
		if !(slope > 0 && slope <= math.MaxFloat64) { // one side was 0 to the last digit
			x = float64((lo + hi) / 2)
			continue
		}
		next := x - g/slope
		if math.Abs(next-x) <= float64(rootError/8*max(1e-3, math.Abs(x))) {
			return next, next > -limit && next < limit
		}
		x = next
	}
	return x, false
}

// tail returns P(Z >= y) under the law proportional to P(Z = z) e^(tilt z), in
// each node, averaged over the nodes.
func (l tilting) tail(y int64, tilt float64) float64 {
	return shareAbove(l.odds(y, tilt))
}

// odds returns P(Z >= y) and P(Z < y) of that law, up to a common factor.
func (l tilting) odds(y int64, tilt float64) (float64, float64) {
	up, down := Exp(tilt), Exp(-tilt)
	if l.nodes == nil {
		return l.scores.rows[0].sides(y, up, down)
	}
	var above, below [nodeCount]float64
	for i, r := range l.scores.rows {
		if len(r.cells) == 0 {
			continue
		}
		a, b := r.sides(y, up, down)
		a, b = bounded(a), bounded(b) // a share of 0 times infinity is no number
		if gap := r.lo - y; gap > 0 {
			a = bounded(a * Exp(bounded(float64(tilt*float64(gap)))))
		}
		if gap := y - 1 - r.hi(); gap > 0 {
			b = bounded(b * Exp(bounded(-float64(tilt*float64(gap)))))
		}
		shares := (*[nodeCount]float64)(l.shares[i*nodeCount:])
		if a > 0 {
			addTo(&above, shares, a)
		}
		if b > 0 {
			addTo(&below, shares, b)
		}
	}
	over, under := 0.0, 0.0
	for j, n := range l.nodes {
		if above[j] > 0 || below[j] > 0 {
			share := shareAbove(above[j], below[j])
			over += float64(n.weight * share)
			under += float64(n.weight * shareAbove(below[j], above[j]))
		}
	}
	return over, under
}

// addTo adds a times the shares to the sums.
func addTo(sums, shares *[nodeCount]float64, a float64) {
	for j := range sums {
		sums[j] += float64(shares[j] * a)
	}
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
// so at most one of them can overflow; they take turns, as neither waits for the other.
func (c chances) sides(y int64, up, down float64) (above, below float64) {
	n := min(max(y-c.lo, 0), int64(len(c.cells)))
	under, over := c.cells[:n], c.cells[n:]
	for len(under) > 0 && len(over) > 0 {
		above = float64(above*up) + over[len(over)-1]
		below = float64((below + under[0]) * down)
		under, over = under[1:], over[:len(over)-1]
	}
	for i := len(over) - 1; i >= 0; i-- {
		above = float64(above*up) + over[i]
	}
	for _, p := range under {
		below = float64((below + p) * down)
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
