package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound/cmd/rebound/chart"
	"github.com/rebound-go/rebound/policyfile"
	"github.com/rebound-go/rebound/sim"
)

const simHelp = `Play an outage in virtual time, with the very code that runs in your programs, once
for each of several policies, and show them side by side.

A scenario is a built-in one, or a file of YAML or JSON that has the fields of sim.Scenario in snake
case, and these: like, a built-in scenario to start from; policies, as in a file of policies; and
compare, the names of those to play. Without a scenario, the built-in ones are listed.

The columns of the table: calls that succeeded; attempts that the server met for each call; the
highest rate of attempts in a step of time after the trouble was over; how long after that the
service was well again; and how long the calls took that succeeded, waits included. --plot draws
load, answers, retries, queue and breakers over time.`

// simFlags are the flags of `rebound sim`.
type simFlags struct {
	policies []string
	plots    []string
	seed     uint64
	duration policyfile.Duration
	noJitter bool
	asJSON   bool
}

func newSim() *cobra.Command {
	var flags simFlags
	c := &cobra.Command{
		Use:   "sim [scenario]",
		Short: "Play an outage under several policies, and compare them",
		Long:  simHelp,
		Example: "  rebound sim metastable\n" +
			"  rebound sim outage --policy zero,policies.yaml --plot outage.svg\n" +
			"  rebound sim scenario.yaml --seed 7 --json",
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: sim.Builtins(),
		RunE: func(c *cobra.Command, args []string) error {
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
	s.Var(&word{to: &flags.duration, kind: "duration"}, "duration", "another length of the run")
	s.BoolVar(&flags.noJitter, "no-jitter", false, "play all policies without their jitter")
	s.BoolVar(&flags.asJSON, "json", false, "print all that was counted, times in nanoseconds")
	complete(c, "policy", ownNames())
	return c
}

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
	s, err := readStudy(ref)
	if err != nil {
		return err
	}
	if err := f.change(c, &s); err != nil {
		return err
	}
	result, err := s.play(c.Context(), c.ErrOrStderr())
	if err != nil {
		return err
	}
	for _, path := range f.plots {
		if err := chart.Draw(path, result); err != nil {
			return err
		}
	}
	if f.asJSON {
		return json.NewEncoder(c.OutOrStdout()).Encode(result)
	}
	return writeTable(c.OutOrStdout(), result)
}

// change does to the study what the flags say.
func (f *simFlags) change(c *cobra.Command, s *study) error {
	if c.Flags().Changed("seed") {
		s.scenario.Seed = f.seed
	}
	if f.duration > 0 {
		s.scenario.Duration = time.Duration(f.duration)
	}
	s.scenario.NoJitter = s.scenario.NoJitter || f.noJitter
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
	return nil
}

// telling are policies whose comparison tells what a scenario is about.
func telling(scenario string) []string {
	if scenario == "herd" {
		return []string{"patient", "patient-no-jitter"}
	}
	return []string{"no-retries", "no-budget", zero}
}

// play plays the study, one policy after the other, and shows how far it is if that takes long.
func (s study) play(ctx context.Context, stderr io.Writer) (sim.Result, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	var all sim.Result
	p := newProgress(stderr, len(s.policies))
	defer p.end()
	for _, n := range s.policies {
		policy, err := n.build()
		if err != nil {
			return all, err
		}
		p.begin(shown(n.name))
		one := s.scenario
		one.Policies = append(one.Policies, policy)
		r, err := sim.Run(one)
		if err != nil {
			return all, s.blame(err)
		}
		p.finish()
		all.Scenario, all.TroubleEnd = r.Scenario, r.TroubleEnd
		all.Policies = append(all.Policies, r.Policies...)
	}
	return all, ctx.Err()
}

// writeTable prints one line for each policy.
func writeTable(out io.Writer, r sim.Result) error {
	title := shown(r.Scenario.Name)
	if r.Scenario.About != "" {
		title += ": " + printable(strings.ReplaceAll(r.Scenario.About, "\n", " "))
	}
	rows := [][]string{
		{"policy", "success", "attempts/call", "peak", "recovery", "p50", "p99"},
	}
	for _, p := range r.Policies {
		rows = append(rows, append([]string{shown(p.Policy)}, columns(r, p)...))
	}
	if _, err := fmt.Fprintf(out, "%s\n\n", title); err != nil {
		return err
	}
	return writeColumns(out, rows, true)
}

// columns are the numbers of a line. Where there is nothing to count there is no number: no calls
// have no rate of success, and no successes no latency.
func columns(r sim.Result, p sim.PolicyResult) []string {
	row := []string{"-", "-", rate(p.Peak), recovery(r, p), "-", "-"}
	if p.Calls > 0 {
		row[0], row[1] = percent(p.SuccessRate), fmt.Sprintf("%.3f", p.Amplification)
	} else {
		row[3] = "-"
	}
	if p.OK > 0 {
		row[4], row[5] = short(p.Latency.Quantile(0.5)), short(p.Latency.Quantile(0.99))
	}
	return row
}

func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }

// rate is a number per second, with three digits or more.
func rate(perSecond float64) string {
	if perSecond == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f/s", perSecond)
}

// recovery is "-" where there is nothing to recover from, or too few calls to see it.
func recovery(r sim.Result, p sim.PolicyResult) string {
	switch {
	case r.TroubleEnd == 0:
		return "-"
	case r.TroubleEnd < r.Scenario.Duration && !p.Recovered && r.Scenario.Clients.Calls > 0:
		return "-" // the calls may be over before there are five seconds of them
	case !p.Recovered:
		return "not recovered"
	case p.Recovery == 0:
		return "at once"
	}
	return short(p.Recovery)
}
