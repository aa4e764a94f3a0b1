package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-go/rebound/bench"
)

// about describes the machine and the program that took the samples.
type about struct {
	date, toolchain, system, processor string
	cores                              int
	libraries                          []library
	scaling                            scaling
}

// library is a compared library.
type library struct{ name, module, version string }

// here describes this machine and this program.
func here() about {
	return about{
		date: time.Now().UTC().Format("2 January 2006"), toolchain: runtime.Version(),
		system: runtime.GOOS + "/" + runtime.GOARCH, processor: processor(),
		cores: runtime.NumCPU(), libraries: libraries(),
	}
}

// libraries returns the libraries that this program is built with, with their versions in go.mod.
func libraries() (all []library) {
	info, _ := debug.ReadBuildInfo()
	for name, module := range bench.Modules {
		i := slices.IndexFunc(info.Deps, func(m *debug.Module) bool { return m.Path == module })
		if i >= 0 {
			all = append(all, library{name, module, info.Deps[i].Version})
		}
	}
	slices.SortFunc(all, func(a, b library) int { return strings.Compare(a.name, b.name) })
	return all
}

func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return "unknown processor"
}

// writeSamples writes the samples for benchstat and for -from. Benchstat ignores lines that begin
// with #.
func writeSamples(w io.Writer, a about, groups []*group) {
	system, arch, _ := strings.Cut(a.system, "/")
	fmt.Fprintf(w, "goos: %s\ngoarch: %s\npkg: github.com/rebound-go/rebound/bench\ncpu: %s\n",
		system, arch, a.processor)
	fmt.Fprintf(w, "# date: %s\n# go: %s\n# cores: %d\n", a.date, a.toolchain, a.cores)
	for _, l := range a.libraries {
		fmt.Fprintf(w, "# library: %s %s %s\n", l.name, l.module, l.version)
	}
	a.scaling.save(w)
	for _, g := range groups {
		for _, r := range g.rows {
			if r.entry.Held != nil && r.measured {
				fmt.Fprintf(w, "# heap: %s %.0f %.1f\n", r.name(false), r.bytes, r.allocs)
				continue
			}
			for _, s := range []series{r.serial, r.cores} {
				of, _ := s.chosen()
				for _, v := range of {
					fmt.Fprint(w, v.line)
				}
			}
		}
	}
}

// readSamples fills the groups with the samples that writeSamples wrote.
func readSamples(in io.Reader, groups []*group) (a about, err error) {
	figures := map[string]*series{}
	rows := map[string]*row{}
	for _, g := range groups {
		for _, r := range g.rows {
			rows[r.name(false)], rows[r.name(true)] = r, r
			figures[r.name(false)], figures[r.name(true)] = &r.serial, &r.cores
		}
	}
	for lines := bufio.NewScanner(in); lines.Scan(); err = lines.Err() {
		line := lines.Text()
		key, value, _ := strings.Cut(strings.TrimPrefix(line, "# "), ": ")
		switch fields := strings.Fields(line); {
		case strings.HasPrefix(line, "Benchmark"):
			if s, known := figures[fields[0]]; known && len(fields) == 8 {
				s.add(sample{number(fields[2]), line + "\n"}, true)
				rows[fields[0]].set(number(fields[4]), number(fields[6]))
			}
		case key == "heap" && len(fields) == 5:
			if r := rows[fields[2]]; r != nil {
				r.set(number(fields[3]), number(fields[4]))
			}
		case key == "library" && len(fields) == 5:
			a.libraries = append(a.libraries, library{fields[2], fields[3], fields[4]})
		default:
			a.set(key, value)
			a.scaling.parse(key, strings.Fields(value))
		}
	}
	return a, err
}

func (r *row) set(bytes, allocs float64) { r.bytes, r.allocs, r.measured = bytes, allocs, true }

func (a *about) set(key, value string) {
	switch key {
	case "goos":
		a.system = value
	case "goarch":
		a.system += "/" + value
	case "cpu":
		a.processor = value
	case "date":
		a.date = value
	case "go":
		a.toolchain = value
	case "cores":
		a.cores = int(number(value))
	}
}

func number(text string) float64 {
	v, _ := strconv.ParseFloat(text, 64)
	return v
}
