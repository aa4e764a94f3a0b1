//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/process"
)

// command is rebound with these arguments; it is killed if it takes longer than a minute.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, filepath.Join(bin(t), "rebound"), args...)
	c.Env = append(os.Environ(), promptly)
	return c
}

// family is a shell script that becomes three processes, which write their ids and then wait.
const family = `sleep 300 & a=$!
sh -c 'sleep 301 & echo $$ $!; wait' & b=$!
echo $$ $a $b
wait`

// start starts c, and returns the ids that the first lines of its output hold.
func start(t *testing.T, c *exec.Cmd, lines int) (pids []int, rest *bufio.Reader) {
	t.Helper()
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = &bytes.Buffer{}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	rest = bufio.NewReader(out)
	for range lines {
		line, err := rest.ReadString('\n')
		if err != nil {
			t.Fatalf("got %q, %v, want a line of ids; stderr: %s", line, err, c.Stderr)
		}
		for _, word := range strings.Fields(line) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids, rest
}

// ended checks that rebound exits with the code, and that none of the processes is left.
func ended(t *testing.T, c *exec.Cmd, code int, pids []int) {
	t.Helper()
	wait(t, c)
	if got := c.ProcessState.ExitCode(); got != code {
		t.Errorf("got exit code %d, want %d; stderr: %s", got, code, c.Stderr)
	}
	none(t, pids)
}

// killed checks that the signal ends rebound, and that none of the processes is left.
func killed(t *testing.T, c *exec.Cmd, sig syscall.Signal, pids []int) {
	t.Helper()
	wait(t, c)
	status, _ := c.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() || status.Signal() != sig || status.CoreDump() {
		t.Errorf("got %v, want an end by %v; stderr: %s", c.ProcessState, sig, c.Stderr)
	}
	none(t, pids)
}

func wait(t *testing.T, c *exec.Cmd) {
	t.Helper()
	var exit *exec.ExitError
	if err := c.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
}

// none checks that none of the processes is left.
func none(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d of %d: got %v, want that there is none", pid, pids, err)
		}
	}
}

func signalTo(t *testing.T, c *exec.Cmd, sig syscall.Signal) {
	t.Helper()
	if err := c.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

func TestSignalsLeaveNothing(t *testing.T) {
	for _, sig := range []syscall.Signal{
		syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGABRT,
	} {
		c := command(t, "run", "--", "sh", "-c", family)
		pids, _ := start(t, c, 2)
		signalTo(t, c, sig)
		killed(t, c, sig, pids)
	}
}

// The memory of rebound is not dumped when a signal that dumps cores ends it.
func TestQuitDumpsNoCore(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGABRT} {
		c := exec.CommandContext(t.Context(), "bash", "-c",
			"ulimit -c unlimited && exec rebound run -- "+
				"sh -c 'ulimit -c 0; trap \"exit 0\" QUIT ABRT; echo $$; sleep 300 & wait'")
		c.Env, c.Dir = environment(t), t.TempDir()
		pids, _ := start(t, c, 1)
		signalTo(t, c, sig)
		killed(t, c, sig, pids)
		if names, err := filepath.Glob(filepath.Join(c.Dir, "*")); err != nil || len(names) > 0 {
			t.Errorf("%v: got %q, %v, want no file", sig, names, err)
		}
	}
}

// When the time for all attempts is over, that is the reason, whatever the flags say about the
// attempt.
func TestTimeIsOver(t *testing.T) {
	for _, flags := range []string{
		"", "--not-on timeout", "--on 75", "--not-on-output x", "--attempt-timeout 200ms",
		"--delay-from '(1)'", "--wait-for tcp://127.0.0.1:1",
	} {
		code, out := script(t, "rebound run -q --report json -t 200ms -d 0 "+flags+
			" -- sh -c 'echo 1; exec sleep 300'")
		if code != 124 || !strings.Contains(out, `"reason": "past_elapsed"`) {
			t.Errorf("%s: got exit code %d, %s, want 124 and past_elapsed", flags, code, out)
		}
	}
}

// A process that ignores signals is killed when its time is up, or at the second signal.
func TestStubbornProcesses(t *testing.T) {
	stubborn := `trap '' TERM; echo $$; while :; do sleep 300 & echo $!; wait; done`
	c := command(t, "run", "--kill-after", "100ms", "--", "sh", "-c", stubborn)
	pids, _ := start(t, c, 2)
	signalTo(t, c, syscall.SIGTERM)
	killed(t, c, syscall.SIGTERM, pids)

	c = command(t, "run", "--kill-after", "1h", "--", "sh", "-c",
		`trap 'echo 1' TERM; echo $$; while :; do :; done`)
	pids, rest := start(t, c, 1)
	signalTo(t, c, syscall.SIGTERM)
	if line, err := rest.ReadString('\n'); line != "1\n" {
		t.Fatalf("got %q, %v, want the answer to the first signal", line, err)
	}
	signalTo(t, c, syscall.SIGTERM)
	killed(t, c, syscall.SIGTERM, pids)
}

// Processes that a failed attempt has left behind are ended before the next one. A timeout ends all
// processes.
func TestAttemptsLeaveNothing(t *testing.T) {
	c := command(t, "run", "-n", "2", "-d", "1ms", "--", "sh", "-c", "sleep 300 & echo $!; exit 1")
	pids, _ := start(t, c, 2)
	ended(t, c, 1, pids)

	c = command(t, "run", "-n", "1", "--attempt-timeout", "300ms", "--", "sh", "-c", family)
	pids, _ = start(t, c, 2)
	ended(t, c, 124, pids)
}

// Processes that a successful command leaves behind keep running, as without rebound.
func TestSuccessLeavesDaemons(t *testing.T) {
	c := command(t, "run", "--", "sh", "-c", "sleep 300 >/dev/null 2>&1 & echo $!")
	pids, _ := start(t, c, 1)
	ended(t, c, 0, nil)
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Errorf("got %v, want the process %d to be running still", err, pids[0])
	}
}

// Signals that do not stop a program reach the command.
func TestOtherSignalsReachTheCommand(t *testing.T) {
	all := process.Forwards()
	last, _ := all[len(all)-1].(syscall.Signal) // of real time, where a system has them
	for _, sig := range []syscall.Signal{
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGALRM, syscall.SIGVTALRM,
		syscall.SIGIO, last,
	} {
		c := command(t, "run", "--", "bash", "-c",
			fmt.Sprintf("trap 'exit 0' %d; echo $$; while :; do :; done", sig))
		pids, _ := start(t, c, 1)
		signalTo(t, c, sig)
		ended(t, c, 0, pids)
	}
}

// A program is found as in a shell, also in the current folder if $PATH has that.
func TestPathWithDot(t *testing.T) {
	for _, path := range []string{".:$PATH", "$PATH:", "$PATH:sub"} {
		code, out := script(t, "mkdir sub; printf '#!/bin/sh\necho found\n' > dotted; "+
			"chmod +x dotted; cp dotted sub; PATH="+path+" rebound run -- dotted")
		if code != 0 || out != "found\n" {
			t.Errorf("%s: got exit code %d, %q, want that it is found", path, code, out)
		}
	}
}

// Between two attempts no process gets the signal, and rebound continues.
func TestOtherSignalsInADelay(t *testing.T) {
	c := command(t, "run", "-n", "2", "-d", ".3", "--", "sh", "-c", "echo $$; exit 3")
	pids, _ := start(t, c, 1)
	for alive(pids[0]) {
		runtime.Gosched()
	}
	for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGALRM, syscall.SIGWINCH} {
		signalTo(t, c, sig)
	}
	ended(t, c, 3, nil)
}

// A command whose output is no longer read ends as it would without rebound.
func TestClosedOutput(t *testing.T) {
	for _, flags := range []string{"", "--not-on-output x"} {
		c := exec.CommandContext(t.Context(), "bash", "-c",
			"rebound run -n 1 --quiet "+flags+" -- yes | head -n 1; echo ${PIPESTATUS[0]}")
		c.Env = environment(t)
		got, err := c.Output()
		if want := "y\n141\n"; string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", flags, got, err, want)
		}
	}
}

const mega = 1 << 20

// 200 MB of output pass through in either mode, unchanged, and are not held in memory.
func TestMuchOutput(t *testing.T) {
	for _, mode := range [][]string{
		{"--output", "stream"}, {"--output", "hold"}, {"--not-on-output", "x"},
	} {
		args := append([]string{"run"}, mode...)
		c := command(t, append(args, "--", "head", "-c", strconv.Itoa(200*mega), "/dev/zero")...)
		var count countZeros
		c.Stdout, c.Stderr = &count, os.Stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		peak := watchMemory(c.Process.Pid)
		if err := c.Wait(); err != nil || count.n != 200*mega || count.wrong {
			t.Errorf("%v: got %d bytes (wrong: %t), %v, want 200 MB of zeros",
				mode, count.n, count.wrong, err)
		}
		if kb := peak(); kb > 100*1024 {
			t.Errorf("%v: got up to %d KB of memory, want less than 100 MB", mode, kb)
		}
	}
}

// watchMemory watches a process until it ends. It returns a function that returns the most memory
// it had, in KB; 0 where there is no /proc. The rusage of a child includes the process that started
// it, and earlier tests may have needed much.
func watchMemory(pid int) func() int {
	most := make(chan int, 1)
	go func() {
		kb := 0
		for {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			_, peak, ok := strings.Cut(string(status), "VmHWM:")
			if err != nil || !ok { // an ended process has no memory
				most <- kb
				return
			}
			fmt.Sscan(peak, &kb)
			<-time.After(5 * time.Millisecond)
		}
	}()
	return func() int { return <-most }
}

// countZeros takes zeros.
type countZeros struct {
	n     int
	wrong bool
}

func (z *countZeros) Write(p []byte) (int, error) {
	z.n += len(p)
	z.wrong = z.wrong || len(bytes.Trim(p, "\x00")) > 0
	return len(p), nil
}

// 10 MB of input are the same for all three attempts, from a pipe and from a file.
func TestMuchInput(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 10*mega)
	if _, err := random.Read(data); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sum := sha256.Sum256(data)
	for _, input := range []struct {
		mode string
		from io.Reader
	}{{"replay", bytes.NewReader(data)}, {"auto", file}} {
		c := command(t, "run", "-q", "-d", "1ms", "--stdin", input.mode, "--", "sh", "-c",
			"sha256sum; test $REBOUND_ATTEMPT = 3")
		c.Stdin = input.from
		got, err := c.Output()
		want := strings.Repeat(hex(sum[:])+"  -\n", 3)
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", input.mode, got, err, want)
		}
	}
	c := exec.CommandContext(t.Context(), "bash", "-c", "cat "+path+
		" | rebound run -q -d 1ms --stdin replay -- "+
		"sh -c 'sha256sum; test $REBOUND_ATTEMPT = 2' | uniq -c")
	c.Env = environment(t)
	got, err := c.Output()
	if want := "2 " + hex(sum[:]) + "  -\n"; strings.TrimLeft(string(got), " ") != want {
		t.Errorf("bash: got %s, %v, want %s", got, err, want)
	}
}

func hex(b []byte) string {
	const digits = "0123456789abcdef"
	var s []byte
	for _, x := range b {
		s = append(s, digits[x>>4], digits[x&15])
	}
	return string(s)
}

// A pipe that stays open without data delays nothing.
func TestSilentInput(t *testing.T) {
	c := command(t, "run", "-n", "2", "-d", "1ms", "-q", "--stdin", "replay", "--",
		"sh", "-c", "read x; exit 1")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer r.Close()
	if _, err := w.WriteString("line\n"); err != nil {
		t.Fatal(err)
	}
	c.Stdin = r
	err = c.Run()
	if got := c.ProcessState.ExitCode(); got != 1 {
		t.Errorf("got exit code %d, %v, want 1", got, err)
	}
}

// Ctrl-Z stops rebound and the command, and both continue together.
func TestStopAndContinue(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip(err)
	}
	c := command(t, "run", "--", "sh", "-c", "echo $$; exec sleep 300")
	pids, _ := start(t, c, 1)
	signalTo(t, c, syscall.SIGTSTP)
	stopped(t, c.Process.Pid)
	reach(t, pids[0], "T")
	signalTo(t, c, syscall.SIGCONT)
	reach(t, pids[0], "S")
	signalTo(t, c, syscall.SIGTERM)
	killed(t, c, syscall.SIGTERM, pids)
}

// reach waits until a process is in that state.
func reach(t *testing.T, pid int, state string) {
	t.Helper()
	var got string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if got = fields[0]; got == state {
			return
		}
	}
	t.Errorf("process %d: got state %s, want %s", pid, got, state)
}

// If rebound is killed, so is the command: Linux does that.
func TestKillReachesTheCommand(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux does that")
	}
	for _, flags := range []string{"-q", "--output hold -t 1h --attempt-timeout 1h"} {
		args := append([]string{"run"}, strings.Fields(flags)...)
		c := command(t, append(args, "--", "sh", "-c", "echo $$ >&2; exec sleep 300")...)
		stderr, err := c.StderrPipe()
		if err != nil || c.Start() != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(stderr).ReadString('\n')
		pid, err2 := strconv.Atoi(strings.TrimSpace(line))
		if err != nil || err2 != nil {
			t.Fatal(line, err, err2)
		}
		signalTo(t, c, syscall.SIGKILL)
		wait(t, c)
		for end := time.Now().Add(10 * time.Second); alive(pid); {
			if time.Now().After(end) {
				t.Fatalf("%s: process %d is still there", flags, pid)
			}
		}
	}
}

// alive reports whether a process runs. Its new parent may not have collected it yet.
func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}

// Even if the caller ignores SIGCHLD, rebound gets the exit code of the command.
func TestIgnoredChildren(t *testing.T) {
	code, out := script(t, "trap '' CHLD; rebound run -n 2 -q -d 1ms -- sh -c 'exit 7'")
	if code != 7 {
		t.Errorf("got exit code %d, %s, want 7", code, out)
	}
}
