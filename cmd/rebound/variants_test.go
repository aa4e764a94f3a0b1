package main

import (
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound/sim"
)

func TestSweepValues(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"1..5", "1 2 3 4 5"},
		{"5..5", "5"},
		{"0..1/0.25", "0 0.25 0.5 0.75 1"},
		{"0..0.3/0.1", "0 0.1 0.2 0.3"},
		{"100ms..1s/300ms", "100ms 400ms 700ms 1s"},
		{"1,2,unlimited", "1 2 unlimited"},
		{"full", "full"},
		{"1..6/2", "1 3 5"},
	} {
		got, err := sweepValues(row.text)
		if err != nil || strings.Join(got, " ") != row.want {
			t.Errorf("%s: got %q, %v, want %s", row.text, got, err, row.want)
		}
	}
	for _, text := range []string{
		"", "1,,2", "1..", "..", "a..b", "1..5/0", "1..5/-1", "5..1", "1..200", "NaN..5", "1..Inf",
		"1s..5s", "1..5/1s", strings.Repeat("1,", 200) + "1",
	} {
		if got, err := sweepValues(text); err == nil {
			t.Errorf("%q: got %q, want an error", text, got)
		}
	}
}

// A value that is set replaces the scenario's own.
func TestSettle(t *testing.T) {
	open := sim.Clients{Rate: 100}
	closed := sim.Clients{Count: 10, Calls: 1, Burst: true, Think: sim.Dist{Mean: time.Second}}
	profile := sim.Clients{Profile: []sim.Rate{{PerSecond: 5}}}
	both := func(a, b sim.Clients) sim.Clients {
		a.Count, a.Calls, a.Burst, a.Think = b.Count, b.Calls, b.Burst, b.Think
		a.Rate, a.Profile = a.Rate+b.Rate, slices.Concat(a.Profile, b.Profile)
		return a
	}
	for _, row := range []struct {
		name      string
		have      sim.Clients
		set, want string
	}{
		{"a count over a rate", both(open, closed), "clients.count", "count"},
		{"a rate over a count", both(closed, sim.Clients{Rate: 5}), "clients.rate", "rate"},
		{"a rate over a profile", both(profile, open), "clients.rate", "rate"},
		{"a profile over a rate", both(open, profile), "clients.profile", "profile"},
		{"both, for an error", both(open, closed), "clients.rate clients.count", "rate count"},
		{"neither", both(open, closed), "seed", "rate count"},
	} {
		got := settle(row.have, func(path string) bool {
			return slices.Contains(strings.Fields(row.set), path)
		})
		var left []string
		for name, is := range map[string]bool{
			"rate": got.Rate > 0, "count": got.Count > 0, "profile": len(got.Profile) > 0,
		} {
			if is {
				left = append(left, name)
			}
		}
		slices.Sort(left)
		want := strings.Fields(row.want)
		slices.Sort(want)
		if !slices.Equal(left, want) {
			t.Errorf("%s: got %q left, want %q", row.name, left, want)
		}
	}
}

// A variant shares nothing with the original study.
func TestVariantsAreApart(t *testing.T) {
	s, err := readStudy("outage")
	if err != nil {
		t.Fatal(err)
	}
	p, err := findOne("aggressive")
	if err != nil {
		t.Fatal(err)
	}
	s.policies = []named{p}
	for _, field := range []string{"server.windows[0].refuse=0.5", "backoff.base=7ms"} {
		_, all, err := s.vary(field)
		if err != nil {
			t.Fatal(err)
		}
		if got := all[0].study; reflect.DeepEqual(got.scenario, s.scenario) &&
			reflect.DeepEqual(got.policies[0].spec, s.policies[0].spec) {
			t.Errorf("%s changed nothing, or the original study", field)
		}
	}
	if fresh, _ := readStudy("outage"); !reflect.DeepEqual(fresh.scenario, s.scenario) {
		t.Errorf("got %+v, want the scenario as it was", s.scenario)
	}
}

// Of several runs a cell has the mean and the range, and how many have not recovered.
func TestCells(t *testing.T) {
	runs := func(ok ...bool) (all []sim.PolicyResult) {
		for i, recovered := range ok {
			p := sim.PolicyResult{
				SuccessRate: 0.5 + float64(i)/10, Recovered: recovered, Peak: 100,
			}
			p.Calls = 10
			if recovered {
				p.Recovery = time.Duration(i) * time.Second
			}
			all = append(all, p)
		}
		return all
	}
	ends := &sim.Result{TroubleEnd: 10, Scenario: sim.Scenario{Duration: 20}}
	for _, row := range []struct {
		column string
		r      *sim.Result
		runs   []sim.PolicyResult
		want   string
	}{
		{"success", ends, runs(true), "50.00 %"},
		{"success", ends, runs(true, true, true), "60.00 % (50.00–70.00)"},
		{"peak", ends, runs(true, true), "100/s"},
		{"recovery", ends, runs(true, true), "500ms (at once–1s)"},
		{"recovery", ends, runs(true, false, true), "1s (at once–2s), not in 1 of 3 runs"},
		{"recovery", ends, runs(false, false), "not recovered"},
		{"recovery", &sim.Result{Scenario: sim.Scenario{Duration: 20}}, runs(false), "-"},
		{"p99", ends, runs(true), "-"},
	} {
		i := slices.IndexFunc(tableColumns, func(c column) bool { return c.name == row.column })
		if got := tableColumns[i].cell(row.r, row.runs); got != row.want {
			t.Errorf("%s: got %s, want %s", row.column, got, row.want)
		}
	}
}

func TestMeanOfRuns(t *testing.T) {
	run := func(n int64, open float64) sim.Result {
		p := sim.PolicyResult{Policy: "a", Bins: make([]sim.Bin, 2)}
		p.Calls, p.Bins[1].Attempts, p.Bins[1].Queue, p.Bins[1].Open = n, 3*n, int(n), open
		return sim.Result{Policies: []sim.PolicyResult{p}}
	}
	first := run(1, 0)
	got := mean([]sim.Result{first, run(2, 1)}).Policies[0]
	if b := got.Bins[1]; got.Calls != 2 || b.Attempts != 5 || b.Queue != 2 || b.Open != 0.5 {
		t.Errorf("got %+v, want the means, rounded up from a half", got)
	}
	if first.Policies[0].Bins[1].Attempts != 3 {
		t.Error("the first run was changed")
	}
}

// A hedge of a file is played, and its fields can be set.
func TestHedgeOfAFile(t *testing.T) {
	s, err := parseStudy("a.yaml", []byte(`{
		"clients": {"rate": 100}, "server": {"service": {"mean": "10ms"}},
		"hedge": {"percentile": 0.9, "max": 2}, "compare": ["zero"]
	}`))
	if err != nil {
		t.Fatal(err)
	}
	hedges := func(s study) int64 {
		t.Helper()
		_, all, err := s.vary("")
		if err != nil {
			t.Fatal(err)
		}
		results, err := play(t.Context(), all, 1, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		return results[0].runs[0].Policies[0].Hedges
	}
	want := hedgeFile{Percentile: 0.9, Max: 2}
	if *s.hedge != want || hedges(s) == 0 {
		t.Errorf("got %+v and %d hedges, want %+v and some", *s.hedge, hedges(s), want)
	}
	field, all, err := s.vary("hedge.max=1,3")
	if err != nil || field != "hedge.max" || all[0].study.hedge.Max != 1 ||
		all[1].study.hedge.Max != 3 || s.hedge.Max != 2 {
		t.Errorf("the variants share a hedge: %v", err)
	}
	s.hedge = nil
	if n := hedges(s); n != 0 {
		t.Errorf("%d hedges without a hedge", n)
	}
	if err := s.set("--set", []string{"hedge.after=20ms"}); err != nil || hedges(s) == 0 {
		t.Errorf("a hedge that is set is not played: %v", err)
	}
}
