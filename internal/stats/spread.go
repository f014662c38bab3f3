package stats

import "math"

// Variance returns the sample variance of the values (over n-1), each taken at
// the middle of its bin: within 0.4 % of the values' own spread plus what the
// width of a bin, 0.4 % of the value, adds. It is NaN below two runs, and 0
// where all values are in one bin.
func (s Summary) Variance() float64 {
	if s.count < 2 {
		return math.NaN()
	}
	sum := 0.0
	for _, c := range s.bins.cells() {
		sum += float64(float64(c.value) * binOfKey(c.key).Midpoint())
	}
	mean, squares := sum/float64(s.count), 0.0
	if s.bins.size == 1 {
		return 0
	}
	for _, c := range s.bins.cells() {
		d := float64(binOfKey(c.key).Midpoint()) - mean // the halving in it is a product
		squares += float64(float64(c.value) * float64(d*d))
	}
	return squares / float64(s.count-1)
}

// DesignEffect returns by how much the variance of a rate over runs of 0 and 1
// is larger because runs of one unit are alike: the variance of the ratio of the
// units' sums and counts over p(1-p)/n. It is 1 in expectation for independent
// runs, and NaN below two units or where p is 0 or 1.
//
// Source: Kish 1965, section 8.2; Cochran 1977, equation 6.9.
func DesignEffect(units []Unit) float64 {
	var all Unit
	for _, u := range units {
		all = all.plus(u)
	}
	n, m := float64(all.Count), float64(len(units))
	p := all.Sum.Float64() / n
	binomial := p * (1 - p) / n
	if m < 2 || !(binomial > 0) {
		return math.NaN()
	}
	squares := 0.0
	for _, u := range units {
		d := u.Sum.Float64() - float64(p*float64(u.Count))
		squares += float64(d * d)
	}
	return float64(m/(m-1)*squares) / float64(n*n) / binomial
}
