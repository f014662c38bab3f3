package figures

import (
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
)

// State is a state in words and in its colour.
func State(r api.Rollout, style cli.Style) string {
	word := strings.ReplaceAll(string(r.State), "_", " ")
	switch r.State {
	case api.StatePromoted:
		return style.Bold(style.Green(word))
	case api.StateRolledBack, api.StateAborted:
		return style.Bold(style.Red(word))
	case api.StatePaused:
		return style.Yellow(word)
	case api.StateActive:
	}
	return style.Bold(word)
}

// Weight is the weight that is authorised, or would be in shadow mode.
func Weight(r api.Rollout) string {
	switch {
	case r.Weight != nil:
		return strconv.Itoa(*r.Weight) + " %"
	case r.PaperWeight != nil:
		return strconv.Itoa(*r.PaperWeight) + " % on paper"
	}
	return "–"
}

// Ramp draws the steps of a rollout: those that are proved, the present one,
// those to come.
//
//	✓ 5 % ━━ ● 25 % ── ○ 50 % ── ○ 100 %
func Ramp(r api.Rollout, style cli.Style) string {
	var b strings.Builder
	for i, weight := range r.Policy.Steps {
		number := i + 1
		proved := number < r.Step || r.State == api.StatePromoted
		if i > 0 {
			if proved || number == r.Step {
				b.WriteString(style.Green(" ━━ "))
			} else {
				b.WriteString(style.Dim(" ── "))
			}
		}
		label := strconv.Itoa(weight) + " %"
		switch {
		case proved:
			b.WriteString(style.Green("✓ " + label))
		case number == r.Step && (r.State == api.StateRolledBack || r.State == api.StateAborted):
			b.WriteString(style.Bold(style.Red("✗ " + label)))
		case number == r.Step:
			b.WriteString(style.Bold("● " + label))
		default:
			b.WriteString(style.Dim("○ " + label))
		}
	}
	return b.String()
}

// Fresh draws how many fresh runs the present step has of those it needs.
func Fresh(r api.Rollout, columns int) string {
	share := 1.0
	if r.Policy.MinRuns > 0 {
		share = float64(r.FreshRuns) / float64(r.Policy.MinRuns)
	}
	return cli.Bar(share, columns) + " " + strconv.FormatInt(r.FreshRuns, 10) + " of " + strconv.FormatInt(r.Policy.MinRuns, 10) + " fresh runs"
}
