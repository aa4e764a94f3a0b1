package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rebound-go/rebound/bench"
)

// row is an entry and what was measured of it.
type row struct {
	scenario bench.Scenario
	entry    bench.Entry

	serial, cores series  // ns
	bytes, allocs float64 // per operation, or on the heap
	done          bool    // for what need be measured only once
}

// series are the samples of one figure.
type series struct{ all, quiet []sample }

// sample is one measurement.
type sample struct {
	ns   float64
	line string // as benchstat reads it
}

func (s *series) add(v sample, foreign float64) {
	s.all = append(s.all, v)
	if foreign <= 0.1 {
		s.quiet = append(s.quiet, v)
	}
}

// chosen returns the quiet samples if there are at least three, or else all.
func (s *series) chosen() (samples []sample, quiet bool) {
	if len(s.quiet) >= 3 || len(s.quiet) == len(s.all) {
		return s.quiet, true
	}
	return s.all, false
}

// figure is the median of the quiet samples. Where there are too few, it is the lower quartile of
// all: what others do to a sample only lengthens it.
func (s *series) figure() (ns float64, quiet bool) {
	of, quiet := s.chosen()
	if len(of) == 0 {
		return 0, true
	}
	var all []float64
	for _, v := range of {
		all = append(all, v.ns)
	}
	slices.Sort(all)
	if !quiet {
		return all[len(all)/4], false
	}
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2, true
}

// sample takes one sample more of each figure that has less than n quiet ones, and reports whether
// it is to be called again.
func (r *row) sample(n int) bool {
	if r.entry.Held != nil {
		r.heap()
		return false
	}
	if len(r.serial.quiet) < n {
		r.measure(&r.serial, bench.Serial, "")
	}
	if r.scenario.Cores && len(r.cores.quiet) < n {
		r.measure(&r.cores, bench.Parallel, "/cores")
	}
	return len(r.serial.quiet) < n || r.scenario.Cores && len(r.cores.quiet) < n
}

func (r *row) measure(
	s *series, how func(*testing.B, bench.Scenario, bench.Entry), suffix string,
) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	runtime.GC()
	before := usage()
	result := testing.Benchmark(func(b *testing.B) { how(b, r.scenario, r.entry) })
	foreign := usage().foreign(before)
	r.bytes = float64(result.AllocedBytesPerOp())
	r.allocs = float64(result.AllocsPerOp())
	name := strings.ReplaceAll(r.scenario.Name+"/"+r.entry.Lib, " ", "_") + suffix
	s.add(sample{
		ns:   float64(result.T.Nanoseconds()) / float64(result.N),
		line: fmt.Sprintf("BenchmarkEntries/%s %v\t%v\n", name, result, result.MemString()),
	}, foreign)
}

// writeSamples writes what the figures were made of, for benchstat.
func (r *row) writeSamples(w io.Writer) {
	for _, s := range []series{r.serial, r.cores} {
		of, _ := s.chosen()
		for _, v := range of {
			fmt.Fprint(w, v.line)
		}
	}
}

func (r *row) heap() {
	if !r.done {
		r.bytes, r.allocs = bench.Heap(r.entry)
		r.done = true
	}
}

// ticks is processor time used since the machine started, in hundredths of a second.
type ticks struct{ all, busy, own float64 }

// usage reads the processor times of the machine and of this process; on systems that do not have
// them in /proc they are 0, and every sample counts as quiet.
func usage() (t ticks) {
	machine, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(machine), "\n")
	for i, v := range numbers(strings.TrimPrefix(line, "cpu")) {
		t.all += v
		if i != 3 && i != 4 { // idle, waiting for disks
			t.busy += v
		}
	}
	self, _ := os.ReadFile("/proc/self/stat")
	_, rest, _ := strings.Cut(string(self), ") ")
	if v := numbers(rest); len(v) > 12 {
		t.own = v[11] + v[12] // user, system
	}
	return t
}

func numbers(text string) (n []float64) {
	for _, f := range strings.Fields(text) {
		v, _ := strconv.ParseFloat(f, 64)
		n = append(n, v)
	}
	return n
}

// foreign is the share of the machine that other processes have used since.
func (t ticks) foreign(since ticks) float64 {
	others := t.busy - since.busy - (t.own - since.own)
	return max(others, 0) / max(t.all-since.all, 1)
}
