package stats

import "slices"

// chances is a stretch of a probability law on the integers: cells[i] is the
// probability of lo+i, and what lies outside is taken to be 0.
type chances struct {
	lo    int64
	cells []float64
}

// negligible is the probability, relative to the likeliest outcome, beyond which
// the tails of one block's law are left out.
const negligible = 1e-120

// hypergeometric returns the law of the candidate's failures in a block of
// candidate and baseline runs that has so many failures in all, when the odds of
// failure of the candidate are odds times the baseline's (1 under "no worse").
// All counts are at least 0, failures at most the number of runs, odds > 0.
//
// Source: Fisher 1935; the ratio of neighbouring terms needs no factorials, and
// starting at the mode keeps every term within range.
//
// The cells are appended to space, which may be empty: room for a small law
// spares an allocation.
func hypergeometric(candidate, baseline, failures int64, odds float64, space []float64) chances {
	lo, hi := max(0, failures-baseline), min(failures, candidate)
	mode := hypergeometricMode(candidate, baseline, failures, odds, lo, hi)
	cells := space[:0]
	for x, r := mode, 1.0; x > lo; x-- {
		r /= hypergeometricRatio(candidate, baseline, failures, x-1) * odds
		if r < negligible {
			break
		}
		cells = append(cells, r)
	}
	law := chances{lo: mode - int64(len(cells))}
	slices.Reverse(cells)
	cells = append(cells, 1)
	for x, r := mode, 1.0; x < hi; x++ {
		r *= hypergeometricRatio(candidate, baseline, failures, x) * odds
		if r < negligible {
			break
		}
		cells = append(cells, r)
	}
	sum := 0.0
	for _, r := range cells {
		sum += r
	}
	for i := range cells {
		cells[i] /= sum
	}
	law.cells = cells
	return law
}

// hypergeometricRatio is P(x+1)/P(x) at odds 1.
func hypergeometricRatio(candidate, baseline, failures, x int64) float64 {
	return float64(candidate-x) * float64(failures-x) / (float64(x+1) * float64(baseline-failures+x+1))
}

// hypergeometricMode returns the first x whose successor is no likelier. The
// ratio falls with x, so it is found by bisection.
func hypergeometricMode(candidate, baseline, failures int64, odds float64, lo, hi int64) int64 {
	for lo < hi {
		x := lo + (hi-lo)/2
		if hypergeometricRatio(candidate, baseline, failures, x)*odds > 1 {
			lo = x + 1
		} else {
			hi = x
		}
	}
	return lo
}
