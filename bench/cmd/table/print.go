package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/rebound-go/rebound/bench"
)

// printScenario prints the table of one scenario: × is the ratio to the best peer, and to the best
// floor, of the first figure.
func printScenario(w io.Writer, s bench.Scenario, rows []*row) {
	var mine []*row
	for _, r := range rows {
		if r.scenario.Name == s.Name {
			mine = append(mine, r)
		}
	}
	if len(mine) == 0 {
		return
	}
	peer, floor := best(mine, bench.Peer), best(mine, bench.Floor)
	fmt.Fprintf(w, "\n## %s\n\n%s.\n\n", s.Name, strings.ToUpper(s.About[:1])+s.About[1:])
	if mine[0].entry.Held != nil {
		fmt.Fprintln(w, "| library | bytes | objects | × peer | × floor | note |")
		fmt.Fprintln(w, "| --- | --: | --: | --: | --: | --- |")
	} else {
		fmt.Fprintln(w, "| library | ns | two cores | B | allocs | × peer | × floor | note |")
		fmt.Fprintln(w, "| --- | --: | --: | --: | --: | --: | --: | --- |")
	}
	for _, r := range mine {
		v := r.figure()
		cells := []string{styled(r.entry), fmt.Sprintf("%.0f", r.bytes),
			fmt.Sprintf("%.1f", r.allocs), ratio(v, peer), ratio(v, floor), r.entry.Note}
		if r.entry.Held == nil {
			cells[2] = fmt.Sprintf("%.0f", r.allocs)
			cells = append([]string{cells[0], told(r.serial), told(r.cores)}, cells[1:]...)
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
}

// figure is what a row is compared by.
func (r *row) figure() float64 {
	if r.entry.Held != nil {
		return max(r.bytes, 0)
	}
	v, _ := r.serial.figure()
	return v
}

// best is the smallest figure of a kind, 0 if there is none.
func best(rows []*row, k bench.Kind) (least float64) {
	for _, r := range rows {
		if v := r.figure(); r.entry.Kind == k && (least == 0 || v < least) {
			least = v
		}
	}
	return least
}

func ratio(v, to float64) string {
	if to == 0 || v == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", v/to)
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

// told is a figure in ns with three digits, "" if there is none.
func told(s series) string {
	v, quiet := s.figure()
	text := fmt.Sprintf("%.0f", v)
	switch {
	case v == 0:
		return ""
	case v < 100:
		text = fmt.Sprintf("%.1f", v)
	}
	if !quiet {
		text = "~" + text
	}
	return text
}
