package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
)

const batchHelp = `Send the rows of a file to an API, each once, and keep what comes back.

The input has one line for each row, as in OpenAI's batch files:
  {"custom_id": "r-1", "method": "POST", "url": "/v1/chat/completions", "body": {…}}
The whole input is checked before the first call. Results are written to FILE and errors to
FILE.errors, exactly one line for each row. FILE.journal records the rows that were sent.

Whatever ended the command, running it again continues. A row that was sent and has no result is in
doubt. It is sent again if that does no harm: because of its method, because of an Idempotency-Key,
or because it only asks a model to generate. Otherwise it becomes an error. --in-doubt changes that.

FILE may also be the output of a provider's batch API. Rows without a success there are sent: those
that expired and those that failed. The provider's file of errors may be FILE.errors; --retry failed
then sends the rows in it.

The policy retries transient failures; a row that still fails is tried again at the end. A fault of
the account, such as a wrong key, stops the batch and costs no row. $NAME in --header is read from
the environment and is never written to a file.

Exit code:
  0      every row has a result
  1      every row has a result or an error
  75     stopped early: the same command continues
  124    --deadline is over: the same command continues
  125    rebound itself failed: a flag, the input, a file
  128+n  ended by signal n: the same command continues`

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
