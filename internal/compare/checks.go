package compare

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// The checks beside the gates.
const (
	// CheckMix: the cohorts differ in the proportions of their probes, models or environments.
	CheckMix = "mix"
	// CheckClustered: units repeat within a cohort, and a gate counts their runs as independent.
	CheckClustered = "clustered"
	// CheckSpread: the cohorts of a mean differ in variance by more than a factor of two.
	CheckSpread = "spread"
	// CheckUnpaired: more than a fifth of the runs of a gate on pairs have no partner.
	CheckUnpaired = "unpaired"
)

// spreadFactor is the ratio of variances beyond which a mean is warned of.
const spreadFactor = 2

// Mixes counts the runs of a cohort by what should be the same in both.
type Mixes struct{ Probes, Models, Environments stats.Mix }

// Add counts one run; what it does not carry is empty.
func (m *Mixes) Add(probe, model, environment string) {
	m.Probes.Add(probe)
	m.Models.Add(model)
	m.Environments.Add(environment)
}

// Merge adds the runs of another part.
func (m *Mixes) Merge(o Mixes) {
	m.Probes.Merge(o.Probes)
	m.Models.Merge(o.Models)
	m.Environments.Merge(o.Environments)
}

// examined is a gate with the figures behind its result.
type examined struct {
	gate api.Gate
	figures
}

// checks looks at what the gates take for granted. A check that had nothing to
// look at is left out.
func (q Question) checks(gates []examined) []api.Check {
	list := []api.Check{}
	for _, c := range []api.Check{q.mix(gates), q.clustered(gates), spread(gates), unpaired(gates)} {
		if c.Status != "" {
			list = append(list, c)
		}
	}
	return list
}

// mix warns of proportions that differ. Gates on pairs do not mind the probes.
func (q Question) mix(gates []examined) api.Check {
	var differ, same []string
	for _, a := range []struct {
		name string
		of   func(Cohort) stats.Mix
	}{
		{"probes", func(c Cohort) stats.Mix { return c.Mixes.Probes }},
		{"models", func(c Cohort) stats.Mix { return c.Mixes.Models }},
		{"environments", func(c Cohort) stats.Mix { return c.Mixes.Environments }},
	} {
		strata := make([]stats.MixStratum, 0, len(q.Strata))
		for _, s := range q.Strata {
			strata = append(strata, stats.MixStratum{Candidate: a.of(s.Candidate), Baseline: a.of(s.Baseline)})
		}
		shift := stats.CompareMixes(strata)
		switch {
		case shift.Freedom < 1:
		case !shift.Differs():
			same = append(same, a.name+" are in the same proportions")
		case a.name != "probes":
			differ = append(differ, a.name+" differ in "+shiftText(shift))
		default:
			if loose, advice := unpairedGates(gates); len(loose) > 0 {
				differ = append(differ, "probes differ in "+shiftText(shift)+", and a difference of "+strings.Join(loose, ", ")+
					" may come from the inputs alone: "+advice)
			} else {
				same = append(same, "probes differ in "+shiftText(shift)+", and every gate is compared on pairs")
			}
		}
	}
	switch {
	case len(differ) > 0:
		return api.Check{Check: CheckMix, Status: api.CheckWarn, Detail: strings.Join(differ, "; ")}
	case len(same) > 0:
		return api.Check{Check: CheckMix, Status: api.CheckOK, Detail: strings.Join(same, "; ")}
	}
	return api.Check{}
}

func shiftText(s stats.MixShift) string {
	text := fmt.Sprintf("proportion between the releases (distance %s, chi-square %s of %d)",
		share(s.Distance), strconv.FormatFloat(s.Statistic, 'f', 0, 64), s.Freedom)
	if s.Named && s.Category != "" {
		text += fmt.Sprintf(", most of all %s: %s of the baseline, %s of the candidate", s.Category, share(s.Baseline), share(s.Candidate))
	}
	return text
}

func share(v float64) string { return FormatValue(api.Gate{Statistic: api.StatisticRate}, v) }

// The advice where runs are not what was sampled, for gates that can be paired and for quantiles.
const (
	advicePair = "compare on pairs by probe"
	adviceMean = "a quantile has no pairs, a mean has"
)

// unpairedGates names the gates that compare all runs.
func unpairedGates(gates []examined) (names []string, advice string) {
	advice = adviceMean
	for _, e := range gates {
		if e.gate.Pair != "" {
			continue
		}
		names = append(names, e.name())
		if _, quantile := e.gate.Statistic.Quantile(); !quantile {
			advice = advicePair
		}
	}
	return names, advice
}

func (e examined) name() string { return e.gate.Metric + " " + string(e.gate.Statistic) }

// clustered warns where units repeat under a rate or a quantile, whose
// intervals take runs for independent; means are resampled by unit.
func (q Question) clustered(gates []examined) api.Check {
	var names []string
	advice := adviceMean
	for _, e := range gates {
		if e.gate.Pair != "" || e.gate.Statistic == api.StatisticMean {
			continue
		}
		repeats, effect := q.repeats(e.gate.Metric)
		if !repeats {
			continue
		}
		name := e.name()
		if e.gate.Statistic == api.StatisticRate {
			advice = advicePair
		}
		if e.gate.Statistic == api.StatisticRate && e.boolean {
			if effect > 0 {
				name += fmt.Sprintf(" (design effect %s: its interval should be about %s times as wide)",
					strconv.FormatFloat(effect, 'f', 1, 64), strconv.FormatFloat(math.Sqrt(max(effect, 1)), 'f', 1, 64))
			}
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return api.Check{}
	}
	return api.Check{
		Check: CheckClustered, Status: api.CheckWarn,
		Detail: "several runs of one unit or probe count as independent for " + strings.Join(names, ", ") + ": " + advice,
	}
}

// repeats reports whether a unit has several runs in a stratum of a cohort, and
// the largest design effect that this has; 0 where it cannot be told.
func (q Question) repeats(metric string) (repeats bool, effect float64) {
	for _, s := range q.Strata {
		for _, c := range []Cohort{s.Candidate, s.Baseline} {
			if m := c.Metrics[metric].Summary; m.Clustered() {
				repeats, effect = true, max(effect, designEffect(m))
			}
		}
	}
	return repeats, effect
}

// designEffect is 0 where it cannot be told.
func designEffect(s stats.Summary) float64 {
	if v := stats.DesignEffect(s.Units()); finite(v) {
		return v
	}
	return 0
}

// spread warns where a difference of means may be one of tails.
func spread(gates []examined) api.Check {
	var names []string
	for _, e := range gates {
		if e.gate.Statistic != api.StatisticMean || e.gate.Pair != "" {
			continue
		}
		c, b := e.cohorts[CandidateSide].Variance(), e.cohorts[BaselineSide].Variance()
		if !finite(c, b) || !(max(c, b) > spreadFactor*min(c, b)) {
			continue
		}
		larger := "candidate"
		if b > c {
			larger = "baseline"
		}
		text := "only the " + larger + " varies"
		if min(c, b) > 0 {
			text = amount(max(c, b)/min(c, b)) + " times larger in the " + larger
		}
		names = append(names, e.gate.Metric+" ("+text+")")
	}
	if len(names) == 0 {
		return api.Check{}
	}
	return api.Check{
		Check: CheckSpread, Status: api.CheckWarn,
		Detail: "the variance differs by more than a factor of two for " + strings.Join(names, ", ") +
			": a mean then follows a few large values; gate a quantile such as p95, or the metric capped",
	}
}

// unpaired warns where a gate on pairs leaves out much of what was run: a
// candidate that does not get through its probes has no pairs to lose on.
func unpaired(gates []examined) api.Check {
	var names []string
	for _, e := range gates {
		if e.gate.Pair == "" {
			continue
		}
		lost := func(unpaired, runs int64) bool { return runs > 0 && 5*unpaired > runs }
		if lost(e.pairs.UnpairedCandidate, e.reports[CandidateSide]) || lost(e.pairs.UnpairedBaseline, e.reports[BaselineSide]) {
			names = append(names, fmt.Sprintf("%s (%d of %d runs of the candidate, %d of %d of the baseline)", e.name(),
				e.pairs.UnpairedCandidate, e.reports[CandidateSide], e.pairs.UnpairedBaseline, e.reports[BaselineSide]))
		}
	}
	if len(names) == 0 {
		return api.Check{}
	}
	slices.Sort(names)
	return api.Check{
		Check: CheckUnpaired, Status: api.CheckWarn,
		Detail: "more than a fifth of the runs have no partner with the same probe and are left out of " + strings.Join(slices.Compact(names), ", "),
	}
}
