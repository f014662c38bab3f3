package stats

import "math"

// Bin is the place of a value in the histogram of a summary: ordered as the
// values are, and read off the bits of the float, without logarithms. Bin 0
// holds 0; bins 1 and up hold positive values, 256 bins to each doubling from
// 2^-30 on, so that a bin is at most 0.4 % wide; bin -n mirrors bin n.
type Bin int32

const (
	binBits   = 8
	binOrigin = (1023 - 30) << binBits // just below 10^-9, the smallest value
	binLast   = (30+60)<<binBits - 1   // just above 10^18, the largest
	binOffset = 1 << 20                // makes keys of tables positive
)

// BinOf returns the bin of a finite value. Magnitudes below 2^-30 are taken for
// 0 and magnitudes from 2^60 on for the last bin.
func BinOf(v float64) Bin {
	pattern := math.Float64bits(v) &^ (1 << 63)
	n := int64(pattern>>(52-binBits)) - binOrigin
	switch {
	case n < 0:
		return 0
	case n > binLast:
		n = binLast
	}
	if v < 0 {
		return Bin(-n - 1)
	}
	return Bin(n + 1)
}

// Bounds returns the bin's limits. A positive value lies in [Lo, Hi), a negative
// one in (Lo, Hi].
func (b Bin) Bounds() Interval {
	switch {
	case b == 0:
		return Interval{}
	case b < 0:
		m := (-b).Bounds()
		return Interval{Lo: -m.Hi, Hi: -m.Lo}
	}
	edge := func(n int64) float64 { return math.Float64frombits(uint64(n+binOrigin) << (52 - binBits)) }
	return Interval{Lo: edge(int64(b) - 1), Hi: edge(int64(b))}
}

// Midpoint returns the middle of the bin, which stands for its values.
func (b Bin) Midpoint() float64 {
	bounds := b.Bounds()
	return (bounds.Lo + bounds.Hi) / 2
}

func (b Bin) key() uint64 { return uint64(int64(b) + binOffset) }

func binOfKey(key uint64) Bin { return Bin(int64(key) - binOffset) }

// Quantile returns the q-quantile, 0 <= q <= 1, of type 7 of the values, each
// taken at the middle of its bin, and so within 0.2 % of the exact one; NaN
// when the summary is empty.
func (s Summary) Quantile(q float64) float64 {
	if s.count == 0 || !(q >= 0 && q <= 1) {
		return math.NaN()
	}
	k, g := position7(s.count, q)
	low := s.ranked(k).Midpoint()
	if g == 0 {
		return low
	}
	return float64((1-g)*low) + float64(g*s.ranked(k+1).Midpoint())
}

// QuantileInterval returns the interval of the q-quantile at the two-sided
// critical value z: the order statistics whose ranks are the Wilson limits of
// the share q of the runs, the next ones outwards, at the middles of their
// bins. It is [NaN, NaN] when the summary is empty.
func (s Summary) QuantileInterval(q, z float64) Interval {
	if s.count == 0 || !(q >= 0 && q <= 1) {
		return Interval{Lo: math.NaN(), Hi: math.NaN()}
	}
	low, high := rankLimits(s.count, q, z)
	return Interval{Lo: s.ranked(low).Midpoint(), Hi: s.ranked(high).Midpoint()}
}

// QuantileBin returns the bin of the order statistic at or above the q-quantile,
// 0 <= q <= 1: the threshold of a test on "beyond the baseline's quantile". It
// is 0 when the summary is empty.
func (s Summary) QuantileBin(q float64) Bin {
	if s.count == 0 || !(q >= 0 && q <= 1) {
		return 0
	}
	k, g := position7(s.count, q)
	if g > 0 {
		k++
	}
	return s.ranked(k)
}

// CountAbove returns the number of runs in bins above b.
func (s Summary) CountAbove(b Bin) int64 {
	above := int64(0)
	for i := len(s.bins.chunks) - 1; i >= 0; i-- {
		for j := len(s.bins.chunks[i]) - 1; j >= 0; j-- {
			c := s.bins.chunks[i][j]
			if binOfKey(c.key) <= b {
				return above
			}
			above += int64(c.value)
		}
	}
	return above
}

// ranked returns the bin of the value of rank k, from 0, of a summary that has it.
func (s Summary) ranked(k int64) Bin {
	var last Bin
	for _, chunk := range s.bins.chunks {
		for _, c := range chunk {
			last = binOfKey(c.key)
			if k -= int64(c.value); k < 0 {
				return last
			}
		}
	}
	return last
}
