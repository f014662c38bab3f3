package stats

import "math"

// joint is the law of a score Z, split into rows that a finished baseline needs
// to tell apart: rows[i] holds P(Z = z and the row is first+i). Without one there
// is a single row. With one, given the failures so far the node of the mixture
// and the score are independent, so a row is a number of failures against the
// history, which is far smaller than a row for each node; when failures are too
// many a row is a node.
type joint struct {
	first int64
	rows  []chances // a row without cells is impossible
}

func (j joint) lo() int64 {
	lo := int64(-1)
	for _, r := range j.rows {
		if len(r.cells) > 0 && (lo < 0 || r.lo < lo) {
			lo = r.lo
		}
	}
	return max(lo, 0)
}

func (j joint) hi() int64 {
	hi := int64(0)
	for _, r := range j.rows {
		if len(r.cells) > 0 {
			hi = max(hi, r.hi())
		}
	}
	return hi
}

func (j joint) size() (cells int) {
	for _, r := range j.rows {
		cells += len(r.cells)
	}
	return cells
}

// last is the number of the last row.
func (j joint) last() int64 { return j.first + int64(len(j.rows)) - 1 }

// row returns the row of a number, which may be none of the law.
func (j joint) row(number int64) chances {
	if number < j.first || number > j.last() {
		return chances{}
	}
	return j.rows[number-j.first]
}

// convolved adds a block whose law is the same in every row.
func (j joint) convolved(x chances, step int64) joint {
	sum := joint{first: j.first, rows: make([]chances, len(j.rows))}
	for i, r := range j.rows {
		if len(r.cells) > 0 {
			sum.rows[i] = r.convolved(x, step)
		}
	}
	return sum
}

// extended adds m runs against the history: laws holds the law of their failures,
// m+1 numbers, for each row from lawsFirst on, and each failure leads on by a row.
func (j joint) extended(laws []float64, lawsFirst, m, step int64) joint {
	sum := joint{first: j.first, rows: make([]chances, len(j.rows)+int(m))}
	size := int64(0)
	for i := range sum.rows {
		_, n := j.reach(j.first+int64(i), m, step)
		size += n
	}
	space := make([]float64, size)
	for i := range sum.rows {
		number := j.first + int64(i)
		lo, n := j.reach(number, m, step)
		if n == 0 {
			continue
		}
		r := chances{lo: lo, cells: space[:n:n]}
		space = space[n:]
		for x := max(0, number-j.last()); x <= min(m, int64(i)); x++ {
			from := j.row(number - x)
			p := laws[(number-x-lawsFirst)*(m+1)+x]
			if len(from.cells) > 0 {
				r.add(from, p, step*x)
			}
		}
		sum.rows[i] = r
	}
	return sum
}

// reach returns the lowest score of a row after m runs, and how many there are.
func (j joint) reach(number, m, step int64) (lo, n int64) {
	hi := int64(-1)
	for x := max(0, number-j.last()); x <= min(m, number-j.first); x++ {
		from := j.row(number - x)
		if len(from.cells) == 0 {
			continue
		}
		if hi < 0 || from.lo+step*x < lo {
			lo = from.lo + step*x
		}
		hi = max(hi, from.hi()+step*x)
	}
	if hi < 0 {
		return 0, 0
	}
	return lo, hi - lo + 1
}

// byNode turns a law with a row for each number of failures in runs against the
// history into one with a row for each node.
func (j joint) byNode(nodes []node, runs int64) joint {
	lo, hi := j.lo(), j.hi()
	sum := joint{rows: make([]chances, nodeCount)}
	for k := range sum.rows {
		sum.rows[k] = chances{lo: lo, cells: make([]float64, hi-lo+1)}
	}
	p := posteriorOf(nodes, j.first, runs)
	for i, r := range j.rows {
		if i > 0 {
			p.next()
		}
		for k, share := range p.shares() {
			sum.rows[k].add(r, share, 0)
		}
	}
	return sum
}

// eachConvolved adds runs against the history to a law with a row for each node.
func (j joint) eachConvolved(nodes []node, runs, step int64) joint {
	sum := joint{rows: make([]chances, nodeCount)}
	for k, r := range j.rows {
		if len(r.cells) > 0 {
			sum.rows[k] = r.convolved(binomial(runs, nodes[k].odds), step)
		}
	}
	return sum
}

// trimmed leaves out, in place, cells below floor at both ends of each row, and
// returns the probability lost. Rows that are left empty go, if numbered is set,
// from the ends of the list.
func (j joint) trimmed(floor float64, numbered bool) (rest joint, lost float64) {
	for i, r := range j.rows {
		n := len(r.cells)
		from := 0
		for from < n && r.cells[from] < floor {
			lost += r.cells[from]
			from++
		}
		for n > from && r.cells[n-1] < floor {
			lost += r.cells[n-1]
			n--
		}
		j.rows[i] = chances{lo: r.lo + int64(from), cells: r.cells[from:n]}
		if n == from {
			j.rows[i] = chances{}
		}
	}
	if numbered {
		j = j.withoutEnds()
	}
	return j, lost
}

// cropped leaves out, in place, the scores at both ends at which no row has
// floor or more.
func (j joint) cropped(floor float64) joint {
	lo, hi := int64(math.MaxInt64), int64(-1)
	for _, r := range j.rows {
		for i, p := range r.cells {
			if p >= floor {
				lo = min(lo, r.lo+int64(i))
				break
			}
		}
		for i := len(r.cells) - 1; i >= 0; i-- {
			if r.cells[i] >= floor {
				hi = max(hi, r.lo+int64(i))
				break
			}
		}
	}
	for i, r := range j.rows {
		from, to := max(r.lo, lo), min(r.hi(), hi)
		if len(r.cells) == 0 || from > to {
			j.rows[i] = chances{}
			continue
		}
		j.rows[i] = chances{lo: from, cells: r.cells[from-r.lo : to-r.lo+1]}
	}
	return j
}

// withoutEnds leaves out empty rows at both ends.
func (j joint) withoutEnds() joint {
	for len(j.rows) > 1 && len(j.rows[0].cells) == 0 {
		j.rows = j.rows[1:]
		j.first++
	}
	for len(j.rows) > 1 && len(j.rows[len(j.rows)-1].cells) == 0 {
		j.rows = j.rows[:len(j.rows)-1]
	}
	return j
}

// flat returns the law of the score alone.
func (j joint) flat() chances {
	if len(j.rows) == 1 {
		return j.rows[0]
	}
	lo, hi := j.lo(), j.hi()
	sum := chances{lo: lo, cells: make([]float64, hi-lo+1)}
	for _, r := range j.rows {
		sum.add(r, 1, 0)
	}
	return sum
}

// cut is that of chances, with the same boundary for all rows, in place.
func (j joint) cut(used, allowed float64) (rest joint, taken float64, boundary int64) {
	whole, taken, boundary := j.flat().cut(used, allowed)
	if len(j.rows) == 1 {
		j.rows[0] = whole
		return j, taken, boundary
	}
	for i, r := range j.rows {
		n := min(int64(len(r.cells)), max(boundary-r.lo, 0))
		j.rows[i].cells = r.cells[:n]
		if n == 0 {
			j.rows[i] = chances{}
		}
	}
	return j, taken, boundary
}

// halved returns the law of Z div 2 in each row.
func (j joint) halved() joint {
	half := joint{first: j.first, rows: make([]chances, len(j.rows))}
	for i, r := range j.rows {
		if len(r.cells) > 0 {
			half.rows[i] = r.halved()
		}
	}
	return half
}

// tail returns P(Z >= z).
func (j joint) tail(z int64) float64 {
	sum := 0.0
	for _, r := range j.rows {
		sum += r.tail(z)
	}
	return sum
}

// moments returns the mean and the variance of Z.
func (j joint) moments() (mean, variance float64) {
	origin := float64(j.lo())
	sum, first, second := 0.0, 0.0, 0.0
	for _, r := range j.rows {
		z := float64(r.lo) - origin
		for _, p := range r.cells {
			sum += p
			first += float64(p * z)
			second += float64(float64(p*z) * z)
			z++
		}
	}
	first /= sum
	return origin + first, second/sum - float64(first*first)
}
