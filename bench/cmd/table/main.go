// Command table measures every entry of package bench and prints one table for each scenario.
//
//	table [-only retry] [-lib rebound] [-count 10] [-time 30ms] [-limit 10m] [-raw raw.txt] \
//		[-scale=false] [-from raw.txt] [-page docs/performance.md]
//
// The entries of a scenario are measured in turns, one sample of each entry in a turn. So other
// work of the machine affects all of them. If other processes used more than a tenth of the
// machine, the turn is repeated, until the limit. A figure is the range of the samples of quiet
// turns. If there are fewer than three quiet turns, it is that of all turns, and has a ~ before it.
//
// With -from, nothing is measured: the tables are printed from the file that -raw wrote. With
// -page, the table at the beginning of a page is rewritten.
package main

import (
	"bytes"
	"flag"
	"io"
	"log"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound/bench"
)

var (
	only      = flag.String("only", "", "scenarios whose name contains this")
	lib       = flag.String("lib", "", "entries whose library contains this, and the floors")
	count     = flag.Int("count", 10, "turns of each scenario")
	benchtime = flag.String("time", "30ms", "time per sample")
	limit     = flag.Duration("limit", 10*time.Minute, "start no further turn after this time")
	raw       = flag.String("raw", "", "file for the samples, as benchstat reads them")
	scale     = flag.Bool("scale", true, "also measure how groups and waiting calls scale")
	from      = flag.String("from", "", "file of samples to print, instead of measuring")
	page      = flag.String("page", "", "page whose first table is rewritten")
)

func main() {
	log.SetFlags(0)
	testing.Init()
	flag.Parse()
	if err := setBenchtime(*benchtime); err != nil {
		log.Fatal(err)
	}
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// setBenchtime sets how long a sample takes.
func setBenchtime(d string) error { return flag.Set("test.benchtime", d) }

func run(out io.Writer) error {
	groups := chosen()
	samples, err := measured(groups)
	if err != nil {
		return err
	}
	if *raw != "" {
		var text bytes.Buffer
		writeSamples(&text, samples, groups)
		if err := os.WriteFile(*raw, text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	if *page != "" {
		if err := rewrite(*page, groups); err != nil {
			return err
		}
	}
	printTables(out, samples, groups)
	samples.scaling.print(out)
	return nil
}

// measured fills the groups, from a file or by measuring.
func measured(groups []*group) (about, error) {
	if *from != "" {
		file, err := os.Open(*from)
		if err != nil {
			return about{}, err
		}
		defer file.Close()
		return readSamples(file, groups)
	}
	for start, more := time.Now(), true; more && time.Since(start) < *limit; {
		more = false
		for _, g := range groups {
			more = g.turn(*count) || more
		}
	}
	a := here()
	if *scale {
		a.scaling = measureScale()
	}
	return a, nil
}

// chosen returns the rows that the flags select, by scenario.
func chosen() (groups []*group) {
	for _, s := range bench.Scenarios {
		if !strings.Contains(s.Name, *only) {
			continue
		}
		g := &group{}
		for _, e := range bench.Entries(s.Name) {
			if e.Kind != bench.Floor && !strings.Contains(e.Lib, *lib) {
				continue
			}
			g.rows = append(g.rows, &row{scenario: s, entry: e})
		}
		groups = append(groups, g)
	}
	return groups
}
