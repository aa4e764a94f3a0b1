package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
)

const batchHelp = `Send the rows of a file to an API, each once, and keep what comes back.

The input has a line for each row, as in OpenAI's batch files:
  {"custom_id": "r-1", "method": "POST", "url": "/v1/chat/completions", "body": {…}}
The whole input is checked before the first call. The results are in FILE, the errors in
FILE.errors: exactly one line for each row. FILE.journal has the rows that were sent.

The same command again goes on, whatever has ended it. Rows that were sent and have no result are in
doubt. They are sent again if that does no harm: by their method, with an Idempotency-Key, or when a
model generates. Others become errors. --in-doubt changes that.

FILE may be what a provider's batch API has left. Rows that have no success there are sent: those
that have expired, and those that failed. Its file of errors may be FILE.errors; then --retry failed
sends what is in it.

Failures that pass are retried by the policy; then the row is put off to the end. A fault of the
account, such as a wrong key, stops the batch and costs no row. $NAME in --header is read from the
environment. Nothing that is written has it.

Exit code:
  0      each row has a result
  1      each row has ended, and some are errors
  75     stopped early: the same command goes on
  124    --deadline is over: the same command goes on
  125    rebound itself failed: a flag, the input, a file
  128+n  ended by signal n: the same command goes on`

func newBatch() *cobra.Command {
	var f batchFlags
	c := &cobra.Command{
		Use:   "batch [flags] INPUT -o FILE",
		Short: "Send the rows of a file to an API, each once",
		Long:  batchHelp,
		Example: "  rebound batch in.jsonl -o out.jsonl --base https://api.openai.com \\\n" +
			"      --header 'Authorization: Bearer $OPENAI_API_KEY'\n" +
			"  rebound batch in.jsonl -o out.jsonl --base https://api.openai.com --dry-run",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return ownError{errors.New("want one input: rebound batch in.jsonl -o out.jsonl, or - " +
					"for standard input")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.options(c, args[0]); err != nil {
				return ownError{err}
			}
			return runBatch(c, f)
		},
	}
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return ownError{flagError(c, err)} })
	f.register(c)
	c.AddCommand(newFleet()...)
	return c
}

// runBatch runs the batch and prints its report.
func runBatch(c *cobra.Command, f batchFlags) error {
	defer f.signals()()
	stopWatch, err := f.watch(c, showBatch(c.ErrOrStderr(), f.progress))
	if err != nil {
		return ownError{err}
	}
	defer stopWatch()
	summary, code, err := batch.Run(context.Background(), f.o)
	if err != nil {
		return ownError{err}
	}
	if f.o.DryRun {
		return nil
	}
	return f.report(c, summary, code)
}
