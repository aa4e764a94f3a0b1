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

const simHelp = `Play an outage in virtual time, with the very code that runs in your programs, once
for each of several policies, and show them side by side.

A scenario is a built-in one, or a file of YAML or JSON that has the fields of sim.Scenario in snake
case, and these: like, a built-in scenario to start from; hedge, when a second request is sent;
policies, as in a file of policies; and compare, the names of those to play. Without a scenario, the
built-in ones are listed.

The columns of the table: calls that succeeded; attempts that the server met for each call; the
highest rate of attempts in a step of time after the trouble was over; how long after that the
service was well again; and how long the calls took that succeeded, waits included. --plot draws
load, answers, retries, queue and breakers over time.

--set and --sweep change fields as a file has them: of the scenario, such as server.workers or
server.windows[0].to, or of all policies, such as attempts or backoff.base. --sweep plays several
values, and --plot then draws what becomes of success, load and latency over them. --runs repeats
everything with other random numbers: numbers are then means, with their range.`

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
		Short: "Play an outage under several policies, and compare them",
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
		"policies to play: names, files, file.yaml#name")
	s.StringArrayVar(&flags.plots, "plot", nil, "draw into this file: .svg, .png or .html")
	s.Uint64Var(&flags.seed, "seed", 0, "another seed for all random numbers")
	s.Var(&duration{to: &flags.duration}, "duration", "another length of the run")
	s.StringArrayVar(&flags.sets, "set", nil, "change a field: server.workers=5, attempts=4")
	s.StringVar(&flags.sweep, "sweep", "",
		"play several values of a field: attempts=1..5, backoff.base=100ms,1s, bin=1s..5s/2s")
	s.IntVar(&flags.runs, "runs", 1, "repeat with so many seeds: means and ranges")
	s.BoolVar(&flags.noJitter, "no-jitter", false, "play all policies without their jitter")
	s.BoolVar(&flags.asJSON, "json", false, "print all that was counted, times in nanoseconds")
	s.BoolVar(&schema, "schema", false, "print the JSON Schema of scenarios")
	complete(c, "policy", ownNames())
	return c
}

// scenarioSchema is the JSON Schema of scenarios. A test keeps it in step with their fields.
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
	// The table is there, whatever becomes of the pictures.
	for _, path := range f.plots {
		if wrong := drawAll(path, field, all); wrong != nil {
			err = errors.Join(err, ownError{wrong})
		}
	}
	return err
}

// maxRuns is how many seeds are played at most: their results are all kept.
const maxRuns = 1000

// change does to the study what the flags say.
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
				return fmt.Errorf("--duration is %v: want more than %v, as there is trouble from then on",
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
		refs = telling(s.scenario.Name)
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

// telling are policies whose comparison shows what a scenario is about.
func telling(scenario string) []string {
	if scenario == "herd" {
		return []string{"patient", "patient-no-jitter"}
	}
	return []string{"no-retries", "no-budget", zero}
}
