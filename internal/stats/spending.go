package stats

import "math"

const (
	// spendingShape is gamma of Hwang, Shih & DeCani: -3 spends late.
	spendingShape = -3
	// spendingTail is the share of the budget kept for all time after the plan.
	spendingTail = 0.05
)

// AlphaStar returns the error that a test may have spent, in all, when it has
// information v of the planned information: 0 at v <= 0, rising to 95 % of the
// budget at the plan's end and towards the whole budget for ever after.
// It is 0 unless planned is positive.
//
// Source: Hwang, Shih & DeCani 1990 with gamma = -3 inside the plan; beyond it
// the rest is spent as 1 - 1/(1 + ln u), u = v/planned.
func AlphaStar(budget, planned, v float64) float64 {
	if !(v > 0) || !(planned > 0) {
		return 0
	}
	inside := float64(budget * (1 - spendingTail))
	u := v / planned
	if u <= 1 {
		return inside * (Exp(-spendingShape*u) - 1) / (Exp(-spendingShape) - 1)
	}
	beyond := float64(float64(budget*spendingTail) * (1 - 1/(1+Log(u))))
	return inside + beyond
}

// CriticalMixture returns the two-sided critical value that keeps a normal
// statistic below it at every look, however many, except with probability
// alpha (0 < alpha < 1): it depends on the information so far, v > 0 (for two
// samples n_c n_b / (n_c + n_b)), and is narrowest near the planned one > 0.
//
// Source: Robbins 1970, the normal mixture, tuned as in Howard et al. 2021.
func CriticalMixture(alpha, v, planned float64) float64 {
	twice := float64(-2 * Log(alpha))
	rho := planned / (twice + Log(1+twice))
	return math.Sqrt(float64((1 + rho/v) * (Log(1+v/rho) + twice)))
}
