//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/fleet"
	"github.com/rebound-go/rebound/internal/daemon"
)

// postgres is a server for all tests that stop none.
var postgres = sync.OnceValues(func() (*daemon.Daemon, error) {
	d, err := daemon.Postgres()
	if err == nil {
		stopServers = func() { _ = d.Remove() }
	}
	return d, err
})

// database returns the URL of a new database.
func database(t *testing.T) string {
	t.Helper()
	server := daemon.Require(shared{t}, postgres)
	return newDatabase(t, server)
}

// shared is a test that leaves the server running: it ends with the process.
type shared struct{ testing.TB }

func (shared) Cleanup(func()) {}

var databases atomic.Int32

func newDatabase(t *testing.T, server *daemon.Daemon) string {
	t.Helper()
	name := fmt.Sprintf("test%d", databases.Add(1))
	psql, err := daemon.Program("psql")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.SetUp(psql, server.URL(), "-c", "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return strings.Replace(server.URL(), "/postgres?", "/"+name+"?", 1)
}

// fleetTorture is a batch in a database, whose workers are killed again and again.
type fleetTorture struct {
	*torture
	db string
}

func newFleetTorture(t *testing.T, db string, rows int, flags ...string) *fleetTorture {
	x := &fleetTorture{newTorture(t, rows, flags...), db}
	x.must(0, "load", x.path("in.jsonl"))
	work := []string{"batch", "work", "--db", db}
	for i := 4; i < len(x.args); i++ {
		if x.args[i] == "--report" {
			i++
			continue
		}
		work = append(work, x.args[i])
	}
	x.args = work
	return x
}

// must runs a subcommand of batch that ends with a code, and returns what it prints.
func (x *fleetTorture) must(code int, args ...string) (stdout, stderr string) {
	x.t.Helper()
	c := command(x.t, append([]string{"batch", args[0], "--db", x.db}, args[1:]...)...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); exitOf(err) != code {
		x.t.Fatalf("batch %v: %v, want exit code %d: %s%s", args, err, code, &out, &errs)
	}
	return out.String(), errs.String()
}

// status is what batch status prints.
type status struct {
	Rows, Done, Failed, Pending, Repeated, Workers int
	InDoubt                                        int `json:"in_doubt"`
	Attempts                                       int
	Cost                                           float64 `json:"cost_usd"`
}

func (x *fleetTorture) status() (s status) {
	x.t.Helper()
	out, _ := x.must(0, "status", "--json")
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		x.t.Fatal(err, out)
	}
	return s
}

// dumped dumps the batch, and compares it with what the server has done.
func (x *fleetTorture) dumped() (repeated, held int) {
	x.t.Helper()
	x.must(0, "dump", "-o", x.path("out"))
	out, _ := x.must(0, "status", "--json")
	errs, err := os.ReadFile(x.path("out.errors"))
	if err != nil {
		x.t.Fatal(err)
	}
	return x.compare([]byte(out)), bytes.Count(errs, []byte(`"code":"in_doubt"`))
}

// Workers that are killed at any moment lose no row and double none. Only rows in doubt have two
// effects.
func TestKilledFleet(t *testing.T) {
	kills, rows := 12, 1500
	if *long {
		kills, rows = 200, 20000
	}
	for _, doubt := range []string{"auto", "hold"} {
		t.Run(doubt, func(t *testing.T) {
			t.Parallel()
			x := newFleetTorture(t, database(t), rows, "--in-doubt", doubt, "--lease", "2s")
			var killed atomic.Int32
			var workers sync.WaitGroup
			for range 3 {
				workers.Go(func() {
					for x.worker(&killed, kills) {
					}
				})
			}
			workers.Wait()
			repeated, held := x.dumped()
			s := x.status()
			t.Logf("%d rows, %d kills: %d rows repeated after doubt, %d held, %d effects repeated", rows,
				killed.Load(), s.Repeated, held, repeated)
			if doubt == "hold" && repeated > 0 || repeated > s.Repeated+held {
				t.Errorf("%d effects were repeated, %d rows were in doubt", repeated, s.Repeated+held)
			}
			if s.Workers != 0 && int(killed.Load()) == 0 {
				t.Errorf("%d workers are left", s.Workers)
			}
		})
	}
}

// worker runs a worker, and kills it at some moment if there are kills left. It returns false when
// the batch has ended.
func (x *fleetTorture) worker(killed *atomic.Int32, kills int) (more bool) {
	c := command(x.t, x.args...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		x.t.Error(err)
		return false
	}
	exit := make(chan error, 1)
	go func() { exit <- c.Wait() }()
	var kill <-chan time.Time
	if int(killed.Add(1)) <= kills {
		kill = time.After(300*time.Millisecond + rand.N(1200*time.Millisecond))
	} else {
		killed.Add(-1)
	}
	select {
	case <-kill:
		_ = c.Process.Kill()
		<-exit
		return true
	case err := <-exit:
		if code := exitOf(err); code > 1 {
			x.t.Errorf("exit code %d: %s", code, &stderr)
		}
		return false
	}
}

// The command in the report has no password, whatever the form of --db.
func TestFleetHidesThePassword(t *testing.T) {
	for _, db := range []string{
		"postgres://clerk:wr0ng-t0p@host/db", "host=host user=clerk password=wr0ng-t0p dbname=db",
		"postgres://clerk:%2fwr0ng%2Fw@host/db", "postgres://clerk:wr0ng/w@rd@host/db",
		"postgres://clerk@host/db?sslmode=disable&password=wr0ng%2dt0p&user=clerk",
		"postgres://clerk@host/db?sslkey=k&sslpassword=wr0ng%2dt0p",
		`user=clerk password = 'wr0ng \'t0p' host=host`, `user=clerk password=wr0ng\ t0p host=host`,
	} {
		words := hide([]string{"--db", db, "--db=" + db}, fleet.Passwords(db))
		got := strings.Join(shellWords(words), " ")
		if strings.Contains(got, "wr0ng") || strings.Contains(got, "t0p") ||
			!strings.Contains(got, "clerk") {
			t.Errorf("got %s, want it without the password", got)
		}
	}
}
