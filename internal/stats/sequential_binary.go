package stats

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
)

const testVersion = 1

// The binary form of a sequential test, version 1. Integers are variable-length,
// seven bits a byte, least significant first, signed ones in zigzag; floats are
// the 8 bytes of IEEE 754, big endian:
//
//	1, budget, information, first look, looks, score, top, halvings, mean step,
//	used, level, threshold,
//	flags (1 tested, 2 reachable, 4 regressed, 8 varied),
//	n, n times (stratum signed, candidate X N, baseline X N, odds),
//	law of undecided paths, law of the score
//
// where a law is its lowest score, the number of cells and the cells.

// MarshalBinary returns the test's only binary form. It fails on the zero value.
func (t SequentialTest) MarshalBinary() ([]byte, error) {
	if t.paths.cells == nil {
		return nil, errors.New("stats: a test starts with NewSequentialTest")
	}
	data := make([]byte, 0, 256+8*(len(t.paths.cells)+len(t.scores.cells)))
	data = append(data, testVersion)
	data = appendFloat(data, t.plan.Budget)
	data = appendFloat(data, t.plan.Information)
	for _, v := range [...]int64{t.plan.FirstLook, t.looks, t.score, t.top, t.halvings} {
		data = appendCount(data, v)
	}
	for _, v := range [...]float64{t.meanStep, t.used, t.level, t.threshold} {
		data = appendFloat(data, v)
	}
	flags := int64(0)
	for i, set := range [...]bool{t.tested, t.reachable, t.regressed, t.varied} {
		if set {
			flags |= 1 << i
		}
	}
	data = appendCount(data, flags)
	data = appendCount(data, int64(len(t.strata)))
	for _, s := range t.strata {
		data = binary.AppendVarint(data, s.id)
		for _, v := range [...]int64{s.candidate.X, s.candidate.N, s.baseline.X, s.baseline.N} {
			data = appendCount(data, v)
		}
		data = appendFloat(data, s.odds)
	}
	return appendChances(appendChances(data, t.paths), t.scores), nil
}

// UnmarshalBinary replaces the test by what MarshalBinary wrote. It fails,
// changing nothing, on anything else and on a state that no test can be in.
func (t *SequentialTest) UnmarshalBinary(data []byte) error {
	r := reader{data: data}
	r.version(testVersion)
	var o SequentialTest
	o.plan = TestPlan{Budget: r.float(), Information: r.float(), FirstLook: r.count(math.MaxInt64)}
	o.looks, o.score, o.top = r.count(math.MaxInt64), r.count(math.MaxInt64), r.count(math.MaxInt64)
	o.halvings = r.count(64)
	o.meanStep, o.used, o.level, o.threshold = r.float(), r.float(), r.float(), r.float()
	flags := r.count(15)
	o.tested, o.reachable, o.regressed, o.varied = flags&1 != 0, flags&2 != 0, flags&4 != 0, flags&8 != 0
	for range r.length(math.MaxInt32, 13) {
		o.strata = append(o.strata, r.stratum())
	}
	o.paths, o.scores = r.chances(), r.chances()
	if err := r.end(); err != nil {
		return err
	}
	if err := o.consistent(); err != nil {
		return err
	}
	if again, err := o.MarshalBinary(); err != nil || !bytes.Equal(again, data) {
		return errors.New("stats: malformed test: not in canonical form")
	}
	*t = o
	return nil
}

func (t SequentialTest) consistent() error {
	if _, err := NewSequentialTest(t.plan); err != nil {
		return err
	}
	isRate := func(v float64) bool { return v >= 0 && v <= 1 }
	switch {
	case !isRate(t.used) || !isRate(t.level) || t.used > t.plan.Budget:
		return errors.New("stats: malformed test: error out of range")
	case !isRate(t.threshold) && math.Float64bits(t.threshold) != math.Float64bits(math.NaN()):
		return errors.New("stats: malformed test: margin out of range")
	case !(t.meanStep > 0 && t.meanStep <= meanWeight(0)):
		return errors.New("stats: malformed test: weight out of range")
	case t.score > t.top || (t.looks == 0) != (len(t.strata) == 0):
		return errors.New("stats: malformed test: score out of range")
	}
	for i, s := range t.strata {
		ordered := i == 0 || t.strata[i-1].id < s.id
		if !ordered || !(s.odds > 0 && s.odds <= math.MaxFloat64) || !s.candidate.plausible() || !s.baseline.plausible() {
			return errors.New("stats: malformed test: stratum out of range")
		}
	}
	return nil
}

func (p Proportion) plausible() bool { return p.X >= 0 && p.N >= 1 && p.X <= p.N }

func (r *reader) stratum() stratum {
	s := stratum{id: r.varint()}
	s.candidate = Proportion{X: r.count(math.MaxInt64), N: r.count(math.MaxInt64)}
	s.baseline = Proportion{X: r.count(math.MaxInt64), N: r.count(math.MaxInt64)}
	s.odds = r.float()
	return s
}

func appendChances(data []byte, c chances) []byte {
	data = appendCount(data, c.lo)
	data = appendCount(data, int64(len(c.cells)))
	for _, p := range c.cells {
		data = appendFloat(data, p)
	}
	return data
}

// chances reads a law: probabilities that do not add up to more than 1.
func (r *reader) chances() chances {
	c := chances{lo: r.count(math.MaxInt64 / 4)}
	n := r.length(math.MaxInt32, 8)
	r.require(n > 0, "law without cells")
	c.cells = make([]float64, 0, n)
	sum := 0.0
	for range n {
		p := r.float()
		r.require(p >= 0 && p <= 1, "probability out of range")
		sum += p
		c.cells = append(c.cells, p)
	}
	r.require(sum <= 1+1e-9, "law is more than certain")
	return c
}
