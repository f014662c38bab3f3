package stats

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
)

const (
	permutationVersion = 1
	countLimit         = 1 << 53
	sumLimit           = 1e120 // no sum of values, or of squares, comes near it
)

// The binary form of a permutation test, version 1. Integers are
// variable-length, seven bits a byte, least significant first, signed ones in
// zigzag; floats are the 8 bytes of IEEE 754, big endian:
//
//	1, budget, information, information against history, first look, seed, margin absolute, relative,
//	flags (1 lower is worse, 2 tested, 4 reachable, 8 regressed, 16 a stratum is open),
//	history: n, n times (key of bin as a distance, count),
//	looks, units, critical, closed strata: information, pairs, difference,
//	baseline, variance, freedom, squares of both arms, degrees of both arms,
//	if a stratum is open: its number signed, candidates, baselines, centre as a tally of no runs, p1, p2, raw,
//	if there is a history: units against it, raw,
//	for each path a bit, lowest first: it was taken out,
//	for path 0 and those not taken out: a, q,
//	if a stratum is open s1, s2, if there are units against history h1, h2, b1, b2

// MarshalBinary returns the test's only binary form. It fails on the zero value.
func (t PermutationTest) MarshalBinary() ([]byte, error) {
	if t.paths.in == nil {
		return nil, errors.New("stats: a test starts with NewPermutationTest")
	}
	data := make([]byte, 0, 512+8*len(t.paths.memory)+len(t.paths.in)/8+16*len(t.history.bins))
	data = append(data, permutationVersion)
	data = appendFloat(data, t.plan.Budget)
	data = appendFloat(data, t.plan.Information)
	data = appendFloat(data, t.plan.HistoryInformation)
	data = appendCount(data, t.plan.FirstLook)
	data = binary.AppendUvarint(data, uint64(t.plan.Seed))
	data = appendFloat(data, t.plan.Margin.Absolute)
	data = appendFloat(data, t.plan.Margin.Relative)
	flags := int64(0)
	for i, set := range [...]bool{t.plan.LowerIsWorse, t.tested, t.reachable, t.regressed, t.started} {
		if set {
			flags |= 1 << i
		}
	}
	data = appendCount(data, flags)
	data = appendTable(data, tableOf(t.history.cells()), appendRuns)
	data = appendCount(data, t.looks)
	data = appendCount(data, t.units)
	data = appendFloat(data, t.critical)
	for _, v := range t.closed.list() {
		data = appendFloat(data, *v)
	}
	if t.started {
		data = binary.AppendVarint(data, t.stratum)
		data = appendCount(data, t.open.candidates)
		data = appendCount(data, t.open.baselines)
		data = appendUnit(data, Unit{Sum: t.open.centre})
		for _, v := range [...]float64{t.open.p1, t.open.p2, t.open.raw} {
			data = appendFloat(data, v)
		}
	}
	if t.history.size() > 0 {
		data = appendCount(data, t.past.candidates)
		data = appendFloat(data, t.past.raw)
	}
	return t.appendPaths(data), nil
}

func (t PermutationTest) appendPaths(data []byte) []byte {
	for i := 0; i < len(t.paths.in); i += 8 {
		mask := byte(0)
		for j, in := range t.paths.in[i : i+8] {
			if !in {
				mask |= 1 << j
			}
		}
		data = append(data, mask)
	}
	lists := t.written()
	for i, in := range t.paths.in {
		if in || i == 0 {
			for _, list := range lists {
				data = appendFloat(data, list[i])
			}
		}
	}
	return data
}

// written returns the lists that are not all zeros.
func (t PermutationTest) written() [][]float64 {
	lists := [][]float64{t.paths.a, t.paths.q}
	if t.started {
		lists = append(lists, t.paths.s1, t.paths.s2)
	}
	if t.past.candidates > 0 {
		lists = append(lists, t.paths.h1, t.paths.h2, t.paths.b1, t.paths.b2)
	}
	return lists
}

func (p population) cells() []cell[runs] {
	cells := make([]cell[runs], 0, len(p.bins))
	before := int64(0)
	for i, b := range p.bins {
		cells = append(cells, cell[runs]{b.key(), runs(p.upto[i] - before)})
		before = p.upto[i]
	}
	return cells
}

func (f *figures) list() [10]*float64 {
	return [...]*float64{
		&f.information, &f.pairs, &f.difference, &f.baseline, &f.variance, &f.freedom,
		&f.squares[0], &f.squares[1], &f.degrees[0], &f.degrees[1],
	}
}

// UnmarshalBinary replaces the test by what MarshalBinary wrote. It fails,
// changing nothing, on anything else and on a state that no test can be in.
func (t *PermutationTest) UnmarshalBinary(data []byte) error {
	r := reader{data: data}
	r.version(permutationVersion)
	var o PermutationTest
	o.plan = PermutationPlan{Budget: r.float(), Information: r.float(), HistoryInformation: r.float(), FirstLook: r.count(math.MaxInt64), Seed: Seed(r.uvarint())}
	o.plan.Margin = MeanMargin{Absolute: r.float(), Relative: r.float()}
	flags := r.count(31)
	o.plan.LowerIsWorse, o.tested, o.reachable = flags&1 != 0, flags&2 != 0, flags&4 != 0
	o.regressed, o.started = flags&8 != 0, flags&16 != 0
	o.history = r.population()
	o.looks, o.units, o.critical = r.count(countLimit), r.count(countLimit), r.float()
	for _, v := range o.closed.list() {
		*v = r.float()
	}
	if o.started {
		o.stratum = r.varint()
		o.open = arms{candidates: r.count(countLimit), baselines: r.count(countLimit), centre: r.unit().Sum}
		o.open.p1, o.open.p2, o.open.raw = r.float(), r.float(), r.float()
	}
	if o.history.size() > 0 {
		if o.past = (arms{candidates: r.count(countLimit), raw: r.float()}); o.past.candidates > 0 {
			o.past.baselines = o.history.size()
		}
	}
	if r.err != nil {
		return r.err
	}
	if err := o.plan.check(); err != nil {
		return err
	}
	o.readPaths(&r)
	if err := r.end(); err != nil {
		return err
	}
	if !o.consistent() {
		return errors.New("stats: malformed test: out of range")
	}
	if again, err := o.MarshalBinary(); err != nil || !bytes.Equal(again, data) {
		return errors.New("stats: malformed test: not in canonical form")
	}
	*t = o
	return nil
}

func (t *PermutationTest) readPaths(r *reader) {
	n := t.plan.paths()
	if len(r.data) < n/8 {
		r.fail("paths are cut short")
		return
	}
	t.paths = newPaths(n, t.history.size() > 0)
	for i := range t.paths.in {
		t.paths.in[i] = r.data[i/8]>>(i%8)&1 == 0
	}
	r.data = r.data[n/8:]
	lists := t.written()
	for i, in := range t.paths.in {
		if !in && i > 0 {
			continue
		}
		for _, list := range lists {
			list[i] = r.float()
			r.require(isFinite(list[i], sumLimit), "sum out of range")
		}
		r.require(t.paths.q[i] >= 0, "variance below 0")
	}
}

// population reads a histogram.
func (r *reader) population() population {
	var p population
	for _, c := range readTable(r, 2*binLast+3, (*reader).runs).cells() {
		b := int64(c.key) - binOffset
		if b < -binLast-1 || b > binLast+1 || c.value <= 0 || int64(c.value) > runsLimit-p.size() {
			r.fail("histogram out of range")
			return population{}
		}
		p.bins = append(p.bins, Bin(b))
		p.upto = append(p.upto, p.size()+int64(c.value))
	}
	return p.prepared()
}

// consistent reports whether the numbers can be those of a test, and so are
// such that no arithmetic on them fails.
func (t PermutationTest) consistent() bool {
	for i, v := range t.closed.list() {
		signed := i == 2 || i == 3 // difference and baseline
		limit := sumLimit
		if i == 5 {
			limit = sumLimit * sumLimit
		}
		if !isFinite(*v, limit) || !signed && math.Signbit(*v) {
			return false
		}
	}
	f := t.closed
	least := func(v, least float64) bool { return v == 0 || v >= least }
	if !least(f.information, 0.5) || f.pairs > f.information || !least(f.degrees[0], 1) || !least(f.degrees[1], 1) {
		return false
	}
	if t.started && (t.open.candidates == 0 || t.open.baselines == 0) {
		return false
	}
	for _, v := range [...]float64{t.open.p1, t.open.p2, t.open.raw, t.past.raw} {
		if !isFinite(v, sumLimit) {
			return false
		}
	}
	out := float64(t.paths.out())
	used := out / float64(len(t.paths.in))
	switch {
	case !isFinite(t.open.centre.approximate(), fixedLimit) || !isFinite(t.critical, statisticLimit):
		return false
	case (t.looks == 0) != (t.figures().information == 0) || (t.looks == 0) != (t.units == 0):
		return false
	case !t.tested && (t.reachable || t.critical != 0), !t.reachable && (t.regressed || out > 0):
		return false
	case t.past.candidates == 0 && t.past.raw != 0, t.tested && t.looks == 0:
		return false
	}
	return used <= t.plan.Budget
}

// MarshalText returns the binary form in base64, for JSON.
func (t PermutationTest) MarshalText() ([]byte, error) { return marshalText(t) }

// UnmarshalText replaces the test by what MarshalText wrote. It fails, changing
// nothing, on anything else.
func (t *PermutationTest) UnmarshalText(text []byte) error { return unmarshalText(text, t) }
