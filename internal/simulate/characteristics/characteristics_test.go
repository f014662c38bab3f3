package characteristics_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cobound/prova/internal/simulate"
	"github.com/cobound/prova/internal/simulate/characteristics"
)

// TestCells: every cell is a scenario of its own, and what is held to the error budget is harmless.
func TestCells(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range characteristics.Groups() {
		for _, c := range g.Cells {
			options := c.Assumed.Options()
			if seen[g.Title+options] {
				t.Errorf("%s: %q stands twice", g.Title, options)
			}
			seen[g.Title+options] = true
			s, err := c.Assumed.Scenario()
			if err != nil {
				t.Errorf("%s: %q: %v", g.Title, options, err)
			} else if c.Limit.AtMost != 0 && c.Limit.Of == characteristics.RolledBack && !s.Harmless() {
				t.Errorf("%s: %q is held to the error budget and is not harmless", g.Title, options)
			}
		}
	}
	t.Logf("%d cells", len(seen))
}

// TestReport measures a part of the table with a fixed seed and holds each
// limit against it with four standard errors to spare.
func TestReport(t *testing.T) {
	var part []characteristics.Group
	for _, g := range characteristics.Groups() {
		var cells []characteristics.Cell
		for _, c := range g.Cells {
			if c.Limit.Bounded() && c.Assumed.PerStep == simulate.Defaults().PerStep && c.Assumed.Beyond == 0 && c.Assumed.Gates == 1 {
				cells = append(cells, c)
			}
		}
		g.Cells = cells
		part = append(part, g)
	}
	o := characteristics.Options{Rollouts: 100, Rivals: 5, Seed: 1, Workers: 2}
	groups, err := characteristics.Measure(part, o)
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, g := range groups {
		for _, l := range g.Lines {
			lines++
			s := l.Share()
			slack := func(p float64) float64 { return 4 * math.Sqrt(p*(1-p)/float64(o.Rollouts)) }
			if most := l.Limit.AtMost; most != 0 && s.Rate > most+slack(most) {
				t.Errorf("%s, %s: %.1f %%, at most %.1f %%", g.Title, l.Assumed.Options(), 100*s.Rate, 100*most)
			}
			if least := l.Limit.AtLeast; s.Rate < least-slack(least) {
				t.Errorf("%s, %s: %.1f %%, at least %.1f %%", g.Title, l.Assumed.Options(), 100*s.Rate, 100*least)
			}
		}
	}
	if lines < 10 {
		t.Errorf("only %d cells were measured", lines)
	}
	report := characteristics.Markdown(groups, o, "prova-eval report")
	for _, want := range []string{"# Operating characteristics", "limits hold", "| `--rates 0.1,0.2` |", "Mean over these"} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
}

// TestSameBytes: neither the workers nor what else is measured change a line.
func TestSameBytes(t *testing.T) {
	groups := characteristics.Groups()
	few := func(cells int) []characteristics.Group {
		g := groups[0]
		g.Cells = g.Cells[:cells]
		return []characteristics.Group{g}
	}
	var lines [2]characteristics.Line
	for i, cells := range []int{1, 2} {
		measured, err := characteristics.Measure(few(cells), characteristics.Options{Rollouts: 60, Rivals: 10, Seed: 1, Workers: cells})
		if err != nil {
			t.Fatal(err)
		}
		lines[i] = measured[0].Lines[0]
	}
	if diff := cmp.Diff(lines[0], lines[1]); diff != "" {
		t.Error(diff)
	}
}
