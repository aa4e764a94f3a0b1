package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/rebound-go/rebound/cmd/rebound/process"
)

// runWith runs a command with the environment env, and returns its exit code. It passes signals on
// to the command, so that the command ends before the proxy.
func runWith(command, env []string) int {
	c := exec.Command(command[0], command[1:]...)
	c.Env, c.Stdin, c.Stdout, c.Stderr = env, os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, process.Stops()...)
	for _, s := range process.Forwards() {
		if n, ok := s.(syscall.Signal); !ok || process.Name(n) != "SIGTSTP" { // Ctrl-Z stops both
			signal.Notify(signals, s)
		}
	}
	defer signal.Stop(signals)
	if err := c.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "rebound:", escaped(err.Error()))
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			return 127
		}
		return 126
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for {
		select {
		case s := <-signals:
			// On Ctrl-C, a terminal also sends the signal to the command.
			if s != os.Interrupt || !term.IsTerminal(int(os.Stdin.Fd())) {
				_ = c.Process.Signal(s)
			}
		case <-ended:
			if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				return 128 + int(status.Signal())
			}
			return c.ProcessState.ExitCode()
		}
	}
}
