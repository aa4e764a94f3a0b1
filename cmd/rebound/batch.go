package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/secrets"
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

// batchFlags are the flags of `rebound batch` as they are written.
type batchFlags struct {
	o           batch.Options
	base        string
	allow       []string
	header      []string
	policy      string
	retry       []string
	budget      string
	maxFailures string
	sync        string
	progress    time.Duration
	key         string
	debug       string
	metrics     string
}

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
	return c
}

func (f *batchFlags) register(c *cobra.Command) {
	s, o := c.Flags(), &f.o
	s.StringVarP(&o.Output, "output", "o", "", "results; FILE.errors and FILE.journal are beside it")
	s.StringVar(&f.base, "base", "", "URL that the rows' urls are joined to")
	s.StringArrayVar(&f.allow, "allow", nil, "host that rows may name, such as https://host")
	s.StringArrayVarP(&f.header, "header", "H", nil, "header of each request, with $NAME or @file")
	s.StringVarP(&f.policy, "policy", "p", "", "policy: a name, or file.yaml#name; default llm's")
	s.Float64Var(&o.Requests, "rpm", 0, "requests per minute; 0 = learned from the server")
	s.Float64Var(&o.Tokens, "tpm", 0, "tokens per minute; 0 = learned from the server")
	s.IntVarP(&o.MaxInFlight, "max-in-flight", "j", 256, "most requests at a time; adapts below")
	s.IntVar(&o.RowAttempts, "row-attempts", 8, "attempts of a row, those of the policy included")
	s.StringVar(&o.InDoubt, "in-doubt", "auto", "rows in doubt: auto, redo or hold")
	s.StringSliceVar(&f.retry, "retry", nil, "take up errors again: failed, in-doubt")
	s.StringVar(&f.key, "idempotency-key", "", "header that gets a key of the row")
	s.Lookup("idempotency-key").NoOptDefVal = "Idempotency-Key"
	s.StringVar(&f.budget, "budget", "", "most to spend over all runs, such as 50usd")
	s.StringVar(&o.Prices, "prices", "", "file of prices, as litellm has it")
	durationVar(s, &o.Deadline, "deadline", 0, "stop after this time")
	s.StringVar(&f.maxFailures, "max-failures", "", "stop after so many failures, or a share as 5%")
	s.IntVar(&o.First, "first", 20, "stop if so many rows end and all fail alike; -1 = never")
	durationVar(s, &o.Grace, "grace", 30*time.Second, "time for requests under way when it stops")
	s.StringVar(&o.Files, "files", "", "directory of the files that rows name")
	s.StringVar(&o.Ordered, "ordered", "", "file for all lines in the order of the input, at the end")
	s.BoolVar(&o.Tee, "tee", false, "copy results to standard output, those of earlier runs first")
	s.StringVar(&o.Report, "report", "", "file for the report as JSON")
	s.StringVar(&f.sync, "sync", "power", "what the journal survives: crash or power")
	s.BoolVar(&o.DryRun, "dry-run", false, "check the input and estimate; send nothing")
	s.IntVar(&o.Probe, "probe", 0, "send so many rows, keep them, and estimate the rest")
	s.StringVar(&f.debug, "debug", "", "address of a live page, such as localhost:8080")
	s.StringVar(&f.metrics, "metrics", "", "address of metrics for Prometheus")
	durationVar(s, &f.progress, "progress", 30*time.Second, "time between lines without a terminal")
	complete(c, "in-doubt", []string{"auto", "redo", "hold"})
	complete(c, "retry", []string{"failed", "in-doubt"})
	complete(c, "sync", []string{"crash", "power"})
	complete(c, "policy", ownNames())
}

// options turns what was written into options, or says what is wrong.
func (f *batchFlags) options(c *cobra.Command, in string) (err error) {
	o := &f.o
	o.Input, o.Stdin, o.Stdout = in, c.InOrStdin(), c.OutOrStdout()
	o.Command, o.IdempotencyAs = shellWords(os.Args), f.key
	switch {
	case o.Output == "":
		return errors.New("--output is missing: want -o FILE for the results")
	case o.Output == "-":
		return errors.New("--output -: want a file, since a run can go on only with its results")
	case o.Requests < 0 || o.Tokens < 0:
		return errors.New("--rpm and --tpm: want more than 0, or 0 to learn the limit")
	case o.MaxInFlight < 1:
		return fmt.Errorf("--max-in-flight %d: want 1 or more", o.MaxInFlight)
	case o.RowAttempts < 1:
		return fmt.Errorf("--row-attempts %d: want 1 or more", o.RowAttempts)
	case o.Probe < 0:
		return fmt.Errorf("--probe %d: want 1 or more rows", o.Probe)
	}
	if f.base != "" {
		if o.Base, err = parseHost("base", f.base); err != nil {
			return err
		}
	}
	for _, host := range f.allow {
		u, err := parseHost("allow", host)
		if err != nil {
			return err
		}
		o.Allow = append(o.Allow, u)
	}
	if o.Header, o.Secret, err = readHeaders(f.header); err != nil {
		return err
	}
	hidden := secrets.Set{}.With(o.Secret...)
	for i, word := range o.Command {
		o.Command[i] = string(hidden.Redact([]byte(word)))
	}
	return f.choices()
}

// choices reads the flags that are words.
func (f *batchFlags) choices() error {
	o := &f.o
	switch o.InDoubt {
	case "auto", "redo", "hold":
	default:
		return fmt.Errorf("--in-doubt %q: want auto, redo or hold", o.InDoubt)
	}
	for _, what := range f.retry {
		switch what {
		case "failed":
			o.RetryFailed = true
		case "in-doubt":
			o.RetryInDoubt = true
		default:
			return fmt.Errorf("--retry %q: want failed, in-doubt, or both", what)
		}
	}
	switch f.sync {
	case "crash":
		o.Crash = true
	case "power":
	default:
		return fmt.Errorf("--sync %q: want crash or power", f.sync)
	}
	return f.bounds()
}

// bounds reads the amounts, and the policy.
func (f *batchFlags) bounds() (err error) {
	o := &f.o
	if f.budget != "" {
		if o.Budget, err = money.Parse(f.budget); err != nil {
			return fmt.Errorf("--budget: %w", err)
		}
	}
	if f.maxFailures != "" {
		if o.MaxFailures, err = parseFailures(f.maxFailures); err != nil {
			return fmt.Errorf("--max-failures: %w", err)
		}
	}
	if f.policy != "" {
		p, err := findOne(f.policy)
		if err != nil {
			return err
		}
		o.Policy, err = p.build()
		return err
	}
	return nil
}

// runBatch runs the batch and prints its report.
func runBatch(c *cobra.Command, f batchFlags) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	passed := make(chan batch.Signal, 2)
	go func() {
		for s := range signals {
			number, _ := s.(syscall.Signal)
			passed <- batch.Signal{Name: s.String(), Number: int(number)}
		}
	}()
	f.o.Signals = passed
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
	if f.o.Report != "" {
		if err := summary.WriteJSON(f.o.Report); err != nil {
			return ownError{err}
		}
	}
	if err := summary.Write(c.ErrOrStderr()); err != nil {
		return ownError{err}
	}
	if code != 0 {
		return exited(code)
	}
	return nil
}
