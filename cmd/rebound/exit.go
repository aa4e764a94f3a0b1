package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound/cmd/rebound/process"
)

// ownFailure is the exit code of `rebound run` when it fails itself. The other subcommands, which
// run nothing of the user's, exit with 1.
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
	var own ownError
	if errors.As(err, &own) {
		root.PrintErrln("rebound:", escaped(own.Error()))
		return ownFailure
	}
	root.PrintErrln("rebound:", escaped(err.Error()))
	return 1
}

// ownError is a failure of `rebound run` itself, such as a flag that does not exist.
type ownError struct{ err error }

func (e ownError) Error() string { return e.err.Error() }
