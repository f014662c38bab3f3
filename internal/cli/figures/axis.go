// Package figures draws the figures of a verdict as text: a gate with both
// cohorts and its interval on an axis, the ramp of a rollout.
//
// Everything is a pure function from wire types to text, so that what a person
// sees is what was decided and a golden file can hold it.
package figures

import (
	"math"
	"strings"
)

// Axis is an interval on a line with zero and the margin.
type Axis struct {
	Estimate, Lo, Hi float64
	// Margin is where harm begins, signed: -0.02 tolerates a loss of 0.02.
	Margin float64
}

// Draw draws the axis in a number of columns, at least 11. Its range holds the
// interval, zero and the margin:
//
//	├──────●────┼───┤
func (a Axis) Draw(columns int) string {
	columns = max(columns, 11)
	left, right := a.bounds()
	at := func(v float64) int {
		share := (v - left) / (right - left)
		return min(max(int(math.Round(share*float64(columns-1))), 0), columns-1)
	}
	line := []rune(strings.Repeat(" ", columns))
	lo, hi := at(a.Lo), at(a.Hi)
	for i := lo; i <= hi; i++ {
		line[i] = '─'
	}
	line[lo], line[hi] = '├', '┤'
	if a.Margin != 0 {
		line[at(a.Margin)] = '┊'
	}
	zero := at(0)
	if line[zero] == '─' {
		line[zero] = '┼'
	} else {
		line[zero] = '│'
	}
	line[at(a.Estimate)] = '●'
	return string(line)
}

// bounds leaves a little room on both sides, and always some range.
func (a Axis) bounds() (left, right float64) {
	left = min(a.Lo, a.Estimate, a.Margin, 0)
	right = max(a.Hi, a.Estimate, a.Margin, 0)
	room := (right - left) * 0.05
	if !(room > 0) {
		room = 1
	}
	return left - room, right + room
}
