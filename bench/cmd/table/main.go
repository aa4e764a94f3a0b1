// Command table measures every entry of package bench and prints one table for each scenario.
//
//	table [-only retry] [-lib rebound] [-count 6] [-time 100ms] [-limit 10m] [-raw raw.txt] \
//		[-scale=false]
//
// Entries take turns, so that what the machine does meanwhile meets all of them. A sample during
// which other processes took more than a tenth of the machine is taken again, until the limit. A
// figure is the median of the quiet samples; one that has fewer than three of them has a ~ before
// it, and is the lower quartile of all.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound/bench"
)

var (
	only      = flag.String("only", "", "scenarios whose name contains this")
	lib       = flag.String("lib", "", "entries whose library contains this, and the floors")
	count     = flag.Int("count", 6, "samples per row")
	benchtime = flag.String("time", "100ms", "time per sample")
	limit     = flag.Duration("limit", 10*time.Minute, "start no further round after this time")
	raw       = flag.String("raw", "", "file for the samples, as benchstat reads them")
	scale     = flag.Bool("scale", true, "how groups and waiting calls scale, too")
)

func main() {
	log.SetFlags(0)
	testing.Init()
	flag.Parse()
	if err := flag.Set("test.benchtime", *benchtime); err != nil {
		log.Fatal(err)
	}
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer) error {
	rows := chosen()
	for start, more := time.Now(), true; more && time.Since(start) < *limit; {
		more = false
		for _, r := range rows {
			more = r.sample(*count) || more
		}
	}
	if *raw != "" {
		var samples bytes.Buffer
		fmt.Fprint(&samples, header())
		for _, r := range rows {
			r.writeSamples(&samples)
		}
		if err := os.WriteFile(*raw, samples.Bytes(), 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "# The same work, side by side\n\n%s\n", machine(rows))
	for _, s := range bench.Scenarios {
		printScenario(out, s, rows)
	}
	if *scale {
		printScale(out)
	}
	return nil
}

// chosen returns the rows that the flags ask for.
func chosen() (rows []*row) {
	for _, s := range bench.Scenarios {
		if !strings.Contains(s.Name, *only) {
			continue
		}
		for _, e := range bench.Entries(s.Name) {
			if e.Kind != bench.Floor && !strings.Contains(e.Lib, *lib) {
				continue
			}
			rows = append(rows, &row{scenario: s, entry: e})
		}
	}
	return rows
}

// header is what benchstat wants to know of the machine.
func header() string {
	return fmt.Sprintf("goos: %s\ngoarch: %s\npkg: github.com/rebound-go/rebound/bench\ncpu: %s\n",
		runtime.GOOS, runtime.GOARCH, processor())
}

// machine tells the date, the shape of the machine, and how quiet it was.
func machine(rows []*row) string {
	figures, quiet := 0, 0
	for _, r := range rows {
		for _, s := range []series{r.serial, r.cores} {
			if len(s.all) == 0 {
				continue
			}
			figures++
			if _, ok := s.figure(); ok {
				quiet++
			}
		}
	}
	return fmt.Sprintf("%s, %s/%s, %s, %d cores, %s. Samples of %s; %d of %d figures are from a "+
		"quiet machine,\nthe others have a ~: the lower quartile of their samples.\n",
		time.Now().UTC().Format("2 January 2006"), runtime.GOOS, runtime.GOARCH, runtime.Version(),
		runtime.NumCPU(), processor(), *benchtime, quiet, figures)
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
