package stats

// binomial returns the law of failures in so many runs, each of which fails with
// odds > 0 of failure. It starts at the mode, as hypergeometric does.
func binomial(runs int64, odds float64) chances {
	mode := binomialMode(runs, odds)
	lo, hi := mode, mode
	for r := 1.0; lo > 0; lo-- {
		if r /= binomialRatio(runs, lo-1, odds); r < negligible {
			break
		}
	}
	for r := 1.0; hi < runs; hi++ {
		if r *= binomialRatio(runs, hi, odds); r < negligible {
			break
		}
	}
	law := chances{lo: lo, cells: make([]float64, hi-lo+1)}
	law.fillBinomial(runs, mode, odds)
	return law
}

// fillBinomial sets the cells to the law of failures in so many runs, cut to the
// stretch of the cells, which holds the mode.
func (c chances) fillBinomial(runs, mode int64, odds float64) {
	c.cells[mode-c.lo] = 1
	for x, r := mode, 1.0; x > c.lo; x-- {
		r /= binomialRatio(runs, x-1, odds)
		c.cells[x-1-c.lo] = r
	}
	for x, r := mode, 1.0; x < c.hi(); x++ {
		r *= binomialRatio(runs, x, odds)
		c.cells[x+1-c.lo] = r
	}
	sum := 0.0
	for _, r := range c.cells {
		sum += r
	}
	for i := range c.cells {
		c.cells[i] /= sum
	}
}

// binomialRatio is P(x+1)/P(x).
func binomialRatio(runs, x int64, odds float64) float64 {
	return float64(runs-x) / float64(x+1) * odds
}

// binomialMode returns the first x whose successor is no likelier.
func binomialMode(runs int64, odds float64) int64 {
	lo, hi := int64(0), runs
	for lo < hi {
		x := lo + (hi-lo)/2
		if binomialRatio(runs, x, odds) > 1 {
			lo = x + 1
		} else {
			hi = x
		}
	}
	return lo
}
