package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the transcripts")

// TestMain makes the test binary the command itself when it is called by that name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "rebound" {
		main()
		return
	}
	flag.Parse()
	// Under nohup the tests ignore SIGHUP, and so would their commands. A signal that is caught has
	// its default in them.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	code := m.Run()
	stopServers()
	os.Exit(code)
}

// bin returns a folder that holds the command rebound.
func bin(t testing.TB) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "rebound")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// environment has the command on its PATH.
func environment(t testing.TB) []string {
	t.Helper()
	path := "PATH=" + bin(t) + ":" + os.Getenv("PATH")
	return append(os.Environ(), path, "LC_ALL=C.UTF-8", promptly)
}

// promptly makes programs with the race detector end without a delay of a second.
const promptly = "GORACE=atexit_sleep_ms=0"

// Each transcript in testdata is what a person sees at a terminal: lines that begin with $ are
// commands for bash, what follows is their output, [exit 3] an exit code other than 0, and
// [signal: interrupt] the signal that killed the command.
func TestTranscripts(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("got %d transcripts, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(t, string(want))
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// replay runs the commands of a transcript in a folder with testdata's files, and returns it with
// what they printed.
func replay(t *testing.T, transcript string) string {
	dir, env := t.TempDir(), environment(t)
	if err := os.CopyFS(dir, os.DirFS("testdata/files")); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	gap := "" // before the next comment or command
	for l := range strings.Lines(transcript) {
		command, ok := strings.CutPrefix(l, "$ ")
		switch {
		case ok:
			out.WriteString(gap + l + execute(t, dir, env, command))
			gap = "\n"
		case strings.HasPrefix(l, "#"):
			out.WriteString(gap + l)
			gap = ""
		}
	}
	return out.String()
}

// measured are times that differ from run to run.
var measured = regexp.MustCompile(
	`(after |; retry in |_seconds": )[0-9][0-9.]*(µs|ms|s)?`)

func execute(t *testing.T, dir string, env []string, command string) string {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "bash", "-c", command)
	c.Dir, c.Env = dir, env
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	text := measured.ReplaceAllString(out.String(), "$1…")
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		text += fmt.Sprintf("[exit %d]\n", exit.ExitCode())
	case err != nil:
		text += fmt.Sprintf("[%v]\n", err) // bash has become the command, and a signal has killed it
	}
	return text
}
