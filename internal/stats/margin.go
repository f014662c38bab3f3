package stats

import (
	"fmt"
	"math"
)

// Margin is how much worse the candidate may be and still count as harmless.
// The zero value allows nothing. If both parts are given the odds multiply.
type Margin struct {
	// Absolute is in units of the failure rate, in [0, 1). It is turned into an
	// odds ratio at the baseline's rate so far, so the test is then approximate;
	// for pairs it is strict. A finished baseline has it added to each rate.
	Absolute float64
	// OddsRatio of failure, exact; 0 means 1.
	OddsRatio float64
}

func (m Margin) check() error {
	if !(m.Absolute >= 0 && m.Absolute < 1) || !(m.OddsRatio >= 0 && m.OddsRatio <= 1e6) {
		return fmt.Errorf("stats: margin %v, odds ratio %v is out of range", m.Absolute, m.OddsRatio)
	}
	return nil
}

// ratio is the margin's own odds ratio.
func (m Margin) ratio() float64 {
	if m.OddsRatio == 0 {
		return 1
	}
	return m.OddsRatio
}

// odds returns the odds ratio of the margin at the baseline of a stratum. The
// baseline's own rate, with a quarter of a failure added, is taken: the rate of
// both arms together would be too lenient where failures are rare. Of pairs it is
// the share in which only the baseline failed, to which the margin comes on top:
// strict, as a candidate that fails more leaves less of it. Of 5 %, up to 3.3 %
// were measured, where the share that follows from all pairs gives up to 55 %.
func (m Margin) odds(s stratum) float64 {
	if m.Absolute == 0 {
		return m.ratio()
	}
	rate := (float64(s.baseline.X) + 0.25) / (float64(s.baseline.N) + 1)
	if s.design == Paired {
		return m.ratio() * ((rate + m.Absolute) / rate)
	}
	rate = min(rate, 1-m.Absolute-1e-6)
	worse := rate + m.Absolute
	return m.ratio() * (worse * (1 - rate) / ((1 - worse) * rate))
}

// threshold is the difference of rates beyond which the margin is exceeded, NaN
// where the margin is one of odds and has no such number.
func (m Margin) threshold() float64 {
	if m.OddsRatio != 0 && m.OddsRatio != 1 {
		return math.NaN()
	}
	return m.Absolute
}
