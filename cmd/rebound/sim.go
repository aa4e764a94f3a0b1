package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound/cmd/rebound/chart"
	"github.com/rebound-go/rebound/policyfile"
	"github.com/rebound-go/rebound/sim"
)

const simHelp = `Simulate an outage under several policies, and compare the results.

Time is virtual. The policies run the same code as in your programs.

The scenario is the name of a built-in one, or a YAML or JSON file. Without a scenario, the names of
the built-in ones are printed. A file has the fields of sim.Scenario in snake case, and these four:
  like      a built-in scenario, which supplies the values that the file leaves out
  hedge     when to send a second request
  policies  policies, as in a policy file
  compare   the names of the policies to compare

The columns of the table:
  success        calls that succeeded
  attempts/call  attempts that reached the server, for each call
  peak           highest rate of attempts after the trouble ended
  recovery       time from the end of the trouble until the service had recovered
  p50, p99       time of the calls that succeeded, delays included

--set changes a field of the scenario, such as server.workers or server.windows[0].to, or a field of
all policies, such as attempts or backoff.base. --sweep compares several values of one field. --runs
repeats every run with other random numbers, and the table then shows means and ranges.

--plot draws load, answers, retries, queue and breakers over time. With --sweep, it draws success,
load and latency for each value.`

// simFlags are the flags of `rebound sim`.
type simFlags struct {
	policies []string
	plots    []string
	sets     []string
	sweep    string
	runs     int
	seed     uint64
	duration policyfile.Duration
	noJitter bool
	asJSON   bool
}

func newSim() *cobra.Command {
	var flags simFlags
	var schema bool
	c := &cobra.Command{
		Use:   "sim [scenario]",
		Short: "Simulate an outage under several policies, and compare them",
		Long:  simHelp,
		Example: "  rebound sim metastable\n" +
			"  rebound sim outage --policy zero,policies.yaml --plot outage.svg\n" +
			"  rebound sim scenario.yaml --seed 7 --json\n" +
			"  rebound sim brownout --set server.workers=40 --runs 20\n" +
			"  rebound sim outage --policy zero --sweep attempts=1..5 --plot attempts.svg",
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: sim.Builtins(),
		RunE: func(c *cobra.Command, args []string) error {
			if schema {
				_, err := c.OutOrStdout().Write(scenarioSchema)
				return err
			}
			if len(args) == 0 {
				return listScenarios(c.OutOrStdout())
			}
			return flags.run(c, args[0])
		},
	}
	s := c.Flags()
	s.StringSliceVarP(&flags.policies, "policy", "p", nil,
		"policies to compare: names, files, file.yaml#name")
	s.StringArrayVar(&flags.plots, "plot", nil, "draw a chart in this file: .svg, .png or .html")
	s.Uint64Var(&flags.seed, "seed", 0, "seed of the random numbers; default the scenario's")
	s.Var(&duration{to: &flags.duration}, "duration", "length of the run; default the scenario's")
	s.StringArrayVar(&flags.sets, "set", nil, "change a field: server.workers=5, attempts=4")
	s.StringVar(&flags.sweep, "sweep", "",
		"compare several values of a field: attempts=1..5, backoff.base=100ms,1s, bin=1s..5s/2s")
	s.IntVar(&flags.runs, "runs", 1, "number of runs, each with another seed")
	s.BoolVar(&flags.noJitter, "no-jitter", false, "run all policies without jitter")
	s.BoolVar(&flags.asJSON, "json", false, "print all results as JSON, times in nanoseconds")
	s.BoolVar(&schema, "schema", false, "print the JSON Schema of scenarios")
	complete(c, "policy", ownNames())
	return c
}

// scenarioSchema is the JSON Schema of scenario files. A test compares it with their fields.
//
//go:embed scenario.schema.json
var scenarioSchema []byte

func listScenarios(out io.Writer) error {
	for _, name := range sim.Builtins() {
		s, err := sim.Builtin(name)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%-12s%s\n", name, s.About); err != nil {
			return err
		}
	}
	return nil
}

func (f *simFlags) run(c *cobra.Command, ref string) error {
	for _, path := range f.plots {
		if err := chart.CanDraw(path); err != nil {
			return err
		}
	}
	if f.runs < 1 || f.runs > maxRuns {
		return fmt.Errorf("--runs is %d: want 1 to %d", f.runs, maxRuns)
	}
	s, err := readStudy(ref)
	if err != nil {
		return err
	}
	if err := f.change(c, &s); err != nil {
		return err
	}
	field, variants, err := s.vary(f.sweep)
	if err != nil {
		return err
	}
	all, err := play(c.Context(), variants, f.runs, c.ErrOrStderr())
	if err != nil {
		return err
	}
	if f.asJSON {
		err = writeResults(c.OutOrStdout(), all)
	} else {
		err = writeTable(c.OutOrStdout(), field, all)
	}
	// The table is printed even if a chart cannot be drawn.
	for _, path := range f.plots {
		if wrong := drawAll(path, field, all); wrong != nil {
			err = errors.Join(err, ownError{wrong})
		}
	}
	return err
}

// maxRuns bounds the memory: the results of all runs are kept.
const maxRuns = 1000

// change applies the flags to the study.
func (f *simFlags) change(c *cobra.Command, s *study) error {
	if c.Flags().Changed("seed") {
		s.scenario.Seed = f.seed
		s.fields.Give("seed", "--seed")
	}
	if d := time.Duration(f.duration); d > 0 {
		s.scenario.Duration = d
		s.fields.Give("duration", "--duration")
		for _, w := range s.scenario.Server.Windows {
			if w.From >= d {
				return fmt.Errorf("--duration is %v: want more than %v, when the trouble begins",
					d, w.From)
			}
		}
	}
	if f.noJitter {
		s.scenario.NoJitter = true
		s.fields.Give("no_jitter", "--no-jitter")
	}
	refs := f.policies
	if len(refs) == 0 && len(s.policies) == 0 {
		refs = contrasting(s.scenario.Name)
	} else if len(refs) > 0 {
		s.policies = nil
	}
	for _, ref := range refs {
		some, err := find(ref)
		if err != nil {
			return err
		}
		s.policies = append(s.policies, some...)
	}
	return s.set("--set", f.sets)
}

// contrasting returns the policies that show what a scenario is about.
func contrasting(scenario string) []string {
	if scenario == "herd" {
		return []string{"patient", "patient-no-jitter"}
	}
	return []string{"no-retries", "no-budget", zero}
}
