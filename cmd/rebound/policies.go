package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/policyfile"
)

func newPolicies() *cobra.Command {
	var asJSON, schema bool
	c := &cobra.Command{
		Use:   "policies [file|name|file#name]...",
		Short: "List policies, and check policy files",
		Long: "List policies, and check policy files. Without arguments, the built-in policies are\n" +
			"listed. An error in a file names the line, the field and the valid values.\n\n" +
			"With --json, the policies are printed as a policy file, which you can edit.",
		Example: "  rebound policies\n" +
			"  rebound policies policies.yaml\n" +
			"  rebound policies aggressive --json > policies.json\n" +
			"  rebound policies --schema > schema.json",
		RunE: func(c *cobra.Command, args []string) error {
			out := c.OutOrStdout()
			if schema {
				_, err := out.Write(policyfile.Schema())
				return err
			}
			if len(args) == 0 {
				args = ownNames()
			}
			var all []named
			for _, ref := range args {
				some, err := find(ref)
				if err != nil {
					return err
				}
				all = append(all, some...)
			}
			if asJSON {
				return writeFile(out, all)
			}
			return list(out, all)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a policy file")
	c.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema of policy files")
	return c
}

func writeFile(out io.Writer, all []named) error {
	file := policyfile.File{Policies: map[string]policyfile.Policy{}}
	for _, p := range all {
		if _, twice := file.Policies[p.name]; twice {
			return fmt.Errorf("there are two policies called %s: a file can hold only one", shown(p.name))
		}
		file.Policies[p.name] = p.spec
	}
	data, err := policyfile.Marshal(&file)
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	return err
}

func list(out io.Writer, all []named) error {
	rows := [][]string{{"policy", "attempts", "delays, at most", "retries"}}
	limited := slices.ContainsFunc(all, func(n named) bool { return len(n.spec.Gates) > 0 })
	if limited {
		rows[0] = append(rows[0], "gates")
	}
	for _, n := range all {
		p, err := n.build()
		if err != nil {
			return err
		}
		row := []string{shown(n.name), attempts(p), sketch(p), retried(n.spec)}
		if limited {
			row = append(row, cmp.Or(strings.Join(gates(p), "; "), "none"))
		}
		rows = append(rows, row)
	}
	return writeColumns(out, rows, false)
}

func attempts(p *rebound.Policy) string {
	switch p.Attempts {
	case rebound.Unlimited:
		return "no limit"
	case 0:
		return "3"
	}
	return fmt.Sprint(p.Attempts)
}

// sketch shows the first few delays.
func sketch(p *rebound.Policy) string {
	const shown = 4
	rows := makePlan(p, fault.Transient, shown+2).Rows[1:]
	var waits []string
	for i, r := range rows {
		if i == shown {
			waits = append(waits, "…")
			break
		}
		waits = append(waits, short(r.Wait.Most))
	}
	if len(waits) == 0 {
		return "none"
	}
	return strings.Join(waits, " → ")
}

func retried(p policyfile.Policy) string {
	if len(p.Retry) == 0 {
		return "all but permanent failures"
	}
	var words []string
	for _, m := range p.Retry {
		words = append(words, string(m))
	}
	return strings.Join(words, ", ")
}
