package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
	"github.com/rebound-go/rebound/cmd/rebound/batch/crew"
)

const batchHelp = `Send each row of a file to an API once, and keep the answers.

The input has one line for each row, as in OpenAI's batch files:
  {"custom_id": "r-1", "method": "POST", "url": "/v1/chat/completions", "body": {…}}
The whole input is checked before the first request. Results are written to FILE, and errors to
FILE.errors. Each row gets exactly one line. FILE.journal records the rows that were sent.

If the command ends early, run it again, and it continues. A row that was sent and has no result is
in doubt. It is sent again if a repeat does no harm: its method is idempotent, it has an
Idempotency-Key, or it asks a model for an answer. Otherwise it becomes an error. --in-doubt changes
this.

FILE may also be the output of a provider's batch API. Its rows that expired or failed are sent. The
provider's file of errors may be FILE.errors. Then --retry failed sends its rows.

The policy retries transient failures. A row that still fails is sent again at the end. A fault of
the account, such as a wrong key, stops the batch, and no row fails because of it. In --header,
$NAME stands for an environment variable. Its value is written to no file, unless a successful
answer repeats it.

Exit code:
  0      every row has a result
  1      every row has ended, at least one with an error
  75     stopped early: the same command continues
  124    the time of --deadline is over: the same command continues
  125    rebound itself failed: a flag, the input, a file
  128+n  ended by signal n: the same command continues`

func newBatch() *cobra.Command {
	var f batchFlags
	c := &cobra.Command{
		Use:   "batch [flags] INPUT -o FILE",
		Short: "Send each row of a file to an API once",
		Long:  batchHelp,
		Example: "  rebound batch in.jsonl -o out.jsonl --base https://api.openai.com \\\n" +
			"      --header 'Authorization: Bearer $OPENAI_API_KEY'\n" +
			"  rebound batch in.jsonl -o out.jsonl --base https://api.openai.com --dry-run",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return ownError{errors.New("want one input, as in rebound batch in.jsonl -o out.jsonl, or " +
					"- for standard input")}
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

func runBatch(c *cobra.Command, f batchFlags) error {
	defer f.signals()()
	crew.UseHalf()
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
