package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound/cmd/rebound/batch/fleet"
)

// fleetFlags are the flags of the subcommands that work with a database.
type fleetFlags struct {
	batchFlags
	name string
	json bool

	lease time.Duration
}

const loadHelp = `Check a batch's input and add its rows to a database.

The whole input is checked before anything is added, as in rebound batch. Rows that the batch
already has are kept, so running the same load again adds nothing. If the content of a row has
changed, the row is updated, unless it was already sent. Rows that cannot be updated are counted.
load creates the tables, in the schema "rebound".

The batch is named after the file. If the batch of that name has another input, nothing is added:
set --batch to a new name, or to this name to add the rows anyway. Without --base, rows may have
URLs without a host; the workers' --base then applies.`

const workHelp = `Send the rows of a batch in a database, on any number of machines.

The workers share the rows, and each runs until no row is left. --rpm, --tpm, --budget, --first and
--max-failures apply to all workers together, so give every worker the same values. Without --rpm
and --tpm, the limits are learned from the server, and what one worker learns applies to all.

The rows of a worker that was killed are sent again within a minute, if --in-doubt allows it. They
are counted as repeated. A fault of the account, such as a wrong key, stops all workers. In --header
and --db, $NAME stands for an environment variable. The headers of --header are never written to the
database.

The exit codes are those of rebound batch. To continue, run the same command again.`

const dumpHelp = `Write the results of a batch in a database to FILE, and its errors to FILE.errors.

The lines have the format of rebound batch. They show the batch at a single moment, even while
workers send rows.`

func newFleet() []*cobra.Command {
	return []*cobra.Command{newBatchLoad(), newBatchWork(), newBatchDump(), newBatchStatus()}
}

// fleetCommand completes a subcommand: it adds the common flags and opens the database for run.
func fleetCommand(
	f *fleetFlags, c *cobra.Command, run func(*cobra.Command, *fleet.DB, []string) error,
) *cobra.Command {
	c.Flags().StringVar(&f.db, "db", "", "URL of the PostgreSQL database, with $NAME or @file")
	c.Flags().StringVar(&f.name, "batch", "", "name of the batch; default: the only one")
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return ownError{flagError(c, err)} })
	c.RunE = func(c *cobra.Command, args []string) error {
		address, err := f.address()
		if err != nil {
			return ownError{err}
		}
		db, err := fleet.Open(c.Context(), address)
		if err != nil {
			return ownError{err}
		}
		defer db.Close()
		err = run(c, db, args)
		if code := exited(0); err == nil || errors.As(err, &code) {
			return err
		}
		return ownError{err}
	}
	if c.Args == nil {
		c.Args = func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return ownError{fmt.Errorf("unexpected argument %q", args[0])}
			}
			return nil
		}
	}
	return c
}

// address returns the URL of the database, with $NAME and @file expanded. It also checks --batch.
func (f *fleetFlags) address() (string, error) {
	if f.db == "" {
		return "", errors.New("--db is missing: want a URL such as postgres://user@host/database")
	}
	if f.name != "" {
		if err := fleet.CheckName(f.name); err != nil {
			return "", err
		}
	}
	address, _, err := expandHeader(f.db)
	if err != nil {
		return "", fmt.Errorf("--db: %w", err)
	}
	return address, nil
}

func newBatchLoad() *cobra.Command {
	var f fleetFlags
	c := fleetCommand(&f, &cobra.Command{
		Use: "load [flags] INPUT --db URL", Short: "Add the rows of a file to a database", Long: loadHelp,
		Example: "  rebound batch load in.jsonl --db 'postgres://clerk:$PASSWORD@db.example.com/work'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return ownError{errors.New("want one input, as in rebound batch load in.jsonl --db URL, or - " +
					"for standard input")}
			}
			return nil
		},
	}, func(c *cobra.Command, db *fleet.DB, args []string) error {
		f.o.Input = args[0]
		if err := errors.Join(f.targets(c), f.retries()); err != nil {
			return err
		}
		l, err := fleet.Load(c.Context(), db, f.name, f.o)
		if err != nil {
			return err
		}
		c.PrintErrf("batch %s: %d rows in the input, %d added, %d already loaded\n", l.Batch, l.Rows,
			l.Added, l.Rows-l.Added)
		for _, n := range []struct {
			rows int
			what string
		}{
			{l.Updated, "were updated, because they were not sent yet"},
			{l.Changed, "differ from what was sent, and are unchanged"},
			{l.Missing, "of the batch are not in the input, and are kept"},
			{l.Retried, "failed earlier, and will be sent again"},
		} {
			if n.rows > 0 {
				c.PrintErrf("%d rows %s\n", n.rows, n.what)
			}
		}
		return nil
	})
	f.registerTargets(c)
	c.Flags().Lookup("batch").Usage = "name of the batch; default: from the name of INPUT"
	c.Flags().StringSliceVar(&f.retry, "retry", nil, "send rows with errors again: failed, in-doubt")
	complete(c, "retry", []string{"failed", "in-doubt"})
	return c
}

func newBatchWork() *cobra.Command {
	var f fleetFlags
	c := fleetCommand(&f, &cobra.Command{
		Use: "work [flags] --db URL", Short: "Send the rows of a batch in a database", Long: workHelp,
		Example: "  rebound batch work --db '$DATABASE_URL' --base https://api.openai.com \\\n" +
			"      --header 'Authorization: Bearer $OPENAI_API_KEY' --rpm 500",
	}, func(c *cobra.Command, db *fleet.DB, _ []string) error {
		if err := f.calls(c); err != nil {
			return err
		}
		if f.lease < time.Second {
			return fmt.Errorf("--lease %v: want a second or more", f.lease)
		}
		if f.o.Report != "" {
			if err := writable(f.o.Report, false); err != nil {
				return fmt.Errorf("--report %s: %w", f.o.Report, err)
			}
		}
		defer f.signals()()
		stopWatch, err := f.watch(c, showBatch(c.ErrOrStderr(), f.progress))
		if err != nil {
			return err
		}
		defer stopWatch()
		summary, code, err := fleet.Work(c.Context(), db, fleet.Options{
			Options: f.o, Name: f.name, Lease: f.lease,
			Notice: func(line string) { c.PrintErrln("rebound:", escaped(line)) },
		})
		if err != nil {
			return err
		}
		if summary.Rows == 0 && code != 0 {
			return exited(code) // it was stopped before it began
		}
		return f.report(c, summary, code)
	})
	f.registerCalls(c)
	durationVar(c.Flags(), &f.lease, "lease", fleet.Lease, "time without a heartbeat after "+
		"which other workers take a worker's rows")
	return c
}

func newBatchDump() *cobra.Command {
	var f fleetFlags
	var file string
	c := fleetCommand(&f, &cobra.Command{
		Use: "dump [flags] -o FILE --db URL", Short: "Write the results of a batch in a database",
		Long: dumpHelp,
	}, func(c *cobra.Command, db *fleet.DB, _ []string) error {
		if file == "" || file == "-" {
			return errors.New("--output is missing: want -o FILE for the results")
		}
		s, err := db.Dump(c.Context(), f.name, file)
		if err != nil {
			return err
		}
		return s.Write(c.ErrOrStderr())
	})
	c.Flags().StringVarP(&file, "output", "o", "", "file for results; FILE.errors is beside it")
	return c
}

func newBatchStatus() *cobra.Command {
	var f fleetFlags
	c := fleetCommand(&f, &cobra.Command{
		Use: "status [flags] --db URL", Short: "Print the state of a batch in a database",
	}, func(c *cobra.Command, db *fleet.DB, _ []string) error {
		s, err := db.Status(c.Context(), f.name)
		if err != nil {
			return err
		}
		if f.json {
			enc := json.NewEncoder(c.OutOrStdout())
			enc.SetIndent("", "  ")
			return enc.Encode(s)
		}
		fmt.Fprintf(c.OutOrStdout(), "batch %s: %d workers, %d rows in flight\n", s.Batch, s.Workers,
			s.InFlight)
		return s.Write(c.OutOrStdout())
	})
	c.Flags().BoolVar(&f.json, "json", false, "print JSON, with the fields of --report")
	return c
}
