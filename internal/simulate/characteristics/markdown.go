package characteristics

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/simulate"
)

// Markdown writes the report. command is what a maintainer types to write it again.
func Markdown(groups []Measured, o Options, command string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Operating characteristics

What the rule that rolls releases back really does, measured by playing whole rollouts against synthetic truth. Nothing here is
modelled: the rollouts run through the packages that decide real ones.

* Engine: %s. Rollouts in each cell: %s (more where the table says so), and %s of the rule beside it. Seed: %d.
* Written by %s; the same engine and seed give the same bytes.
* Unless the options of a line say otherwise: one gate (success), failures of 10 %%, the ramp 5, 25, 50, 100 %% with 30 candidate
  runs a step, a tick after every 5 candidate runs, the baseline's runs beside them in proportion, an error budget of 5 %%.
* The interval is the 95 %% Wilson interval of the simulation. "At most" is held against its upper end, "at least" against the share itself.
* Each line can be repeated: %s with the line's options, and --rollouts and --seed with the numbers in its last columns.
* "Usual rule" is what happens on the same kind of evidence under the ordinary 95 %% interval, read again at each look
  (%s). It is what a budget for the whole rollout is there to prevent.

%s
`, api.Engine, grouped(int64(o.Rollouts)), grouped(int64(o.Rivals)), o.Seed, "`"+command+"`", "`prova-eval simulate`", "`--guarantee look`", summary(groups))
	for _, g := range groups {
		b.WriteString("\n" + g.markdown())
	}
	return b.String()
}

func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// summary says how many limits hold, and names those that do not.
func summary(groups []Measured) string {
	bounded, holding := 0, 0
	var broken []string
	for _, g := range groups {
		for _, l := range g.Lines {
			if !l.Limit.Bounded() {
				continue
			}
			bounded++
			if l.Holds() {
				holding++
			} else {
				broken = append(broken, "* "+g.Title+": "+l.name())
			}
		}
		if g.MeanAtMost != 0 && g.Mean() > g.MeanAtMost {
			broken = append(broken, "* "+g.Title+": the mean, "+percent(g.Mean()))
		}
	}
	text := fmt.Sprintf("**%d of %d limits hold.**", holding, bounded)
	if len(broken) > 0 {
		text += " These do not:\n\n" + strings.Join(broken, "\n")
	}
	return text
}

func (l Line) name() string {
	options := l.Assumed.Options()
	if options == "" {
		return "the defaults"
	}
	return "`" + options + "`"
}

func (m Measured) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%s\n\n", m.Title, m.Text)
	subject := "rolled back"
	if m.Lines[0].Limit.Of == Promoted {
		subject = "promoted"
	}
	fmt.Fprintf(&b, "| options | %s | interval | must | holds | runs to a rollback: median, p90 | usual rule | rollouts | seed |\n", subject)
	b.WriteString("| --- | ---: | --- | --- | --- | --- | ---: | ---: | ---: |\n")
	for _, l := range m.Lines {
		s := l.Share()
		fmt.Fprintf(&b, "| %s | %s | %s … %s | %s | %s | %s | %s | %d | %d |\n", l.name(), percent(s.Rate), percent(s.Lo), percent(s.Hi),
			l.Limit.text(), holds(l.Limit.Bounded(), l.Holds()), runsText(l.Result.RunsToRollback), l.rival(), l.Result.Rollouts, l.Seed)
	}
	if m.MeanAtMost != 0 {
		fmt.Fprintf(&b, "\nMean over these %d cells: %s; must be at most %s: %s.\n", len(m.Lines), percent(m.Mean()), percent(m.MeanAtMost), holds(true, m.Mean() <= m.MeanAtMost))
	}
	return b.String()
}

func (l Line) rival() string {
	if l.Rival.Rollouts == 0 {
		return "–"
	}
	if l.Limit.Of == Promoted {
		return percent(l.Rival.Promoted.Rate)
	}
	return percent(l.Rival.RolledBack.Rate)
}

func (l Limit) text() string {
	var parts []string
	if l.AtMost != 0 {
		parts = append(parts, "at most "+strconv.FormatFloat(l.AtMost*100, 'g', 4, 64)+" %")
	}
	if l.AtLeast != 0 {
		parts = append(parts, "at least "+strconv.FormatFloat(l.AtLeast*100, 'g', 4, 64)+" %")
	}
	if l.MedianWithin != 0 {
		parts = append(parts, "median within "+strconv.FormatInt(l.MedianWithin, 10)+" runs")
	}
	if len(parts) == 0 {
		return "–"
	}
	return strings.Join(parts, ", ")
}

func holds(bounded, ok bool) string {
	switch {
	case !bounded:
		return "–"
	case ok:
		return "ok"
	}
	return "**not**"
}

func runsText(r simulate.Runs) string {
	if r.Median == nil {
		return "–"
	}
	return strconv.FormatInt(*r.Median, 10) + ", " + strconv.FormatInt(*r.P90, 10)
}

func percent(share float64) string { return strconv.FormatFloat(share*100, 'f', 2, 64) + " %" }
