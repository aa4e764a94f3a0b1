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
type series struct {
	all, quiet []float64
}

func (s *series) add(v, foreign float64) {
	s.all = append(s.all, v)
	if foreign <= 0.1 {
		s.quiet = append(s.quiet, v)
	}
}

// median is that of the quiet samples, if there are at least three.
func (s *series) median() (v float64, quiet bool) {
	of := s.quiet
	if quiet = len(of) >= 3; !quiet {
		of = s.all
	}
	if len(of) == 0 {
		return 0, true
	}
	of = slices.Sorted(slices.Values(of))
	return (of[(len(of)-1)/2] + of[len(of)/2]) / 2, quiet
}

// sample takes one sample more, unless there are n quiet ones, and writes it to w.
func (r *row) sample(n int, w io.Writer) {
	if r.entry.Held != nil {
		r.heap()
		return
	}
	if len(r.serial.quiet) < n {
		r.measure(&r.serial, bench.Serial, "", w)
	}
	if r.scenario.Cores && len(r.cores.quiet) < n {
		r.measure(&r.cores, bench.Parallel, "/cores", w)
	}
}

func (r *row) measure(
	s *series, how func(*testing.B, bench.Scenario, bench.Entry), suffix string, w io.Writer,
) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	runtime.GC()
	before := usage()
	result := testing.Benchmark(func(b *testing.B) { how(b, r.scenario, r.entry) })
	foreign := usage().foreign(before)
	s.add(float64(result.T.Nanoseconds())/float64(result.N), foreign)
	r.bytes = float64(result.AllocedBytesPerOp())
	r.allocs = float64(result.AllocsPerOp())
	name := strings.ReplaceAll(r.scenario.Name+"/"+r.entry.Lib, " ", "_") + suffix
	fmt.Fprintf(w, "BenchmarkEntries/%s %v\t%v\n", name, result, result.MemString())
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
