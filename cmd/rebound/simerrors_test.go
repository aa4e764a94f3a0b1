package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// simErrors are all errors of the simulator about a scenario, as the command prints them. If a
// row's text has no clients, a first line with clients is added.
var simErrors = []struct{ file, want string }{
	// The run.
	{"duration: 744h", "2: duration is 744h0m0s: want up to 720h0m0s, or 0 for 1m0s"},
	{"bin: 2m", "2: bin is 2m0s: want at most duration, which is 1m0s, or 0 for 1s"},
	{"bin: 1us", "2: bin is 1µs: want 600.001µs or more, a hundred thousandth of duration"},
	{"max_attempts: -1", "2: max_attempts is -1: want 1 or more, or 0 for 200000000"},
	{"max_attempts: 9", "2: max_attempts is 9: want more, or fewer calls or longer delays: so many " +
		"attempts were made in …"},
	{"pay_per_call: true\nserver: {replicas: 2, route: sticky}",
		`2: pay_per_call is true: want false, or "balanced" as server.route`},

	// Clients.
	{"clients: {}", "1: clients.count is 0: want 1 or more, or clients.rate"},
	{"seed: 1\nclients: {count: -1}", "2: clients.count is -1: want 1 to 10000000 for a closed loop"},
	{"clients:\n  rate: 5\n  count: 1", "3: clients.count is 1: want 0, because clients.rate is set"},
	{"clients:\n  count: 1\n  profile: [{per_second: 5}]",
		"2: clients.count is 1: want 0, because clients.profile is set"},
	{"clients: {rate: -1}", "1: clients.rate is -1: want calls per second, more than 0"},
	{"clients: {rate: 1, profile: [{per_second: 5}]}",
		"1: clients.rate is 1: want 0, because clients.profile is set"},
	{"clients: {rate: 1.0e+9}", "1: clients.rate is 1e+09: want at most 100000000 calls in a run"},
	{"clients: {profile: [{per_second: 1000000000}]}",
		"1: clients.profile is for 6e+10 calls: want at most 100000000 calls in a run"},
	{"clients: {profile: [" + strings.Repeat("{at: 1s},", 10_001) + "]}",
		"1: clients.profile is 10001 long: want at most 10000"},
	{"clients: {profile: [{per_second: -1}]}",
		"1: clients.profile[0].per_second is -1: want 0 to 1000000000"},
	{"clients:\n  profile:\n  - {at: 2s}\n  - {at: 1s}",
		"4: clients.profile[1].at is 1s: want no earlier than the point before, at 2s"},
	{"clients: {profile: [{at: 800h}]}", "1: clients.profile[0].at is 800h0m0s: want 0 to 720h0m0s"},
	{"clients: {count: 1, calls: -1}", "1: clients.calls is -1: want 1 or more, or 0 for no end"},
	{"clients:\n  rate: 1\n  calls: 1",
		"3: clients.calls is 1: want 0, or a clients.count: in an open loop, clients make one call"},
	{"clients:\n  rate: 1\n  burst: true",
		"3: clients.burst is true: want false, or a clients.count: in an open loop, clients make " +
			"one call"},
	{"clients:\n  rate: 1\n  think: {mean: 1s}",
		"3: clients.think is 1s: want 0, or a clients.count: in an open loop, clients make one call"},
	{"clients: {count: 1}", "1: clients.think is 0s: want more, or a longer server.service or " +
		"server.round_trip: clients call again as soon as they failed, so the clock stands still at 0s"},
	{"clients: {rate: 1, poison: 2}", "1: clients.poison is 2: want a share of the calls, 0 to 1"},
	{"clients: {rate: 1, processes: -1}", "1: clients.processes is -1: want 1 to 1000000"},
	{"clients: {count: 1, processes: 2}",
		"1: clients.processes is 2: want at most clients.count, which is 1"},
	{"clients: {rate: 1, timeout: 800h}", "1: clients.timeout is 800h0m0s: want 0 to 720h0m0s"},
	{"clients: {rate: 1, deadline: 800h}", "1: clients.deadline is 800h0m0s: want 0 to 720h0m0s"},
	{"clients:\n  count: 1\n  think: {mean: 800h}",
		"3: clients.think.mean is 800h0m0s: want 0 to 720h0m0s"},

	// The server.
	{"server: {workers: -1}", "2: server.workers is -1: want 1 to 1000000, or 0 for no limit"},
	{"server: {replicas: 1001}", "2: server.replicas is 1001: want 1 to 1000"},
	{"server: {queue: -2}", "2: server.queue is -2: want 1 or more, 0 for no limit, or -1 for none"},
	{"server: {queue: 5}",
		"2: server.queue is 5: want 0, or a limit for server.workers: nothing waits without one"},
	{"server: {retry_after: 5s}",
		"2: server.retry_after is 5s: want 0, or a limit for server.queue: without one it is never full"},
	{"server: {workers: 1, queue: 1, retry_after: 800h}",
		"2: server.retry_after is 800h0m0s: want 0 to 720h0m0s"},
	{"server: {round_trip: 800h}", "2: server.round_trip is 800h0m0s: want 0 to 720h0m0s"},
	{"server: {crowding: -1}", "2: server.crowding is -1: want a share of the service time, 0 or " +
		"more"},
	{"server: {route: x}", `2: server.route is "x": want "balanced", "sticky" or "avoiding"`},
	{"server: {service: {mean: 800h}}", "2: server.service.mean is 800h0m0s: want 0 to 720h0m0s"},
	{"server:\n  service:\n    shape: gamma", `4: server.service.shape is "gamma": want ` +
		`"exponential", "constant", "uniform", "normal" or "lognormal"`},
	{"server: {service: {mean: 1s, spread: 1s}}", `2: server.service.spread is 1s: want 0, or ` +
		`"uniform", "normal" or "lognormal" as server.service.shape`},
	{"server: {service: {mean: 1s, spread: 2s, shape: uniform}}",
		"2: server.service.spread is 2s: want at most server.service.mean, which is 1s"},
	{"server: {service: {spread: 800h, shape: normal}}",
		"2: server.service.spread is 800h0m0s: want 0 to 720h0m0s"},
	{"server: {service: {spread: 1s, shape: lognormal}}",
		"2: server.service.mean is 0s: want more than 0, because server.service.spread is set"},
	{"server:\n  row: {mean: 1s}\n  workers: 1",
		"3: server.row is 1s: want 0, because server.workers is set"},
	{"server: {row: {mean: 1s}}\nhedge: {max: 1}",
		"2: server.row is 1s: want 0, because hedge is set"},
	{"clients: {rate: 1, deadline: 1s}\nserver: {row: {mean: 1s}}",
		"2: server.row is 1s: want 0, because clients.deadline is set"},
	{"server: {drop_expired: true, replicas: 2}\nhedge: {max: 1}",
		"2: server.drop_expired is true: want false, or 1 as server.replicas, because hedge is set"},

	// Its limit.
	{"server: {limit: {requests: -1}}", "2: server.limit.requests is -1: want 0 to 1000000000"},
	{"server: {limit: {bucket: true}}",
		"2: server.limit.requests is 0: want 1 or more, or server.limit.tokens: there is no limit " +
			"otherwise"},
	{"server: {limit: {requests: 1, cost: 2}}",
		"2: server.limit.tokens is 0: want 1 or more, because server.limit.cost is set"},
	{"server: {limit: {requests: 1, cost_spread: 2}}",
		"2: server.limit.tokens is 0: want 1 or more, because server.limit.cost_spread is set"},
	{"server: {limit: {tokens: 3, cost_spread: 2}}",
		"2: server.limit.cost_spread is 2: want at most server.limit.cost, which is 1"},
	{"server:\n  limit:\n    cost: 2\n    tokens: 3\n    cost_spread: 2",
		"5: server.limit.tokens is 3: want 4 or more, which is server.limit.cost and " +
			"server.limit.cost_spread together: an attempt that needs more would never be let through"},
	{"server: {limit: {requests: 1, per: 800h}}",
		"2: server.limit.per is 800h0m0s: want 0 to 720h0m0s"},
	{"server: {limit: {requests: 1, round: 800h}}",
		"2: server.limit.round is 800h0m0s: want 0 to 720h0m0s"},
	{"server: {limit: {requests: 1, round: 1s, no_retry_after: true}}",
		"2: server.limit.round is 1s: want 0, because server.limit.no_retry_after is set"},

	// Its windows.
	{"server: {windows: [" + strings.Repeat("{fail: 1},", 1001) + "]}",
		"2: server.windows is 1001 long: want at most 1000"},
	{"server: {windows: [{fail: 1, replicas: 2}]}",
		"2: server.windows[0].replicas is 2: want 1 to 1, the server.replicas, or 0 for all"},
	{"server: {windows: [{fail: 2}]}",
		"2: server.windows[0].fail is 2: want a share of the attempts, 0 to 1"},
	{"server: {windows: [{refuse: 2}]}",
		"2: server.windows[0].refuse is 2: want a share of the attempts, 0 to 1"},
	{"server: {windows: [{throttle: 2}]}",
		"2: server.windows[0].throttle is 2: want a share of the attempts, 0 to 1"},
	{"server: {windows: [{unavailable: 2}]}",
		"2: server.windows[0].unavailable is 2: want a share of the attempts, 0 to 1"},
	{"server: {windows: [{black_hole: 2}]}",
		"2: server.windows[0].black_hole is 2: want a share of the attempts, 0 to 1"},
	{"server:\n  windows:\n  - fail: 1\n  - fail: 1\n    from: 2m",
		"6: server.windows[1].from is 2m0s: want 0 or more, and less than duration, which is 1m0s"},
	{"server: {windows: [{from: 9s, to: 5s, fail: 1}]}",
		"2: server.windows[0].to is 5s: want later than server.windows[0].from, which is 9s, " +
			"or 0 for the end of the run"},
	{"server: {windows: [{slow: -1}]}",
		"2: server.windows[0].slow is -1: want how many times longer serving takes: " +
			"up to 1000000, or 0 for 1"},
	{"server: {windows: [{fail: 1, ramp: 1s}]}",
		"2: server.windows[0].ramp is 1s: want 0, because the window lasts to the end of the run"},
	{"server: {windows: [{fail: 1, to: 1s, ramp: 800h}]}",
		"2: server.windows[0].ramp is 800h0m0s: want 0 to 720h0m0s"},
	{"server: {windows: [{fail: 1, retry_after: 1s}]}",
		"2: server.windows[0].retry_after is 1s: want 0, or server.windows[0].throttle or " +
			"server.windows[0].unavailable above 0"},
	{"server: {windows: [{throttle: 1, retry_after: 800h}]}",
		"2: server.windows[0].retry_after is 800h0m0s: want 0 to 720h0m0s"},
	{"server:\n  windows:\n  - from: 1s", "4: server.windows[0] is without effect: want refuse, " +
		"throttle, unavailable, black_hole, fail or slow above 0"},

	// Layers.
	{"layers: [" + strings.Repeat("{mute: true},", 11) + "]", "2: layers is 11 long: want at most 10"},
	{"layers:\n- {mute: true}\n- {processes: -1}",
		"4: layers[1].processes is -1: want 1 to 1000000, or 0 for 1"},
	{"layers: [{workers: -1}]", "2: layers[0].workers is -1: want 1 to 1000000, or 0 for no limit"},
	{"layers: [{queue: -2}]",
		"2: layers[0].queue is -2: want 1 or more, 0 for no limit, or -1 for none"},
	{"layers: [{queue: 2}]",
		"2: layers[0].queue is 2: want 0, or a limit for layers[0].workers: nothing waits without one"},
	{"layers: [{service: {mean: 800h}}]", "2: layers[0].service.mean is 800h0m0s: want 0 to 720h0m0s"},
	{"server: {row: {mean: 1s}}\nlayers: [{workers: 1}]",
		"3: layers[0].workers is 1: want 0, because server.row is set"},
	{"server: {row: {mean: 1s}}\nlayers: [{service: {mean: 1s}}]",
		"3: layers[0].service is 1s: want 0, because server.row is set"},
	{"server: {row: {mean: 1s}}\nlayers: [{policy: a}]\npolicies: {a: {attempt_timeout: 1s}}",
		"4: policies.a.attempt_timeout is 1s: want 0, because server.row is set"},
	{"server: {row: {mean: 1s}}\nlayers:\n- policy: p.yaml\ncompare: [zero]",
		"4: layers[0].policy: policy ocr: attempt_timeout is 2s: want 0, because server.row is set"},

	// Hedges.
	{"hedge: {after: 1s, percentile: 0.5}",
		"2: hedge.after is 1s and percentile is 0.5: want one of them"},
	{"hedge: {percentile: 1}",
		"2: hedge.percentile is 1: want more than 0 and less than 1, or 0 for the default"},
	{"hedge: {max: -1}", "2: hedge.max is -1: want 1 or more, or 0 for 1"},
	{"layers: [{mute: true}]\nhedge: {max: 1}", "3: hedge is set: want none, because the scenario " +
		"has layers: the simulator does not do both"},
	{"clients: {count: 2000000, processes: 1000001}\nhedge: {max: 1}",
		"1: clients.processes is 1000001: want at most 1000000, because hedge is set"},

	// Policies.
	{"server: {row: {mean: 1s}}\npolicies:\n  a:\n    attempt_timeout: 1s",
		"5: policies.a.attempt_timeout is 1s: want 0, because server.row is set"},
	{"server: {row: {mean: 1s}}\ncompare: [p.yaml]",
		"policy ocr: attempt_timeout is 2s: want 0, because server.row is set"},
	{"policies: {a: {gates: [" + strings.Repeat("{throttle: {}},", 101) + "]}}",
		"2: policies.a.gates is 101 long: want at most 100"},
	{"server: {windows: [{fail: 1}]}\npolicies:\n  a:\n    attempts: unlimited\n" +
		"    budget: {unlimited: true}\n    backoff: {kind: constant}",
		"7: policies.a.backoff: its delays are too short: want longer ones, or a longer " +
			"server.service or server.round_trip: attempts follow each other at once, so the clock " +
			"stands still at …"},
}

// Every error of the simulator names the file, the line and the field as the file has it.
func TestErrorsOfTheSimulator(t *testing.T) {
	inFolder(t)
	for _, row := range simErrors {
		text := row.file
		if !strings.Contains(text, "clients:") {
			text = "clients: {rate: 10}\n" + text
		}
		want := row.want
		if want[0] <= '9' {
			want = "s.yaml:" + want
		}
		simError(t, text, want)
	}
}

// inFolder has the test run in a folder with a file of policies.
func inFolder(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	text := "policies: {ocr: {attempt_timeout: 2s, backoff: {min: 1s, max: 2s}}}"
	if err := os.WriteFile("p.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// No error of the simulator is missing above: for each place in its code that makes one about a
// field, there is a row about a field of that name.
func TestErrorsOfTheSimulatorAreAllTested(t *testing.T) {
	rows := map[string]int{}
	for _, row := range simErrors {
		path, _, _ := strings.Cut(strings.TrimLeft(row.want, "0123456789: "), " is ")
		rows[path[strings.LastIndexByte(path, '.')+1:]]++
	}
	files, err := filepath.Glob("../../sim/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files of the simulator, %v", err)
	}
	field := regexp.MustCompile(`\b(?:wrong|long|within)\((?:fmt\.Sprintf\()?[^,]*?([A-Z]\w+)"`)
	upper := regexp.MustCompile(`(.)([A-Z])`)
	made := map[string]int{}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range field.FindAllStringSubmatch(string(data), -1) {
			made[strings.ToLower(upper.ReplaceAllString(m[1], "${1}_$2"))]++
		}
	}
	// These two need 20 million attempts: TestFullServer has them.
	rows["queue"]++
	rows["crowding"]++
	if len(made) < 30 {
		t.Errorf("got only the fields %v", made)
	}
	for name, n := range made {
		if rows[name] < n {
			t.Errorf("%d errors about %s, but %d rows", n, name, rows[name])
		}
	}
}

// An error about a value from a flag names the flag, and also the field that it contradicts.
func TestErrorsOfFlags(t *testing.T) {
	inFolder(t)
	const file = "clients: {rate: 10}\nserver:\n  workers: 5\n  limit: {requests: 9}\n" +
		"policies: {mine: {backoff: {base: 1s}}}"
	for _, row := range []struct{ file, flags, want string }{
		{file, "--set server.workers=-1", "--set server.workers is -1: want 1 to 1000000, or 0 for " +
			"no limit"},
		{file, "--sweep server.workers=-1,5",
			"--sweep server.workers is -1: want 1 to 1000000, or 0 for no limit"},
		{file, "--set server.limit.cost=2", "--set server.limit.cost: server.limit.tokens is 0: want 1 " +
			"or more, because server.limit.cost is set"},
		{file, "--set seed=7 --set bin=2m", "--set bin is 2m0s: want at most duration, which is " +
			"1m0s, or 0 for 1s"},
		{file, "--set server.queue=-2 --set seed=1",
			"--set server.queue is -2: want 1 or more, 0 for no limit, or -1 for none"},
		{file, "--set backoff.max=500ms", "s.yaml:5: policies.mine.backoff.base is 1s, above " +
			"its max of 500ms: want at most max"},
		{file, "-p p.yaml --set backoff.max=500ms", "policy ocr: --set backoff.max: backoff.min is 1s, " +
			"above its max of 500ms: want at most max"},
		{file, "-p p.yaml --set attempts=0", `--set attempts: "0" is not a number of attempts: want 1 ` +
			`or more, or "unlimited"`},
		{file, "-p p.yaml --set max_elapsed=1s", "policy ocr: --set max_elapsed: attempt_timeout is " +
			"2s, " +
			"which is more than the 1s of max_elapsed: want at most that"},
		{file, "--set clients.calls=1", "--set clients.calls is 1: want 0, or a clients.count: in an " +
			"open loop, clients make one call"},
		{"like: outage\nseed: 1", "--set clients.count=5", "--set clients.count: clients.think is " +
			"0s: want more, or a longer server.service or " +
			"server.round_trip: clients call again as soon as they failed, so the clock stands still at …"},
		{file, "--set hedge.percentile=2", "--set hedge.percentile is 2: want more than 0 and less " +
			"than 1, or 0 for the default"},
		{file, "--set server.row.mean=1s", "--set server.row.mean: server.row is 1s: " +
			"want 0, because server.workers is set"},
		{"like: outage\nseed: 1", "--duration 10s",
			"--duration is 10s: want more than 30s, when the trouble begins"},
		{"like: outage\nseed: 1", "--duration 600h", "--duration: bin is 1s: want 21.600000001s or " +
			"more, a " +
			"hundred thousandth of duration"},

		// Values that the file leaves out come from the scenario that `like` names.
		{"# A comment.\nlike: outage\nduration: 20s", "",
			"s.yaml:2: server.windows[0].from is 30s: want 0 or more, and less than duration, which is 20s"},
		{"like: outage\nclients:\n  count: 100", "", "s.yaml:3: clients.think is 0s: want more, or " +
			"a longer server.service or server.round_trip: clients call again as soon as they failed, " +
			"so the clock stands still at …"},
	} {
		simError(t, row.file, row.want, strings.Fields(row.flags)...)
	}
}

// A number of clients replaces a scenario's rate, and every field that contradicts it.
func TestClosedLoopOverOpenLoop(t *testing.T) {
	t.Chdir(t.TempDir())
	text := "like: outage\nclients: {count: 5, think: {mean: 1s}}\n"
	if err := os.WriteFile("s.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := run([]string{"sim", "s.yaml"}, nil, &out, &out); code != 0 {
		t.Errorf("got %d, %s", code, out.String())
	}
}

// simError checks the answer to a scenario in a file. args come after its name.
func simError(t *testing.T, text, want string, args ...string) {
	t.Helper()
	if err := os.WriteFile("s.yaml", []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	code := run(append([]string{"sim", "s.yaml"}, args...), nil, &out, &out)
	got := regexp.MustCompile(`(made in|still at) [1-9].*`).ReplaceAllString(out.String(), "$1 …")
	if code != 1 || got != fmt.Sprintf("rebound: %s\n", want) {
		t.Errorf("%.300s %q\ngot  %d, %swant rebound: %s", text, args, code, got, want)
	}
}
