package simulate

import (
	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// unit turns 64 random bits into a number in (0,1): the middle of one of 2^53 equal parts.
func unit(bits uint64) float64 { return (float64(bits>>11) + 0.5) * 0x1p-53 }

// draw returns the value of a metric at a level that a number u in (0,1) stands
// for, as it is recorded: for a rate 0 or 1, whichever of them is a failure of
// the gate. The value is the worse the lower u is for a rate, and rises with u otherwise.
func (t Truth) draw(u float64, g api.Gate, level float64) float64 {
	switch t.Shape {
	case Lognormal:
		return level * stats.Exp(float64(t.Sigma*stats.NormalQuantile(u)))
	case Normal:
		return level + float64(t.Sigma*t.Baseline[0]*stats.NormalQuantile(u))
	case Bernoulli:
	}
	if failed := u < level; failed == (g.Better == api.BetterLower) {
		return 1
	}
	return 0
}

// order deals out whose run comes next.
type order struct {
	arrivals Arrivals
	// owed counts baseline runs in hundredths of the weight: integers, so that
	// no proportion drifts.
	owed int
}

// candidate reports whether the next run is the candidate's, at a weight in percent.
func (o *order) candidate(source *stats.Source, weight int) bool {
	if o.arrivals == Random {
		return source.Index(100) < weight
	}
	if o.owed >= weight {
		o.owed -= weight
		return false
	}
	o.owed += 100 - weight
	return true
}

// begin starts a step: the baseline's share of the first candidate run comes before it.
func (o *order) begin(weight int) { o.owed = 100 - weight }
