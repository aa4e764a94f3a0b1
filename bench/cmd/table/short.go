package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rebound-go/rebound/bench"
)

// shortRow is one line of the first table of docs/performance.md. An empty lib stands for rebound.
// A row with only has just that floor.
type shortRow struct{ title, scenario, lib, only string }

var shortRows = []shortRow{
	{"the first call succeeds", "retry_ok", "", ""},
	{"two failures, zero delay, success", "retry_2fail", "", ""},
	{"… by hand, with a timer for each delay, as in peers", "retry_2fail", "", "floor+timer"},
	{"the next delay", "delay", "", ""},
	{"breaker, closed, in `Do`", "breaker_closed", "rebound+do", ""},
	{"… Enter and Leave by hand", "breaker_closed", "", ""},
	{"breaker, open, in `Do`", "breaker_open", "rebound+do", ""},
	{"… Enter by hand", "breaker_open", "", ""},
	{"breaker over a window of 10 s", "breaker_window", "", ""},
	{"breaker by one of 1024 keys", "breaker_keyed", "", ""},
	{"… after some have failed", "breaker_keyed", "rebound+failure", ""},
	{"retry, breaker, attempt timeout", "stack", "", ""},
	{"budget, success, full", "budget_ok", "", ""},
	{"budget, success, in debt", "budget_debt", "", ""},
	{"budget, take and return", "budget_take", "", ""},
	{"hedge, the first attempt answers", "hedge_ok", "", ""},
	{"HTTP without a network, 200", "http_stub_ok", "", ""},
	{"… 503, then 200", "http_stub_503", "", ""},
	{"a transaction, SQLite in memory", "sql_tx", "", ""},
}

func printShort(w io.Writer, groups []*group) {
	fmt.Fprintln(w, "| ns, one core / two | floor | best peer | rebound | B | allocs |")
	fmt.Fprintln(w, "| --- | --: | --: | --: | --: | --: |")
	for _, s := range shortRows {
		for _, g := range groups {
			if len(g.rows) > 0 && g.rows[0].scenario.Name == s.scenario {
				s.print(w, g.rows)
			}
		}
	}
}

func (s shortRow) print(w io.Writer, rows []*row) {
	find := func(lib string) *row {
		for _, r := range rows {
			if r.entry.Lib == lib && r.measured {
				return r
			}
		}
		return nil
	}
	if s.only != "" {
		if r := find(s.only); r != nil {
			fmt.Fprintf(w, "| %s | %s |  |  |  |  |\n", s.title, both(r))
		}
		return
	}
	ours := find("rebound")
	if s.lib != "" {
		ours = find(s.lib)
	}
	if ours == nil {
		return
	}
	peer := both(best(rows, bench.Peer))
	if r := best(rows, bench.Peer); r != nil {
		peer += " (" + r.entry.Lib + ")"
	}
	fmt.Fprintf(w, "| %s | %s | %s | %s | %.0f | %.0f |\n", s.title, both(best(rows, bench.Floor)),
		peer, both(ours), ours.bytes, ours.allocs)
}

// both returns the figures of a row on one core and, if there are any, on two cores.
func both(r *row) string {
	if r == nil {
		return ""
	}
	if cores := marked(r.cores); cores != "" {
		return marked(r.serial) + " / " + cores
	}
	return marked(r.serial)
}

// Marks around the table that this program writes into a page.
const (
	shortBegins = "<!-- go run ./bench/cmd/table -page -->\n"
	shortEnds   = "<!-- end -->\n"
)

// rewrite puts the short table into a page, between the marks.
func rewrite(path string, groups []*group) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(page), shortBegins)
	_, after, ends := strings.Cut(rest, shortEnds)
	if !begins || !ends {
		return fmt.Errorf("%s has no marks %q and %q", path, shortBegins, shortEnds)
	}
	var table bytes.Buffer
	printShort(&table, groups)
	text := before + shortBegins + table.String() + shortEnds + after
	return os.WriteFile(path, []byte(text), 0o644)
}
