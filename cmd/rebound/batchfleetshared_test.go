//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// --first and --max-failures count the rows of all workers. A new run counts from 0.
func TestFleetJudges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		flags    []string
		fails    func(n int64) bool
		from, to int64 // calls
		want     string
	}{
		{"first", []string{"--first", "30"}, func(int64) bool { return true }, 30, 30 + 3*2 + 6,
			"rows all failed with bad: m"},
		{"max-failures", []string{"--max-failures", "10"}, func(n int64) bool { return n%2 == 0 }, 22,
			22 + 2*(3*2+6), "more than --max-failures 10"},
		{"share", []string{"--max-failures", "40%"}, func(n int64) bool { return n > 60 }, 100,
			100 + 30, "more than --max-failures 40%"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			var waiting atomic.Pointer[sync.WaitGroup] // of the workers that have not begun
			var begun sync.Map
			x := newFleetOf(t, 600, func(w http.ResponseWriter, r *http.Request) {
				all := waiting.Load()
				if _, known := begun.LoadOrStore(r.Header.Get("Worker"), true); !known {
					all.Done()
				}
				all.Wait()
				<-time.After(30 * time.Millisecond) // in which the workers exchange their counts
				if c.fails(calls.Add(1)) {
					http.Error(w, `{"error":{"code":"bad","message":"m"}}`, http.StatusBadRequest)
					return
				}
				answer(w, 1, 1)
			})
			flags := append([]string{"-j", "2"}, c.flags...)
			for run := range 2 {
				calls.Store(0)
				begun.Clear()
				var all sync.WaitGroup
				all.Add(3)
				waiting.Store(&all)
				var workers []*exec.Cmd
				for i := range 3 {
					w, _ := x.start(append(flags, "-H", fmt.Sprint("Worker: ", i))...)
					workers = append(workers, w)
				}
				x.ends(75, workers...)
				for _, w := range workers {
					// A database that a loaded machine slows down is reported before the reason.
					if said := fmt.Sprint(w.Stderr); !strings.Contains(said, c.want) {
						t.Errorf("run %d: %s: want the reason %q", run, said, c.want)
					}
				}
				if n := calls.Load(); n < c.from || n > c.to {
					t.Errorf("run %d: %d calls, want %d to %d", run, n, c.from, c.to)
				}
			}
		})
	}
}

// Rows that are held do not count as failures of this run.
func TestFleetHeldRowsStopNothing(t *testing.T) {
	t.Parallel()
	const first = 8 // are sent before an answer
	var calls atomic.Int64
	dead := make(chan struct{})
	x := newFleetOf(t, 40, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) <= first {
			<-dead
		}
		answer(w, 1, 1)
	})
	c, _ := x.start("-j", "40")
	for calls.Load() < first {
		<-time.After(20 * time.Millisecond)
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	close(dead)
	x.fleetOf(2, 1, "--in-doubt", "hold", "--first", "3")
	if s := x.status(); s.Failed != first {
		t.Errorf("the status is %+v: want %d rows held", s, first)
	}
}

// A limit that one worker learns applies to all of them.
func TestFleetLearnsLimit(t *testing.T) {
	t.Parallel()
	const perSecond, rows = 20, 140
	times := limitedFleet(t, perSecond, rows, func(h http.Header) {
		h.Set("X-Ratelimit-Limit-Requests", fmt.Sprint(perSecond*60))
		h.Set("X-Ratelimit-Remaining-Requests", fmt.Sprint(perSecond*60-1))
		h.Set("X-Ratelimit-Reset-Requests", "50ms")
	})
	const early = 40 // may be sent before all of them have the limit
	expectRate(t, perSecond, times[early:])
}

// A Retry-After delay that one worker gets applies to the others, too, and to one that begins in
// the meantime.
func TestFleetRests(t *testing.T) {
	t.Parallel()
	const rest = 4 * time.Second
	var mu sync.Mutex
	var began time.Time
	refused, second := make(chan struct{}), false
	var during []time.Duration // requests after the first refusal
	x := newFleetOf(t, 60, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		since := time.Since(began)
		switch {
		case began.IsZero():
			began = time.Now()
			close(refused)
		case since < rest:
			during = append(during, since)
			second = second || r.Header.Get("Worker") != ""
		default:
			answer(w, 1, 1)
			return
		}
		w.Header().Set("Retry-After", "4")
		http.Error(w, `{"error":{"code":"rate_limit_exceeded","message":"slow"}}`,
			http.StatusTooManyRequests)
	})
	one, _ := x.start()
	<-refused
	two, _ := x.start("-H", "Worker: two")
	x.ends(0, one, two)
	slices.Sort(during)
	t.Logf("requests during the Retry-After delay: %v", during)
	if n := len(during); n > 0 && during[n-1] > time.Second {
		t.Errorf("a request %v after the Retry-After delay began", during[n-1])
	}
	if second {
		t.Error("the worker that began during the delay has sent requests")
	}
}

// Ids may be of any length, as in a batch without a database.
func TestFleetLongIDs(t *testing.T) {
	t.Parallel()
	x := newFleetOf(t, 1, func(w http.ResponseWriter, r *http.Request) { answer(w, 1, 1) })
	var in bytes.Buffer
	long := strings.Repeat("0123456789abcdef", 10_000)
	for i := range 3 {
		fmt.Fprintf(&in, `{"custom_id":"%s-%d","url":"/x"}`+"\n", long, i)
	}
	x.write("long.jsonl", in.Bytes())
	x.must(0, "load", x.path("long.jsonl"))
	if _, out := x.must(0, "load", x.path("long.jsonl")); !strings.Contains(out,
		"0 added, 3 already loaded") {
		t.Error(out)
	}
	x.fleetOf(1, 0, "--batch", "long")
	x.must(0, "dump", "--batch", "long", "-o", x.path("out"))
	if n := len(x.lines("out")); n != 3+1 {
		t.Errorf("%d results, want 3", n-1)
	}
}

// Each worker's lease is that of its own --lease. A worker with a short lease takes no rows of live
// workers.
func TestFleetLeases(t *testing.T) {
	t.Parallel()
	x := newFleetOf(t, 60, func(w http.ResponseWriter, r *http.Request) {
		<-time.After(300 * time.Millisecond)
		answer(w, 1, 1)
	})
	one, _ := x.start("--lease", "20s", "-j", "2")
	two, _ := x.start("--lease", "1s", "-j", "2")
	x.ends(0, one, two)
	if s := x.status(); s.Repeated > 0 || s.Attempts != 60 {
		t.Errorf("the status is %+v: want no row sent twice", s)
	}
	if text := fmt.Sprint(one.Stderr); strings.Contains(text, "was away") {
		t.Error(text)
	}
}

// A dump replaces a dump, and no other file.
func TestFleetDumpFiles(t *testing.T) {
	t.Parallel()
	x := newFleetOf(t, 3, func(w http.ResponseWriter, r *http.Request) { answer(w, 1, 1) })
	x.must(0, "dump", "-o", x.path("out"))
	x.fleetOf(1, 0)
	x.must(0, "dump", "-o", x.path("out"))
	x.must(0, "dump", "-o", x.path("out"))
	if n := len(x.lines("out")); n != 3+1 {
		t.Errorf("%d results, want 3", n-1)
	}
	in, _ := os.ReadFile(x.path("in.jsonl"))
	x.write("mine.errors", []byte("notes"))
	x.write("input.errors", in)
	for _, path := range []string{x.path("in.jsonl"), x.path("mine"), x.path("input"), x.dir,
		os.DevNull, "/dev/stdout"} {
		if _, err := x.must(125, "dump", "-o", path); !strings.Contains(err, "want a") {
			t.Errorf("%s: %s", path, err)
		}
	}
	if now, _ := os.ReadFile(x.path("in.jsonl")); !bytes.Equal(now, in) {
		t.Error("the input was changed")
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Errorf("%s is %v, %v", os.DevNull, info.Mode(), err)
	}
}

// For a database without a batch, the error says what to do.
func TestFleetEmptyDatabase(t *testing.T) {
	t.Parallel()
	x := &fleetTorture{&torture{t: t, dir: t.TempDir()}, database(t)}
	for _, args := range [][]string{{"status"}, {"work", "--base", "http://127.0.0.1:1"},
		{"dump", "-o", x.path("out")}, {"status", "--batch", "a"}} {
		if _, err := x.must(125, args...); !strings.Contains(err, "the database has no batch") {
			t.Error(err)
		}
	}
	if _, err := x.must(125, "work", "--report", x.path("no/report")); !strings.Contains(err,
		"--report") {
		t.Error(err)
	}
}

// An answer that is too large for the database is an error of its row, and stops no worker.
func TestFleetLargeAnswer(t *testing.T) {
	t.Parallel()
	megabytes := map[string]int{"row 1\"": 300, "row 2\"": 20}
	x := newFleetOf(t, 4, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for row, n := range megabytes {
			if bytes.Contains(body, []byte(row)) {
				for range n {
					_, _ = w.Write(make([]byte, 1<<20/6)) // as JSON, a zero byte has six
				}
				return
			}
		}
		answer(w, 1, 1)
	})
	x.fleetOf(1, 1, "-j", "1")
	x.must(0, "dump", "-o", x.path("out"))
	errs, err := os.ReadFile(x.path("out.errors"))
	if err != nil || !bytes.Contains(errs, []byte(`"code":"response_too_large"`)) ||
		bytes.Count(errs, []byte("\n")) != 1 {
		t.Errorf("%v, %.300s", err, errs)
	}
}

// A new run counts the failures from 0, and learns the limits again.
func TestFleetRunsCountAnew(t *testing.T) {
	t.Parallel()
	x := newFleetOf(t, 8, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Limited") != "" {
			w.Header().Set("X-Ratelimit-Limit-Requests", "6000")
		}
		http.Error(w, `{"error":{"code":"bad","message":"m"}}`, http.StatusBadRequest)
	})
	flags := []string{"--max-failures", "10", "-H", "Limited: yes"}
	if out := x.fleetOf(1, 1, flags...)[0]; !strings.Contains(out, "limit: m requests: 6000") {
		t.Error(out)
	}
	x.must(0, "load", x.path("in.jsonl"), "--retry", "failed")
	if out := x.fleetOf(1, 1, flags[:2]...)[0]; strings.Contains(out, "limit: m requests") {
		t.Errorf("%s: want no limit of the run before", out)
	}
	if s := x.status(); s.Failed != 8 {
		t.Errorf("the status is %+v", s)
	}
}

// A user without permission to create schemas uses one that an administrator has created. A user
// without permission to create tables uses existing ones.
func TestFleetPrivileges(t *testing.T) {
	t.Parallel()
	x := newFleetOf(t, 3, func(w http.ResponseWriter, r *http.Request) { answer(w, 1, 1) })
	server, err := postgres()
	if err != nil {
		t.Fatal(err)
	}
	admin := newDatabase(t, server)
	sql := func(commands string) {
		t.Helper()
		if err := server.SetUp("psql", admin, "-c", commands); err != nil {
			t.Fatal(err)
		}
	}
	sql("CREATE USER owner; CREATE USER clerk; CREATE SCHEMA rebound AUTHORIZATION owner")
	x.db = strings.Replace(admin, "postgres@", "owner@", 1)
	x.must(0, "load", x.path("in.jsonl"))
	x.must(0, "work", "--base", x.args[5])
	sql("GRANT USAGE ON SCHEMA rebound TO clerk; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES " +
		"IN SCHEMA rebound TO clerk; GRANT USAGE ON ALL SEQUENCES IN SCHEMA rebound TO clerk")
	x.db = strings.Replace(admin, "postgres@", "clerk@", 1)
	x.must(0, "load", x.path("in.jsonl"), "--batch", "clerks")
	x.must(0, "work", "--base", x.args[5], "--batch", "clerks")
}

// A worker begins and sends rows while a long load adds others.
func TestFleetBesideLongLoad(t *testing.T) {
	t.Parallel()
	x := newFleetOf(t, 3, func(w http.ResponseWriter, r *http.Request) { answer(w, 1, 1) })
	server, err := postgres()
	if err != nil {
		t.Fatal(err)
	}
	var loaded atomic.Bool
	var load sync.WaitGroup
	load.Go(func() {
		_ = server.SetUp("psql", x.db, "-c", `BEGIN; INSERT INTO rebound.row
			(batch, custom_id, digest, line) VALUES ('in', 'new', 0, ''); SELECT pg_sleep(60)`)
		loaded.Store(true)
	})
	const running = "FROM pg_stat_activity WHERE datname = current_database() " +
		"AND wait_event = 'PgSleep'"
	for server.SetUp("psql", x.db, "-c", "SELECT 1 / count(*) "+running) != nil {
		<-time.After(10 * time.Millisecond)
	}
	x.fleetOf(1, 0)
	if loaded.Load() {
		t.Error("the worker waited for the load")
	}
	if err := server.SetUp("psql", x.db, "-c", "SELECT pg_cancel_backend(pid) "+running); err != nil {
		t.Error(err)
	}
	load.Wait()
}
