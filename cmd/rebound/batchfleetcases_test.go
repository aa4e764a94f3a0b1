//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-go/rebound/internal/daemon"
)

// newFleetOf makes a batch in a database, whose rows a handler serves.
func newFleetOf(t *testing.T, rows int, serve http.HandlerFunc) *fleetTorture {
	t.Helper()
	return newFleetIn(t, database(t), rows, serve)
}

func newFleetIn(t *testing.T, db string, rows int, serve http.HandlerFunc) *fleetTorture {
	t.Helper()
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	x := &fleetTorture{&torture{t: t, dir: t.TempDir()}, db}
	var in bytes.Buffer
	for i := range rows {
		fmt.Fprintf(&in, `{"custom_id":"r-%d","url":"/v1/chat/completions","body":{"model":"m",`+
			`"max_tokens":100,"messages":[{"role":"user","content":"row %d"}]}}`+"\n", i, i)
	}
	x.write("in.jsonl", in.Bytes())
	x.must(0, "load", x.path("in.jsonl"))
	x.args = []string{"batch", "work", "--db", x.db, "--base", server.URL, "--lease", "2s", "-j", "8"}
	return x
}

// answer is a chat completion that has used tokens.
func answer(w http.ResponseWriter, prompt, completion int) {
	fmt.Fprintf(w, `{"choices":[{"message":{"content":"ok"}}],"usage":{"prompt_tokens":%d,`+
		`"completion_tokens":%d}}`, prompt, completion)
}

// start starts a worker.
func (x *fleetTorture) start(flags ...string) (c *exec.Cmd, stderr *bytes.Buffer) {
	x.t.Helper()
	c, stderr = command(x.t, slices.Concat(x.args, flags)...), &bytes.Buffer{}
	c.Stderr = stderr
	if err := c.Start(); err != nil {
		x.t.Fatal(err)
	}
	return c, stderr
}

// ends waits for workers and compares their exit codes.
func (x *fleetTorture) ends(code int, workers ...*exec.Cmd) {
	x.t.Helper()
	for _, c := range workers {
		if err := c.Wait(); exitOf(err) != code {
			x.t.Errorf("exit code %d, want %d: %v", exitOf(err), code, c.Stderr)
		}
	}
}

// fleetOf starts n workers and waits for them.
func (x *fleetTorture) fleetOf(n, code int, flags ...string) (stderr []string) {
	x.t.Helper()
	var workers []*exec.Cmd
	for range n {
		c, _ := x.start(flags...)
		workers = append(workers, c)
	}
	x.ends(code, workers...)
	for _, c := range workers {
		stderr = append(stderr, fmt.Sprint(c.Stderr))
	}
	return stderr
}

// A database server that is killed and started again loses no row. Answers that came in the
// meantime are stored when it is back.
func TestFleetDatabaseRestarts(t *testing.T) {
	t.Parallel()
	server := daemon.Require(t, daemon.Postgres)
	x := newFleetTorture(t, newDatabase(t, server), 600, "--lease", "2s", "-j", "16")
	one, _ := x.start()
	two, _ := x.start()
	for x.status().Workers < 2 { // without a database, a worker does not begin
	}
	for range 3 {
		<-time.After(700 * time.Millisecond)
		server.Kill()
		<-time.After(time.Second)
		if err := server.Run(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []*exec.Cmd{one, two} {
		if err := c.Wait(); exitOf(err) > 1 {
			t.Errorf("exit code %d: %v", exitOf(err), c.Stderr)
		}
	}
	repeated, _ := x.dumped()
	if s := x.status(); repeated > s.Repeated {
		t.Errorf("%d effects were repeated, %d rows were in doubt", repeated, s.Repeated)
	}
}

func TestFleetDatabaseErrors(t *testing.T) {
	t.Parallel()
	server := daemon.Require(t, daemon.Postgres)
	psql, err := daemon.Program("psql")
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"CREATE USER clerk PASSWORD 'right'",
		"COPY (SELECT 'host all all 127.0.0.1/32 scram-sha-256') TO '" + server.Dir +
			"/data/pg_hba.conf'",
	} {
		if err := server.SetUp(psql, server.URL(), "-c", sql); err != nil {
			t.Fatal(err)
		}
	}
	server.Kill()
	if err := server.Run(); err != nil {
		t.Fatal(err)
	}
	x := &fleetTorture{&torture{t: t, dir: t.TempDir()}, ""}
	x.write("in.jsonl", []byte(`{"custom_id":"a","url":"/x"}`+"\n"))
	wrong := strings.Replace(server.URL(), "postgres@", "clerk:wr0ng-word@", 1)
	for _, c := range []struct{ db, want string }{
		{wrong, `password authentication failed for user "clerk"`},
		{"postgres://clerk:wr0ng-word@127.0.0.1:1/work", "connection refused"},
		{"postgres://clerk:wr0ng-word@127.0.0.1:port/work", "--db: want a URL"},
		{"nothing:wr0ng-word", "--db: want a URL"},
		{"host=127.0.0.1 port=1 user=clerk password=wr0ng-word", "connection refused"},
		{"$MISSING", "--db: $MISSING is not set"},
		{"", "--db is empty"},
	} {
		x.db = c.db
		for _, args := range [][]string{
			{"load", x.path("in.jsonl")}, {"work", "--base", "http://127.0.0.1:1"}, {"status"},
			{"dump", "-o", x.path("out")},
		} {
			_, stderr := x.must(125, args...)
			if !strings.Contains(stderr, c.want) || strings.Contains(stderr, "wr0ng") ||
				strings.Count(stderr, "\n") != 1 {
				t.Errorf("%s: %q: want one line with %q, and no password", args[0], stderr, c.want)
			}
		}
	}
}

// Loads of one file at a time, and one after the other, add each row once. Changes are reported.
func TestFleetLoads(t *testing.T) {
	t.Parallel()
	x := newFleetOf(t, 50, func(w http.ResponseWriter, r *http.Request) { answer(w, 1, 1) })
	var loads sync.WaitGroup
	for range 4 {
		loads.Go(func() {
			if _, err := x.must(0, "load", x.path("in.jsonl"), "--batch", "other"); !strings.Contains(err,
				"50 rows in the input") {
				t.Error(err)
			}
		})
	}
	loads.Wait()
	if out, _ := x.must(0, "status", "--batch", "other"); !strings.Contains(out,
		"50 rows: 0 done, 0 failed, 50 pending") {
		t.Error(out)
	}
	if _, err := x.must(125, "status"); !strings.Contains(err,
		"--batch is missing: want one of in, other") {
		t.Error(err)
	}
	if _, err := x.must(125, "status", "--batch", "nope"); !strings.Contains(err, "no batch of that") {
		t.Error(err)
	}
	x.args = append(x.args, "--batch", "in")
	x.fleetOf(1, 0)
	in, err := os.ReadFile(x.path("in.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	in = bytes.ReplaceAll(in, []byte("row 1\""), []byte("changed\""))
	in = bytes.Replace(in, []byte("r-2\""), []byte("new\""), 1)
	x.write("in.jsonl", in)
	_, report := x.must(0, "load", x.path("in.jsonl"), "--batch", "in")
	want := "batch in: 50 rows in the input, 1 added, 49 already loaded\n" +
		"1 rows differ from what was sent, and are unchanged\n" +
		"1 rows of the batch are not in the input, and are kept\n"
	if report != want {
		t.Errorf("got %q, want %q", report, want)
	}
	_, report = x.must(0, "load", x.path("in.jsonl"), "--batch", "other")
	want = "batch other: 50 rows in the input, 1 added, 49 already loaded\n" +
		"1 rows were updated, because they were not sent yet\n" +
		"1 rows of the batch are not in the input, and are kept\n"
	if report != want {
		t.Errorf("got %q, want %q", report, want)
	}
	x.fleetOf(1, 0)
	x.write("bad.jsonl", append(in, []byte(`{"custom_id":"new","url":"/x"}`+"\n")...))
	if _, err := x.must(125, "load", x.path("bad.jsonl")); !strings.Contains(err,
		"duplicate_custom_id") {
		t.Error(err)
	}
}

// Three workers have one limit together.
func TestFleetLimit(t *testing.T) {
	t.Parallel()
	const perSecond, rows = 50, 300
	times := limitedFleet(t, perSecond, rows, nil, "--rpm", fmt.Sprint(perSecond*60))
	expectRate(t, perSecond, times)
}

// limitedFleet sends rows by three workers to a server that may add headers to its answers. It
// returns when each request came. All workers report the limit, whose unit is requests a second.
func limitedFleet(
	t *testing.T, perSecond, rows int, header func(http.Header), flags ...string,
) []time.Time {
	t.Helper()
	var mu sync.Mutex
	var times []time.Time
	x := newFleetOf(t, rows, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		times = append(times, time.Now())
		mu.Unlock()
		if header != nil {
			header(w.Header())
		}
		answer(w, 1, 1)
	})
	for _, stderr := range x.fleetOf(3, 0, flags...) {
		if !strings.Contains(stderr, fmt.Sprintf("limit: m requests: %d a minute", perSecond*60)) {
			t.Errorf("%s: want the limit", stderr)
		}
	}
	return times
}

// expectRate checks the rate of requests, whose times are given. A loaded machine may send a
// request late, which makes the rate after it too high and the rate up to it too low. So the rate
// is taken from each request of the first half to the last one, and the best of these counts. A
// limit that is not kept raises all of them.
func expectRate(t *testing.T, perSecond int, times []time.Time) {
	t.Helper()
	last := len(times) - 1
	least, most, want := math.Inf(1), 0., float64(perSecond)
	for i, at := range times[:last/2] {
		rate := float64(last-i) / times[last].Sub(at).Seconds()
		least, most = min(least, rate), max(most, rate)
	}
	t.Logf("%.1f to %.1f requests a second, limit %d", least, most, perSecond)
	if least > want*1.1 || *long && most < want*.9 {
		t.Errorf("%.1f to %.1f requests a second: want %d ± 10 %%", least, most, perSecond)
	}
}

func TestFleetBudget(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	x := newFleetOf(t, 400, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		answer(w, 10, 100)
	})
	x.write("prices.json", []byte(`{"m":{"input_cost_per_token":0.00001,`+
		`"output_cost_per_token":0.0001}}`))
	flags := []string{"--prices", x.path("prices.json"), "--budget", "1usd"}
	for _, stderr := range x.fleetOf(3, 75, flags...) {
		if !strings.Contains(stderr, "the budget is used up") {
			t.Error(stderr)
		}
	}
	s := x.status()
	spent := float64(calls.Load()) * (10*.00001 + 100*.0001)
	t.Logf("%d calls, $%.4f, status %+v", calls.Load(), spent, s)
	if spent > 1 || s.Cost > 1 || s.Done < 90 || s.Pending != 400-s.Done {
		t.Errorf("$%.4f were spent, the status is %+v: want at most $1, and most of it", spent, s)
	}
	before := calls.Load()
	x.fleetOf(2, 75, flags...)
	if calls.Load() != before {
		t.Errorf("%d calls without a budget", calls.Load()-before)
	}
	x.fleetOf(2, 0, "--prices", x.path("prices.json"), "--budget", "10usd")
	if _, err := x.must(125, "work", "--base", "http://127.0.0.1:1", "--budget", "1usd"); !strings.
		Contains(err, "--budget needs --prices FILE") {
		t.Error(err)
	}
}

// A fault of the account stops all workers, and costs no row.
func TestFleetAccount(t *testing.T) {
	t.Parallel()
	var calls, refused atomic.Int64
	var good atomic.Bool
	x := newFleetOf(t, 600, func(w http.ResponseWriter, r *http.Request) {
		if n := calls.Add(1); n > 100 && !good.Load() {
			refused.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error":{"code":"invalid_api_key","message":"%s is not a key"}}`,
				r.Header.Get("Authorization"))
			return
		}
		<-time.After(5 * time.Millisecond)
		answer(w, 1, 1)
	})
	x.write("key", []byte("Bearer sk-fleet-1234567\n"))
	flags := []string{"-H", "Authorization: @" + x.path("key")}
	for _, stderr := range x.fleetOf(3, 75, flags...) {
		if !strings.Contains(stderr, "a fault of the account: Bearer") &&
			!strings.Contains(stderr, "a fault of the account: [redacted]") {
			t.Error(stderr)
		}
		if strings.Contains(stderr, "sk-fleet") {
			t.Error("the key is in", stderr)
		}
	}
	if n := refused.Load(); n == 0 || n > 3*8 {
		t.Errorf("%d requests were rejected: want at most those in flight", n)
	}
	if s := x.status(); s.Failed+s.InDoubt+s.Workers != 0 {
		t.Errorf("the status is %+v: want no row failed or in doubt", s)
	}
	good.Store(true)
	x.fleetOf(3, 0, flags...)
	dump, err := daemon.Program("pg_dump", "/usr/lib/postgresql/*/bin/pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	all, err := exec.Command(dump, x.db).CombinedOutput()
	if err != nil || bytes.Contains(all, []byte("sk-fleet")) ||
		!bytes.Contains(all, []byte("invalid_api_key")) && !bytes.Contains(all, []byte("custom_id")) {
		t.Errorf("%v: want a dump of the database without the key: %.200s", err, all)
	}
}

// Ctrl-C ends one worker, and gives its rows to the others. A worker that was stopped for longer
// than its lease continues with other rows.
func TestFleetSignals(t *testing.T) {
	t.Parallel()
	x := newFleetTorture(t, database(t), 800, "--lease", "1s", "-j", "8")
	one, stderr := x.start()
	two, _ := x.start()
	<-x.called
	<-time.After(200 * time.Millisecond)
	_ = two.Process.Signal(syscall.SIGSTOP)
	_ = one.Process.Signal(os.Interrupt)
	x.ends(130, one)
	if !strings.Contains(stderr.String(), "stopped: interrupt") ||
		!strings.Contains(stderr.String(), "to go on:") {
		t.Error(stderr)
	}
	three, _ := x.start()
	<-time.After(3 * time.Second)
	_ = two.Process.Signal(syscall.SIGCONT)
	for _, c := range []*exec.Cmd{two, three} {
		if err := c.Wait(); exitOf(err) > 1 {
			t.Errorf("exit code %d: %v", exitOf(err), c.Stderr)
		}
	}
	repeated, _ := x.dumped()
	if s := x.status(); repeated > s.Repeated || s.Workers != 0 {
		t.Errorf("%d effects were repeated, the status is %+v", repeated, s)
	}
}

// The lines are those of a batch in one process.
func TestFleetLines(t *testing.T) {
	t.Parallel()
	x := newFleetOf(t, 20, func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		w.Header().Set("X-Request-Id", "q-1")
		if strings.Contains(body.String(), "row 7") {
			http.Error(w, `{"error":{"code":"bad","message":"no <such> \u0000 thing"}}`, 400)
			return
		}
		answer(w, 3, 4)
	})
	x.fleetOf(1, 1, "--report", x.path("report.json"))
	x.must(0, "dump", "-o", x.path("many"))
	single := command(t, "batch", x.path("in.jsonl"), "-o", x.path("one"), "--base", x.args[5])
	if out, err := single.CombinedOutput(); exitOf(err) != 1 {
		t.Fatalf("%v, %s", err, out)
	}
	for _, ending := range []string{"", ".errors"} {
		one, many := x.lines("one"+ending), x.lines("many"+ending)
		if !slices.Equal(one, many) || len(one) == 0 {
			t.Errorf("%q: the fleet's lines are\n%s\nwant\n%s", ending, many, one)
		}
	}
}

// lines are those of a file, sorted, without what differs between two runs.
func (x *fleetTorture) lines(name string) []string {
	data, err := os.ReadFile(x.path(name))
	if err != nil {
		x.t.Fatal(err)
	}
	data = regexp.MustCompile(`"rebound-[0-9a-f]+"|"seconds":[0-9.e-]+`).ReplaceAll(data, nil)
	all := strings.SplitAfter(string(data), "\n")
	slices.Sort(all)
	return all
}
