// Command rebound applies retry policies. The subcommands run, batch and proxy retry commands and
// requests. plan prints the delays of a policy, sim simulates an outage, and policies checks policy
// files.
package main

import (
	"io"
	"os"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run executes one command line and returns its exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	out := &checkedOutput{Writer: stdout}
	root := newRoot(out)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetErr(stderr)
	err := root.Execute()
	if out.err != nil { // Execute does not report it if help cannot be written
		err = ownError{out.err}
	}
	return exitCode(root, err)
}
