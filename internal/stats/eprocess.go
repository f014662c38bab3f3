package stats

import "math"

// The e-processes here compare methods; no verdict rests on them. An e-value is
// a bet against the null hypothesis whose expectation under it is at most 1 at
// every look, so by Ville's inequality it ever reaches 1/alpha with probability
// at most alpha. Logarithms are natural.

// bet is a likelihood ratio in a mixture: the shift of the log-odds, and the weight.
type bet struct{ shift, weight float64 }

// grid returns the mixture for data that grow. The first bet is none: it keeps
// the mixture from falling to 0.
func grid() []bet {
	const w = 0.1125
	return []bet{{0, 0.1}, {0.15, w}, {0.22, w}, {0.34, w}, {0.5, w}, {0.75, w}, {1.12, w}, {1.67, w}, {2.5, w}}
}

// finished returns the mixture for a baseline that had n runs at the start, at
// the log-odds l: shifts in units of what those runs tell of the log-odds.
func finished(n, l float64) []bet {
	e := Exp(-math.Abs(l))
	unit := (1 + e) / math.Sqrt(float64(n*e)) // 1/sqrt(n p (1-p))
	return []bet{{0, 0.1}, {unit, 0.225}, {2 * unit, 0.315}, {3 * unit, 0.225}, {4 * unit, 0.135}}
}

// LogMixture returns the logarithm of the mixture over shifts s of the
// likelihood ratios of p.X successes in p.N runs at rates with the log-odds
// logit(rate) + side s against the rate, 0 < rate < 1. With side +1 it bets that
// the rate is higher, with -1 that it is lower. It is a supermartingale, from 1
// at no data, if the rate is on the other side.
func LogMixture(p Proportion, rate, side float64) float64 {
	return logMixture(p, logit(rate), side, grid())
}

// SignLogE returns the logarithm of the e-value against "the candidate is worse
// in at most half of the decided pairs", which must be independent.
func SignLogE(worse, decided int64) float64 {
	return logMixture(Proportion{X: worse, N: decided}, 0, 1, grid())
}

// TwoSampleLogE returns the logarithm of the e-value against "the candidate's
// rate of successes is not below the baseline's": the infimum over a rate p of a
// bet that the baseline is above p times one that the candidate is below. The
// rate of the infimum is returned as its log-odds. finishedRuns is the number of
// runs that the baseline had when the candidate started, 0 if both grow.
//
// The infimum is searched on 64 equal steps of the log-odds, from 6 standard
// errors below the candidate to 8 above the baseline, and refined by golden
// section; a gate on it adds 0.02 to its threshold for what that misses.
func TwoSampleLogE(candidate, baseline Proportion, finishedRuns int64) (logE, logOdds float64) {
	at := func(l float64) float64 {
		bets := grid()
		if finishedRuns > 0 {
			bets = finished(float64(finishedRuns), l)
		}
		return logMixture(baseline, l, 1, bets) + logMixture(candidate, l, -1, grid())
	}
	c, spreadC := logOddsOf(candidate)
	b, spreadB := logOddsOf(baseline)
	from := math.Min(c-float64(6*spreadC), b-float64(6*spreadB))
	to := math.Max(b+float64(8*spreadB), c+float64(8*spreadC))
	const steps = 64
	step := float64((to - from) / steps)
	best, logOdds := math.Inf(1), from
	for i := range steps + 1 {
		l := from + float64(float64(i)*step)
		if v := at(l); v < best {
			best, logOdds = v, l
		}
	}
	return goldenSection(at, logOdds-step, logOdds+step)
}

// goldenSection returns the minimum of a function with one between a and b, and
// where it is.
func goldenSection(f func(float64) float64, a, b float64) (least, at float64) {
	const ratio = 0.6180339887498949
	x, y := b-float64(ratio*(b-a)), a+float64(ratio*(b-a))
	fx, fy := f(x), f(y)
	for range 40 {
		if fx < fy {
			b, y, fy = y, x, fx
			x = b - float64(ratio*(b-a))
			fx = f(x)
		} else {
			a, x, fx = x, y, fy
			y = a + float64(ratio*(b-a))
			fy = f(y)
		}
	}
	if fx < fy {
		return fx, x
	}
	return fy, y
}

// logOddsOf returns the log-odds of a rate, estimated as (x+1/2)/(n+1), and
// their standard error.
func logOddsOf(p Proportion) (value, spread float64) {
	n := float64(p.N)
	rate := (float64(p.X) + 0.5) / (n + 1)
	return logit(rate), 1 / math.Sqrt(float64((n+1)*rate)*(1-rate))
}

func logit(p float64) float64 { return Log(p / (1 - p)) }

// logMixture is LogMixture at the log-odds l. In log-odds, the log-likelihood is
// x l - n ln(1+e^l).
func logMixture(p Proportion, l, side float64, bets []bet) float64 {
	x, n := float64(p.X), float64(p.N)
	base := softPlus(l)
	terms := make([]float64, len(bets))
	largest := math.Inf(-1)
	for i, b := range bets {
		shift := float64(side * b.shift)
		terms[i] = float64(x*shift) - float64(n*(softPlus(l+shift)-base)) + Log(b.weight)
		largest = math.Max(largest, terms[i])
	}
	sum := 0.0
	for _, t := range terms {
		sum += Exp(t - largest)
	}
	return largest + Log(sum)
}

// softPlus returns ln(1 + e^x).
func softPlus(x float64) float64 { return math.Max(x, 0) + Log(1+Exp(-math.Abs(x))) }
