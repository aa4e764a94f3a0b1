//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-go/rebound/internal/daemon"
)

// link is between workers and their database. It may stop passing data, and may cut a connection
// after a client's message.
type link struct {
	silent chan struct{} // closed: nothing passes any more, and nothing is closed
	cut    func(sent []byte) bool
}

// newLink returns the URL of a database behind a link.
func newLink(t *testing.T, db string, l *link) string {
	t.Helper()
	u, err := url.Parse(db)
	if err != nil {
		t.Fatal(err)
	}
	server := u.Host
	u.Host = daemon.Listen(t, func(client net.Conn) { l.serve(client, server) })
	return u.String()
}

// serve connects a client.
func (l *link) serve(client net.Conn, server string) {
	conn, err := net.Dial("tcp", server)
	if err != nil {
		_ = client.Close()
		return
	}
	closeBoth := sync.OnceFunc(func() {
		_ = client.Close()
		_ = conn.Close()
	})
	var over atomic.Bool // what the server answers is lost
	pass := func(from, to net.Conn, sends bool) {
		defer closeBoth()
		buf := make([]byte, 1<<16)
		for {
			n, err := from.Read(buf)
			select {
			case <-l.silent:
				_, _ = io.Copy(io.Discard, from)
				return
			default:
			}
			if sends && l.cut != nil && l.cut(buf[:n]) {
				over.Store(true)
			}
			if !sends && over.Load() {
				return
			}
			if _, err2 := to.Write(buf[:n]); err != nil || err2 != nil {
				return
			}
		}
	}
	go pass(client, conn, true)
	pass(conn, client, false)
}

// If a connection is cut after a statement or a commit, it is unknown whether the server executed
// it. No row is lost, doubled or sent twice.
func TestFleetCommitInDoubt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sent  string
		every int64
	}{"commits": {"commit\x00", 7}, "any": {"", 50}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cutSome(t, c.sent, c.every)
		})
	}
}

// cutSome cuts the connections of workers after some of the messages that contain a text.
func cutSome(t *testing.T, part string, every int64) {
	daemon.Require(shared{t}, postgres)
	var commits, cuts atomic.Int64
	var begun atomic.Bool
	db := newLink(t, database(t), &link{silent: make(chan struct{}), cut: func(sent []byte) bool {
		if !begun.Load() || !bytes.Contains(sent, []byte(part)) || commits.Add(1)%every != 0 {
			return false
		}
		cuts.Add(1)
		return true
	}})
	x := newFleetTorture(t, db, 400, "-j", "8", "--lease", "2s")
	one, _ := x.start("--rpm", "6000")
	two, _ := x.start("--rpm", "6000")
	for s := x.status(); s.Workers < 2 && s.Done < s.Rows; s = x.status() {
	}
	begun.Store(true) // without a database, a worker does not begin
	x.ends(1, one, two)
	for _, c := range []*exec.Cmd{one, two} {
		if stderr := fmt.Sprint(c.Stderr); !strings.Contains(stderr, "400 rows: ") {
			t.Error(stderr)
		}
	}
	begun.Store(false)
	repeated, _ := x.dumped()
	s := x.status()
	t.Logf("%d messages, %d cut: the status is %+v", commits.Load(), cuts.Load(), s)
	if repeated > 0 || s.Repeated > 0 || cuts.Load() == 0 {
		t.Errorf("%d effects were repeated, %d rows: want none", repeated, s.Repeated)
	}
}

// River gives a job to a worker that still works on it, if the answer to its first fetch came too
// late. The row is sent once.
func TestFleetJobOfTwoFetches(t *testing.T) {
	t.Parallel()
	const rows = 7
	var calls atomic.Int64
	called := make(chan struct{}, rows)
	x := newFleetOf(t, rows, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) <= rows {
			called <- struct{}{}
		}
		<-time.After(3 * time.Second) // a second request for the row would come in this time
		answer(w, 1, 1)
	})
	w, _ := x.start("-j", "40", "--rpm", "300")
	<-called // the worker has all rows: most of them wait for a permit
	psql, err := daemon.Program("psql")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(psql, x.db, "-c", `UPDATE rebound.river_job
		SET state = 'available', scheduled_at = now() WHERE state = 'running'`).CombinedOutput()
	if err != nil || strings.Contains(string(out), "UPDATE 0") {
		t.Fatal(err, string(out))
	}
	x.ends(0, w)
	if s := x.status(); calls.Load() != rows || s.Done != rows || s.Repeated != 0 {
		t.Errorf("%d requests, and the status is %+v: want one for each row", calls.Load(), s)
	}
}

// Signals end a worker while the database is down, whether it refuses connections or does not
// answer. One signal ends it after the grace period, a second one at once.
func TestFleetSignalsWithoutDatabase(t *testing.T) {
	t.Parallel()
	t.Run("refuses", func(t *testing.T) {
		t.Parallel()
		server := daemon.Require(t, daemon.Postgres)
		endWithout(t, newDatabase(t, server), server.Kill)
	})
	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		l := &link{silent: make(chan struct{})}
		endWithout(t, newLink(t, database(t), l), func() { close(l.silent) })
	})
}

// The same holds if the database stops answering before the worker has begun.
func TestFleetStopsAtTheStart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		query string // the one that is not answered
		flags []string
		send  []os.Signal
		code  int
	}{
		{"signal, no batch yet", "ORDER BY loaded", nil, []os.Signal{syscall.SIGTERM}, 143},
		{"deadline, no batch yet", "ORDER BY loaded", []string{"--deadline", "1s"}, nil, 124},
		{"signal, no session yet", "FOR NO KEY UPDATE", nil, []os.Signal{os.Interrupt}, 130},
		{"deadline, no session yet", "FOR NO KEY UPDATE", []string{"--deadline", "1s"}, nil, 124},
		{"signals, River starts", "river_queue", nil, []os.Signal{syscall.SIGTERM, syscall.SIGTERM}, 143},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			stopAtTheStart(t, c.query, c.flags, c.send, c.code)
		})
	}
}

func stopAtTheStart(t *testing.T, query string, flags []string, send []os.Signal, code int) {
	l := &link{silent: make(chan struct{})}
	fall := sync.OnceFunc(func() { close(l.silent) })
	var loaded atomic.Bool
	l.cut = func(sent []byte) bool {
		if loaded.Load() && bytes.Contains(sent, []byte(query)) {
			fall()
		}
		return false
	}
	x := newFleetIn(t, newLink(t, database(t), l), 10, func(http.ResponseWriter, *http.Request) {})
	loaded.Store(true)
	w, _ := x.start(flags...)
	<-l.silent
	for _, s := range send {
		_ = w.Process.Signal(s)
		<-time.After(500 * time.Millisecond)
	}
	began := time.Now()
	if err := w.Wait(); exitOf(err) != code || time.Since(began) > 8*time.Second {
		t.Errorf("exit code %d after %v, want %d at once: %v", exitOf(err), time.Since(began), code,
			w.Stderr)
	}
}

// endWithout ends workers whose database goes down.
func endWithout(t *testing.T, db string, away func()) {
	var calls atomic.Int64
	over := make(chan struct{})
	x := newFleetIn(t, db, 300, func(w http.ResponseWriter, r *http.Request) {
		if n := calls.Add(1); n > 24 && n%3 == 0 {
			<-over // others are answered, but cannot be stored
		}
		answer(w, 1, 1)
	})
	cases := []struct {
		name  string
		flags []string
		send  []os.Signal
		code  int
	}{
		{"Ctrl-C twice", nil, []os.Signal{os.Interrupt, os.Interrupt}, 130},
		{"SIGTERM twice", nil, []os.Signal{syscall.SIGTERM, syscall.SIGTERM}, 143},
		{"Ctrl-C once", []string{"--grace", "500ms"}, []os.Signal{os.Interrupt}, 130},
		{"deadline", []string{"--grace", "500ms", "--deadline", "3s"}, nil, 124},
	}
	var workers []*exec.Cmd
	for _, c := range cases {
		w, _ := x.start(append(c.flags, "--first", "-1")...)
		workers = append(workers, w)
	}
	for calls.Load() < 60 {
		<-time.After(10 * time.Millisecond)
	}
	away()
	<-time.After(time.Second)
	began := time.Now()
	var ends sync.WaitGroup
	for i, c := range cases {
		ends.Go(func() {
			for _, s := range c.send {
				_ = workers[i].Process.Signal(s)
				<-time.After(500 * time.Millisecond)
			}
			err := workers[i].Wait()
			took := time.Since(began)
			t.Logf("%s: exit code %d after %v", c.name, exitOf(err), took.Round(time.Millisecond))
			if exitOf(err) != c.code || took > 8*time.Second {
				t.Errorf("%s: exit code %d after %v, want %d at once: %v", c.name, exitOf(err), took, c.code,
					workers[i].Stderr)
			}
		})
	}
	ends.Wait()
	close(over)
}

// A full disk is reported. Rows wait until there is room, and nothing is lost.
func TestFleetFullDisk(t *testing.T) {
	t.Parallel()
	x := newFleetOf(t, 20, func(w http.ResponseWriter, r *http.Request) { answer(w, 1, 1) })
	sql := func(commands ...string) {
		t.Helper()
		server, err := postgres()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commands {
			if err := server.SetUp("psql", x.db, "-c", c); err != nil {
				t.Fatal(err)
			}
		}
	}
	sql(`CREATE FUNCTION rebound.full_disk() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN RAISE ''could not extend file: no space'' USING ERRCODE = ''53100''; END'`,
		`CREATE TRIGGER full_disk BEFORE INSERT ON rebound.result FOR EACH ROW
			EXECUTE FUNCTION rebound.full_disk()`)
	reader, writer := io.Pipe()
	c := command(t, x.args...)
	c.Stderr = writer
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(reader)
	lines.Scan()
	if got := lines.Text(); !strings.Contains(got, "no space (SQLSTATE 53100); trying again") {
		t.Errorf("got %q, want the error of the database", got)
	}
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	sql("DROP TRIGGER full_disk ON rebound.result")
	x.ends(0, c)
	if s := x.status(); s.Done != 20 || s.Repeated > 0 {
		t.Errorf("the status is %+v: want all rows done, none sent twice", s)
	}
}
