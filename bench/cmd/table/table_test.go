package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound/bench"
)

func of(ns ...float64) (s series) {
	for _, v := range ns {
		s.quiet = append(s.quiet, sample{ns: v})
	}
	return s
}

func TestInterval(t *testing.T) {
	for _, test := range []struct {
		s    series
		want string
	}{
		{of(), ""},
		{of(5.83), "5.8"},
		{of(2.47, 2.5, 4.37, 4.65, 4.9), "2.5–4.9"},
		{of(11.96, 12.1, 12.3), "12"},
		{of(254, 261, 249), "250–260"},
		{of(1322, 1399, 1351), "1300–1400"},
		{of(1, 100, 100, 100, 100, 100, 100, 100, 100, 999), "100"}, // the outermost tenths are left out
		{series{quiet: of(5).quiet, noisy: of(7, 9).quiet}, "5.0–9.0"},
		{series{quiet: of(5, 5, 5).quiet, noisy: of(7, 9).quiet}, "5.0"},
	} {
		if got := test.s.interval().String(); got != test.want {
			t.Errorf("%v is %q, want %q", test.s, got, test.want)
		}
	}
}

// There is a ratio only if the ranges of two figures do not overlap.
func TestRatio(t *testing.T) {
	for _, test := range []struct {
		v, to interval
		want  string
	}{
		{interval{9, 10, 11}, interval{}, ""},
		{interval{}, interval{9, 10, 11}, ""},
		{interval{9, 10, 11}, interval{9, 10, 11}, "1"},
		{interval{9, 10, 11}, interval{11, 12, 13}, "≈"},
		{interval{12, 12, 13}, interval{9, 10, 11}, "1.2"},
		{interval{190, 200, 201}, interval{999, 1000, 1001}, "0.2"},
		{heap(192), heap(336), "0.6"},
		{heap(17), heap(1300), "0.01"},
	} {
		if got := ratio(test.v, test.to); got != test.want {
			t.Errorf("%v to %v is %q, want %q", test.v, test.to, got, test.want)
		}
	}
}

// fake is two scenarios that are measured already.
func fake() []*group {
	s := bench.Scenario{Name: "retry_2fail", About: "two failures", Cores: true}
	held := bench.Scenario{Name: "held_key", About: "heap"}
	made := func(lib string, k bench.Kind, ns ...float64) *row {
		r := &row{scenario: s, entry: bench.Entry{Scenario: s.Name, Lib: lib, Kind: k}}
		r.serial, r.cores, r.bytes, r.allocs = of(ns...), of(ns[0]/2), 16, 2
		r.measured = true
		for i, v := range r.serial.quiet {
			r.serial.quiet[i].line = r.name(false) + "\t100\t" + digits(v.ns) +
				" ns/op\t16 B/op\t2 allocs/op\n"
		}
		r.cores.quiet[0].line = r.name(true) + "\t100\t" + digits(ns[0]/2) +
			" ns/op\t16 B/op\t2 allocs/op\n"
		return r
	}
	return []*group{
		{rows: []*row{
			made("floor", bench.Floor, 17, 18), made("floor+timer", bench.Floor, 1290, 1310),
			made("eapache", bench.Peer, 1300, 1400), made("rebound", bench.Ours, 250, 260),
		}},
		{rows: []*row{{
			scenario: held, bytes: 50, allocs: 1, measured: true,
			entry: bench.Entry{Scenario: held.Name, Lib: "rebound", Held: func([]any) {}},
		}}},
	}
}

// Written samples can be read again, and give the same tables.
func TestSamples(t *testing.T) {
	a := here()
	a.scaling = scaling{
		groups:  []groupScale{{10, 54.5, 174}},
		waiting: []waitScale{{1000, 2500, time.Millisecond, time.Second}},
	}
	groups, again := fake(), fake()
	for _, g := range again {
		for _, r := range g.rows {
			r.serial, r.cores, r.bytes, r.allocs = series{}, series{}, 0, 0
			r.measured = false
		}
	}
	var saved, want, got bytes.Buffer
	writeSamples(&saved, a, groups)
	printTables(&want, a, groups)
	a.scaling.print(&want)
	read, err := readSamples(&saved, again)
	if err != nil {
		t.Fatal(err)
	}
	printTables(&got, read, again)
	read.scaling.print(&got)
	if got.String() != want.String() {
		t.Errorf("from samples:\n%s\nwant\n%s", got.String(), want.String())
	}
}

func TestShort(t *testing.T) {
	path := t.TempDir() + "/page.md"
	page := "a\n" + shortBegins + "old\n" + shortEnds + "b\n"
	if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := rewrite(path, fake()); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	want := "a\n" + shortBegins + `| ns, one core / two | floor | best peer | rebound | B | allocs |
| --- | --: | --: | --: | --: | --: |
| two failures, zero delay, success | 17–18 / 8.5 | 1300–1400 / 650 (eapache) ` +
		`| 250–260 / 130 | 16 | 2 |
| … by hand, with a timer for each delay, as in peers | 1300 / 650 |  |  |  |  |
` + shortEnds + "b\n"
	if err != nil || string(got) != want {
		t.Errorf("the page is\n%s\nwant\n%s", got, want)
	}
	if err := rewrite("table_test.go", fake()); err == nil {
		t.Error("a page without marks was written")
	}
}

// Every row of the short table has a scenario and an entry that exist.
func TestShortRows(t *testing.T) {
	for _, s := range shortRows {
		lib := s.lib + s.only
		if lib == "" {
			lib = "rebound"
		}
		found := false
		for _, e := range bench.Entries(s.scenario) {
			found = found || e.Lib == lib
		}
		if !found {
			t.Errorf("%q: there is no %s in %s", strings.TrimSpace(s.title), lib, s.scenario)
		}
	}
}

// The entries of a scenario take turns: all of them have as many samples, however noisy the machine
// is.
func TestTurns(t *testing.T) {
	if err := setBenchtime("1x"); err != nil {
		t.Fatal(err)
	}
	g := &group{}
	for _, e := range bench.Entries("budget_debt") {
		s := bench.Scenario{Name: "budget_debt", Cores: true}
		g.rows = append(g.rows, &row{scenario: s, entry: e})
	}
	for range 3 {
		g.turn(100)
	}
	for _, r := range g.rows {
		for _, s := range []series{r.serial, r.cores} {
			if len(s.quiet) != g.turns || len(s.quiet)+len(s.noisy) != 3 {
				t.Errorf("%s: %d quiet and %d noisy samples, want 3, %d of them quiet", r.entry.Lib,
					len(s.quiet), len(s.noisy), g.turns)
			}
		}
	}
}
