package figures_test

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cobound/prova/internal/cli/figures"
)

func TestAxis(t *testing.T) {
	for _, c := range []struct {
		axis figures.Axis
		want string
	}{
		{figures.Axis{Estimate: -0.1, Lo: -0.3, Hi: 0.1}, " ├────────●────┼───┤ "},
		{figures.Axis{Estimate: 0.2, Lo: 0.1, Hi: 0.3}, " │     ├─────●─────┤ "},
		{figures.Axis{Estimate: -0.2, Lo: -0.3, Hi: -0.1}, " ├─────●─────┤     │ "},
		{figures.Axis{Estimate: -0.2, Lo: -0.3, Hi: 0.1, Margin: -0.1}, " ├───●────┊────┼───┤ "},
		{figures.Axis{}, "          ●          "},
	} {
		if got := c.axis.Draw(21); got != c.want {
			t.Errorf("%+v:\ngot  %q\nwant %q", c.axis, got, c.want)
		}
	}
}

// Whatever the figures are, the drawing has its width and one estimate.
func FuzzAxis(f *testing.F) {
	f.Add(-0.1, -0.3, 0.1, 0.0, 30)
	f.Add(math.Inf(-1), math.NaN(), math.MaxFloat64, -math.MaxFloat64, -3)
	f.Fuzz(func(t *testing.T, estimate, lo, hi, margin float64, columns int) {
		columns = min(columns, 500)
		got := figures.Axis{Estimate: estimate, Lo: lo, Hi: hi, Margin: margin}.Draw(columns)
		if n := utf8.RuneCountInString(got); n != max(columns, 11) {
			t.Errorf("%d columns, want %d", n, columns)
		}
		if strings.Count(got, "●") != 1 {
			t.Errorf("no estimate in %q", got)
		}
	})
}
