// Fleet runs a batch with three workers, as on three machines. It starts a PostgreSQL server, an
// API and three workers, and kills one worker with -9 partway through. No row is lost, and none has
// two results.
//
//	go run ./examples/fleet
//
// It needs PostgreSQL, and Go to build the command rebound. It keeps everything in temporary
// folders, and removes them at the end.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/rebound-go/rebound/internal/daemon"
)

func main() {
	rows := flag.Int("rows", 1000, "rows of the batch")
	flag.Parse()
	if err := run(os.Stdout, *rows); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// fleet is what the parts of the example share.
type fleet struct {
	out     io.Writer
	dir     string
	command string // rebound
	db      string // the URL of the database
	api     *api
}

func run(out io.Writer, rows int) error {
	server, err := daemon.Postgres()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("PostgreSQL is not installed: on Debian, run apt-get install postgresql (%w)",
			err)
	}
	if err != nil {
		return err
	}
	defer func() { _ = server.Remove() }()
	dir, err := os.MkdirTemp("", "rebound-fleet-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	f := &fleet{out: out, dir: dir, db: server.URL(), command: filepath.Join(dir, "rebound")}
	if out, err := exec.Command("go", "build", "-o", f.command,
		"github.com/rebound-go/rebound/cmd/rebound").CombinedOutput(); err != nil {
		return fmt.Errorf("building rebound: %w\n%s", err, out)
	}
	if f.api, err = serve(rows); err != nil {
		return err
	}
	defer f.api.close()
	return f.night(rows)
}

// night loads the rows, starts three workers, kills one, and checks the results.
func (f *fleet) night(rows int) error {
	if err := f.writeInput(rows); err != nil {
		return err
	}
	if err := f.rebound("load", f.path("receipts.jsonl")); err != nil {
		return err
	}
	var workers []*exec.Cmd
	for range 3 {
		w := f.batch("work", "--base", f.api.url, "--rpm", "12000", "--lease", "5s")
		if err := w.Start(); err != nil {
			return err
		}
		defer func() { _ = w.Process.Kill() }() // in case this function returns early
		workers = append(workers, w)
	}
	for f.api.done() < rows/3 {
		time.Sleep(10 * time.Millisecond)
	}
	_ = workers[0].Process.Kill()
	_ = workers[0].Wait()
	f.printf("killed one of three workers with -9 after %d of %d rows", f.api.done(), rows)
	for _, w := range workers[1:] {
		if err := w.Wait(); err != nil {
			return fmt.Errorf("a worker: %w\n%s", err, w.Stderr)
		}
	}
	if err := f.rebound("dump", "-o", f.path("results.jsonl")); err != nil {
		return err
	}
	return f.compare(rows)
}

// compare compares the results with the requests that the API executed.
func (f *fleet) compare(rows int) error {
	file, err := os.Open(f.path("results.jsonl"))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	lines := map[string]int{}
	for s := bufio.NewScanner(file); s.Scan(); {
		var line struct {
			ID string `json:"custom_id"`
		}
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			return err
		}
		lines[line.ID]++
	}
	doubled := 0
	for _, n := range lines {
		doubled += n - 1
	}
	lost, again := rows-len(lines), f.api.repeated()
	f.printf("%d results: %d lost, %d doubled", len(lines), lost, doubled)
	var status struct{ Repeated int }
	out, err := f.batch("status", "--json").Output()
	if err == nil {
		err = json.Unmarshal(out, &status)
	}
	if err != nil {
		return err
	}
	f.printf("%d rows were in doubt and were sent again; the API had already executed %d of them",
		status.Repeated, again)
	if lost+doubled > 0 || again > status.Repeated {
		return errors.New("want no row lost or doubled, and only rows in doubt executed twice")
	}
	return nil
}

// batch returns the command for a subcommand of rebound batch.
func (f *fleet) batch(args ...string) *exec.Cmd {
	c := exec.Command(f.command, append([]string{"batch", args[0], "--db", f.db}, args[1:]...)...)
	if args[0] != "status" {
		c.Stderr = &bytes.Buffer{}
	}
	return c
}

// rebound runs a subcommand to its end.
func (f *fleet) rebound(args ...string) error {
	c := f.batch(args...)
	if err := c.Run(); err != nil {
		return fmt.Errorf("rebound batch %s: %w\n%s", args[0], err, c.Stderr)
	}
	return nil
}

func (f *fleet) path(name string) string { return filepath.Join(f.dir, name) }

func (f *fleet) printf(format string, args ...any) { fmt.Fprintf(f.out, format+"\n", args...) }

func (f *fleet) writeInput(rows int) error {
	var in bytes.Buffer
	for i := range rows {
		fmt.Fprintf(&in, `{"custom_id":"r-%d","url":"/v1/chat/completions","body":{"model":"vision",`+
			`"messages":[{"role":"user","content":"receipt %d"}]}}`+"\n", i, i)
	}
	return os.WriteFile(f.path("receipts.jsonl"), in.Bytes(), 0o600)
}
