//go:build unix

package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// script runs a script of bash, and returns its exit code and its output, stderr included.
func script(t *testing.T, text string) (int, string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "bash", "-c", text)
	c.Env, c.Dir = environment(t), t.TempDir()
	out, err := c.CombinedOutput()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), string(out)
}

// If a copy fails, the command has neither failed nor succeeded: the run ends with 125 and the
// reason.
func TestFailedCopies(t *testing.T) {
	for _, row := range []struct{ script, want string }{
		{`TMPDIR=/nonexistent rebound run --output hold -- sh -c 'seq 200000; exit 0' | wc -c; exit ` +
			`${PIPESTATUS[0]}`, "sh: attempt 1 of 3: failed to copy stdout: open /nonexistent/"},
		{`TMPDIR=/nonexistent rebound run --output hold -- sh -c "trap '' PIPE; seq 200000; exit 3"`,
			"failed to copy stdout: open /nonexistent/"},
		{`seq 200000 | TMPDIR=/nonexistent rebound run --stdin replay -- wc -l`,
			"wc: attempt 1 of 3: failed to copy stdin: open /nonexistent/"},
		{`rebound run --stdin replay -- cat < /`, "failed to copy stdin: read"},
		{`TMPDIR=/nonexistent rebound run --output hold -- sh -c 'seq 200000 || exec sleep 300'`,
			"failed to copy stdout: open /nonexistent/"},
		{`ulimit -f 200; rebound run --output hold -- seq 1000000`, "file too large"},
		{`rebound run --output hold -- echo x > /dev/full`, "echo: stdout: no space"},
		{`rebound run --output hold -n 1 -- sh -c 'echo x; exit 3' > /dev/full`, "stdout: no space"},
		{`rebound run --output hold -- seq 100000 | true; exit ${PIPESTATUS[0]}`, "broken pipe"},
		{`rebound run --on-output x -- echo hi > /dev/full`, "failed to copy stdout: no space"},
		{`rebound run --on-output x -- sh -c 'echo a; exit 3' > /dev/full`, "failed to copy stdout"},
		{`rebound run --on-output x -- sh -c 'echo hi >&2' 2> /dev/full`, ""},
		{`rebound run --on-output x -- sh -c 'sleep .2; echo hi' | true; exit ${PIPESTATUS[0]}`,
			"failed to copy stdout: write /dev/stdout: broken pipe"},
		{`rebound run --on 1-255 --on-output . -- sh -c 'echo hi; exit 3' > /dev/full`, "no space"},
	} {
		want := strings.ReplaceAll(row.want, "stdout: no", "stdout: write /dev/stdout: no")
		code, out := script(t, row.script)
		if code != 125 || !strings.Contains(out, want) || strings.Contains(out, "retry in") {
			t.Errorf("%s: got exit code %d, %s, want 125 with %q, at once", row.script, code, out, want)
		}
	}
}

// If input or output was lost, the report has neither a success nor a timeout.
func TestFailedCopiesInReports(t *testing.T) {
	for _, args := range []string{
		"--on-output x -- sh -c 'echo hi; exec sleep 300' > /dev/full",
		"--on-output x -- echo hi > /dev/full", "--output hold -- echo hi > /dev/full",
	} {
		code, out := script(t, "rebound run -q --report json "+args)
		if code != 125 || !strings.Contains(out, `"succeeded": false`) ||
			!strings.Contains(out, `"exit_code": 125`) || strings.Contains(out, "timed_out") {
			t.Errorf("%s: got exit code %d, %s", args, code, out)
		}
	}
}

// A script keeps its input: what the command does not read is left.
func TestInputIsNotReadAhead(t *testing.T) {
	for text, want := range map[string]string{
		"printf 'echo one\nrebound run -- true\necho two\n' | bash":                    "one\ntwo\n",
		"printf 'a\nb\nc\n' | while read x; do rebound run -- echo x=$x; done":         "x=a\nx=b\nx=c\n",
		"seq 3 | (rebound run -q -d 1ms -- sh -c 'read x; echo $x; exit 1'; true)":     "1\n2\n3\n",
		"seq 3 > f; rebound run -q -d 1ms -- sh -c 'read x; echo $x; exit 1' < f;:":    "1\n1\n1\n",
		"seq 3 > f; (read x; rebound run -q -d 1ms -- head -n1; head -n1) < f | wc -l": "2\n",
		"rebound run -- head -c 3 < /dev/zero | wc -c":                                 "3\n",
		"seq 3 | (rebound run -q --stdin null -- cat; cat)":                            "1\n2\n3\n",
		"printf 'rebound run -- true\necho two\n' > f; bash < f":                       "two\n",
	} {
		if code, out := script(t, text); code != 0 || out != want {
			t.Errorf("%s: got exit code %d, %q, want %q", text, code, out, want)
		}
	}
}

// If stdout and stderr are one file, the order of the writes is kept.
func TestOneFileForOutput(t *testing.T) {
	const both = `sh -c 'for i in 1 2 3 4 5 6 7 8; do echo $i; echo -$i >&2; done'`
	want := ""
	for i := range 8 {
		n := strconv.Itoa(i + 1)
		want += n + "\n-" + n + "\n"
	}
	for _, flags := range []string{
		"", "--on-output x", "--output hold", "--output hold --on-output x",
	} {
		for _, to := range []string{"> log 2>&1; cat log", "2>&1 | cat", ">> log 2>> log; cat log"} {
			text := "rebound run " + flags + " -- " + both + " " + to
			if code, out := script(t, text); code != 0 || out != want {
				t.Errorf("%s: got exit code %d, %q, want %q", text, code, out, want)
			}
		}
	}
	code, out := script(t,
		`rebound run --output hold -- sh -c 'echo o; echo e >&2; echo p' > log; cat log`)
	if want := "e\no\np\n"; code != 0 || out != want {
		t.Errorf("got exit code %d, %q, want %q: stderr is not held", code, out, want)
	}
}

// The run ends when its stdout is closed, because another attempt would fail as well.
func TestStdoutIsGone(t *testing.T) {
	for _, row := range []struct{ args, reader, want string }{
		{"-- yes", "head -n 1", "141 1"},
		{"--on-output x -- yes", "head -n 1", "141 1"},
		{"-- sh -c 'sleep .2; exit 7'", "true", "7 1"},
		{"--output hold -- sh -c 'sleep .2; exit 7'", "true", "7 1"},
		{"-n 2 --on SIGPIPE -- yes", "head -n 1", "141 2"},
		{"-n 2 -- sh -c 'exit 7'", "cat", "7 2"},
		{"-n 2 -- sh -c 'exit 7' > /dev/null", "cat", "7 2"},
	} {
		text := "rebound run -d 1ms " + row.args + " | " + row.reader + "; exit ${PIPESTATUS[0]}"
		code, out := script(t, text)
		got := strconv.Itoa(code) + " " + strconv.Itoa(strings.Count(out, ": attempt "))
		if got != row.want {
			t.Errorf("%s: got exit code and attempts %s, want %s: %s", text, got, row.want, out)
		}
	}
}

// A slow reader gets all output of a failed attempt.
func TestSlowReaderLosesNothing(t *testing.T) {
	code, out := script(t,
		`rebound run -q -n 1 --on-output x -- sh -c 'seq 20000; exit 3' | (sleep 2; tail -n 1)
		exit ${PIPESTATUS[0]}`)
	if code != 3 || out != "20000\n" {
		t.Errorf("got exit code %d, %q, want 3 and the last line", code, out)
	}
}

// A signal ends rebound even if its output is not read.
func TestSignalEndsBlockedOutput(t *testing.T) {
	for _, flags := range []string{"--output hold", "--on-output x", "--on-output x -n 1"} {
		args := append([]string{"run"}, strings.Fields(flags)...)
		c := command(t, append(args, "--", "sh", "-c", "seq 20000; echo done >&2; exit 3")...)
		stderr, err := c.StderrPipe()
		r, w, err2 := os.Pipe() // which is never read: it takes 64 KB
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		c.Stdout = w
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		lines := bufio.NewReader(stderr)
		if line, err := lines.ReadString('\n'); err != nil {
			t.Fatalf("got %q, %v", line, err)
		}
		signalTo(t, c, syscall.SIGTERM)
		rest, _ := io.ReadAll(lines)
		c.Stderr = bytes.NewBuffer(rest)
		killed(t, c, syscall.SIGTERM, nil)
		r.Close()
	}
}

// A command does not get the variables of an outer rebound.
func TestOuterAttemptIsNotInherited(t *testing.T) {
	code, out := script(t, `export REBOUND_ATTEMPT=7 REBOUND_ATTEMPTS=9 REBOUND_PREVIOUS_EXIT=3
		rebound run -n 2 -q -d 1ms -- sh -c 'env | grep ^REBOUND_ | sort; exit 4'`)
	want := "REBOUND_ATTEMPT=1\nREBOUND_ATTEMPTS=2\n" +
		"REBOUND_ATTEMPT=2\nREBOUND_ATTEMPTS=2\nREBOUND_PREVIOUS_EXIT=4\n"
	if code != 4 || out != want {
		t.Errorf("got exit code %d, %q, want %q", code, out, want)
	}
}

// The start of a command is retried if it fails for a while.
func TestBusyProgramIsTriedAgain(t *testing.T) {
	code, out := script(t, `cp "$(type -P true)" busy; exec 3>> busy
		rebound run -n 2 -d 1ms -- ./busy; echo $?; exec 3>&-; rebound run -- ./busy`)
	if code != 0 || strings.Count(out, "text file busy") != 2 || !strings.Contains(out, "\n126\n") {
		t.Errorf("got exit code %d, %s, want two attempts, 126, and then success", code, out)
	}
	code, out = script(t, `ulimit -n 9; rebound run -n 2 -d 1ms --on 7 --on-output x -- true`)
	if code != 125 || strings.Count(out, "too many open files") != 2 {
		t.Errorf("got exit code %d, %s, want 125 and two attempts that lack files", code, out)
	}
}

// Orphans of attempts, which have left their groups, do not stay as zombies.
func TestOrphansAreCollected(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip(err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	c := command(t, "run", "-q", "-n", "2", "-d", "1m", "--", "sh", "-c",
		"setsid sh -c 'echo $$; read x < "+pipe+"' & sleep .3; exit 1")
	orphans, _ := start(t, c, 1)
	if err := os.WriteFile(pipe, []byte("go on\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); syscall.Kill(orphans[0], 0) == nil; {
		if time.Now().After(end) {
			t.Errorf("process %d is still there", orphans[0])
			break
		}
	}
	signalTo(t, c, syscall.SIGTERM)
	killed(t, c, syscall.SIGTERM, orphans)
}

// The exit of an orphan is not taken for that of the command.
func TestOrphanIsNotTheCommand(t *testing.T) {
	code, out := script(t, "rebound run -q -n 1 -- sh -c '(setsid sleep .1 &); sleep .4; exit 7'")
	if code != 7 {
		t.Errorf("got exit code %d, %s, want 7", code, out)
	}
}
