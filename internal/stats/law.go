package stats

const (
	// pathFloor and scoreFloor bound the cells that the two laws of a test keep.
	// The law of undecided paths may lose at the bottom what can never matter
	// to a boundary; the law of the score is tilted for the interval, which
	// looks 20 standard deviations into its tails.
	pathFloor  = 1e-18
	scoreFloor = 1e-100
)

// hi is the last integer of the stretch.
func (c chances) hi() int64 { return c.lo + int64(len(c.cells)) - 1 }

// at returns the probability of z.
func (c chances) at(z int64) float64 {
	if z < c.lo || z > c.hi() {
		return 0
	}
	return c.cells[z-c.lo]
}

// convolved returns the law of Z + step*X for independent Z and X. The order of
// additions is fixed: ascending in X, then in Z.
func (c chances) convolved(x chances, step int64) chances {
	width := int64(len(x.cells)-1) * step
	sum := chances{lo: c.lo + step*x.lo, cells: make([]float64, int64(len(c.cells))+width)}
	i := 0
	for ; i+1 < len(x.cells); i += 2 {
		sum.addTwo(c, x.cells[i], x.cells[i+1], step*(x.lo+int64(i)), step)
	}
	if i < len(x.cells) {
		sum.add(c, x.cells[i], step*(x.lo+int64(i)))
	}
	return sum
}

// add adds p times a law, moved up by shift, to the cells, which must reach as far.
func (c chances) add(law chances, p float64, shift int64) {
	if len(law.cells) == 0 {
		return
	}
	into := c.cells[law.lo+shift-c.lo:][:len(law.cells)]
	for z, q := range law.cells {
		into[z] += float64(p * q)
	}
}

// addTwo adds p0 times a law moved up by shift, and then p1 times the same law
// moved up by step more, in one pass where they meet.
func (c chances) addTwo(law chances, p0, p1 float64, shift, step int64) {
	cells := law.cells
	n := min(step, int64(len(cells)))
	into := c.cells[law.lo+shift-c.lo:][:int64(len(cells))+step]
	for z, q := range cells[:n] {
		into[z] += float64(p0 * q)
	}
	both := into[n:len(cells)]
	later, sooner := cells[n:][:len(both)], cells[:len(both)]
	for z := range both {
		both[z] = both[z] + float64(p0*later[z]) + float64(p1*sooner[z])
	}
	rest := cells[len(both):]
	end := into[int64(len(both))+step:][:len(rest)]
	for z, q := range rest {
		end[z] += float64(p1 * q)
	}
}

// trimmedBelow returns the law without its first cells below floor.
func (c chances) trimmedBelow(floor float64) chances {
	for len(c.cells) > 1 && c.cells[0] < floor {
		c.lo++
		c.cells = c.cells[1:]
	}
	return c
}

// trimmedAbove returns the law without its last cells below floor.
func (c chances) trimmedAbove(floor float64) chances {
	for len(c.cells) > 1 && c.cells[len(c.cells)-1] < floor {
		c.cells = c.cells[:len(c.cells)-1]
	}
	return c
}

// halved returns the law of Z div 2.
func (c chances) halved() chances {
	lo, hi := c.lo>>1, c.hi()>>1
	half := chances{lo: lo, cells: make([]float64, hi-lo+1)}
	for z := lo; z <= hi; z++ {
		half.cells[z-lo] = c.at(2*z) + c.at(2*z+1)
	}
	return half
}

// tail returns P(Z >= z), summed from the top, where the terms are smallest.
func (c chances) tail(z int64) float64 {
	sum := 0.0
	for i := c.hi(); i >= max(z, c.lo); i-- {
		sum += c.cells[i-c.lo]
	}
	return sum
}

// cut takes cells off the top while the error stays within what is allowed, and
// returns what is left, at least one cell, the error taken, and the boundary:
// one above the highest value that is left.
func (c chances) cut(used, allowed float64) (rest chances, taken float64, boundary int64) {
	n := len(c.cells)
	for n > 1 && used+taken+c.cells[n-1] <= allowed {
		taken += c.cells[n-1]
		n--
	}
	c.cells = c.cells[:n]
	return c, taken, c.lo + int64(n)
}
