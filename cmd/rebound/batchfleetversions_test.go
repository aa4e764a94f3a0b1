//go:build linux

package main

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"
)

// Inputs with one name in two folders do not become one batch by accident. The same input does,
// from any folder, also with more rows, fewer rows, or some that have changed.
func TestFleetInputsOfOneName(t *testing.T) {
	t.Parallel()
	x := newFleetOf(t, 10, func(w http.ResponseWriter, r *http.Request) { answer(w, 1, 1) })
	first, err := os.ReadFile(x.path("in.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(first, []byte("\n"))
	before, _ := x.must(0, "status", "--json")
	if err := os.Mkdir(x.path("other"), 0o700); err != nil {
		t.Fatal(err)
	}
	load := func(in string, code int, want string, flags ...string) {
		t.Helper()
		x.write("other/in.jsonl", []byte(in))
		_, report := x.must(code, append([]string{"load", x.path("other/in.jsonl")}, flags...)...)
		if !strings.Contains(report, want) {
			t.Errorf("no %q in %q", want, report)
		}
		if code != 0 && strings.Count(report, "\n") != 1 {
			t.Errorf("%q: want one line", report)
		}
	}
	const other = "the batch in has another input: "
	changed := strings.ReplaceAll(string(first), "row ", "text ")
	renamed := strings.ReplaceAll(string(first), "r-", "x-")
	for _, in := range []string{
		changed,                    // the same ids
		renamed,                    // other ids
		string(lines[0]) + renamed, // all but one
		string(first[:4*len(lines[0])]) + renamed, // all but four of ten
		"{\"custom_id\":\"r-1\",\"url\":\"/x\"}\n",
	} {
		load(in, 125, other)
	}
	if after, _ := x.must(0, "status", "--json"); after != before {
		t.Errorf("the batch is %s, want %s", after, before)
	}
	load(string(first), 0, "10 rows in the input, 0 added, 10 already loaded")
	load(string(first)+`{"custom_id":"new","url":"/x"}`, 0, "11 rows in the input, 1 added")
	load(string(lines[3]), 0, "1 rows in the input, 0 added")
	load(strings.ReplaceAll(string(first), "row 1\"", "changed\""), 0,
		"1 rows were updated")
	load(changed, 0, "10 rows were updated", "--batch", "in")
	load(string(first), 0, "10 rows in the input, 10 added", "--batch", "in-2")
}

// Tables of another version are rejected by each command, in one line that says what to do.
func TestFleetVersions(t *testing.T) {
	t.Parallel()
	x := newFleetOf(t, 3, func(w http.ResponseWriter, r *http.Request) { answer(w, 1, 1) })
	server, err := postgres()
	if err != nil {
		t.Fatal(err)
	}
	sql := func(commands string) {
		t.Helper()
		if err := server.SetUp("psql", x.db, "-c", commands); err != nil {
			t.Fatal(err)
		}
	}
	const newer = "a newer version of rebound created the tables"
	const older = "an older version of rebound created the tables"
	for _, tt := range []struct{ change, back, want, load string }{
		{"COMMENT ON TABLE rebound.batch IS 'layout 99'", "COMMENT ON TABLE rebound.batch IS 'layout 1'",
			newer, newer},
		{"COMMENT ON TABLE rebound.batch IS NULL", "COMMENT ON TABLE rebound.batch IS 'layout 1'",
			older, older},
		{"INSERT INTO rebound.river_migration (line, version) VALUES ('main', 999)",
			"DELETE FROM rebound.river_migration WHERE version = 999",
			newer, newer},
		{"CREATE TABLE kept AS SELECT * FROM rebound.river_migration; DELETE FROM " +
			"rebound.river_migration WHERE version = (SELECT max(version) FROM rebound.river_migration)",
			"INSERT INTO rebound.river_migration SELECT * FROM kept ON CONFLICT DO NOTHING",
			"created River's tables: run rebound batch load", ""},
	} {
		sql(tt.change)
		for _, args := range [][]string{
			{"work", "--base", x.args[5]}, {"status"}, {"dump", "-o", x.path("out")},
			{"load", x.path("in.jsonl")},
		} {
			want := tt.want
			if args[0] == "load" {
				if want = tt.load; want == "" {
					continue // it brings River's tables up to date
				}
			}
			_, stderr := x.must(125, args...)
			if !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%s, %s: %q: want one line with %q", tt.change, args[0], stderr, want)
			}
		}
		sql(tt.back)
	}
	x.must(0, "load", x.path("in.jsonl"))
	x.must(0, "work", "--base", x.args[5])
	if s := x.status(); s.Done != 3 {
		t.Errorf("%+v", s)
	}
}
