package chart

import (
	"fmt"

	"gonum.org/v1/plot"

	"github.com/rebound-go/rebound/sim"
)

// Sweep holds the results of several policies for several values of one field.
type Sweep struct {
	Title, About string
	Field        string   // that was changed
	Values       []string // of the field, from left to right
	Lines        []Line
}

// Line is one policy of a [Sweep].
type Line struct {
	Name   string
	Points [][]sim.PolicyResult // for each value, the results of one run or of several
}

// measures are the panels of a sweep. A panel with only zeros is left out, except the first.
var measures = []struct {
	label string
	value func(*sim.PolicyResult) float64
}{
	{"calls that succeeded, %", func(r *sim.PolicyResult) float64 { return 100 * r.SuccessRate }},
	{"attempts per call", func(r *sim.PolicyResult) float64 { return r.Amplification }},
	{"99th percentile of the latency, s", func(r *sim.PolicyResult) float64 {
		return r.Latency.Quantile(0.99).Seconds()
	}},
	{"peak after the trouble, attempts per s", func(r *sim.PolicyResult) float64 { return r.Peak }},
}

// overValues returns the figure of a sweep. Its values are evenly spaced, because they need not be
// numbers. A line shows the mean of the runs, and a bar their range.
func overValues(s Sweep) *figure {
	f := &figure{title: s.Title, about: s.About}
	last := float64(len(s.Values) - 1)
	f.x = axis{
		label: s.Field, low: -0.3, high: last + 0.3, step: 1,
		ticks: words(s.Values), bare: words(make([]string, len(s.Values))),
	}
	f.table = [][]string{append([]string{"policy", "of"}, s.Values...)}
	for _, line := range s.Lines {
		f.names = append(f.names, line.Name)
	}
	for i, m := range measures {
		p := panel{label: m.label, zoom: true}
		for _, line := range s.Lines {
			means, ranges, runs := summary(line, m.value)
			p.lines = append(p.lines, means)
			if runs > 1 {
				p.ranges = append(p.ranges, ranges)
				f.note = fmt.Sprintf("mean and range of %d runs", runs)
			}
			row := []string{line.Name, m.label}
			for _, mean := range means {
				row = append(row, fmt.Sprintf("%.4g", mean))
			}
			f.table = append(f.table, row)
		}
		if i == 0 || p.max() > 0 {
			f.panels = append(f.panels, p)
		}
	}
	return f.size()
}

// summary returns the mean and the range of each point, and the number of runs.
func summary(
	l Line, value func(*sim.PolicyResult) float64,
) (means []float64, ranges [][2]float64, runs int) {
	for _, point := range l.Points {
		low, high, sum := value(&point[0]), value(&point[0]), 0.0
		for i := range point {
			v := value(&point[i])
			low, high, sum = min(low, v), max(high, v), sum+v
		}
		runs = len(point)
		means = append(means, sum/float64(runs))
		ranges = append(ranges, [2]float64{low, high})
	}
	return means, ranges, runs
}

// words are ticks at 0, 1, 2 and so on.
type words []string

// Ticks returns the ticks. If there are many, some have no label.
func (w words) Ticks(_, _ float64) (all []plot.Tick) {
	const most = 16
	every := (len(w) + most - 1) / most
	for i, word := range w {
		label := " " // with "", the grid would have no line here
		if word != "" && i%every == 0 {
			label = word
		}
		all = append(all, plot.Tick{Value: float64(i), Label: label})
	}
	return all
}
