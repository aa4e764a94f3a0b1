//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// goingOn runs a command in a shell, and then each command that the report prints to go on.
type goingOn struct {
	t     *testing.T
	dir   string
	base  string
	input string
	fails func(row string, nth int) (code int) // 0 = it does not; -1 = no answer; nil = none does

	mu    sync.Mutex
	calls map[string]int
	first string // the report of the first command
}

func newGoingOn(
	t *testing.T, path string, rows int, fails func(row string, nth int) (code int),
) *goingOn {
	x := &goingOn{t: t, dir: t.TempDir(), input: "in.jsonl", fails: fails, calls: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(x.serve))
	t.Cleanup(server.Close)
	x.base = server.URL
	var in strings.Builder
	for i := range rows {
		fmt.Fprintf(&in, "{\"custom_id\":\"r%d\",\"url\":\"%s?row=r%d\",\"body\":{}}\n", i, path, i)
	}
	(&torture{t: t, dir: x.dir}).write("in.jsonl", []byte(in.String()))
	return x
}

func (x *goingOn) serve(w http.ResponseWriter, req *http.Request) {
	row := req.URL.Query().Get("row")
	_, _ = io.Copy(io.Discard, req.Body)
	x.mu.Lock()
	x.calls[row]++
	nth := x.calls[row]
	x.mu.Unlock()
	if x.fails != nil {
		if code := x.fails(row, nth); code > 0 {
			w.WriteHeader(code)
		} else if code < 0 {
			<-req.Context().Done()
		}
	}
	fmt.Fprint(w, "{}")
}

var toGoOn = regexp.MustCompile(`(?m)^to go on: (.*)$`)

// run returns what the last command has printed, and how many there were.
func (x *goingOn) run(command string) (report string, commands int) {
	x.t.Helper()
	command = filepath.Join(bin(x.t), "rebound") + " batch " + x.input + " -o out --sync crash -j 1" +
		" --base " + x.base + " " + command
	for commands = 1; ; commands++ {
		c := exec.CommandContext(x.t.Context(), "bash", "-c", command)
		c.Dir, c.Env = x.dir, append(environment(x.t), "KEY=s3cret")
		out, _ := c.CombinedOutput()
		if commands == 1 {
			x.first = string(out)
		}
		next := toGoOn.FindStringSubmatch(string(out))
		if next == nil {
			return string(out), commands
		}
		if commands == 5 {
			x.t.Fatalf("the %dth command is %s", commands+1, next[1])
		}
		command = next[1]
	}
}

// The command that the report prints goes on until all is done. It sends nothing twice, whatever
// the flags of the one before.
func TestPrintedCommandGoesOn(t *testing.T) {
	once := func(row string) func(string, int) int { // the account is at fault at its first call
		return func(got string, nth int) int {
			if got == row && nth == 1 {
				return 401
			}
			return 0
		}
	}
	for _, tt := range []struct {
		name, flags string
		fails       func(string, int) int
		commands    int
		calls       string // of r0, r1, …
	}{
		{"account", "-H 'X-Name: it'\\''s $KEY'", once("r2"), 2, "1 1 2 1 1 1"},
		{"probe", "--probe 2", nil, 2, "1 1 1 1 1 1"},
		{"probe=", "--retry failed --probe=2 --retry=in-doubt", nil, 2, "1 1 1 1 1 1"},
		{"probe of an account", "--probe 2", once("r2"), 2, "1 1 2 1 1 1"},
		{"value", "--probe 5 -H 'X-Flag: --probe'", nil, 2, "1 1 1 1 1 1"},
		{"none", "--deadline 1h", nil, 1, "1 1 1 1 1 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newGoingOn(t, "/v1/chat/completions", 6, tt.fails)
			report, commands := x.run(tt.flags)
			x.ended(report, "6 rows: 6 done, 0 failed, 0 pending", tt.calls)
			if commands != tt.commands {
				t.Errorf("%d commands, want %d", commands, tt.commands)
			}
		})
	}
}

// ended compares the end of the last report, and the calls of the rows.
func (x *goingOn) ended(report, want, calls string) {
	x.t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	var got []string
	for i := range len(x.calls) {
		got = append(got, fmt.Sprint(x.calls[fmt.Sprintf("r%d", i)]))
	}
	if !strings.Contains(report, want+"\n") || strings.Join(got, " ") != calls {
		x.t.Errorf("calls %v, want %s; no %q in\n%s", got, calls, want, report)
	}
}

// Rows of a new generation that are pending go on without a further one: what has failed again
// stays an error.
func TestPrintedCommandAfterRetry(t *testing.T) {
	for _, flags := range []string{
		"--retry failed", "--retry=failed", "--retry failed,in-doubt", "--probe 2 --retry failed",
	} {
		x := newGoingOn(t, "/v1/chat/completions", 6, func(row string, nth int) int {
			if row < "r4" && nth == 1 || row == "r0" {
				return 400
			}
			if row == "r2" && nth == 2 {
				return 401
			}
			return 0
		})
		report, _ := x.run("")
		x.ended(report, "6 rows: 2 done, 4 failed, 0 pending", "1 1 1 1 1 1")
		report, _ = x.run(flags)
		x.ended(report, "6 rows: 5 done, 1 failed, 0 pending", "2 2 3 2 1 1")
	}
}

// So do rows that were held, and are sent again at the user's word.
func TestPrintedCommandAfterDoubt(t *testing.T) {
	x := newGoingOn(t, "/orders", 4, func(row string, nth int) int {
		switch {
		case row < "r2" && nth == 1:
			return -1
		case row == "r1" && nth == 2:
			return 401
		}
		return 0
	})
	report, commands := x.run("--deadline 1s --grace 0 -j 2")
	x.ended(report, "4 rows: 2 done, 2 failed, 0 pending", "1 1 1 1")
	if commands != 2 {
		t.Errorf("%d commands, want 2", commands)
	}
	report, commands = x.run("--retry in-doubt")
	x.ended(report, "4 rows: 4 done, 0 failed, 0 pending", "2 3 1 1")
	if commands != 2 {
		t.Errorf("%d commands, want 2", commands)
	}
}

// Flags are known wherever they are, and nothing else is taken for one.
func TestFlagsThatGoOn(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"batch in -o out --probe 5 --retry failed -j 4", "batch in -o out -j 4"},
		{"batch --probe=5 in --retry=failed,in-doubt -o o --tee", "batch in -o o --tee"},
		{"batch in -o --probe -H --retry --base --probe --probe 5",
			"batch in -o --probe -H --retry --base --probe"},
		{"batch --tee --probe 5 -o o -- --probe", "batch --tee -o o -- --probe"},
		{"batch in -oo --idempotency-key --probe 5 --in-doubt=--probe",
			"batch in -oo --idempotency-key --in-doubt=--probe"},
		{"batch --retry failed --retry in-doubt in -o out -H", "batch in -o out -H"},
		{"batch - -o - --tee", "batch out.input -o - --tee"},
		{"batch -o out -- -", "batch -o out -- out.input"},
	} {
		got := goesOn(newBatch().Flags(), strings.Fields(tt.args), "out.input")
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.args, strings.Join(got, " "), tt.want)
		}
	}
}

// After standard input, the command reads the copy of it.
func TestPrintedCommandOfAPipe(t *testing.T) {
	x := newGoingOn(t, "/v1/chat/completions", 6, nil)
	x.input = "- <in.jsonl"
	report, commands := x.run("--probe 2")
	x.ended(report, "6 rows: 6 done, 0 failed, 0 pending", "1 1 1 1 1 1")
	if commands != 2 {
		t.Errorf("%d commands, want 2", commands)
	}
}

// The reader of --tee goes away: no new rows are sent, and none is left in doubt.
func TestTeeToAClosedPipe(t *testing.T) {
	x := newGoingOn(t, "/orders", 40, func(row string, _ int) int {
		<-time.After(time.Duration(20+100*(len(row)%2)+int(row[1]-'0')*20) * time.Millisecond)
		return 0
	})
	report, commands := x.run("-j 4 --tee | head -n 1; echo exit ${PIPESTATUS[0]}")
	x.ended(report, "40 rows: 40 done, 0 failed, 0 pending", strings.Repeat(" 1", 40)[1:])
	if commands != 2 || !strings.Contains(x.first, "stopped: standard output is closed\n") ||
		!strings.Contains(x.first, "in doubt: 0\n") || !strings.Contains(x.first, "exit 141\n") {
		t.Errorf("%d commands, want 2; the first has printed\n%s", commands, x.first)
	}
}

// A file that is written in the end is not replaced if it is a device or a pipe, and a link stays.
// If the report cannot be stored, it is printed all the same.
func TestFilesWrittenAtTheEnd(t *testing.T) {
	x := newGoingOn(t, "/orders", 3, nil)
	link := filepath.Join(x.dir, "link")
	err := errors.Join(syscall.Mkfifo(filepath.Join(x.dir, "fifo"), 0o600), os.Symlink("target", link),
		os.WriteFile(filepath.Join(x.dir, "target"), nil, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	const done = "3 rows: 3 done, 0 failed, 0 pending\n"
	for _, tt := range []struct{ flags, want string }{
		{"--ordered /dev/null", "rebound: --ordered /dev/null: is not a regular file\nexit 125\n"},
		{"--ordered fifo", "rebound: --ordered fifo: is not a regular file\nexit 125\n"},
		{"--report /dev/full", done},
		{"--report /dev/full", "rebound: write /dev/full: no space left on device\nexit 125\n"},
		{"--ordered link --report /dev/null", done},
	} {
		if _, err := os.Stat("/dev/full"); err != nil && strings.Contains(tt.flags, "/dev/full") {
			continue // macOS has none
		}
		report, _ := x.run(tt.flags + "; echo exit $?")
		if !strings.Contains(report, tt.want) {
			t.Errorf("%s: no %q in\n%s", tt.flags, tt.want, report)
		}
	}
	lines, err := os.ReadFile(filepath.Join(x.dir, "target"))
	if to, _ := os.Readlink(link); to != "target" || bytes.Count(lines, []byte("\n")) != 3 {
		t.Errorf("the link is to %q, the file has %q, %v", to, lines, err)
	}
	if info, err := os.Stat("/dev/null"); err != nil || info.Mode().IsRegular() {
		t.Errorf("%v, %v", info, err)
	}
}
