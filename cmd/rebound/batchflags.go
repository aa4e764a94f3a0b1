package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
	"github.com/rebound-go/rebound/cmd/rebound/batch/fleet"
	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
)

// batchFlags are the flags of `rebound batch`, before they are read into o.
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
	db          string // URL of the database; empty = no database
}

// register adds all flags of `rebound batch`.
func (f *batchFlags) register(c *cobra.Command) {
	s, o := c.Flags(), &f.o
	s.StringVarP(&o.Output, "output", "o", "",
		"file for results; FILE.errors and FILE.journal are beside it")
	f.registerCalls(c)
	s.StringSliceVar(&f.retry, "retry", nil, "send rows with errors again: failed, in-doubt")
	s.StringVar(&o.Ordered, "ordered", "", "file that gets all lines in input order at the end")
	s.BoolVar(&o.Tee, "tee", false, "copy results to standard output, those of earlier runs first")
	s.StringVar(&f.sync, "sync", "power", "what the journal must survive: crash or power")
	s.BoolVar(&o.DryRun, "dry-run", false, "check the input and estimate; send nothing")
	s.IntVar(&o.Probe, "probe", 0, "send this many rows, keep their results, estimate the rest")
	complete(c, "retry", []string{"failed", "in-doubt"})
	complete(c, "sync", []string{"crash", "power"})
}

// registerTargets adds the flags that decide where rows may go.
func (f *batchFlags) registerTargets(c *cobra.Command) {
	s := c.Flags()
	s.StringVar(&f.base, "base", "", "URL that each row's path is appended to")
	s.StringArrayVar(&f.allow, "allow", nil, "another host that rows may name, such as https://host")
	s.StringVar(&f.o.Files, "files", "", "directory of the files that rows name")
}

// registerCalls adds the flags of a process that sends rows.
func (f *batchFlags) registerCalls(c *cobra.Command) {
	f.registerTargets(c)
	s, o := c.Flags(), &f.o
	s.StringArrayVarP(&f.header, "header", "H", nil, "header of each request, with $NAME or @file")
	s.StringVarP(&f.policy, "policy", "p", "",
		"policy: a name, or file.yaml#name; default: one for LLMs")
	s.Float64Var(&o.Requests, "rpm", 0,
		"requests per minute of each model; 0 = learned from the server")
	s.Float64Var(&o.Tokens, "tpm", 0, "tokens per minute of each model; 0 = learned from the server")
	s.IntVarP(&o.MaxInFlight, "max-in-flight", "j", 256,
		"most requests at a time; adapts to the server, from 64, or from 3/4 of a given number")
	s.IntVar(&o.RowAttempts, "row-attempts", 8, "most attempts of a row in total")
	s.StringVar(&o.InDoubt, "in-doubt", "auto", "rows in doubt: auto, redo or hold")
	s.StringVar(&f.key, "idempotency-key", "", "header for a key that is unique to the row")
	s.Lookup("idempotency-key").NoOptDefVal = "Idempotency-Key"
	s.StringVar(&f.budget, "budget", "", "most to spend over all runs, such as 50usd")
	s.StringVar(&o.Prices, "prices", "", "file of prices, in the format of litellm")
	durationVar(s, &o.Deadline, "deadline", 0, "stop after this time")
	s.StringVar(&f.maxFailures, "max-failures", "",
		"stop after this many failures, or this share, such as 5%")
	s.IntVar(&o.First, "first", 20,
		"stop after this many rows if all failed with one code; -1 = never")
	durationVar(s, &o.Grace, "grace", 30*time.Second, "time for requests in flight at the end")
	s.StringVar(&o.Report, "report", "", "file for the report as JSON")
	s.StringVar(&f.debug, "debug", "", "address of a live page, such as localhost:8080")
	s.StringVar(&f.metrics, "metrics", "", "address of metrics for Prometheus")
	durationVar(s, &f.progress, "progress", 30*time.Second,
		"time between progress lines without a terminal")
	complete(c, "in-doubt", []string{"auto", "redo", "hold"})
	complete(c, "policy", ownNames())
}

// options reads the flags into f.o. The error names the invalid flag.
func (f *batchFlags) options(c *cobra.Command, in string) error {
	o := &f.o
	o.Input = in
	switch {
	case o.Output == "":
		return errors.New("--output is missing: want -o FILE for the results")
	case o.Output == "-":
		return errors.New("--output -: want a file, because the next run reads the results")
	case o.Probe < 0:
		return fmt.Errorf("--probe %d: want 1 or more rows", o.Probe)
	}
	switch f.sync {
	case "crash":
		o.Crash = true
	case "power":
	default:
		return fmt.Errorf("--sync %q: want crash or power", f.sync)
	}
	if err := f.retries(); err != nil {
		return err
	}
	if err := f.checkFiles(); err != nil {
		return err
	}
	return f.calls(c)
}

// calls reads the flags that registerCalls adds.
func (f *batchFlags) calls(c *cobra.Command) (err error) {
	o := &f.o
	o.IdempotencyAs = f.key
	switch {
	case !(o.Requests >= 0 && o.Tokens >= 0) || math.IsInf(o.Requests+o.Tokens, 1):
		return errors.New("--rpm and --tpm: want a limit above 0, or 0 to learn it")
	case o.MaxInFlight < 1:
		return fmt.Errorf("--max-in-flight %d: want 1 or more", o.MaxInFlight)
	case o.RowAttempts < 1:
		return fmt.Errorf("--row-attempts %d: want 1 or more", o.RowAttempts)
	case o.First == 0 || o.First < -1:
		return fmt.Errorf("--first %d: want 1 or more rows, or -1 for never", o.First)
	}
	if !c.Flags().Changed("max-in-flight") {
		o.Start = 64 // more than most rate limits allow, and each worker takes memory
	}
	o.Grace = max(o.Grace, 1) // a flag of 0 means at once, but an option of 0 the default
	switch o.InDoubt {
	case "auto", "redo", "hold":
	default:
		return fmt.Errorf("--in-doubt %q: want auto, redo or hold", o.InDoubt)
	}
	if err := f.targets(c); err != nil {
		return err
	}
	if o.Header, o.Secret, err = readHeaders(f.header); err != nil {
		return err
	}
	if err := f.checkKey(); err != nil {
		return err
	}
	again := goesOn(c.Flags(), os.Args, o.Output+".input")
	o.Command = shellWords(hide(again, append(fleet.Passwords(f.db), o.Secret...)))
	return f.bounds()
}

// targets reads the flags that decide where rows may go.
func (f *batchFlags) targets(c *cobra.Command) (err error) {
	o := &f.o
	o.Stdin, o.Stdout = c.InOrStdin(), c.OutOrStdout()
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
	return nil
}

// retries reads --retry.
func (f *batchFlags) retries() error {
	for _, what := range f.retry {
		switch what {
		case "failed":
			f.o.RetryFailed = true
		case "in-doubt":
			f.o.RetryInDoubt = true
		default:
			return fmt.Errorf("--retry %q: want failed, in-doubt, or both", what)
		}
	}
	return nil
}

// bounds reads --budget, --max-failures and --policy.
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
