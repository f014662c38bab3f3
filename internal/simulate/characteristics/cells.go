// Package characteristics is the table of what the engine must reach, as data,
// and the report of what it does reach.
//
// Invariants: the report is a function of the engine, the number of rollouts
// and the seed, to the byte; each of its lines can be repeated alone with
// prova-eval simulate and the options that the line shows.
package characteristics

import (
	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/simulate"
)

// Group is cells that ask one question.
type Group struct {
	Title string
	// Text says what the cells have in common and what must hold.
	Text  string
	Cells []Cell
	// MeanAtMost bounds the mean share over the group's cells; 0 is no bound.
	MeanAtMost float64
}

// Cell is one scenario and what must come of it.
type Cell struct {
	Assumed simulate.Assumptions
	Limit   Limit
	// Times multiplies the number of rollouts, of a cell whose group's mean is
	// so near its bound that fewer cannot tell; 0 is 1.
	Times int
}

// Limit is what must hold of a cell; members that are 0 ask for nothing.
type Limit struct {
	// Of says which share is bounded: RolledBack if empty.
	Of Subject
	// AtMost bounds the upper limit of the share's interval: what is promised must hold beyond chance.
	AtMost float64
	// AtLeast bounds the share itself.
	AtLeast float64
	// MedianWithin bounds the median of candidate runs to a rollback.
	MedianWithin int64
}

// Subject is a share of rollouts.
type Subject string

// The subjects of limits.
const (
	RolledBack Subject = ""
	Promoted   Subject = "promoted"
)

// The limits on false rollbacks: the budget is 5 %, and half a point is left
// to the interval of a simulation.
const (
	falseUpper = 0.055
	falseMean  = 0.05
)

type change func(*simulate.Assumptions)

// cell is the default scenario with changes.
func cell(l Limit, changes ...change) Cell {
	a := simulate.Defaults()
	for _, c := range changes {
		c(&a)
	}
	return Cell{Assumed: a, Limit: l}
}

// times plays more rollouts.
func (c Cell) times(n int) Cell {
	c.Times = n
	return c
}

func harmless(changes ...change) Cell { return cell(Limit{AtMost: falseUpper}, changes...) }

func rates(baseline, candidate float64) change {
	return func(a *simulate.Assumptions) { a.Rates = [2]float64{baseline, candidate} }
}
func perStep(n int64) change { return func(a *simulate.Assumptions) { a.PerStep = n } }
func blocks(n int64) change  { return func(a *simulate.Assumptions) { a.BlockRuns = n } }
func gates(n int) change     { return func(a *simulate.Assumptions) { a.Gates = n } }
func random(a *simulate.Assumptions) {
	a.Arrivals = simulate.Random
}
func drift(levels ...float64) change { return func(a *simulate.Assumptions) { a.Drift = levels } }
func history(n int64) change         { return func(a *simulate.Assumptions) { a.History = n } }
func beyond(n int64) change          { return func(a *simulate.Assumptions) { a.Beyond = n } }
func firstLook(n int64) change       { return func(a *simulate.Assumptions) { a.FirstLook = n } }
func margin(points float64) change {
	return func(a *simulate.Assumptions) { a.Margin = api.Margin{Value: points} }
}

// pairs gates the pairs of runs of one probe.
func pairs(metric string, s api.Statistic, better api.Better) change {
	return func(a *simulate.Assumptions) {
		a.Metric = api.Gate{Metric: metric, Statistic: s, Better: better, Pair: api.PairProbe, On: api.OnRollback}
	}
}

func nonInferior(points float64) change {
	return func(a *simulate.Assumptions) { a.PromoteOn, a.PromoteMargin = api.PromoteNonInferior, points }
}

// latency is a lognormal latency with a standard deviation of its logarithm.
func latency(s api.Statistic, better api.Better, sigma, effect float64) change {
	return func(a *simulate.Assumptions) {
		a.Metric = api.Gate{Metric: "latency_ms", Statistic: s, Better: better, On: api.OnRollback}
		a.Sigma, a.Effect = sigma, effect
	}
}

// Groups is the table.
func Groups() []Group {
	return []Group{
		{
			Title: "No true change", MeanAtMost: falseMean, Cells: noChange(),
			Text: "The candidate is as good as the baseline. The share rolled back is the rate of false rollbacks.",
		},
		{
			Title: "No true change, and a base rate that drifts over the steps", MeanAtMost: falseMean, Cells: drifting(),
			Text: "Both releases get worse, or better, together from step to step.",
		},
		{
			Title: "No true change, against a finished baseline", MeanAtMost: falseMean, Cells: finished(),
			Text: "The baseline's runs were recorded before the rollout; each candidate run is looked at.",
		},
		{
			Title: "No true change, and a rollout that is held for weeks", MeanAtMost: falseMean, Cells: held(),
			Text: "The rollout is held at its last step and ticked 1,000 times more.",
		},
		{
			Title: "Worse by exactly the margin", MeanAtMost: falseMean, Cells: atMargin(),
			Text: "The candidate is worse by the margin that the gate allows, so it is still harmless.",
		},
		{Title: "Harm to a rate", Cells: harmToRates(), Text: "The share rolled back is the power of the test."},
		{Title: "Harm to a latency", Cells: harmToLatency(), Text: "Lognormal latencies; the mean, or a quantile, is gated."},
		{
			Title: "Promotion by non-inferiority", Cells: promotion(),
			Text: "The candidate is worse by exactly the promotion margin. The share promoted is the rate of wrong promotions.",
		},
	}
}

func noChange() []Cell {
	var list []Cell
	for _, n := range []int64{30, 100, 300} {
		for _, rate := range []float64{0.01, 0.03, 0.10, 0.50} {
			list = append(list, harmless(rates(rate, rate), perStep(n)))
		}
		for _, block := range []int64{1, 30} {
			for _, rate := range []float64{0.01, 0.10} {
				if n == 300 && rate == 0.01 { // takes long, and says nothing that its neighbours do not
					continue
				}
				list = append(list, harmless(rates(rate, rate), perStep(n), blocks(block)))
			}
		}
		list = append(list, harmless(perStep(n), gates(3)), harmless(perStep(n), gates(10)))
	}
	for _, n := range []int64{30, 100} {
		for _, rate := range []float64{0.01, 0.10, 0.50} {
			list = append(list, harmless(rates(rate, rate), perStep(n), random))
		}
	}
	for _, statistic := range []api.Statistic{api.StatisticMean, api.StatisticP95} {
		for _, sigma := range []float64{0.6, 1.2} {
			for _, better := range []api.Better{api.BetterLower, api.BetterHigher} {
				list = append(list, harmless(latency(statistic, better, sigma, 1)))
			}
		}
	}
	return append(list,
		harmless(pairs("success", api.StatisticRate, api.BetterHigher)),
		harmless(pairs("latency_ms", api.StatisticMean, api.BetterLower)),
	)
}

func drifting() []Cell {
	var list []Cell
	for _, n := range []int64{30, 100, 300} {
		list = append(list, harmless(drift(0.05, 0.10, 0.15), perStep(n)), harmless(drift(0.15, 0.10, 0.05), perStep(n)))
	}
	return append(list,
		harmless(drift(0.01, 0.02, 0.03), perStep(100)),
		harmless(drift(0.05, 0.10, 0.15), blocks(1)),
		harmless(drift(0.05, 0.10, 0.15), blocks(30)),
		harmless(drift(0.05, 0.10, 0.15), random),
		harmless(drift(0.7, 1, 1.5), latency(api.StatisticMean, api.BetterLower, 0.6, 1)),
		harmless(drift(0.7, 1, 1.5), latency(api.StatisticP95, api.BetterLower, 0.6, 1)),
	)
}

func finished() []Cell {
	var list []Cell
	for _, n := range []int64{100, 1000, 10_000} {
		for _, rate := range []float64{0.01, 0.03, 0.10} {
			list = append(list, harmless(rates(rate, rate), history(n), blocks(1)))
		}
	}
	return append(list,
		harmless(history(1000), blocks(1), latency(api.StatisticMean, api.BetterLower, 0.6, 1)),
		harmless(history(1000), blocks(1), beyond(1000)),
	)
}

func held() []Cell {
	return []Cell{
		harmless(rates(0.01, 0.01), beyond(1000)).times(3),
		harmless(beyond(1000)).times(3),
		harmless(beyond(1000), random).times(3),
	}
}

func atMargin() []Cell {
	return []Cell{
		harmless(rates(0.02, 0.04), margin(0.02)),
		harmless(rates(0.10, 0.12), margin(0.02)),
		harmless(rates(0.02, 0.07), margin(0.05)),
		harmless(rates(0.10, 0.15), margin(0.05)),
		harmless(rates(0.10, 0.15), margin(0.05), perStep(100)),
	}
}

func harmToRates() []Cell {
	return []Cell{
		cell(Limit{AtLeast: 0.71}, rates(0.10, 0.20)),
		cell(Limit{AtLeast: 0.68}, rates(0.10, 0.20), random),
		cell(Limit{AtLeast: 0.99, MedianWithin: 30}, rates(0.10, 0.30)),
		cell(Limit{AtLeast: 0.69}, rates(0.10, 0.15), perStep(100)),
		cell(Limit{MedianWithin: 12}, rates(0.10, 0.60), firstLook(1)),
		cell(Limit{}, rates(0.10, 0.15)),
		cell(Limit{}, rates(0.01, 0.03), perStep(100)),
		cell(Limit{}, rates(0.50, 0.60), perStep(100)),
		cell(Limit{}, rates(0.10, 0.20), gates(3)),
		cell(Limit{}, rates(0.10, 0.20), gates(10)),
		cell(Limit{}, rates(0.10, 0.20), pairs("success", api.StatisticRate, api.BetterHigher)),
		cell(Limit{}, rates(0.10, 0.20), history(1000), blocks(1)),
	}
}

func harmToLatency() []Cell {
	return []Cell{
		cell(Limit{AtLeast: 0.70}, latency(api.StatisticMean, api.BetterLower, 0.6, 1.2)),
		cell(Limit{AtLeast: 0.68}, latency(api.StatisticMean, api.BetterLower, 1.2, 1.5)),
		cell(Limit{}, latency(api.StatisticP95, api.BetterLower, 0.6, 1.5)),
		cell(Limit{}, latency(api.StatisticP50, api.BetterLower, 0.6, 1.2)),
	}
}

func promotion() []Cell {
	list := []Cell{}
	for _, n := range []int64{30, 100, 300} {
		list = append(list, cell(Limit{Of: Promoted, AtMost: falseUpper}, rates(0.10, 0.15), perStep(n), nonInferior(0.05)))
	}
	return append(list,
		cell(Limit{Of: Promoted}, perStep(100), nonInferior(0.05)),
		cell(Limit{Of: Promoted}, perStep(300), nonInferior(0.05)),
	)
}
