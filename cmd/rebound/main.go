// Command rebound runs retry policies: it prints their schedules (plan), plays them against outages
// in a simulator (sim), runs commands under them until they work (run), and lists and checks the
// files that they are in (policies).
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
	if out.err != nil { // help, for one, has no error of its own
		err = ownError{out.err}
	}
	return exitCode(root, err)
}
