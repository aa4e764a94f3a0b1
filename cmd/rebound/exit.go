package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound/cmd/rebound/process"
)

// ownFailure is the exit code when an output cannot be written, and of `rebound run`, `batch` and
// `proxy` whenever they fail themselves. The other subcommands exit with 1 for what they were
// given.
const ownFailure = process.Failed

// exited is an exit code whose error was printed already.
type exited int

func (exited) Error() string { return "exited" }

// exitCode prints an error that was not printed yet, and returns the exit code.
func exitCode(root *cobra.Command, err error) int {
	var code exited
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	root.PrintErrln("rebound:", escaped(err.Error()))
	if errors.As(err, new(ownError)) {
		return ownFailure
	}
	return 1
}

// checkedOutput is stdout, and the first error of writing to it.
type checkedOutput struct {
	io.Writer
	err error
}

func (o *checkedOutput) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// commandName returns an error for a command without a name, such as a variable that is not set.
// Its exit code is that of a shell: there is no such command.
func commandName(c *cobra.Command, command []string) error {
	if len(command) == 0 || command[0] != "" {
		return nil
	}
	c.PrintErrln("rebound: the name of the command is empty: want", c.CommandPath(), "[flags] -- "+
		"command")
	return exited(process.NotFound)
}

// ownError is a failure that is not the command's or the input's, such as a flag that does not
// exist.
type ownError struct{ err error }

func (e ownError) Error() string { return e.err.Error() }

func (e ownError) Unwrap() error { return e.err }
