//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

var long = flag.Bool("long", false, "kill the batch 200 times instead of 10")

// torture is a batch whose process is killed again and again.
type torture struct {
	t       *testing.T
	dir     string
	args    []string
	effects []atomic.Int32 // of each row, at the server
	called  chan struct{}  // has an element after a request
	kills   int
	doubt   int // rows that were in doubt after the kills
	torn    int
}

func newTorture(t *testing.T, rows int, flags ...string) *torture {
	x := &torture{t: t, dir: t.TempDir(), effects: make([]atomic.Int32, rows),
		called: make(chan struct{}, 1)}
	server := httptest.NewServer(http.HandlerFunc(x.serve))
	t.Cleanup(server.Close)
	var in bytes.Buffer
	for i := range rows {
		fmt.Fprintf(&in, `{"custom_id":"r-%d","url":"/v1/chat/completions","body":{"row":%d,`+
			`"model":"m","messages":[{"role":"user","content":"hello"}]}}`+"\n", i, i)
	}
	x.write("in.jsonl", in.Bytes())
	x.write("policy.yaml", []byte("policies:\n  quick:\n    attempts: 4\n"+
		"    backoff: {base: 2ms, max: 10ms}\n    throttled: {base: 2ms, max: 10ms}\n"))
	x.args = append([]string{"batch", x.path("in.jsonl"), "-o", x.path("out"), "--base", server.URL,
		"--policy", x.path("policy.yaml#quick"), "-j", "64", "--report", x.path("report.json")}, flags...)
	return x
}

func (x *torture) path(name string) string { return filepath.Join(x.dir, name) }

func (x *torture) write(name string, data []byte) {
	if err := os.WriteFile(x.path(name), data, 0o600); err != nil {
		x.t.Fatal(err)
	}
}

// serve executes all but 6 % of the requests, and then answers.
func (x *torture) serve(w http.ResponseWriter, r *http.Request) {
	select {
	case x.called <- struct{}{}:
	default:
	}
	var body struct{ Row int }
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		return // the client was killed while it sent
	}
	chance := rand.IntN(100)
	switch {
	case chance < 5:
		http.Error(w, `{"error":{"message":"overloaded"}}`, http.StatusServiceUnavailable)
		return
	case chance < 6, body.Row == 0: // so one row fails at least
		http.Error(w, `{"error":{"code":"bad","message":"no such thing"}}`, http.StatusBadRequest)
		return
	}
	x.effects[body.Row].Add(1)
	<-time.After(time.Duration(rand.IntN(20)) * time.Millisecond)
	fmt.Fprintf(w, `{"row":%d,"choices":[{"message":{"content":"%0*d"}}]}`, body.Row,
		rand.IntN(400)+1, 0)
}

// kill runs the batch, and kills it at a random moment: in a quarter of the cases after its start,
// otherwise after its first request. It reports whether the batch ended before that.
func (x *torture) kill(longest time.Duration) (ended bool) {
	c := command(x.t, x.args...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	select {
	case <-x.called: // by the process before
	default:
	}
	if err := c.Start(); err != nil {
		x.t.Fatal(err)
	}
	exit := make(chan error, 1)
	go func() { exit <- c.Wait() }()
	if rand.IntN(4) > 0 {
		select {
		case <-x.called:
		case err := <-exit:
			exit <- err
		}
	}
	select {
	case err := <-exit:
		if code := exitOf(err); code > 1 {
			x.t.Fatalf("exit code %d: %s", code, &stderr)
		}
		return true
	case <-time.After(time.Duration(rand.Int64N(int64(longest)))):
		_ = c.Process.Kill()
		<-exit
		x.kills++
	}
	return false
}

func exitOf(err error) int {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// tear changes the files as a crash of the machine may: the last line is cut, or zeros.
func (x *torture) tear() {
	journal, err := os.ReadFile(x.path("out.journal"))
	if err != nil || !bytes.Contains(journal, []byte("\n")) {
		return // nothing is written before the journal's first line is on the disk
	}
	x.torn++
	for name, beginning := range map[string]string{
		"out":         `{"custom_id":"r-1","id":"rebound-12345","response":{"status_code":200,"bo`,
		"out.errors":  `{"custom_id":"r-2","id":"rebound-`,
		"out.journal": `S 18950c7a10034442 12345678 0 57ed`,
	} {
		data, err := os.ReadFile(x.path(name))
		if err != nil {
			continue // it was killed before there was one
		}
		switch rand.IntN(4) {
		case 0:
			data = append(data, beginning[:rand.IntN(len(beginning))+1]...)
		case 1:
			data = append(data, make([]byte, rand.IntN(5000))...)
		case 2:
			data = append(append(data, beginning...), 0, 0, 0)
		case 3: // a synced mark is not lost, but a result may be
			if name != "out.journal" && len(data) > 0 {
				last := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1
				data = data[:last+rand.IntN(len(data)-last)]
			}
		}
		x.write(name, data)
	}
}

var inDoubt = regexp.MustCompile(`(\d+) in doubt`)

// count adds the rows in doubt.
func (x *torture) count() {
	c := command(x.t, append(x.args, "--dry-run")...)
	out, err := c.CombinedOutput()
	found := inDoubt.FindSubmatch(out)
	if err != nil || found == nil {
		x.t.Fatalf("%v, %s", err, out)
	}
	n, _ := strconv.Atoi(string(found[1]))
	x.doubt += n
}

// finish runs the batch to its end, and compares its files with what the server has done.
func (x *torture) finish() (repeated int) {
	out, err := command(x.t, x.args...).CombinedOutput()
	if code := exitOf(err); code > 1 {
		x.t.Fatalf("the last run: exit code %d: %s", code, out)
	}
	report, err := os.ReadFile(x.path("report.json"))
	if err != nil {
		x.t.Fatal(err)
	}
	return x.compare(report)
}

// compare compares the files and the report with what the server has done.
func (x *torture) compare(data []byte) (repeated int) {
	lines := make([]int, len(x.effects))
	for _, name := range []string{"out", "out.errors"} {
		data, err := os.ReadFile(x.path(name))
		if err != nil {
			x.t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			var l struct {
				ID       string `json:"custom_id"`
				Response *struct{ Body struct{ Row *int } }
			}
			if err := json.Unmarshal(line, &l); err != nil {
				x.t.Fatalf("%s: %v: %q", name, err, line)
			}
			i, _ := strconv.Atoi(l.ID[len("r-"):])
			lines[i]++
			if l.Response != nil && l.Response.Body.Row != nil && *l.Response.Body.Row != i {
				x.t.Fatalf("%s has the answer of row %d", l.ID, *l.Response.Body.Row)
			}
		}
	}
	lost, doubled := 0, 0
	for i := range x.effects {
		lost += max(1-lines[i], 0)
		doubled += max(lines[i]-1, 0)
		repeated += max(int(x.effects[i].Load())-1, 0)
	}
	if lost+doubled > 0 {
		x.t.Fatalf("%d rows were lost, %d doubled", lost, doubled)
	}
	var report struct{ Rows, Done, Failed, Pending, In_doubt int }
	err := json.Unmarshal(data, &report)
	if n := len(x.effects); err != nil || report.Rows != n || report.Done+report.Failed != n ||
		report.Pending+report.In_doubt != 0 {
		x.t.Fatalf("the report is %s, %v, want %d rows that have ended", data, err, n)
	}
	return repeated
}

// A batch that is killed at any moment, with its files torn by a crash of the machine, loses no row
// and doubles none. Only rows in doubt have two effects.
func TestKilledBatch(t *testing.T) {
	kills, rows, longest := 10, 3000, 300*time.Millisecond
	if *long {
		kills, rows, longest = 200, 100000, 200*time.Millisecond
	}
	for _, sync := range []string{"power", "crash"} {
		for _, doubt := range []string{"auto", "hold"} {
			t.Run(sync+" "+doubt, func(t *testing.T) {
				t.Parallel() // most of the time is the server's
				x := newTorture(t, rows, "--sync", sync, "--in-doubt", doubt)
				for x.kills < kills && !x.kill(longest) {
					if rand.IntN(4) == 0 {
						x.tear()
					}
					x.count()
				}
				repeated := x.finish()
				t.Logf("%d rows, %d kills, %d torn: %d rows in doubt, %d effects repeated", rows, x.kills,
					x.torn, x.doubt, repeated)
				if *long && x.kills < kills {
					t.Errorf("the batch had ended after %d kills, want %d", x.kills, kills)
				}
				if doubt == "hold" && repeated > 0 || repeated > x.doubt {
					t.Errorf("%d effects were repeated, %d rows were in doubt", repeated, x.doubt)
				}
			})
		}
	}
}
