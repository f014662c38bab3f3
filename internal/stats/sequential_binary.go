package stats

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

const testVersion = 2

// The binary form of a sequential test, version 2. Integers are variable-length,
// seven bits a byte, least significant first, signed ones in zigzag; floats are
// the 8 bytes of IEEE 754, big endian:
//
//	2, budget, information, information against history, first look, history X N,
//	looks, score, top, halvings, mean step, used, level, threshold,
//	flags (1 tested, 2 reachable, 4 regressed, 8 varied, 16 rows are nodes),
//	n, n times (stratum signed, design, candidate X N, baseline X N, odds),
//	if a stratum is historical: its margin (absolute, odds ratio)
//	law of undecided paths, law of the score
//
// where a law is the number of its first row, how many rows there are, and of
// each row the lowest score, the number of cells and the cells.

// MarshalBinary returns the test's only binary form. It fails on the zero value.
func (t SequentialTest) MarshalBinary() ([]byte, error) {
	if t.paths.rows == nil {
		return nil, errors.New("stats: a test starts with NewSequentialTest")
	}
	data := make([]byte, 0, 256+50*len(t.strata)+8*(t.paths.size()+t.scores.size())+5*(len(t.paths.rows)+len(t.scores.rows)))
	data = append(data, testVersion)
	data = appendFloat(data, t.plan.Budget)
	data = appendFloat(data, t.plan.Information)
	data = appendFloat(data, t.plan.HistoryInformation)
	for _, v := range [...]int64{t.plan.FirstLook, t.plan.History.X, t.plan.History.N, t.looks, t.score, t.top, t.halvings} {
		data = appendCount(data, v)
	}
	for _, v := range [...]float64{t.meanStep, t.used, t.level, t.threshold} {
		data = appendFloat(data, v)
	}
	flags := int64(0)
	for i, set := range [...]bool{t.tested, t.reachable, t.regressed, t.varied, t.byNode} {
		if set {
			flags |= 1 << i
		}
	}
	data = appendCount(data, flags)
	data = appendCount(data, int64(len(t.strata)))
	for _, s := range t.strata {
		data = binary.AppendVarint(data, s.id)
		for _, v := range [...]int64{int64(s.design), s.candidate.X, s.candidate.N, s.baseline.X, s.baseline.N} {
			data = appendCount(data, v)
		}
		data = appendFloat(data, s.odds)
	}
	if t.nodes != nil {
		data = appendFloat(appendFloat(data, t.margin.Absolute), t.margin.OddsRatio)
	}
	return appendJoint(appendJoint(data, t.paths), t.scores), nil
}

// UnmarshalBinary replaces the test by what MarshalBinary wrote. It fails,
// changing nothing, on anything else and on a state that no test can be in.
func (t *SequentialTest) UnmarshalBinary(data []byte) error {
	r := reader{data: data}
	r.version(testVersion)
	var o SequentialTest
	o.plan = TestPlan{Budget: r.float(), Information: r.float(), HistoryInformation: r.float(), FirstLook: r.count(math.MaxInt64)}
	o.plan.History = Proportion{X: r.count(runsLimit), N: r.count(runsLimit)}
	o.looks, o.score, o.top = r.count(math.MaxInt64), r.count(math.MaxInt64), r.count(math.MaxInt64)
	o.halvings = r.count(64)
	o.meanStep, o.used, o.level, o.threshold = r.float(), r.float(), r.float(), r.float()
	flags := r.count(31)
	o.tested, o.reachable, o.regressed, o.varied = flags&1 != 0, flags&2 != 0, flags&4 != 0, flags&8 != 0
	o.byNode = flags&16 != 0
	for range r.length(math.MaxInt32, 14) {
		o.strata = append(o.strata, r.stratum())
	}
	historical := slices.ContainsFunc(o.strata, func(s stratum) bool { return s.design == Historical })
	if historical {
		o.margin = Margin{Absolute: r.float(), OddsRatio: r.float()}
	}
	o.paths, o.scores = r.joint(), r.joint()
	if err := r.end(); err != nil {
		return err
	}
	if err := o.consistent(); err != nil {
		return err
	}
	if historical {
		o.nodes = nodesOf(o.plan.History, o.margin)
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
		ordered := i == 0 || t.strata[i-1].before(s)
		if !ordered || !(s.odds > 0 && s.odds <= math.MaxFloat64) || !t.holds(s) {
			return errors.New("stats: malformed test: stratum out of range")
		}
	}
	return t.consistentLaws()
}

// holds reports whether the counts of a stratum are possible.
func (t SequentialTest) holds(s stratum) bool {
	possible := s.candidate.plausible() && s.baseline.plausible()
	switch s.design {
	case Concurrent:
		return possible
	case Historical:
		return possible && s.baseline == t.plan.History
	case Paired:
		return possible && s.candidate.N == s.baseline.N && s.candidate.X <= s.candidate.N-s.baseline.X
	}
	return false
}

// consistentLaws checks that the rows of the laws are those that the strata ask
// for, so that Look can rely on it.
func (t SequentialTest) consistentLaws() error {
	runs, historical := int64(0), false
	for _, s := range t.strata {
		if s.design == Historical {
			historical = true
			if runs += s.candidate.N; runs < 0 {
				return errors.New("stats: malformed test: too many runs")
			}
		}
	}
	for _, j := range [...]joint{t.paths, t.scores} {
		ok := j.first == 0 && len(j.rows) == 1 && len(j.rows[0].cells) > 0
		switch {
		case historical && t.byNode:
			ok = j.first == 0 && len(j.rows) == nodeCount
		case historical:
			ok = j.last() <= runs && int64(len(j.rows)) <= areaLimit/(j.hi()-j.lo()+1) &&
				j.first >= t.scores.first && j.last() <= t.scores.last()
		}
		if !ok || t.byNode && !historical || len(j.rows) > 1 && j.hi()-j.lo() > min(spreadLimit, 4096+32*int64(j.size())) {
			return errors.New("stats: malformed test: rows out of range")
		}
	}
	if historical && (t.margin.check() != nil || t.margin.OddsRatio == 0) {
		return errors.New("stats: malformed test: margin out of range")
	}
	return nil
}

func (p Proportion) plausible() bool { return p.X >= 0 && p.N >= 1 && p.X <= p.N }

func (r *reader) stratum() stratum {
	s := stratum{id: r.varint(), design: Design(r.count(int64(Paired)))}
	s.candidate = Proportion{X: r.count(math.MaxInt64), N: r.count(math.MaxInt64)}
	s.baseline = Proportion{X: r.count(math.MaxInt64), N: r.count(math.MaxInt64)}
	s.odds = r.float()
	return s
}

func appendJoint(data []byte, j joint) []byte {
	data = appendCount(appendCount(data, j.first), int64(len(j.rows)))
	for _, row := range j.rows {
		data = appendCount(appendCount(data, row.lo), int64(len(row.cells)))
		for _, p := range row.cells {
			data = appendFloat(data, p)
		}
	}
	return data
}

// joint reads a law: probabilities that do not add up to more than 1.
func (r *reader) joint() joint {
	j := joint{first: r.count(math.MaxInt64 / 4)}
	n := r.length(math.MaxInt32, 2)
	r.require(n > 0, "law without rows")
	j.rows = make([]chances, 0, n)
	sum := 0.0
	for range n {
		c := chances{lo: r.count(math.MaxInt64 / 4)}
		size := r.length(math.MaxInt32, 8)
		r.require(size > 0 || c.lo == 0, "place of an empty row")
		if size > 0 {
			c.cells = make([]float64, 0, size)
		}
		for range size {
			p := r.float()
			r.require(p >= 0 && p <= 1, "probability out of range")
			sum += p
			c.cells = append(c.cells, p)
		}
		j.rows = append(j.rows, c)
	}
	r.require(sum <= 1+1e-9, "law is more than certain")
	return j
}

// MarshalText returns the binary form in base64, so that a test can stand in a
// JSON document. It fails on the zero value.
func (t SequentialTest) MarshalText() ([]byte, error) {
	data, err := t.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.AppendEncode(nil, data), nil
}

// UnmarshalText replaces the test by what MarshalText wrote. It fails, changing
// nothing, on anything else.
func (t *SequentialTest) UnmarshalText(text []byte) error {
	data, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("stats: malformed test: %w", err)
	}
	if !bytes.Equal(base64.StdEncoding.AppendEncode(nil, data), text) { // line breaks are skipped in decoding
		return errors.New("stats: malformed test: not in canonical form")
	}
	return t.UnmarshalBinary(data)
}
