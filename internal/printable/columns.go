package printable

import "strings"

// Columns formats rows as lines whose cells are aligned in columns, two spaces apart. A cell is
// flush left in its column, or flush right if right returns true for the column's index. Rows may
// have different lengths.
func Columns(rows [][]string, right func(column int) bool) string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			// The first row that is this long adds the column.
			if i == len(widths) {
				widths = append(widths, 0)
			}
			// The width is not the number of bytes: East Asian characters take two columns, combining ones
			// none.
			widths[i] = max(widths[i], Width(cell))
		}
	}
	// Trailing spaces are cut, because some editors and tests of documents remove them.
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
