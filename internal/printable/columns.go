package printable

import "strings"

// Columns returns rows as lines whose cells stand below each other, two spaces apart. A cell is on
// the left of its column, or on the right where right reports that for the column's index. Rows may
// be shorter than others.
func Columns(rows [][]string, right func(column int) bool) string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			// Not bytes: East Asian characters take two columns, and combining ones none.
			widths[i] = max(widths[i], Width(cell))
		}
	}
	// Trailing spaces are cut: some editors and tests of documents remove them.
	var all strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			gap := strings.Repeat(" ", widths[i]-Width(cell))
			if right(i) {
				line.WriteString(gap + cell + "  ")
			} else {
				line.WriteString(cell + gap + "  ")
			}
		}
		all.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return all.String()
}
