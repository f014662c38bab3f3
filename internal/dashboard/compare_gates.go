package dashboard

import (
	"math"
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
)

// comparedGate is a gate as a row: both cohorts, their difference, the verdict.
type comparedGate struct {
	Name string
	// Terms are which way is better, what is tolerated and what a breach does.
	Terms               string
	Baseline, Candidate comparedCohort
	// Difference and its Interval are in words, and Plot draws them; all are empty before there is one.
	Difference, Interval string
	Plot                 *differencePlot
	Verdict              api.Outcome
	// Signal is whether it is only watched.
	Signal bool
	// Reason is what an insufficient gate lacks.
	Reason string
	// Hides is the smallest harm that so few runs could still hide; empty where nothing limits it, or where there is harm.
	Hides string
	Pairs *comparedPairs
}

// comparedCohort is the figure of one release in words.
type comparedCohort struct{ Value, Interval, Runs string }

// comparedPairs are the probes that both releases ran.
type comparedPairs struct {
	api.Pairs
	Sentence string
}

// comparedGates makes the rows of a list of gates. All rates share one scale;
// any other metric has its own, with zero in the same place.
func comparedGates(list []api.GateResult) []comparedGate {
	far := 0.0
	for _, g := range list {
		if d := differenceOf(g); d != nil && g.Statistic == api.StatisticRate {
			far = max(far, reach(*d, toleratedHarm(g)))
		}
	}
	rows := make([]comparedGate, 0, len(list))
	for _, g := range list {
		row := comparedGate{
			Name: comparedName(g.Gate), Terms: comparedTerms(g.Gate), Verdict: g.Verdict, Signal: g.On == api.OnWarn,
			Baseline: comparedOf(g.Gate, g.Baseline), Candidate: comparedOf(g.Gate, g.Candidate), Pairs: pairsOf(g.Pairs),
		}
		if g.Hides != nil && g.Verdict != api.Regressed && g.On != api.OnWarn {
			row.Hides = strings.TrimPrefix(compare.FormatChange(g.Gate, math.Abs(*g.Hides)), "+")
		}
		if d := differenceOf(g); d != nil {
			row.Difference = compare.FormatChange(g.Gate, d.Estimate)
			row.Interval = strings.TrimSuffix(strings.TrimPrefix(compare.FormatDifference(g.Gate, *d), row.Difference+" ("), ")")
			if g.Statistic != api.StatisticRate {
				row.Plot = plotDifference(g, *d, toleratedHarm(g), reach(*d, toleratedHarm(g)))
			} else {
				row.Plot = plotDifference(g, *d, toleratedHarm(g), far)
			}
		}
		if g.Verdict == api.Insufficient && len(list) > 1 { // of a single gate the verdict's own reason says it
			row.Reason = g.Reason.Text
		}
		rows = append(rows, row)
	}
	return rows
}

// differenceOf is that which decides, or else the ordinary one; nil before there is any.
func differenceOf(g api.GateResult) *api.Difference {
	if g.Difference != nil {
		return g.Difference
	}
	return g.OneLook
}

// toleratedHarm is the margin in units of the metric.
func toleratedHarm(g api.GateResult) float64 {
	switch {
	case !g.Margin.Relative:
		return g.Margin.Value
	case g.Tolerated != nil:
		return *g.Tolerated
	case g.Baseline.Value == nil:
		return 0
	}
	return g.Margin.Value * math.Abs(*g.Baseline.Value)
}

// comparedName says what a gate compares, such as "success rate".
func comparedName(g api.Gate) string {
	name := g.Metric + " " + string(g.Statistic)
	if g.Pair != "" {
		name += " of pairs"
	}
	return name
}

func comparedTerms(g api.Gate) string {
	terms := string(g.Better) + " is better"
	if g.Margin.Value != 0 {
		margin := g.Margin.String()
		if !g.Margin.Relative {
			margin = strings.TrimPrefix(compare.FormatChange(g, g.Margin.Value), "+")
		}
		terms += ", margin " + margin
	}
	if g.On == api.OnHold {
		terms += ", holds only"
	}
	return terms
}

func comparedOf(g api.Gate, c api.CohortFigure) comparedCohort {
	out := comparedCohort{Value: "–", Runs: plural(c.N, "run")}
	if g.Pair != "" {
		out.Runs = plural(c.N, "probe")
	}
	if c.Missing > 0 {
		out.Runs += ", " + strconv.FormatInt(c.Missing, 10) + " without it"
	}
	if c.Value != nil {
		out.Value = compare.FormatValue(g, *c.Value)
		if c.Lo != nil || c.Hi != nil {
			out.Interval = limitText(g, c.Lo) + " … " + limitText(g, c.Hi)
		}
	}
	return out
}

// cohortText is the figure of a release in one line.
func cohortText(g api.Gate, c api.CohortFigure) string {
	f := comparedOf(g, c)
	if f.Interval == "" {
		return f.Value
	}
	return f.Value + " (" + f.Interval + ")"
}

// limitText is one end of an interval without its unit; so few runs may not have it.
func limitText(g api.Gate, v *float64) string {
	if v == nil {
		return "?"
	}
	text, _, _ := strings.Cut(compare.FormatValue(g, *v), " ")
	return text
}

func pairsOf(p *api.Pairs) *comparedPairs {
	if p == nil {
		return nil
	}
	out := &comparedPairs{Pairs: *p, Sentence: "Both releases ran " + plural(p.N, "probe") + "."}
	if t := p.PairTable; t != nil && t.BaselineOnly+t.CandidateOnly == 0 {
		out.Sentence += " Each came out alike."
	} else if t != nil {
		out.Sentence += " " + strconv.FormatInt(t.BaselineOnly+t.CandidateOnly, 10) + " came out otherwise with the candidate."
	}
	if p.UnpairedBaseline+p.UnpairedCandidate > 0 {
		out.Sentence += " " + plural(p.UnpairedBaseline, "run") + " of the baseline and " + plural(p.UnpairedCandidate, "run") + " of the candidate have no partner."
	}
	return out
}
