package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rebound-go/rebound/bench"
)

func printTables(w io.Writer, a about, groups []*group) {
	fmt.Fprintf(w, "# The same work, side by side\n\n%s, %s, %s, %d cores, %s.\n", a.date, a.system,
		a.toolchain, a.cores, a.processor)
	fmt.Fprint(w, "\nA figure is the range of its samples without the fastest and the slowest ",
		"tenth. A ~ marks a figure that\nwas measured while the machine did other work. A ratio is ",
		"one of medians; ≈ means that the ranges\noverlap.\n\n",
		"| library | module | version |\n| --- | --- | --- |\n")
	for _, l := range a.libraries {
		fmt.Fprintf(w, "| %s | %s | %s |\n", l.name, l.module, l.version)
	}
	for _, g := range groups {
		printScenario(w, g.rows)
	}
}

// printScenario prints the table of one scenario. × is the ratio of the first figure to that of the
// best peer, and to that of the best floor.
func printScenario(w io.Writer, rows []*row) {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r *row) bool { return !r.measured })
	if len(rows) == 0 {
		return
	}
	s := rows[0].scenario
	peer, floor := figureOf(best(rows, bench.Peer)), figureOf(best(rows, bench.Floor))
	fmt.Fprintf(w, "\n## %s\n\n%s.\n\n", s.Name, strings.ToUpper(s.About[:1])+s.About[1:])
	if rows[0].entry.Held != nil {
		fmt.Fprintln(w, "| library | bytes | objects | × peer | × floor | note |")
		fmt.Fprintln(w, "| --- | --: | --: | --: | --: | --- |")
	} else {
		fmt.Fprintln(w, "| library | ns | two cores | B | allocs | × peer | × floor | note |")
		fmt.Fprintln(w, "| --- | --: | --: | --: | --: | --: | --: | --- |")
	}
	for _, r := range rows {
		v := r.figure()
		cells := []string{styled(r.entry), fmt.Sprintf("%.0f", r.bytes),
			fmt.Sprintf("%.1f", r.allocs), ratio(v, peer), ratio(v, floor), r.entry.Note}
		if r.entry.Held == nil {
			cells[2] = fmt.Sprintf("%.0f", r.allocs)
			cells = append([]string{cells[0], marked(r.serial), marked(r.cores)}, cells[1:]...)
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
}

func styled(e bench.Entry) string {
	switch e.Kind {
	case bench.Ours:
		return "**" + e.Lib + "**"
	case bench.Peer:
		return e.Lib
	}
	return "_" + e.Lib + "_"
}

// marked returns a figure, with a ~ if the machine was not quiet.
func marked(s series) string {
	text := s.interval().String()
	if _, quiet := s.chosen(); !quiet {
		text = "~" + text
	}
	return text
}
