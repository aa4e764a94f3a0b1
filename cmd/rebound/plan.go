package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
)

func newPlan() *cobra.Command {
	var flags policyFlags
	var asJSON, throttled bool
	var rows int
	c := &cobra.Command{
		Use:   "plan [policy]",
		Short: "Print the delays of a policy",
		Long: "Print the delay before each attempt of a policy, and the sum of all delays up to that\n" +
			"attempt. Jitter is random, so the least, the mean and the most are printed. The time of\n" +
			"the attempts themselves is not included.",
		Example: "  rebound plan aggressive\n" +
			"  rebound plan policies.yaml#ocr --json\n" +
			"  rebound plan --backoff decorrelated --delay 1s --attempts 8",
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: ownNames(),
		RunE: func(c *cobra.Command, args []string) error {
			if err := pickPolicy(c, &flags, args); err != nil {
				return err
			}
			if rows < 1 || rows > maxRows {
				return fmt.Errorf("--rows is %d: want 1 to %d", rows, maxRows)
			}
			chosen, err := flags.choose()
			if err != nil {
				return err
			}
			p, err := chosen.build()
			if err != nil {
				return err
			}
			kind := fault.Transient
			if throttled {
				kind = fault.RateLimited
			}
			made := makePlan(p, kind, rows)
			if asJSON {
				return writeJSON(c.OutOrStdout(), made)
			}
			return made.write(c.OutOrStdout())
		},
	}
	flags.register(c)
	c.Flags().BoolVar(&throttled, "throttled", false,
		"print the delays after a rate limit or an overload")
	c.Flags().IntVar(&rows, "rows", 10, "largest number of attempts to print")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, times in seconds")
	return c
}

// maxRows bounds the time of a plan to seconds. All rows are computed before the first is printed.
const maxRows = 10_000

// pickPolicy reads the policy from the argument, which is a shorter form of --policy.
func pickPolicy(c *cobra.Command, flags *policyFlags, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.Flags().Changed("policy") {
		return fmt.Errorf("there are two policies, %s and --policy %s: want one",
			shown(args[0]), shown(flags.ref))
	}
	flags.ref = args[0]
	return nil
}

// plan is a policy's schedule.
type plan struct {
	Policy   string    `json:"policy"`
	Attempts int       `json:"attempts"` // allowed; -1 = unlimited
	Rows     []planRow `json:"rows"`
	Gates    []string  `json:"gates,omitempty"` // limits; the rows do not include their waits
	More     int       `json:"more,omitempty"`  // further attempts that are allowed
	Stops    string    `json:"stops,omitempty"` // why fewer attempts may be made
}

// planRow is one attempt.
type planRow struct {
	Attempt int   `json:"attempt"`
	Wait    times `json:"wait"`  // the delay before the attempt
	Total   times `json:"total"` // all delays up to the attempt
}

// makePlan computes the first attempts, up to rows. It leaves out attempts that MaxElapsed rules
// out.
func makePlan(p *rebound.Policy, kind fault.Kind, rows int) plan {
	limit := p.MaxAttempts()
	made := plan{
		Policy: p.Name, Attempts: limit, Rows: []planRow{{Attempt: 1}}, Gates: gates(p),
	}
	if limit == rebound.Unlimited {
		limit = rows
	} else if limit > rows {
		limit, made.More = rows, limit-rows
	}
	w := newWaits(p, kind)
	var total times
	for n := 2; n <= limit; n++ {
		wait := w.next(n - 1)
		total = total.plus(wait)
		if most := p.MaxElapsed; most > 0 && total.Least >= most {
			made.Stops = fmt.Sprintf("attempt %d would begin after the limit of %v for the call",
				n, most)
			made.More = 0
			break
		} else if most > 0 && total.Most >= most && made.Stops == "" {
			made.Stops = fmt.Sprintf("from attempt %d on, the limit of %v for the call may be over",
				n, most)
		}
		made.Rows = append(made.Rows, planRow{n, wait, total})
	}
	return made
}

func (p plan) write(to io.Writer) error {
	out := &strings.Builder{}
	attempts := fmt.Sprintf("%d attempts", p.Attempts)
	switch p.Attempts {
	case rebound.Unlimited:
		attempts = "unlimited attempts"
	case 1:
		attempts = "1 attempt"
	}
	fmt.Fprintf(out, "%s: %s\n", shown(p.Policy), attempts)
	for _, g := range p.Gates {
		fmt.Fprintf(out, "gate: %s\n", g)
	}
	fmt.Fprintln(out)
	width := len("  least ")
	for _, r := range p.Rows {
		width = max(width, 1+len(short(r.Wait.Most)), 1+len(short(r.Total.Mean)),
			1+len(short(r.Total.Most)))
	}
	row := func(cells ...string) {
		fmt.Fprintf(out, "%7s  %*s%*s%*s  %*s%*s%*s\n", cells[0], width, cells[1], width, cells[2],
			width, cells[3], width, cells[4], width, cells[5], width, cells[6])
	}
	fmt.Fprintf(out, "%*s%*s\n", 11+3*width, "delay before it", 2+3*width, "all delays")
	row("attempt", "least", "mean", "most", "least", "mean", "most")
	for _, r := range p.Rows {
		w, t := r.Wait, r.Total
		row(fmt.Sprint(r.Attempt), short(w.Least), short(w.Mean), short(w.Most),
			short(t.Least), short(t.Mean), short(t.Most))
	}
	if p.More > 0 {
		fmt.Fprintf(out, "\n… and %d more: see --rows\n", p.More)
	}
	if p.Stops != "" {
		fmt.Fprintf(out, "\n%s\n", p.Stops)
	}
	_, err := io.WriteString(to, out.String())
	return err
}

func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
