package compare

import (
	"math"
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
)

// The codes of a gate's reason.
const (
	ReasonClean            = "clean"
	ReasonRegressed        = "regressed"
	ReasonTooFewRuns       = "too_few_runs"
	ReasonMetricMissing    = "metric_missing"
	ReasonMissingMoreOften = "missing_more_often"
	ReasonNotBoolean       = "not_boolean"
	ReasonNoLook           = "no_look"
	ReasonCannotRegress    = "cannot_regress"
	ReasonNotFinite        = "not_finite"
	ReasonNoPairs          = "no_pairs"
	ReasonTooFewPairs      = "too_few_pairs"
	ReasonTooFewUnits      = "too_few_units"
)

func reason(code string, params map[string]any, text string) api.Reason {
	return api.Reason{Code: code, Params: params, Text: text}
}

// FormatDifference writes a difference with its interval the way a reason
// does: −13.7 points (−31.0 … +1.2), or in units of the metric. A limit that so
// few runs do not have is marked: (−12 … >+310).
func FormatDifference(g api.Gate, d api.Difference) string {
	lo, hi := signed(g, d.Lo), signed(g, d.Hi)
	if d.Open == api.OpenLo || d.Open == api.OpenBoth {
		lo = "<" + lo
	}
	if d.Open == api.OpenHi || d.Open == api.OpenBoth {
		hi = ">" + hi
	}
	return FormatChange(g, d.Estimate) + " (" + lo + " … " + hi + ")"
}

// FormatChange writes a signed amount with its unit.
func FormatChange(g api.Gate, v float64) string {
	text := signed(g, v)
	if g.Statistic == api.StatisticRate {
		return text + " points"
	}
	if unit := unitOf(g.Metric); unit != "" {
		return text + " " + unit
	}
	return text
}

// FormatValue writes a value of the metric: 90.4 %, 812 ms.
func FormatValue(g api.Gate, v float64) string {
	if g.Statistic == api.StatisticRate {
		return strconv.FormatFloat(v*100, 'f', 1, 64) + " %"
	}
	text := amount(v)
	if unit := unitOf(g.Metric); unit != "" {
		text += " " + unit
	}
	return text
}

// formatMargin says how far a gate may go: "the margin of 2.0 points", or "zero".
func formatMargin(g api.Gate, margin float64) string {
	if g.Margin.Value == 0 {
		return "zero"
	}
	if g.Margin.Relative {
		return "the margin of " + g.Margin.String()
	}
	return "the margin of " + strings.TrimPrefix(FormatChange(g, margin), "+")
}

func signed(g api.Gate, v float64) string {
	text := ""
	if g.Statistic == api.StatisticRate {
		text = strconv.FormatFloat(math.Abs(v)*100, 'f', 1, 64)
	} else {
		text = amount(math.Abs(v))
	}
	if strings.Trim(text, "0.") == "" {
		return text
	}
	if v < 0 {
		return "−" + text
	}
	return "+" + text
}

// amount keeps three significant digits of a small number and the whole part of a large one.
func amount(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100 || a == 0:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	decimals := 2 // and one more for each zero behind the point
	for a := math.Abs(v); a < 1 && decimals < 12; a *= 10 {
		decimals++
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

func unitOf(metric string) string {
	switch {
	case strings.HasSuffix(metric, "_ms"):
		return "ms"
	case strings.HasSuffix(metric, "_usd"):
		return "USD"
	case metric == "tokens" || strings.HasSuffix(metric, "_tokens"):
		return "tokens"
	}
	return ""
}
