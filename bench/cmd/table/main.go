// Command table measures every entry of package bench and prints one table for each scenario.
//
//	table [-only retry] [-lib rebound] [-count 10] [-time 30ms] [-limit 10m] [-raw raw.txt] \
//		[-scale=false] [-from raw.txt] [-page docs/performance.md]
//
// The entries of a scenario take turns, a sample each, so that what the machine does meanwhile
// meets all of them. A turn during which other processes took more than a tenth of the machine is
// taken again, until the limit. A figure is the range of the samples of quiet turns; one that has
// fewer than three of them has a ~ before it, and is of all turns.
//
// With -from nothing is measured: the tables are printed from samples that -raw has written. With
// -page the table at the beginning of a page is written anew.
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
	scale     = flag.Bool("scale", true, "how groups and waiting calls scale, too")
	from      = flag.String("from", "", "file of samples to print, instead of measuring")
	page      = flag.String("page", "", "page whose first table is to be written anew")
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

// chosen returns the rows that the flags ask for, by scenario.
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
