package stats

import "math"

// Arrivals are the runs of one step of a ramp.
type Arrivals struct {
	// Candidate runs of Total runs of both releases.
	Candidate, Total int64
	// Share is the candidate's declared share of the traffic, in (0, 1).
	Share float64
}

// SampleRatio returns the logarithm of the evidence that the candidate's share
// of the runs is not the declared one: while each run goes to the candidate with
// the declared probability, independently, the probability that it ever reaches
// ln(1/alpha), however often it is asked, is at most alpha. Steps without runs,
// and with a share outside (0, 1), say nothing. A value far below 0 is evidence
// of nothing either.
//
// Source: Lindon & Malek 2022 (sequential tests of multinomial counts): the Bayes
// factor of a Beta prior around the declared share. Three priors of strength 10,
// 500 and 10,000 runs are mixed in equal parts: the weak one sees a router that
// ignores its weight after a few runs, the strong one a share that is off by
// a tenth after many.
func SampleRatio(steps []Arrivals) float64 {
	strengths := [...]float64{10, 500, 10_000}
	var factors [len(strengths)]float64
	for _, s := range steps {
		if s.Total <= 0 || s.Candidate < 0 || s.Candidate > s.Total || !(s.Share > 0 && s.Share < 1) {
			continue
		}
		x, rest := float64(s.Candidate), float64(s.Total-s.Candidate)
		declared := float64(x*Log(s.Share)) + float64(rest*Log(1-s.Share))
		for i, c := range strengths {
			a, b := float64(c*s.Share), float64(c*(1-s.Share))
			factors[i] += logBeta(a+x, b+rest) - logBeta(a, b) - declared
		}
	}
	most := math.Max(factors[0], math.Max(factors[1], factors[2]))
	sum := 0.0
	for _, f := range factors {
		sum += Exp(f - most)
	}
	return most + Log(sum/float64(len(factors)))
}

// logBeta is the logarithm of the beta function of a, b > 0.
func logBeta(a, b float64) float64 { return logGamma(a) + logGamma(b) - logGamma(a+b) }

// logGamma is the logarithm of the gamma function of x > 0, to about 1e-13
// relative: Stirling's series from 10 on, the recurrence below.
func logGamma(x float64) float64 {
	shift := 1.0
	for x < 10 {
		shift *= x
		x++
	}
	inverse := 1 / x
	square := float64(inverse * inverse)
	series := 0.0
	for _, c := range [...]float64{1.0 / 156, -691.0 / 360360, 1.0 / 1188, -1.0 / 1680, 1.0 / 1260, -1.0 / 360, 1.0 / 12} {
		series = float64(series*square) + c
	}
	const halfLogTwoPi = 0.9189385332046727
	return float64((x-0.5)*Log(x)) - x + halfLogTwoPi + float64(series*inverse) - Log(shift)
}
