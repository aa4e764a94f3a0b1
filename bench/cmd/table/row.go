package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rebound-go/rebound/bench"
)

// row is an entry and its measurements.
type row struct {
	scenario bench.Scenario
	entry    bench.Entry

	serial, cores series  // ns
	bytes, allocs float64 // per operation, or on the heap
	measured      bool
}

// name returns the name of the row in the samples, in benchstat's form.
func (r *row) name(cores bool) string {
	name := "BenchmarkEntries/" + strings.ReplaceAll(r.scenario.Name+"/"+r.entry.Lib, " ", "_")
	if cores {
		return name + "/cores"
	}
	return name
}

// series are the samples of one figure.
type series struct{ quiet, noisy []sample }

// sample is one measurement.
type sample struct {
	ns   float64
	line string // in benchstat's form
}

// enough is how many quiet samples make a figure.
const enough = 3

// chosen returns the quiet samples, or all of them if too few are quiet.
func (s *series) chosen() (samples []sample, quiet bool) {
	if len(s.quiet) >= enough || len(s.noisy) == 0 {
		return s.quiet, true
	}
	return slices.Concat(s.quiet, s.noisy), false
}

// interval is a figure: its samples without the fastest and the slowest tenth, and their median.
type interval struct{ low, middle, high float64 }

func (s *series) interval() interval {
	of, _ := s.chosen()
	if len(of) == 0 {
		return interval{}
	}
	var all []float64
	for _, v := range of {
		all = append(all, v.ns)
	}
	slices.Sort(all)
	n := len(all)
	tenth := n / 10
	return interval{all[tenth], (all[(n-1)/2] + all[n/2]) / 2, all[n-1-tenth]}
}

// overlaps reports whether the ranges of two figures overlap.
func (i interval) overlaps(with interval) bool {
	return i.low <= with.high && with.low <= i.high
}

// String returns the figure with two digits, because a third one would differ in the next run.
func (i interval) String() string {
	low, high := digits(i.low), digits(i.high)
	switch {
	case i.middle == 0:
		return ""
	case low == high:
		return low
	}
	return low + "–" + high
}

// digits formats v with two significant digits.
func digits(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	unit := 1.0
	for v/unit >= 100 {
		unit *= 10
	}
	return fmt.Sprintf("%.0f", unit*float64(int(v/unit+0.5)))
}

// heap is the figure of an object's size, which is exact.
func heap(bytes float64) interval { return interval{bytes, bytes, bytes} }

// figure returns the figure that is compared with other rows.
func (r *row) figure() interval {
	if r.entry.Held != nil {
		return heap(max(r.bytes, 0))
	}
	return r.serial.interval()
}

// ratio returns v divided by to. It returns "" if there is nothing to compare, and ≈ if their
// ranges overlap.
func ratio(v, to interval) string {
	switch {
	case to.middle == 0 || v.middle == 0:
		return ""
	case v == to:
		return "1"
	case v.overlaps(to):
		return "≈"
	}
	if share := v.middle / to.middle; share >= 0.1 {
		return digits(share)
	}
	return fmt.Sprintf("%.2f", v.middle/to.middle)
}

// best returns the row with the smallest figure of a kind, or nil.
func best(rows []*row, k bench.Kind) (least *row) {
	for _, r := range rows {
		if v := r.figure().middle; r.entry.Kind == k && v > 0 &&
			(least == nil || v < least.figure().middle) {
			least = r
		}
	}
	return least
}

// figureOf returns the figure of a row that may be nil.
func figureOf(r *row) interval {
	if r == nil {
		return interval{}
	}
	return r.figure()
}
