package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound/cmd/rebound/process"
)

// ownFailure is the exit code if output cannot be written. `rebound run`, `batch` and `proxy` also
// use it for invalid flags and files. The exit code of other subcommands is then 1.
const ownFailure = process.Failed

// exited is an exit code without an error to print.
type exited int

func (exited) Error() string { return "exited" }

// exitCode prints err, unless it is only an exit code, and returns the exit code.
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

// commandName returns an error if the name of the command is empty, as with a variable that is not
// set. As in a shell, the exit code is that of an unknown command.
func commandName(c *cobra.Command, command []string) error {
	if len(command) == 0 || command[0] != "" {
		return nil
	}
	c.PrintErrln("rebound: the name of the command is empty: want", c.CommandPath(), "[flags] -- "+
		"command")
	return exited(process.NotFound)
}

// ownError is a failure of rebound itself, such as an invalid flag of `rebound run`. Its exit code
// is ownFailure.
type ownError struct{ err error }

func (e ownError) Error() string { return e.err.Error() }

func (e ownError) Unwrap() error { return e.err }
