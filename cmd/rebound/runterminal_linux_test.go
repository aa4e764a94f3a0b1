package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal runs a bash script in a new terminal. It types the keys when the output contains the
// text, and returns all output.
func terminal(t *testing.T, script, text, keys string) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer master.Close()
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err2 := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "bash", "-c", script)
	c.Env, c.Stdin, c.Stdout, c.Stderr = environment(t), slave, slave, slave
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = c.Start()
	slave.Close()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for r := bufio.NewReader(master); ; {
		b, err := r.ReadByte()
		if err != nil { // when the last process has closed the terminal
			break
		}
		out.WriteByte(b)
		if text != "" && strings.HasSuffix(out.String(), text) {
			text = ""
			if _, err := io.WriteString(master, keys); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = c.Wait()
	return strings.ReplaceAll(out.String(), "\r", "")
}

// Ctrl-C ends the shell's loop around rebound, because the signal ends rebound.
func TestInterruptEndsTheLoop(t *testing.T) {
	got := terminal(t, `for i in 1 2 3; do rebound run -- sh -c "echo in $i; exec sleep 60"; done`,
		"in 1", "\x03")
	if !strings.Contains(got, "stopped by SIGINT") || strings.Contains(got, "in 2") {
		t.Errorf("got %q, want that the first is stopped, and no second", got)
	}
}

// A command that was stopped because it uses the terminal is reported.
func TestStopForTheTerminalIsReported(t *testing.T) {
	for script, want := range map[string]string{
		"rebound run -- sh -c 'read x < /dev/tty'":              "sh: stopped by SIGTTIN: it needs",
		"rebound run -- stty -F /dev/tty -echo":                 "stty: stopped by SIGTTOU: it needs",
		"rebound run --stdin inherit -- cat":                    "cat: stopped by SIGTTIN: it needs",
		"rebound run --output hold -- sh -c 'read x </dev/tty'": "sh: stopped by SIGTTIN: it needs",
	} {
		got := terminal(t, script, "--foreground", "\x03")
		if !strings.Contains(got, want) || strings.Count(got, "stopped by SIGTT") != 1 {
			t.Errorf("%s: got %q, want %q once", script, got, want)
		}
	}
}

// In the foreground a command reads the terminal; otherwise its input is empty.
func TestTerminalInput(t *testing.T) {
	got := terminal(t, "rebound run --foreground -- sh -c 'echo ready; read x; echo got $x'",
		"ready", "a line\n")
	if !strings.Contains(got, "got a line") {
		t.Errorf("got %q, want the line", got)
	}
	if got := terminal(t, "rebound run -- sh -c 'read x; echo end $?'", "", ""); got != "end 1\n" {
		t.Errorf("got %q, want the end of input", got)
	}
}

// On a terminal, stderr is not held with the output, because a person waits for messages.
func TestHeldOutputOnTerminal(t *testing.T) {
	got := terminal(t, `rebound run -q -d 1ms --output hold -- sh -c '
		echo out $REBOUND_ATTEMPT; echo err $REBOUND_ATTEMPT >&2; test $REBOUND_ATTEMPT = 2'`, "", "")
	if want := "err 1\nerr 2\nout 2\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
