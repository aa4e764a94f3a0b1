package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/rebound-go/rebound/bench"
)

// group is the rows of one scenario. They are measured in turns, one sample of each row in a turn.
// So other work of the machine affects all rows, and a turn is quiet for all of them or for none.
type group struct {
	rows  []*row
	turns int // quiet ones
	tried int // all
}

// maxForeign is the share of the machine that other processes may use in a quiet turn.
const maxForeign = 0.1

// turn takes a turn if there are fewer than n quiet ones, and reports whether there still are.
func (g *group) turn(n int) bool {
	if len(g.rows) == 0 || g.turns >= n {
		return false
	}
	if g.rows[0].entry.Held != nil {
		for _, r := range g.rows {
			r.bytes, r.allocs = bench.Heap(r.entry)
			r.measured = true
		}
		g.turns = n
		return false
	}
	before := usage()
	serial, cores := map[*row]sample{}, map[*row]sample{}
	for i := range g.rows {
		// Each turn begins with another row, because the caches of the first one may be those of the
		// previous scenario.
		r := g.rows[(i+g.tried)%len(g.rows)]
		serial[r] = r.measure(bench.Serial, false)
		if r.scenario.Cores {
			cores[r] = r.measure(bench.Parallel, true)
		}
	}
	g.tried++
	quiet := usage().foreign(before) <= maxForeign
	for _, r := range g.rows {
		r.serial.add(serial[r], quiet)
		if r.scenario.Cores {
			r.cores.add(cores[r], quiet)
		}
	}
	if quiet {
		g.turns++
	}
	return g.turns < n
}

func (s *series) add(v sample, quiet bool) {
	if quiet {
		s.quiet = append(s.quiet, v)
	} else {
		s.noisy = append(s.noisy, v)
	}
}

// measure takes one sample.
func (r *row) measure(how func(*testing.B, bench.Scenario, bench.Entry), cores bool) sample {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	runtime.GC()
	result := testing.Benchmark(func(b *testing.B) { how(b, r.scenario, r.entry) })
	r.bytes = float64(result.AllocedBytesPerOp())
	r.allocs = float64(result.AllocsPerOp())
	r.measured = true
	return sample{
		ns:   float64(result.T.Nanoseconds()) / float64(result.N),
		line: fmt.Sprintf("%s %v\t%v\n", r.name(cores), result, result.MemString()),
	}
}

// ticks is processor time used since the machine started, in hundredths of a second.
type ticks struct{ all, busy, own float64 }

// usage reads the processor times of the machine and of this process. On systems without /proc they
// are 0, and every turn counts as quiet.
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

// foreign returns the share of the machine that other processes have used since.
func (t ticks) foreign(since ticks) float64 {
	others := t.busy - since.busy - (t.own - since.own)
	return max(others, 0) / max(t.all-since.all, 1)
}
