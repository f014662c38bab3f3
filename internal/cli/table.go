package cli

import "strings"

// Table is a table of text. Columns are as wide as their widest cell and two
// spaces apart; the last one is never padded.
type Table struct {
	Head []string
	Rows [][]string
	// Right marks the columns that are aligned on the right: numbers.
	Right map[int]bool
}

// Add adds a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Text lays the table out. A control character in a cell is made harmless,
// except for the escape sequences of a style.
func (t *Table) Text(style Style) string {
	widths := make([]int, len(t.Head))
	for _, row := range append([][]string{t.Head}, t.Rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], Width(cell))
		}
	}
	var b strings.Builder
	line := func(cells []string, paint func(string) string) {
		var l strings.Builder
		for i, cell := range cells {
			if i > 0 {
				l.WriteString("  ")
			}
			switch {
			case t.Right[i]:
				l.WriteString(strings.Repeat(" ", widths[i]-Width(cell)) + paint(cell))
			case i == len(cells)-1:
				l.WriteString(paint(cell))
			default:
				l.WriteString(paint(cell) + strings.Repeat(" ", widths[i]-Width(cell)))
			}
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	line(t.Head, style.Dim)
	for _, row := range t.Rows {
		line(row, func(cell string) string { return cell })
	}
	return b.String()
}
